import numpy as np
import pytest
import torch

from ssmemory import init, memory_function
from ssmemory.errors import UnstableError


def finite_memory(system, length):
    """Diagonal of the projection onto the rows λ^τ, by an SVD."""
    rows = np.exp(np.outer(system.log_eigenvalues.numpy(), np.arange(length)))
    _, values, basis = np.linalg.svd(rows, full_matrices=False)
    return (abs(basis[values > 1e-10 * values[0]]) ** 2).sum(0)


def error_of_power_law(system, length):
    """Relative least-squares error with which the modes draw the kernel 1/(1 + τ)."""
    kernel = 1 / (1 + np.arange(length))
    rows = np.exp(np.outer(np.arange(length), system.log_eigenvalues.real.numpy()))
    weights = np.linalg.lstsq(rows, kernel, rcond=None)[0]
    return np.linalg.norm(rows @ weights - kernel) / np.linalg.norm(kernel)


@pytest.mark.parametrize(("d_state", "length"), [(2, 2), (8, 100), (10, 9), (64, 64)])
def test_fourier_memory_of_the_window_is_flat(d_state, length):
    system = init.fourier(d_state, length)
    assert int(system.rank) == d_state - 1
    np.testing.assert_allclose(finite_memory(system, length), (d_state - 1) / length, atol=1e-13)


def test_fourier_modes_are_roots_of_unity_with_the_mean_first():
    system = init.fourier(8, 50)
    np.testing.assert_allclose(np.fft.fft(np.eye(50))[1, :4].conj(), system.log_modes.exp().numpy(), atol=1e-15)
    assert (system.log_modes.real == 0).all()
    assert system.log_modes[0] == 0


def test_fourier_has_no_infinite_memory():
    with pytest.raises(UnstableError, match="infinite horizon"):
        memory_function(init.fourier(8, 50), 10)


def test_geometric_decay_times_run_from_length_to_one():
    times = -1 / init.geometric(9, 256).log_eigenvalues.real
    torch.testing.assert_close(times, 2.0 ** torch.arange(8, -1, -1).double(), rtol=1e-14, atol=0)
    assert -1 / init.geometric(1, 256).log_eigenvalues.real.item() == pytest.approx(256)


def test_geometric_modes_count_once_each_and_are_stable():
    system = init.geometric(64, 10_000)
    assert (system.d_state, int(system.rank)) == (64, 64)
    assert 0.999 < float(system.eigenvalues.abs().max()) < 1


def test_geometric_draws_a_power_law_that_equal_spacing_cannot():
    geometric, linear = (error_of_power_law(f, 1000) for f in (init.geometric(24, 1000), init.linear(24, 0.999)))
    assert geometric < 2e-3
    assert geometric < linear / 10
