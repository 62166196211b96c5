"""Sequences as scikit-learn and aeon hand them over: read, put on one scale, filled where values are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from ssmemory.errors import reject

Array = NDArray[Any]
_FORMS = "(n, length), (n, channels, length) or a list of (channels, length)"
_CONSTANT = 1e-9  # of the mean: a smaller spread is rounding


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of (channels, length) each, in one array or in a list, and their lengths."""

    values: Array | list[Array]
    lengths: Array

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_channels(self) -> int:
        """Channels of each."""
        return self.values[0].shape[0]

    def take(self, places: Array) -> Sequences:
        """Return those at some places."""
        if isinstance(self.values, list):
            return Sequences([self.values[place] for place in places], self.lengths[places])
        return Sequences(self.values[places], self.lengths[places])


def read_sequences(estimator: Any, X: Any, *, reset: bool) -> Sequences:
    """Return what X holds; scikit-learn checks an array, and that a matrix is as wide as the one that was fitted.

    Args:
        estimator: gets ``n_features_in_``, ``n_channels_`` and ``as_matrix_`` if ``reset``, else is asked for them.
        X: an array of two or three axes, or a list of arrays.
        reset: at fit.

    Returns:
        The sequences, NaN where a value is missing.

    Raises:
        InputError: another number of axes or channels, or nothing known of a sequence.
        ValueError: what scikit-learn refuses: infinite, complex, sparse, empty, or a matrix of another width.
    """
    X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
    if getattr(getattr(X, "dtype", None), "kind", "") == "O" and getattr(X, "ndim", 0) == 1:
        X = list(X)
    if isinstance(X, list | tuple) and not X:
        reject("X", expected="at least one sequence", got="none", fix=f"give {_FORMS}")
    if getattr(X, "ndim", 2) == 1:
        reject("X", expected=_FORMS, got="one axis", fix="Reshape your data: X[None] is one sequence")
    if isinstance(X, list | tuple) and _ragged(X):
        values: Array | list[Array] = [_one(k, sequence) for k, sequence in enumerate(X)]
        wide, matrix = len(values[0]), False
    else:
        matrix = getattr(X, "ndim", 2) == 2
        options = {"dtype": (np.float64, np.float32), "ensure_all_finite": "allow-nan", "allow_nd": True}
        if reset or (matrix and estimator.as_matrix_):
            array = validate_data(estimator, X, reset=reset, **options)
        else:
            array = check_array(X, **options)
        if array.ndim > 3 or 0 in array.shape:
            reject("X", expected=_FORMS, got=array.shape, fix="give at least one step of every sequence")
        matrix, wide = array.ndim == 2, array.shape[1]
        values = array[:, None] if matrix else array
    if reset:
        estimator.n_features_in_, estimator.n_channels_, estimator.as_matrix_ = wide, values[0].shape[0], matrix
    for k, sequence in enumerate(values):
        if len(sequence) != estimator.n_channels_:
            fix = "give those it was fitted to, channels before steps" if not reset else "give every sequence the same"
            reject(f"X[{k}]", expected=f"channels: {estimator.n_channels_}", got=len(sequence), fix=fix)
        if np.isnan(sequence).all():
            reject(f"X[{k}]", expected="at least one known value", got="all missing", fix="drop that sequence")
    return Sequences(values, np.array([sequence.shape[1] for sequence in values]))


Standardise = bool | Literal["both"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """How sequences are put on one scale.

    Attributes:
        standardise: True: subtract the mean and divide by the standard deviation of each channel of each sequence;
            False: those of the channel in the data that were calibrated on; "both": all channels in both ways.
        mean, scale: (n_channels,) of the data.
        marks: one more channel tells the share of channels that miss the step.
    """

    standardise: Standardise
    mean: Array
    scale: Array
    marks: bool

    @classmethod
    def of(cls, sequences: Sequences, standardise: Standardise) -> Scaling:
        """Measure it."""
        moments = [_moments(np.concatenate([s[c] for s in sequences.values])) for c in range(sequences.n_channels)]
        marks = any(bool(np.isnan(sequence).any()) for sequence in sequences.values)
        mean, scale = np.array(moments, float).T
        return cls(standardise, mean, scale, marks)

    @property
    def d_input(self) -> int:
        """Channels of what is returned."""
        return len(self.mean) * (1 + (self.standardise == "both")) + self.marks

    def __call__(self, sequence: Array) -> Array:
        """Return (length, d_input) float32 from (channels, length): scaled, then missing values filled in."""
        missing = np.isnan(sequence)
        ways = []
        if self.standardise in (False, "both"):
            ways.append((self.mean, self.scale))
        if self.standardise in (True, "both"):
            ways.append(tuple(np.array([_moments(channel) for channel in sequence], float).T))
        parts = []
        for mean, scale in ways:
            values = (sequence - mean[:, None]) / scale[:, None]
            some = missing.any()
            parts += [_filled(*both) for both in zip(values, missing, strict=True)] if some else list(values)
        if self.marks:
            parts.append(missing.mean(0))
        return np.ascontiguousarray(np.stack(parts, 1), np.float32)


def _ragged(X: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether these are sequences of their own, and not the rows of a matrix as scikit-learn reads lists."""
    if any(getattr(sequence, "ndim", 0) for sequence in X):
        return True
    return all(isinstance(s, list | tuple) for s in X) and len({len(s) for s in X}) > 1


def _one(k: int, sequence: Any) -> Array:
    values = sequence.detach().cpu().numpy() if isinstance(sequence, Tensor) else np.asarray(sequence)
    if values.ndim not in (1, 2) or values.size == 0 or values.dtype.kind not in "biuf":
        expected = "real numbers (channels, length) or (length,), nothing empty"
        reject(f"X[{k}]", expected=expected, got=f"{values.shape} {values.dtype}", fix="give one array a sequence")
    values = np.atleast_2d(values if values.dtype in (np.float32, np.float64) else values.astype(np.float64))
    if np.isinf(values).any():
        reject(f"X[{k}]", expected="finite values, or NaN where missing", got="infinity", fix="replace them")
    return values


def _moments(values: Array) -> tuple[float, float]:
    """Return mean and standard deviation of what is known; 0 and 1 if nothing is, 1 if it is constant to rounding."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return 0.0, 1.0
    mean, spread = float(known.mean()), float(known.std())
    return mean, spread if spread > _CONSTANT * abs(mean) else 1.0


def _filled(values: Array, missing: Array) -> Array:
    """Return values with linear interpolation over the missing ones, the nearest at the ends, 0 where all are."""
    if missing.all():
        return np.zeros_like(values)
    steps = np.arange(len(values))
    return np.interp(steps, steps[~missing], values[~missing])
