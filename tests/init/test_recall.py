import math

import numpy as np
import pytest

from ssmemory import memory_function
from ssmemory.errors import InputError
from ssmemory.init.design import design
from ssmemory.init.recall import recall

# MF(lag)·(lag + 1)/d_state found by L-BFGS (scipy, from two other starts), before the formula was fitted
OPTIMA = {
    (4, 7): 0.70895,
    (8, 63): 0.76951,
    (17, 33): 0.8763,
    (32, 39): 0.93814,
    (64, 4095): 0.94349,
    (96, 143): 0.96709,
}


def remembered(system, lag):
    return float(memory_function(system, [lag]).values)


@pytest.mark.parametrize(("d_state", "lag"), OPTIMA)
def test_it_comes_within_half_a_percent_of_stored_optima(d_state, lag):
    share = remembered(recall(d_state, lag), lag) * (lag + 1) / d_state
    assert 0.995 < share / OPTIMA[d_state, lag] < 1 + 1e-4


@pytest.mark.parametrize(("d_state", "lag"), [(2, 2), (3, 1000), (6, 20), (16, 200), (33, 100)])
def test_it_comes_within_half_a_percent_of_a_design(d_state, lag):
    assert 0.995 < remembered(recall(d_state, lag), lag) / design(d_state, lags=[lag]).value <= 1 + 1e-9


@pytest.mark.parametrize("d_state", [2, 3, 16, 128])
def test_far_away_only_the_scale_changes(d_state):
    shares = [remembered(recall(d_state, lag), lag) * (lag + 1) for lag in (10**6, 10**9)]
    assert shares[0] == pytest.approx(shares[1], rel=1e-4)


@pytest.mark.parametrize("lag", [1, 7, 10**6])
def test_one_mode_is_exact(lag):
    system = recall(1, lag)
    assert float(system.eigenvalues.abs().square()) == pytest.approx(lag / (lag + 1), rel=1e-15)
    assert remembered(system, lag) == pytest.approx((lag / (lag + 1)) ** lag / (lag + 1), rel=1e-9)


@pytest.mark.parametrize(("d_state", "lag"), [(1, 0), (2, 1), (7, 3), (64, 63), (128, 0)])
def test_a_lag_below_the_state_size_is_a_shift_register(d_state, lag):
    assert remembered(recall(d_state, lag), lag) == pytest.approx(1 - 1e-8, abs=1e-12)


@pytest.mark.parametrize("d_state", [1, 2, 5, 8, 63, 128, 400])
@pytest.mark.parametrize("times", [0.5, 1, 1.3, 10, 1e6])
def test_it_is_a_real_stable_system_of_full_rank(d_state, times):
    system = recall(d_state, math.ceil(times * d_state))
    assert int(system.rank) == system.d_state == d_state
    assert float(system.eigenvalues.abs().max()) < 1
    values = system.eigenvalues.numpy()
    np.testing.assert_array_equal(np.sort_complex(values), np.sort_complex(values.conj()))


def test_frequencies_rise_and_are_nearly_equally_spaced():
    turns = recall(64, 2000).log_modes.imag.numpy() * 2001 / (2 * np.pi)
    assert (np.abs(np.diff(turns)[:-2] - 0.95) < 0.05).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5), "d_state: expected a whole number of at least 1, got 0"),
        ((2.5, 5), "d_state"),
        ((4, -1), "lag: expected a whole number of at least 0, got -1"),
        ((4, 1.5), "lag"),
        ((4, None), "lag"),
        ((4, float("nan")), "lag"),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(InputError, match=message):
        recall(*arguments)
