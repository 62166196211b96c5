"""Read the wanted files of an archive into memory; names inside it never reach the file system."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ssmemory.data.recipes import Member
from ssmemory.errors import DataError, reject

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_BYTES = 60
_ADVICE = "fetch it again"


def sha256_of(data: bytes | Path) -> str:
    """The SHA-256 of some bytes, or of a file, in hexadecimal."""
    if isinstance(data, Path):
        with data.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(data).hexdigest()


def read_members(archive: Path, members: Sequence[Member]) -> Mapping[str, bytes]:
    """Read the wanted members of a tar archive, a Debian package or a wheel, each checked.

    Args:
        archive: a ``.tgz``, ``.deb`` or ``.whl`` file.
        members: what to read; everything else stays unread.

    Returns:
        The contents by file name (without folders), in the order of ``members``.

    Raises:
        DataError: the archive is not whole, lacks a member, or a member is no plain file of the pinned size and
            SHA-256.
    """
    wanted = {member.path: member for member in members}
    found: dict[str, bytes] = {}
    if zipfile.is_zipfile(archive):
        return {member.file_name: _from_zip(archive, member) for member in members}
    try:
        with tarfile.open(fileobj=_tar_stream(archive), mode="r:*") as tar:
            for info in tar:
                if member := wanted.pop(info.name.removeprefix("./"), None):
                    found[member.file_name] = _read_member(tar, info, member)
                if not wanted:
                    break
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        got = str(error).partition("\n")[0].rstrip(":")
        reject(archive.name, expected="a whole archive", got=got, fix=_ADVICE, error=DataError)
    if wanted:
        missing = ", ".join(wanted)
        reject(archive.name, expected=f"the files {missing}", got="an archive without", fix=_ADVICE, error=DataError)
    return {member.file_name: found[member.file_name] for member in members}


def _read_member(tar: tarfile.TarFile, info: tarfile.TarInfo, member: Member) -> bytes:
    stream = tar.extractfile(info) if info.isreg() else None
    if stream is None:
        reject(
            member.path, expected="a plain file in the archive", got="a link or folder", fix=_ADVICE, error=DataError
        )
    if info.size != member.size:
        got = f"{info.size} bytes"
        reject(member.path, expected=f"{member.size} bytes", got=got, fix=_ADVICE, error=DataError)
    return _checked(stream.read(), member)


def _from_zip(archive: Path, member: Member) -> bytes:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member.path) as stream:
            data = stream.read(member.size + 1)  # no further, whatever the archive says of itself
    except KeyError:
        got = "an archive without"
        reject(archive.name, expected=f"the files {member.path}", got=got, fix=_ADVICE, error=DataError)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        reject(archive.name, expected="a whole archive", got=str(error), fix=_ADVICE, error=DataError)
    if len(data) != member.size:
        got = f"{'more than ' if len(data) > member.size else ''}{min(len(data), member.size)} bytes"
        reject(member.path, expected=f"{member.size} bytes", got=got, fix=_ADVICE, error=DataError)
    return _checked(data, member)


def _checked(data: bytes, member: Member) -> bytes:
    if (got := sha256_of(data)) != member.sha256:
        reject(member.path, expected=f"sha256 {member.sha256}", got=got, fix=_ADVICE, error=DataError)
    return data


def _tar_stream(archive: Path) -> BinaryIO:
    """The tar file that an archive is, or, in a Debian package, the one called ``data.tar.*`` inside it."""
    content = archive.read_bytes()
    if not content.startswith(_AR_MAGIC):
        return io.BytesIO(content)
    start = len(_AR_MAGIC)
    while len(header := content[start : start + _AR_HEADER_BYTES]) == _AR_HEADER_BYTES:
        size_field = header[48:58].strip()
        if not size_field.isdigit():
            raise tarfile.ReadError("a broken header in the Debian package")
        size = int(size_field)
        start += _AR_HEADER_BYTES
        if header.startswith(b"data.tar"):
            return io.BytesIO(content[start : start + size])
        start += size + size % 2
    raise tarfile.ReadError("no data.tar in the Debian package")
