"""LegT and FouT: against the Padé approximant, the window's own integrals, and scipy's discretisation."""

import mpmath
import numpy as np
import pytest
import scipy.signal
import torch
from numpy.polynomial import Legendre

from ssmemory import init, memory_capacity
from ssmemory.errors import InputError

NAMES = ["hippo_legt", "hippo_fout"]


def matrices(name, d_state):
    return tuple(matrix.numpy() for matrix in getattr(init, f"{name}_matrices")(d_state))


def fourier(n, tau):
    """Return the n-th of 1, 0, √2 cos 2πτ, √2 sin 2πτ, √2 cos 4πτ, …."""
    wave = (mpmath.cos, mpmath.sin)[n % 2](2 * mpmath.pi * (n // 2) * tau)
    return wave * (1 if n < 2 else mpmath.sqrt(2))


def window_integral(s, n):
    return complex(mpmath.quad(lambda tau: mpmath.exp(-s * tau) * fourier(n, tau), [0, 0.5, 1]))


@pytest.mark.parametrize("d_state", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("s", [0.0, 0.5, 2j, 3 + 4j])
def test_legt_reads_the_delayed_input_as_pade_s_approximant(d_state, s):
    A, B = matrices("hippo_legt", d_state)
    end = [np.sqrt(2 * n + 1) * Legendre.basis(n)(-1.0) for n in range(d_state)]
    got = end @ np.linalg.solve(s * np.eye(d_state) - A, B)
    with mpmath.workdps(50):
        series = mpmath.taylor(lambda z: mpmath.exp(-z), 0, 2 * d_state - 1)
        numerator, denominator = mpmath.pade(series, d_state - 1, d_state)
        wanted = complex(mpmath.polyval(numerator[::-1], s) / mpmath.polyval(denominator[::-1], s))
    assert abs(got - wanted) < 1e-11 * abs(wanted)


def test_legt_holds_the_window_in_legendre_polynomials():
    """A slow input is held almost exactly: its steady states are ∫_0^1 e^{−sτ} p_n(τ) dτ."""
    A, B = matrices("hippo_legt", 12)
    for s in (0.0, 0.5j, 2j):
        got = np.linalg.solve(s * np.eye(12) - A, B)
        nodes, weights = np.polynomial.legendre.leggauss(60)
        tau = (nodes + 1) / 2
        for n in range(6):
            p = np.sqrt(2 * n + 1) * Legendre.basis(n)(1 - 2 * tau)
            assert abs(got[n] - (weights / 2 * np.exp(-s * tau)) @ p) < 1e-12


@pytest.mark.parametrize("d_state", [2, 4, 8])
def test_fout_s_steady_states_are_the_window_s_coefficients(d_state):
    A, B = matrices("hippo_fout", d_state)
    reached = [n for n in range(d_state) if n != 1]
    assert not A[1].any()
    assert not A[:, 1].any()
    assert B[1] == 0
    for m in range(1 - d_state // 2, d_state // 2):
        s = 2j * np.pi * m
        got = np.linalg.solve(s * np.eye(d_state - 1) - A[np.ix_(reached, reached)], B[reached])
        wanted = [window_integral(s, n) for n in reached]
        np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_fout_decays_but_for_the_state_that_is_never_reached():
    A, _ = matrices("hippo_fout", 16)
    values = np.linalg.eigvals(np.delete(np.delete(A, 1, 0), 1, 1))
    assert values.real.max() < -0.1
    np.testing.assert_allclose(np.trace(A), -2 * 15, atol=1e-12)  # −2 |b|²


def test_an_odd_d_state_of_fout_is_refused():
    with pytest.raises(InputError, match=r"^d_state: expected an even number, got 7; .* use 6 or 8$"):
        init.hippo_fout(7, 0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_discretisation_equals_scipy(name, method):
    A, B = matrices(name, 8)
    system = init.initialiser(name)(8, 0.1, discretization=method)
    A_bar, B_bar, *_ = scipy.signal.cont2discrete((A, B[:, None], np.eye(8), 0.0), 0.1, method)
    np.testing.assert_allclose(system.A.numpy(), A_bar, atol=1e-13)
    np.testing.assert_allclose(system.B.numpy(), B_bar, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_steps(name):
    dt = torch.tensor([0.1, 0.01], dtype=torch.float64)
    system = init.initialiser(name)(6, dt)
    assert system.batch_shape == (2,)
    for k in range(2):
        torch.testing.assert_close(system.A[k], init.initialiser(name)(6, float(dt[k])).A)


@pytest.mark.parametrize(("name", "rank"), [("hippo_legt", 32), ("hippo_fout", 31)])
def test_the_window_holds_as_many_directions_as_states(name, rank):
    system = init.initialiser(name)(32, 0.01)
    assert int(system.rank) == rank
    assert float(memory_capacity(system)) == pytest.approx(rank, abs=1e-7)
