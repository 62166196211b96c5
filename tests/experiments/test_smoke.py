"""The main job end to end: what it claims is recomputed here from what it left behind."""

import dataclasses
import json
import statistics

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ssmemory.experiments.frozen_vs_learned import SCHEMA, SIZES
from ssmemory.nn import load_model

LONG, HOPELESS = 0.03, 1.37


def runs(job, **wanted):
    return [run for run in job.results["runs"] if all(run[name] == value for name, value in wanted.items())]


def one(job, **wanted):
    (run,) = runs(job, **wanted)
    return run


def test_it_ends_well_and_says_the_findings(smoke):
    assert smoke.code == 0
    lines = smoke.said.splitlines()
    assert lines[:3] == smoke.results["summary"]["findings"]
    assert lines[3:] == [f"report: {smoke.folder / 'index.html'}"]
    assert not list(smoke.folder.rglob("*.ckpt")), "a finished run needs no checkpoint"
    assert not list(smoke.folder.rglob("*.part"))


def test_schema_and_configuration(smoke):
    results = smoke.results
    assert results["schema"] == SCHEMA == "ssmemory/frozen-vs-learned/1"
    assert results["size"] == "smoke"
    assert results["config"] == json.loads(json.dumps(dataclasses.asdict(SIZES["smoke"])))
    assert results["data"]["name"] == "digits"
    assert results["data"]["length"] == 64
    assert results["data"]["note"] == ""
    assert set(results) == {"schema", "size", "config", "data", "machine", "training_seconds", "summary", "runs"}


def test_every_start_is_trained_in_both_modes(smoke):
    wanted = {(dt, mode, 0) for dt in (LONG, HOPELESS) for mode in ("learned", "frozen")}
    assert {(run["dt"], run["mode"], run["seed"]) for run in smoke.results["runs"]} == wanted
    assert len(smoke.results["runs"]) == 4
    for run in smoke.results["runs"]:
        assert [row["epoch"] for row in run["rows"]] == [0, 1, 2, 3]
        assert run["rows"][3]["train_loss"] < run["rows"][1]["train_loss"]


@pytest.mark.parametrize("dt", [LONG, HOPELESS])
def test_frozen_memory_does_not_move_and_learned_does(smoke, dt):
    frozen, learned = one(smoke, dt=dt, mode="frozen"), one(smoke, dt=dt, mode="learned")
    assert len(frozen["before"]) == 2
    assert frozen["before"] == frozen["after"]
    for before, after in zip(learned["before"], learned["after"], strict=True):
        assert before["median"] != after["median"]
        assert before["eigenvalues_real"] != after["eigenvalues_real"]
    assert frozen["before"] == learned["before"], "both modes start from the same values"


@pytest.mark.parametrize("dt", [LONG, HOPELESS])
def test_frozen_numbers_are_the_eigenvalues(smoke, dt):
    frozen, learned = one(smoke, dt=dt, mode="frozen"), one(smoke, dt=dt, mode="learned")
    channels, modes = 16, 8
    assert learned["frozen_parameters"] == 0
    assert frozen["frozen_parameters"] == 2 * channels * (1 + 2 * modes)  # dt, Re A and Im A of two layers
    assert learned["trained_parameters"] == frozen["trained_parameters"] + frozen["frozen_parameters"]


@pytest.mark.parametrize("dt", [LONG, HOPELESS])
def test_each_run_starts_at_its_dt(smoke, dt):
    wanted = np.exp(dt * (-0.5 + 1j * np.pi * np.arange(8)))
    for layer in one(smoke, dt=dt, mode="frozen")["before"]:
        got = np.array(layer["eigenvalues_real"]) + 1j * np.array(layer["eigenvalues_imag"])
        assert got.shape == (16, 8)
        assert np.abs(got - wanted).max() < 2e-6  # float32 parameters, six digits


def test_starts_follow_the_rule(smoke):
    """Long: remembers the first input best before training. Hopeless: the largest dt. Short: what lies between."""
    first = {
        dt: statistics.median(layer["first_input"] for layer in one(smoke, dt=dt, mode="learned")["before"])
        for dt in (LONG, HOPELESS)
    }
    long = max(first, key=first.get)
    assert smoke.results["summary"]["starts"] == {"long": long, "short": HOPELESS, "hopeless": HOPELESS}
    assert long == LONG


def test_the_pair_is_frozen_minus_learned(smoke):
    pair = one(smoke, dt=LONG, mode="frozen")["test_accuracy"] - one(smoke, dt=LONG, mode="learned")["test_accuracy"]
    difference = smoke.results["summary"]["difference"]
    assert difference == {"mean": pytest.approx(pair), "low": None, "high": None, "pairs": [pytest.approx(pair)]}


@pytest.mark.parametrize("mode", ["learned", "frozen"])
def test_long_memory_reads_the_digits_and_hopeless_does_not(smoke, mode):
    """A layer that ignored its state, or its spectrum, would not tell the two apart."""
    long, hopeless = (one(smoke, dt=dt, mode=mode)["test_accuracy"] for dt in (LONG, HOPELESS))
    assert long > 0.4  # chance is 0.1
    assert long > hopeless + 0.15


@pytest.mark.parametrize("mode", ["learned", "frozen"])
@pytest.mark.parametrize("dt", [LONG, HOPELESS])
def test_test_accuracy_is_that_of_the_saved_model(smoke, dt, mode):
    """Images, division and standardisation are made anew here, with scikit-learn and numpy."""
    bunch = load_digits()
    train, test = train_test_split(np.arange(1797), test_size=360, stratify=bunch.target, random_state=0)
    pixels = bunch.images.reshape(1797, 64, 1) / 16
    seen = pixels[train[:600]]
    u = torch.tensor((pixels[test[:200]] - seen.mean()) / seen.std(), dtype=torch.float32)
    with torch.no_grad():
        answer = load_model(smoke.folder / "runs" / f"dt{dt:g}-{mode}-seed0")(u)[0].argmax(-1).numpy()
    accuracy = np.mean(answer == bunch.target[test[:200]])
    assert one(smoke, dt=dt, mode=mode)["test_accuracy"] == pytest.approx(
        accuracy, abs=0.0051
    )  # a tie may fall either way


def test_curve_repeats_the_runs(smoke):
    curve = smoke.results["summary"]["curve"]
    assert [(point["dt"], point["mode"]) for point in curve] == [
        (dt, mode) for dt in (LONG, HOPELESS) for mode in ("learned", "frozen")
    ]
    for point in curve:
        run = one(smoke, dt=point["dt"], mode=point["mode"])
        assert point["test_accuracy"] == run["test_accuracy"]
        assert point["validation_accuracy"] == run["rows"][-1]["validation_accuracy"]
        assert point["reach_after"] == statistics.median(layer["reach"] for layer in run["after"])
        assert point["test_accuracy_sd"] is None
