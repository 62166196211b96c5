import numpy as np
import pytest
from tests.reference.hippo import legs, legs_dplr

from ssmemory import LinearSystem, memory_function
from ssmemory.errors import InputError
from ssmemory.memory import perturbation_spread

OPTIONS = {"dt": 0.05, "discretization": "bilinear"}


@pytest.mark.parametrize("build", [legs, legs_dplr])
@pytest.mark.parametrize("n", [8, 64])
def test_hippo_is_certain_although_its_eigenvalues_are_not(build, n):
    system = LinearSystem.from_continuous_matrices(*build(n), **OPTIONS)
    spread = perturbation_spread(system, [0, 10, 100, 300], seed=0)
    assert spread.shape == (4,)
    assert float(spread.max()) < 1e-12
    assert float(spread.max()) > 0


def test_it_covers_the_error_that_was_made():
    """LegS written down in two ways, which differ by rounding: the memory differs by what the spread says."""
    one, other = (LinearSystem.from_continuous_matrices(*build(32), **OPTIONS) for build in (legs, legs_dplr))
    gap = (memory_function(one, 300).values - memory_function(other, 300).values).abs().max()
    assert float(gap) < 100 * float(perturbation_spread(other, 300, seed=0, draws=8).max())


def test_it_sees_a_matrix_whose_memory_is_uncertain():
    """A mode a hair from the circle: its distance to it, and with it the memory, moves by some percent."""
    margin = 2.0**-48
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    A = turn @ np.diag([1 - margin, 0.5, -0.2]) @ turn.T
    spread = perturbation_spread(LinearSystem.from_matrices(A, np.ones(3)), [int(1 / margin)], seed=0)
    assert float(spread) > 1e-3 * margin
    well = perturbation_spread(LinearSystem.from_matrices(0.9 * A, np.ones(3)), [5], seed=0)
    assert float(well) < 1e-14


def test_same_seed_same_spread():
    system = LinearSystem.from_continuous_matrices(*legs_dplr(8), **OPTIONS)
    spreads = [perturbation_spread(system, 20, seed=seed).tolist() for seed in (1, 1, 2)]
    assert spreads[0] == spreads[1] != spreads[2]


def test_more_draws_never_shrink_it():
    system = LinearSystem.from_continuous_matrices(*legs_dplr(8), **OPTIONS)
    few, many = (perturbation_spread(system, 20, seed=3, draws=draws) for draws in (2, 6))
    assert bool((many >= few).all())


def test_batch():
    A = np.stack([legs(4)[0], legs_dplr(4)[0]])
    system = LinearSystem.from_continuous_matrices(A, legs(4)[1], **OPTIONS)
    assert perturbation_spread(system, [3, 5, 8], seed=0).shape == (2, 3)


def test_the_eigenvalues_of_a_diagonal_system_are_given():
    with pytest.raises(InputError, match="expected a dense one"):
        perturbation_spread(LinearSystem.from_eigenvalues([0.5]), 3, seed=0)


def test_a_triangular_matrix_stays_triangular():
    """Its zeros are exact, so its eigenvalues are its diagonal; a perturbed zero would move them by 0.01."""
    A = np.array([[0.5, 0.0], [1e6, -0.5]])
    assert float(perturbation_spread(LinearSystem.from_matrices(A, [1.0, 1.0]), 20, seed=0).max()) < 1e-8
