import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from numpy.polynomial import Legendre

from ssmemory import init, memory_function


def difference(left, right, lags=200):
    return (memory_function(left, lags).values - memory_function(right, lags).values).abs().max().item()


def test_impulse_response_is_legendre_in_exponential_time():
    A, B = (matrix.numpy() for matrix in init.hippo_legs_matrices(8))
    for time in (0.0, 0.1, 1.0, 3.0):
        decay = np.exp(-time)
        expected = [np.sqrt(2 * n + 1) * decay * Legendre.basis(n)(2 * decay - 1) for n in range(8)]
        np.testing.assert_allclose(scipy.linalg.expm(A * time) @ B, expected, atol=1e-12)


def test_zero_order_hold_integrates_the_legendre_response():
    """A_bar^k B_bar = ∫ e^{tA} B dt over step k; with s = e^{−t} the integrand is a polynomial."""
    dt, steps = 0.3, 6
    system = init.hippo_legs(6, dt, discretization="zoh")
    state = system.B
    for k in range(steps):
        low, high = np.exp(-(k + 1) * dt), np.exp(-k * dt)
        areas = [Legendre.basis(n, domain=[0, 1]).integ() for n in range(6)]
        expected = [np.sqrt(2 * n + 1) * (area(high) - area(low)) for n, area in enumerate(areas)]
        np.testing.assert_allclose(state.squeeze(-1).numpy(), expected, atol=1e-13)
        state = system.A @ state


def test_the_states_of_a_long_past_are_orthonormal():
    """∫ e^{tA} B Bᵀ e^{tAᵀ} dt solves the Lyapunov equation; with weight e^{−t} in s the basis is orthonormal."""
    A, B = (matrix.numpy() for matrix in init.hippo_legs_matrices(12))
    gram = scipy.linalg.solve_continuous_lyapunov(A + 0.5 * np.eye(12), -np.outer(B, B))
    np.testing.assert_allclose(gram, np.eye(12), atol=1e-11)


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_discretisation_equals_scipy(method):
    A, B = (matrix.numpy() for matrix in init.hippo_legs_matrices(8))
    system = init.hippo_legs(8, 0.1, discretization=method)
    A_bar, B_bar, *_ = scipy.signal.cont2discrete((A, B[:, None], np.eye(8), 0.0), 0.1, method)
    np.testing.assert_allclose(system.A.numpy(), A_bar, atol=1e-14)
    np.testing.assert_allclose(system.B.numpy(), B_bar, atol=1e-14)
    assert bool((system.A.triu(1) == 0).all())


@pytest.mark.parametrize("d_state", [1, 8, 64])
@pytest.mark.parametrize(("method", "tolerance"), [("bilinear", 1e-14), ("zoh", 1e-10)])
def test_memory_equals_that_of_s4d_real(d_state, method, tolerance):
    """The hold goes through torch's matrix exponential, whose float64 is good to 2e-11 only at small norms."""
    dense, diagonal = (f(d_state, 0.01, discretization=method) for f in (init.hippo_legs, init.s4d_real))
    assert int(dense.rank) == d_state
    assert difference(dense, diagonal) < tolerance


def test_memory_is_not_that_of_s4d_inv():
    bilinear = {"dt": 0.1, "discretization": "bilinear"}
    assert difference(init.hippo_legs(8, **bilinear), init.s4d_inv(8, **bilinear)) == pytest.approx(0.63, abs=0.005)


def test_rank_one_correction_makes_it_normal():
    A, B = init.hippo_legs_matrices(16)
    p = B / 2**0.5
    skew = A + torch.outer(p, p) + 0.5 * torch.eye(16, dtype=torch.float64)
    torch.testing.assert_close(skew, -skew.mT, rtol=0, atol=1e-14)
