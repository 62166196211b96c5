import mpmath
import numpy as np
import pytest
import torch
from scipy.signal import cont2discrete
from tests.reference.hippo import legs

from ssmemory import LinearSystem
from ssmemory.systems import discretize_diagonal

mpmath.mp.dps = 60
METHODS = ["zoh", "bilinear"]


def discrete(A: np.ndarray, B: np.ndarray, dt: float, method: str) -> tuple[np.ndarray, np.ndarray]:
    n, m = B.shape
    return cont2discrete((A, B, np.eye(n), np.zeros((n, m))), dt, method=method)[:2]


@pytest.mark.parametrize("method", METHODS)
class TestAgainstScipy:
    @pytest.mark.parametrize("dt", [1e-3, 0.1, 1.0])
    def test_diagonal(self, method, dt):
        A = np.array([-0.5, -1 + 3j, -0.1 - 2j, -7])
        B = np.array([1, 2 - 1j, 0.5j, -3])
        A_bar, B_bar = discrete(np.diag(A), B[:, None], dt, method)
        system = LinearSystem.from_continuous(A, B, dt=dt, discretization=method)
        np.testing.assert_allclose(system.eigenvalues, np.diag(A_bar), rtol=1e-13)
        np.testing.assert_allclose(system.B, B_bar, rtol=1e-12)

    def test_diagonal_with_one_step_a_system(self, method):
        A, dt = np.array([[-1 + 1j, -2], [-0.3, -1j - 1]]), np.array([0.1, 0.5])
        system = LinearSystem.from_continuous(A, dt=dt, discretization=method)
        for k in range(2):
            A_bar, B_bar = discrete(np.diag(A[k]), np.ones((2, 1)), dt[k], method)
            np.testing.assert_allclose(system.eigenvalues[k], np.diag(A_bar), rtol=1e-13)
            np.testing.assert_allclose(system.B[k], B_bar, rtol=1e-13)

    def test_one_diagonal_spectrum_at_several_steps(self, method):
        system = LinearSystem.from_continuous([-1 + 1j, -2], dt=[0.1, 0.5, 1.0], discretization=method)
        assert system.batch_shape == (3,)
        for k, dt in enumerate([0.1, 0.5, 1.0]):
            A_bar, B_bar = discrete(np.diag([-1 + 1j, -2]), np.ones((2, 1)), dt, method)
            np.testing.assert_allclose(system.eigenvalues[k], np.diag(A_bar), rtol=1e-13)
            np.testing.assert_allclose(system.B[k], B_bar, rtol=1e-13)

    def test_dense_at_several_steps_with_two_inputs(self, method):
        rng = np.random.default_rng(0)
        A, B = rng.standard_normal((5, 5)) - 4 * np.eye(5), rng.standard_normal((5, 2))
        system = LinearSystem.from_continuous_matrices(A, B, dt=[0.01, 0.1, 0.7], discretization=method)
        assert system.batch_shape == (3,)
        for k, dt in enumerate([0.01, 0.1, 0.7]):
            A_bar, B_bar = discrete(A, B, dt, method)
            np.testing.assert_allclose(system.A[k], A_bar, rtol=1e-11, atol=1e-14)
            np.testing.assert_allclose(system.B[k], B_bar, rtol=1e-11, atol=1e-14)

    def test_dense_batch(self, method):
        rng = np.random.default_rng(1)
        A, B = rng.standard_normal((2, 3, 3)) - 3 * np.eye(3), rng.standard_normal((2, 3))
        system = LinearSystem.from_continuous_matrices(A, B, dt=[0.1, 0.3], discretization=method)
        for k, dt in enumerate([0.1, 0.3]):
            A_bar, B_bar = discrete(A[k], B[k][:, None], dt, method)
            np.testing.assert_allclose(system.A[k], A_bar, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(system.B[k], B_bar, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("flip", [False, True], ids=["lower", "upper"])
    def test_triangular_stays_exactly_triangular(self, method, flip):
        A, B = legs(16)
        A, clear = (A.T, np.tril) if flip else (A, np.triu)
        got = LinearSystem.from_continuous_matrices(A, B, dt=0.1, discretization=method).A.numpy()
        A_bar = discrete(A, B[:, None], 0.1, method)[0]
        assert not clear(got, -1 if flip else 1).any()
        np.testing.assert_allclose(got, A_bar, rtol=1e-9, atol=1e-13)


def test_triangular_stays_exactly_triangular_where_the_solve_has_to_pivot():
    system = LinearSystem.from_continuous_matrices(*legs(16), dt=10.0, discretization="bilinear")
    assert not np.triu(system.A.numpy(), 1).any()


@pytest.mark.parametrize("dt", [1e-4, 0.01, 1.0])
def test_dense_hold_has_the_digits_of_a_multiprecision_exponential(dt):
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((4, 4)) - 2 * np.eye(4), rng.standard_normal((4, 1))
    block = mpmath.matrix(np.block([[A, B], [np.zeros((1, 5))]]).tolist())
    wanted = np.array(mpmath.expm(block * mpmath.mpf(dt)).tolist(), float)[:4]
    system = LinearSystem.from_continuous_matrices(A, B, dt=dt)
    np.testing.assert_allclose(system.A, wanted[:, :4], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(system.B, wanted[:, 4:], rtol=1e-12)


NEAR_THE_CIRCLE = [-1e-12 + 0j, -1e-12 + 1e-3j, -1e-9 + 2j, -1e-15 + 1e-15j]
INSIDE = [-0.5 + 3j, -1.0 + 0j, -1.9 + 0.3j]


def continued(z: complex, method: str) -> mpmath.mpc:
    exact = mpmath.mpc(z)
    return mpmath.exp(exact) if method == "zoh" else (1 + exact / 2) / (1 - exact / 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("z", NEAR_THE_CIRCLE + INSIDE)
class TestDigits:
    def test_distance_to_the_circle(self, z, method):
        wanted = 1 - abs(continued(z, method)) ** 2
        got = float(LinearSystem.from_continuous([z], dt=1.0, discretization=method).spectrum().margins)
        assert abs(got - wanted) < 2e-15 * wanted

    def test_input_factor(self, z, method):
        exact = mpmath.mpc(z)
        wanted = mpmath.expm1(exact) / exact if method == "zoh" else 1 / (1 - exact / 2)
        got = complex(LinearSystem.from_continuous([z], dt=1.0, discretization=method).B)
        assert abs(got - wanted) < 4e-16 * abs(wanted)


@pytest.mark.parametrize("z", [-1.99, -1.99999, -2 * (1 + 1e-9), -2 * (1 - 1e-9), -2 + 1e-7j, -2.001 - 0.01j, -40.0])
def test_bilinear_eigenvalue_near_0_keeps_its_digits(z):
    wanted = continued(z, "bilinear")
    got = complex(LinearSystem.from_continuous([z], dt=1.0, discretization="bilinear").eigenvalues)
    assert abs(got - wanted) < 1e-14 * abs(wanted)


def test_bilinear_maps_minus_two_to_zero():
    assert complex(LinearSystem.from_continuous([-20.0], dt=0.1, discretization="bilinear").eigenvalues) == 0


def test_hold_of_an_integrator_is_the_step():
    A, dt = torch.zeros(2, dtype=torch.complex128), torch.tensor([0.25], dtype=torch.float64)
    log, hold = discretize_diagonal(A, dt, "zoh")
    assert log.tolist() == [0, 0]
    assert hold.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_A_and_dt(method):
    A = torch.tensor([-0.5 + 3j, -1.0, -0.1 + 0.2j, 0.0], dtype=torch.complex128, requires_grad=True)
    dt = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    split = torch.view_as_real
    assert torch.autograd.gradcheck(lambda a, s: split(torch.stack(discretize_diagonal(a, s, method))), (A[:3], dt))


@pytest.mark.parametrize("method", METHODS)
def test_a_complex_input_matrix_keeps_its_imaginary_part(method):
    A, B = np.array([[-1.0, 0.2], [0.0, -2.0]]), np.array([[1j], [1 + 2j]])
    system = LinearSystem.from_continuous_matrices(A, B, dt=0.1, discretization=method)
    np.testing.assert_allclose(system.B, discrete(A.astype(complex), B, 0.1, method)[1], rtol=1e-13)
