"""What counts with several inputs: ranks counted by hand or from controllability matrices, and the memory left."""

import control
import numpy as np
import pytest
import torch
from scipy.linalg import block_diag
from scipy.stats import ortho_group
from tests.reference import spectra
from tests.reference.stein import memory_of_inputs, memory_of_matrices_and_inputs

from ssmemory import LinearSystem, memory_capacity, memory_function
from ssmemory.errors import InputError, UnstableError

LAGS = [0, 1, 5, 40]
diagonal, dense = LinearSystem.from_eigenvalues, LinearSystem.from_matrices


def jordan(eigenvalue: float, size: int) -> np.ndarray:
    return eigenvalue * np.eye(size) + np.eye(size, k=1)


DIAGONAL = {
    "distinct": ([0.9, 0.5], [[1, 0], [1, 0]], {}, 2, 0, 0),
    "equal up to rounding, dependent up to rounding": ([0.3, 0.1 + 0.2], [[0.3, 1], [0.1 + 0.2, 1]], {}, 1, 1, 0),
    "equal, rows close but apart": ([0.3, 0.3], [[1, 0], [1, 1e-10]], {}, 2, 0, 0),
    "close but apart, the same row": ([0.5, 0.5 + 1e-10], [[1, 2], [1, 2]], {}, 2, 0, 0),
    "rows of any size": ([0.5, 0.5], [[1e-200, 0], [1e200, 1e190]], {}, 2, 0, 0),
    "more than the inputs": ([0.5] * 5, np.random.default_rng(0).standard_normal((5, 3)), {}, 3, 2, 0),
    "zero three times": ([0, 0, 0], [[1, 0], [0, 1], [1, 1]], {}, 2, 1, 0),
    "a pair given whole": ([0.5j, -0.5j], [[1, 2j], [1, -2j]], {"conj_sym": True}, 2, 2, 0),
    "two pairs at one place": ([0.5j, -0.5j], [[1, 2j], [1, 2j]], {"conj_sym": True}, 4, 0, 0),
    "a real mode with a real row": ([0.9], [[1, 2]], {"conj_sym": True}, 1, 1, 0),
    "a real mode with a complex row": ([0.9], [[1, 2j]], {"conj_sym": True}, 2, 0, 0),
    "nothing reached": ([0.9, 0.5], np.zeros((2, 2)), {}, 0, 0, 2),
}


@pytest.mark.parametrize(
    ("eigenvalues", "B", "options", "rank", "merged", "unreached"), DIAGONAL.values(), ids=DIAGONAL
)
def test_diagonal(eigenvalues, B, options, rank, merged, unreached):
    system = diagonal(eigenvalues, B, **options)
    spectrum = system.spectrum()
    assert (int(spectrum.rank), int(spectrum.merged), int(spectrum.unreached)) == (rank, merged, unreached)
    assert float(memory_capacity(system)) == pytest.approx(rank, abs=1e-9)


BLOCKS = block_diag(jordan(0.6, 3), jordan(0.6, 2))
THREE_BLOCKS = block_diag(jordan(0.6, 2), jordan(0.6, 2), [[0.6]])
DENSE = {
    "two blocks, two inputs": (BLOCKS, np.ones((5, 2)), 5),
    "three blocks, two inputs": (THREE_BLOCKS, np.ones((5, 2)), 4),
    "only the ends of the blocks": (BLOCKS, np.array([1.0, 1, 0, 1, 0])[:, None] * np.ones(2), 3),
    "each input its own block": (BLOCKS, block_diag(np.ones((3, 1)), np.ones((2, 1))), 5),
    "an eigenvalue thrice": (np.diag([0.5, 0.5, -0.2, 0.5]), np.ones((4, 2)), 3),
    "zero": (np.zeros((4, 4)), np.ones((4, 3)), 3),
    "axes not reached": (np.diag([0.9, 0.5, 0.7, -0.3]), np.array([1.0, 1, 0, 0])[:, None] * np.ones(2), 2),
    "nothing reached": (jordan(0.3, 3), np.zeros((3, 2)), 0),
}


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize(("A", "weights", "rank"), DENSE.values(), ids=DENSE)
def test_dense(A, weights, rank, turned):
    n, rng = len(A), np.random.default_rng(0)
    for draw in range(10):  # the rank must not hang on a lucky B or a lucky basis
        B = weights * rng.standard_normal(weights.shape)
        assert np.linalg.matrix_rank(control.ctrb(A, B), tol=1e-9) == rank  # the table itself
        basis = ortho_group.rvs(n, random_state=draw) if turned else np.eye(n)
        system = dense(basis @ A @ basis.T, basis @ B)
        assert int(system.rank) == rank
        assert float(memory_function(system, 20).capacity) == pytest.approx(rank, abs=1e-9)


@pytest.mark.parametrize(("reached", "unreached"), [(2, 3), (8, 4), (24, 8)])
def test_an_unreached_subspace_in_a_general_basis(reached, unreached):
    rng, n = np.random.default_rng(1), reached + unreached
    inside, outside = (rng.standard_normal((k, k)) for k in (reached, unreached))
    inside, outside = (0.9 * A / np.abs(np.linalg.eigvals(A)).max() for A in (inside, outside))
    A = np.block([[inside, rng.standard_normal((reached, unreached))], [np.zeros((unreached, reached)), outside]])
    B = rng.standard_normal((reached, 2))
    basis = ortho_group.rvs(n, random_state=1)
    system = dense(basis @ A @ basis.T, basis[:, :reached] @ B)
    assert int(system.spectrum().unreached) == unreached
    wanted = memory_of_matrices_and_inputs(inside, B, LAGS)
    np.testing.assert_allclose(memory_function(system, LAGS).values, wanted, rtol=1e-9)


def test_merged_modes_add_no_memory():
    eigenvalues, B = [0.9, 0.5j, 0.9, -0.7], np.array([[1, 2, 0], [0, 1, 1], [-2, -4, 0], [1, 1, 1.0]])
    keep = [0, 1, 3]
    wanted = memory_of_inputs([eigenvalues[k] for k in keep], B[keep], LAGS)
    np.testing.assert_allclose(memory_function(diagonal(eigenvalues, B), LAGS).values, wanted, rtol=1e-12)


def test_a_repeated_eigenvalue_with_independent_rows():
    eigenvalues, B = [0.9, 0.5j, 0.9, -0.7], np.array([[1, 2, 0], [0, 1, 1], [-2, 4, 1], [1, 1, 1.0]])
    wanted = memory_of_inputs(eigenvalues, B, LAGS)
    np.testing.assert_allclose(memory_function(diagonal(eigenvalues, B), LAGS).values, wanted, rtol=1e-12)
    np.testing.assert_allclose(memory_function(dense(np.diag(eigenvalues), B), LAGS).values, wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_a_batch_of_different_ranks(kind):
    modes = np.array([[0.9, 0.5, 0.1], [0.9, 0.9, 0.1], [0.2, 0.2, 0.2], [0.9, 0.5, -0.1]])
    B = np.array(
        [[[1.0, 0], [1, 1], [0, 1]], [[1, 2], [2, 4], [1, 0]], [[1, 2], [2, 4], [3, 6]], [[1, 2], [0, 0], [2, 1]]]
    )
    keep = [[0, 1, 2], [0, 2], [0], [0, 2]]
    system = diagonal(modes, B) if kind == "diagonal" else dense(np.stack([np.diag(row) for row in modes]), B)
    assert system.rank.tolist() == [3, 2, 1, 2]
    for lags in (6, LAGS):
        memory = memory_function(system, lags)
        for k, kept in enumerate(keep):
            wanted = memory_of_inputs(modes[k, kept], B[k, kept], range(6) if lags == 6 else lags)
            np.testing.assert_allclose(memory.values[k].sqrt(), np.sqrt(wanted), rtol=1e-11, atol=1e-16)
        np.testing.assert_allclose(memory.capacity, [3, 2, 1, 2], rtol=1e-11)


class TestStability:
    @pytest.mark.parametrize("outside", [1.0, 1j, 3.0])
    def test_a_counted_mode_must_be_stable(self, outside):
        with pytest.raises(UnstableError, match=r"every \|λ\| < 1"):
            memory_function(diagonal([0.5, outside], np.eye(2)), 3)

    def test_an_unstable_dense_matrix(self):
        with pytest.raises(UnstableError):
            memory_function(dense(np.diag([0.5, 1.5]) + np.eye(2, k=1), np.eye(2)), 3)

    @pytest.mark.parametrize("kind", ["diagonal", "dense"])
    def test_an_unreached_mode_may_be_unstable(self, kind):
        B = [[0.0, 0.0], [1.0, 2.0]]
        system = diagonal([2.0, 0.5], B) if kind == "diagonal" else dense(np.diag([2.0, 0.5]), B)
        wanted = np.outer(0.75 * 0.25 ** np.arange(3.0), [0.2, 0.8])
        np.testing.assert_allclose(memory_function(system, 3).values, wanted, rtol=1e-14)


class TestGradients:
    def test_an_unreached_and_a_merged_mode_get_none(self):
        eigenvalues = torch.tensor([1.5, 0.5, 0.9, 0.9], dtype=torch.complex128, requires_grad=True)
        B = torch.tensor([[0.0, 0], [1, 2], [1, 1], [2, 2]], dtype=torch.float64, requires_grad=True)
        memory_function(diagonal(eigenvalues, B), 4).values[:, 0].sum().backward()
        assert bool(torch.isfinite(torch.view_as_real(eigenvalues.grad)).all())
        assert eigenvalues.grad[[0, 3]].tolist() == [0, 0]
        assert bool((eigenvalues.grad[1:3] != 0).all())
        assert B.grad[[0, 3]].tolist() == [[0, 0], [0, 0]]

    def test_conjugate_pairs_with_a_repeated_eigenvalue(self):
        eigenvalues = torch.tensor([0.6 + 0.3j, 0.6 + 0.3j, -0.8], dtype=torch.complex128, requires_grad=True)
        B = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 2)) + 0.5j).requires_grad_()

        def memory(eigenvalues, B):
            return memory_function(diagonal(eigenvalues, B, conj_sym=True), 6).values

        assert torch.autograd.gradcheck(memory, (eigenvalues, B))

    def test_more_inputs_than_states(self):
        eigenvalues = torch.from_numpy(spectra.disk(2, np.random.default_rng(0))).requires_grad_()
        B = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 4))).requires_grad_()
        assert torch.autograd.gradcheck(lambda z, B: memory_function(diagonal(z, B), [0, 3]).values, (eigenvalues, B))

    def test_the_capacity_is_flat(self):
        eigenvalues = torch.from_numpy(spectra.disk(4, np.random.default_rng(0))).requires_grad_()
        B = torch.from_numpy(np.random.default_rng(1).standard_normal((4, 2))).requires_grad_()
        for gradient in torch.autograd.grad(memory_capacity(diagonal(eigenvalues, B)), (eigenvalues, B)):
            assert float(gradient.abs().max()) < 1e-10

    def test_a_dense_system_that_is_not_reached_is_refused(self):
        A = torch.diag(torch.tensor([0.5, 0.7], dtype=torch.float64)).requires_grad_()
        with pytest.raises(InputError, match="expected every mode reached when gradients are wanted, got rank 1"):
            memory_function(dense(A, [[1.0, 2.0], [0.0, 0.0]]), 3)

    @pytest.mark.parametrize("A", [0.5 * np.eye(2), np.array([[0.5, 1e8], [0, 0.4]])], ids=["equal", "crooked"])
    def test_eigenvectors_that_carry_no_gradient_are_refused(self, A):
        with pytest.raises(InputError, match="expected distinct eigenvalues and eigenvectors of condition below 1e6"):
            memory_function(dense(torch.from_numpy(A).requires_grad_(), np.eye(2)), 3)
        with torch.no_grad():
            assert int(memory_function(dense(A, np.eye(2)), 3).rank) == 2
