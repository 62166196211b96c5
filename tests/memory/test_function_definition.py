"""Against the definition, by tools that know nothing of all-pass filters: Gramians, and regression on samples."""

import control
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from scipy.signal import lfilter
from tests.reference.stein import memory_of_matrices

from ssmemory import LinearSystem, memory_function

RNG = np.random.default_rng(11)


def contraction(n: int, fields: type) -> np.ndarray:
    """A well-conditioned stable matrix: half an orthogonal one and half noise."""
    noise = RNG.standard_normal((2, n, n))
    turn = np.linalg.qr(noise[0])[0]
    A = turn + 0.2 * noise[1] + (0.1j * noise[0] if fields is complex else 0)
    return 0.9 * A / np.abs(np.linalg.eigvals(A)).max()


def by_gramian(A: np.ndarray, b: np.ndarray, gram: np.ndarray, length: int) -> np.ndarray:
    states = [b]
    for _ in range(length - 1):
        states.append(A @ states[-1])
    return np.array([np.real(x.conj() @ np.linalg.solve(gram, x)) for x in states])


@pytest.mark.parametrize("fields", [float, complex])
@pytest.mark.parametrize("n", [1, 2, 6])
class TestGramian:
    def test_of_scipy(self, n, fields):
        A, b = contraction(n, fields), RNG.standard_normal(n).astype(fields)
        wanted = by_gramian(A, b, solve_discrete_lyapunov(A, np.outer(b, b.conj())), 60)
        got = memory_function(LinearSystem.from_matrices(A, b), 60).values
        np.testing.assert_allclose(got, wanted, atol=1e-9)

    def test_in_multiprecision(self, n, fields):
        A, b, lags = contraction(n, fields), RNG.standard_normal(n).astype(fields), [0, 1, 7, 100]
        got = memory_function(LinearSystem.from_matrices(A, b), lags).values
        np.testing.assert_allclose(got, memory_of_matrices(A, b, lags), rtol=1e-10)


def test_leverage_scores_of_the_krylov_rows():
    """On a well-conditioned spectrum, MF is the diagonal of the projection on the rows [B, AB, A²B, …]."""
    eigenvalues = 0.8 * np.exp(2j * np.pi * np.arange(8) / 8)
    basis = np.linalg.qr(np.vander(eigenvalues, 400, increasing=True).conj().T)[0]
    got = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 400).values
    np.testing.assert_allclose(got, np.square(np.abs(basis)).sum(1), atol=1e-14)


SAMPLES, LAGS = 200_000, [0, 1, 2, 4, 8, 12, 20]
MODES = np.array([0.9 * np.exp(0.5j), 0.8 * np.exp(-1.4j), 0.85])


def states_of_modes(b: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.stack([lfilter([gain], [1, -mode], u) for mode, gain in zip(MODES, b, strict=True)], 1)


def states_of_plant(A: np.ndarray, b: np.ndarray, u: np.ndarray) -> np.ndarray:
    plant = control.ss(A, b[:, None], A, b[:, None], dt=1)  # control's x[t] has not seen u[t]; its A x + B u has
    return control.forced_response(plant, inputs=u).outputs.T


def explained(states: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Share of the variance of u[t−τ] that a linear read-out of x[t] explains."""
    start = 200 + max(LAGS)
    targets = np.stack([u[start - lag : len(u) - lag] for lag in LAGS], 1)
    weights = np.linalg.lstsq(states[start:], targets, rcond=None)[0]
    residual = targets - states[start:] @ weights
    return 1 - np.square(np.abs(residual)).mean(0) / np.square(targets).mean(0)


@pytest.mark.parametrize("reader", ["complex state", "its real and imaginary parts", "dense real state"])
def test_regression_on_samples(reader):
    u = np.random.default_rng(0).standard_normal(SAMPLES)
    if reader == "dense real state":
        A, b = contraction(4, float), RNG.standard_normal(4)
        system, states = LinearSystem.from_matrices(A, b), states_of_plant(A, b, u)
    else:
        b = np.array([1.0, 2j, -0.5])
        states = states_of_modes(b, u)
        real = reader != "complex state"
        system = LinearSystem.from_eigenvalues(MODES, b, conj_sym=real)
        states = np.concatenate([states.real, states.imag], 1)[:, :5] if real else states  # the real mode has no 6th
    wanted = memory_function(system, LAGS).values.numpy()
    assert wanted.max() - wanted.min() > 0.5
    np.testing.assert_allclose(explained(states, u), wanted, atol=4 / np.sqrt(SAMPLES))


def test_leaving_the_conjugates_out_would_be_seen():
    closed, open_ = (
        memory_function(LinearSystem.from_eigenvalues(MODES, conj_sym=c), LAGS).values for c in (True, False)
    )
    assert float((closed - open_).abs().max()) > 0.2
