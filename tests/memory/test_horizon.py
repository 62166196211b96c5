"""Memory over a finite horizon: multiprecision values, closed forms, a dense reference, refusals."""

import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, init, memory_function
from ssmemory.errors import InputError
from ssmemory.memory import horizon_bases, horizon_memory

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "finite_horizon.json").read_text())


def s4d_lin(d_state: int, dt: float, real_part: float) -> LinearSystem:
    n = torch.arange(d_state // 2, dtype=torch.float64)
    modes = torch.complex(torch.full_like(n, real_part), math.pi * n)
    return LinearSystem.from_continuous(modes, dt=dt, conj_sym=True)


@pytest.mark.parametrize("record", GOLDEN, ids=lambda r: f"{r['name']}, dt {r['dt']:.3g}")
def test_multiprecision_values(record):
    memory = horizon_memory(s4d_lin(record["d_state"], record["dt"], record["real_part"]), record["horizon"])
    wanted = torch.tensor([float(x) for x in record["memory"]], dtype=torch.float64)
    error = (memory.values[record["lags"]] - wanted).abs().max()
    assert error < 1e-12
    assert error <= 10 * memory.error
    assert int(memory.rank) == record["rank"]
    assert memory.values.sum() == pytest.approx(record["rank"], rel=1e-12)


def in_multiprecision(eigenvalues: list[complex], horizon: int) -> np.ndarray:
    """``(A^τ b)* P⁻¹ (A^τ b)`` with P formed, in 60 digits."""
    with mpmath.workdps(60):
        K = mpmath.matrix([[mpmath.mpc(x) ** tau for tau in range(horizon)] for x in eigenvalues])
        solved = (K * K.H) ** -1 * K
        rows = range(len(eigenvalues))
        return np.array(
            [float(mpmath.re(sum(mpmath.conj(K[n, t]) * solved[n, t] for n in rows))) for t in range(horizon)]
        )


@pytest.mark.parametrize("largest", [0.7, 1.0, 1.1])
def test_inside_on_and_outside_the_circle(largest):
    rng = np.random.default_rng(0)
    modes = largest * np.exp(1j * rng.uniform(0, math.pi, 4)) * np.array([1, 0.98, 0.95, 0.9])
    memory = horizon_memory(LinearSystem.from_eigenvalues(modes, conj_sym=True), 30)
    wanted = in_multiprecision([*modes, *modes.conj()], 30)
    assert np.abs(memory.values.numpy() - wanted).max() < min(1e-11, 10 * float(memory.error))


@pytest.mark.parametrize(("d_state", "length"), [(2, 10), (16, 128), (64, 4096)])
def test_fourier_modes_remember_all_lags_alike(d_state, length):
    memory = horizon_memory(init.fourier(d_state, length), length)
    assert float((memory.values - (d_state - 1) / length).abs().max()) < 1e-14


def test_it_is_symmetric_where_nothing_decays():
    values = horizon_memory(s4d_lin(16, 1.3 / 64, 0.0), 64).values
    assert float((values - values.flip(0)).abs().max()) < 1e-11
    assert bool((values.diff() > 1e-3).any())  # and so not monotone


def test_a_long_horizon_is_the_infinite_one():
    system = LinearSystem.from_eigenvalues([0.9, 0.5 + 0.3j], conj_sym=True)
    infinite = memory_function(system, 400).values
    assert float((horizon_memory(system, 400).values - infinite).abs().max()) < 1e-13


def test_more_modes_than_steps_hold_all_of_them():
    memory = horizon_memory(init.ring(64, seed=0), 20)
    assert torch.equal(memory.values, torch.ones(20, dtype=torch.float64))
    assert int(memory.rank) == 20


def test_batches_and_leading_lags():
    system = init.ring(8, seed=0, channels=3)
    whole = horizon_memory(system, 50)
    assert whole.values.shape == (3, 50)
    torch.testing.assert_close(horizon_memory(system, 50, 7).values, whole.values[:, :7], rtol=1e-14, atol=0)
    one = LinearSystem.from_log_eigenvalues(system.log_modes[1], conj_sym=True)
    torch.testing.assert_close(horizon_memory(one, 50).values, whole.values[1], rtol=1e-12, atol=1e-12)
    assert "50 steps" in whole.describe()


def test_dense_systems_too():
    dense, diagonal = init.hippo_legs(8, 0.05), init.s4d_real(8, 0.05, discretization="bilinear")
    difference = horizon_memory(dense, 60).values - horizon_memory(diagonal, 60).values
    assert float(difference.abs().max()) < 1e-12


def test_rows_are_orthonormal_and_span_the_responses():
    system = init.ring(8, seed=1)
    (basis,) = horizon_bases(system, 100)
    gram = basis.rows @ basis.rows.mH
    assert float((gram - torch.eye(8)).abs().max()) < 1e-13
    response = torch.stack([system.eigenvalues[2] ** k for k in range(100)])
    inside = (basis.rows.conj() @ response) @ basis.rows
    assert float((inside - response).abs().max()) < 1e-12


def test_it_draws():
    axes = horizon_memory(init.fourier(8, 64), 64).plot(label="fourier")
    assert len(axes.lines) == 2


@pytest.mark.parametrize(
    ("system", "horizon", "lags", "match"),
    [
        (s4d_lin(64, 1 / 1024, 0.0), 1024, None, r"condition number below 1e\+09, got \d"),
        (init.fourier(4, 10), 0, None, "horizon: expected at least 1 step, got 0"),
        (init.fourier(4, 10), 10, 11, r"lags: expected 1 … 10, got 11"),
        (LinearSystem.from_eigenvalues([8.0]), 10, None, r"eigenvalues: expected \|λ\| about 1 or below, got 8"),
        (LinearSystem.from_eigenvalues([0.5], B=[[1.0, 2.0]]), 10, None, "expected one input channel, got 2"),
        ("s4d", 10, None, "expected a LinearSystem, got str"),
    ],
)
def test_bad_input(system, horizon, lags, match):
    with pytest.raises(InputError, match=match):
        horizon_memory(system, horizon, lags)
