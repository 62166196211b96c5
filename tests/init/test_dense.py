import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from ssmemory import init, memory_capacity
from ssmemory.errors import InputError


@pytest.mark.parametrize("radius", [0.1, 0.9, 0.999])
@pytest.mark.parametrize("d_state", [1, 2, 7, 64])
def test_the_spectral_radius_is_exact(d_state, radius):
    A = init.random_dense(d_state, radius, seed=1).A.numpy()
    assert A.shape == (d_state, d_state)
    assert abs(np.abs(scipy.linalg.eigvals(A)).max() - radius) < 1e-12


def test_the_matrix_is_gaussian_up_to_its_scale():
    """Without the mean square, which the scale fixes; another law, the uniform, fails by far."""
    A = init.random_dense(200, seed=2).A
    entries = (A / A.square().mean().sqrt()).flatten().numpy()
    assert scipy.stats.kstest(entries, scipy.stats.norm.cdf).pvalue > 0.01
    assert scipy.stats.kstest(entries, scipy.stats.uniform(-(3**0.5), 2 * 3**0.5).cdf).pvalue < 1e-6


def test_the_input_weights_are_standard_normal():
    B = init.random_dense(64, seed=3, channels=100).B
    assert B.shape == (100, 64, 1)
    assert scipy.stats.kstest(B.flatten().numpy(), scipy.stats.norm.cdf).pvalue > 0.01


def test_the_eigenvalues_fill_the_disk():
    """Girko's circular law: |λ|² is about uniform."""
    eigenvalues = init.random_dense(300, 0.9, seed=4).eigenvalues
    inside = (eigenvalues.abs() / 0.9).square().numpy()
    assert scipy.stats.kstest(inside, scipy.stats.uniform.cdf).statistic < 0.1


def test_every_state_is_reached():
    system = init.random_dense(8, seed=5, channels=3)
    assert system.batch_shape == (3,)
    assert system.n_inputs == 1
    assert system.rank.tolist() == [8] * 3
    torch.testing.assert_close(memory_capacity(system), torch.full((3,), 8.0, dtype=torch.float64))


def test_the_seed_and_nothing_else_decides():
    torch.manual_seed(0)
    first = init.random_dense(8, seed=5)
    before = torch.random.get_rng_state()
    again, other = init.random_dense(8, seed=5), init.random_dense(8, seed=6)
    assert torch.equal(first.A, again.A)
    assert torch.equal(first.B, again.B)
    assert not torch.equal(first.A, other.A)
    assert torch.equal(before, torch.random.get_rng_state())


def test_channels_differ():
    A = init.random_dense(4, seed=0, channels=2).A
    assert not torch.allclose(A[0], A[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_state": 0}, r"^d_state: expected a whole number of at least 1, got 0;"),
        ({"radius": 1.0}, r"^radius: expected 0 < radius < 1, got 1\.0;"),
        ({"radius": 0}, r"^radius: expected 0 < radius < 1, got 0;"),
        ({"seed": -1}, r"^seed: expected a whole number of at least 0, got -1;"),
        ({"channels": 0}, r"^channels: expected a whole number of at least 1, got 0;"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        init.random_dense(**({"d_state": 4, "seed": 0} | arguments))
