"""Predicted against trained on samples: teachers that nothing was fitted to."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from tests.reference.states import states_of

from ssmemory import LinearSystem, init
from ssmemory.errors import InputError
from ssmemory.learning import predict, residual_kernel


def teachers(count: int) -> list[np.ndarray]:
    """Decaying noise, single lags, and damped oscillations, of many lengths."""
    rng, made = np.random.default_rng(7), []
    for k in range(count):
        length = int(rng.integers(5, 80))
        lags = np.arange(length)
        made.append(
            [
                rng.standard_normal(length) * np.exp(-lags / rng.uniform(3, 30)),
                np.eye(length)[-1],
                np.exp(-lags / rng.uniform(5, 40)) * np.cos(lags * rng.uniform(0, 1) + rng.uniform(0, 6)),
                rng.standard_normal(length),
            ][k % 4]
        )
    return made


@pytest.mark.parametrize("k", range(20))
def test_the_loss_of_a_readout_trained_on_samples_is_within_5_percent(k):
    teacher, samples = teachers(20)[k], 60_000
    system = [init.s4d_lin(16, 0.1), init.ring(24, 0.6, 0.98, seed=k), init.random_dense(10, 0.9, seed=k)][k % 3]
    u = np.random.default_rng(k).standard_normal(2 * samples)
    x, y = states_of(system, u), lfilter(teacher, [1.0], u)
    skip = slice(1000, samples)
    w = np.linalg.lstsq(x[skip], y[skip], rcond=None)[0]
    fresh = slice(samples, None)
    loss = 0.5 * np.mean((y[fresh] - x[fresh] @ w) ** 2)
    predicted = predict(system, teacher).reachable_loss
    assert loss == pytest.approx(predicted, rel=0.05)


def test_steps_are_those_of_descent():
    prediction = predict(init.ring(8, 0.3, 0.9, seed=0), teachers(1)[0], lr=0.05, momentum=0.5)
    steps = int(prediction.steps_to(0.9))
    wanted = prediction.reachable_loss + 0.1 * float(prediction.modes.energy.sum()) / 2
    assert prediction.loss_after(steps) <= wanted < prediction.loss_after(steps - 1)


@pytest.mark.parametrize(
    "options", [{}, {"horizon": 90}, {"horizon": 90, "input_autocovariance": 0.8 ** np.arange(90)}]
)
def test_what_is_left_is_orthogonal_to_what_the_state_shows(options):
    """And its energy is that which the loss ends with, as far as the teacher's lags go."""
    system, teacher = init.ring(8, 0.3, 0.9, seed=0), torch.from_numpy(teachers(4)[3])
    left = residual_kernel(system, teacher, **options)
    assert left.dtype == torch.float64
    prediction = predict(system, teacher, **options)
    if "input_autocovariance" not in options:
        assert float(left.square().sum()) <= 2 * prediction.reachable_loss * (1 + 1e-9)
    if options.keys() == {"horizon"}:
        padded = torch.nn.functional.pad(teacher, (0, 90 - len(teacher)))
        rest = residual_kernel(system, padded, **options)
        rows = torch.stack([torch.exp(system.log_modes * t) for t in range(90)], -1)
        assert float((rows @ rest.to(rows.dtype)).abs().max()) < 1e-10


def test_it_says_what_would_have_to_change():
    short = predict(LinearSystem.from_eigenvalues([0.3, 0.2]), np.eye(100)[99])
    assert "not learned" in short.explain()
    assert "it takes a larger state, about 100" in short.explain()
    near = predict(init.ring(8, 0.1, 0.3, seed=0), np.eye(10)[9])
    assert "init.design" in near.explain()
    seen = predict(LinearSystem.from_eigenvalues([0.5]), 0.5 ** np.arange(60))
    assert "all but learned" in seen.explain()
    assert short.steps_to() < 100
    crowded = predict(init.s4d_real(24, 0.05), np.eye(10)[9])
    assert "space their frequencies" in crowded.explain()


def test_a_step_too_long_never_arrives():
    prediction = predict(LinearSystem.from_eigenvalues([0.5]), [1.0], lr=10.0)
    assert prediction.steps_to() == math.inf
    assert "more steps than anyone takes" in prediction.explain()


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"momentum": 1.0}])
def test_bad_input(options):
    with pytest.raises(InputError, match="descent: expected lr > 0"):
        predict(LinearSystem.from_eigenvalues([0.5]), [1.0], **options)
    with pytest.raises(InputError, match="share"):
        predict(LinearSystem.from_eigenvalues([0.5]), [1.0]).steps_to(0)
