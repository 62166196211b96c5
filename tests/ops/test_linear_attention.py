"""Chunked linear attention against its loop, the explicit masked matrix of weights, and finite differences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ssmemory.ops.linear_attention import linear_attention
from ssmemory.ops.linear_attention_naive import linear_attention_naive

LENGTHS = [1, 2, 15, 16, 17, 37, 48]  # around, and not, a multiple of a chunk of 16
HEADS, KEY, VALUE = 3, 4, 5
Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def problem(batch: int, length: int, decays: tuple[float, float, float] = (0.999, 0.5, 0.9)) -> Problem:
    q, k = (normal(batch, length, HEADS, KEY, seed=seed) for seed in (0, 1))
    v, state = normal(batch, length, HEADS, VALUE, seed=2), normal(batch, HEADS, KEY, VALUE, seed=3)
    return q, k, v, torch.tensor(decays, dtype=torch.float64).log(), state


def outcome(op: Callable[..., Any], arguments: Problem, *lengths: Tensor, **options: int) -> list[Tensor]:
    """Return y, the last state, and the gradient of a random functional of both in every argument."""
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    y, last = op(*leaves, *lengths, **options)
    functional = (y * normal(*y.shape, seed=5)).sum() + (last * normal(*last.shape, seed=6)).sum()
    return [y.detach(), last.detach(), *torch.autograd.grad(functional, leaves)]


def agree(got: list[Tensor], wanted: list[Tensor], tolerance: float = 1e-13) -> None:
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


def explicit(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return y and the last state by the whole masked matrix of weights, (T, T) for each head."""
    t = torch.arange(q.shape[1], dtype=torch.float64)
    gamma = log_decay.exp()
    weights = torch.einsum("bihk,bjhk->bhij", q, k) * (gamma[:, None, None] ** (t[:, None] - t).clamp(min=0)).tril()
    free = torch.einsum("bihk,bhkv,hi->bihv", q, state, gamma[:, None] ** (t + 1))
    last = torch.einsum("bjhk,bjhv,hj->bhkv", k, v, gamma[:, None] ** t.flip(0))
    last = last + gamma[:, None, None] ** len(t) * state
    return torch.einsum("bhij,bjhv->bihv", weights, v) + free, last


@pytest.mark.parametrize("length", LENGTHS)
def test_values_and_gradients_of_the_loop(length):
    arguments = problem(2, length)
    agree(outcome(linear_attention, arguments, chunk=16), outcome(linear_attention_naive, arguments))


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1000])
def test_any_chunk(chunk):
    arguments = problem(2, 150)
    agree(outcome(linear_attention, arguments, chunk=chunk), outcome(linear_attention_naive, arguments))


@pytest.mark.parametrize("op", [linear_attention, linear_attention_naive])
@pytest.mark.parametrize("length", [1, 130])
def test_the_explicit_masked_matrix(op, length):
    arguments = problem(2, length)
    agree(outcome(op, arguments), outcome(explicit, arguments))


@pytest.mark.parametrize("op", [linear_attention, linear_attention_naive])
def test_without_decay_it_is_a_cumulative_sum(op):
    q, k, v, _, state = problem(2, 100)
    sums = state.unsqueeze(1) + (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1)
    y, last = op(q, k, v, torch.zeros(HEADS, dtype=torch.float64), state)
    torch.testing.assert_close(y, (q.unsqueeze(-2) @ sums).squeeze(-2))
    torch.testing.assert_close(last, sums[:, -1])


@pytest.mark.parametrize("ends", [[1, 37, 16], [32, 15, 17], [2, 5, 31]], ids=str)
@pytest.mark.parametrize("garbage", [0.0, 1e30, float("inf"), float("nan")])
def test_lengths(ends, garbage):
    (*signals, log_decay, state), lengths = problem(3, 37), torch.tensor(ends)
    beyond = (torch.arange(37) >= lengths.unsqueeze(-1))[..., None, None]
    q, k, v = (x.masked_fill(beyond, garbage) for x in signals)
    got = outcome(linear_attention, (q, k, v, log_decay, state), lengths, chunk=16)
    agree(got, outcome(linear_attention_naive, (q, k, v, log_decay, state), lengths))
    for b, end in enumerate(ends):
        alone = explicit(*(x[b : b + 1, :end] for x in (q, k, v)), log_decay, state[b : b + 1])
        agree([got[0][b : b + 1, :end], got[1][b : b + 1]], list(alone))
        assert not got[0][b, end:].any()
        assert not any(grad[b, end:].any() for grad in got[2:5])


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 11])], ids=["full", "lengths"])
def test_against_finite_differences(lengths):
    arguments = [argument.requires_grad_() for argument in problem(2, 11)]
    assert torch.autograd.gradcheck(lambda *given: linear_attention(*given, lengths, chunk=4), arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_decay_whose_powers_underflow(dtype):
    """γ^64 is far below float32's smallest number, and its inverse far above the largest."""
    double = problem(2, 200, decays=(1e-3, 1e-30, 1e-300))
    arguments = tuple(argument.to(dtype) for argument in double)
    got = outcome(linear_attention, arguments)
    assert all(bool(value.isfinite().all()) for value in got)
    tolerance = 1e-13 if dtype == torch.float64 else 1e-5
    agree([value.double() for value in got], outcome(explicit, double), tolerance)


def test_float32_over_a_long_sequence():
    arguments = tuple(argument.float() for argument in problem(1, 3000, decays=(1 - 2**-5, 1 - 2**-10, 1 - 2**-15)))
    wanted = linear_attention_naive(*(argument.double() for argument in arguments))
    agree([value.double() for value in linear_attention(*arguments)], list(wanted), 1e-5)
