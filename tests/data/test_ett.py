"""The division for forecasting: borders computed by hand, and scikit-learn's scaling."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from tests.one_line import assert_one_line

from ssmemory.data import Series, ett_split
from ssmemory.errors import InputError


def series(steps, channels=2, rate=1 / 3600, seed=0):
    values = np.random.default_rng(seed).normal(size=(steps, channels)) * [1, 100][:channels] + [5, -3][:channels]
    return Series(values, ("a", "b")[:channels], rate, "1 h", "here")


@pytest.mark.parametrize(
    ("steps", "rate", "by", "borders"),
    [
        # Hours: 12 months are 8640, 4 are 2880. Quarter hours: 34560 and 11520. What follows is left out.
        (17_420, 1 / 3600, "months", ((0, 8640), (8544, 11_520), (11_424, 14_400))),
        (14_400, 1 / 3600, "months", ((0, 8640), (8544, 11_520), (11_424, 14_400))),
        (69_680, 1 / 900, "months", ((0, 34_560), (34_464, 46_080), (45_984, 57_600))),
        (1000, 1 / 3600, "shares", ((0, 700), (604, 800), (704, 1000))),
        (1007, None, "shares", ((0, 704), (608, 806), (710, 1007))),
        (52_696, 1 / 600, "shares", ((0, 36_887), (36_791, 42_157), (42_061, 52_696))),
    ],
)
def test_borders(steps, rate, by, borders):
    whole = series(steps, rate=rate)
    split = ett_split(whole, lookback=96, by=by)
    assert split.borders == borders
    scaler = StandardScaler().fit(whole.values[: borders[0][1]])
    np.testing.assert_allclose(split.mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(split.std, scaler.scale_, rtol=1e-12)
    for part, (start, stop) in zip((split.train, split.validation, split.test), borders, strict=True):
        np.testing.assert_allclose(part, scaler.transform(whole.values[start:stop]), rtol=1e-9, atol=1e-12)


def test_the_shares_are_exact_and_every_step_is_in_one_part():
    assert ett_split(series(90), lookback=0).borders == ((0, 63), (63, 72), (72, 90))
    for steps in range(5, 60):
        borders = ett_split(series(steps), lookback=0).borders
        assert [step for part in borders for step in range(*part)] == list(range(steps))


def test_the_later_parts_change_no_scale_and_the_lookback_ends_where_the_part_begins():
    whole, other = series(200), series(200)
    other.values[140:] *= 50
    a, b = ett_split(whole, lookback=30), ett_split(other, lookback=30)
    np.testing.assert_array_equal(a.train, b.train)
    np.testing.assert_array_equal(a.validation[:30], a.train[-30:])
    np.testing.assert_array_equal(a.test[:30], a.validation[-30:])
    assert not np.array_equal(a.test[30:], b.test[30:])


def test_gaps_count_in_no_mean_and_stay_gaps():
    whole = series(100)
    whole.values[::3, 0] = np.nan
    split = ett_split(whole, lookback=7)
    kept = whole.values[:70, 0][~np.isnan(whole.values[:70, 0])]
    assert split.mean[0] == pytest.approx(kept.mean(), rel=1e-12)
    assert split.std[0] == pytest.approx(kept.std(), rel=1e-12)
    np.testing.assert_array_equal(np.isnan(split.test), np.isnan(whole.values[73:]))


def flat(values):
    whole = series(100)
    whole.values[:70, 1] = values
    return whole


@pytest.mark.parametrize(
    ("whole", "options", "expected", "got", "fix"),
    [
        (series(100), {"lookback": 5, "by": "weeks"}, "one of months, shares", "'weeks'", "choose"),
        (series(100), {"lookback": -1}, "0..70, the training part's steps", "-1", "shorter"),
        (series(100), {"lookback": 71}, "0..70", "71", "shorter"),
        (series(4), {"lookback": 0}, "at least 5 steps", "4", "longer"),
        (series(14_399), {"lookback": 5, "by": "months"}, "20 months of 30 days, 14400 steps", "14399", "shares"),
        (series(100, rate=None), {"lookback": 5, "by": "months"}, "a whole number of steps a day", "none", "shares"),
        (series(100, rate=1 / 7000), {"lookback": 5, "by": "months"}, "a whole number of steps", "12.3429", "shares"),
        (series(100, rate=1 / 864_000), {"lookback": 5, "by": "months"}, "a whole number of steps", "0.1", "shares"),
        (flat(0.1), {"lookback": 5}, "at least two different values in the training part", "none", "leave"),
        (flat(np.nan), {"lookback": 5}, "at least two different values in the training part", "none", "leave"),
    ],
)
def test_what_cannot_be_divided(whole, options, expected, got, fix):
    with pytest.raises(InputError) as caught:
        ett_split(whole, **options)
    assert_one_line(str(caught.value), expected, got, fix)


def test_many_series_are_refused():
    many = Series(np.zeros((2, 50, 1)), ("a",), None, None, "here")
    with pytest.raises(InputError, match=r"series: expected one, of shape \(steps, channels\), got shape \(2, 50, 1\)"):
        ett_split(many, lookback=5)
