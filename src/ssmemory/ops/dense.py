"""Single-input systems with dense state matrices over a sequence, in chunks of matrix products on any device."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssmemory.ops.dense_chunk import DenseChunk, dense_chunk

CHUNK = 128  # steps; a power of two


def dense_ssm(
    u: Float[Tensor, "batch length channels"],
    A: Float[Tensor, "channels n n"],
    B: Float[Tensor, "channels n"],
    C: Float[Tensor, "channels n"],
    state: Float[Tensor, "batch channels n"],
    lengths: Int[Tensor, "batch"] | None = None,
    *,
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "batch length channels"], Float[Tensor, "batch channels n"]]:
    """Return ``y[t] = C_h · x_h[t]`` with ``x_h[t] = A_h x_h[t−1] + B_h u_h[t]``, and the state after the end.

    Every channel h is a real system of its own, with a dense A_h. Inside a chunk of T steps ``y = M u`` with the
    Toeplitz matrix M of the kernel's first T taps; from chunk to chunk ``S' = A^T S + W u`` with
    ``W[:, j] = A^(T−1−j) B``, and ``y[i] += C A^(i+1) S``: matrix products batched over the channels, and one loop
    of small ones over the chunks. Time and memory are linear in the length, O(T + 2n) products a step and channel,
    beside O(n² (n log T + T)) a channel for the matrices; differentiable once in all arguments but the lengths.

    Args:
        u: the input, float32 or float64.
        A: state matrices in discrete time, in float32 or float64; their powers are formed in float64.
        B: input weights in discrete time.
        C: output weights.
        state: x[−1], the state before the first step, in the dtype of u.
        lengths: real steps of every sequence, 1 … length; all of them if left out.
        chunk: T, steps in a chunk, at least 1; rounded down to a power of two.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.

    Numerics:
        Powers up to A^T are formed in float64 and rounded once. Float32: about 1e-6 of the largest output where A is
        a contraction, as S4's is. Inside a chunk a NaN or infinite u also spoils the steps before it.

    Example:
        >>> A, B, C = torch.tensor([[[0.5, 0.0], [1.0, 0.0]]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
        >>> u = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1)
        >>> y, last = dense_ssm(u, A, B, C, torch.zeros(1, 1, 2))
        >>> y.flatten().tolist(), last.flatten().tolist()
        ([1.0, 1.5, 0.75], [0.25, 0.5])
    """
    batch, length = u.shape[:2]
    doublings = min(chunk.bit_length() - 1, (length - 1).bit_length())
    T = 2**doublings
    real = None
    if lengths is not None:
        lengths = lengths.to(u.device)
        real = (torch.arange(length, device=u.device) < lengths.unsqueeze(-1)).unsqueeze(-1)
        u = u.where(real, 0)  # where: the rest may be NaN
    ends = torch.full((batch,), length, device=u.device) if lengths is None else lengths
    matrices = dense_chunk(A, B, C, doublings, u.dtype)
    padded = torch.nn.functional.pad(u, (0, 0, 0, -length % T)) if length % T else u
    y, whole = _Chunked.apply(padded, *matrices[:3], matrices.powers[-1], state, ends // T)
    y = y[:, :length]
    return (y if real is None else y.where(real, 0)), _finish(whole, u, ends, matrices, T)


class _Chunked(torch.autograd.Function):
    """All whole chunks: a few groups of channels one after the other, so that what is between fits into the cache.

    Rows are (batch × chunks); states are kept as (chunks + 1, channels, batch, n), where each step is contiguous.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, taps: Tensor, drive: Tensor, read: Tensor, onward: Tensor, state: Tensor, whole: Tensor
    ) -> tuple[Tensor, Tensor]:
        y, last, kept = u.new_empty(u.shape), torch.empty_like(state), []
        sequences = torch.arange(len(u), device=u.device)
        for group in _groups(u):
            X = _rows(u[..., group], taps.shape[-1])
            S = torch.cat([state[:, group].transpose(0, 1).unsqueeze(0), _by_chunk(X @ drive[group].mT, len(u))])
            transposed = onward[group].mT.contiguous()
            for before, after in itertools.pairwise(S.unbind()):
                after.baddbmm_(before, transposed)
            last[:, group] = S[whole, :, sequences]
            entered = _by_row(S[:-1])
            product = torch.bmm(X, _toeplitz(taps[group])).baddbmm_(entered, read[group].mT)
            _write(y[..., group], product)
            if any(ctx.needs_input_grad):
                kept.append((X, entered))
        ctx.save_for_backward(taps, drive, read, onward, whole)
        ctx.kept = kept
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> Any:
        taps, drive, read, onward, whole = ctx.saved_tensors
        grad_u, grad_state = grad_y.new_empty(grad_y.shape), torch.empty_like(grad_last)
        grads = [torch.empty_like(value) for value in (taps, drive, read, onward)]
        sequences = torch.arange(len(grad_y), device=grad_y.device)
        for group, (X, entered) in zip(_groups(grad_y), ctx.kept, strict=True):
            Y = _rows(grad_y[..., group], taps.shape[-1])
            G = torch.nn.functional.pad(_by_chunk(Y @ read[group], len(grad_y)), (0, 0, 0, 0, 0, 0, 0, 1))
            G[whole, :, sequences] += grad_last[:, group]
            for after, before in itertools.pairwise(reversed(G.unbind())):
                before.baddbmm_(after, onward[group])
            grad_state[:, group] = G[0].transpose(0, 1)
            E = _by_row(G[1:])
            product = torch.bmm(Y, _toeplitz(taps[group]).mT).baddbmm_(E, drive[group])
            _write(grad_u[..., group], product)
            grads[0][group] = _along_diagonals(X.mT @ Y)
            for grad, left, right in zip(grads[1:], (E, Y, E), (X, entered, entered), strict=True):
                torch.bmm(left.mT, right, out=grad[group])
        return grad_u, *grads, grad_state, None


def _groups(u: Tensor) -> list[slice]:
    """Return the groups of channels: on the CPU about 2 million entries of u each, but at least 16 channels."""
    size = max(16, 2**21 // (u.shape[0] * u.shape[1])) if u.device.type == "cpu" else u.shape[2]
    return [slice(start, start + size) for start in range(0, u.shape[2], size)]


def _rows(u: Tensor, T: int) -> Float[Tensor, "channels rows T"]:
    """(batch, length, channels) → (channels, batch · chunks, T), in memory as (rows, channels, T): faster to copy."""
    pieces = u.unflatten(1, (-1, T)).flatten(0, 1).mT
    return pieces.clone(memory_format=torch.contiguous_format).transpose(0, 1)  # never u itself, as it is kept


def _write(u: Tensor, rows: Tensor) -> None:
    """The inverse of `_rows`, into u: some rows at a time, as far strides by powers of two defeat the cache."""
    pieces = u.unflatten(1, (-1, rows.shape[-1])).flatten(0, 1)
    for into, some in zip(pieces.split(128), rows.split(128, 1), strict=True):
        into.copy_(some.transpose(0, 1).contiguous().mT)


def _toeplitz(taps: Tensor) -> Float[Tensor, "channels T T"]:
    """Return M with ``M[j, i] = taps[i − j]``, 0 for j > i."""
    T = taps.shape[-1]
    return torch.nn.functional.pad(taps, (T - 1, 0)).unfold(-1, T, 1).flip(1)


def _along_diagonals(M: Tensor) -> Float[Tensor, "channels T"]:
    """The adjoint of `_toeplitz`: sum M over ``i − j = 0 … T − 1``, by rows that shift against each other by one."""
    T = M.shape[-1]
    shifted = torch.nn.functional.pad(torch.nn.functional.pad(M, (0, T)).flatten(1), (0, T)).unflatten(1, (T, -1))
    return shifted.sum(1)[:, :T]


def _by_chunk(values: Tensor, batch: int) -> Float[Tensor, "chunks channels batch n"]:
    """(channels, batch · chunks, n) → (chunks, channels, batch, n)."""
    return values.unflatten(1, (batch, -1)).permute(2, 0, 1, 3)


def _by_row(states: Tensor) -> Float[Tensor, "channels rows n"]:
    """The inverse of `_by_chunk`."""
    return states.permute(1, 2, 0, 3).flatten(1, 2)


def _finish(state: Tensor, u: Tensor, ends: Tensor, matrices: DenseChunk, T: int) -> Float[Tensor, "batch channels n"]:
    """Take the states after the last whole chunk of T steps to the end of every sequence: ``A^rest S + W u``."""
    rest = ends % T
    if not bool((rest > 0).any()):
        return state
    back = torch.arange(T, 0, -1, device=u.device)  # steps before the end
    steps = (ends.unsqueeze(-1) - back).clamp(min=0)
    remaining = u.gather(1, steps.unsqueeze(-1).expand(-1, -1, u.shape[2]))
    remaining = remaining.where((back <= rest.unsqueeze(-1)).unsqueeze(-1), 0)
    state = state.transpose(0, 1)
    for bit, power in enumerate(matrices.powers[:-1]):  # A^rest, bit by bit
        state = torch.where(((rest >> bit) & 1).view(-1, 1).bool(), state @ power.mT, state)
    return torch.baddbmm(state, remaining.permute(2, 0, 1), matrices.drive.mT).transpose(0, 1).contiguous()
