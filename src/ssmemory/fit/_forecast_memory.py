"""What a forecaster is made of: a memory of a window, sums without leaving one out, and gaps bridged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ssmemory.errors import InputError, reject
from ssmemory.fit.ridge import RidgeSums
from ssmemory.init.from_data import from_data

Array = NDArray[Any]
Sharing = Literal["shared", "own", "crossed"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A memory of a window less its level, as rows that multiply the window itself."""

    memory: str
    level_name: str
    words: str
    rows: Array
    level: Array

    @classmethod
    def of(cls, memory: str, words: str, rows: Array, level: str) -> Self:
        """Return the plan of a memory that reads a window less its level; what that leaves empty is dropped."""
        L = rows.shape[1]
        weights = {"last": np.eye(L)[-1], "mean": np.full(L, 1 / L), "none": np.zeros(L)}[level]
        less = rows - np.outer(rows.sum(1), weights)
        kept = np.linalg.norm(less, axis=1) > 1e-9 * np.linalg.norm(rows, axis=1)
        return cls(memory, level, words, less[kept] if kept.any() else rows, weights)


@dataclass(frozen=True, eq=False)
class Piece:
    """The readout of one channel for steps first..last − 1 ahead."""

    plan: int
    sharing: Sharing
    channel: int
    first: int
    last: int
    penalty: float
    weights: Array
    intercept: Array


class WindowSums(RidgeSums):
    """Sums that keep few rows: overlapping windows are not left out one by one, so rows serve only while few."""

    def __init__(self, n_features: int, n_outputs: int, *, seed: int = 0) -> None:
        super().__init__(n_features, n_outputs, seed=seed)
        self._capacity = min(self._capacity, max(64, 2**17 // (n_features + n_outputs)))

    def readouts(self, penalties: Sequence[float]) -> list[tuple[Array, Array]]:
        """Return weights and intercepts at given penalties, without their leave-one-out errors."""
        self._settle()
        mean, found = self._rows.mean(0) if self._sums is None else self._sums.mean, []
        try:
            problem = self._problem()
        except InputError:  # all features constant, as under a straight line less its last value: the mean is all
            nothing = np.zeros((self.n_features, self.n_outputs))
            return [(nothing, mean[self.n_features :])] * len(penalties)
        for penalty in penalties:
            weights, intercept = problem.readout(penalty)
            if not np.isfinite(weights).all():
                fix = "leave the penalties out, or raise them"
                reject("penalties", expected="a matrix that is not singular", got=f"{penalty:g}", fix=fix)
            found.append((weights, intercept))
        return found


def memory_rows(memory: str, d_state: int, lags: Array, values: Array) -> tuple[Array, str]:
    """Return (d_state, lookback) what a memory holds of each step of a window, and words on it."""
    L = len(lags)
    if memory == "lags":
        return np.eye(L)[L - d_state :], f"the last {d_state} values"
    if memory == "fourier":
        logs, words = 2j * np.pi * np.arange(d_state // 2 + 1) / L, f"periods of {2 * L / d_state:.3g} to {L} steps"
    elif memory == "geometric":
        times = np.geomspace(1, L, max(1, -(-d_state // 15)))
        cycles = np.minimum(8 * np.pi * np.arange(8)[:, None] / 7 / times, np.pi)
        logs, words = (-1 / times + 1j * cycles).ravel(), f"decay times of 1 to {L} steps"
    else:
        advice = from_data(values, d_state, length=L)
        logs = advice.system.log_eigenvalues.numpy()
        logs = logs[logs.imag >= 0]
        fade = "no decay" if advice.decay == 0 else f"decay time {L / advice.decay:.3g} steps"
        words = f"{advice.chosen.spectrum} from the data, {fade}"
    responses = np.exp(logs[:, None] * lags)
    rows = np.stack([responses.real, responses.imag], 1).reshape(-1, L)
    return rows[np.linalg.norm(rows, axis=1) > 1e-6][:d_state], words


def filled(values: Array) -> Array:
    """Return the series with gaps bridged by straight lines, and held at its ends."""
    bridged, steps = values.copy(), np.arange(len(values))
    for column in bridged.T:
        if (missing := np.isnan(column)).any():
            column[missing] = np.interp(steps[missing], steps[~missing], column[~missing])
    return bridged
