import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from tests.one_line import assert_one_line

from ssmemory import LinearSystem
from ssmemory.errors import InputError, UnstableError
from ssmemory.systems.gramians import controllability_gramian, gramian_factors, observability_gramian


def entries(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def relative(got, expected):
    return np.abs(np.asarray(got) - expected).max() / np.abs(expected).max()


@pytest.fixture
def system():
    rng = np.random.default_rng(0)
    values = 0.97 * rng.uniform(size=(2, 5)) ** 0.5 * np.exp(6.3j * rng.uniform(size=(2, 5)))
    return LinearSystem.from_eigenvalues(values, entries(rng, 2, 5, 2), entries(rng, 2, 3, 5), conj_sym=True)


class TestDiagonal:
    def test_they_solve_their_equations_in_the_coordinates_of_the_dense_system(self, system):
        dense = system.to_dense()
        P, Q = controllability_gramian(system), observability_gramian(system)
        assert P.shape == Q.shape == (2, 10, 10)
        assert relative(dense.A @ P @ dense.A.mH + dense.B @ dense.B.mH, P.numpy()) < 1e-14
        assert relative(dense.A.mH @ Q @ dense.A + dense.C.mH @ dense.C, Q.numpy()) < 1e-14

    def test_digits_stay_near_the_circle(self):
        values = (1 - np.array([1e-3, 1e-9, 1e-12])) * np.exp([0.3j, 1j, 1j + 1e-9j])
        with mpmath.workdps(50):
            exact = [mpmath.mpc(complex(v)) for v in values]
            P = np.array([[complex(1 / (1 - a * mpmath.conj(b))) for b in exact] for a in exact])
        system = LinearSystem.from_eigenvalues(values, C=[1, 1, 1])
        close = 3e-7  # the phase of λ, 1e-16, against a distance of 1e-9
        np.testing.assert_allclose(controllability_gramian(system), P, rtol=close)
        np.testing.assert_allclose(observability_gramian(system), P.conj(), rtol=close)
        np.testing.assert_allclose(np.diag(controllability_gramian(system)), np.diag(P), rtol=1e-15)

    def test_a_mode_at_zero_and_one_not_driven(self):
        system = LinearSystem.from_eigenvalues([0, 0.5, 0.9], B=[2, 1, 0])
        assert controllability_gramian(system).real.tolist() == [[4, 2, 0], [2, pytest.approx(4 / 3), 0], [0, 0, 0]]

    def test_they_have_gradients(self):
        logs = torch.tensor([-0.1 + 1j, -0.3 + 0.2j], dtype=torch.complex128, requires_grad=True)
        B = torch.ones(2, dtype=torch.complex128, requires_grad=True)

        def trace(logs, B):
            return controllability_gramian(LinearSystem.from_log_eigenvalues(logs, B)).abs().sum()

        assert torch.autograd.gradcheck(trace, (logs, B))


class TestDense:
    def test_it_agrees_with_the_diagonal_form(self, system):
        assert relative(controllability_gramian(system.to_dense()), controllability_gramian(system).numpy()) < 1e-12
        assert relative(observability_gramian(system.to_dense()), observability_gramian(system).numpy()) < 1e-12

    @pytest.mark.parametrize("n", [3, 20])
    def test_it_agrees_with_scipy_and_stays_real(self, n):
        rng = np.random.default_rng(n)
        A = rng.normal(size=(n, n)) / n**0.5 / 2
        B, C = rng.normal(size=(n, 2)), rng.normal(size=(1, n))
        system = LinearSystem.from_matrices(A, B, C)
        P, Q = controllability_gramian(system), observability_gramian(system)
        assert P.dtype == Q.dtype == torch.float64
        assert relative(P, scipy.linalg.solve_discrete_lyapunov(A, B @ B.T)) < 1e-13
        assert relative(Q, scipy.linalg.solve_discrete_lyapunov(A.T, C.T @ C)) < 1e-13
        assert bool((P == P.T).all())


class TestFactors:
    def test_their_squares_are_the_gramians_of_the_plain_matrices(self, system):
        factors = gramian_factors(system)
        assert factors.A.dtype == factors.S.dtype == factors.L.dtype == torch.float64
        plain = LinearSystem.from_matrices(factors.A, factors.B, factors.C, system.D)
        assert relative(factors.S @ factors.S.mH, controllability_gramian(plain).numpy()) < 1e-13
        assert relative(factors.L.mH @ factors.L, observability_gramian(plain).numpy()) < 1e-13
        np.testing.assert_allclose(plain.markov_parameters(20), system.markov_parameters(20), atol=1e-13)

    @pytest.mark.parametrize("phase", [0, np.pi])
    def test_a_real_diagonal_system_stays_real(self, phase):
        system = LinearSystem.from_eigenvalues([0.5 * np.exp(1j * phase).real, 0], C=[1, 1])
        assert not gramian_factors(system).A.is_complex()

    def test_a_dense_system_whose_powers_overflow_is_refused(self):
        system = LinearSystem.from_matrices([[0.9999, 1e305], [0, 0.9998]], [1, 0], C=[0, 1])
        with pytest.raises(InputError, match="do not decay"):
            gramian_factors(system)


class TestRefusals:
    @pytest.mark.parametrize("measure", [controllability_gramian, observability_gramian])
    def test_unstable(self, measure):
        for system in (
            LinearSystem.from_eigenvalues([0.5, 1.0], B=[1, 0], C=[1, 1]),
            LinearSystem.from_matrices([[1.5]], [1], C=[1]),
        ):
            with pytest.raises(UnstableError, match=r"max \|λ\| = 1") as caught:
                measure(system)
            assert_one_line(str(caught.value), r"every \|λ\| < 1", "1", "scale the eigenvalues")

    def test_no_read_out_and_no_system(self):
        with pytest.raises(InputError, match="C: expected a read-out"):
            observability_gramian(LinearSystem.from_eigenvalues([0.5]))
        with pytest.raises(InputError, match="a LinearSystem"):
            controllability_gramian(torch.eye(2))
