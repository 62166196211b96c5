"""Closed-form forecasts: theoretical errors of known processes, a dense ridge on lags, coverage; bad input."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tests.one_line import assert_one_line

from ssmemory.errors import DataError, InputError
from ssmemory.fit import forecaster as module
from ssmemory.fit.forecaster import MemoryForecaster


def autoregressive(n: int, *coefficients: float, seed: int = 0) -> np.ndarray:
    """x[t] = Σ a_k x[t−k] + e[t], e of variance 1, after a start that is thrown away."""
    e = np.random.default_rng(seed).standard_normal(n + 500)
    x = np.zeros_like(e)
    for t in range(len(coefficients), len(x)):
        x[t] = sum(a * x[t - k] for k, a in enumerate(coefficients, 1)) + e[t]
    return x[500:]


def lagged(x: np.ndarray, lookback: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    starts = range(len(x) - lookback - horizon + 1)
    past, future = (slice(0, lookback), slice(lookback, lookback + horizon))
    return np.array([x[s:][past] for s in starts]), np.array([x[s:][future] for s in starts])


def dense_ridge(past: np.ndarray, future: np.ndarray, penalty: float) -> tuple[Ridge, np.ndarray]:
    scale = past.std(0)
    return Ridge(alpha=len(past) * penalty).fit(past / scale, future), scale


def only(**changes: object) -> dict:
    """One candidate: the last values as they are, one readout, one penalty."""
    return {"memories": ("lags",), "levels": ("none",), "channels": ("shared",), "penalties": (1e-2,)} | changes


def test_an_autoregressive_process_is_forecast_to_the_theoretical_error():
    x = autoregressive(30_000, 1.2, -0.5)
    found = MemoryForecaster(8, lookback=12).fit(x[:20_000])
    past, future = lagged(x[20_000:], 12, 8)
    error = np.sqrt(((found.predict_windows(past[..., None])[..., 0] - future) ** 2).mean(0))
    response = [1.0, 1.2]
    for _ in range(6):
        response.append(1.2 * response[-1] - 0.5 * response[-2])
    theory = np.sqrt(np.cumsum(np.square(response)))
    np.testing.assert_allclose(error, theory, rtol=0.03)
    np.testing.assert_allclose(found.error[:, 0], theory, rtol=0.06)
    np.testing.assert_allclose(found.baseline[0, 0], np.sqrt(2 * (1 - 1.2 / 1.5)) * x[:20_000].std(), rtol=0.03)


@pytest.mark.parametrize("memory", ["lags", "fourier", "geometric", "data"])
def test_a_sum_of_sinusoids_goes_on(memory):
    t = np.arange(1060)
    x = 5 + np.sin(2 * np.pi * t / 24) + 0.5 * np.cos(2 * np.pi * t / 7.3)
    found = MemoryForecaster(60, 48, memories=(memory,), penalties=(1e-10,)).fit(x[:1000])
    np.testing.assert_allclose(found.predict(), x[1000:], atol=1e-4)


@pytest.mark.parametrize("levels", [("last",), ("mean",), ("last", "mean", "none")])
def test_a_straight_line_goes_on(levels):
    x = 3 + 0.5 * np.arange(440.0)
    found = MemoryForecaster(40, 48, levels=levels).fit(x[:400])
    np.testing.assert_allclose(found.predict(), x[400:], rtol=1e-6)
    np.testing.assert_allclose(found.predict(1000 + x[:400]), 1000 + x[400:], rtol=1e-6)


def test_a_seasonal_random_walk_is_forecast_to_its_noise():
    rng = np.random.default_rng(1)
    days = np.cumsum(0.1 * rng.standard_normal((800, 24)), 0)
    found = MemoryForecaster(24, 48, penalties=(1e-6, 1e-4), channels=("shared",)).fit(days[:600].ravel())
    windows = np.stack([days[k : k + 2].ravel() for k in range(600, 798)])[..., None]
    error = np.sqrt(((found.predict_windows(windows)[..., 0] - days[602:800]) ** 2).mean())
    assert 0.1 * 0.95 < error < 0.1 * 1.06


@pytest.mark.parametrize("block", [2**22, 500])
def test_lags_are_a_dense_ridge_on_lagged_values(block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    x = autoregressive(1500, 0.9)
    found = MemoryForecaster(5, 20, **only()).fit(x)
    past, future = lagged(x, 20, 5)
    theirs, scale = dense_ridge(past, future, 1e-2)
    np.testing.assert_allclose(found.predict(), theirs.predict(x[None, -20:] / scale)[0], rtol=1e-9)
    assert found.n_windows == len(past)


def test_the_whole_fourier_memory_spans_the_lags():
    x = autoregressive(1500, 0.9)
    lags, fourier = (MemoryForecaster(5, 20, **only(memories=(m,), penalties=(1e-12,))) for m in ("lags", "fourier"))
    np.testing.assert_allclose(lags.fit(x).predict(), fourier.fit(x).predict(), rtol=1e-6)
    assert np.abs(lags.kernel() - fourier.kernel()).max() < 1e-6


def test_windows_that_miss_targets_or_the_last_value_are_left_out_and_others_bridged():
    x = autoregressive(1500, 0.9)
    gappy = x.copy()
    gappy[700:703] = np.nan
    bridged = np.interp(np.arange(1500), np.flatnonzero(np.isfinite(gappy)), gappy[np.isfinite(gappy)])
    found = MemoryForecaster(5, 20, **only()).fit(gappy)
    (past, _), (gaps, future) = lagged(bridged, 20, 5), lagged(gappy, 20, 5)
    kept = np.isfinite(future).all(1) & np.isfinite(gaps[:, -1])
    theirs, scale = dense_ridge(past[kept], future[kept], 1e-2)
    assert found.n_windows == kept.sum() == len(kept) - 8
    np.testing.assert_allclose(found.predict(), theirs.predict(x[None, -20:] / scale)[0], rtol=1e-9)


@pytest.mark.parametrize("cuts", [(900,), (900, 903, 1200), (900, 901)])
def test_learning_on_is_learning_all(cuts):
    x = np.stack([autoregressive(1500, 0.9), autoregressive(1500, 0.5, seed=1)], 1)
    found = MemoryForecaster(5, 20, **only(channels=("own",), stride=3)).fit(x[: cuts[0]])
    for first, last in zip(cuts, (*cuts[1:], 1500), strict=True):
        found.update(x[first:last])
    for channel in range(2):
        past, future = (part[::3] for part in lagged(x[:, channel], 20, 5))
        theirs, scale = dense_ridge(past, future, 1e-2)
        np.testing.assert_allclose(found.predict()[:, channel], theirs.predict(x[None, -20:, channel] / scale)[0])


def test_a_validation_series_is_chosen_on_and_not_learnt_from():
    x = autoregressive(2000, 0.9)
    found = MemoryForecaster(5, 20, **only()).fit(x[:1500], x[1500:])
    past, future = lagged(x[:1500], 20, 5)
    theirs, scale = dense_ridge(past, future, 1e-2)
    np.testing.assert_allclose(found.predict(), theirs.predict(x[None, 1480:1500] / scale)[0], rtol=1e-9)
    past, future = lagged(x[1500:], 20, 5)
    error = np.sqrt(((theirs.predict(past / scale) - future) ** 2).mean(0))
    np.testing.assert_allclose(found.error[:, 0], error, rtol=1e-9)


def test_channels_that_differ_get_readouts_of_their_own():
    x = np.stack([autoregressive(3000, 0.95), autoregressive(3000, -0.95, seed=1)], 1)
    found = MemoryForecaster(2, 10, levels=("none",)).fit(x)
    words = found.explain().splitlines()  # two steps ahead both have 0.9025 of the last value, and may share
    assert sum("steps 1–1: " in line and "a readout of its own" in line for line in words) == 2
    np.testing.assert_allclose(found.kernel(0)[0], [0.95, 0.95**2], atol=0.05)
    np.testing.assert_allclose(found.kernel(1)[0], [-0.95, 0.95**2], atol=0.05)


def test_a_crossed_readout_sees_what_another_channel_tells():
    rng = np.random.default_rng(0)
    cause = rng.standard_normal(3000)
    x = np.stack([cause, np.append(0, cause[:-1]) + 0.1 * rng.standard_normal(3000)], 1)
    alone, crossed = (MemoryForecaster(1, 10, channels=c).fit(x) for c in (("own",), ("own", "crossed")))
    assert alone.error[0, 1] == pytest.approx(1, rel=0.06)
    assert crossed.error[0, 1] == pytest.approx(0.1, rel=0.1)


def test_intervals_cover_as_often_as_they_say():
    n, horizon, level = 60_000, 6, 0.8
    x = autoregressive(n, 0.8)
    found = MemoryForecaster(horizon, 10, levels=("none",), stride=25, held_out=0.45).fit(x[: n * 2 // 3])
    calibrated = len(found._residuals)
    starts = np.arange(n * 2 // 3, n - 20, 25)  # far enough apart for errors to be independent
    inside = []
    for s in starts:
        low, high = found.predict_interval(level, x[s : s + 10])
        inside.append((low <= x[s + 10 : s + 10 + horizon]) & (x[s + 10 : s + 10 + horizon] <= high))
    spread = np.sqrt(level * (1 - level) * (1 / len(starts) + 1 / calibrated))
    assert calibrated > 500
    assert np.abs(np.mean(inside, 0) - level).max() < 3.5 * spread < 0.075
    theory = 2 * 1.2816 * np.sqrt(np.cumsum(0.64 ** np.arange(horizon)))
    np.testing.assert_allclose(high - low, theory, rtol=0.12)


def test_the_kernel_is_what_a_change_of_the_past_does():
    x = np.random.default_rng(0).standard_normal((600, 2)).cumsum(0)
    found = MemoryForecaster(6, 16).fit(x)
    past, changed = x[-16:].copy(), x[-16:].copy()
    changed[-4, 1] += 1
    change = found.predict(changed) - found.predict(past)
    np.testing.assert_allclose(change[:, 1], found.kernel(1)[3], atol=1e-9)
    np.testing.assert_allclose(change[:, 0], 0, atol=1e-12)


def test_shorter_horizons_are_the_first_steps_and_shapes_follow_the_series():
    x = np.random.default_rng(0).standard_normal((300, 3)).cumsum(0)
    found = MemoryForecaster(6, 16).fit(x)
    assert found.predict().shape == (6, 3)
    np.testing.assert_array_equal(found.predict(horizon=2), found.predict()[:2])
    np.testing.assert_array_equal(found.predict(x), found.predict())
    single = MemoryForecaster(6, 16).fit(x[:, 0])
    assert single.predict().shape == single.predict_interval(0.5)[0].shape == (6,)


def test_it_says_what_it_remembers():
    t = np.arange(2000)
    x = np.sin(2 * np.pi * t / 24) + 0.1 * np.random.default_rng(0).standard_normal(2000)
    found = MemoryForecaster(24, 48, memories=("fourier",), d_state=20).fit(x)
    words = found.explain()
    assert "period of 24 steps" in words
    assert "fourier: periods of 4.8 to 48 steps" in words
    assert "0.1" in words.splitlines()[-1]
    assert 0.095 < found.error.mean() < 0.12


def test_a_file_gives_the_same_forecasts(tmp_path):
    x = np.random.default_rng(0).standard_normal((400, 2)).cumsum(0)
    found = MemoryForecaster(6, 16, channels=("own", "crossed")).fit(x)
    loaded = MemoryForecaster.load(found.save(tmp_path / "forecaster.safetensors"))
    np.testing.assert_array_equal(loaded.predict(), found.predict())
    np.testing.assert_array_equal(loaded.predict_interval(0.5), found.predict_interval(0.5))
    assert loaded.explain() == found.explain()
    assert (tmp_path / "forecaster.safetensors").read_bytes()[8:9] == b"{"  # safetensors, not a pickle
    with pytest.raises(InputError, match="one loaded from a file"):
        loaded.update(x)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "forecaster.safetensors"
    path.write_bytes(b"\0" * 40)
    for bad in (path, tmp_path / "none"):
        with pytest.raises(DataError, match="a file that MemoryForecaster wrote"):
            MemoryForecaster.load(bad)


WALK = np.random.default_rng(0).standard_normal((200, 2)).cumsum(0)


def fitted() -> MemoryForecaster:
    return MemoryForecaster(4, 8).fit(WALK)


def with_channel(values: float) -> np.ndarray:
    return np.stack([WALK[:, 0], np.full(200, values)], 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fitted().predict(horizon=5), "expected 1..4 steps, as trained, got 5"),
        (lambda: fitted().predict(WALK[:7]), "expected at least 8 steps, got 7"),
        (lambda: fitted().predict(WALK[:, :1]), r"expected 2 channel\(s\), got 1"),
        (lambda: fitted().update(WALK[:, :1]), r"expected 2 channel\(s\), got 1"),
        (lambda: fitted().predict(with_channel(np.nan)), "channel 1: expected a value in the last 8 steps"),
        (lambda: fitted().predict_windows(WALK[None]), r"expected finite numbers \(n, 8, 2\)"),
        (lambda: fitted().predict_interval(1.0), "level: expected between 0 and"),
        (lambda: fitted().kernel(2), "channel: expected 0..1, got 2"),
        (lambda: MemoryForecaster(4, 8).predict(), "expected one that is fitted"),
        (lambda: MemoryForecaster(4, 8).fit(WALK[:11]), r"at least 12 \(lookback 8 \+ horizon 4\) steps, got 11"),
        (lambda: MemoryForecaster(4, 8).fit(WALK[:14]), "steps, got 14"),
        (lambda: MemoryForecaster(4, 8).fit(WALK, WALK[:11]), "validation: expected at least 12 steps, got 11"),
        (lambda: MemoryForecaster(4, 8).fit(with_channel(3.0)), "channel 1: .*got 3 throughout"),
        (lambda: MemoryForecaster(4, 8).fit(with_channel(np.nan)), "channel 1: .*got none"),
        (lambda: MemoryForecaster(4, 8).fit(np.where(WALK > 5, np.inf, WALK)), "got infinite ones"),
        (lambda: MemoryForecaster(4, 8).fit([["a"]]), "expected real numbers"),
        (lambda: MemoryForecaster(0, 8), "horizon: expected a whole number of at least 1, got 0"),
        (lambda: MemoryForecaster(4, 8, 9), "d_state: expected at most the lookback's 8, got 9"),
        (lambda: MemoryForecaster(4, 8, memories=("fuorier",)), "fourier"),
        (lambda: MemoryForecaster(4, 8, levels=()), "levels: expected at least one"),
        (lambda: MemoryForecaster(4, 8, penalties=(0.0,)), "penalties: expected numbers above 0"),
        (lambda: MemoryForecaster(1, 48, penalties=(1e-18,)).fit(np.sin(np.arange(9e3))), "penalties: .*got 1e-18"),
        (lambda: MemoryForecaster(4, 8, held_out=1.0), "held_out: expected a share"),
    ],
)  # fmt: skip
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert_one_line(str(caught.value), "", "", "")
