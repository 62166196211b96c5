"""Spectra drawn from a seed, with nothing of the package's own initialisers: distinct float64 eigenvalues."""

from __future__ import annotations

import numpy as np


def ring(n: int, rng: np.random.Generator) -> np.ndarray:
    """Eigenvalues of a linear recurrent unit: |λ| in [0.9, 0.999], any phase."""
    return np.sqrt(rng.uniform(0.9**2, 0.999**2, n)) * np.exp(1j * rng.uniform(-np.pi, np.pi, n))


def disk(n: int, rng: np.random.Generator) -> np.ndarray:
    """Eigenvalues spread evenly over the disk of radius 0.95."""
    return 0.95 * np.sqrt(rng.uniform(0, 1, n)) * np.exp(1j * rng.uniform(-np.pi, np.pi, n))


def ginibre(n: int, rng: np.random.Generator) -> np.ndarray:
    """Eigenvalues of a real Gaussian matrix, scaled to the spectral radius 0.95: exact conjugate pairs."""
    eigenvalues = np.linalg.eigvals(rng.standard_normal((n, n)))
    return (0.95 * eigenvalues / np.abs(eigenvalues).max()).astype(complex)


def s4d(n: int, rng: np.random.Generator) -> np.ndarray:
    """S4D-Lin under a zero-order hold: −½ + iπk, conjugate pairs, a step drawn between 0.001 and 0.02."""
    dt = np.exp(rng.uniform(np.log(1e-3), np.log(2e-2)))
    upper = np.exp(dt * (-0.5 + 1j * np.pi * (np.arange(n // 2) + 0.5)))
    return np.concatenate([upper, upper.conj()])


def clustered(n: int, rng: np.random.Generator, width: float, centre: complex = 0.9j) -> np.ndarray:
    """Eigenvalues within ``width`` of one another, where P is singular to every float."""
    return centre + width / 2 * np.sqrt(rng.uniform(0, 1, n)) * np.exp(1j * rng.uniform(-np.pi, np.pi, n))
