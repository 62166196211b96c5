"""Predicted and trained losses of memories and teachers, in the smallest size."""

import importlib

import numpy as np
import pytest

from ssmemory.experiments.longest_memory import SIZES, page, run
from ssmemory.experiments.longest_memory.run import spectrum, teachers
from ssmemory.memory import memory_function


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(SIZES["smoke"], tmp_path_factory.mktemp("longest"))


def test_the_loss_is_the_one_predicted(results):
    assert len(results["runs"]) == 8
    for record in results["runs"]:
        assert record["measured"] == pytest.approx(record["predicted"], rel=0.1)
        assert record["predicted"] >= record["reachable"] - 1e-12
        assert record["training"][0] == 1.0
        assert record["training"][-1] <= 1.0


def test_the_first_gradient_at_the_lag_is_the_memory_function(results):
    for record in results["runs"]:
        if record["teacher"].startswith("lag"):
            assert record["gradient"] == pytest.approx(record["memory_at_last_lag"], abs=0.05)


def test_a_short_teacher_wants_a_short_memory(results):
    assert results["summary"]["best"] == {"lag 5": 16, "lag 80": 128} | {
        name: best for name, best in results["summary"]["best"].items() if not name.startswith("lag")
    }
    assert results["summary"]["claims"]["G8"]["verdict"].startswith("conditional")


def test_stretching_a_spectrum_stretches_its_memory():
    reach = [int(memory_function(spectrum(16, T), 1).reach(0.05)) for T in (32, 64, 128)]
    assert np.allclose(np.diff(np.log2(reach)), 1, atol=0.15)


def test_teachers_have_unit_energy():
    for kernel in teachers(SIZES["cpu"]).values():
        assert float(kernel.square().sum()) == pytest.approx(1)


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 2
    assert "--size smoke" in made.command


def test_a_second_run_reads_the_first(tmp_path, monkeypatch):
    config = SIZES["smoke"]
    first = run(config, tmp_path)
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.longest_memory.run"), "predict", None)
    assert run(config, tmp_path)["runs"] == first["runs"]
