"""Memory of networks through training, in the smallest size, and verdicts from made-up looks."""

import importlib

import numpy as np
import pytest
import torch

from ssmemory.experiments.memory_in_training import SIZES, page, run
from ssmemory.experiments.memory_in_training.findings import summarise
from ssmemory.experiments.memory_in_training.measure import look
from ssmemory.experiments.pixels import Images
from ssmemory.init import s4d_lin
from ssmemory.memory import memory_function
from ssmemory.nn import Backbone, BackboneConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def results(folder):
    return run(SIZES["smoke"], folder)


def last(results, dt, mode, when):
    found = [r for r in results["runs"] if (r["dt"], r["mode"]) == (dt, mode)]
    return found[0]["looks"][when]["layers"][-1]


def test_the_exact_memory_is_that_of_the_spectrum_and_a_frozen_one_stays(results):
    for dt in SIZES["smoke"].dts:
        spectrum = memory_function(s4d_lin(16, dt=dt), 64)
        before, after = last(results, dt, "frozen", 0), last(results, dt, "frozen", -1)
        assert before["exact_first"] == pytest.approx(float(spectrum.values[..., 63]), rel=1e-2, abs=1e-12)
        assert before["exact_rank"] == after["exact_rank"] == 15
        assert before["exact_first"] == after["exact_first"]
        assert before["noise"] != after["noise"]
        assert last(results, dt, "learned", 0) == before
        assert last(results, dt, "learned", -1)["exact_first"] != before["exact_first"]


def test_long_steps_forget_the_first_half_and_short_ones_do_not(results):
    assert results["summary"]["long"] == 0.03
    for mode in ("learned", "frozen"):
        for when in (0, -1):
            assert last(results, 0.03, mode, when)["far"] > 0.6
            assert abs(last(results, 1.37, mode, when)["far"]) < 0.3


def test_memory_is_within_its_bounds(results):
    for record in results["runs"]:
        for seen in record["looks"]:
            for layer in seen["layers"]:
                assert 0.9 < layer["noise"][0] < 1.001  # the present is there: the residual stream carries it
                assert 1 < layer["capacity"] < 8.5
                assert 0 < layer["image"] < 1


def test_training_scores(results):
    scores = [seen["accuracy"] for seen in results["runs"][0]["looks"]]
    assert scores[-1] > scores[0] + 0.08


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 3
    assert "--size smoke" in made.command


def test_a_second_run_reads_the_first(results, folder, monkeypatch):
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.memory_in_training.measure"), "look", None)
    assert run(SIZES["smoke"], folder)["runs"] == results["runs"]


def test_what_is_left_of_an_image_by_a_readout_of_its_own():
    """The share of the image, against least squares on the deviations from the mean image."""
    torch.manual_seed(0)
    model = Backbone(BackboneConfig(d_model=6, d_state=8, n_layers=1, dt_min=0.05, dt_max=0.05, pooling="last"))
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(600, 12, 1, generator=generator).cumsum(1) + torch.linspace(-5, 5, 12)[:, None]
    u[:, 4] = 2.0  # a pixel that never changes
    part = (u, torch.zeros(600, dtype=torch.int64))
    config = SIZES["smoke"]
    seen = look(model, config, Images(part, part, part, "walks", "", ""), 0)["layers"][0]
    with torch.no_grad():
        states = model.blocks[0](model.encoder(u))[0][:, -1].double().numpy()
    Y = u[..., 0].double().numpy()
    Y = Y - Y.mean(0)
    X = np.concatenate([np.ones((600, 1)), states], 1)
    rest = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    assert seen["image"] == pytest.approx(1 - (rest**2).sum() / (Y**2).sum(), abs=0.01)


def made(far, image, accuracy):
    """Looks of a network: exact values alike, the rest as said, by (before, after)."""
    layers = [
        {"capacity": 5.0 + k, "far": far[k], "image": image[k], "exact_first": far[0], "exact_rank": 15.0}
        for k in range(2)
    ]
    return [{"epoch": k, "accuracy": [0.1, accuracy][k], "layers": [layers[k]]} for k in range(2)]


def test_verdicts_come_from_the_numbers():
    config = SIZES["smoke"]
    far = {0.03: (2.0, 2.0), 0.3: (0.5, 0.7), 1.37: (0.0, 0.1)}
    runs = [
        {
            "dt": dt, "mode": mode, "seed": 0,
            "looks": made((far[dt][0], far[dt][1] + 0.3 * (mode == "learned")), (0.1, 1 - dt / 2), 0.9 - dt / 2),
        }
        for dt in config.dts
        for mode in ("learned", "frozen")
    ]  # fmt: skip
    found = summarise(runs, config, 64)
    assert found["closed"] == pytest.approx(0.2)  # 0.3 of the 1.5 between 0.5 and 2
    assert found["claims"]["G9"]["verdict"].startswith(
        "conditional: below half of the long start's 2.00 from dt 1.37; above from dt 0.3, which began at 0.50"
    )
    assert found["correlations"]["image"] == [pytest.approx(1)]
    assert found["correlations"]["exact"] == [0.0]
    told = found["claims"]["G16"]["verdict"]
    assert told.index("share of the image after") < told.index("not by exact capacity")
    assert found["claims"]["G13"]["verdict"].startswith("holds")
    for record in runs:
        record["looks"][-1]["accuracy"] = 1 - record["looks"][-1]["accuracy"]
    worse = summarise(runs, config, 64)
    assert worse["claims"]["G16"]["verdict"] == "none of these measures ranks the scores"
    assert worse["claims"]["G13"]["verdict"].startswith("does not hold")
