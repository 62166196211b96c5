"""Steps of very different size on short sequences."""

import dataclasses

import pytest
import torch

from ssmemory.experiments.pixels import Parts, load_sequences
from ssmemory.experiments.step_rule import SIZES, page, run
from ssmemory.experiments.step_rule.run import _of_kind, undamped
from ssmemory.init import autocorrelation


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    config = dataclasses.replace(SIZES["smoke"], sides=(4, 8), n_train=300, n_test=200)
    return run(config, tmp_path_factory.mktemp("steps"))


def test_a_step_far_too_small_learns_nothing(results):
    for row in results["summary"]["rows"]:
        assert row["best_dt"] * row["length"] == pytest.approx(2.0)
        assert row["best"] > row["worst"] + 0.1
        assert row["worst"] < 0.35


def test_decorrelated_pixels_are_nearly_white(results):
    for row in results["summary"]["rows"]:
        assert (row["lambda_max"] < 1.6) == (row["kind"] == "decorrelated")
        assert row["dt_rule"] == pytest.approx((row["length"] * row["lambda_max"]) ** -0.5)


def test_autoregressive_sequences_have_the_correlation_of_their_filter():
    images = load_sequences(Parts("digits", 8, 600, 50, 100))
    red = autocorrelation(_of_kind(images, "autoregressive").training[0])
    assert float(red.values[1]) == pytest.approx(0.9, abs=0.06)


def test_nothing_decays():
    system = undamped(8, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert not system.log_modes.real.any()
    assert system.log_modes.imag[1, 1] == pytest.approx(0.2 * torch.pi)


def test_the_page(results):
    made = page(results)
    assert len(made.tables[1].rows) == 6
    assert set(results["summary"]["claims"]) == {"A1", "R6"}
