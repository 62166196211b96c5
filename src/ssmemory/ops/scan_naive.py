"""The naive twin of `ssmemory.ops.scan`: one step after the other."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Int
from torch import Tensor


def diagonal_scan_naive(
    v: Complex[Tensor, "batch length modes"],
    log_eigenvalues: Complex[Tensor, " modes"],
    state: Complex[Tensor, "batch modes"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Complex[Tensor, "batch length modes"], Complex[Tensor, "batch modes"]]:
    """Return what `diagonal_scan` returns.

    Args:
        v: as in `diagonal_scan`.
        log_eigenvalues: as in `diagonal_scan`.
        state: as in `diagonal_scan`.
        lengths: as in `diagonal_scan`.

    Returns:
        x, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    ends = torch.full((len(v),), v.shape[1], device=v.device) if lengths is None else lengths.to(v.device)
    eigenvalues, state = torch.exp(log_eigenvalues).to(v.dtype), state.to(v.dtype)
    x = []
    for t, v_t in enumerate(v.unbind(1)):
        real = (t < ends).unsqueeze(-1)
        state = torch.where(real, eigenvalues * state + v_t.where(real, 0), state)
        x.append(state.where(real, 0))
    return torch.stack(x, 1), state
