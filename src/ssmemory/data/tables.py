"""Tables of numbers with gaps, from CSV and Parquet."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ssmemory.data.stamps import CLOCK, DATE
from ssmemory.errors import DataError, MissingExtraError, reject, require

if TYPE_CHECKING:
    import pandas as pd

COMPRESSED: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
GAPS = ("", "?", "NA", "N/A", "NaN", "nan", "null")
SPACES = r"\s+"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+$")
_BROKEN = (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError)


def read_csv(path: Path, sep: str | None) -> pd.DataFrame:
    """Read a CSV file, plain or compressed, with or without a line of names.

    The first line holds names unless all of it is numbers, gaps and dates. A nameless first column that counts the
    rows is left out.

    Args:
        path: the file, UTF-8.
        sep: what separates the columns, one character, or ``\\s+``; default: the commonest of ``,``, ``;``, tab and
            ``|`` in the first line.

    Returns:
        The table, its columns named by strings (``"0"``, ``"1"``, … where the file has no names).

    Raises:
        InputError: ``sep`` is not one character.
        DataError: the file is empty, no UTF-8 text, not whole, or has rows longer than the others.
        MissingExtraError: pandas is not installed.
    """
    pandas = require("pandas", extra="plot", purpose="reading CSV")
    if sep is not None and sep != SPACES and len(sep) != 1:
        reject("sep", expected=r"one character or '\s+'", got=repr(sep), fix="leave it out to have it found")
    try:
        first = _first_line(path)
        sep = sep or _separator(first)
        cells = [cell.strip().strip('"') for cell in _split(first, sep)]
        header = None if _holds_data(cells) else 0
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # rows longer than the names
            frame = pandas.read_csv(
                path, sep=sep, header=header, na_values=list(GAPS), skipinitialspace=True, low_memory=False,
                index_col=False, encoding="utf-8-sig",
            )  # fmt: skip
    except pandas.errors.ParserWarning:
        expected = f"{len(cells)} values in a row, as in the first"
        reject(str(path), expected=expected, got="more", fix="name every column, or pass sep=", error=DataError)
    except UnicodeDecodeError:
        fix = "save it again as UTF-8"
        reject(str(path), expected="text in UTF-8", got="other bytes", fix=fix, error=DataError)
    except pandas.errors.EmptyDataError:
        reject(str(path), expected="rows of numbers", got="none", fix="check what was written to it", error=DataError)
    except _BROKEN as error:
        reject(
            str(path), expected="a readable CSV file", got=_line(error), fix="check it, or pass sep=", error=DataError
        )
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame.iloc[:, 1:] if header == 0 and not cells[0] and _counts_rows(frame) else frame


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file with pyarrow or fastparquet, whichever is installed; a time index becomes a column.

    Raises:
        DataError: the file cannot be read.
        MissingExtraError: pandas is not installed, or neither reader is.
    """
    pandas = require("pandas", extra="plot", purpose="reading Parquet")
    if not any(importlib.util.find_spec(name) for name in ("pyarrow", "fastparquet")):
        message = "reading Parquet: expected pyarrow or fastparquet, got neither installed; pip install pyarrow"
        raise MissingExtraError(message)
    try:
        frame = pandas.read_parquet(path)
    except _BROKEN as error:
        fix = "check what was written to it"
        reject(str(path), expected="a readable Parquet file", got=_line(error), fix=fix, error=DataError)
    if frame.index.dtype.kind == "M":
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    return frame


def numbers(frame: pd.DataFrame, names: Sequence[str], source: str) -> npt.NDArray[np.float64]:
    """The named columns as numbers, NaN where one is missing.

    Raises:
        DataError: a column holds something else; its name and the first such value are given.
    """
    pandas = require("pandas", extra="plot", purpose="reading a table")
    values = np.empty((len(frame), len(names)))
    for k, name in enumerate(names):
        column = frame[name]
        if pandas.api.types.is_numeric_dtype(column.dtype):
            values[:, k] = column.to_numpy(np.float64, na_value=np.nan)
            continue
        texts = column.astype(str).str.strip().mask(column.isna(), "")
        found = pandas.to_numeric(texts.mask(texts.isin(GAPS)), errors="coerce")
        wrong = (found.isna() & ~texts.isin(GAPS)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            got = f"{texts.iloc[row]!r} in row {row + 1}"
            fix = "correct it, or choose others with columns="
            if _DECIMAL_COMMA.match(texts.iloc[row]):
                fix = "write decimals with a point"
            reject(f"{source}: column {name!r}", expected="numbers", got=got, fix=fix, error=DataError)
        values[:, k] = found.to_numpy(np.float64, na_value=np.nan)
    return values


def _first_line(path: Path) -> str:
    opener = COMPRESSED.get(path.suffix.lower(), Path.open)
    with opener(path, mode="rt", encoding="utf-8-sig") as lines:
        return next((str(line).rstrip("\r\n") for line in lines if line.strip()), "")


def _separator(line: str) -> str:
    sep = max(",;\t|", key=line.count)
    if sep not in line and len(cells := line.split()) > 1 and _holds_data(cells):
        return SPACES
    return sep


def _split(line: str, sep: str) -> list[str]:
    return line.split() if sep == SPACES else line.split(sep)


def _holds_data(cells: list[str]) -> bool:
    """Whether a first line is data and not names: numbers, gaps and dates alone, and a number among them."""
    numeric = [_is_number(cell) for cell in cells]
    others = [cell for cell, is_number in zip(cells, numeric, strict=True) if not is_number]
    return any(numeric) and all(cell in GAPS or DATE.match(cell) or CLOCK.match(cell) for cell in others)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _counts_rows(frame: pd.DataFrame) -> bool:
    first = frame.iloc[:, 0]
    if first.dtype.kind != "i" or first.empty or frame.shape[1] < 2:
        return False
    return first.iloc[0] in (0, 1) and bool((np.diff(first.to_numpy()) == 1).all())


def _line(error: BaseException) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]
