"""Memory given the gates: against the memory of fixed systems, leverage scores, a dense projection, a regression."""

import matplotlib
import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory import LinearSystem
from ssmemory.errors import InputError
from ssmemory.memory import horizon_memory
from ssmemory.memory.gated import GatedMemory, gated_memory, linear_attention_system
from ssmemory.systems.time_varying import TimeVaryingSystem

matplotlib.use("Agg")
RNG = np.random.default_rng(1)
T, N = 40, 4


@pytest.mark.parametrize("complex_values", [False, True], ids=["real", "complex"])
def test_constant_gates_are_the_memory_over_a_horizon(complex_values):
    modes = np.array([0.97, 0.6, -0.8, 0.2]) * (np.exp([0.3j, 1j, 0, -2j]) if complex_values else 1)
    system = TimeVaryingSystem.diagonal(np.tile(modes, (T, 1)), np.tile(RNG.standard_normal(N), (T, 1)))
    memory = gated_memory(system, [9, T - 1], lags=10)
    for at, p in enumerate([9, T - 1]):
        wanted = horizon_memory(LinearSystem.from_eigenvalues(modes), p + 1, 10)
        assert float((memory.values[at] - wanted.values).abs().max()) < 1e-12
    assert memory.rank.tolist() == [N, N]
    assert memory.positions.tolist() == [9, T - 1]


def test_identity_gives_the_leverage_of_the_keys():
    keys = RNG.standard_normal((2, T, N))
    memory = gated_memory(linear_attention_system(keys))
    for one, values in zip(keys, memory.values[:, 0].numpy(), strict=True):
        hat = one @ np.linalg.pinv(one)
        assert np.abs(values - np.diag(hat)[::-1]).max() < 1e-14


@pytest.mark.parametrize("log_decay", [-0.1, [-0.1], RNG.uniform(-0.3, 0, T)], ids=["number", "head", "steps"])
def test_decay_weighs_the_keys(log_decay):
    keys = RNG.standard_normal((T, N))
    memory = gated_memory(linear_attention_system(keys, log_decay))
    later = np.append(np.cumsum(np.broadcast_to(log_decay, T)[:0:-1])[::-1], 0)
    weighted = np.exp(later)[:, None] * keys
    assert np.abs(memory.values[0].numpy() - np.diag(weighted @ np.linalg.pinv(weighted))[::-1]).max() < 1e-14


def test_one_key_has_rank_one():
    memory = gated_memory(linear_attention_system(np.tile(RNG.standard_normal(N), (T, 1))))
    assert memory.rank.tolist() == [1]
    assert float((memory.values - 1 / T).abs().max()) < 1e-15


def test_delta_rule_is_the_dense_recurrence():
    k = RNG.standard_normal((3, T, N))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    beta, decay = RNG.uniform(0, 1, (3, T)), RNG.uniform(0.8, 1, (3, T))
    A = decay[..., None, None] * (np.eye(N) - beta[..., None, None] * k[..., :, None] * k[..., None, :])
    got = gated_memory(TimeVaryingSystem.delta(decay, k, beta), [20, 30])
    wanted = gated_memory(TimeVaryingSystem.dense(A, beta[..., None] * k), [20, 30])
    assert float((got.values - wanted.values).abs().max()) < 1e-12


@pytest.mark.parametrize("complex_values", [False, True], ids=["real", "complex"])
def test_values_are_those_of_the_projection(complex_values):
    A, B = 0.5 * RNG.standard_normal((T, N, N)), RNG.standard_normal((T, N)) + 0j
    B += 1j * RNG.standard_normal((T, N)) if complex_values else 0
    system = TimeVaryingSystem.dense(A, B if complex_values else B.real)
    memory = gated_memory(system)
    K = system.responses(T - 1).numpy()
    assert np.abs(memory.values[0].numpy() - np.diag(np.linalg.pinv(K) @ K).real).max() < 1e-11
    assert float(memory.capacity) == pytest.approx(N, abs=1e-12)


def test_values_are_those_of_a_regression():
    a, B = RNG.uniform(0.3, 1, (T, N)), RNG.standard_normal((T, N))
    u = RNG.standard_normal((200_000, T))
    x = np.zeros((len(u), N))
    for t in range(T):
        x = a[t] * x + u[:, t, None] * B[t]
    left = u - x @ np.linalg.lstsq(x, u, rcond=None)[0]
    read = (1 - left.var(0) / u.var(0))[::-1]
    memory = gated_memory(TimeVaryingSystem.diagonal(a, B))
    assert np.abs(read - memory.values[0].numpy()).max() < 5e-3


def test_scales_of_states_do_not_matter():
    a, B = RNG.uniform(0.3, 1, (T, N)), RNG.standard_normal((T, N))
    plain = gated_memory(TimeVaryingSystem.diagonal(a, B))
    scaled = gated_memory(TimeVaryingSystem.diagonal(a, B * [1e-200, 1.0, 1e200, -3]))
    assert float((plain.values - scaled.values).abs().max()) < 1e-12


def test_fewer_steps_than_states_lose_nothing():
    memory = gated_memory(linear_attention_system(RNG.standard_normal((3, 8))), [0, 2], lags=1)
    assert memory.rank.tolist() == [1, 3]
    assert memory.values.flatten().tolist() == pytest.approx([1, 1], abs=1e-14)


def test_an_input_that_is_not_written_is_not_read():
    keys = RNG.standard_normal((2, T, N))
    keys[1] = 0
    memory = gated_memory(linear_attention_system(keys))
    assert memory.rank.tolist() == [[N], [0]]
    assert float(memory.values[1].abs().max()) == 0
    assert memory.condition[1].tolist() == [1]


def test_close_modes_are_cut_at_the_tolerance():
    modes = np.linspace(0.90, 0.95, 12)
    system = TimeVaryingSystem.diagonal(np.tile(modes, (T, 1)), np.ones((T, 12)))
    ranks = [int(gated_memory(system, tolerance=tolerance).rank) for tolerance in (1e-4, 1e-10, 1e-13)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1] < 12
    memory = gated_memory(system)
    assert 1 < float(memory.condition) <= 1e10
    assert float(memory.capacity) == pytest.approx(int(memory.rank), abs=1e-12)


@pytest.fixture(scope="module")
def spread() -> GatedMemory:
    log_decay, B = RNG.uniform(-0.5, 0, (3, 2, T, N)), RNG.standard_normal((3, 1, T, N))
    return gated_memory(TimeVaryingSystem.diagonal(B=B, log_decay=log_decay), [19, 29, 39])


def test_spread_over_sequences_and_positions(spread):
    assert spread.values.shape == (3, 2, 3, 20)
    assert spread.rank.shape == spread.capacity.shape == spread.condition.shape == (3, 2, 3)
    curves = spread.values.reshape(18, 20).numpy()
    assert np.allclose(spread.mean, curves.mean(0))
    for got, q in zip(spread.band(), (0.1, 0.9), strict=True):
        assert np.allclose(got, np.quantile(curves, q, axis=0))


def test_blocks_change_nothing(spread, monkeypatch):
    again = TimeVaryingSystem.diagonal(B=RNG.standard_normal((5, T, N)), log_decay=RNG.uniform(-1, 0, (5, T, N)))
    whole = gated_memory(again, [3, 8])
    monkeypatch.setattr("ssmemory.memory.gated._BLOCK", 2 * T * N)
    assert torch.equal(gated_memory(again, [3, 8]).values, whole.values)


def test_some_lags_alone():
    system = linear_attention_system(RNG.standard_normal((T, N)))
    assert torch.equal(gated_memory(system, lags=[7, 0, 39]).values, gated_memory(system).values[:, [7, 0, 39]])


def test_in_words_and_drawn(spread):
    assert spread.describe().startswith(
        "Given its gates the state holds 4 numbers of the inputs so far, median of 18 states"
    )
    one = gated_memory(linear_attention_system(np.ones((4, 1))))
    assert one.describe() == (
        "Given its gates the state holds 1 numbers of the inputs so far: memory 0.25 at lag 0 and 0.25 at lag 3."
    )
    axes = spread.plot(label="three positions")
    assert len(axes.lines) == 2
    assert float(axes.lines[1].get_ydata()[0]) == pytest.approx(4 / 30)
    assert len(spread.plot(bound=False).lines) == 1


def test_of_many_values_some_lags_are_drawn(spread, monkeypatch):
    monkeypatch.setattr("ssmemory.memory.gated._DRAWN", 18 * 10)
    drawn = spread.plot().lines[0].get_xdata()
    assert drawn[0] == 1
    assert drawn[-1] == 20
    assert len(drawn) <= 10


def test_conjugates_given_as_states_are_the_real_system():
    modes, T = np.array([0.9 * np.exp(0.5j), 0.7 * np.exp(2j)]), 60
    both = np.concatenate([modes, modes.conj()])
    memory = gated_memory(TimeVaryingSystem.diagonal(np.tile(both, (T, 1)), np.ones((T, 4))))
    wanted = horizon_memory(LinearSystem.from_eigenvalues(modes, conj_sym=True), T).values
    assert float((memory.values[0] - wanted).abs().max()) < 1e-13


SYSTEM = linear_attention_system(np.ones((5, 2)))
ROWS = [
    ("not a system", lambda: gated_memory(np.ones(3)), "TimeVaryingSystem", "ndarray", "make one"),
    ("fixed system", lambda: gated_memory(LinearSystem.from_eigenvalues([0.5])), "TimeVar", "Linear", "make one"),
    ("position", lambda: gated_memory(SYSTEM, 5), "0 … 4", "5", "first step"),
    ("negative", lambda: gated_memory(SYSTEM, [2, -1]), "0 … 4", "-1", "first step"),
    ("no positions", lambda: gated_memory(SYSTEM, []), "several", r"\[\]", "first step"),
    ("fraction", lambda: gated_memory(SYSTEM, [1.5]), "whole", "1.5", "first step"),
    ("lags", lambda: gated_memory(SYSTEM, [3, 2], lags=4), "at most 2", "3", "later positions"),
    ("no lags", lambda: gated_memory(SYSTEM, lags=[]), "at least one lag", "shape", "pass n"),
    ("tolerance", lambda: gated_memory(SYSTEM, tolerance=0), r"1e-14", "0", "default"),
    ("tolerance, NaN", lambda: gated_memory(SYSTEM, tolerance=float("nan")), r"1e-14", "nan", "default"),
    ("band", lambda: gated_memory(SYSTEM).band(0.9, 0.1), "low ≤ high", "0.9, 0.1", "default"),
    ("keys", lambda: linear_attention_system([1.0, 2.0]), r"\(\*batch, T, N\)", r"\(2,\)", "a step"),
    ("NaN", lambda: linear_attention_system([[float("nan")]]), "finite", "1 NaN", "check"),
    ("decays", lambda: linear_attention_system(np.ones((5, 2)), np.zeros(3)), "3 steps", "5", "cut"),
    ("empty", lambda: linear_attention_system(np.ones((0, 2))), "none of them 0", r"\(0, 2\)", "one step"),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
