"""Softmax attention: the contract with a growing state, and the formula written out."""

import math

import pytest
import torch
from tests.nn.layer_contract import RecurrentContract, draw
from tests.one_line import assert_one_line
from torch import Tensor

from ssmemory.errors import InputError
from ssmemory.nn.attention import Attention
from ssmemory.systems import HasSystem

D_MODEL, HEADS = 8, 2


class TestContract(RecurrentContract):
    nothing_to_freeze = {"eigenvalues"}  # noqa: RUF012

    @pytest.fixture
    def make(self):
        return lambda: Attention(D_MODEL, heads=HEADS)

    def comparable(self, state):
        """Return the state without the padding that all sequences begin with."""
        padding = int((state[..., -1] == 0).all(0).sum())
        assert not state[:, :padding].any()
        return state[:, padding:]


class TestSmallest(TestContract):
    @pytest.fixture
    def make(self):
        return lambda: Attention(2, heads=1)


def explicit(layer: Attention, u: Tensor, first: int = 0) -> Tensor:
    """Return y of one sequence by loops over heads and steps, keys and queries turned by complex numbers."""
    width = layer.d_model // layer.heads
    rates = 10_000.0 ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    turns = torch.exp(1j * (first + torch.arange(len(u), dtype=torch.float64)).unsqueeze(-1) * rates)
    heads = []
    for h in range(layer.heads):
        rows = slice(h * width, (h + 1) * width)
        q, k, v = (u @ W[rows].T for W in (layer.query, layer.key, layer.value))
        q, k = (torch.complex(x[:, : width // 2], x[:, width // 2 :]) * turns for x in (q, k))
        y = []
        for t in range(len(u)):
            scores = (q[t] * k[: t + 1].conj()).real.sum(-1) / math.sqrt(width)
            weights = scores.exp() / scores.exp().sum()
            y.append(weights @ v[: t + 1])
        heads.append(torch.stack(y))
    return torch.cat(heads, -1) @ layer.output.T


def test_the_formula():
    layer, u = Attention(D_MODEL, heads=HEADS).double(), draw(2, 30, D_MODEL)
    y, wanted = layer(u)[0], torch.stack([explicit(layer, sequence) for sequence in u])
    torch.testing.assert_close(y, wanted)
    parameters = list(layer.parameters())
    for a, b in zip(*(torch.autograd.grad(x.sin().sum(), parameters) for x in (y, wanted)), strict=True):
        torch.testing.assert_close(a, b)


def test_only_distances_count():
    layer, u = Attention(D_MODEL, heads=HEADS).double(), draw(1, 10, D_MODEL)
    torch.testing.assert_close(layer(u)[0][0], explicit(layer, u[0], first=1000))


def test_order_counts():
    layer, u = Attention(D_MODEL, heads=HEADS).double(), draw(1, 10, D_MODEL)
    swapped = u[:, [1, 0, *range(2, 10)]]
    assert bool(((layer(u)[0] - layer(swapped)[0])[:, -1].abs() > 1e-3).any())


def test_the_state_grows_by_one_entry_a_step_and_ends_together():
    layer, u = Attention(D_MODEL, heads=HEADS), draw(3, 5, D_MODEL, dtype=torch.float32)
    assert layer.initial_state(3).shape == (3, 0, 2 * D_MODEL + 1)
    _, state = layer(u, None, torch.tensor([5, 2, 1]))
    assert state[..., -1].tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(state[1, 3:, :D_MODEL], u[1, :2] @ layer.key.mT)
    torch.testing.assert_close(state[1, 3:, D_MODEL:-1], u[1, :2] @ layer.value.mT)
    _, state = layer.step(u[:, 0], state)
    assert state.shape == (3, 6, 2 * D_MODEL + 1)
    assert bool((state[:, -1, -1] == 1).all())


def test_going_on_after_unequal_lengths_is_the_sequence_put_together():
    layer, u, more = Attention(D_MODEL, heads=HEADS).double(), draw(3, 7, D_MODEL), draw(3, 4, D_MODEL, seed=1)
    first, second = torch.tensor([7, 2, 4]), torch.tensor([1, 4, 3])
    y, state = layer(more, layer(u, None, first)[1], second)
    last, _ = layer.step(u[:, 0], state)
    for b, (m, n) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        wanted = explicit(layer, torch.cat([u[b, :m], more[b, :n], u[b, :1]]))
        torch.testing.assert_close(y[b, :n], wanted[m:-1])
        torch.testing.assert_close(last[b], wanted[-1])


def test_it_has_no_system():
    assert not isinstance(Attention(D_MODEL), HasSystem)


@pytest.mark.parametrize(
    ("d_model", "heads", "expected", "got"),
    [
        (0, 1, "d_model ≥ 1", "d_model=0"),
        (8, 0, "whole and even", "heads=0, d_model=8"),
        (8, 3, "whole and even", "heads=3, d_model=8"),
        (6, 2, "whole and even", "heads=2, d_model=6"),
    ],
)
def test_bad_arguments_are_refused(d_model, heads, expected, got):
    with pytest.raises(InputError) as caught:
        Attention(d_model, heads=heads)
    assert_one_line(str(caught.value), expected, got, "positive|pairs of channels")
