"""Ridge from running sums: against scikit-learn and leaving out one by one; cuts, shares, removal; bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.fit import ridge
from ssmemory.fit.ridge import RidgeSums

N, WIDTH, OUTPUTS = 300, 20, 2


def data(n: int = N, width: int = WIDTH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, width)) * rng.uniform(0.1, 10, width) + 100
    return x, x @ rng.standard_normal((width, OUTPUTS)) + 5 * rng.standard_normal((n, OUTPUTS))


def left_out(x: np.ndarray, y: np.ndarray, penalty: float, chosen: np.ndarray) -> float:
    """The mean squared error of samples predicted by all others, one by one."""
    scaled, errors = x / x.std(0), []
    for i in chosen:
        others = np.arange(len(x)) != i
        fitted = Ridge(alpha=len(x) * penalty).fit(scaled[others], y[others])
        errors.append((y[i] - fitted.predict(scaled[i : i + 1])[0]) ** 2)
    return float(np.mean(errors))


@pytest.fixture(params=["rows", "sums"])
def capacity(request, monkeypatch) -> int | None:
    """Both ways: all rows kept, and few of them."""
    if request.param == "sums":
        monkeypatch.setattr(ridge, "_MOST", 64)
    return 64 if request.param == "sums" else None


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_weights_are_scikit_learns_and_the_error_is_of_leaving_out_one_by_one(capacity, penalty):
    x, y = data()
    sums = RidgeSums(WIDTH, OUTPUTS).add(x, y)
    found = sums.solve(penalty)
    theirs = Ridge(alpha=N * penalty).fit(x / x.std(0), y)
    np.testing.assert_allclose(found.weights, (theirs.coef_ / x.std(0)).T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found(x), theirs.predict(x / x.std(0)), rtol=1e-10)
    assert found.n_samples == N
    assert found.n_scored == (capacity or N)
    assert found.error == pytest.approx(left_out(x, y, penalty, sums._numbers), rel=1e-9)
    assert found.variance == pytest.approx(((y - y.mean(0)) ** 2).mean())


def test_no_penalty_that_was_tried_is_better(capacity):
    x, y = data(n=80, width=60)
    found = RidgeSums(60, OUTPUTS).add(x, y).solve()
    assert found.error == min(found.tried[:, 1])
    assert found.penalty in found.tried[:, 0]
    assert 1e-8 < found.penalty < 1e2
    half = [RidgeSums(60, OUTPUTS).add(x, y).solve(found.penalty * f).error for f in (10**-0.5, 10**0.5)]
    assert found.error <= min(half)


def test_more_features_than_samples():
    x, y = data(n=30, width=200)
    found = RidgeSums(200, OUTPUTS).add(x, y).solve(0.5)
    theirs = Ridge(alpha=15.0).fit(x / x.std(0), y)
    np.testing.assert_allclose(found.weights, (theirs.coef_ / x.std(0)).T, rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 299), max_size=6, unique=True), st.integers(0, 5), st.booleans())
def test_cuts_order_and_shares_change_only_rounding(cuts, workers, few):
    most, ridge._MOST = ridge._MOST, 64 if few else ridge._MOST
    try:
        x, y = data()
        whole = RidgeSums(WIDTH, OUTPUTS).add(x, y)
        edges = [0, *sorted(cuts), N]
        pieces = [slice(a, b) for a, b in itertools.pairwise(edges)]
        shares = [RidgeSums(WIDTH, OUTPUTS) for _ in range(1 + workers)]
        for k, piece in enumerate(reversed(pieces)):
            shares[k % len(shares)].add(x[piece], y[piece], np.arange(N)[piece])
        merged = shares[0]
        for other in shares[1:]:
            merged.merge(other)
    finally:
        ridge._MOST = most
    a, b = whole.solve(0.01), merged.solve(0.01)
    assert set(merged._numbers) == set(whole._numbers)
    np.testing.assert_allclose(b.weights, a.weights, rtol=1e-9, atol=1e-12)
    assert b.error == pytest.approx(a.error, rel=1e-9)


def test_what_is_removed_was_never_there(capacity):
    x, y = data()
    found = RidgeSums(WIDTH, OUTPUTS).add(x, y).remove(x[200:], y[200:]).solve(0.1)
    wanted = RidgeSums(WIDTH, OUTPUTS).add(x[:200], y[:200]).solve(0.1)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-9, atol=1e-12)
    assert found.n_samples == 200


def test_an_offset_costs_no_digits(capacity):
    x, y = data()
    near, far = (RidgeSums(WIDTH, OUTPUTS).add(x + offset, y).solve(0.1) for offset in (0.0, 1e6))
    np.testing.assert_allclose(far.weights, near.weights, rtol=1e-6, atol=1e-9)


def test_a_constant_feature_has_no_weight(capacity):
    x, y = data()
    x[:, 3] = 0.1
    found = RidgeSums(WIDTH, OUTPUTS).add(x, y).solve()
    np.testing.assert_array_equal(found.weights[3], 0)
    assert np.isfinite(found.weights).all()


def test_kept_rows_do_not_grow_and_are_a_fair_sample(monkeypatch):
    monkeypatch.setattr(ridge, "_MOST", 64)
    rng, counts = np.random.default_rng(0), np.zeros(400)
    for seed in range(100):
        sums = RidgeSums(1, 1, seed=seed)
        for _ in range(4):
            sums.add(rng.standard_normal((100, 1)), rng.standard_normal((100, 1)))
        sums.solve()
        assert len(sums._rows) == 64
        counts[sums._numbers] += 1
    assert 8 <= counts.mean() <= 24  # 16 of 100 each
    assert counts.std() < 6  # sqrt(100 · 0.16 · 0.84) = 3.7
    assert np.corrcoef(counts, np.arange(400))[0, 1] == pytest.approx(0, abs=0.2)


BAD = [
    (lambda: RidgeSums(0, 1), "at least 1", "0, 1", "one of each"),
    (lambda: RidgeSums(2, 1).solve(), "at least 2", "0", "add data"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 2)), np.ones((3, 1))).solve(), "that vary", "all constant", "others"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 3)), np.ones((3, 1))), r"\(n, 2\)", r"\(3, 3\)", "one row"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 2)), np.ones((4, 1))), "as many", "3 and 4", "cut"),
    (lambda: RidgeSums(2, 1).add(np.full((3, 2), np.nan), np.ones((3, 1))), "finite", "6 NaN", "drop"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 2)), np.full((3, 1), np.inf)), "finite", "3 NaN or inf", "drop"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 2)) * 1j, np.ones((3, 1))), "real", "complex128", "one row"),
    (lambda: RidgeSums(2, 1).add(np.ones((3, 2)), np.ones((3, 1)), [0, 1]), "3 of them", r"\(2,\)", "whole number"),
    (lambda: RidgeSums(2, 1).merge(RidgeSums(3, 1)), r"\(2, 1, 0\)", r"\(3, 1, 0\)", "alike"),
    (lambda: RidgeSums(2, 1).remove(np.ones((1, 2)), np.ones((1, 1))), "that are there", "1 that are not", "bit"),
    (lambda: RidgeSums(WIDTH, OUTPUTS).add(*data()).solve(-1.0), "≥ 0", "-1", "leave it out"),
    (lambda: RidgeSums(WIDTH, OUTPUTS).add(*data()).solve(0.1)(np.ones(3)), "20 a sample", "3", "fitted to"),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def test_a_singular_matrix_without_penalty_is_refused(capacity):
    x, y = data()
    sums = RidgeSums(WIDTH + 1, OUTPUTS).add(np.column_stack([x, x[:, 0]]), y)
    with pytest.raises(InputError, match="singular"):
        sums.solve(0.0)
    assert np.isfinite(sums.solve().weights).all()
