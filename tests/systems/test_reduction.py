import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, init
from ssmemory.errors import InputError, UnstableError
from ssmemory.systems.gramians import controllability_gramian, observability_gramian
from ssmemory.systems.reduction import balanced_truncation, effective_state_size, hankel_singular_values


def entries(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def ring(rng, seed):
    modes = init.ring(16, 0.8, 0.99, seed=seed).log_modes
    return LinearSystem.from_log_eigenvalues(modes, entries(rng, 8), entries(rng, 8), 0.7, conj_sym=True)


def s4d(rng, seed):
    start = init.s4d_lin(24, 10 ** rng.uniform(-3, -1))
    return LinearSystem.from_log_eigenvalues(start.log_modes, start.B, entries(rng, 12), 1.0, conj_sym=True)


def dense(rng, seed):
    A = init.random_dense(14, 0.95, seed=seed).A
    return LinearSystem.from_matrices(A, rng.normal(size=14), rng.normal(size=14), 0.3)


def lru(rng, seed):
    modes = init.ring(20, 0.7, 0.999, seed=seed).log_modes
    B, C, D = entries(rng, 10, 3), entries(rng, 2, 10), rng.normal(size=(2, 3))
    return LinearSystem.from_log_eigenvalues(modes, B, C, D, conj_sym=True)


def complex_diagonal(rng, seed):
    values = 0.97 * rng.uniform(size=9) ** 0.5 * np.exp(6.3j * rng.uniform(size=9))
    return LinearSystem.from_eigenvalues(values, entries(rng, 9, 2), entries(rng, 2, 9), entries(rng, 2, 2))


FAMILIES = {f.__name__: f for f in (ring, s4d, dense, lru, complex_diagonal)}
family = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)


def one(make, seed=0):
    return make(np.random.default_rng(seed), seed)


def hankel_matrix(system, length):
    """The values from their definition: the singular values of the block Hankel matrix of the impulse response."""
    bare = LinearSystem(system.log_modes, system.A, system.B, system.C, None, system.conj_sym)
    response = bare.markov_parameters(2 * length - 1).numpy()
    blocks = [np.concatenate(list(response[i : i + length]), 1) for i in range(length)]
    return np.linalg.svd(np.concatenate(blocks), compute_uv=False)


def multiprecision(values, B, C):
    """The values from Gramians of 60 digits."""
    with mpmath.workdps(60):
        lam = [mpmath.mpc(complex(v)) for v in values]
        B, C = (mpmath.matrix([[mpmath.mpc(complex(x)) for x in row] for row in M]) for M in (B, C))
        P, Q, n = B * B.H, C.H * C, len(lam)
        for i in range(n):
            for j in range(n):
                P[i, j] /= 1 - lam[i] * mpmath.conj(lam[j])
                Q[i, j] /= 1 - mpmath.conj(lam[i]) * lam[j]
        L = mpmath.cholesky(P)
        squares = mpmath.eighe(L.H * Q * L, eigvals_only=True)
        return np.array(sorted((float(mpmath.sqrt(abs(s))) for s in squares), reverse=True))


class TestHankelSingularValues:
    @pytest.mark.parametrize("kind", ["disk", "near the circle", "real", "nearly equal"])
    def test_multiprecision_agrees_to_rounding(self, kind):
        rng = np.random.default_rng(0)
        values = {
            "disk": 0.97 * np.sqrt(rng.uniform(size=7)) * np.exp(6.3j * rng.uniform(size=7)),
            "near the circle": (1 - 10.0 ** -rng.uniform(3, 9, 7)) * np.exp(3j * rng.uniform(size=7)),
            "real": np.linspace(0.1, 0.9, 7),
            "nearly equal": np.array([0.9, 0.9 + 1e-5, 0.5, 0.3j]),
        }[kind]
        B, C = entries(rng, len(values), 1), entries(rng, 2, len(values))
        expected = multiprecision(values, B, C)
        got = hankel_singular_values(LinearSystem.from_eigenvalues(values, B, C)).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14 * expected[0])
        large = expected > 1e-3 * expected[0]
        np.testing.assert_allclose(got[large], expected[large], rtol=1e-12)

    @pytest.mark.parametrize("make", [dense, complex_diagonal])
    def test_the_definition_agrees(self, make):
        system = one(make)
        got = hankel_singular_values(system).numpy()
        assert got.shape == (system.d_state,)
        assert bool((np.diff(got) <= 0).all())
        expected = hankel_matrix(system, 300)[: len(got)]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * got[0])

    @family
    def test_gramians_agree_to_half_the_digits(self, make):
        system = one(make)
        product = controllability_gramian(system) @ observability_gramian(system)
        expected = np.sort(np.sqrt(np.abs(torch.linalg.eigvals(product).numpy())))[::-1]
        got = hankel_singular_values(system).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-7 * got[0])

    @family
    def test_any_basis_has_the_same(self, make):
        system = one(make).to_dense()
        n = system.d_state
        T = torch.linalg.qr(torch.from_numpy(entries(np.random.default_rng(1), n, n)))[0]
        A, B, C = (part.to(torch.complex128) for part in (system.A, system.B, system.C))
        got = hankel_singular_values(LinearSystem.from_matrices(T @ A @ T.mH, T @ B, C @ T.mH))
        expected = hankel_singular_values(one(make))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11 * float(expected[0]))

    def test_scipy_agrees_by_the_bilinear_map_to_continuous_time(self):
        system = one(dense)
        A, B, C, eye = system.A.numpy(), system.B.numpy(), system.C.numpy(), np.eye(14)
        back = np.linalg.inv(A + eye)  # the Gramians of both are the same
        A, B, C = back @ (A - eye), 2**0.5 * back @ B, 2**0.5 * C @ back
        P = scipy.linalg.solve_continuous_lyapunov(A, -B @ B.T)
        Q = scipy.linalg.solve_continuous_lyapunov(A.T, -C.T @ C)
        expected = np.sort(np.sqrt(np.abs(np.linalg.eigvals(P @ Q))))[::-1]
        got = hankel_singular_values(system).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7 * got[0])

    def test_equal_modes_count_once_and_those_not_seen_not_at_all(self):
        system = LinearSystem.from_eigenvalues([0.5, 0.5, 0.9, 0.3], [1, 2, 0, 1], [1, 1, 1, 0])
        np.testing.assert_allclose(hankel_singular_values(system), [4, 0, 0, 0], atol=1e-14)

    def test_a_shift_register_and_a_mode_at_zero(self):
        shift = LinearSystem.from_matrices(np.eye(4, k=-1), np.eye(4)[0], np.eye(4)[3])
        np.testing.assert_allclose(hankel_singular_values(shift), [1, 1, 1, 1], rtol=1e-14)
        np.testing.assert_allclose(hankel_singular_values(LinearSystem.from_eigenvalues([0], C=[-2])), [2])

    def test_more_inputs_than_states(self):
        B, C = np.random.default_rng(0).normal(size=(2, 7)), np.ones((5, 2))
        system = LinearSystem.from_eigenvalues([0.5, 0.2], B, C)
        np.testing.assert_allclose(hankel_singular_values(system), hankel_matrix(system, 60)[:2], rtol=1e-12)

    def test_a_batch_is_its_systems(self):
        systems = [one(lru, seed) for seed in range(3)]
        got = hankel_singular_values(stacked(systems))
        np.testing.assert_allclose(got, torch.stack([hankel_singular_values(s) for s in systems]), atol=1e-12)


def stacked(systems):
    parts = [torch.stack([getattr(s, name) for s in systems]) for name in ("log_modes", "B", "C", "D")]
    return LinearSystem.from_log_eigenvalues(*parts, conj_sym=True)


class TestEffectiveSize:
    def test_it_is_the_smallest_that_holds_the_share(self):
        system = one(lru)
        values = hankel_singular_values(system)
        for level in (0.3, 0.9, 0.99, 0.9999):
            size = int(effective_state_size(system, level))
            assert values[:size].sum() >= level * values.sum() > values[: size - 1].sum()

    def test_all_of_it_is_the_rank_and_nothing_is_zero(self):
        assert int(effective_state_size(LinearSystem.from_eigenvalues([0.5, 0.5, 0.3], C=[1, 1, 1]), 1.0)) == 2
        assert int(effective_state_size(LinearSystem.from_eigenvalues([0.5], C=[0]))) == 0

    def test_it_refuses_a_level_out_of_range(self):
        with pytest.raises(InputError) as caught:
            effective_state_size(one(lru), 1.5)
        assert_one_line(str(caught.value), "at most 1", "1.5", "0.99")


class TestBound:
    @family
    @pytest.mark.parametrize("seed", range(12))
    def test_no_frequency_changes_by_more(self, make, seed):
        system = one(make, seed)
        rng = np.random.default_rng(seed)
        reduced = balanced_truncation(system, int(rng.integers(1, system.d_state)))
        error, scale = float(reduced.error_measured(512)), float(reduced.singular_values[0])
        assert error <= float(reduced.bound) + 1e-11 * scale
        if reduced.system.d_state < int(reduced.rank):  # no approximation of this size can do better
            assert error >= 0.9 * float(reduced.singular_values[reduced.system.d_state]) - 1e-11 * scale
        assert float(reduced.system.eigenvalues.abs().max()) < 1

    def test_equal_values_count_once(self):
        """Two copies of a channel have every value twice; the error is that of one copy."""
        single = one(dense)
        double = LinearSystem.from_matrices(
            torch.block_diag(single.A, single.A),
            torch.block_diag(single.B, single.B),
            torch.block_diag(single.C, single.C),
        )
        alone, both = balanced_truncation(single, 5), balanced_truncation(double, 10)
        assert float(both.bound) == pytest.approx(float(alone.bound), rel=1e-9)
        assert float(both.error_measured()) == pytest.approx(float(alone.error_measured()), rel=1e-9)

    @pytest.mark.parametrize("size", range(1, 6))
    def test_an_all_pass_system_has_one_value(self, size):
        A = np.eye(6, k=-1)
        A[0, 5] = 0.5  # unitary but for one entry
        B, C = np.eye(6)[:, :1] * 0.75**0.5, np.eye(6)[5:] * 0.75**0.5
        reduced = balanced_truncation(LinearSystem.from_matrices(A, B, C), size)
        np.testing.assert_allclose(reduced.singular_values, 1, rtol=1e-13)
        assert float(reduced.bound) == pytest.approx(2)
        assert float(reduced.error_measured()) <= 2
        assert float(reduced.system.eigenvalues.abs().max()) < 1

    def test_a_narrow_resonance_is_not_missed(self):
        values = [(1 - 1e-7) * np.exp(1.2345j), 0.5]
        system = LinearSystem.from_eigenvalues(values, C=[1e-7, 100], conj_sym=True)
        reduced = balanced_truncation(system, 1)
        assert float(reduced.error_measured(16)) > 0.9


class TestReducedSystem:
    @family
    def test_its_response_is_close_and_its_states_are_balanced(self, make):
        system = one(make)
        reduced = balanced_truncation(system, tolerance=1e-3)
        small, full = reduced.system, system.markov_parameters(200)
        assert small.d_state <= system.d_state
        assert float(reduced.bound) <= 1e-3 * float(reduced.singular_values[0])
        difference = small.markov_parameters(200) - full
        assert float(torch.linalg.matrix_norm(difference, 2).max()) <= float(reduced.bound) + 1e-13
        assert small.A.is_complex() == (make is complex_diagonal)
        np.testing.assert_array_equal(small.D, system.D)

    @family
    def test_nothing_is_lost_where_nothing_is_discarded(self, make):
        system = one(make)
        reduced = balanced_truncation(system, system.d_state)
        got, full = reduced.system.markov_parameters(300), system.markov_parameters(300)
        assert float((got - full).abs().max()) < 1e-10 * float(full.abs().max())
        assert float(reduced.error_measured(256)) < 1e-10 * float(reduced.singular_values[0])
        assert "nothing" in reduced.explain()

    @family
    def test_its_diagonal_form_is_the_same_system(self, make):
        reduced = balanced_truncation(one(make), 7)
        diagonal = reduced.to_diagonal()
        assert diagonal.log_modes is not None
        assert diagonal.conj_sym == (make is not complex_diagonal)
        expected = reduced.system.markov_parameters(100)
        np.testing.assert_allclose(diagonal.markov_parameters(100), expected, atol=1e-11 * expected.abs().max())

    def test_modes_not_reached_not_seen_or_repeated_go(self):
        eigenvalues, B, C = [0.5, 0.5, 0.9, 0.3, -0.7], [1, 2, 0, 1, 1], [1, 1, 1, 0, 1]
        system = LinearSystem.from_eigenvalues(eigenvalues, B, C)
        reduced = balanced_truncation(system, 4)
        assert reduced.system.d_state == int(reduced.rank) == 2
        assert not reduced.system.A.is_complex()
        assert float(reduced.bound) < 1e-13
        np.testing.assert_allclose(np.sort(reduced.system.eigenvalues.real), [-0.7, 0.5], rtol=1e-13)
        assert "2 directions" in reduced.explain()
        assert "only the empty ones" in reduced.explain()
        np.testing.assert_allclose(reduced.to_diagonal().markov_parameters(9), system.markov_parameters(9).real)

    def test_a_batch_keeps_one_size_and_each_system_its_bound(self):
        systems = [one(lru, seed) for seed in range(3)]
        systems.append(LinearSystem.from_log_eigenvalues(
            systems[0].log_modes[:1].expand(10), systems[0].B, systems[0].C, systems[0].D, conj_sym=True
        ))  # fmt: skip
        batch = stacked(systems)
        for reduced in (balanced_truncation(batch, 9), balanced_truncation(batch, tolerance=0.05)):
            assert reduced.system.batch_shape == reduced.bound.shape == (4,)
            assert bool((reduced.error_measured(512) <= reduced.bound + 1e-11).all())
            diagonal = reduced.to_diagonal()
            assert diagonal.batch_shape == (4,)
            expected = reduced.system.markov_parameters(50)
            np.testing.assert_allclose(diagonal.markov_parameters(50), expected, atol=1e-10)
            assert "batch" in reduced.explain()

    def test_a_real_system_in_a_batch_with_a_complex_one(self):
        system = LinearSystem.from_eigenvalues([[0.9, 0.5], [0.9j, 0.5]], C=[1, -1])
        diagonal = balanced_truncation(system, 2).to_diagonal()
        assert not diagonal.conj_sym
        np.testing.assert_allclose(diagonal.markov_parameters(30), system.markov_parameters(30), atol=1e-13)

    def test_a_system_without_past_is_one_empty_state(self):
        reduced = balanced_truncation(LinearSystem.from_eigenvalues([0.5, 0.2], C=[0, 0], D=3.0), 2)
        assert reduced.system.d_state == 1
        assert reduced.system.markov_parameters(3).flatten().tolist() == [3, 0, 0]

    def test_a_jordan_block_has_no_diagonal_form(self):
        system = LinearSystem.from_matrices([[0, 0], [1, 0]], [1, 0], [0, 1])
        with pytest.raises(InputError, match="condition number below 1e8"):
            balanced_truncation(system, 2).to_diagonal()

    def test_scipy_solves_the_gramians_of_the_result_for_diagonal_ones(self):
        reduced = balanced_truncation(one(dense), 14)
        A, B = reduced.system.A.numpy(), reduced.system.B.numpy()
        P = scipy.linalg.solve_discrete_lyapunov(A, B @ B.T)
        np.testing.assert_allclose(P, np.diag(reduced.singular_values), atol=1e-10 * float(P[0, 0]))


class TestRefusals:
    def test_no_read_out(self):
        with pytest.raises(InputError, match="C: expected a read-out"):
            balanced_truncation(LinearSystem.from_eigenvalues([0.5]), 1)

    @pytest.mark.parametrize("value", [1.0, 1.2])
    def test_unstable(self, value):
        with pytest.raises(UnstableError) as caught:
            balanced_truncation(LinearSystem.from_eigenvalues([value, 0.5], C=[1, 1]), 1)
        assert_one_line(str(caught.value), r"every \|λ\| < 1", "max", "scale")

    @pytest.mark.parametrize("options", [{}, {"d_state": 2, "tolerance": 0.1}, {"d_state": 0}, {"tolerance": 1.0}])
    def test_sizes(self, options):
        with pytest.raises(InputError) as caught:
            balanced_truncation(one(dense), **options)
        assert_one_line(str(caught.value), "", "", "")

    def test_no_frequency(self):
        with pytest.raises(InputError, match="at least 1"):
            balanced_truncation(one(dense), 3).error_measured(0)
