import numpy as np
import pytest
import torch
from tests.reference import spectra
from tests.reference.stein import memory_of_eigenvalues

from ssmemory import LinearSystem
from ssmemory.memory.powers import energy, first_below, leading_lags, single_lags
from ssmemory.systems import input_normal_form

RING = spectra.ring(5, np.random.default_rng(0))


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 511, 512, 513, 1000])
def test_leading_lags_at_the_boundaries_of_a_block(length):
    got = leading_lags(input_normal_form(LinearSystem.from_eigenvalues(RING)), length)
    lags = sorted({0, length // 2, max(length - 2, 0), length - 1})
    assert got.shape == (length,)
    np.testing.assert_allclose(got[lags], memory_of_eigenvalues(RING, lags), rtol=1e-11)


def test_single_lags_in_any_order_and_repeated():
    lags = [1000, 0, 3, 2**14 + 1, 3, 2**14 - 1]
    got = single_lags(input_normal_form(LinearSystem.from_eigenvalues(RING)), torch.tensor(lags))
    np.testing.assert_allclose(got, memory_of_eigenvalues(RING, lags), rtol=1e-11)


def test_energy_is_the_squared_frobenius_norm():
    matrices = np.random.default_rng(1).standard_normal((2, 3, 3)) * (1 + 2j)
    wanted = np.linalg.norm(matrices, axis=(-2, -1)) ** 2
    np.testing.assert_allclose(energy(torch.from_numpy(matrices)), wanted, rtol=1e-14)


@pytest.mark.parametrize("power", [1e-300, 1e-20, 0.01, 0.3, 0.99, 1.5])
def test_first_below_of_a_geometric_series(power):
    form = input_normal_form(LinearSystem.from_eigenvalues([[0.5], [0.999], [0.99j]]))
    got = first_below(form, form.b.unsqueeze(-1), torch.full((3,), power, dtype=torch.float64))
    for found, radius in zip(got.tolist(), [0.5, 0.999, 0.99], strict=True):
        memory = (1 - radius**2) * radius ** (2 * np.arange(found + 2.0))
        assert memory[found] < power
        assert found == 0 or memory[found - 1] >= power
