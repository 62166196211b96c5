"""A diagonal state-space model over a sequence: compiled on the CPU, in chunks of matrix products elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssmemory.ops.diagonal_chunked import chunk_matrices, diagonal_ssm_chunked, finish_states


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
    matrices = chunk_matrices(log_eigenvalues, B, C, GROUP, u.dtype)
    pairs = torch.cat([matrices.onward.unsqueeze(-1), matrices.drive, matrices.read], -1)
    coefficients = torch.view_as_real(pairs).flatten(-2)
    y, whole = _Compiled.apply(u, coefficients, matrices.taps, torch.view_as_real(state.resolve_conj()), ends)
    last = finish_states(torch.view_as_complex(whole), u, ends, log_eigenvalues, B, GROUP)
    return y, last


class _Compiled(torch.autograd.Function):
    """The compiled loops as one differentiable function of real tensors."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, coefficients: Tensor, taps: Tensor, state: Tensor, lengths: Tensor) -> Any:
        from ssmemory.ops import _diagonal_compiled as compiled

        signal, steps = _signal(u), lengths.numpy().astype(np.int64)
        packed = _to_lanes(coefficients.unsqueeze(0))[0], _to_lanes(taps[None, :, None])[0]
        states = _to_lanes(state)
        chunks = -(-u.shape[1] // compiled.CHUNK) if any(ctx.needs_input_grad) else 0
        starts = np.empty((chunks, *states.shape), signal.dtype)
        y = np.zeros_like(signal)
        _over_jobs(states.shape[0] * states.shape[1], compiled.forward, signal, steps, *packed, states, y, starts)
        ctx.save_for_backward(u)  # so that overwriting it meanwhile is noticed
        ctx.kept = steps, *packed, starts
        return torch.from_numpy(y), _from_lanes(states, u.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> Any:
        from ssmemory.ops import _diagonal_compiled as compiled

        steps, coefficients, taps, starts = ctx.kept
        signal = _signal(ctx.saved_tensors[0])
        adjoint = _to_lanes(grad_state)
        batch, channels, dtype = signal.shape[0], signal.shape[2], grad_y.dtype
        grad_u = np.zeros_like(signal)
        grads = np.zeros((batch, *coefficients.shape)), np.zeros((batch, *taps.shape))
        read = signal, _signal(grad_y), steps, coefficients, taps, starts
        _over_jobs(adjoint.shape[0] * adjoint.shape[1], compiled.backward, *read, adjoint, grad_u, *grads)
        by_coefficients, by_taps = (_from_lanes(g.sum(0, keepdims=True), channels)[0].to(dtype) for g in grads)
        return torch.from_numpy(grad_u), by_coefficients, by_taps[:, 0], _from_lanes(adjoint, channels), None


def _signal(u: Tensor) -> np.ndarray[Any, Any]:
    return u.detach().resolve_neg().contiguous().numpy()


def _to_lanes(values: Tensor) -> np.ndarray[Any, Any]:
    """(batch, channels, modes, fields) → (batch, lane groups, modes, fields · LANES), channels padded with zeros."""
    from ssmemory.ops._diagonal_compiled import LANES

    batch, channels, modes, fields = values.shape
    padded = torch.nn.functional.pad(values.detach().resolve_neg(), (0, 0, 0, 0, 0, -channels % LANES))
    lanes = padded.reshape(batch, -1, LANES, modes, fields).permute(0, 1, 3, 4, 2)
    return np.ascontiguousarray(lanes.numpy()).reshape(batch, -1, modes, fields * LANES)


def _from_lanes(array: np.ndarray[Any, Any], channels: int) -> Tensor:
    """The inverse of `_to_lanes`."""
    from ssmemory.ops._diagonal_compiled import LANES

    batch, groups, modes = array.shape[:3]
    lanes = torch.from_numpy(array).reshape(batch, groups, modes, -1, LANES).permute(0, 1, 4, 2, 3)
    return lanes.reshape(batch, groups * LANES, modes, -1)[:, :channels].contiguous()


def _over_jobs(jobs: int, loop: Callable[..., None], *arrays: np.ndarray[Any, Any]) -> None:
    """Share the jobs of a compiled loop, which releases the interpreter lock, over as many threads as torch uses."""
    threads = min(torch.get_num_threads(), jobs)
    edges = np.linspace(0, jobs, threads + 1).astype(int)
    if threads == 1:
        loop(*arrays, 0, jobs)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(loop, *arrays, a, b) for a, b in itertools.pairwise(edges)]:
            done.result()
