"""Estimates of memory beside the exact value, in the smallest size."""

import importlib

import numpy as np
import pytest
import scipy.linalg
from sklearn.linear_model import Ridge

from ssmemory.errors import InputError
from ssmemory.experiments.estimators import SIZES, Config, page, run
from ssmemory.experiments.estimators.recipes import (
    AMPLITUDE,
    RECIPES,
    components,
    foreseen,
    held_out,
    in_sample,
    inverse_covariance,
)
from ssmemory.experiments.estimators.states import cyclic, recorded, responses, white
from ssmemory.memory import memory_function


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(SIZES["smoke"], tmp_path_factory.mktemp("estimators"))


def of(results, kind, **wanted):
    return [r for r in results["runs"] if r["kind"] == kind and all(r[key] == value for key, value in wanted.items())]


def test_ours_holds_the_exact_value(results):
    for record in of(results, "capacity"):
        ours, spread = record["ours"], record["ours"]["high"] - record["ours"]["capacity"]
        assert abs(ours["capacity"] - record["exact"]) < 2 * spread
        assert ours["resolved"] == 12
    assert of(results, "capacity", name="cyclic")[0]["exact"] == pytest.approx(12 * (1 - 0.95**48), abs=0.5)


def test_every_recipe_reports_what_was_foreseen():
    u, system = white(60_000, 5), cyclic(12, 0)
    rows, targets = recorded(system, u)[100:], np.stack([np.roll(u, lag)[100:] for lag in range(24)], -1)
    told = foreseen(responses(system), 12, 24, len(rows))
    for name, recipe in RECIPES.items():
        assert recipe(rows, targets).sum() == pytest.approx(told[name], abs=0.3), name


def test_noise_is_taken_for_memory_by_all_but_ours(results):
    record = of(results, "capacity", name="noise", steps=600)[0]
    assert record["exact"] == 0
    assert record["ours"]["low"] < 0 < record["ours"]["high"]
    assert record["found"]["in sample"] == pytest.approx(24 * 12 / record["used"], rel=0.3)
    assert record["found"]["in sample"] > 3 * abs(record["ours"]["capacity"])


def test_ten_components_hold_at_most_ten(results):
    record = of(results, "capacity", name="cyclic", steps=4000)[0]
    assert record["found"]["10 components, ridge 1"] < 10.1 < record["exact"]


def test_intervals_are_counted(results):
    rows = {row["family"]: row for row in results["summary"]["coverage"]}
    assert set(rows) == {"ring", "S4D"}
    for row in rows.values():
        assert row["systems"] + row["left_out"] == 4
        assert row["lags"] > 0.7
        assert 0 < row["half_width"] < 0.3


X = recorded(cyclic(12, 0), white(900, 3))
Y = np.stack([np.roll(white(900, 3), lag) for lag in range(15)], -1)[20:]
X = X[20:]


def test_recipes_are_the_published_ones():
    """scikit-learn's ridge for the readouts, the coefficient of determination for what is in sample."""
    for ridge in (1e-8, 0.3):
        model = Ridge(alpha=ridge).fit(X[:704], Y[:704])
        expected = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(model.predict(X[704:]).T, Y[704:].T, strict=True)]
        assert held_out(X, Y, ridge) == pytest.approx(expected, abs=1e-9)
    design = np.column_stack([np.ones(len(X)), X])
    left = Y - design @ scipy.linalg.lstsq(design, Y)[0]
    expected = 1 - left.var(0) / Y.var(0)
    assert in_sample(X, Y) == pytest.approx(expected, abs=1e-9)
    assert inverse_covariance(X, Y) == pytest.approx(expected, abs=1e-9)
    assert components(X[:, :5], Y) == pytest.approx(held_out(X[:, :5], Y, 1.0), abs=1e-9)


def test_foreseen_without_noise_is_the_exact_value():
    system = cyclic(12, 0)
    exact = float(memory_function(system, 24).values.sum())
    told = foreseen(responses(system), 12, 24, 10**9)
    assert set(told) == {"ours", *RECIPES}
    for name, value in told.items():
        assert value == pytest.approx(exact * (10 / 12 if "components" in name else 1), rel=1e-4), name
    strong = foreseen(responses(system), 12, 24, 1000)
    assert strong["in sample"] - exact == pytest.approx((24 - exact) * 12 / 1000, rel=1e-6)


def test_foreseen_for_ridge_is_the_normal_equations():
    """With the exact covariance, where there is no sampling noise; so small a state that the ridge costs a third."""
    K, v, n, ridge = 1e-9 * responses(cyclic(6, 1)), AMPLITUDE**2 / 3, 0.8 * 10**9, 1e-8
    told = foreseen(K, 6, 12, 10**9)["held out, ridge 1e-8"]
    P, c = v * K @ K.T, v * K[:, :12]
    w = np.linalg.solve(P + ridge / n * np.eye(6), c)
    rho2 = (w * c).sum(0) ** 2 / (v * (w * (P @ w)).sum(0))
    assert told == pytest.approx(rho2.sum(), abs=1e-4)
    assert told < 0.95 * foreseen(1e9 * K, 6, 12, 10**9)["held out, ridge 1e-8"]


def test_what_float64_states_cannot_carry_is_foreseen_and_said():
    module = importlib.import_module("ssmemory.experiments.estimators.run")
    config = Config(cases=(("Gaussian", 80),), samples=(4000,), families=("ring",), systems=1, seeds=(0,))
    record = module.measure(config, "capacity", "Gaussian", 80, 4000, 0)
    ours, carried = record["ours"], record["predicted"]["ours"]
    assert record["exact"] == pytest.approx(80, abs=1e-3)
    assert carried < 76
    assert abs(ours["resolved"] - carried) < 1.5
    assert abs(ours["capacity"] - carried) < 2 * (ours["high"] - ours["capacity"])
    assert record["found"]["held out, ridge 1e-4"] < 0.75 * carried
    told = module.summarise([record], config)["findings"]
    assert told[-1].startswith(f"Gaussian 80, exact 80, but float64 states carry {carried:.3g} (foreseen)")


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 4
    assert "--size smoke" in made.command


def test_a_second_run_reads_the_first(tmp_path, monkeypatch):
    config = Config(cases=(("noise", 4),), samples=(400,), families=("ring",), d_states=(4,), systems=1, steps=900)
    first = run(config, tmp_path)
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.estimators.run"), "estimate_memory", None)
    assert run(config, tmp_path)["runs"] == first["runs"]


@pytest.mark.parametrize(
    ("changes", "got"),
    [({"seeds": ()}, r"seeds=\(\)"), ({"cases": (("chain", 5),)}, "chain"), ({"families": ("LRU",)}, "LRU"),
     ({"samples": (400,)}, "400")],
)  # fmt: skip
def test_refusals(changes, got):
    with pytest.raises(InputError, match=got):
        Config(**changes)


def system(condition, naive, capacity=10.0, resolved=8, low=9.0):
    ours = {
        "condition": condition,
        "capacity": capacity,
        "resolved": resolved,
        "low": low,
        "high": 11.0,
        "lags_held": 1.0,
    }
    shared = {"kind": "coverage", "name": "ring", "d_state": 8, "rank": 8, "exact": 10.0}
    return shared | {"naive": naive, "ours": ours | {"high": 11.0, "lags_held": 1.0}}


def test_verdicts_have_a_case_on_either_side():
    findings = importlib.import_module("ssmemory.experiments.estimators.findings")
    runs = [system(1e2, 10.1), system(1e7, 9.9), system(1e8, 9.0), system(1e9, 10.0), system(1e10, 5.0)]
    summary = findings.summarise(runs, SIZES["smoke"])
    verdict = "conditional: none up to a condition of 1.0e+07, every system from 1.0e+10 on"
    assert summary["claims"]["G6"]["verdict"] == verdict
    assert "2 of 5 systems, the first at a condition of 1.0e+08; by 50 %" in summary["claims"]["G6"]["measured"]
    calm = findings.summarise(runs[:2], SIZES["smoke"])["claims"]["G6"]["verdict"]
    assert calm == "does not show here"


def test_states_that_lost_directions_are_left_out_of_the_count():
    findings = importlib.import_module("ssmemory.experiments.estimators.findings")
    runs = [system(1e2, 10.0), system(1e2, 10.0, low=10.5), system(1e15, 5.0, resolved=7, low=10.5)]
    row = findings.summarise(runs, SIZES["smoke"])["coverage"][0]
    assert (row["systems"], row["left_out"], row["capacity"]) == (2, 1, 0.5)
    assert "not every family" in findings.summarise(runs, SIZES["smoke"])["findings"][0]


def test_an_estimate_above_n_is_told_apart_from_a_bound_that_fails():
    findings = importlib.import_module("ssmemory.experiments.estimators.findings")
    run = {
        "kind": "capacity", "name": "cyclic", "d_state": 8, "steps": 99, "exact": 8.0, "found": {"a": 9.0, "b": 8.2},
        "predicted": {"ours": 8.0, "a": 8.9, "b": 7.9}, "ours": {"capacity": 8.1, "low": 7.9, "high": 8.3},
    }  # fmt: skip
    assert findings.summarise([run], SIZES["smoke"])["claims"]["G2"]["verdict"].endswith("pass N as foreseen: a")
    run["ours"]["low"] = 8.05
    assert findings.summarise([run], SIZES["smoke"])["claims"]["G2"]["verdict"].startswith("does not hold")
