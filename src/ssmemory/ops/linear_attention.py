"""Linear attention with a decay a head over a sequence: chunks of batched matrix products on any device."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

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
    however small γ is. Time and memory are linear in the length. Differentiable in all arguments but the lengths.

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

    Example:
        >>> one = torch.ones(1, 3, 1, 1)
        >>> y, last = linear_attention(one, one, one, torch.tensor([0.5]).log(), torch.zeros(1, 1, 1, 1))
        >>> y.flatten().tolist(), last.item()
        ([1.0, 1.5, 1.75], 1.75)
    """
    batch, length = q.shape[:2]
    T = min(chunk, length)
    real = None
    if lengths is not None:
        lengths = lengths.to(q.device)
        real = (torch.arange(length, device=q.device) < lengths.unsqueeze(-1))[..., None, None]
        q, k, v = (x.where(real, 0) for x in (q, k, v))  # where: the rest may be NaN
    ends = torch.full((batch,), length, device=q.device) if lengths is None else lengths
    exponents = torch.arange(T + 1, device=q.device)
    powers = torch.exp(log_decay.double().unsqueeze(-1) * exponents).to(q.dtype)  # (heads, T + 1)
    q_in, k_in, v_in = (_chunked(x, T) for x in (q, k, v))
    scores = q_in @ k_in.mT * powers[:, (exponents[:T, None] - exponents[:T]).clamp(min=0)].tril().unsqueeze(1)
    states = [state]
    added = (k_in * powers[:, :T].flip(1)[:, None, :, None]).mT @ v_in
    for new in added.unbind(2):
        states.append(torch.addcmul(new, states[-1], powers[:, T, None, None]))
    S = torch.stack(states, 2)
    y = scores @ v_in + q_in * powers[:, None, 1:, None] @ S[:, :, :-1]
    y = y.flatten(2, 3)[:, :, :length].transpose(1, 2)
    entered = S[torch.arange(batch, device=q.device), :, ends // T]
    return (y if real is None else y.where(real, 0)), _finish(entered, k, v, powers, ends % T, ends)


def _chunked(x: Tensor, T: int) -> Float[Tensor, "batch heads chunks T width"]:
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % T))
    return padded.transpose(1, 2).unflatten(2, (-1, T)).contiguous()


def _finish(
    state: Tensor, k: Tensor, v: Tensor, powers: Tensor, rest: Tensor, ends: Tensor
) -> Float[Tensor, "batch heads key value"]:
    """Take the state after the last whole chunk the ``rest`` of the steps further, to the end of every sequence."""
    longest = int(rest.max())
    if longest == 0:
        return state
    back = torch.arange(longest, 0, -1, device=k.device)  # steps before the end, the last one 1
    steps = (ends.unsqueeze(-1) - back).clamp(min=0)[..., None, None]
    within = (back <= rest.unsqueeze(-1))[..., None, None]
    k, v = (x.gather(1, steps.expand(-1, -1, *x.shape[2:])).where(within, 0) for x in (k, v))
    k = k * powers[:, back - 1].mT.unsqueeze(-1)
    return powers[:, rest].mT[..., None, None] * state + k.transpose(1, 2).mT @ v.transpose(1, 2)
