"""Arrays and words in one file of safetensors: written atomically, and one line where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ssmemory.errors import DataError, reject
from ssmemory.files import replacing

Array = NDArray[Any]
UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError)  # what a file of something else raises


def write_arrays(path: Path | str, arrays: dict[str, Array], words: dict[str, str] | None = None) -> Path:
    """Write arrays, and words beside them, or raise a `DataError`: what lay there before is then as it was."""
    try:
        with replacing(path) as part:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part, words)
    except (OSError, SafetensorError) as error:
        expected = f"room for {sum(array.nbytes for array in arrays.values()) >> 20} MB"
        fix = "make room, or name another place: what lay there before is as it was"
        reject(str(path), expected=expected, got=reason(error), fix=fix, error=DataError)
    return Path(path)


def read_arrays(path: Path | str) -> tuple[dict[str, Array], dict[str, str]]:
    """Return arrays and words, or raise one of `UNREADABLE`."""
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def reason(error: Exception) -> str:
    """Return an error as a part of one line."""
    return str(error).partition("\n")[0][:120] or type(error).__name__
