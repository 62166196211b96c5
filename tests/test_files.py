"""Files appear whole or not at all, with the permissions the user asked for."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from ssmemory.errors import DataError, InputError
from ssmemory.files import cache_folder, claim_folder, replacing, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask():
    """Return a function that sets the umask for this test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_replacing_puts_the_whole_file_in_place(tmp_path):
    target = tmp_path / "deep" / "er" / "a.txt"
    with replacing(target) as part:
        assert part.parent == target.parent, "another file system could not be renamed from"
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write() -> None:
        with replacing(target) as part:
            part.write_text("ha")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_before_there_was_a_file_leaves_none(tmp_path):
    with pytest.raises(ValueError), replacing(tmp_path / "a.txt"):
        raise ValueError
    assert names(tmp_path) == []


def test_a_folder_in_the_way_is_kept(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError), replacing(tmp_path / "a") as part:
        part.write_text("x")
    assert names(tmp_path) == ["a"]


def test_a_block_that_removes_its_part_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt") as part:
        part.unlink()
    assert names(tmp_path) == []


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_honour_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    target = write_text(tmp_path / "a.txt", "x")
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert umask(mask) == mask, "the mask is left as it was"


def test_writers_at_the_same_time_do_not_share_a_part(tmp_path):
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "a.txt") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["a.txt"]


def test_text_is_utf8(tmp_path):
    assert write_text(str(tmp_path / "a.txt"), "λ → ½").read_bytes() == "λ → ½".encode()


def test_json_is_read_back_to_the_bit(tmp_path):
    value = {"x": 0.1 + 0.2, "tiny": 5e-324, "list": [1, None, "ü"]}
    assert json.loads(write_json(tmp_path / "a.json", value).read_text()) == value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number(tmp_path, bad):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": [bad]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_folder_is_claimed_once(tmp_path):
    record = {"train": {"lr": 0.1, "dts": (1, 2)}, "samples": [3, 4]}
    claim_folder(tmp_path / "run", record, "run.json")
    before = (tmp_path / "run" / "run.json").read_bytes()
    claim_folder(tmp_path / "run", record, "run.json")
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert json.loads(before) == {"train": {"lr": 0.1, "dts": [1, 2]}, "samples": [3, 4]}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"train": {"lr": 0.2, "n": 1}, "name": "x"}, "got lr=0.1 there, 0.2 now;"),
        ({"train": {"lr": 0.1, "n": 1}, "name": "y"}, "got name=x there, y now;"),
        ({"train": {"lr": 0.1, "n": 1}, "name": "x", "new": 1}, "got new=None there, 1 now;"),
        ({"train": {"lr": 0.1}, "name": "x"}, "got n=1 there, None now;"),
    ],
)
def test_another_record_is_refused_and_the_first_stays(tmp_path, other, told):
    record = {"train": {"lr": 0.1, "n": 1}, "name": "x"}
    claim_folder(tmp_path, record, "run.json")
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        claim_folder(tmp_path, other, "run.json")
    assert "\n" not in str(caught.value)
    assert json.loads((tmp_path / "run.json").read_text()) == record


def test_of_many_differences_three_are_told(tmp_path):
    claim_folder(tmp_path, dict.fromkeys("abcde", 0), "run.json")
    with pytest.raises(InputError) as caught:
        claim_folder(tmp_path, dict.fromkeys("abcde", 1), "run.json")
    assert str(caught.value).count("=0 there, 1 now") == 3


def test_a_damaged_record_is_a_data_error(tmp_path):
    (tmp_path / "run.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"run\.json: expected JSON, got a damaged file; delete its folder$"):
        claim_folder(tmp_path, {"a": 1}, "run.json")
    assert (tmp_path / "run.json").read_text() == '{"a": '


@pytest.mark.parametrize(
    ("override", "named", "xdg", "wanted"),
    [
        ("mine", "named", "xdg", "mine"),
        (None, "named", "xdg", "named"),
        (None, None, "xdg", "xdg/ssmemory"),
        (None, "", "", "~/.cache/ssmemory"),
        (None, "~/there", None, "~/there"),
    ],
)
def test_where_the_cache_is(monkeypatch, tmp_path, override, named, xdg, wanted):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("SSMEMORY_CACHE", named), ("XDG_CACHE_HOME", xdg)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert cache_folder(override) == Path(wanted).expanduser()
    assert not cache_folder(tmp_path / "no").exists()
