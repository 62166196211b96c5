"""The same network in every way, in the smallest size: against scikit-learn's ridge, and against `fit.train`."""

import dataclasses
import importlib
import math
import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from ssmemory.errors import InputError
from ssmemory.experiments.closed_form import SCHEMA, SIZES, Config, page, run
from ssmemory.experiments.closed_form.config import ALL, CLOSED, DECODER, FIXED, FROZEN, KEPT, WAYS
from ssmemory.experiments.closed_form.findings import TARGET, chosen, reached, summarise, told
from ssmemory.experiments.closed_form.measure import features, measure, network
from ssmemory.experiments.closed_form.timed import SLOWER, Clock, descend, marks
from ssmemory.experiments.pixels import load_sequences
from ssmemory.experiments.sweep import accuracy
from ssmemory.fit import TrainConfig, freeze, train
from ssmemory.nn import Backbone

SMOKE = SIZES["smoke"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("closed")


@pytest.fixture(scope="module")
def results(folder):
    return run(SMOKE, folder)


@pytest.fixture(scope="module")
def images():
    return load_sequences(SMOKE)


def one(results, way, part="test"):
    return next(run for run in results["runs"] if (run["part"], run["way"]) == (part, way))


def curve(way, *points, **about):
    names = ("step", "accuracy", "process", "wall")
    return {"way": way, "seed": 0, "points": [dict(zip(names, point, strict=True)) for point in points]} | about


def test_the_closed_form_is_ridge_regression_on_the_features(results, images):
    (point,) = one(results, CLOSED)["points"][-1:]
    model = network(SMOKE, 0)
    scaler = StandardScaler().fit(features(model, images.training[0]).double())
    z, fresh = (scaler.transform(features(model, part[0]).double()) for part in (images.training, images.test))
    y = 2.0 * np.eye(10)[images.training[1]] - 1
    ridge = Ridge(len(z) * point["penalty"]).fit(z, y)
    right = ridge.predict(fresh).argmax(1) == images.test[1].numpy()
    assert point["accuracy"] == pytest.approx(right.mean(), abs=2 / len(right))
    assert point["step"] == 400


@pytest.mark.parametrize("way", [FIXED, ALL, DECODER])
def test_the_descent_is_that_of_fit_train(images, tmp_path, way):
    how = {"epochs": 2, "batch_size": 50, "weight_decay": 0.01, "seed": 3}
    mine, theirs = network(SMOKE, 0), network(SMOKE, 0)
    freeze(mine, FROZEN[way])
    descend(mine, lambda u: mine(u)[0], images.training, lambda: 0.0, clock=Clock(), lr=0.02, **how)
    config = TrainConfig(lr=0.02, ssm_lr=0.02 / SLOWER, freeze=FROZEN[way], **how)
    train(theirs, images.training, images.validation, config, folder=tmp_path, progress=False)
    for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name


def test_every_way_starts_from_the_same_network(results, images):
    start = accuracy(network(SMOKE, 0), *images.test)
    for way in (DECODER, FIXED, ALL):
        assert one(results, way)["points"][0]["accuracy"] == pytest.approx(start), way
    assert one(results, KEPT)["points"][0]["process"] > 0  # the features were computed, and counted


def test_what_is_trained(results):
    model = network(SMOKE, 0)
    decoder = sum(parameter.numel() for parameter in model.decoder.parameters())
    assert {one(results, way)["trained"] for way in (CLOSED, KEPT, DECODER)} == {decoder}
    assert one(results, ALL)["trained"] == sum(parameter.numel() for parameter in model.parameters())
    assert decoder < one(results, FIXED)["trained"] < one(results, ALL)["trained"]


@pytest.mark.parametrize("way", [KEPT, DECODER, ALL])
def test_the_last_point_is_the_accuracy_of_the_model_that_is_left(images, monkeypatch, way):
    """On standardised features too, whose means and scales are folded into the decoder."""
    made: list[Backbone] = []
    module = importlib.import_module("ssmemory.experiments.closed_form.measure")
    monkeypatch.setattr(module, "network", lambda *given: made.append(network(*given)) or made[-1])
    config = dataclasses.replace(SMOKE, epochs=1, decoder_epochs=1, kept_epochs=5)
    record = measure(config, "test", way, 0.05, 0, "digits", images=images)
    assert record["points"][-1]["accuracy"] == pytest.approx(accuracy(made[-1], *images.test), abs=1 / 200)
    assert record["train_accuracy"] == accuracy(made[-1], *images.training)
    axes = [[point[axis] for point in record["points"]] for axis in ("step", "process", "wall")]
    assert all(axis == sorted(axis) for axis in axes)


def test_the_clock_stands_still_between(monkeypatch):
    ticks = iter(range(100))
    module = importlib.import_module("ssmemory.experiments.closed_form.timed")
    monkeypatch.setattr(module.time, "perf_counter", lambda: 10.0 * next(ticks))
    monkeypatch.setattr(module.time, "process_time", lambda: 1.0)
    clock = Clock()
    for _ in range(3):
        with clock.running():
            pass
        next(ticks)
    assert clock.point(step=1) == {"step": 1, "wall": 30.0, "process": 0.0}


def test_marks_are_twice_an_octave_and_end_at_the_end():
    assert marks(25) == [2, 3, 4, 6, 8, 11, 16, 23, 25]
    assert marks(1) == [1]


def test_seconds_to_an_accuracy_are_interpolated():
    points = ((0, 0.1, 0.0, 0.0), (10, 0.5, 2.0, 3.0), (20, 0.4, 4.0, 6.0), (40, 0.9, 8.0, 12.0))
    descent = curve(ALL, *points)
    for accuracy_, step in ((0.3, 5), (0.5, 10), (0.65, 30)):
        assert reached(descent, accuracy_, "step") == pytest.approx(step)
        assert reached(descent, accuracy_, "process") == pytest.approx(step / 5)
    assert reached(descent, 0.95, "wall") == math.inf
    assert reached(curve(CLOSED, *points), 0.65, "process") == 8.0  # a fit counts whole


def test_the_rate_is_the_soonest_at_the_target_else_the_best():
    soon = curve(ALL, (0, 0.1, 0, 0), (5, 0.8, 1, 1), lr=0.1)
    late = curve(ALL, (0, 0.1, 0, 0), (9, 0.9, 1, 1), lr=0.2)
    poor = [curve(way, (0, 0, 0, 0), (9, end, 1, 1), lr=end) for way in (KEPT, DECODER, FIXED) for end in (0.3, 0.4)]
    tuning = [curve(CLOSED, (9, 0.7, 1, 1), lr=0.0), soon, late, *poor]
    assert chosen(tuning, SMOKE) == {CLOSED: 0.0, KEPT: 0.4, DECODER: 0.4, FIXED: 0.4, ALL: 0.1}


@pytest.mark.parametrize(
    ("fixed", "gap", "verdict"),
    [
        (8, 0.0, "holds: sooner; over-fits less"),
        (12, 0.2, "not in this setting: later; over-fits more"),
        (None, 0.0, "not in this setting: later; over-fits less"),
    ],
)
def test_the_verdict_follows_steps_and_gaps(fixed, gap, verdict):
    config = dataclasses.replace(SMOKE, seeds=(0, 1))
    ends = {CLOSED: 1, KEPT: 5, DECODER: 5, FIXED: fixed, ALL: 10}
    runs = [
        curve(way, (0, 0.0, 0.0, 0.0), (end or 20, 0.8 if end else 0.2, 2.0, 3.0), lr=0.1, trained=5)
        | {"seed": seed, "train_accuracy": (0.8 if end else 0.2) + (gap if way == FIXED else 0.1)}
        for way, end in ends.items()
        for seed in (0, 1)
    ]
    summary = summarise(runs, runs[::2], config)
    assert summary["claims"]["G11"]["verdict"] == verdict
    times = summary["ways"][FIXED]["times"][TARGET]["step"]
    assert times == [None, None] if fixed is None else times == pytest.approx([fixed * (0.8 - config.margin) / 0.8] * 2)


def test_the_median_counts_never_as_the_longest():
    assert told([3.0, 1.0, 2.0], " s") == "2 s (1 to 3)"
    assert told([1.0, None, 2.0]) == "2 (1 to never)"
    assert told([1.0, None, None], " s") == "never (once 1 s)"
    assert told([None]) == "never"


def test_the_target_is_the_closed_form_of_the_same_seed(results):
    closed = one(results, CLOSED)["points"][-1]["accuracy"]
    for way in WAYS:
        points = one(results, way)["points"]
        told_there = results["summary"]["ways"][way]["times"][TARGET]["step"][0]
        assert (told_there is None) == (max(point["accuracy"] for point in points) < closed - SMOKE.margin)


def test_the_page(results):
    made = page(results)
    assert results["schema"] == SCHEMA
    assert made.findings == results["summary"]["findings"]
    assert results["summary"]["claims"]["G11"]["verdict"] == "undecided: one seed"
    assert len(made.figures) == 2
    assert [len(table.rows) for table in made.tables] == [1, len(WAYS), len(WAYS)]
    assert "--size smoke" in made.command
    assert not re.search(r"\b(nan|None|inf)\b", " ".join([*made.findings, *made.notes, str(made.tables)]))


def test_a_second_run_reads_the_first(results, folder, monkeypatch):
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.closed_form.measure"), "network", None)
    assert run(SMOKE, folder)["runs"] == results["runs"]


@pytest.mark.parametrize(
    ("wrong", "told_"),
    [
        ({"tuning_seed": 0}, "config: expected a seed, and another one to tune on"),
        ({"lrs": ()}, "config: expected a learning rate for both"),
        ({"shares": (0.5,)}, "shares: expected rising shares that end at 1"),
    ],
)
def test_a_configuration_that_cannot_be(wrong, told_):
    with pytest.raises(InputError, match=told_):
        Config(**wrong)
