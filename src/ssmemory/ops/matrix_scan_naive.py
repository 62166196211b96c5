"""The naive twin of `ssmemory.ops.matrix_scan`: one step after the other."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def matrix_scan_naive(
    v: Float[Tensor, "batch length n"],
    A: Float[Tensor, "n n"],
    state: Float[Tensor, "batch n"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length n"], Float[Tensor, "batch n"]]:
    """Return what `matrix_scan` returns.

    Args:
        v: as in `matrix_scan`.
        A: as in `matrix_scan`.
        state: as in `matrix_scan`.
        lengths: as in `matrix_scan`.

    Returns:
        x, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    x = []
    if lengths is None:
        for v_t in v.unbind(1):
            state = torch.addmm(v_t, state, A.mT)
            x.append(state)
        return torch.stack(x, 1), state
    for t, v_t in enumerate(v.unbind(1)):
        real = (t < lengths.to(v.device)).unsqueeze(-1)
        state = torch.where(real, torch.addmm(v_t.where(real, 0), state, A.mT), state)
        x.append(state.where(real, 0))
    return torch.stack(x, 1), state
