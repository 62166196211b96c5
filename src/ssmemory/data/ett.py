"""The division of a series into training, validation and test parts that long-range forecasting is compared on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ssmemory.data.series import Series
from ssmemory.errors import reject, reject_unknown

_WAYS = ("months", "shares")


@dataclass(frozen=True, eq=False)
class ForecastSplit:
    """A series in three parts, standardised by the first.

    Attributes:
        train: ``(steps, channels)`` float64, standardised; NaN is a gap.
        validation: the steps after it, preceded by the last ``lookback`` steps of ``train``.
        test: the steps after those, preceded by the ``lookback`` steps before them.
        borders: first step and one past the last step of each part, in the series.
        mean: ``(channels,)``: the mean of each channel over the training part.
        std: ``(channels,)``: its (population) standard deviation there.
    """

    train: npt.NDArray[np.float64] = field(repr=False)
    validation: npt.NDArray[np.float64] = field(repr=False)
    test: npt.NDArray[np.float64] = field(repr=False)
    borders: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    mean: npt.NDArray[np.float64] = field(repr=False)
    std: npt.NDArray[np.float64] = field(repr=False)


def ett_split(series: Series, *, lookback: int, by: Literal["months", "shares"] = "shares") -> ForecastSplit:
    r"""Divide a series as the ETT sets and their relatives are divided, and standardise it by the training part.

    With L = ``lookback``, n_1, n_2 and n_3 steps in the three parts, the borders are

        train [0, n_1),   validation [n_1 - L, n_1 + n_2),   test [s - L, s + n_3),   s = n_1 + n_2.

    So the first value to be forecast in a part is its first own step, while what is read before it may reach into the
    part before. ``by="months"`` (12, 4 and 4 months of 30 days; what follows is left out), with d steps a day:

        n_1 = 360 d,   n_2 = n_3 = 120 d.

    ``by="shares"``, with N steps in all:

        n_1 = floor(7 N / 10),   n_3 = floor(2 N / 10),   n_2 = N - n_1 - n_3.

    Every channel becomes (u - mean) / std, mean and std over the n_1 steps of the training part alone.

    Args:
        series: one series, ``(steps, channels)``; its sampling rate must be known for ``by="months"``.
        lookback: the steps L that a forecast reads, 0..n_1.
        by: ``"months"`` for hourly or quarter-hourly sets like ETT, ``"shares"`` for the others.

    Returns:
        The three parts.

    Raises:
        InputError: ``by`` is unknown; the series is not one, too short for the division, has no whole number of steps a
            day (for months), or a channel that is constant or never measured in training; ``lookback`` is out of range.

    Numerics:
        float64; gaps count in neither mean nor deviation and stay gaps. The shares are exact, where code that takes
        ``int(0.7 * N)`` is one step short for some N, such as 90.

    Source:
        Zhou et al. (2021), Informer, section 5.1; the borders are those of its published loaders.

    Example:
        >>> hours = Series(np.arange(100.0)[:, None], ("a",), 1 / 3600, "1 h", "here")
        >>> ett_split(hours, lookback=5).borders
        ((0, 70), (65, 80), (75, 100))
    """
    if by not in _WAYS:
        reject_unknown("by", by, _WAYS)
    values = series.values
    if values.ndim != 2:
        reject(
            "series", expected="one, of shape (steps, channels)", got=f"shape {values.shape}", fix="pass one of them"
        )
    n_train, n_validation, n_test = _months(series) if by == "months" else _shares(len(values))
    if not 0 <= lookback <= n_train:
        fix = "choose a shorter one, or pass a longer series"
        reject("lookback", expected=f"0..{n_train}, the training part's steps", got=lookback, fix=fix)
    middle = n_train + n_validation
    borders = ((0, n_train), (n_train - lookback, middle), (middle - lookback, middle + n_test))
    mean, std = _moments(values[:n_train], series.names)
    train, validation, test = ((values[start:stop] - mean) / std for start, stop in borders)
    return ForecastSplit(train, validation, test, borders, mean, std)


def _months(series: Series) -> tuple[int, int, int]:
    rate = series.sampling_rate
    day = None if rate is None else round(86_400 * rate)
    if rate is None or not day or abs(86_400 * rate - day) > 1e-6 * day:
        got = "none" if rate is None else f"{86_400 * rate:g}"
        reject("series", expected="a whole number of steps a day", got=got, fix="pass by='shares'")
    if len(series.values) < 600 * day:
        fix = "pass by='shares'"
        reject("series", expected=f"20 months of 30 days, {600 * day} steps", got=len(series.values), fix=fix)
    return 360 * day, 120 * day, 120 * day


def _shares(n: int) -> tuple[int, int, int]:
    n_train, n_test = 7 * n // 10, 2 * n // 10
    if n_test < 1 or n - n_train - n_test < 1:
        reject("series", expected="at least 5 steps", got=n, fix="pass a longer series")
    return n_train, n - n_train - n_test, n_test


def _moments(
    train: npt.NDArray[np.float64], names: tuple[str, ...]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    measured = ~np.isnan(train)
    count = np.maximum(measured.sum(0), 1)
    mean = np.where(measured, train, 0).sum(0) / count
    std = np.sqrt(np.where(measured, (train - mean) ** 2, 0).sum(0) / count)
    low, high = (np.where(measured, train, -sign * np.inf) for sign in (-1, 1))
    if (flat := low.min(0) >= high.max(0)).any():
        name, fix = names[int(flat.argmax())], "leave the channel out"
        what = f"series, channel {name!r}"
        reject(what, expected="at least two different values in the training part", got="none", fix=fix)
    return mean, std
