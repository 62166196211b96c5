"""Correlated input in several channels, against dense covariances, and an autocorrelation that is always one."""

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, init, memory_function
from ssmemory.errors import InputError, UnstableError
from ssmemory.memory import correlated_channels, correlated_memory, sample_autocovariance

R = 0.9 ** np.arange(300) * np.cos(0.2 * np.arange(300))


def drawn(n, m, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    return 0.8 * A / np.abs(np.linalg.eigvals(A)).max(), rng.standard_normal((n, m))


@pytest.mark.parametrize("m", [1, 3])
def test_it_is_the_regression_on_the_state(m):
    """``c* Σ⁻¹ c`` with Σ and c summed over 600 lags of A^τ B and the whole Toeplitz matrix of the input."""
    A, B = drawn(5, m)
    K = [B]
    for _ in range(599):
        K.append(A @ K[-1])
    K, whole = np.stack(K, 1), toeplitz(np.pad(R, (0, 300)))
    covariance = sum(K[:, :, i] @ whole @ K[:, :, i].T for i in range(m))
    cross = np.stack([K[:, :, i] @ whole[:, :40] for i in range(m)], -1)
    wanted = np.einsum("nti,nti->ti", cross, np.linalg.solve(covariance, cross.reshape(5, -1)).reshape(cross.shape))
    got = correlated_channels(LinearSystem.from_matrices(A, B), R, 40)
    assert got.shape == (40, m)
    assert np.abs(got.numpy() - wanted).max() < 1e-12
    far = correlated_channels(LinearSystem.from_matrices(A, B), R, [30, 2])
    assert np.allclose(far, wanted[[30, 2]], atol=1e-12)


def test_one_input_is_correlated_memory():
    for system in (init.ring(8, seed=0), init.s4d_lin(8, torch.tensor([0.05, 0.1])), init.hippo_legs(8, 0.1)):
        wanted = correlated_memory(system, R, 50).values
        assert float((correlated_channels(system, R, 50).squeeze(-1) - wanted).abs().max()) < 1e-12


def test_white_input_is_the_memory_function():
    system = LinearSystem.from_matrices(*drawn(6, 2))
    assert float((correlated_channels(system, [2.0], 30) - memory_function(system, 30).values).abs().max()) < 1e-12


def test_bad_input_is_one_line():
    one = LinearSystem.from_eigenvalues([0.5])
    narrow = np.exp(-0.5 * (np.arange(600) / 60) ** 2)
    for call, what in (
        (lambda: correlated_channels(one, [1.0, 0.9], 5), "positive definite"),
        (lambda: correlated_channels(one, [0.0], 5), r"r\(0\) > 0"),
        (lambda: correlated_channels(one, [1.0], 0), "n ≥ 1"),
        (lambda: correlated_channels(None, [1.0], 5), "a LinearSystem"),
        (lambda: correlated_channels(init.linear(40), narrow, 5), "condition number below 1e"),
        (lambda: sample_autocovariance(np.ones((5, 1)), 5), "channels that vary"),
        (lambda: sample_autocovariance(np.ones(5), 5), "steps, channels"),
        (lambda: sample_autocovariance(np.eye(5)[:, :1], 0), "and a lag"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert_one_line(str(caught.value), what, "got ", "")
    with pytest.raises(UnstableError):
        correlated_channels(LinearSystem.from_log_eigenvalues([0.0]), [1.0], 5)


def test_the_sample_is_positive_definite_whatever_the_data_are():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 50, 3)).cumsum(1)
    x[0, 10:20, 1] = np.nan
    for length in (7, 50, 80):
        r = sample_autocovariance(x, length).numpy()
        assert len(r) == min(length, 50)
        assert np.linalg.eigvalsh(toeplitz(np.pad(r, (0, 60)))).min() > -1e-12


def test_the_sample_by_hand():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 1))
    y = x[:, 0] - x.mean()
    wanted = np.array([y[: 40 - k] @ y[k:] for k in range(10)]) / (y @ y)
    assert np.allclose(sample_autocovariance(x, 10), wanted * (1 - np.arange(10) / 10), atol=1e-12)
    assert np.allclose(sample_autocovariance(x, 40)[:10], wanted, atol=1e-12)
