import control
import numpy as np
import pytest
import torch
from scipy.signal import dimpulse

from ssmemory import HasSystem, LinearSystem, memory_function

RNG = np.random.default_rng(0)
STABLE = RNG.standard_normal((4, 4)) / 4


def impulse_response(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, length: int) -> np.ndarray:
    """Run the recursion, one input at a time: (length, outputs, inputs)."""
    response = np.zeros((length, len(C), B.shape[1]), np.result_type(A, B, C, D))
    for i in range(B.shape[1]):
        state = np.zeros(len(A), response.dtype)
        for t in range(length):
            u = np.eye(B.shape[1])[i] * (t == 0)
            state = A @ state + B @ u
            response[t, :, i] = C @ state + D @ u
    return response


class TestMarkovParameters:
    @pytest.mark.parametrize("factor", [1.0, 0.6 + 0.8j], ids=["real", "complex"])
    def test_dense(self, factor):
        shapes = {"A": (4, 4), "B": (4, 2), "C": (3, 4), "D": (3, 2)}
        A, B, C, D = (factor / 4 * RNG.standard_normal(shape) for shape in shapes.values())
        got = LinearSystem.from_matrices(A, B, C, D).markov_parameters(12)
        np.testing.assert_allclose(got, impulse_response(A, B, C, D, 12), rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("which", ["A", "B", "C"])
    def test_dense_with_one_complex_matrix(self, which):
        parts = {"A": STABLE, "B": RNG.standard_normal((4, 1)), "C": RNG.standard_normal((1, 4))}
        parts[which] = parts[which] * (1 + 0.5j)
        got = LinearSystem.from_matrices(**parts).markov_parameters(6)
        np.testing.assert_allclose(got, impulse_response(**parts, D=np.zeros((1, 1)), length=6), rtol=1e-12)

    def test_scipy_counts_from_the_input_before(self):
        B, C = RNG.standard_normal((4, 1)), RNG.standard_normal((1, 4))
        outputs = dimpulse((STABLE, B, C, np.zeros((1, 1)), 1.0), n=13)[1][0]
        got = LinearSystem.from_matrices(STABLE, B, C).markov_parameters(12)
        np.testing.assert_allclose(got[:, 0], outputs[1:], rtol=1e-12)

    def test_diagonal(self):
        modes, D = 0.9 * np.exp([0.3j, -2j, 0]), np.array([[2.0, -1.0]])
        B, C = RNG.standard_normal((3, 2)) + 1j, RNG.standard_normal((1, 3)) * (1 - 2j)
        got = LinearSystem.from_eigenvalues(modes, B, C, D).markov_parameters(20)
        np.testing.assert_allclose(got, impulse_response(np.diag(modes), B, C, D, 20), rtol=1e-12, atol=1e-14)

    def test_conjugate_pairs_against_a_real_state_twice_as_large(self):
        modes, B, C = 0.95 * np.exp([0.3j, -2j]), np.array([1 + 2j, -0.5j]), np.array([0.3 - 1j, 2.0 + 0j])
        turns = [np.array([[m.real, -m.imag], [m.imag, m.real]]) for m in modes]
        A = np.block([[turns[0], np.zeros((2, 2))], [np.zeros((2, 2)), turns[1]]])
        real_B = np.stack([B.real, B.imag], 1).reshape(4, 1)
        real_C = 2 * np.stack([C.real, -C.imag], 1).reshape(1, 4)
        got = LinearSystem.from_eigenvalues(modes, B, C, 0.7, conj_sym=True).markov_parameters(20)
        assert not got.is_complex()
        np.testing.assert_allclose(got, impulse_response(A, real_B, real_C, np.array([[0.7]]), 20), rtol=1e-12)

    def test_batch(self):
        modes = np.array([[0.5, 0.9j], [-0.3, 0.2 + 0.1j]])
        C, D = np.array([[1, 2.0], [3, -1j]]), np.array([0.5, -2.0])
        got = LinearSystem.from_eigenvalues(modes, C=C, D=D).markov_parameters(5)
        for k in range(2):
            wanted = impulse_response(np.diag(modes[k]), np.ones((2, 1)), C[k : k + 1], D[k].reshape(1, 1), 5)
            np.testing.assert_allclose(got[k], wanted, rtol=1e-13)


class TestToDense:
    @pytest.mark.parametrize("conj_sym", [False, True])
    def test_same_eigenvalues_response_and_memory(self, conj_sym):
        modes, B, C = np.array([0.8 * np.exp(1j), 0.5 - 0.3j, 0.7]), [1.0, 2j, 1 + 1j], [0.3, 1j, -2]
        system = LinearSystem.from_eigenvalues(modes, B, C, 0.5, conj_sym=conj_sym)
        dense = system.to_dense()
        closure = np.concatenate([modes, modes.conj()]) if conj_sym else modes
        assert dense.d_state == system.d_state == len(closure)
        np.testing.assert_allclose(np.linalg.eigvals(dense.A), closure, rtol=1e-14)
        np.testing.assert_allclose(dense.markov_parameters(9), system.markov_parameters(9), rtol=1e-12)
        assert int(dense.rank) == int(system.rank) == (5 if conj_sym else 3)
        np.testing.assert_allclose(memory_function(dense, 9).values, memory_function(system, 9).values, rtol=1e-12)

    def test_a_dense_system_is_itself(self):
        system = LinearSystem.from_matrices(STABLE, np.ones(4))
        assert system.to_dense() is system


class TestEigenvalues:
    def test_given_ones_come_back(self):
        given = [0.9, -0.3 + 0.4j, 0.0, 1 - 1e-15]
        np.testing.assert_allclose(LinearSystem.from_eigenvalues(given).eigenvalues, given, rtol=4e-16)

    def test_conjugates_are_appended(self):
        got = LinearSystem.from_eigenvalues([0.5, 0.3j], conj_sym=True).eigenvalues
        np.testing.assert_allclose(got, [0.5, 0.3j, 0.5, -0.3j], rtol=1e-15)

    def test_log_eigenvalues_are_held_as_given(self):
        logs = [-1e-20 + 1j, -3.0]
        assert LinearSystem.from_log_eigenvalues(logs).log_eigenvalues.tolist() == logs

    def test_of_a_dense_matrix(self):
        got = np.sort_complex(LinearSystem.from_matrices(STABLE, np.ones(4)).eigenvalues.numpy())
        np.testing.assert_allclose(
            got, np.sort_complex(control.ss(STABLE, np.ones((4, 1)), [1, 1, 1, 1], 0, 1).poles())
        )

    def test_of_a_triangular_matrix_are_its_diagonal_to_the_last_bit(self):
        A = np.tril(1000 * RNG.standard_normal((30, 30)), -1) + np.diag(np.linspace(-0.9, 0.9, 30))
        for matrix in (A, A.T):
            got = LinearSystem.from_matrices(matrix, np.ones(30)).eigenvalues
            assert got.tolist() == np.diag(A).tolist()


class TestShapes:
    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ({}, (2, 3, 1)),
            ({"B": np.ones(3)}, (2, 3, 1)),
            ({"B": np.ones((2, 3))}, (2, 3, 1)),
            ({"B": np.ones((3, 4))}, (2, 3, 4)),
            ({"B": np.ones((2, 3, 4))}, (2, 3, 4)),
        ],
    )
    def test_of_B(self, given, wanted):
        system = LinearSystem.from_eigenvalues(np.full((2, 3), 0.5), **given)
        assert (tuple(system.B.shape), tuple(system.batch_shape), system.n_inputs) == (wanted, (2,), wanted[-1])

    @pytest.mark.parametrize(
        ("C", "D", "outputs"),
        [
            (np.ones(3), 1.0, 1),
            (np.ones((2, 3)), np.ones(2), 1),
            (np.ones((2, 5, 3)), np.ones((5, 1)), 5),
            (np.ones((2, 5, 3)), np.ones((2, 5, 1)), 5),
        ],
    )
    def test_of_C_and_D(self, C, D, outputs):
        system = LinearSystem.from_matrices(np.zeros((2, 3, 3)), np.ones(3), C, D)
        assert tuple(system.C.shape) == (2, outputs, 3)
        assert tuple(system.D.shape) == (2, outputs, 1)

    @pytest.mark.parametrize(
        "given",
        [
            [0.5, 0.25],
            (0.5, 0.25),
            np.array([0.5, 0.25], np.float32),
            torch.tensor([0.5, 0.25]),
            np.array([0.25, 0.5])[::-1],
        ],
        ids=["list", "tuple", "float32", "tensor", "reversed view"],
    )
    def test_any_array_becomes_double(self, given):
        eigenvalues = LinearSystem.from_eigenvalues(given).eigenvalues
        assert eigenvalues.dtype == torch.complex128
        np.testing.assert_allclose(eigenvalues, [0.5, 0.25], rtol=1e-15)

    def test_a_list_of_floats_is_not_rounded_to_single(self):
        assert LinearSystem.from_matrices([[0.1]], [1.0]).A.item() == 0.1

    @pytest.mark.parametrize(
        ("system", "wanted"),
        [
            (LinearSystem.from_eigenvalues([0.5]), "LinearSystem(diagonal, d_state=1, inputs=1)"),
            (
                LinearSystem.from_eigenvalues(np.full((7, 2), 0.5), conj_sym=True),
                "LinearSystem(diagonal, conjugate pairs, batch=(7,), d_state=4, inputs=1)",
            ),
            (LinearSystem.from_matrices(np.zeros((3, 3)), np.ones((3, 2))), "LinearSystem(dense, d_state=3, inputs=2)"),
        ],
    )
    def test_repr(self, system, wanted):
        assert repr(system) == wanted


def test_has_system_is_told_by_its_method():
    class Layer:
        def system(self):
            return LinearSystem.from_eigenvalues([0.5])

    assert isinstance(Layer(), HasSystem)
    assert not isinstance(object(), HasSystem)
