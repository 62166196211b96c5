"""The state reduced after, during and before training, in the smallest size; verdicts of made-up scores."""

import importlib

import pytest

from ssmemory.experiments.reduced_state import SIZES, Config, page, run
from ssmemory.experiments.reduced_state.findings import summarise
from ssmemory.nn import load_model, named_systems
from ssmemory.systems import hankel_singular_values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reduced")


@pytest.fixture(scope="module")
def results(folder):
    return run(SIZES["smoke"], folder)


def one(results, way):
    (found,) = [record for record in results["runs"] if record["way"] == way]
    return found


def test_the_large_model_loses_nothing_whole_and_nearly_all_at_two_states(results):
    large = one(results, "large")
    assert [point["d_state"] for point in large["truncated"]] == list(range(2, 17, 2))
    assert large["truncated"][-1]["test_accuracy"] == large["test_accuracy"] > 0.3
    assert large["truncated"][0]["test_accuracy"] < large["test_accuracy"] - 0.1


def test_errors_are_within_their_bounds_which_follow_from_what_is_left_out(results, folder):
    truncated = one(results, "large")["truncated"]
    (system,) = [system for _, system in named_systems(load_model(folder / "runs" / "large-16-seed0"))]
    values = hankel_singular_values(system)
    for point in truncated[:-1]:
        assert 0.01 * point["bound"] < point["error"] <= point["bound"] + 1e-5
        assert point["bound"] == pytest.approx(2 * point["discarded"] * float(values.sum() / values[0]), rel=1e-4)
    assert [p["discarded"] for p in truncated] == sorted((p["discarded"] for p in truncated), reverse=True)


def test_the_early_one_was_reduced_and_trained_on(results, folder):
    early = one(results, "early")
    (row,) = early["reductions"]
    assert (row["epoch"], row["d_state_before"], row["d_state"]) == (1, 16, 4)
    assert load_model(folder / "runs" / "early-4-seed0").config.d_state == 4
    after = next(p for p in one(results, "large")["truncated"] if p["d_state"] == 4)
    assert early["test_accuracy"] > max(0.15, after["test_accuracy"])
    assert one(results, "small")["reductions"] == []


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 2
    assert "--size smoke" in made.command


def test_a_second_run_reads_the_first(results, folder, monkeypatch):
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.reduced_state.run"), "train", None)
    assert run(SIZES["smoke"], folder)["runs"] == results["runs"]


def made_up(early, small, large=0.9, seeds=(0, 1, 2)):
    """Runs of two sizes whose scores differ a little by seed; truncation is lossless down to 6."""
    config = Config(d_states=(4, 8), large=10, seeds=seeds)
    runs = []
    for seed in seeds:
        curve = [
            {"d_state": n, "test_accuracy": large if n >= 6 else 0.3, "bound": 2.0, "error": 0.5}
            for n in (2, 4, 6, 8, 10)
        ]
        runs.append(
            {"way": "large", "d_state": 10, "seed": seed, "test_accuracy": large, "truncated": curve, "predicted": 8}
        )
        for way, scores in (("early", early), ("small", small)):
            shake = 0.002 * seed if way == "early" else 0.0
            runs += [
                {"way": way, "d_state": n, "seed": seed, "test_accuracy": s + shake}
                for n, s in zip((4, 8), scores, strict=True)
            ]
    return summarise(runs, config)


@pytest.mark.parametrize(
    ("early", "small", "verdict"),
    [
        ((0.85, 0.9), (0.5, 0.6), "holds"),
        ((0.5, 0.9), (0.6, 0.6), "conditional on the size"),
        ((0.7, 0.8), (0.5, 0.6), "conditional: better"),
        ((0.7, 0.8), (0.75, 0.85), "does not hold here"),
        ((0.9, 0.9), (0.902, 0.903), "undecided: no difference"),
    ],
)
def test_verdicts(early, small, verdict):
    summary = made_up(early, small)
    assert summary["claims"]["S1"]["verdict"].startswith(verdict)
    assert summary["measured"] == [6, 6, 6]
    assert "a safe size for 3 of 3" in summary["findings"][0]


def test_one_seed_decides_nothing():
    assert made_up((0.9, 0.9), (0.1, 0.1), seeds=(0,))["claims"]["S1"]["verdict"].startswith("undecided")
