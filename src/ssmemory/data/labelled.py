"""Labelled sets of long time series: PLAID, ACSF1, PigCVP, and pairs of `.ts` files of the user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssmemory.data.catalogue import DATASETS
from ssmemory.data.fetching import fetch, print_status
from ssmemory.data.recipes import RECIPES
from ssmemory.data.ts_files import LabelledSeries, read_ts
from ssmemory.errors import DataError, reject, reject_unknown

SERIES_SETS = ("plaid", "acsf1", "pigcvp")


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Labelled time series, divided into a training and a test part.

    Attributes:
        name: the data set's name.
        train: the training series.
        test: the test series, of as many channels and the same classes.
        licence: under which terms, and who says so; None for files of yours.
        citation: what to cite; None for files of yours.
    """

    name: str
    train: LabelledSeries
    test: LabelledSeries
    licence: str | None
    citation: str | None


def load_series_set(
    name: str, *, cache: Path | str | None = None, status: Callable[[str], None] = print_status
) -> SeriesSet:
    """Load a labelled set of time series in its published division, fetching it first if the cache lacks it.

    ``"plaid"``: electricity of an appliance, 537 + 537 series of 100 to 1,344 steps, 11 kinds. ``"acsf1"``: power of an
    appliance, 100 + 100 series of 1,460 steps, 10 kinds. ``"pigcvp"``: venous pressure, 104 + 208 series of 2,000
    steps; which of 52 pigs? One channel each. All are small: report several seeds.

    Args:
        name: ``"plaid"``, ``"acsf1"`` or ``"pigcvp"``.
        cache: the folder to keep data in, see `fetch`.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        The series, as they are in the source: of these sets only ACSF1 and PigCVP have one length.

    Raises:
        InputError: the name is unknown.
        DataError: as `fetch` and `read_ts`.

    Example:
        >>> load_series_set("plaidd")
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: data set: expected one of plaid, acsf1, pigcvp, got 'plaidd'; did you mean 'plaid'?
    """
    if name not in SERIES_SETS:
        reject_unknown("data set", name, SERIES_SETS)
    folder = fetch(name, cache=cache, status=status).folder
    train, test = (folder / member.file_name for member in RECIPES[name].members)
    found = _paired(name, _read(train), _read(test), test)
    return replace(found, licence=DATASETS[name].licence, citation=DATASETS[name].citation)


def read_series_set(train: Path | str, test: Path | str) -> SeriesSet:
    """Read a training and a test part from two `.ts` files.

    Args:
        train: the file of the training series, see `read_ts`.
        test: the file of the test series.

    Returns:
        Both parts, with one numbering of the classes.

    Raises:
        DataError: as `read_ts`, or the files have different channels, other classes, or labels of different kinds.
    """
    found = read_ts(train)
    return _paired(found.name or Path(train).stem, found, read_ts(test), Path(test))


def _paired(name: str, train: LabelledSeries, test: LabelledSeries, path: Path) -> SeriesSet:
    """Both parts, after checking the second against the first."""
    fix = "name two files of one set"
    if test.channels != train.channels:
        reject(
            str(path),
            expected=f"{train.channels} channels, as in training",
            got=test.channels,
            fix=fix,
            error=DataError,
        )
    kinds = [_kind(part) for part in (train, test)]
    if kinds[0] != kinds[1]:
        reject(str(path), expected=f"{kinds[0]}, as in training", got=kinds[1], fix=fix, error=DataError)
    if unknown := set(test.classes) - set(train.classes):
        got = f"a class {min(unknown)!r}"
        reject(
            str(path),
            expected=f"the classes {', '.join(train.classes[:12])} of training",
            got=got,
            fix=fix,
            error=DataError,
        )
    if test.classes != train.classes and test.labels is not None:
        order = np.array([train.classes.index(label) for label in test.classes], dtype=np.int64)
        test = replace(test, labels=order[test.labels.astype(np.int64)], classes=train.classes)
    return SeriesSet(name, train, test, None, None)


def _kind(part: LabelledSeries) -> str:
    if part.labels is None:
        return "no labels"
    return "classes" if part.labels.dtype.kind == "i" else "targets"


def _read(path: Path) -> LabelledSeries:
    return read_ts(path) if path.suffix == ".ts" else _read_ucr_text(path)


def _read_ucr_text(path: Path) -> LabelledSeries:
    """Series of one channel and one length, a row each: the class, a whole number, and then the values."""
    try:
        table = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except ValueError as error:
        got, fix = str(error).partition(";")[0], "the cached file is corrupt: delete it and fetch again"
        reject(str(path), expected="rows of numbers of one length", got=got, fix=fix, error=DataError)
    names, labels = np.unique(table[:, 0], return_inverse=True)
    classes = tuple(f"{name:g}" for name in names)
    return LabelledSeries(path.stem, list(table[:, 1:, None]), labels.astype(np.int64), classes)
