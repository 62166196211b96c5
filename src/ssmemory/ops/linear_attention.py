"""Linear attention with a decay a head over a sequence: chunks of batched matrix products on any device."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 64  # steps


def linear_attention(
    q: Float[Tensor, "batch length heads key"],
    k: Float[Tensor, "batch length heads key"],
    v: Float[Tensor, "batch length heads value"],
    log_decay: Float[Tensor, " heads"],
    state: Float[Tensor, "batch heads key value"],
    lengths: Int[Tensor, "batch"] | None = None,
    *,
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "batch length heads value"], Float[Tensor, "batch heads key value"]]:
    """Return ``y_t = S_tᵀ q_t`` with ``S_t = γ S_{t−1} + k_t v_tᵀ`` for every head, and the state after the end.

    Inside a chunk of T steps ``y_i = Σ_{j≤i} γ^(i−j) (q_i · k_j) v_j + γ^(i+1) Sᵀ q_i``, S the state that enters; from
    chunk to chunk ``S' = γ^T S + Σ_j γ^(T−1−j) k_j v_jᵀ``. All powers are of γ ≤ 1 and not of 1/γ, so none overflows
    however small γ is. Time and memory are linear in the length. Differentiable once in all arguments but the lengths.

    Args:
        q: queries, float32 or float64.
        k: keys.
        v: values.
        log_decay: log γ ≤ 0, finite; powers of γ are formed in float64.
        state: S before the first step.
        lengths: real steps of every sequence, 1 … length; all of them if left out.
        chunk: T, steps in a chunk, at least 1.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.

    Source:
        Katharopoulos et al., Transformers are RNNs (2020), eq. 16 to 20; in chunks with a decay: Sun et al., Retentive
        network (2023), eq. 7.

    Example:
        >>> one = torch.ones(1, 3, 1, 1)
        >>> y, last = linear_attention(one, one, one, torch.tensor([0.5]).log(), torch.zeros(1, 1, 1, 1))
        >>> y.flatten().tolist(), last.item()
        ([1.0, 1.5, 1.75], 1.75)
    """
    batch, length = q.shape[:2]
    T = min(chunk, length)
    if lengths is not None:
        lengths = lengths.to(q.device)
        real = (torch.arange(length, device=q.device) < lengths.unsqueeze(-1))[..., None, None]
        q, k, v = (x.where(real, 0) for x in (q, k, v))  # where: the rest may be NaN
    ends = torch.full((batch,), length, device=q.device) if lengths is None else lengths
    chunked = [_by_head(x, T) for x in (q, k, v)]
    y, entered = _Chunked.apply(*chunked, log_decay, state, ends // T)
    y = y.flatten(2, 3)[:, :, :length].permute(1, 2, 0, 3)
    return y, _finish(entered, k, v, log_decay, ends % T, ends)


class _Powers(NamedTuple):
    """Powers of γ: γ^(i−j) below the diagonal and on it, γ^(i+1), γ^(T−1−j), γ^T, each one a head."""

    triangle: Float[Tensor, "heads T T"]
    onset: Float[Tensor, "heads T 1"]
    decayed: Float[Tensor, "heads T 1"]
    onward: Float[Tensor, "heads 1 1 1"]


class _Chunked(torch.autograd.Function):
    """All whole chunks of (heads, batch, chunks, T, width): some sequences of a head at a time, to fit the cache."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor, whole: Tensor
    ) -> tuple[Tensor, Tensor]:
        powers, sequences = _powers(log_decay, q.shape[3], q.dtype), torch.arange(len(whole), device=q.device)
        S = q.new_empty(*q.shape[:3], q.shape[-1], v.shape[-1])
        y = torch.empty_like(v)
        for at in _groups(q):
            torch.matmul((k[at] * powers.decayed[at[0]]).mT, v[at], out=S[at])
        before = state.transpose(0, 1)
        for now in S.unbind(2):  # what enters in a chunk, overwritten by the state before it
            after = torch.addcmul(now, before, powers.onward)
            now.copy_(before)
            before = after
        for at in _groups(q):
            scores = (q[at] @ k[at].mT).mul_(powers.triangle[at[0]])
            torch.matmul(scores, v[at], out=y[at])
            y[at] += (q[at] * powers.onset[at[0]]) @ S[at]
        ctx.save_for_backward(q, k, v, log_decay, S, whole)
        inside = S[:, sequences, whole.clamp(max=S.shape[2] - 1)]
        entered = torch.where((whole < S.shape[2])[:, None, None], inside, before)
        return y, entered.transpose(0, 1).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_entered: Tensor) -> Any:
        q, k, v, log_decay, S, whole = ctx.saved_tensors
        powers, grad_y = _powers(log_decay, q.shape[3], q.dtype), grad_y.contiguous()
        G = torch.empty_like(S)
        for at in _groups(q):
            torch.matmul((q[at] * powers.onset[at[0]]).mT, grad_y[at], out=G[at])
        after = grad_entered.transpose(0, 1).where((whole == S.shape[2])[:, None, None], 0)
        arriving = grad_entered.transpose(0, 1)
        for c in reversed(range(S.shape[2])):  # what a chunk reads, overwritten by the adjoint after it
            before = torch.addcmul(G[:, :, c], after, powers.onward) + arriving.where((whole == c)[:, None, None], 0)
            G[:, :, c] = after
            after = before
        grads = [torch.empty_like(x) for x in (q, k, v)]
        T = q.shape[3]
        lags = torch.arange(T, device=q.device, dtype=q.dtype)
        by_log = T * (S * G).flatten(1).sum(1) * powers.onward.flatten()
        for at in _groups(q):
            h = at[0]
            scores = (q[at] @ k[at].mT).mul_(powers.triangle[h])
            by_scores = grad_y[at] @ v[at].mT
            by_lag = (by_scores * scores).flatten(0, -3).sum(0)
            by_log[h] += (by_lag * (lags.unsqueeze(-1) - lags)).sum()
            by_scores.mul_(powers.triangle[h])
            read = (grad_y[at] @ S[at].mT).mul_(powers.onset[h])
            written = (v[at] @ G[at].mT).mul_(powers.decayed[h])
            by_log[h] += torch.dot((read * q[at]).sum(-1).flatten(0, -2).sum(0), lags + 1)
            by_log[h] += torch.dot((written * k[at]).sum(-1).flatten(0, -2).sum(0), lags.flip(0))
            torch.add(by_scores @ k[at], read, out=grads[0][at])
            torch.add(by_scores.mT @ q[at], written, out=grads[1][at])
            torch.add(scores.mT @ grad_y[at], (k[at] * powers.decayed[h]) @ G[at], out=grads[2][at])
        return *grads, by_log.to(log_decay.dtype), after.transpose(0, 1), None


def _powers(log_decay: Tensor, T: int, dtype: torch.dtype) -> _Powers:
    exponents = torch.arange(T + 1, device=log_decay.device)
    powers = torch.exp(log_decay.double().unsqueeze(-1) * exponents).to(dtype)
    triangle = powers[:, (exponents[:T, None] - exponents[:T]).clamp(min=0)].tril()
    return _Powers(triangle, powers[:, 1:, None], powers[:, :T].flip(1).unsqueeze(-1), powers[:, T, None, None, None])


def _groups(q: Tensor) -> Iterator[tuple[int, slice]]:
    """Yield a head and some sequences: on the CPU of at most about 2^18 scores, but at least one sequence."""
    heads, batch, chunks, T, _ = q.shape
    size = max(1, 2**18 // (chunks * T * T)) if q.device.type == "cpu" else batch
    for head, start in itertools.product(range(heads), range(0, batch, size)):
        yield head, slice(start, start + size)


def _by_head(x: Tensor, T: int) -> Float[Tensor, "heads batch chunks T width"]:
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % T)) if x.shape[1] % T else x
    return padded.unflatten(1, (-1, T)).permute(3, 0, 1, 2, 4).contiguous()


def _finish(
    state: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, rest: Tensor, ends: Tensor
) -> Float[Tensor, "batch heads key value"]:
    """Take the state after the last whole chunk the ``rest`` of the steps further, to the end of every sequence."""
    longest = int(rest.max())
    if longest == 0:
        return state
    back = torch.arange(longest, 0, -1, device=k.device)  # steps before the end, the last one 1
    steps = (ends.unsqueeze(-1) - back).clamp(min=0)[..., None, None]
    within = (back <= rest.unsqueeze(-1))[..., None, None]
    powers = torch.exp(log_decay.double().unsqueeze(-1) * torch.arange(longest + 1, device=k.device)).to(k.dtype)
    k, v = (x.gather(1, steps.expand(-1, -1, *x.shape[2:])).where(within, 0) for x in (k, v))
    k = k * powers[:, back - 1].mT.unsqueeze(-1)
    return powers[:, rest].mT[..., None, None] * state + k.transpose(1, 2).mT @ v.transpose(1, 2)
