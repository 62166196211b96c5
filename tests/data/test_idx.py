from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from ssmemory.data import read_idx
from ssmemory.data.idx import find_idx_files
from ssmemory.errors import DataError


@pytest.mark.parametrize("shape", [(5,), (2, 3), (3, 2, 4), (0, 4, 4)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, make_idx, shape, pack):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "a"
    path.write_bytes(pack(make_idx(array)))
    got = read_idx(path)
    np.testing.assert_array_equal(got, array)
    assert got.dtype == np.uint8
    assert got.flags.writeable


HEADER = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3)


@pytest.mark.parametrize(
    ("content", "expected", "got"),
    [
        (b"", "an IDX file of bytes", "begins with the bytes ''"),
        (b"PK\3\4rest", "an IDX file of bytes", "50 4b 03 04"),
        (b"\0\0\x0d\2" + HEADER[4:] + bytes(6), "an IDX file of bytes", "00 00 0d 02"),
        (b"\0\0\x08\0", "an IDX file of bytes", "00 00 08 00"),
        (HEADER[:9], "2 dimensions", "the end of file"),
        (HEADER + bytes(5), "6 bytes for shape (2, 3)", "only 5"),
        (HEADER + bytes(7), "6 bytes for shape (2, 3)", "more"),
        (struct.pack(">BBBBII", 0, 0, 8, 2, 2**31, 2**31), "at most", "in the header"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_refuses_a_corrupt_file_in_one_line(tmp_path, content, expected, got, pack):
    path = tmp_path / "bad"
    path.write_bytes(pack(content))
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert expected in message
    assert got in message
    assert "delete it and fetch it again" in message
    assert "\n" not in message


def test_refuses_a_truncated_and_a_damaged_gzip_file(tmp_path):
    whole = gzip.compress(HEADER + bytes(range(6)))
    damaged = whole[:-8] + bytes(8)  # the checksum
    for content in (whole[:-4], whole[:15], damaged):
        path = tmp_path / "bad.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"expected a readable IDX file, got .*; .* fetch it again"):
            read_idx(path)


def test_decompresses_no_more_than_the_header_announces(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(HEADER + bytes(50_000_000)))
    with pytest.raises(DataError, match="6 bytes for shape"):
        read_idx(path)


def test_missing_file_and_folder_instead_of_file(tmp_path):
    with pytest.raises(DataError, match="expected an IDX file, got no such file; check the path"):
        read_idx(tmp_path / "none")
    with pytest.raises(DataError, match="expected a readable IDX file"):
        read_idx(tmp_path)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-idx", ".idx"])
def test_finds_the_usual_names(folder, mark, end):
    for path in list(folder.iterdir()):
        path.rename(folder / (path.name.replace("-idx", mark) + end))
    files = find_idx_files(folder)
    assert files.train_images.name == f"train-images{mark}3-ubyte{end}"
    assert files.test_labels.name == f"t10k-labels{mark}1-ubyte{end}"


def test_prefers_the_plain_file_and_names_the_missing_one(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"")
    assert find_idx_files(folder).train_images.suffix == ""
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        DataError, match=r"expected a file t10k-labels-idx1-ubyte or .*\.gz, got a folder without; name"
    ):
        find_idx_files(folder)
    with pytest.raises(DataError, match="expected a folder with IDX files, got No such file"):
        find_idx_files(folder / "none")
