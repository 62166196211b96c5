"""The IDX files that MNIST and its relatives come in."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ssmemory.errors import DataError, reject

MAX_BYTES = 2**30
_UINT8_CODE = 8
_ADVICE = "the file is corrupt or no IDX file: delete it and fetch it again"


@dataclass(frozen=True)
class IdxFiles:
    """The four files of an image data set and the folder that holds them."""

    folder: Path
    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


def find_idx_files(folder: Path | str) -> IdxFiles:
    """Find the four files of an image data set under their usual names.

    Args:
        folder: holds ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, also with a dot before ``idx``, also with
            ``.gz``; a plain file is preferred to a compressed one.

    Returns:
        The four paths.

    Raises:
        DataError: the folder or one of the files does not exist.
    """
    folder = Path(folder).expanduser()
    return IdxFiles(
        folder,
        train_images=_find(folder, "train-images", "idx3"),
        train_labels=_find(folder, "train-labels", "idx1"),
        test_images=_find(folder, "t10k-images", "idx3"),
        test_labels=_find(folder, "t10k-labels", "idx1"),
    )


def read_idx(path: Path | str) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzip-compressed.

    The file holds two zero bytes, the type code 8, the number of dimensions, each dimension as a big-endian 32-bit
    integer, and then exactly as many bytes as their product. Compression is told from the content, not from the name.

    Args:
        path: the file; at most 1 GiB of data, of which never more is decompressed than the header announces.

    Returns:
        A writable array with the dimensions of the header.

    Raises:
        DataError: the file is missing or unreadable, has another type, or is shorter or longer than its header says.

    Source:
        LeCun, Cortes, Burges, The MNIST database of handwritten digits, section on file formats.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        >>> read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not compressed:
                return _parse(raw, path)
            with gzip.open(raw) as stream:
                return _parse(stream, path)
    except DataError:
        raise
    except FileNotFoundError:
        reject(
            str(path), expected="an IDX file", got="no such file", fix="check the path, or fetch it", error=DataError
        )
    except (OSError, EOFError, zlib.error) as error:
        reject(str(path), expected="a readable IDX file", got=str(error), fix=_ADVICE, error=DataError)


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{mark}{kind}-ubyte{end}" for end in ("", ".gz") for mark in "-."]
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        fix = "check the path and its permissions"
        reject(str(folder), expected="a folder with IDX files", got=error.strerror, fix=fix, error=DataError)
    for name in names:
        if name in present:
            return folder / name
    expected = f"a file {names[0]} or {names[0]}.gz"
    fix = "name the folder that holds the four IDX files"
    return reject(str(folder), expected=expected, got="a folder without", fix=fix, error=DataError)


def _parse(stream: BinaryIO | gzip.GzipFile, path: Path) -> npt.NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _UINT8_CODE or magic[3] == 0:
        got = f"it begins with the bytes {magic.hex(' ')!r}"
        reject(str(path), expected="an IDX file of bytes (00 00 08, dimensions)", got=got, fix=_ADVICE, error=DataError)
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        reject(str(path), expected=f"{magic[3]} dimensions", got="the end of file", fix=_ADVICE, error=DataError)
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    n_bytes = math.prod(shape)
    if n_bytes > MAX_BYTES:
        got = f"shape {shape} in the header"
        reject(str(path), expected=f"at most {MAX_BYTES} bytes of data", got=got, fix=_ADVICE, error=DataError)
    data = bytearray(stream.read(n_bytes))
    if len(data) < n_bytes or stream.read(1):
        got = f"only {len(data)}" if len(data) < n_bytes else "more"
        reject(str(path), expected=f"{n_bytes} bytes for shape {shape}", got=got, fix=_ADVICE, error=DataError)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
