"""Time stamps of a table: which columns they are, and the one step between them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ssmemory.errors import DataError, reject, require

if TYPE_CHECKING:
    import pandas as pd

DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
CLOCK = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*$")
_MONTH_S = 365.2425 / 12 * 86_400
_JITTER = 0.1  # share of a step by which a stamp may be off the grid, for clocks that round
_UNITS = (("day", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
_ADVICE = "sort it, fill the gaps with empty rows (pandas: asfreq), or pass time_column=() and columns= to count steps"


@dataclass(frozen=True)
class Step:
    """The time between two rows: seconds, and the same in words."""

    seconds: float
    words: str


def in_words(seconds: float) -> str:
    """A duration in the largest unit that counts it in whole numbers below 1000, else in the largest above 1.

    Example:
        >>> [in_words(s) for s in (60, 5400, 86_400, 172_800, 1 / 8000, 1 / 16_000)]
        ['1 min', '90 min', '1 day', '2 days', '125 µs', '62.5 µs']
    """
    counts = [(seconds / size, unit) for unit, size in _UNITS if seconds / size > 1 - 1e-9]
    whole = [(round(n), unit) for n, unit in counts if n < 1000 and abs(n - round(n)) < 1e-6 * n]
    number, unit = (whole or counts or [(seconds, "s")])[0]
    return f"{number:.4g} {unit}{'s' if unit == 'day' and number != 1 else ''}"


def find_time_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns that hold the stamps: the first if it begins with a date, and a time of day beside it."""
    first = _first_value(frame, 0)
    if frame.dtypes.iloc[0].kind != "M" and not (isinstance(first, str) and DATE.match(first)):
        return ()
    clock = _first_value(frame, 1) if isinstance(first, str) and ":" not in first else None
    return tuple(frame.columns[: 2 if isinstance(clock, str) and CLOCK.match(clock) else 1])


def find_step(frame: pd.DataFrame, names: tuple[str, ...], source: str) -> Step | None:
    """The step between the rows.

    Args:
        frame: the table.
        names: the columns with the stamps, joined by a space; one that holds numbers counts seconds.
        source: the file, for messages.

    Returns:
        The step; None without stamps or with fewer than two rows. Where days and months cannot be told apart, the
        reading with equal steps wins.

    Raises:
        DataError: a stamp is missing or no date, or the steps are not equal.
    """
    if not names or len(frame) < 2:
        return None
    what = f"{source}: column {' + '.join(map(repr, names))}"
    if len(names) == 1 and frame.dtypes[names[0]].kind in "iuf":
        seconds = frame[names[0]].to_numpy(np.float64)
        if not np.isfinite(seconds).all():
            got = f"none in row {int(np.argmin(np.isfinite(seconds))) + 1}"
            reject(what, expected="seconds in every row", got=got, fix=_ADVICE, error=DataError)
        step = _equal_step(seconds)
        return step if step else _reject_uneven(what, seconds)
    uneven: npt.NDArray[np.float64] | None = None
    bad: int | None = None
    for stamps in _readings(frame, names):
        missing = np.isnat(stamps)
        if missing.any():
            bad = int(np.argmax(missing)) if bad is None else bad
            continue
        seconds = (stamps - stamps[0]).astype(np.int64) / 1e9
        if step := _calendar_step(stamps, seconds) or _equal_step(seconds):
            return step
        uneven = seconds if uneven is None else uneven
    if uneven is not None:
        return _reject_uneven(what, uneven)
    row = bad or 0
    got = " ".join(str(frame[name].iloc[row]) for name in names)
    return reject(what, expected="a date in every row", got=f"{got!r} in row {row + 1}", fix=_ADVICE, error=DataError)


def _first_value(frame: pd.DataFrame, position: int) -> Any:
    if position >= frame.shape[1] or frame.empty:
        return None
    return frame.iloc[0, position]


def _readings(frame: pd.DataFrame, names: tuple[str, ...]) -> Iterator[npt.NDArray[np.datetime64]]:
    """The stamps read in each way that is usual; not-a-time where a stamp does not fit."""
    pandas = require("pandas", extra="plot", purpose="reading time stamps")
    texts, clock = frame[names[0]], None
    if len(names) == 2 and isinstance(value := _first_value(frame[[names[1]]], 0), str) and CLOCK.match(value):
        clock = _clock(frame[names[1]])
    else:
        for name in names[1:]:
            texts = texts.astype(str) + " " + frame[name].astype(str)
    for how in ({}, {"dayfirst": True}, {"format": "ISO8601"}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about days and months, of which the step decides
            days = pandas.to_datetime(texts, errors="coerce", utc=True, **how)
        stamps = days.dt.tz_localize(None).to_numpy("datetime64[ns]")
        yield stamps if clock is None else stamps + clock


def _clock(texts: pd.Series[Any]) -> npt.NDArray[np.timedelta64]:
    """Times of day, each different one read once."""
    pandas = require("pandas", extra="plot", purpose="reading time stamps")
    codes, unique = pandas.factorize(texts.astype(str))
    full = [text if text.count(":") > 1 else f"{text.strip()}:00" for text in unique]
    times: npt.NDArray[np.timedelta64] = pandas.to_timedelta(full, errors="coerce").to_numpy("timedelta64[ns]")
    return times[codes]


def _equal_step(seconds: npt.NDArray[np.float64]) -> Step | None:
    step = float(seconds[-1] - seconds[0]) / (len(seconds) - 1)
    if not step > 0:
        return None
    off = np.abs(seconds - seconds[0] - step * np.arange(len(seconds))).max()
    return Step(step, in_words(step)) if off < _JITTER * step else None


def _calendar_step(stamps: npt.NDArray[np.datetime64], seconds: npt.NDArray[np.float64]) -> Step | None:
    """A step of whole months, each row on the same day of the month or on the last."""
    if seconds[-1] < 28 * 86_400 * (len(seconds) - 1):
        return None
    months = stamps.astype("datetime64[M]")
    steps = np.unique(np.diff(months.astype(np.int64)))
    into = stamps - months
    before_next = (months + 1).astype(stamps.dtype) - stamps
    if len(steps) != 1 or steps[0] < 1 or min(len(np.unique(into)), len(np.unique(before_next))) > 1:
        return None
    count, unit = (int(steps[0]) // 12, "year") if steps[0] % 12 == 0 else (int(steps[0]), "month")
    return Step(int(steps[0]) * _MONTH_S, f"{count} {unit}{'s' if count > 1 else ''}")


def _reject_uneven(what: str, seconds: npt.NDArray[np.float64]) -> Step:
    steps = np.diff(seconds)
    if steps.min() > 0:
        got = f"steps from {in_words(steps.min())} to {in_words(steps.max())}"
    else:
        got = f"one that repeats or goes back in row {int(np.argmax(steps <= 0)) + 2}"
    return reject(what, expected="stamps at equal steps", got=got, fix=_ADVICE, error=DataError)
