"""The processing capacity: closed forms, a dense reference, its bound, noise, its streams, its refusals."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import eval_hermitenorm, eval_legendre
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.memory import processing as module
from ssmemory.memory.estimate import estimate_memory
from ssmemory.memory.iid import require_iid
from ssmemory.memory.processing import processing_capacity

U = np.random.default_rng(3).uniform(-1, 1, 12_000)
NORMAL = np.random.default_rng(4).standard_normal(12_000)


def back(u, lag):
    return np.roll(u, lag)


def reservoir(u, n, gain=1.0, seed=0):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, n))
    W *= 0.8 / np.abs(np.linalg.eigvals(W)).max()
    b, x, states = gain * rng.uniform(-1, 1, n), np.zeros(n), np.zeros((len(u), n))
    for t, value in enumerate(u):
        x = np.tanh(W @ x + b * value)
        states[t] = x
    return states


def test_polynomial_states_are_found_and_reach_the_bound():
    """Three independent states, each one product: the total is 3, and nothing else is above the floor."""
    x = np.stack([U * back(U, 1), 3 * back(U, 2) ** 2 - 1, back(U, 3) * (3 * back(U, 1) ** 2 - 1)], -1)
    found = processing_capacity(x @ np.array([[1.0, 2, 0], [0, 1, -1], [0.5, 0, 2]]), U, degree=3, lags=5)
    names = dict(found.top())
    assert set(names) == {"u[t] u[t-1]", "P2(u[t-2])", "P2(u[t-1]) u[t-3]"}
    assert list(names.values()) == pytest.approx([1, 1, 1], abs=2e-3)
    low, high = found.total_interval
    assert low < 3 < high
    assert high - low < 0.2
    assert found.bound == 3
    truth = torch.tensor([0.0, 2, 1])
    assert ((found.by_degree_interval[:, 0] < truth) & (truth < found.by_degree_interval[:, 1])).all()


def test_a_delay_line_is_all_linear():
    found = processing_capacity(np.stack([back(U, k) for k in range(6)], -1), U, degree=2, lags=10)
    assert found.linear.values.numpy() == pytest.approx([1] * 6 + [0] * 4, abs=2e-3)
    assert float(found.by_degree[0]) == pytest.approx(6, abs=5e-3)
    assert found.by_degree_interval[1, 0] < 0 < found.by_degree_interval[1, 1]
    assert int(found.above.sum()) == 6


@pytest.mark.parametrize(
    ("u", "distribution", "state", "shares"),
    [
        (U, "uniform", U**3, [21 / 25, 0, 4 / 25]),
        (5 * U - 2, "uniform", U**3, [21 / 25, 0, 4 / 25]),
        (NORMAL, "normal", NORMAL**3, [9 / 15, 0, 6 / 15]),
        (3 * NORMAL + 1, "normal", np.exp(NORMAL / 2), [0.25 / (k * math.expm1(0.25)) for k in (1, 8, 96)]),
    ],
)
def test_one_nonlinear_state_by_its_expansion(u, distribution, state, shares):
    """u³ and exp(u/2) in Legendre's and Hermite's polynomials, by hand."""
    found = processing_capacity(state[:, None], u, degree=3, lags=1, distribution=distribution)
    assert found.by_degree.numpy() == pytest.approx(shares, abs=0.02)
    assert found.by_degree.numpy() == pytest.approx(shares, abs=4 * float(found.by_degree_interval.diff().max()))


@pytest.mark.parametrize(("u", "distribution"), [(U, "uniform"), (NORMAL, "normal")])
def test_as_dense_least_squares_with_every_block_left_out(u, distribution):
    """All targets written out with scipy's polynomials; every fit by lstsq; the textbook jackknife."""
    u, blocks, lags = u[:1100], 20, 3
    x = np.concatenate([reservoir(u, 3), np.random.default_rng(0).standard_normal((1100, 1))], -1)
    support = (-1, 1) if distribution == "uniform" else None
    found = processing_capacity(
        x, u, degree=3, lags=lags, blocks=blocks, washout=100, distribution=distribution, support=support
    )
    v, polynomial = (u, eval_legendre) if support else ((u - u.mean()) / u.std(), eval_hermitenorm)
    z, values = np.concatenate([np.ones((1000, 1)), x[100:]], -1), {}
    for orders in itertools.product(range(4), repeat=lags):
        if not 1 <= sum(orders) <= 3:
            continue
        y = np.prod([polynomial(k, back(v, lag)) for lag, k in enumerate(orders)], axis=0)[100:]
        keep = [np.arange(1000) // 50 != j for j in range(-1, blocks)]  # block −1 is none: the full fit
        residual = [y[k] - z[k] @ np.linalg.lstsq(z[k], y[k])[0] for k in keep]
        full, *without = (1 - (r @ r) / (len(r) * y[k].var()) for r, k in zip(residual, keep, strict=True))
        key = tuple(sorted(lag for lag, k in enumerate(orders) for _ in range(k)))
        values[key] = blocks * full - (blocks - 1) * np.mean(without)
    assert len(values) == found.n_targets == 19
    got = {tuple(k for k in row if k >= 0): v for row, v in zip(found.targets.tolist(), found.values, strict=True)}
    assert {key: float(value) for key, value in got.items()} == pytest.approx(values, abs=1e-9)
    assert float(found.total) == pytest.approx(sum(values.values()), abs=1e-9)
    assert found.by_degree[1].item() == pytest.approx(sum(v for k, v in values.items() if len(k) == 2), abs=1e-9)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_degree_one_is_the_estimated_memory_function(distribution):
    u = (U if distribution == "uniform" else NORMAL)[:6000]
    x, lags = reservoir(u, 8), [7, *range(7)]
    memory = estimate_memory(x, u, lags)
    found = processing_capacity(x, u, degree=2, lags={1: lags, 2: 4}, distribution=distribution)
    assert torch.equal(found.linear.lags, memory.lags)
    for name in ("values", "stderr", "interval"):
        assert torch.allclose(getattr(found.linear, name), getattr(memory, name), rtol=0, atol=1e-11)
    assert found.linear.capacity_interval == pytest.approx(memory.capacity_interval, abs=1e-10)
    assert found.linear.floor == pytest.approx(memory.floor, abs=1e-11)
    assert torch.equal(found.values[: len(lags)], found.linear.values)
    assert float(found.by_degree[0]) == pytest.approx(memory.capacity, abs=1e-10)


def test_a_reservoir_comes_near_its_bound_and_not_past_it():
    """Up to degree 3 the sum is below the 8 independent states, as a sum over part of the targets must be."""
    x = reservoir(U, 8)
    part = processing_capacity(x, U, degree=3, lags={1: 30, 2: 10, 3: 12})
    assert part.bound == 8
    assert part.total_interval[1] < 8
    found = processing_capacity(x, U, degree=5, lags={1: 30, 2: 4, 3: 18, 4: 3, 5: 10})
    assert found.total > 0.97 * 8
    assert found.total_interval[0] < 8 < found.total_interval[1] < 8.4
    assert float(found.by_degree[2]) > 1  # tanh is odd
    assert float(found.by_degree[1]) < 0.1
    assert found.linear.capacity < 7


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_states_that_never_saw_the_input_compute_nothing(distribution):
    held, totals, passed = [], [], 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 7])
        u = rng.uniform(0, 1, 2500) if distribution == "uniform" else rng.standard_normal(2500)
        x = rng.standard_normal((2500, 8))
        found = processing_capacity(x, u, degree=3, lags={1: 12, 2: 6, 3: 4}, distribution=distribution)
        low, high = found.by_degree_interval.unbind(-1)
        held.append(bool(((low < 0) & (high > 0)).all()) and found.total_interval[0] < 0 < found.total_interval[1])
        totals.append(found.total)
        passed += bool((found.values > found.floor[found.degrees - 1]).any())
    assert sum(held) >= 17
    assert abs(np.mean(totals)) < 4 * np.std(totals) / math.sqrt(20)  # without the correction: 0.15
    assert np.std(totals) < 0.04
    assert passed <= 5  # 5 % of 20, far below the tail of a binomial


def test_in_small_pieces_as_all_at_once(monkeypatch):
    u = U[:3000].reshape(3, 1000)
    x = np.stack([reservoir(row, 5) for row in u])
    whole = processing_capacity(x, u, degree=3, lags=8)
    monkeypatch.setattr(module, "_CHUNK_NUMBERS", 70 * 100)
    monkeypatch.setattr(module, "_SUM_NUMBERS", 1)  # 64 targets at once
    parts = processing_capacity(torch.from_numpy(x), torch.from_numpy(u), degree=3, lags=8)
    assert whole.n_targets == 8 + 36 + 120
    assert torch.allclose(whole.values, parts.values, rtol=0, atol=1e-10)
    assert torch.allclose(whole.stderr, parts.stderr, rtol=1e-6, atol=1e-10)
    assert whole.total_interval == pytest.approx(parts.total_interval, abs=1e-9)


def test_a_model_is_driven_with_the_inputs_as_they_are():
    found = processing_capacity(lambda u: torch.cat([u * u.roll(1, 1), u], -1), 4 * U[:4000] + 9, degree=2, lags=3)
    assert [name for name, _ in found.top()][:1] == ["u[t]"]
    assert float(found.total) == pytest.approx(2, abs=0.1)


def test_words_and_names():
    x = np.stack([NORMAL * (back(NORMAL, 4) ** 2 - 1), back(NORMAL, 1)], -1)
    found = processing_capacity(x, NORMAL, degree=3, lags=5, distribution="normal", seed=1)
    assert [name for name, _ in found.top()] == ["u[t-1]", "u[t] He2(u[t-4])"]
    assert found.top(1)[0][0] == "u[t-1]"
    words = found.describe()
    assert "of at most 2 independent" in words
    assert "2 of 55 products are above the floor" in words
    assert words == processing_capacity(x, NORMAL, degree=3, lags=5, distribution="normal", seed=1).describe()


def test_bars_stand_side_by_side_under_their_bound():
    pytest.importorskip("matplotlib").use("Agg")
    found = processing_capacity(np.stack([U**3, back(U, 1)], -1), U, degree=3, lags=2)
    ax = found.plot(found.plot(label="a"), label="b")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]
    bars = [bar for bar in ax.patches if bar.get_x() > 0.5]
    assert [bar.get_height() for bar in bars] == pytest.approx(found.by_degree.clamp(min=0).tolist())
    assert sorted(ax.get_legend_handles_labels()[1]) == ["bound", "degree 1", "degree 2", "degree 3"]
    assert any(np.allclose(line.get_ydata(), 2) for line in ax.lines)
    ax.figure.canvas.draw()


X = np.random.default_rng(0).standard_normal((12_000, 3))
SLOW = np.convolve(NORMAL, [1, 0.5])[:-1]
BURSTS = np.sign(U) * np.repeat(np.abs(U[:6000]), 2)  # uniform; sizes come in pairs


@pytest.mark.parametrize(
    ("call", "expected", "got", "fix"),
    [
        (lambda: processing_capacity(X, U, degree=3, lags=100), "at most 50,000", "176,850.*171,700 of", "fewer lags"),
        (lambda: processing_capacity(X, NORMAL, degree=2, lags=3), "a uniform dist", "Smirnov distance of 0", "name"),
        (lambda: processing_capacity(X, U, degree=2, lags=3, distribution="normal"), "a normal", "p = ", "name"),
        (lambda: processing_capacity(X, np.sign(U), degree=2, lags=3), "a uniform dist", "distance of 0.5", "draw"),
        (lambda: processing_capacity(X, SLOW, degree=2, lags=3, distribution="normal"), "depend", "10 lags", "white"),
        (lambda: processing_capacity(X, BURSTS, degree=2, lags=3), "not depend", "p = ", "white noise"),
        (lambda: processing_capacity(X, U, degree=2, lags=3, distribution="gauss"), "uniform, normal", "gauss", "one"),
        (lambda: processing_capacity(X, U, degree=2, lags=3, support=(0, 1)), "support 0 … 1", "-0.99", "leave"),
        (lambda: processing_capacity(X, U, degree=2, lags=3, support=(-2, 2)), "a uniform", "distance", "draw"),
        (
            lambda: processing_capacity(X, NORMAL, degree=1, lags=3, distribution="normal", support=(0, 1)),
            "none for a normal",
            r"\(0, 1\)",
            "mean and scale",
        ),
        (lambda: processing_capacity(X, U, degree=0, lags=3), "whole number", "0", "memory function"),
        (lambda: processing_capacity(X, U, degree=2, lags={1: 3}), "each degree 1 … 2", r"\[1\]", "its window"),
        (lambda: processing_capacity(X, U, degree=2, lags=[1, 1]), "every lag once", r"\[1, 1\]", "twice"),
        (lambda: processing_capacity(X, U, degree=2, lags={1: 3, 2: 0}), "n ≥ 1", "0", "lags"),
        (lambda: processing_capacity(X[:70], U[:70], degree=2, lags=3), "at least 80 steps", "63", "longer"),
        (lambda: processing_capacity(X[:50], U, degree=2, lags=3), "12000, N", "50, 3", "same steps"),
    ],
)
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def test_independent_inputs_are_not_refused():
    """One in a million by design; among 300, at p < 1e-6, none."""
    for seed in range(300):
        require_iid(np.random.default_rng([seed, 2]).uniform(-1, 1, (2, 400)), 20, "uniform")
