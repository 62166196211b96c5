"""Memory of tokens: against closed forms for states that hold known parts of known tokens, and a dense regression."""

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.memory.tokens import token_memory

STEPS = 12_000


def drawn(vocabulary: int, seed: int = 0, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocabulary, steps)


@pytest.mark.parametrize(("vocabulary", "held"), [(2, 1), (5, 1), (5, 3), (20, 7)])
def test_a_state_with_some_directions_of_one_token_holds_that_share_of_it(vocabulary, held):
    v = drawn(vocabulary)
    codes = np.random.default_rng(1).standard_normal((vocabulary, held))
    found = token_memory(np.roll(codes[v], 3, 0), v, 6, vocabulary)
    wanted = np.zeros(6)
    wanted[3] = held / (vocabulary - 1)
    assert np.abs(found.values.numpy() - wanted).max() < 0.005
    assert found.capacity * (vocabulary - 1) == pytest.approx(held, abs=0.08)
    assert found.resolved_rank == held


def test_the_value_is_that_of_regressing_the_one_hot_vector():
    vocabulary, v = 4, drawn(4)
    rng = np.random.default_rng(2)
    x = np.zeros((STEPS, 3))
    A, B = 0.6 * np.linalg.qr(rng.standard_normal((3, 3)))[0], rng.standard_normal((vocabulary, 3))
    for t in range(1, STEPS):
        x[t] = np.tanh(x[t - 1] @ A + B[v[t]])
    found = token_memory(x, v, 4, vocabulary, washout=100)
    X = np.concatenate([np.ones((STEPS - 100, 1)), x[100:]], 1)
    for lag, value in enumerate(found.values.tolist()):
        E = np.eye(vocabulary)[v[100 - lag : STEPS - lag]]
        rest = E - X @ np.linalg.lstsq(X, E, rcond=None)[0]
        shares = 1 - (rest**2).sum(0) / ((E - E.mean(0)) ** 2).sum(0)
        assert value == pytest.approx(shares.mean(), abs=6e-4)


def test_a_large_vocabulary_is_sampled_without_bias():
    vocabulary, v, held = 100, drawn(100, steps=4000), 25
    values = [
        float(token_memory(np.eye(vocabulary)[v][:, :held], v, 1, vocabulary, seed=seed).values) for seed in range(4)
    ]
    assert np.mean(values) == pytest.approx(held / (vocabulary - 1), abs=0.03)
    assert len({round(value, 6) for value in values}) > 1


def test_states_that_never_saw_the_tokens_hold_nothing():
    v = drawn(6)
    found = token_memory(np.random.default_rng(3).standard_normal((STEPS, 8)), v, 20, 6)
    assert found.values.abs().max() < 0.005
    assert found.capacity_interval[0] < 0 < found.capacity_interval[1]


def test_intervals_hold_the_known_share():
    """One direction of five tokens: a quarter of them, in 95 % of cases (8 of 12 or fewer by chance in 0.2 %)."""
    code, inside = np.random.default_rng(1).standard_normal(5), 0
    for seed in range(12):
        v = drawn(5, seed, 2000)
        low, high = token_memory(code[v, None], v, 1, 5).interval[0].tolist()
        inside += low < 0.25 < high
    assert inside > 8


class Reader(nn.Module):
    """Embeds tokens and keeps the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 2)

    def forward(self, ids: Tensor) -> Tensor:
        assert ids.dtype == torch.int64
        return self.embed(ids).roll(1, 1)


def test_a_model_is_called_with_ids():
    torch.manual_seed(0)
    v = torch.from_numpy(drawn(3)).reshape(4, -1)
    kept = token_memory(Reader().eval(), v, 3, 3, at_once=3).values
    assert (kept - torch.tensor([0.0, 1.0, 0.0])).abs().max() < 0.005
    now = token_memory(Reader().eval(), v, 3, 3, layer="embed").values
    assert (now - torch.tensor([1.0, 0.0, 0.0])).abs().max() < 0.005


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "expected", "got", "fix"),
    [
        ([0, 1, 2] * 100, 1, "whole number ≥ 2", "1", "bit"),
        ([0, 1, 2] * 100, 2, "ids 0 … 1", "0 … 2", "vocabulary"),
        ([-1, 1] * 100, 2, "ids 0 … 1", "-1 … 1", "vocabulary"),
        ([0.5, 1] * 100, 2, "ids 0 … 1", "0.5 … 1", "vocabulary"),
        ([1, 1] * 100, 2, "varies", "constant 1", "noise"),
    ],
)
def test_refusals(tokens, vocabulary, expected, got, fix):
    with pytest.raises(InputError) as caught:
        token_memory(np.random.default_rng(0).standard_normal((len(tokens), 1)), np.array(tokens), 2, vocabulary)
    assert_one_line(str(caught.value), expected, got, fix)
