"""HiPPO-LegS in the two forms in which S4 holds it, written from the published formulas."""

from __future__ import annotations

import numpy as np


def legs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """``−sqrt((2n+1)(2k+1))`` below the diagonal, ``−(n+1)`` on it; B_n = sqrt(2n+1)."""
    root = np.sqrt(2 * np.arange(n) + 1.0)
    return -np.tril(np.outer(root, root), -1) - np.diag(np.arange(n) + 1.0), root


def legs_dplr(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The same matrix put together from its normal part's eigenvectors, as S4 does: no longer exactly triangular."""
    A, B = legs(n)
    p = np.sqrt(np.arange(n) + 0.5)
    skew = A + np.outer(p, p) + 0.5 * np.eye(n)
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    normal = (vectors * (-0.5 + 1j * frequencies)) @ vectors.conj().T
    return normal.real - np.outer(p, p), B
