"""Products of orthonormal polynomials of lagged inputs: which there are, and their values at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import scipy.stats
from numpy.polynomial.hermite_e import hermevander
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

from ssmemory.errors import reject, reject_unknown
from ssmemory.memory._regression import Array, Targets
from ssmemory.memory.function import read_lags

Lags = int | Sequence[int]
MOST_TARGETS = 50_000


def read_windows(lags: Lags | Mapping[int, Lags], degree: int) -> list[list[int]]:
    """Return the lags of degree 1, 2, …"""
    if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)) or degree < 1:
        reject("degree", expected="a whole number ≥ 1", got=repr(degree), fix="1 asks for the memory function alone")
    wanted = range(1, degree + 1)
    if isinstance(lags, Mapping):
        if sorted(lags, key=str) != sorted(wanted, key=str):
            fix = "give every degree its window"
            reject("lags", expected=f"one entry for each degree 1 … {degree}", got=f"{list(lags)}", fix=fix)
        windows = [read_lags(lags[k])[0].tolist() for k in wanted]
    else:
        windows = [read_lags(lags)[0].tolist()] * degree
    for window in windows:
        if len(set(window)) < len(window):
            reject("lags", expected="every lag once", got=str(window)[:60], fix="a lag twice would be counted twice")
    return windows


def list_products(windows: list[list[int]]) -> NDArray[np.int64]:
    """Return the targets (n_targets, degree), in the order of their degrees."""
    counts = [math.comb(len(window) + i, i + 1) for i, window in enumerate(windows)]
    if sum(counts) > MOST_TARGETS:
        got = f"{sum(counts):,} ({', '.join(f'{n:,} of degree {i + 1}' for i, n in enumerate(counts))})"
        fix = "ask for fewer lags at the higher degrees, such as lags={1: 100, 2: 30, 3: 10}"
        reject("targets", expected=f"at most {MOST_TARGETS:,}", got=got, fix=fix)
    found = np.full((sum(counts), len(windows)), -1, dtype=np.int64)
    for i, window in enumerate(windows):
        first = sum(counts[:i])
        ordered = window if i == 0 else sorted(window)
        found[first : first + counts[i], : i + 1] = list(combinations_with_replacement(ordered, i + 1))
    return found


def standardise(u: Array, distribution: str, support: tuple[float, float] | None) -> tuple[Array, Array]:
    """Return the input on [−1, 1] or of mean 0 and variance 1, and its distribution function, uniform on [−1, 1]."""
    if distribution not in ("uniform", "normal"):
        reject_unknown("distribution", distribution, ["uniform", "normal"])
    if distribution == "normal":
        if support is not None:
            reject("support", expected="none for a normal input", got=support, fix="its mean and scale are found")
        scaled = (u - u.mean()) / u.std()
        return scaled, 2 * scipy.stats.norm.cdf(scaled) - 1
    beyond = (u.max() - u.min()) / (u.size - 1)  # how far the ends are, on average, outside the extremes
    low, high = (u.min() - beyond, u.max() + beyond) if support is None else support
    if not low <= u.min() <= u.max() <= high:
        got = f"{u.min():g} … {u.max():g}"
        reject("inputs", expected=f"numbers in the support {low:g} … {high:g}", got=got, fix="leave support out")
    scaled = (2 * u - (low + high)) / (high - low)
    return scaled, scaled


def orthonormal(scaled: Array, degree: int, distribution: str) -> Array:
    """Return (degree, sequences, length), orthonormal under the distribution; order 0 is left out."""
    orders = range(1, degree + 1)
    if distribution == "uniform":
        values, sizes = legvander(scaled, degree), [math.sqrt(2 * k + 1) for k in orders]
    else:
        values, sizes = hermevander(scaled, degree), [1 / math.sqrt(math.factorial(k)) for k in orders]
    return np.ascontiguousarray(np.moveaxis(values[..., 1:] * sizes, -1, 0))


def factors(targets: NDArray[np.int64], window: NDArray[Any]) -> NDArray[np.int64]:
    """Return the row of every factor in the table of orders k and lags, ``1 + (k−1) n_lags + place``; 0 for none."""
    first = np.ones_like(targets, dtype=bool)
    first[:, 1:] = targets[:, 1:] != targets[:, :-1]
    orders = (targets[:, :, None] == targets[:, None, :]).sum(-1)
    rows = 1 + (orders - 1) * len(window) + np.searchsorted(window, targets)
    return np.where(first & (targets >= 0), rows, 0)


def products(polynomials: Array, rows: NDArray[np.int64], window: NDArray[Any]) -> Targets:
    """Return the function that makes the targets of these factors at some steps."""

    def read(sequence: int, steps: slice) -> Array:
        t = np.arange(steps.start, steps.stop)
        table = polynomials[:, sequence, t - window[:, None]].reshape(-1, len(t))
        table = np.concatenate([np.ones((1, len(t))), table])
        y: Array = table[rows[:, 0]]
        for j in range(1, rows.shape[1]):
            some = np.flatnonzero(rows[:, j])
            y[some] *= table[rows[some, j]]
        return y.T

    return read


def surrogates(polynomials: Array, where: Callable[[int, slice], tuple[NDArray[Any], NDArray[Any]]]) -> Targets:
    """Return the polynomials of inputs of another time: (steps, degree · 64)."""

    def read(sequence: int, steps: slice) -> Array:
        shifted: Array = polynomials[:, *where(sequence, steps)]
        return np.concatenate(list(shifted), -1)

    return read
