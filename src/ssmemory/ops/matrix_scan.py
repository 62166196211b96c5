"""The states of one system with a dense state matrix over a sequence: two passes of matrix products on any device."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def matrix_scan(
    v: Float[Tensor, "batch length n"],
    A: Float[Tensor, "n n"],
    state: Float[Tensor, "batch n"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length n"], Float[Tensor, "batch n"]]:
    """Return ``x[t] = A x[t−1] + v[t]`` for all t, and the state after the end.

    The sequence is cut into about √length chunks of T steps, which run side by side, one step a matrix product: a first
    pass from zero gives what each chunk adds to the state, ``S' = A^T S + …`` hands the state from chunk to chunk, and
    a second pass from there gives all states. So √length products instead of length, for twice the arithmetic. The
    adjoint is the same scan, backwards with Aᵀ. Differentiable once in all arguments but the lengths.

    Args:
        v: what drives the states, float32 or float64.
        A: the state matrix in discrete time, in the dtype of v.
        state: x[−1], the state before the first step.
        lengths: real steps of every sequence, 1 … length; all of them if left out.

    Returns:
        x, zero beyond the lengths, and the state after the last real step of every sequence.

    Numerics:
        As the plain loop in the same precision; A^T is formed in float64. A NaN spoils no earlier step.

    Example:
        >>> v, A = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]), torch.tensor([[0.5, 0.0], [1.0, 0.0]])
        >>> x, last = matrix_scan(v, A, torch.zeros(1, 2))
        >>> x.tolist(), last.tolist()
        ([[[1.0, 0.0], [0.5, 1.0], [0.25, 0.5]]], [[0.25, 0.5]])
    """
    if lengths is None:
        x = _Scan.apply(v, A, state)
        return x, x[:, -1]
    lengths = lengths.to(v.device)
    real = (torch.arange(v.shape[1], device=v.device) < lengths.unsqueeze(-1)).unsqueeze(-1)
    x = _Scan.apply(v.where(real, 0), A, state)  # where: the rest may be NaN
    return x.where(real, 0), x[torch.arange(len(v), device=v.device), lengths - 1]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, A: Tensor, state: Tensor) -> Tensor:
        x = _scan(v, A, state)
        ctx.save_for_backward(A, state, x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        A, state, x = ctx.saved_tensors
        grad_v = _scan(grad_x.flip(1), A.mT, torch.zeros_like(state)).flip(1)
        before = torch.cat([state.unsqueeze(1), x[:, :-1]], 1)
        return grad_v, grad_v.flatten(0, 1).mT @ before.flatten(0, 1), grad_v[:, 0] @ A


def _scan(v: Tensor, A: Tensor, state: Tensor) -> Float[Tensor, "batch length n"]:
    batch, length, n = v.shape
    T = math.isqrt(length - 1) + 1
    steps = torch.nn.functional.pad(v, (0, 0, 0, -length % T)).view(batch, -1, T, n).permute(2, 1, 0, 3)
    x = torch.empty_like(steps, memory_format=torch.contiguous_format).copy_(steps).view(T, -1, n)
    onward = A.mT.contiguous()
    added = x[0]
    for driven in x[1:]:
        added = torch.addmm(driven, added, onward)
    far = torch.linalg.matrix_power(A.double(), T).mT.to(A.dtype).contiguous()
    entering = torch.cat([state.unsqueeze(0), added.view(-1, batch, n)[:-1]])
    for before, after in itertools.pairwise(entering.unbind()):
        after.addmm_(before, far)
    before = entering.view(-1, n)
    for now in x:
        before = now.addmm_(before, onward)
    return x.view(T, -1, batch, n).permute(2, 1, 0, 3).reshape(batch, -1, n)[:, :length].contiguous()
