"""Time series from a file of the user's: CSV, Parquet, NPY or WAV."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssmemory.data.stamps import find_step, find_time_columns, in_words
from ssmemory.data.tables import COMPRESSED, numbers, read_csv, read_parquet
from ssmemory.errors import DataError, reject, reject_unknown

_TABLES = (".csv", ".tsv", ".txt", ".parquet")
_KNOWN = (*_TABLES, ".npy", ".wav")


@dataclass(frozen=True, eq=False)
class Series:
    """One or more channels in steps of time, or several such series of one length.

    Attributes:
        values: ``(length, channels)`` or ``(n, length, channels)`` float64; NaN is a gap, nothing is infinite.
        names: the channels' names.
        sampling_rate: steps per second (Hz); None if the file does not tell.
        step: the time between steps in words, such as ``"1 min"``; None if the file does not tell.
        source: the file, or the data set and what fetched it.
        licence: under which terms, and who says so; None for a file of yours.
        citation: what to cite; None for a file of yours.
    """

    values: npt.NDArray[np.float64] = field(repr=False)
    names: tuple[str, ...]
    sampling_rate: float | None
    step: str | None
    source: str
    licence: str | None = None
    citation: str | None = None

    @property
    def n_missing(self) -> int:
        """How many values are missing, over all channels."""
        return int(np.isnan(self.values).sum())


def read_series(
    path: Path | str,
    *,
    columns: str | Sequence[str | int] | None = None,
    time_column: str | Sequence[str] | None = None,
    sep: str | None = None,
) -> Series:
    r"""Read a time series from a file; its name's end tells how.

    ``.csv``, ``.tsv`` and ``.txt`` (also with ``.gz``, ``.bz2`` or ``.xz`` after it) and ``.parquet``: a row is a step.
    Empty cells, NA, NaN and ``?`` are gaps, as is what a row lacks at its end. A first line of numbers, gaps and dates
    alone is data; the channels are then called "0", "1", … A nameless first column that counts the rows is left out.
    ``.npy``: ``(length,)``, ``(length, channels)`` or ``(n, length, channels)``; nothing is unpickled.
    ``.wav``: integers are scaled to [-1, 1].

    A first column of dates is the time, together with a second one of times of day. Stamps must be at equal steps,
    up to a tenth of one, or whole months apart. Irregular stamps are an error, because what is measured in steps would
    mean nothing in time. Of 01/02 the first is the month, unless the stamps fit, or are regular, only the other way.

    Args:
        path: the file.
        columns: the channels to read, by name, in this order; default: all but the time. Arrays and sound have "0",
            "1", …
        time_column: the column with the stamps (numbers count seconds), or several to be joined by a space;
            ``()`` for none. Tables alone.
        sep: what separates the columns of a text table, one character or ``\s+``; default: found in the first line.

    Returns:
        The series.

    Raises:
        InputError: the name's end or a column is unknown, or an option does not suit the kind of file.
        DataError: there is no such file, it is empty or broken, holds other things than real numbers, infinities, or a
            channel without any value, or its stamps are not at equal steps.
        MissingExtraError: a table without pandas, or Parquet without pyarrow and fastparquet.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.npy"
        >>> np.save(path, np.array([[1, 2], [3, np.nan], [5, 6]]))
        >>> series = read_series(path)
        >>> series.values.shape, series.names, series.n_missing
        ((3, 2), ('0', '1'), 1)
    """
    path = Path(path).expanduser()
    kind = _kind(path)
    if time_column is not None and kind not in _TABLES:
        reject("time_column", expected=f"none for {kind}", got=repr(time_column), fix="leave it out")
    if sep is not None and kind not in (".csv", ".tsv", ".txt"):
        reject("sep", expected=f"none for {kind}", got=repr(sep), fix="leave it out")
    wanted = None if columns is None else [columns] if isinstance(columns, str) else [str(name) for name in columns]
    if wanted == []:
        reject("columns", expected="at least one name", got="none", fix="leave it out to read all")
    if kind in _TABLES:
        return _read_table(path, kind, wanted, time_column, sep)
    values, rate = _read_npy(path) if kind == ".npy" else _read_wav(path)
    names = tuple(str(k) for k in range(values.shape[-1]))
    chosen = _chosen(names, wanted)
    if wanted is not None:
        values = values[..., [names.index(name) for name in chosen]]
    return _checked(Series(values, chosen, rate, in_words(1 / rate) if rate else None, str(path)))


def _kind(path: Path) -> str:
    """How to read a file, by the end of its name."""
    if not path.exists():
        reject(str(path), expected="a file", got="no such file", fix="check the path", error=DataError)
    if path.is_dir():
        reject(str(path), expected="a file", got="a folder", fix="name a file in it", error=DataError)
    ends = [end.lower() for end in path.suffixes[-2:]]
    packed = len(ends) == 2 and ends[1] in COMPRESSED and ends[0] in (".csv", ".tsv", ".txt")
    kind = ends[0] if packed else ends[-1] if ends else ""
    if kind not in _KNOWN:
        fix = "rename it if it is one of these, or convert it"
        reject(str(path), expected=f"a name that ends in {', '.join(_KNOWN)}", got=repr(kind), fix=fix)
    if path.stat().st_size == 0:
        fix = "check what was written to it"
        reject(str(path), expected="numbers", got="an empty file", fix=fix, error=DataError)
    return kind


def _read_table(
    path: Path, kind: str, wanted: list[str] | None, time_column: str | Sequence[str] | None, sep: str | None
) -> Series:
    frame = read_parquet(path) if kind == ".parquet" else read_csv(path, "\t" if kind == ".tsv" and not sep else sep)
    names = tuple(frame.columns)
    if frame.empty:
        fix = "check what was written to it"
        reject(str(path), expected="rows of numbers", got="none", fix=fix, error=DataError)
    if time_column is None:
        time = find_time_columns(frame)
    else:
        time = (time_column,) if isinstance(time_column, str) else tuple(time_column)
    for name in time:
        if name not in names:
            reject_unknown("time_column", name, names)
    chosen = _chosen(names, wanted) if wanted is not None else tuple(name for name in names if name not in time)
    if not chosen:
        fix = "check sep= and what was written"
        reject(str(path), expected="a column of numbers", got="time stamps alone", fix=fix, error=DataError)
    step = find_step(frame, time, str(path))
    values = numbers(frame, chosen, str(path))
    return _checked(Series(values, chosen, 1 / step.seconds if step else None, step.words if step else None, str(path)))


def _read_npy(path: Path) -> tuple[npt.NDArray[np.float64], None]:
    fix = "save it with numpy.save(path, array.astype(float))"
    try:
        array: Any = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        got = "Python objects" if "pickle" in str(error) else str(error).partition("\n")[0]
        reject(str(path), expected="an array of numbers", got=got, fix=fix, error=DataError)
    if not isinstance(array, np.ndarray):
        reject(str(path), expected="one array", got="an archive of arrays", fix=fix, error=DataError)
    if array.dtype.kind == "c":
        fix = "save its real and imaginary parts as two channels"
        reject(str(path), expected="real numbers", got=f"complex ones ({array.dtype})", fix=fix, error=DataError)
    if array.dtype.kind not in "biuf":
        reject(str(path), expected="an array of numbers", got=f"the type {array.dtype}", fix=fix, error=DataError)
    if array.ndim not in (1, 2, 3) or array.size == 0:
        expected = "shape (length,), (length, channels) or (n, length, channels)"
        fix = "reshape it; no side may be 0"
        reject(str(path), expected=expected, got=array.shape, fix=fix, error=DataError)
    return (array[:, None] if array.ndim == 1 else array).astype(np.float64), None


def _read_wav(path: Path) -> tuple[npt.NDArray[np.float64], float]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # a file that ends early
            warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # its title, its author
            rate, data = wavfile.read(path)
    except (ValueError, OSError, EOFError, struct.error, wavfile.WavFileWarning) as error:
        got, fix = str(error).partition("\n")[0], "save it as uncompressed WAV"
        reject(str(path), expected="a readable WAV file", got=got, fix=fix, error=DataError)
    if data.size == 0 or rate < 1:
        fix = "check what was recorded"
        reject(str(path), expected="sound", got=f"{len(data)} samples at {rate} Hz", fix=fix, error=DataError)
    values = data.astype(np.float64)
    if data.dtype.kind == "u":
        values = values / 128 - 1
    elif data.dtype.kind == "i":
        values /= -float(np.iinfo(data.dtype).min)
    return values[:, None] if values.ndim == 1 else values, float(rate)


def _chosen(names: tuple[str, ...], wanted: list[str] | None) -> tuple[str, ...]:
    for name in wanted or ():
        if name not in names:
            reject_unknown("column", name, names)
    return names if wanted is None else tuple(wanted)


def _checked(series: Series) -> Series:
    """The series, unless a channel holds an infinity or nothing at all."""
    for k, name in enumerate(series.names):
        values, what = series.values[..., k], f"{series.source}: column {name!r}"
        if np.isinf(values).any():
            fix = "leave such cells empty"
            reject(what, expected="finite numbers or gaps", got="an infinite one", fix=fix, error=DataError)
        if np.isnan(values).all():
            fix = "choose others with columns="
            reject(what, expected="at least one value", got="gaps alone", fix=fix, error=DataError)
    return series
