"""The electric power of one household, minute by minute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssmemory.data.catalogue import DATASETS
from ssmemory.data.fetching import fetch, print_status
from ssmemory.data.series import Series
from ssmemory.errors import DataError, reject, require

FILE = "minute_household_power.csv.xz"


def load_household_power(*, cache: Path | str | None = None, status: Callable[[str], None] = print_status) -> Series:
    """Load four years of a household's electric power at one minute, fetching them first if the cache lacks them.

    Args:
        cache: the folder to keep data in, see `fetch`.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        2,075,259 minutes of seven channels, the first of them the active power in kW; NaN where it was not measured
        (1.3 %).

    Raises:
        DataError: as `fetch`, or a file that is not the table.
        MissingExtraError: pandas is not installed.
    """
    pandas = require("pandas", extra="plot", purpose="reading the household's power")
    path = fetch("household-power", cache=cache, status=status).folder / FILE
    table = pandas.read_csv(path, na_values=["?"], compression="xz")
    numbers = table.select_dtypes("number")
    if numbers.shape[1] != 7:
        fix = "the cached file is corrupt: delete it and fetch again"
        reject(str(path), expected="seven columns of numbers", got=numbers.shape[1], fix=fix, error=DataError)
    names = tuple(str(name) for name in numbers.columns)
    about = DATASETS["household-power"]
    return Series(
        numbers.to_numpy(dtype=float), names, 1 / 60, "1 min", str(path), licence=about.licence, citation=about.citation
    )
