import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from ssmemory import init, memory_function

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "memory_function.json").read_text())
DIAGONAL = [init.s4d_lin, init.s4d_inv, init.s4d_legs, init.s4d_real]


def legs(d_state):
    """HiPPO-LegS, entry by entry from Gu et al. (2022), eq. 2."""
    A = np.zeros((d_state, d_state))
    for n in range(d_state):
        for k in range(n):
            A[n, k] = -math.sqrt((2 * n + 1) * (2 * k + 1))
        A[n, n] = -(n + 1)
    return A


def frequencies(d_state):
    return init.s4d_legs(d_state, dt=1.0).log_modes.imag.numpy()


@pytest.mark.parametrize(
    "entry", [e for e in GOLDEN if "dt" in e], ids=lambda e: f"{e['name']}-{e['d_state']}-{e['dt']}"
)
def test_eigenvalues_and_memory_equal_the_multiprecision_values(entry):
    system = getattr(init, entry["name"])(entry["d_state"], entry["dt"], discretization=entry["discretization"])
    spectrum = system.spectrum()
    ours = spectrum.eigenvalues[spectrum.counted].numpy()
    truth = np.array(entry["eigenvalues_re"], float) + 1j * np.array(entry["eigenvalues_im"], float)
    assert int(system.rank) == entry["rank"] == len(ours)
    distances = abs(ours[:, None] - truth)
    assert sorted(distances.argmin(1)) == list(range(len(truth)))
    assert distances.min(1).max() < 1e-15
    expected = np.array(entry["memory"], float)
    values = memory_function(system, entry["lags"]).values.numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-300)


def test_legs_frequencies_equal_multiprecision_eigenvalues():
    d_state = 16
    with mpmath.workdps(30):
        A = mpmath.matrix(legs(d_state).tolist())
        for n in range(d_state):
            for k in range(d_state):
                A[n, k] = -mpmath.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else A[n, k]
                A[n, k] += mpmath.sqrt((n + mpmath.mpf(1) / 2) * (k + mpmath.mpf(1) / 2))
        real, hermitian = (A + A.T) / 2, mpmath.mpc(0, -1) * (A - A.T) / 2
        assert mpmath.mnorm(real + mpmath.eye(d_state) / 2) < 1e-28
        truth = [float(value) for value in mpmath.eighe(hermitian, eigvals_only=True)][d_state // 2 :]
    np.testing.assert_allclose(frequencies(d_state), truth, rtol=1e-14)


@pytest.mark.parametrize("d_state", [2, 8, 64])
def test_legs_equals_a_general_eigenvalue_solver(d_state):
    p = np.sqrt(np.arange(d_state) + 0.5)
    values = scipy.linalg.eigvals(legs(d_state) + np.outer(p, p))
    np.testing.assert_allclose(values.real, -0.5, atol=1e-9)
    np.testing.assert_allclose(frequencies(d_state), np.sort(values.imag)[d_state // 2 :], rtol=1e-9)
    assert (init.s4d_legs(d_state, dt=1.0).log_modes.real == -0.5).all()


@pytest.mark.parametrize("d_state", [64, 128])
def test_inv_is_the_large_state_limit_of_legs(d_state):
    inv = init.s4d_inv(d_state, dt=1.0).log_modes.imag.numpy()[:5]
    highest = frequencies(d_state)[::-1][:5]
    assert highest[0] * math.pi / d_state**2 == pytest.approx(1, abs=2 / d_state**2)
    np.testing.assert_allclose((1 - inv / highest) * d_state, [1, 3, 5, 7, 9], rtol=16 / d_state)


def test_halving_what_inv_calls_n_would_miss_the_top_frequency_by_four():
    full, half = (init.s4d_inv(n, dt=1.0).log_modes.imag.max() for n in (64, 32))
    assert float(full / half) == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
@pytest.mark.parametrize("make", DIAGONAL)
def test_discretisation_equals_scipy(make, method):
    a = make(6, dt=1.0).log_modes.numpy()
    dense = make(6, dt=0.05, discretization=method)
    A, B, *_ = scipy.signal.cont2discrete((np.diag(a), np.ones((len(a), 1)), np.eye(len(a)), 0.0), 0.05, method)
    np.testing.assert_allclose(dense.log_modes.exp().numpy(), np.diag(A), rtol=1e-13)
    np.testing.assert_allclose(dense.B.numpy(), B, rtol=1e-12)


@pytest.mark.parametrize("make", [*DIAGONAL, init.hippo_legs])
def test_a_tensor_of_steps_gives_a_batch(make):
    dt = torch.tensor([[0.1, 0.03, 0.01], [0.5, 0.2, 0.001]], dtype=torch.float64)
    batch = make(8, dt)
    assert batch.batch_shape == (2, 3)
    assert batch.d_state == 8
    one = make(8, 0.2)
    torch.testing.assert_close(batch.eigenvalues[1, 1], one.eigenvalues, rtol=1e-15, atol=0)
    torch.testing.assert_close(batch.B[1, 1], one.B, rtol=1e-15, atol=0)


def test_tiny_steps_are_not_rounded_away():
    assert (init.s4d_lin(8, dt=1e-20).log_modes.real == -0.5e-20).all()


def test_memory_is_differentiable_in_the_step():
    dt = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    memory_function(init.s4d_inv(8, dt), [20]).values.sum().backward()
    near = [float(memory_function(init.s4d_inv(8, 0.05 + h), [20]).values) for h in (1e-6, -1e-6)]
    assert float(dt.grad) == pytest.approx((near[0] - near[1]) / 2e-6, rel=1e-6)


def test_rank_counts_the_real_mode_once_and_aliased_modes_once():
    assert [int(init.s4d_lin(n, dt=0.001).rank) for n in (2, 8, 64)] == [1, 7, 63]
    assert [int(init.s4d_lin(n, dt=0.1).rank) for n in (16, 20, 64, 128)] == [15, 19, 20, 20]
    assert int(init.s4d_lin(64, dt=0.1, discretization="bilinear").rank) == 63
    assert [int(make(64, dt=0.001).rank) for make in DIAGONAL[1:]] == [64, 64, 64]
