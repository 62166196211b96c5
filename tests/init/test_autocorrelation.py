"""Autocorrelation and its largest eigenvalue against dense references; gaps, channels, unequal lengths, nonsense."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh, toeplitz
from scipy.signal import lfilter

from ssmemory.errors import InputError
from ssmemory.init import autocorrelation, largest_eigenvalue

RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal(50_000)


@pytest.mark.parametrize("n", [2, 64, 65, 700])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.99, 1.0])
def test_largest_eigenvalue_is_that_of_the_dense_matrix(n, rho):
    row = rho ** np.arange(n)
    assert largest_eigenvalue(row) == pytest.approx(eigvalsh(toeplitz(row))[-1], rel=1e-5)


def test_largest_eigenvalue_of_an_oscillation():
    row = np.cos(1.3 * np.arange(500)) * 0.999 ** np.arange(500)
    assert largest_eigenvalue(row) == pytest.approx(eigvalsh(toeplitz(row))[-1], rel=1e-5)


def by_definition(x: np.ndarray, lag: int) -> float:
    y = x - np.nanmean(x)
    return float(np.nanmean(y[lag:] * y[: len(y) - lag]) / np.nanmean(y * y))


@pytest.mark.parametrize("gaps", [False, True])
def test_every_lag_is_the_mean_over_the_pairs_that_are_there(gaps):
    x = lfilter([1], [1, -0.8], NOISE[:3000]) + 7
    if gaps:
        x[RNG.random(3000) < 0.2] = np.nan
        x[500:700] = np.nan
    found = autocorrelation(x, length=50)
    for lag in (0, 1, 17, 49):
        assert float(found.values[lag]) == pytest.approx(by_definition(x, lag), abs=1e-10)
    assert found.n_missing == int(np.isnan(x).sum())


def test_white_and_constant_are_the_ends():
    white = autocorrelation(NOISE.reshape(500, 100, 1))
    assert 1 <= white.lambda_max < 1.3
    same = autocorrelation(np.repeat(NOISE[:400], 100).reshape(400, 100, 1))
    assert same.lambda_max == pytest.approx(100, rel=0.05)
    assert same.correlation_length == 100


def test_channels_and_unequal_lengths():
    slow, fast = lfilter([1], [1, -0.95], NOISE), NOISE
    both = autocorrelation(np.stack([slow, fast], 1), length=100)
    alone = [autocorrelation(x, length=100).lambda_max for x in (slow, fast)]
    assert both.lambda_range[0] == pytest.approx(min(alone), rel=0.2)
    assert both.lambda_range[1] >= max(alone) * 0.99
    ragged = autocorrelation([slow[:300], slow[300:1000], slow[1000:1050]], length=40)
    assert ragged.n_values == 1050
    assert float(ragged.values[1]) == pytest.approx(0.95, abs=0.06)


def test_a_series_that_changes_is_told():
    changing = np.concatenate([NOISE[:20_000], lfilter([1], [1, -0.99], NOISE[:20_000])])
    found = autocorrelation(changing, length=200)
    assert found.lambda_range[1] > 5 * found.lambda_range[0]


def test_a_trend_is_told_and_taken_away():
    x = NOISE[:5000] + np.linspace(0, 20, 5000)
    found = autocorrelation(x, length=100)
    assert found.trend > 0.9
    assert found.lambda_max > 50
    assert autocorrelation(x, length=100, detrend=True).lambda_max < 2


@pytest.mark.parametrize(
    ("x", "options", "match"),
    [
        ([], {}, r"x: expected"),
        ([1.0], {}, "x: expected at least 2 steps, got 1"),
        (np.ones(50), {}, "x, channel 0: expected numbers that vary, got a constant"),
        (np.full(50, np.nan), {}, "x, channel 0: expected numbers that vary, got nothing but gaps"),
        (np.array(["a", "b"]), {}, "x: expected real numbers, got"),
        (np.array([1.0, np.inf, 2.0]), {}, "x: expected finite numbers, NaN for gaps, got 1 infinite"),
        (np.array([1.0 + 1j, 2.0]), {}, "x: expected real numbers"),
        (NOISE[:50], {"length": 51}, "length: expected 2 … 50, the longest sequence, got 51"),
        (np.zeros((5, 9)), {}, r"expected \(steps, channels\) with more steps than channels, got shape \(5, 9\)"),
        (np.zeros((2, 3, 4, 5)), {}, "x: expected one to three dimensions, got 4"),
        (
            [np.zeros((5, 2)), np.zeros((5, 3))],
            {},
            r"expected the same channels in every sequence, got widths \[2, 3\]",
        ),
    ],
)
def test_bad_input(x, options, match):
    with pytest.raises(InputError, match=match):
        autocorrelation(x, **options)
