"""The systems, and the states that they go through under white input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssmemory.experiments.driven import driven
from ssmemory.init import random_dense, random_disk, ring, s4d_inv, s4d_legs, s4d_lin
from ssmemory.systems import LinearSystem

Array = NDArray[np.float64]
AMPLITUDE = 0.8  # inputs are uniform on ± this
RADIUS = {"cyclic": 0.95, "Gaussian": 0.9}
_FOREVER = 2000  # lags of an impulse response: 0.95^2000 = 3e-45


def cyclic(d_state: int, seed: int) -> LinearSystem:
    """Return units in a ring that hand 0.95 of their state on, driven by Gaussian weights: eigenvalues on a circle."""
    b = torch.from_numpy(np.random.default_rng(seed).standard_normal(d_state))
    return LinearSystem.from_matrices(RADIUS["cyclic"] * torch.eye(d_state, dtype=torch.float64).roll(1, 0), b)


def s4d(d_state: int, seed: int) -> LinearSystem:
    """Return S4D at a random step of 0.01 to 0.1, with each of its three spectra in turn."""
    dt = float(np.exp(np.random.default_rng(seed).uniform(math.log(0.01), math.log(0.1))))
    return (s4d_lin, s4d_inv, s4d_legs)[seed % 3](d_state, dt)


CASES: dict[str, Callable[[int, int], LinearSystem] | None] = {
    "cyclic": cyclic,
    "Gaussian": lambda n, seed: random_dense(n, RADIUS["Gaussian"], seed=seed),
    "noise": None,
}
FAMILIES: dict[str, Callable[[int, int], LinearSystem]] = {
    "ring": lambda n, seed: ring(n, 0.9, 0.99, seed=seed),
    "disk": lambda n, seed: random_disk(n, 0.99, seed=seed),
    "Ginibre": lambda n, seed: random_dense(n, 0.9, seed=seed),
    "S4D": s4d,
    "noise": lambda n, seed: ring(n, 0.9, 0.99, seed=seed),  # driven by another input
}


def recorded(system: LinearSystem, u: Array) -> Array:
    """Return the states from zero, as real numbers.

    Args:
        system: dense, or diagonal with conjugate pairs; one input.
        u: (steps,) the input.

    Returns:
        (steps, N).
    """
    if system.A is None:
        return np.asarray(driven(system, u))
    A, b = system.A.numpy(), system.B.numpy()[:, 0]
    x, now = np.empty((len(u), len(b))), np.zeros(len(b))
    for t, value in enumerate(u):
        now = x[t] = A @ now + b * value
    return x


def white(steps: int, *seed: int) -> Array:
    """Return uniform white noise."""
    return np.random.default_rng(seed).uniform(-AMPLITUDE, AMPLITUDE, steps)


def responses(system: LinearSystem) -> Array:
    """Return (N, lags): what the state holds of the input of every lag, for a dense system."""
    assert system.A is not None
    A, K = system.A.numpy(), np.empty((system.A.shape[0], _FOREVER))
    K[:, 0] = system.B.numpy()[:, 0]
    for lag in range(1, _FOREVER):
        K[:, lag] = A @ K[:, lag - 1]
    return K


def plain(value: Any) -> float:
    """Return a number that JSON can hold."""
    return float(f"{float(value):.9g}")
