"""The theorem and what follows from it, each with its equality and not only its bound."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import ortho_group, unitary_group
from tests.reference import spectra
from tests.reference.hippo import legs, legs_dplr

from ssmemory import LinearSystem, memory_capacity, memory_function

SPECTRA = {
    "one": np.array([0.7]),
    "disk 6": spectra.disk(6, np.random.default_rng(0)),
    "ginibre 8": spectra.ginibre(8, np.random.default_rng(1)),
    "real 5": np.array([0.9, 0.5, -0.5, 0.1, -0.8]),
    "with zeros": np.array([0.0, 0.9j, -0.4]),
}


def blaschke_response(eigenvalues: np.ndarray, length: int) -> np.ndarray:
    """θ of ``Π_n (z⁻¹ − λ̄_n)/(1 − λ_n z⁻¹)`` from multiplied-out polynomials."""
    numerator, denominator = np.ones(1, complex), np.ones(1, complex)
    for value in eigenvalues:
        numerator = np.convolve(numerator, [-np.conj(value), 1])
        denominator = np.convolve(denominator, [1, -value])
    return lfilter(numerator, denominator, np.eye(1, length)[0].astype(complex))


@pytest.mark.parametrize("eigenvalues", SPECTRA.values(), ids=SPECTRA)
class TestTheorem:
    def test_memory_falls_by_the_energy_of_the_all_pass(self, eigenvalues):
        memory = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 300).values.numpy()
        energy = np.abs(blaschke_response(eigenvalues, 300)) ** 2
        np.testing.assert_allclose(-np.diff(memory, prepend=1), energy, atol=1e-13)

    def test_it_is_a_survival_function_whose_mean_is_the_rank(self, eigenvalues):
        energy = np.abs(blaschke_response(eigenvalues, 4000)) ** 2
        assert energy.sum() == pytest.approx(1, abs=1e-12)
        mean = energy @ np.arange(4000.0)
        assert mean == pytest.approx(len(eigenvalues), abs=1e-9)
        system = LinearSystem.from_eigenvalues(eigenvalues)
        assert float(memory_capacity(system)) == pytest.approx(mean, abs=1e-9)
        assert float(memory_function(system, 4000).values.sum()) == pytest.approx(mean, abs=1e-9)

    def test_the_present_input(self, eigenvalues):
        got = float(memory_function(LinearSystem.from_eigenvalues(eigenvalues), 1).values[0])
        assert got == pytest.approx(1 - np.prod(np.abs(eigenvalues) ** 2), rel=1e-13)

    def test_it_does_not_depend_on_B(self, eigenvalues):
        n, rng = len(eigenvalues), np.random.default_rng(2)
        B = rng.standard_normal((3, n)) + 1j * rng.standard_normal((3, n))
        batch = LinearSystem.from_eigenvalues(np.tile(eigenvalues, (3, 1)), B * [[1e-8], [1.0], [1e8]])
        plain = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 50).values
        for row in memory_function(batch, 50).values:
            np.testing.assert_array_equal(row, plain)

    @pytest.mark.parametrize("basis", ["unitary", "mildly conditioned"])
    def test_it_does_not_depend_on_the_basis(self, eigenvalues, basis):
        n, rng = len(eigenvalues), np.random.default_rng(3)
        change = unitary_group.rvs(n, random_state=3) if n > 1 else np.array([[1j]])
        if basis == "mildly conditioned":
            change = change * np.geomspace(1, 10, n) @ ortho_group.rvs(n, random_state=4) if n > 1 else 7 * change
        A = change @ np.diag(eigenvalues) @ np.linalg.inv(change)
        dense = LinearSystem.from_matrices(A, rng.standard_normal(n) + 1j)
        plain = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 60).values
        np.testing.assert_allclose(memory_function(dense, 60).values, plain, atol=1e-12)


class TestShiftRegister:
    @pytest.mark.parametrize("n", [1, 5, 64])
    def test_it_holds_its_length_and_nothing_else(self, n):
        system = LinearSystem.from_matrices(np.eye(n, k=-1), np.eye(n)[0])
        memory = memory_function(system, 2 * n + 3)
        np.testing.assert_array_equal(memory.values, np.arange(2 * n + 3) < n)
        np.testing.assert_array_equal(memory_function(system, [n, 0, n - 1]).values, [0, 1, 1])
        assert (int(memory.rank), float(memory.capacity)) == (n, n)

    @pytest.mark.parametrize("n", [5, 16, 64])
    def test_in_another_basis(self, n):
        basis = ortho_group.rvs(n, random_state=n)
        system = LinearSystem.from_matrices(basis @ np.eye(n, k=-1) @ basis.T, basis[:, 0])
        np.testing.assert_allclose(memory_function(system, 2 * n).values, np.arange(2 * n) < n, atol=1e-12)


class TestLegs:
    @pytest.mark.parametrize("n", [16, 64])
    def test_from_its_normal_part_although_the_eigenvalues_are_lost(self, n):
        options = {"dt": 0.05, "discretization": "bilinear"}
        triangular = LinearSystem.from_continuous_matrices(*legs(n), **options)
        dense = LinearSystem.from_continuous_matrices(*legs_dplr(n), **options)
        moved = np.sort(dense.eigenvalues.abs().numpy()) - np.sort(triangular.eigenvalues.abs().numpy())
        assert n < 64 or np.abs(moved).max() > 0.1
        got, wanted = memory_function(dense, 400).values, memory_function(triangular, 400).values
        np.testing.assert_allclose(got, wanted, atol=1e-13)

    def test_it_remembers_what_s4d_real_remembers(self):
        n, options = 12, {"dt": 0.1, "discretization": "bilinear"}
        dense = LinearSystem.from_continuous_matrices(*legs(n), **options)
        diagonal = LinearSystem.from_continuous(-np.arange(1.0, n + 1), **options)
        np.testing.assert_allclose(
            memory_function(dense, 200).values, memory_function(diagonal, 200).values, rtol=1e-11
        )


points = st.builds(
    lambda radius, phase: complex(radius * np.exp(1j * phase)), st.floats(0, 0.999), st.floats(-np.pi, np.pi)
)
lists = st.lists(points, min_size=1, max_size=10)
often = settings(max_examples=40, deadline=None, derandomize=True)


def distinct(eigenvalues: list[complex]) -> list[complex]:
    """Drop repeats; refuse lists in which two are neither equal nor clearly apart."""
    kept: list[complex] = []
    for value in eigenvalues:
        gaps = [abs(value - other) / max(abs(value), abs(other), 1e-300) for other in kept]
        assume(all(gap == 0 or gap > 1e-9 for gap in gaps))
        if all(gap > 0 for gap in gaps):
            kept.append(value)
    return kept


class TestProperties:
    @often
    @given(lists)
    def test_monotone_bounded_and_summing_to_the_rank(self, eigenvalues):
        kept = distinct(eigenvalues)
        memory = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 200)
        values, rank = memory.values.numpy(), int(memory.rank)
        assert rank == len(kept)
        assert (values >= 0).all()
        assert (np.diff(values) <= 0).all()
        assert (values <= np.minimum(1, rank / np.arange(1, 201)) * (1 + 1e-12)).all()
        assert float(memory.capacity) == pytest.approx(rank, abs=1e-9)
        assert values[0] == pytest.approx(1 - np.prod(np.abs(kept) ** 2), rel=1e-12)

    @often
    @given(lists, st.floats(-np.pi, np.pi), st.randoms(use_true_random=False))
    def test_turning_reflecting_and_reordering_change_nothing(self, eigenvalues, angle, random):
        kept = np.array(distinct(eigenvalues))
        plain = memory_function(LinearSystem.from_eigenvalues(kept), 100).values
        shuffled = random.sample(range(len(kept)), len(kept))
        for moved in (kept * np.exp(1j * angle), kept.conj(), kept[shuffled]):
            got = memory_function(LinearSystem.from_eigenvalues(moved), 100).values
            np.testing.assert_allclose(got, plain, rtol=1e-11, atol=1e-300)

    @often
    @given(lists, points)
    def test_one_more_mode_never_takes_memory_away(self, eigenvalues, extra):
        larger = distinct([*distinct(eigenvalues), extra])
        fewer = memory_function(LinearSystem.from_eigenvalues(eigenvalues), 100).values.numpy()
        more = memory_function(LinearSystem.from_eigenvalues(larger), 100).values.numpy()
        assert (more >= fewer * (1 - 1e-11)).all()

    @often
    @given(lists, st.lists(st.integers(0, 800), min_size=1, max_size=6))
    def test_the_two_ways_agree(self, eigenvalues, lags):
        distinct(eigenvalues)
        system = LinearSystem.from_eigenvalues(eigenvalues)
        single, every = memory_function(system, lags).values, memory_function(system, 801).values[lags]
        np.testing.assert_allclose(single, every, rtol=1e-11, atol=1e-290)
