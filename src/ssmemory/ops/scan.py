"""A bank of diagonal modes, each with a signal of its own: compiled on the CPU, in chunks elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssmemory.ops._jobs import Array, over_jobs, zeros_beyond

CHUNK = 64  # steps of the path that is not compiled
NARROW = 64  # numbers of a row in a job, where there are fewer sequences than threads


def diagonal_scan(
    v: Complex[Tensor, "batch length modes"],
    log_eigenvalues: Complex[Tensor, " modes"],
    state: Complex[Tensor, "batch modes"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Complex[Tensor, "batch length modes"], Complex[Tensor, "batch modes"]]:
    """Return ``x[t] = λ x[t−1] + v[t]`` for all steps, and the state after the end.

    Time and memory are linear in the length; differentiable once in all arguments but the lengths. On the CPU
    a compiled loop runs, on other devices `diagonal_scan_chunked`.

    Args:
        v: what drives the modes, complex64 or complex128.
        log_eigenvalues: log λ in discrete time, complex128.
        state: x[−1], the state before the first step; taken in the precision of v.
        lengths: real steps of every sequence, 1 … length; all of them if left out.

    Returns:
        x, zero beyond the lengths, and the state after the last real step of every sequence.

    Numerics:
        The state is kept in double precision and rounded once a step: complex64 is off by 1e-7 of the largest state.

    Example:
        >>> v = torch.tensor([1.0, 0.0, 0.0], dtype=torch.complex64).reshape(1, 3, 1)
        >>> log = torch.tensor([0.5], dtype=torch.complex128).log()
        >>> diagonal_scan(v, log, torch.zeros(1, 1, dtype=torch.complex64))[0].real.flatten().tolist()
        [1.0, 0.5, 0.25]
    """
    if v.device.type != "cpu":
        return diagonal_scan_chunked(v, log_eigenvalues, state, lengths)
    ends = torch.full((len(v),), v.shape[1]) if lengths is None else lengths
    signal, begin = torch.view_as_real(v.resolve_conj()), torch.view_as_real(state.to(v.dtype).resolve_conj())
    x, last = _Compiled.apply(signal, torch.view_as_real(log_eigenvalues.resolve_conj()), begin, ends)
    return torch.view_as_complex(x), torch.view_as_complex(last)


class _Compiled(torch.autograd.Function):
    """The compiled loops as one differentiable function of real tensors."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, logs: Tensor, state: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        signal, steps, poles = rows(v), lengths.numpy().astype(np.int64), poles_of(logs)
        x, last = zeros_beyond(steps, signal), rows(state).astype(np.float64)
        scan_forward(signal, steps, poles, last, x)
        result = pairs(x, v)
        ctx.save_for_backward(result, state)
        ctx.kept = steps, poles
        return result, pairs(last, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_x: Tensor, grad_last: Tensor) -> Any:
        (x, state), (steps, poles) = ctx.saved_tensors, ctx.kept
        signal, adjoint = rows(x), rows(grad_last).astype(np.float64)
        grad_v = zeros_beyond(steps, signal)
        grad_log = scan_backward(rows(grad_x), signal, rows(state), steps, poles, adjoint, grad_v)
        return pairs(grad_v, x), grad_log[: x.shape[-2]], pairs(adjoint, state), None


def scan_forward(signal: Array, steps: Array, poles: Array, state: Array, x: Array) -> None:
    """Fill x, which may be the signal itself, up to the length of every sequence, and advance the state in place.

    Args:
        signal: (batch, length, row) what drives the modes, as `rows` gives it.
        steps: (batch,) int64 real steps of every sequence.
        poles: from `poles_of`.
        state: (batch, row) float64.
        x: like the signal.
    """
    from ssmemory.ops import _scan_compiled as compiled

    jobs, sizes = _jobs(signal)
    over_jobs(jobs, compiled.forward, signal.ravel(), sizes, steps, poles, state.ravel(), x.ravel())


def scan_backward(
    grad_x: Array, x: Array, state: Array, steps: Array, poles: Array, adjoint: Array, grad_v: Array
) -> Tensor:
    """Fill grad_v, which may be grad_x itself, and turn the adjoint of the last state into that of the first.

    Args:
        grad_x: (batch, length, row).
        x: what `scan_forward` gave.
        state: (batch, row) the state before the first step.
        steps: as in `scan_forward`.
        poles: as in `scan_forward`.
        adjoint: (batch, row) float64.
        grad_v: like grad_x.

    Returns:
        (row/2, 2) the gradient of log λ.
    """
    from ssmemory.ops import _scan_compiled as compiled

    sums, (jobs, sizes) = np.zeros((2, *adjoint.shape)), _jobs(x)
    read = grad_x.ravel(), x.ravel(), state.ravel(), sizes, steps, poles
    over_jobs(jobs, compiled.backward, *read, adjoint.ravel(), grad_v.ravel(), sums.ravel())
    along, across = torch.from_numpy(sums.sum(1)).unflatten(-1, (-1, 2)).unbind(0)
    return torch.stack([along.sum(-1), across[:, 0] - across[:, 1]], -1)


def rows(numbers: Tensor) -> Array:
    """(…, modes, 2) → (…, row), with zeros up to a multiple of LANES numbers."""
    from ssmemory.ops._lanes import LANES

    flat = numbers.detach().resolve_neg().flatten(-2)
    if flat.shape[-1] % LANES:  # padding by nothing is a copy too
        flat = torch.nn.functional.pad(flat, (0, -flat.shape[-1] % LANES))
    return flat.contiguous().numpy()


def pairs(flat: Array, like: Tensor) -> Tensor:
    """The inverse of `rows`, to the shape and precision of ``like``."""
    numbers = torch.from_numpy(flat).unflatten(-1, (-1, 2))[..., : like.shape[-2], :]
    return numbers.to(like.dtype).contiguous()


def poles_of(logs: Tensor) -> Array:
    """Return (2, row), flat: Re λ for both numbers of a mode, then −Im λ and Im λ."""
    size, phase = logs.detach().double().unbind(-1)
    real, imag = size.exp() * phase.cos(), size.exp() * phase.sin()
    return rows(torch.stack([torch.stack([real, real], -1), torch.stack([-imag, imag], -1)])).ravel()


def _jobs(signal: Array) -> tuple[int, tuple[int, int, int]]:
    """Return how many jobs there are, and the sizes the loops take: whole rows where they keep all threads busy."""
    batch, length, row = signal.shape
    width = row if batch >= torch.get_num_threads() else NARROW
    return batch * -(-row // width), (length, row, width)


def diagonal_scan_chunked(
    v: Complex[Tensor, "batch length modes"],
    log_eigenvalues: Complex[Tensor, " modes"],
    state: Complex[Tensor, "batch modes"],
    lengths: Int[Tensor, "batch"] | None = None,
    *,
    chunk: int = CHUNK,
) -> tuple[Complex[Tensor, "batch length modes"], Complex[Tensor, "batch modes"]]:
    """Return what `diagonal_scan` returns, with nothing compiled.

    Inside a chunk of T steps a product with the triangular matrix of powers λ^(i−j), one a mode; from chunk to chunk
    ``S' = λ^T S + …``, and ``x[i] += λ^(i+1) S``.

    Args:
        v: as in `diagonal_scan`.
        log_eigenvalues: as in `diagonal_scan`.
        state: as in `diagonal_scan`.
        lengths: as in `diagonal_scan`.
        chunk: T, steps in a chunk.

    Returns:
        x, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    batch, length, modes = v.shape
    T = min(chunk, length)
    ends = torch.full((batch,), length, device=v.device) if lengths is None else lengths.to(v.device)
    real = (torch.arange(length, device=v.device) < ends.unsqueeze(-1)).unsqueeze(-1)
    padded = torch.nn.functional.pad(torch.view_as_real(v.where(real, 0)), (0, 0, 0, 0, 0, -length % T))
    chunks = torch.view_as_complex(padded).unflatten(1, (-1, T)).permute(3, 2, 0, 1)  # (modes, T, batch, chunks)
    chunks = chunks.contiguous()  # the product of complex matrices with strides takes several times as long
    powers = _powers(log_eigenvalues, T + 1).to(v.dtype)  # (modes, T + 1)
    steps = torch.arange(T, device=v.device)
    lag = steps.unsqueeze(-1) - steps
    triangle = powers[:, lag.clamp(min=0)] * (lag >= 0)
    within = (triangle @ chunks.flatten(2)).view(chunks.shape)
    states = [state.to(v.dtype).mT]
    for entered in within[:, -1].unbind(-1):
        states.append(powers[:, T:] * states[-1] + entered)
    before = torch.stack(states[:-1], -1)
    x = within + powers[:, 1:, None, None] * before.unsqueeze(1)
    x = x.permute(2, 3, 1, 0).reshape(batch, -1, modes)[:, :length]
    return x.where(real, 0), x[torch.arange(batch, device=v.device), ends - 1]


def _powers(log_eigenvalues: Tensor, count: int) -> Complex[Tensor, "modes count"]:
    """Return λ^0 … λ^(count−1) in double precision; λ = 0, with log −∞, is allowed."""
    exponents = torch.arange(1, count, device=log_eigenvalues.device)
    logs = log_eigenvalues.to(torch.complex128).unsqueeze(-1)
    powers = torch.polar((logs.real * exponents).exp(), logs.imag * exponents)
    return torch.cat([torch.ones_like(powers[..., :1]), powers], -1)
