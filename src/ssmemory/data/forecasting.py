"""Tables to forecast: a household's power, a house's energy, the weather at one place, the loads of a grid."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ssmemory.data.catalogue import DATASETS
from ssmemory.data.fetching import fetch, print_status
from ssmemory.data.household import load_household_power
from ssmemory.data.series import Series
from ssmemory.data.stamps import in_words
from ssmemory.data.tables import numbers
from ssmemory.errors import DataError, reject, reject_unknown, require

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _Table:
    """How one table is cut in time: seconds of a step, steps from midnight to the first row, and what reads it."""

    step_s: int
    first: int
    read: Callable[[Path], pd.DataFrame] | None = None


def load_table(
    name: str, *, every: int = 1, cache: Path | str | None = None, status: Callable[[str], None] = print_status
) -> Series:
    """Load a table of channels at equal steps, fetching it first if the cache lacks it.

    ``"household-power"``: 2,075,259 minutes x 7, with gaps; ``every=15`` gives 138,350 quarter hours and ``every=60``
    34,587 hours. ``"appliances-energy"``: 19,735 steps of 10 minutes x 26, without the two columns of random numbers.
    ``"merra2"``: 195,720 hours x 13. ``"simbench"``: 35,136 quarter hours x 95 active powers of one year; of channels
    that are equal everywhere the first is kept, and the clock is the local one, of which the summer hour is no gap.

    With ``every`` = k, a channel's value is its mean over k steps, of what was measured in them, NaN if nothing was.
    The blocks are counted from midnight; an incomplete one at either end is left out.

    Args:
        name: ``"household-power"``, ``"appliances-energy"``, ``"merra2"`` or ``"simbench"``.
        every: steps to average over, a divisor of the steps of a day.
        cache: the folder to keep data in, see `fetch`.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        ``(steps, channels)`` float64 with the channels' names, the step, licence and citation; NaN is a gap, of which
        only the household has any.

    Raises:
        InputError: the name is unknown, or ``every`` does not divide a day.
        DataError: as `fetch`, or a file that is not the table.
        MissingExtraError: pandas is not installed.

    Example:
        >>> load_table("household-power", every=7)
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: every: expected a divisor of the day's 1440 steps, got 7; choose another number
    """
    if name not in _TABLES:
        reject_unknown("table", name, _TABLES)
    table, about = _TABLES[name], DATASETS[name]
    day = 86_400 // table.step_s
    if not (isinstance(every, int) and every >= 1 and day % every == 0):
        reject("every", expected=f"a divisor of the day's {day} steps", got=every, fix="choose another number")
    if table.read is None:
        series = load_household_power(cache=cache, status=status)
        values, names, source = series.values, series.names, series.source
    else:
        require("pandas", extra="plot", purpose=f"reading {name}")
        folder = fetch(name, cache=cache, status=status).folder
        try:
            frame = table.read(folder)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            got, fix = str(error).partition("\n")[0], "the cached file is corrupt: delete it and fetch again"
            reject(str(folder), expected=f"the table of {name}", got=got, fix=fix, error=DataError)
        names, source = tuple(frame.columns), f"{name}: {about.origin}"
        values = numbers(frame, names, str(folder))
    if every > 1:
        values = _block_means(values, every, -table.first % every)
    step_s = table.step_s * every
    return Series(values, names, 1 / step_s, in_words(step_s), source, licence=about.licence, citation=about.citation)


def _block_means(values: npt.NDArray[np.float64], every: int, skip: int) -> npt.NDArray[np.float64]:
    """Means over blocks of steps, gaps left out, from the row ``skip`` on."""
    n = (len(values) - skip) // every
    blocks = values[skip : skip + n * every].reshape(n, every, -1)
    measured = ~np.isnan(blocks)
    count = measured.sum(1)
    total = np.where(measured, blocks, 0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _read_appliances(folder: Path) -> pd.DataFrame:
    pandas = require("pandas", extra="plot", purpose="reading a table")
    frame: pd.DataFrame = pandas.read_csv(folder / "minute_energy_appliance.csv.xz", skipinitialspace=True)
    return frame.drop(columns=["date", "rv1", "rv2"])


def _read_merra2(folder: Path) -> pd.DataFrame:
    pandas = require("pandas", extra="plot", purpose="reading a table")
    with (
        zipfile.ZipFile(folder / "la_haute_borne.zip") as archive,
        archive.open("merra2_la_haute_borne.csv") as stream,
    ):
        frame: pd.DataFrame = pandas.read_csv(stream, index_col=0)
    return frame.drop(columns=["datetime"])


def _read_simbench(folder: Path) -> pd.DataFrame:
    pandas = require("pandas", extra="plot", purpose="reading a table")
    frame: pd.DataFrame = pandas.read_csv(
        folder / "LoadProfile.csv", sep=";", usecols=lambda column: column.endswith("_pload")
    )
    first: dict[bytes, str] = {}
    for name in frame.columns:
        first.setdefault(frame[name].to_numpy().tobytes(), name)
    return frame[list(first.values())]


_TABLES = {
    "household-power": _Table(step_s=60, first=17 * 60 + 24),
    "appliances-energy": _Table(step_s=600, first=17 * 6, read=_read_appliances),
    "merra2": _Table(step_s=3600, first=0, read=_read_merra2),
    "simbench": _Table(step_s=900, first=0, read=_read_simbench),
}
