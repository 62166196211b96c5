"""The usual recipes for memory from recorded states, and what each must come to for a known linear system."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ssmemory.experiments.estimators.states import AMPLITUDE

Array = NDArray[np.float64]
TRAINED = 0.8  # share of the steps that a readout is trained on, where the rest tests it
COMPONENTS = 10
_VARIANCE = AMPLITUDE**2 / 3


def in_sample(X: Array, Y: Array) -> Array:
    """Return the squared correlation of least squares with its own training data.

    Args:
        X: (steps, N) states.
        Y: (steps, lags) delayed inputs.

    Returns:
        (lags,).
    """
    X, Y = X - X.mean(0), Y - Y.mean(0)
    fitted = X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    return _squared_correlation(fitted, Y)


def held_out(X: Array, Y: Array, ridge: float) -> Array:
    """Return the squared correlation on the last fifth of a readout trained on the rest; the penalty is that of sums.

    Args:
        X: (steps, N) states.
        Y: (steps, lags) delayed inputs.
        ridge: what is added to the diagonal of ``XᵀX``.

    Returns:
        (lags,).
    """
    n = int(TRAINED * len(X))
    centre = X[:n].mean(0)
    seen, fresh = X[:n] - centre, X[n:] - centre
    w = np.linalg.solve(seen.T @ seen + ridge * np.eye(X.shape[1]), seen.T @ (Y[:n] - Y[:n].mean(0)))
    return _squared_correlation(fresh @ w, Y[n:])


def components(X: Array, Y: Array) -> Array:
    """Return `held_out` with ridge 1 of the ten principal components with the largest variance."""
    n = int(TRAINED * len(X))
    axes = np.linalg.svd(X[:n] - X[:n].mean(0), full_matrices=False)[2][:COMPONENTS]
    return held_out(X @ axes.T, Y, 1.0)


def inverse_covariance(X: Array, Y: Array) -> Array:
    """Return ``c* S⁺ c / Var u`` with sample covariances and numpy's pseudoinverse, in sample."""
    X, Y = X - X.mean(0), Y - Y.mean(0)
    c = X.T @ Y
    return np.asarray((c * (np.linalg.pinv(X.T @ X) @ c)).sum(0) / (Y * Y).sum(0))


RECIPES: dict[str, Callable[[Array, Array], Array]] = {
    "in sample": in_sample,
    "inverse covariance": inverse_covariance,
    "held out, ridge 1e-8": partial(held_out, ridge=1e-8),
    "held out, ridge 1e-4": partial(held_out, ridge=1e-4),
    "10 components, ridge 1": components,
}


def foreseen(K: Array | None, d_state: int, lags: int, steps: int) -> dict[str, float]:
    """Return the capacity that each recipe must report, from the impulse response alone.

    The singular directions of K are the lags that the state's principal components hold. A ridge α weighs direction i
    by ``s_i²/(s_i² + α/(n Var u))``. A squared correlation in sample is too large by (1 − MF) N/n a lag, one on m
    fresh steps by (1 − MF)/m; a readout of p directions trained on n steps loses what its noise, (1 − MF) p/n, dilutes.
    Where numpy drops small directions (least squares below eps·n, pseudoinverse below 1e-15), they count as lost.

    Args:
        K: (N, lags) the responses; none for states that never saw the input.
        d_state: N.
        lags: how many are summed over, from 0.
        steps: steps measured on.

    Returns:
        By recipe; "ours" is what the directions above the rounding of float64 carry.
    """
    n, rest, eps = int(TRAINED * steps), steps - int(TRAINED * steps), np.finfo(float).eps
    s, V = alike = np.ones(d_state), np.zeros((d_state, lags))
    if K is not None:
        _, s, V = np.linalg.svd(K, full_matrices=False)
        alike = np.linalg.svd(K / np.linalg.norm(K, axis=1, keepdims=True), full_matrices=False)[1:]

    def inside(s: Array, V: Array, least: float, grows: bool = True) -> float:
        """What the directions above ``least`` hold, and the chance agreement of their readout with its own data."""
        kept = s > least * s[0]
        held = (V[kept, :lags] ** 2).sum(0)
        return float((held + grows * (1 - held) * kept.sum() / steps).sum())

    def tested(ridge: float, directions: int) -> float:
        weight = s**2 / (s**2 + ridge / (n * _VARIANCE)) * (np.arange(len(s)) < directions)
        reached, spent = weight @ V[:, :lags] ** 2, weight**2 @ V[:, :lags] ** 2
        pure = reached**2 / np.maximum(spent, 1e-300)
        noise = (1 - pure) * (weight**2).sum() / n
        return float((reached**2 / np.maximum(spent + noise, 1e-300) + (1 - pure) / rest).sum())

    return {
        "ours": inside(*alike, d_state * eps, grows=False),
        "in sample": inside(s, V, max(steps, d_state) * eps),
        "inverse covariance": inside(s, V, 1e-15**0.5),
        "held out, ridge 1e-8": tested(1e-8, d_state),
        "held out, ridge 1e-4": tested(1e-4, d_state),
        "10 components, ridge 1": tested(1.0, COMPONENTS),
    }


def _squared_correlation(a: Array, b: Array) -> Array:
    a, b = a - a.mean(0), b - b.mean(0)
    return np.asarray((a * b).sum(0) ** 2 / np.maximum((a * a).sum(0) * (b * b).sum(0), 1e-300))
