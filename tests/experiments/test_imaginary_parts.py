"""Spacing of frequencies: what is predicted and trained is recomputed here with numpy and torch's own optimisers."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from ssmemory.errors import InputError
from ssmemory.experiments.imaginary_parts import SCHEMA, SIZES, Config, page, run
from ssmemory.experiments.imaginary_parts.descent import adam_steps, descended, descent_steps, problems_of
from ssmemory.experiments.imaginary_parts.run import (
    coloured,
    colours,
    expected_error,
    layer_of,
    spectrum,
    states,
    tones,
)
from ssmemory.learning import readout_modes

SMOKE = SIZES["smoke"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imaginary")
    made = run(SMOKE, folder)
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(made))
    return made


def kernels(spacing):
    """cos and sin of the eight frequencies over the window: what C weighs, from the formula alone."""
    frequency = 2 * math.pi / 256 * (32 + spacing * (np.arange(8) - 3.5))
    angle = np.outer(frequency, np.arange(256))
    return np.concatenate([np.cos(angle), -np.sin(angle)]) * 2 / math.sqrt(512)


def random_problem(seed=0, modes=5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, modes)) * np.geomspace(1, 0.1, modes)
    return X, X @ rng.standard_normal((modes, 2)) + 0.1 * rng.standard_normal((200, 2))


@pytest.mark.parametrize("spacing", [0.25, 1.0, 4.0])
def test_the_layer_ends_every_window_with_the_states_of_the_formula(spacing):
    u = np.random.default_rng(0).standard_normal((3, 256))
    got = states(layer_of(spectrum(Config(), spacing)), u)
    assert np.abs(got - u[:, ::-1] @ kernels(spacing).T).max() < 1e-10


def test_descent_follows_the_gradient_of_the_layers_own_readout():
    layer = layer_of(spectrum(Config(), 0.75))
    u = np.random.default_rng(1).standard_normal((40, 256))
    y = np.random.default_rng(2).standard_normal(40)
    (problem,) = problems_of(states(layer, u), y[:, None])
    answer = layer(torch.from_numpy(u).unsqueeze(-1))[0][:, -1, 0]
    (0.5 * (answer - torch.from_numpy(y)).square().mean()).backward()
    w = layer.C.detach()[0].T.reshape(-1).numpy()  # real parts, then imaginary ones
    assert np.allclose(layer.C.grad[0].T.reshape(-1).numpy(), problem.gram @ w - problem.cross, atol=1e-12)


@pytest.mark.parametrize("name", ["white", "slow", "oscillating"])
def test_the_inputs_have_the_autocovariance_that_predictions_use(name):
    recursion, r = colours(Config())[name]
    white = np.random.default_rng(0).standard_normal((4000, 512))
    u = coloured(white, recursion, 256)
    wanted = np.eye(1, 30)[0] if r is None else r[:30]
    assert np.allclose([np.mean(u[:, :226] * u[:, k : k + 226]) for k in range(30)], wanted, atol=0.02)


def test_conditioning_is_that_of_the_gram_matrix(results):
    for one in results["runs"]:
        rows = {row["input"]: row for row in one["training"]}
        K = kernels(one["spacing"])
        assert rows["white"]["conditioning"] == pytest.approx(np.linalg.cond(K) ** 2, rel=1e-5)
        slow = 0.9 ** np.abs(np.subtract.outer(np.arange(256), np.arange(256)))
        assert rows["slow"]["conditioning"] == pytest.approx(np.linalg.cond(K @ slow @ K.T), rel=1e-5)
        for row in rows.values():
            assert 0.6 < row["measured_conditioning"] / row["conditioning"] < 2


def test_steps_are_those_of_torchs_optimisers():
    X, Y = random_problem()
    lr = 0.9
    problems = problems_of(X, Y, [2.0, 2.0])
    for k in range(2):
        x, y = torch.from_numpy(X), torch.from_numpy(Y[:, k])
        least = 0.5 * float((x @ torch.linalg.lstsq(x, y[:, None]).solution[:, 0] - y).square().mean())
        for optimiser, counted in (
            (torch.optim.SGD, descent_steps(problems, [lr / 2], 0.95, 1000)),
            (torch.optim.Adam, adam_steps(problems, [lr], 0.95, 1000)),
        ):
            w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
            trainer, losses = optimiser([w], lr=lr), []
            for _ in range(counted[k] + 1):
                loss = 0.5 * (x @ w - y).square().mean()
                losses.append(loss.item())
                trainer.zero_grad()
                loss.backward()
                trainer.step()
            goal = least + 0.05 * (losses[0] - least)
            assert losses[counted[k]] <= goal < losses[counted[k] - 1]


def test_training_that_diverges_or_lasts_too_long_is_given_up():
    problems = problems_of(*random_problem(), [2.0, 2.0])
    assert descent_steps(problems, [5.0], 0.95, 1000) == [None, None]
    assert descent_steps(problems, [1e-6], 0.95, 10) == [None, None]
    assert all(descent_steps(problems, [5.0, 0.5], 0.95, 1000)), "the best learning rate counts"


def test_few_steps_leave_the_weights_of_plain_descent():
    X, Y = random_problem()
    gram, cross = X.T @ X / 200, X.T @ Y / 200
    w, lr = np.zeros((5, 2)), 1 / np.linalg.eigvalsh(gram)[-1]
    for _ in range(7):
        w = w - lr * (gram @ w - cross)
    assert np.allclose(descended(problems_of(X, Y), (3, 7))[7], w.T)


def test_expected_error_of_many_noisy_sets():
    """400 sets of 64 windows, least squares by numpy's own solver: the formula is exact in the mean."""
    rng, K = np.random.default_rng(3), kernels(1.5)
    kernel = tones(Config(), 2.0, rng)
    modes = readout_modes(spectrum(Config(), 1.5), kernel, horizon=256)
    errors = []
    for _ in range(400):
        u = rng.standard_normal((64, 256))
        w = np.linalg.lstsq(u @ K.T, u @ kernel + math.sqrt(0.1) * rng.standard_normal(64))[0]
        errors.append(np.sum((w @ K - kernel) ** 2))
    assert expected_error(modes, 0.1, 64, None) == pytest.approx(np.mean(errors), rel=0.05)
    assert expected_error(modes, 0.1, 64, 10**6) == pytest.approx(expected_error(modes, 0.1, 64, None), rel=1e-9)
    assert expected_error(modes, 0.1, 64, 0) == pytest.approx(1)  # a target of unit energy, not touched


def test_predicted_steps_and_errors_are_met(results):
    ratios = []
    for one in results["runs"]:
        for row in one["training"]:
            if one["spacing"] >= 1:
                assert abs(row["descent"] - row["predicted"]) <= 2
            elif row["predicted"] < SMOKE.longest / 2:
                ratios.append(row["descent"] / row["predicted"])
            assert row["whitened"] <= 3
        for row in one["estimates"]:
            assert row["measured"] == pytest.approx(row["predicted"], rel=0.6)
            assert row["measured"] > row["floor"]
    assert 0.7 < np.median(ratios) < 1.4
    assert 0.25 < min(ratios) <= max(ratios) < 4  # a slow mode with about 5 % of the energy makes single ones jump


def test_crowding_wins_on_a_narrow_band_and_separation_on_a_wide_one(results):
    wins = results["summary"]["wins"]
    assert {win["winner"] for win in wins if win["band"] == 2} == {"crowded"}
    assert {win["winner"] for win in wins if win["band"] == 8} == {"separated"}
    assert results["summary"]["claims"]["A4"]["verdict"].startswith("conditional, on the band")


def test_schema_and_page(results):
    assert (results["schema"], results["size"]) == (SCHEMA, "smoke")
    shown = page(results)
    assert shown.findings == results["summary"]["findings"]
    assert len(shown.figures) == 4
    assert [row[0] for row in shown.tables[0].rows] == ["A3", "A4"]


@pytest.mark.parametrize(
    "wrong", [{"spacings": (0.5, 2.0)}, {"centre": 5.0}, {"samples": (16, 64)}, {"samples": (64, 5000)}]
)
def test_what_cannot_be_compared_is_refused(wrong):
    with pytest.raises(InputError):
        dataclasses.replace(Config(), **wrong)
