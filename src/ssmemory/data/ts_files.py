"""The `.ts` files that labelled sets of time series come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssmemory.errors import DataError, reject

_YES_OR_NO = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_NUMBERS = ("dimensions", "serieslength")
_KNOWN = ("problemname", *_YES_OR_NO, *_NUMBERS, "data")
_FIX = "correct the line, or fetch the file again"


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """Time series, each with a class or a target.

    Attributes:
        name: the problem's name.
        series: one ``(length, channels)`` float64 array each; the lengths may differ; NaN is a gap.
        labels: ``(n,)``: int64 positions in ``classes``, or float64 targets; None if there are neither.
        classes: the classes' names; none for targets.
    """

    name: str
    series: list[npt.NDArray[np.float64]] = field(repr=False)
    labels: npt.NDArray[np.int64] | npt.NDArray[np.float64] | None = field(repr=False)
    classes: tuple[str, ...]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The steps of each series, ``(n,)`` int64."""
        return np.array([len(values) for values in self.series], dtype=np.int64)

    @property
    def channels(self) -> int:
        """How many channels every series has."""
        return int(self.series[0].shape[1])


@dataclass
class _Header:
    """What the lines before the data say; None where they are silent."""

    name: str = ""
    flags: dict[str, bool] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


def read_ts(path: Path | str) -> LabelledSeries:
    r"""Read a ``.ts`` file, the text format of the UCR and UEA archives.

    Lines that begin with ``#`` or ``%`` are comments. Lines that begin with ``@`` make up the header, in any order and
    in capitals or not: ``@problemName``, ``@timeStamps``, ``@missing``, ``@univariate``, ``@dimensions`` (or
    ``@dimension``), ``@equalLength``, ``@seriesLength``, ``@classLabel true NAME …``, ``@targetLabel``, and last
    ``@data``. Each line after it is one series: numbers separated by commas, channels separated by colons, the class or
    the target last, as in ``1,2,?:4,5,6:walking`` for two channels, three steps and a gap.

    What the header says is checked against every line. Series with time stamps are refused, since what is measured in
    steps would mean nothing in time.

    Args:
        path: the file, UTF-8.

    Returns:
        The series and their labels. Classes are numbered as the header names them; if it does not, in sorted order.

    Raises:
        DataError: there is no such file, it has time stamps, or a line is malformed or not as the header says; the
            message names the line.

    Source:
        sktime, ts File Format v1.0 (2022); aeon, .ts File Format.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.ts"
        >>> _ = path.write_text("@problemName two\n@univariate true\n@classLabel true a b\n@data\n1,2:b\n3,4,5:a\n")
        >>> found = read_ts(path)
        >>> found.lengths.tolist(), found.channels, found.labels.tolist(), found.classes
        ([2, 3], 1, [1, 0], ('a', 'b'))
    """
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        reject(str(path), expected="a .ts file", got="no such file", fix="check the path, or fetch it", error=DataError)
    except UnicodeDecodeError:
        reject(str(path), expected="text in UTF-8", got="other bytes", fix="save it again as UTF-8", error=DataError)
    except OSError as error:
        fix = "check the path and its permissions"
        reject(str(path), expected="a readable .ts file", got=error.strerror, fix=fix, error=DataError)
    header, start = _read_header(path, lines)
    series: list[npt.NDArray[np.float64]] = []
    labels: list[str] = []
    for number, line in enumerate(lines[start:], start + 1):
        if (text := line.strip()) and text[0] not in "#%":
            values, label = _read_case(f"{path}, line {number}", text, header, series[0] if series else None)
            series.append(values)
            labels.append(label)
    if not series:
        fix = "check what was written to it"
        reject(str(path), expected="a line of numbers after @data", got="none", fix=fix, error=DataError)
    if header.flags.get("targetlabel"):
        return LabelledSeries(header.name, series, np.array(labels, dtype=np.float64), ())
    if not header.flags.get("classlabel"):
        return LabelledSeries(header.name, series, None, ())
    classes = header.classes or tuple(sorted(set(labels)))
    place = {name: k for k, name in enumerate(classes)}
    return LabelledSeries(header.name, series, np.array([place[label] for label in labels], dtype=np.int64), classes)


def _read_header(path: Path, lines: list[str]) -> tuple[_Header, int]:
    """The header, and how many lines stand before the data."""
    header = _Header()
    for number, line in enumerate(lines, 1):
        where, text = f"{path}, line {number}", line.strip()
        if not text or text[0] in "#%":
            continue
        if text[0] != "@":
            got = f"{text[:30]!r}"
            reject(
                where,
                expected="a comment or a line that begins with @, up to @data",
                got=got,
                fix=_FIX,
                error=DataError,
            )
        tag, *words = text[1:].split() or [""]
        if (key := tag.lower()) == "data":
            _check_header(path, header)
            return header, number
        _read_tag(where, "dimensions" if key == "dimension" else key, words, header)
    return reject(str(path), expected="a line @data", got="none", fix="add it before the series", error=DataError)


def _read_tag(where: str, key: str, words: list[str], header: _Header) -> None:
    value = words[0].lower() if words else ""
    if key == "problemname":
        header.name = " ".join(words)
    elif key in _YES_OR_NO:
        if value not in ("true", "false") or (len(words) > 1 and key != "classlabel"):
            reject(where, expected=f"@{key} true or false", got=repr(" ".join(words)), fix=_FIX, error=DataError)
        header.flags[key] = value == "true"
        if key == "classlabel":
            header.classes = tuple(words[1:])
            if len(set(header.classes)) < len(header.classes):
                reject(where, expected="classes of different names", got="one twice", fix=_FIX, error=DataError)
    elif key in _NUMBERS:
        if not (value.isdecimal() and int(value) > 0 and len(words) == 1):
            reject(
                where,
                expected=f"@{key} and a whole number above 0",
                got=repr(" ".join(words)),
                fix=_FIX,
                error=DataError,
            )
        header.numbers[key] = int(value)
    else:
        expected = f"one of {', '.join(f'@{known}' for known in _KNOWN)}"
        reject(where, expected=expected, got=f"@{key}", fix=_FIX, error=DataError)


def _check_header(path: Path, header: _Header) -> None:
    flags, fix = header.flags, "correct the header"
    if flags.get("timestamps"):
        reject(
            str(path),
            expected="@timestamps false",
            got="true",
            fix="write series at equal steps without",
            error=DataError,
        )
    if flags.get("classlabel") and flags.get("targetlabel"):
        reject(str(path), expected="@classlabel or @targetlabel", got="both true", fix=fix, error=DataError)
    if flags.get("univariate") and header.numbers.get("dimensions", 1) != 1:
        got = f"@dimensions {header.numbers['dimensions']}"
        reject(str(path), expected="one dimension, as @univariate true says", got=got, fix=fix, error=DataError)


def _read_case(
    where: str, text: str, header: _Header, first: npt.NDArray[np.float64] | None
) -> tuple[npt.NDArray[np.float64], str]:
    """One series and its label as text, each checked against the header and the first series."""
    channels = text.split(":")
    label = ""
    if header.flags.get("targetlabel") or header.flags.get("classlabel"):
        label = channels.pop().strip()
        _check_label(where, label, header)
    wanted = 1 if header.flags.get("univariate") else header.numbers.get("dimensions")
    wanted = first.shape[1] if wanted is None and first is not None else wanted
    if not channels or (wanted is not None and len(channels) != wanted):
        expected = f"{wanted or 'at least one'} {'channel' if wanted == 1 else 'channels'}"
        expected += " and a label" if label else ""
        reject(where, expected=f"{expected}, separated by ':'", got=f"{len(channels)}", fix=_FIX, error=DataError)
    columns = [_read_numbers(where, channel, header) for channel in channels]
    if len({len(column) for column in columns}) > 1:
        got = ", ".join(str(len(column)) for column in columns[:8])
        reject(where, expected="channels of one length", got=f"lengths {got}", fix=_FIX, error=DataError)
    values = np.stack(columns, axis=1)
    length = None
    if header.flags.get("equallength", "serieslength" in header.numbers):
        length = header.numbers.get("serieslength", len(first) if first is not None else None)
    if length is not None and len(values) != length:
        reject(where, expected=f"{length} steps", got=f"{len(values)}", fix=_FIX, error=DataError)
    return values, label


def _check_label(where: str, label: str, header: _Header) -> None:
    if header.flags.get("targetlabel"):
        if not _is_finite(label):
            reject(where, expected="a number as target at the end", got=repr(label), fix=_FIX, error=DataError)
    elif not label or (header.classes and label not in header.classes):
        names = ", ".join(header.classes[:12]) + (", …" if len(header.classes) > 12 else "")
        expected = f"one of the classes {names} at the end" if names else "a class at the end"
        reject(where, expected=expected, got=repr(label[:40]), fix=_FIX, error=DataError)


def _read_numbers(where: str, channel: str, header: _Header) -> npt.NDArray[np.float64]:
    cells = [cell.strip() for cell in channel.split(",")]
    gaps = [cell == "?" or cell.lower() == "nan" for cell in cells]
    if any(gaps) and header.flags.get("missing") is False:
        got = f"a gap in step {gaps.index(True) + 1}"
        reject(where, expected="numbers alone, as @missing false says", got=got, fix=_FIX, error=DataError)
    for step, (cell, gap) in enumerate(zip(cells, gaps, strict=True), 1):
        if not gap and not _is_finite(cell):
            reject(where, expected="numbers or ?", got=f"{cell[:40]!r} in step {step}", fix=_FIX, error=DataError)
    return np.array(["nan" if gap else cell for cell, gap in zip(cells, gaps, strict=True)], dtype=np.float64)


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
