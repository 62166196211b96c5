"""The naive twin of `ssmemory.ops.linear_attention`: one step after the other."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


def linear_attention_naive(
    q: Float[Tensor, "batch length heads d_key"],
    k: Float[Tensor, "batch length heads d_key"],
    v: Float[Tensor, "batch length heads d_value"],
    log_decay: Float64[Tensor, " heads"],
    state: Float[Tensor, "batch heads d_key d_value"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length heads d_value"], Float[Tensor, "batch heads d_key d_value"]]:
    """Return what `linear_attention` returns.

    Args:
        q: as in `linear_attention`.
        k: as in `linear_attention`.
        v: as in `linear_attention`.
        log_decay: as in `linear_attention`.
        state: as in `linear_attention`.
        lengths: as in `linear_attention`.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    decay = log_decay.exp().to(q.dtype).view(-1, 1, 1)
    y = []
    for t, (q_t, k_t, v_t) in enumerate(zip(q.unbind(1), k.unbind(1), v.unbind(1), strict=True)):
        if lengths is None:
            state = decay * state + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
        else:  # the rest may be NaN, and no gradient may come of it
            real = (t < lengths.to(q.device)).view(-1, 1, 1)
            q_t, k_t, v_t = (x_t.where(real, 0) for x_t in (q_t, k_t, v_t))
            after = decay * state + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
            state = torch.where(real.unsqueeze(-1), after, state)
        y.append((q_t.unsqueeze(-2) @ state).squeeze(-2))
    return torch.stack(y, 1), state
