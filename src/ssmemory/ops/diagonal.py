"""A diagonal state-space model over a sequence: compiled on the CPU, in chunks of matrix products elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssmemory.ops._jobs import Array, over_jobs, zeros_beyond
from ssmemory.ops.diagonal_chunked import chunk_matrices, diagonal_ssm_chunked, finish_states

BACKWARD_JOBS = 32  # at least, where the batch allows; not by the number of threads, which shall change no bit


def diagonal_ssm(
    u: Float[Tensor, "batch length channels"],
    log_eigenvalues: Complex[Tensor, "channels modes"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
    state: Complex[Tensor, "batch channels modes"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length channels"], Complex[Tensor, "batch channels modes"]]:
    """Return ``y[t] = 2 Re Σ_n C_n x_n[t]`` with ``x_n[t] = λ_n x_n[t−1] + B_n u[t]``, and the state after the end.

    Every channel is a system of its own. Time and memory are linear in the length; differentiable once in all
    arguments but the lengths. On the CPU a compiled loop runs, on other devices `diagonal_ssm_chunked`.

    Args:
        u: the input, float32 or float64.
        log_eigenvalues: log λ in discrete time; powers of λ are formed in double precision.
        B: input weights in discrete time.
        C: output weights.
        state: x[−1], the state before the first step.
        lengths: real steps of every sequence, 1 … length; all of them if left out.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.

    Numerics:
        Float32: 1e-6 to 1e-5 of the largest output where the slowest mode decays within 2,000 steps, rising to 2e-4
        where it takes 100,000; `diagonal_ssm_chunked` is ten times as accurate there, the naive twin forty times less.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.complex64)
        >>> u = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1)
        >>> y, last = diagonal_ssm(u, (one / 2).log(), one, one, torch.zeros(1, 1, 1, dtype=torch.complex64))
        >>> y.flatten().tolist(), last.item()
        ([2.0, 1.0, 0.5], (0.25+0j))
    """
    if u.device.type != "cpu":
        return diagonal_ssm_chunked(u, log_eigenvalues, B, C, state, lengths)
    from ssmemory.ops._diagonal_compiled import GROUP

    ends = torch.full((len(u),), u.shape[1]) if lengths is None else lengths
    onward, drive, read, taps = chunk_matrices(log_eigenvalues, B, C, GROUP, u.dtype)
    fields = [part for z in (onward.unsqueeze(-1), drive, read) for part in (z.real, z.imag)]
    states = torch.view_as_real(state.resolve_conj()).to(u.dtype)
    y, whole = _Compiled.apply(u, torch.cat(fields, -1), taps, states, ends)
    last = finish_states(torch.view_as_complex(whole), u, ends, log_eigenvalues, B, GROUP)
    return y, last


class _Compiled(torch.autograd.Function):
    """The compiled loops as one differentiable function of real tensors."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, coefficients: Tensor, taps: Tensor, state: Tensor, lengths: Tensor) -> Any:
        from ssmemory.ops import _diagonal_compiled as compiled
        from ssmemory.ops._lanes import LANES

        signal, steps = _signal(u), lengths.numpy().astype(np.int64)
        batch, length, channels = signal.shape
        sizes, states = (length, channels, state.shape[2]), _to_lanes(state)
        packed = _to_lanes(coefficients.unsqueeze(0)), _to_lanes(taps[None, :, None])
        chunks = -(-length // compiled.CHUNK) if any(ctx.needs_input_grad) else 0
        starts, y = np.empty(chunks * states.size, states.dtype), zeros_beyond(steps, signal)
        jobs = batch * -(-channels // LANES)
        over_jobs(jobs, compiled.forward, signal.ravel(), sizes, steps, *packed, states, y.ravel(), starts)
        ctx.save_for_backward(u)  # so that overwriting it meanwhile is noticed
        ctx.kept = sizes, steps, *packed, starts
        return torch.from_numpy(y), _from_lanes(states, state.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> Any:
        from ssmemory.ops import _diagonal_compiled as compiled
        from ssmemory.ops._lanes import LANES

        sizes, steps, coefficients, taps, starts = ctx.kept
        signal, adjoint = _signal(ctx.saved_tensors[0]), _to_lanes(grad_state)
        (batch, _, channels), grad_u = signal.shape, zeros_beyond(steps, signal)
        lane_groups = -(-channels // LANES)
        parts = min(batch, -(-BACKWARD_JOBS // lane_groups))
        sums = np.zeros(parts * coefficients.size), np.zeros(parts * taps.size)
        read = signal.ravel(), _signal(grad_y).ravel(), sizes, steps, coefficients, taps, starts
        over_jobs(parts * lane_groups, compiled.backward, *read, adjoint, grad_u.ravel(), *sums)
        shapes = (1, channels, sizes[2], compiled.FIELDS), (1, channels, 1, compiled.GROUP)
        by_coefficients, by_taps = (
            _from_lanes(g.reshape(parts, -1).sum(0), shape)[0].to(grad_y.dtype)
            for g, shape in zip(sums, shapes, strict=True)
        )
        by_state = _from_lanes(adjoint, grad_state.shape)
        return torch.from_numpy(grad_u), by_coefficients, by_taps[:, 0], by_state, None


def _signal(u: Tensor) -> Array:
    return u.detach().resolve_neg().contiguous().numpy()


def _to_lanes(values: Tensor) -> Array:
    """(batch, channels, modes, fields) → (batch, lane groups, modes, fields, LANES), flat; zeros in lanes left over."""
    from ssmemory.ops._lanes import LANES

    batch, channels, modes, fields = values.shape
    padded = torch.nn.functional.pad(values.detach().resolve_neg(), (0, 0, 0, 0, 0, -channels % LANES))
    lanes = padded.reshape(batch, -1, LANES, modes, fields).permute(0, 1, 3, 4, 2)
    return np.ascontiguousarray(lanes.numpy()).reshape(-1)


def _from_lanes(array: Array, shape: Sequence[int]) -> Tensor:
    """The inverse of `_to_lanes`, to this shape."""
    from ssmemory.ops._lanes import LANES

    batch, channels, modes, fields = shape
    lanes = torch.from_numpy(array).reshape(batch, -1, modes, fields, LANES).permute(0, 1, 4, 2, 3)
    return lanes.reshape(batch, -1, modes, fields)[:, :channels].contiguous()
