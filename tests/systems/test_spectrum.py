"""What counts as a state direction; the wanted ranks come from counting by hand or from controllability matrices."""

import control
import numpy as np
import pytest
import torch
from scipy.linalg import block_diag, expm
from scipy.stats import ortho_group
from tests.reference.stein import memory_of_eigenvalues, memory_of_matrices

from ssmemory import LinearSystem, memory_function
from ssmemory.errors import UnstableError

RNG = np.random.default_rng(3)


def jordan(eigenvalue: float, size: int) -> np.ndarray:
    return eigenvalue * np.eye(size) + np.diag(np.ones(size - 1), 1)


def rotated(A: np.ndarray, seed: int = 0) -> np.ndarray:
    basis = ortho_group.rvs(len(A), random_state=seed)
    return basis @ A @ basis.T


def s4d_lin(d_state: int, dt: float) -> LinearSystem:
    return LinearSystem.from_continuous(-0.5 + 1j * np.pi * np.arange(d_state // 2), dt=dt, conj_sym=True)


DIAGONAL = {
    "distinct": ([0.9, 0.5, -0.5], {}, 3, 0, 0),
    "one twice": ([0.9, 0.5, 0.9], {}, 2, 1, 0),
    "all the same": ([0.7j] * 5, {}, 1, 4, 0),
    "equal up to rounding": ([0.3, 0.1 + 0.2], {}, 1, 1, 0),
    "close but apart": ([0.5, 0.5 + 1e-10], {}, 2, 0, 0),
    "small and apart": ([1e-20, 2e-20], {}, 2, 0, 0),
    "zero twice": ([0.0, 0.0, 0.5], {}, 2, 1, 0),
    "pairs": ([0.5 + 0.5j, 0.3j], {"conj_sym": True}, 4, 0, 0),
    "a real mode counts once": ([0.9, 0.5 + 0.5j], {"conj_sym": True}, 3, 1, 0),
    "a pair given whole": ([0.5 + 0.5j, 0.5 - 0.5j], {"conj_sym": True}, 2, 2, 0),
    "conjugates are not added unasked": ([0.5 + 0.5j], {}, 1, 0, 0),
    "one not reached": ([0.9, 0.5, 0.1], {"B": [1.0, 0.0, 1.0]}, 2, 0, 1),
    "none reached": ([0.9, 0.5], {"B": [0.0, 0.0]}, 0, 0, 2),
    "one of two equal not reached": ([0.9, 0.9], {"B": [0.0, 1.0]}, 1, 0, 1),
    "a pair not reached": ([0.5j, 0.3j], {"B": [0.0, 1.0], "conj_sym": True}, 2, 0, 2),
}


@pytest.mark.parametrize(("eigenvalues", "options", "rank", "merged", "unreached"), DIAGONAL.values(), ids=DIAGONAL)
def test_diagonal(eigenvalues, options, rank, merged, unreached):
    system = LinearSystem.from_eigenvalues(eigenvalues, **options)
    spectrum = system.spectrum()
    assert (int(spectrum.rank), int(spectrum.merged), int(spectrum.unreached)) == (rank, merged, unreached)
    assert float(memory_function(system, 5).capacity) == pytest.approx(rank, abs=1e-9)


LAMBDA = 0.6
TWO_BLOCKS = block_diag(jordan(LAMBDA, 3), jordan(LAMBDA, 2))
UNREACHED = block_diag(np.diag([0.9, 0.5]), np.diag([0.7, -0.3, 0.1]))
DENSE = {
    "generic": (RNG.standard_normal((6, 6)) / 6, np.ones(6), 6),
    "one Jordan block": (jordan(LAMBDA, 4), np.ones(4), 4),
    "largest of two blocks": (TWO_BLOCKS, np.ones(5), 3),
    "blocks of two eigenvalues": (block_diag(TWO_BLOCKS, jordan(-0.4, 2), [[-0.4]]), np.ones(8), 5),
    "only the end of a block reached": (jordan(LAMBDA, 4), np.array([1.0, 1.0, 0, 0]), 2),
    "a multiple of the identity": (0.5 * np.eye(4), np.ones(4), 1),
    "an eigenvalue twice": (np.diag([0.5, -0.2, 0.5]), np.ones(3), 2),
    "zero": (np.zeros((3, 3)), np.ones(3), 1),
    "nothing reached": (RNG.standard_normal((3, 3)) / 4, np.zeros(3), 0),
    "three axes not reached": (UNREACHED, np.array([1.0, 1, 0, 0, 0]), 2),
    "one number": (np.array([[0.5]]), np.array([2.0]), 1),
}


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize(("A", "weights", "rank"), DENSE.values(), ids=DENSE)
def test_dense(A, weights, rank, turned):
    n, rng = len(A), np.random.default_rng(0)
    for draw in range(20):  # the rank must not hang on a lucky b or a lucky basis
        b = weights * rng.standard_normal(n)
        assert np.linalg.matrix_rank(control.ctrb(A, b[:, None]), tol=1e-9) == rank  # the table itself
        basis = ortho_group.rvs(n, random_state=draw) if turned and n > 1 else np.eye(n)
        system = LinearSystem.from_matrices(basis @ A @ basis.T, basis @ b)
        assert int(system.rank) == rank
        assert float(memory_function(system, 20).capacity) == pytest.approx(rank, abs=1e-9)


@pytest.mark.parametrize(("reached", "unreached"), [(2, 3), (8, 4), (32, 16)])
def test_an_unreached_subspace_in_a_general_basis(reached, unreached):
    rng, n = np.random.default_rng(1), reached + unreached
    inside, outside = (rng.standard_normal((k, k)) * 0.9 / np.sqrt(k) for k in (reached, unreached))
    inside, outside = (0.9 * A / np.abs(np.linalg.eigvals(A)).max() for A in (inside, outside))
    A = np.block([[inside, rng.standard_normal((reached, unreached))], [np.zeros((unreached, reached)), outside]])
    b = np.concatenate([rng.standard_normal(reached), np.zeros(unreached)])
    basis = ortho_group.rvs(n, random_state=1)
    system, lags = LinearSystem.from_matrices(basis @ A @ basis.T, basis @ b), [0, 1, 5, 40]
    assert int(system.spectrum().unreached) == unreached
    wanted = memory_of_eigenvalues(np.linalg.eigvals(inside), lags)
    np.testing.assert_allclose(memory_function(system, lags).values, wanted, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
def test_memory_of_two_blocks_is_that_of_the_larger(turned, seed):
    lags, b = [0, 1, 2, 3, 10, 40], np.random.default_rng(seed).standard_normal(5)
    basis = ortho_group.rvs(5, random_state=seed) if turned else np.eye(5)
    got = memory_function(LinearSystem.from_matrices(basis @ TWO_BLOCKS @ basis.T, b), lags).values
    wanted = memory_of_matrices(jordan(LAMBDA, 3), np.array([0.0, 0, 1]), lags)
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_merged_modes_add_no_memory():
    lags, distinct = [0, 3, 50], [0.9, 0.5 + 0.5j, -0.7]
    got = memory_function(LinearSystem.from_eigenvalues([0.9, 0.9, 0.5 + 0.5j, -0.7, 0.5 + 0.5j]), lags).values
    np.testing.assert_allclose(got, memory_of_eigenvalues(distinct, lags), rtol=1e-12)


class TestAliasing:
    def test_frequencies_that_sampling_folds_together_are_one(self):
        system = s4d_lin(64, dt=0.1)
        assert len(set(system.eigenvalues.tolist())) > 60  # as floats they differ
        assert int(system.rank) == 20  # the 20th roots of unity, times e^−0.05

    def test_memory_is_that_of_the_distinct_ones(self):
        lags = [0, 10, 50, 200]
        distinct = [-0.05 + 1j * np.pi * k / 10 for k in range(20)]
        got = memory_function(s4d_lin(64, dt=0.1), lags).values
        np.testing.assert_allclose(got, memory_of_eigenvalues(np.exp(distinct), lags), rtol=1e-10)
        assert got[2] == pytest.approx(0.0158, abs=1e-4)

    def test_a_step_that_folds_nothing_keeps_them_all(self):
        assert int(s4d_lin(64, dt=0.01).rank) == 63


class TestBatch:
    def test_diagonal_with_different_ranks(self):
        modes = [[0.9, 0.5, 0.1], [0.9, 0.9, 0.1], [0.2, 0.2, 0.2]]
        system = LinearSystem.from_eigenvalues(modes)
        assert system.rank.tolist() == [3, 2, 1]
        for lags in (6, [0, 2, 9]):
            values = memory_function(system, lags).values
            for k, distinct in enumerate(modes):
                wanted = memory_of_eigenvalues(sorted(set(distinct)), range(6) if lags == 6 else lags)
                np.testing.assert_allclose(values[k], wanted, rtol=1e-12)

    def test_dense_with_different_ranks(self):
        A = np.stack([np.diag([0.9, 0.5, 0.1]), 0.5 * np.eye(3), rotated(np.diag([0.8, 0.8, -0.5]))])
        system = LinearSystem.from_matrices(A, np.array([1.0, 0.5, 2.0]))
        assert system.rank.tolist() == [3, 1, 2]
        values = memory_function(system, 6).values
        for k, distinct in enumerate([[0.9, 0.5, 0.1], [0.5], [0.8, -0.5]]):
            np.testing.assert_allclose(values[k], memory_of_eigenvalues(distinct, range(6)), rtol=1e-10)

    def test_two_batch_dimensions(self):
        modes = RNG.uniform(-0.9, 0.9, (2, 3, 4))
        memory = memory_function(LinearSystem.from_eigenvalues(modes), 5)
        assert memory.values.shape == (2, 3, 5)
        np.testing.assert_allclose(memory.values[1, 2], memory_of_eigenvalues(modes[1, 2], range(5)), rtol=1e-12)
        assert memory.rank.tolist() == [[4] * 3] * 2


class TestStability:
    @pytest.mark.parametrize("outside", [1.0, -1.0, 1j, 1 + 1e-15, 3.0, 1e200])
    def test_a_counted_mode_must_be_stable(self, outside):
        with pytest.raises(UnstableError):
            memory_function(LinearSystem.from_eigenvalues([0.5, outside]), 3)

    def test_an_unstable_dense_matrix(self):
        with pytest.raises(UnstableError):
            memory_function(LinearSystem.from_matrices(expm(RNG.standard_normal((4, 4))), np.ones(4)), 3)

    def test_an_unreached_mode_may_be_unstable(self):
        values = memory_function(LinearSystem.from_eigenvalues([0.5, 2.0], B=[1.0, 0.0]), 3).values
        np.testing.assert_allclose(values, 0.75 * 0.25 ** np.arange(3.0), rtol=1e-15)

    def test_the_last_float_below_1_is_stable(self):
        values = memory_function(LinearSystem.from_eigenvalues([np.nextafter(1, 0)]), [0, 10**15]).values
        np.testing.assert_allclose(values, memory_of_eigenvalues([np.nextafter(1, 0)], [0, 10**15]), rtol=1e-11)


def test_without_gradients_a_parameter_of_low_rank_is_read():
    A = torch.full((2, 2), 0.0, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        assert int(LinearSystem.from_matrices(A, [1.0, 2.0]).rank) == 1
