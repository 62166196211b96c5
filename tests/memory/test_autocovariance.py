"""The autocovariance of an autoregression: against its impulse response and the closed forms of AR(1) and AR(2)."""

import numpy as np
import pytest
from scipy.signal import lfilter
from tests.one_line import assert_one_line

from ssmemory import LinearSystem
from ssmemory.errors import InputError
from ssmemory.memory import autoregressive_autocovariance, correlated_memory


@pytest.mark.parametrize(
    "phi", [[0.9], [-0.5], [0.5, 0.3], [1.6, -0.8], [0.2, 0.0, 0.0, 0.6], [0.0]], ids=lambda phi: str(phi)
)
def test_it_is_that_of_the_impulse_response(phi):
    r = autoregressive_autocovariance(phi).numpy()
    h = lfilter([1.0], [1.0, *-np.array(phi)], np.eye(1, 4000)[0])
    full = np.correlate(h, h, "full")[len(h) - 1 :]
    np.testing.assert_allclose(r[:200], (full / full[0])[: len(r)][:200], rtol=1e-10, atol=1e-13)
    assert r[0] == 1
    assert abs(r[-1]) < 1e-15


def test_closed_forms():
    np.testing.assert_allclose(autoregressive_autocovariance([0.7])[:50], 0.7 ** np.arange(50), rtol=1e-12)
    assert float(autoregressive_autocovariance([0.5, 0.3])[1]) == pytest.approx(0.5 / 0.7)


def test_a_state_of_the_same_coefficient_knows_the_next_to_last_by_its_neighbours():
    """x[t] = u[t] alone (λ = 0) knows u[t−τ] as far as it is correlated: r(τ)²."""
    r = autoregressive_autocovariance([0.6, 0.2])
    memory = correlated_memory(LinearSystem.from_eigenvalues([0.0]), r, 6)
    np.testing.assert_allclose(memory.values, r[:6] ** 2, atol=1e-12)


@pytest.mark.parametrize(
    ("phi", "expected", "got", "fix"),
    [
        ([], "one or more", r"\[\]", "φ_1"),
        ([np.nan], "finite", "nan", "φ_1"),
        ([[0.5]], "one or more", "0.5", "φ_1"),
        ([1.0], "stationary", "1", "difference"),
        ([0.9, 0.2], "stationary", "1.08", "difference"),
        ([0.9999999], "1048576 lags", "39", "shrink"),
    ],
)
def test_bad_input_is_one_line(phi, expected, got, fix):
    with pytest.raises(InputError) as caught:
        autoregressive_autocovariance(phi)
    assert_one_line(str(caught.value), expected, got, fix)
