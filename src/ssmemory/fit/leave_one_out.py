"""A ridge regression at any penalty, with its leave-one-out error: by the rows, or by sums over them.

Both hold ``mean_x``, ``mean_y``, ``scale`` (what standardises the features), and ``variance`` of the targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ssmemory.errors import reject

Array = NDArray[Any]
_CONSTANT = 1e-9  # of a feature's mean: a smaller spread is rounding


def _scale_of(spread: Array, mean: Array) -> Array:
    """Return what standardises each feature; infinite for one that is constant, whose weight then is 0."""
    scale = np.where(spread > _CONSTANT * np.abs(mean), spread, np.inf)
    if np.isinf(scale).all():
        reject("features", expected="some that vary", got="all constant", fix="give others")
    return scale


class _Problem:
    """What both ways share: the readout of features as they were given."""

    mean_x: Array
    mean_y: Array
    scale: Array

    def weights(self, penalty: float) -> Array:
        """Return (n_features, n_outputs) of standardised features."""
        raise NotImplementedError

    def readout(self, penalty: float) -> tuple[Array, Array]:
        """Return (n_features, n_outputs) weights of features as given, and the intercepts."""
        weights = self.weights(penalty) / self.scale[:, None]
        return weights, self.mean_y - self.mean_x @ weights


class ByRows(_Problem):
    """The problem while all rows are kept: by singular values, so that every penalty costs next to nothing."""

    def __init__(self, x: Array, y: Array) -> None:
        self.mean_x, self.mean_y = x.mean(0), y.mean(0)
        self.scale = _scale_of(x.std(0), self.mean_x)
        self.variance = float(((y - self.mean_y) ** 2).mean())
        self._y, self._n = y - self.mean_y, len(x)
        self._U, self._s, self._Vt = scipy.linalg.svd(
            (x - self.mean_x) / self.scale, full_matrices=False, check_finite=False
        )
        self._Uy = self._U.T @ self._y

    def _shrunk(self, penalty: float) -> Array:
        kept = self._s > 1e-12 * self._s[0] if penalty == 0 else np.ones(len(self._s), bool)
        if penalty == 0 and not kept.all():
            return np.full(len(self._s), np.nan)
        return self._s**2 / (self._s**2 + self._n * penalty)

    def error(self, penalty: float) -> float:
        """Return the mean squared leave-one-out error."""
        shrunk = self._shrunk(penalty)
        left = 1 - 1 / self._n - (self._U**2) @ shrunk
        if not (left > 1e-10).all():
            return float("inf")
        return float((((self._y - self._U @ (shrunk[:, None] * self._Uy)) / left[:, None]) ** 2).mean())

    def weights(self, penalty: float) -> Array:
        """Return (n_features, n_outputs) of standardised features."""
        with np.errstate(invalid="ignore", divide="ignore"):
            gains = np.where(self._s > 0, self._shrunk(penalty) / self._s, 0.0)
        return np.asarray(self._Vt.T @ (gains[:, None] * self._Uy))


class BySums(_Problem):
    """The problem by its sums: a Cholesky factor a penalty, and the errors of the rows that were kept."""

    def __init__(self, n: int, mean: Array, scatter: Array, rows: Array, width: int) -> None:
        self.mean_x, self.mean_y = mean[:width], mean[width:]
        spread = np.sqrt(np.maximum(scatter.diagonal(), 0) / n)
        self.scale = _scale_of(spread[:width], self.mean_x)
        self.variance = float((spread[width:] ** 2).mean())
        self._n = n
        self._G = scatter[:width, :width] / self.scale / (n * self.scale[:, None])
        self._c = scatter[width:, :width].T / (n * self.scale[:, None])
        self._z = (rows[:, :width] - self.mean_x) / self.scale
        self._y = rows[:, width:] - self.mean_y
        self._last: tuple[float, Array | None] = (-1.0, None)

    def _factor(self, penalty: float) -> Array | None:
        if self._last[0] != penalty:
            matrix = np.array(self._G, order="F")
            places = np.arange(len(matrix))
            matrix[places, places] += np.where(np.isinf(self.scale), 1.0, penalty)
            try:
                factor = scipy.linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
            except np.linalg.LinAlgError:
                factor = None
            self._last = penalty, factor
        return self._last[1]

    def error(self, penalty: float) -> float:
        """Return the mean squared leave-one-out error of the rows that were kept."""
        factor = self._factor(penalty)
        if factor is None or factor.diagonal().min() < 1e-7:
            return float("inf")
        solved = scipy.linalg.solve_triangular(factor, self._z.T, lower=True, check_finite=False)
        left = 1 - 1 / self._n - np.einsum("ij,ij->j", solved, solved) / self._n
        whitened = scipy.linalg.solve_triangular(factor, self._c, lower=True, check_finite=False)
        residual = self._y - solved.T @ whitened
        return float(((residual / left[:, None]) ** 2).mean()) if (left > 1e-10).all() else float("inf")

    def weights(self, penalty: float) -> Array:
        """Return (n_features, n_outputs) of standardised features."""
        factor = self._factor(penalty)
        if factor is None:
            return np.full(self._c.shape, np.nan)
        return np.asarray(scipy.linalg.cho_solve((factor, True), self._c, check_finite=False))
