"""Memory against vanishing gradients, and the gradient of a small network by lag."""

import dataclasses

import pytest

from ssmemory.experiments.gradient_by_lag import SIZES, page, run
from ssmemory.experiments.gradient_by_lag.linear import CASES, case, measure_case


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_one_minus_the_memory_whatever_reaches_back(name):
    record = measure_case(name, 30, 20_000, 0)
    assert record["measured"] == pytest.approx(record["predicted"], abs=0.06)
    assert record["reaching_back"] == pytest.approx(0.6065 if name.startswith("slow") else 0.0067, rel=0.01)


def test_the_cases_disagree():
    crowded, spread = measure_case(CASES[0], 30, 5000, 0), measure_case(CASES[2], 30, 5000, 0)
    assert crowded["reaching_back"] > 50 * spread["reaching_back"]
    assert crowded["predicted"] > 0.9 > 0.01 > spread["predicted"]
    assert int(case(CASES[0], 30).rank) == 32


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    config = dataclasses.replace(SIZES["smoke"], n_train=200, n_test=100, epochs=1, samples=4000)
    return run(config, tmp_path_factory.mktemp("by_lag"))


def test_a_network_by_lag(results):
    deep = [record for record in results["runs"] if record["kind"] == "deep"]
    assert [record["dt"] for record in deep] == [0.02, 1.0]
    for record in deep:
        for when in ("before", "after"):
            assert len(record[when]) == 2
            for layer in record[when]:
                assert 0 < layer["visible_share"] <= 1
                assert layer["input_against_readout"] < 1e-4
                assert len(layer["gradient"]) == len(layer["memory"]) == 64
    long, short = (record["before"][0]["visible_share"] for record in deep)
    assert long > short


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert results["summary"]["claims"]["R1"]["verdict"].startswith("yes")
    assert len(made.tables[1].rows) == 4
