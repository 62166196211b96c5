"""Where files go, and how they are written so that a kill never leaves half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssmemory.errors import DataError, reject


def cache_folder(override: Path | str | None = None) -> Path:
    """The folder where fetched data are kept.

    Args:
        override: a folder that the user names; it wins over everything else.

    Returns:
        ``override``, else ``$SSMEMORY_CACHE``, else ``$XDG_CACHE_HOME/ssmemory``, else ``~/.cache/ssmemory``.
        Not created.

    Example:
        >>> cache_folder("data").name
        'data'
    """
    if override is not None:
        return Path(override).expanduser()
    if named := os.environ.get("SSMEMORY_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ssmemory"


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place once the block ends without an error.

    Args:
        path: the file to write; its folder is made if need be.

    Yields:
        The temporary path to write to. It is removed, and ``path`` left as it was, if the block raises.

    Raises:
        InputError: a file lies where the folder should be.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(target) as part:
        ...     _ = part.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        reject(str(path.parent), expected="a folder", got="a file in the way", fix="name another folder")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        if part.is_file():
            with part.open("rb") as written:
                os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> Path:
    """Write ``text`` to ``path`` atomically and return the path."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: Path | str, value: Any) -> Path:
    """Write ``value`` as indented JSON to ``path`` atomically and return the path; NaN is refused."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def claim_folder(
    folder: Path | str, record: dict[str, Any], name: str, *, advice: dict[str, str] | None = None
) -> None:
    """Write down in ``folder/name`` what the folder holds, or raise if it holds something else.

    Args:
        folder: the folder; made if need be.
        record: what makes this work this work, such as its configuration; nested dictionaries are compared flat.
        name: the file's name.
        advice: what to do where the entry of that name alone differs; otherwise to choose another folder.

    Raises:
        InputError: another record lies there.
        DataError: the file is not JSON.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> claim_folder(folder, {"lr": 1}, "run.json")
        >>> claim_folder(folder, {"lr": 2}, "run.json")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: ...: expected the work begun there, got lr=1 there, 2 now; choose another ...
    """
    path = Path(folder) / name
    record = json.loads(json.dumps(record))
    if not path.is_file():
        write_json(path, record)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        reject(str(path), expected="JSON", got="a damaged file", fix="delete its folder", error=DataError)
    if found != record:
        there, now = _flat(found), _flat(record)
        differing = [key for key in now | there if there.get(key) != now.get(key)]
        got = "; ".join(f"{key}={there.get(key)} there, {now.get(key)} now" for key in differing[:3])
        fix = "choose another folder or delete this one"
        if len(differing) == 1:  # where more differs, that one entry is a consequence, and mending it would not help
            fix = (advice or {}).get(differing[0], fix)
        reject(str(folder), expected="the work begun there", got=got, fix=fix)


def _flat(record: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items() if isinstance(record, dict) else ():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat
