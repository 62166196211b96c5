"""Systems drawn here from a seed and solved from the definition in ball arithmetic, far lags included."""

from functools import cache, partial

import numpy as np
import pytest
import torch
from tests.reference import spectra
from tests.reference.stein import memory_of_eigenvalues, memory_of_log_eigenvalues

from ssmemory import LinearSystem, memory_function

LONGEST, LONGEST_WITH_GRADIENTS = 20_000, 2_000

FAMILIES = {
    "ring": spectra.ring,
    "disk": spectra.disk,
    "ginibre": spectra.ginibre,
    "s4d": spectra.s4d,
    "within 1e-3": partial(spectra.clustered, width=1e-3),
    "within 1e-6": partial(spectra.clustered, width=1e-6),
    "within 1e-4 near the circle": partial(spectra.clustered, width=1e-4, centre=-0.99),
    "within 1e-4 near 0": partial(spectra.clustered, width=1e-4, centre=0.05),
}
SIZES = {"ring": (8, 96), "disk": (8, 32, 64), "ginibre": (8, 48), "s4d": (8, 32, 96)}
CASES = [(family, n) for family in FAMILIES for n in SIZES.get(family, (8, 20))]


@cache
def drawn(family: str, n: int) -> tuple[np.ndarray, list[int], np.ndarray]:
    eigenvalues = FAMILIES[family](n, np.random.default_rng([n, len(family)]))
    far = int(np.log(1e-280) / np.log(np.abs(eigenvalues).max()) / 2)
    lags = sorted({lag for lag in (0, 1, n // 2, n, 2 * n + 1, 8 * n, far // 4, far // 2, far) if lag <= LONGEST})
    return eigenvalues, lags, memory_of_eigenvalues(eigenvalues, lags)


def check(got: torch.Tensor, wanted: np.ndarray) -> None:
    visible = wanted >= 1e-290
    np.testing.assert_allclose(got.detach().numpy()[visible], wanted[visible], rtol=1e-11)
    np.testing.assert_array_equal(got.detach().numpy()[wanted == 0], 0)


@pytest.mark.parametrize(("family", "n"), CASES)
class TestDrawn:
    def test_all_lags(self, family, n):
        eigenvalues, lags, wanted = drawn(family, n)
        memory = memory_function(LinearSystem.from_eigenvalues(eigenvalues), max(lags) + 1)
        assert int(memory.rank) == n
        check(memory.values[lags], wanted)

    def test_single_lags(self, family, n):
        eigenvalues, lags, wanted = drawn(family, n)
        check(memory_function(LinearSystem.from_eigenvalues(eigenvalues), lags).values, wanted)

    def test_all_lags_with_gradients(self, family, n):
        eigenvalues, lags, wanted = drawn(family, n)
        near = [lag for lag in lags if lag < LONGEST_WITH_GRADIENTS]
        system = LinearSystem.from_eigenvalues(torch.from_numpy(eigenvalues).requires_grad_())
        check(memory_function(system, max(near) + 1).values[near], wanted[: len(near)])


def test_the_draws_reach_far_and_small():
    smallest = {family: min(drawn(family, n)[2].min() for f, n in CASES if f == family) for family in FAMILIES}
    assert sum(value < 1e-100 for value in smallest.values()) >= 6


class TestNearTheCircle:
    LAGS = (0, 1, 1000, 30_000, 10**6, 10**9, 10**11)

    @pytest.mark.parametrize("phase", [0.0, 1.234])
    @pytest.mark.parametrize("margin", [1e-3, 1e-6, 1e-9])
    def test_one_mode_has_a_closed_form(self, margin, phase):
        wanted = -np.expm1(-2 * margin) * np.exp(-2 * margin * np.array(self.LAGS, float))
        exact = memory_of_log_eigenvalues([complex(-margin, phase)], self.LAGS)
        np.testing.assert_allclose(wanted[exact > 1e-290], exact[exact > 1e-290], rtol=1e-13)
        system = LinearSystem.from_log_eigenvalues([complex(-margin, phase)])
        check(memory_function(system, self.LAGS).values, exact)

    @pytest.mark.parametrize("length", [1000, 100_000, 1_000_000])
    def test_one_mode_at_all_lags(self, length):
        margin, lags = 1e-9, np.arange(length)
        got = memory_function(LinearSystem.from_log_eigenvalues([complex(-margin, 1.0)]), length).values
        wanted = -np.expm1(-2 * margin) * np.exp(-2 * margin * lags)
        # every step of the recursion rounds λ once, to half a unit of 2⁻⁵³
        np.testing.assert_allclose(got, wanted, rtol=max(1e-11, 2 * length * 2**-53))

    def test_a_crowd_of_modes(self):
        rng, lags = np.random.default_rng(0), [0, 1, 100, 10**5, 10**7]
        logs = -1e-7 * rng.uniform(0.5, 2, 16) + 1j * rng.uniform(-np.pi, np.pi, 16)
        got = memory_function(LinearSystem.from_log_eigenvalues(logs), lags).values
        check(got, memory_of_log_eigenvalues(logs, lags))

    def test_continuous_parameters_are_not_rounded_on_the_way(self):
        A, dt, lags = np.array([-1e-6 + 3j, -2e-6 - 1j, -1.5e-6]), 2.0**-10, [0, 10**6, 10**9]
        got = memory_function(LinearSystem.from_continuous(A, dt=dt), lags).values
        check(got, memory_of_log_eigenvalues(A * dt, lags))  # a power of two: dt·a is exact
