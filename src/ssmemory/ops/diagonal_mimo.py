"""One diagonal system of many inputs and outputs: compiled and in place on the CPU, of torch's parts elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssmemory.ops.scan import diagonal_scan_chunked, pairs, poles_of, rows, scan_backward, scan_forward
from ssmemory.ops.scan_naive import diagonal_scan_naive

BLOCK = 1024  # rows whose product with others still lies in the cache when it is summed


def diagonal_mimo_ssm(
    u: Float[Tensor, "batch length d_model"],
    log_eigenvalues: Complex[Tensor, " modes"],
    B: Complex[Tensor, "modes d_model"],
    C: Complex[Tensor, "d_model modes"],
    D: Float[Tensor, " d_model"],
    state: Complex[Tensor, "batch modes"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length d_model"], Complex[Tensor, "batch modes"]]:
    """Return ``y[t] = 2 Re(C x[t]) + D u[t]`` with ``x[t] = λ x[t−1] + B u[t]``: one system of many inputs and outputs.

    Time and memory are linear in the length; differentiable once in all arguments but the lengths. On the CPU the
    states take the place of what drives them, and the gradients of these that of those; no other signal is held.

    Args:
        u: the input, zero beyond the lengths.
        log_eigenvalues: log λ in discrete time, complex128.
        B: input weights in discrete time, in the precision of u.
        C: output weights, in the precision of u.
        D: what passes through, one a channel, in the precision of u.
        state: x[−1], the state before the first step; taken in the precision of u.
        lengths: real steps of every sequence, 1 … length; all of them if left out.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.

    Numerics:
        As `diagonal_scan`: the recurrence runs in double precision and is rounded once a step.

    Example:
        >>> u, one = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1), torch.ones(1, 1, dtype=torch.complex64)
        >>> log = torch.tensor([0.5], dtype=torch.complex128).log()
        >>> diagonal_mimo_ssm(u, log, one, one / 2, torch.ones(1), 0 * one)[0].flatten().tolist()
        [2.0, 0.5, 0.25]
    """
    if u.device.type != "cpu":
        return _of_parts(diagonal_scan_chunked, u, log_eigenvalues, B, C, D, state, lengths)
    from ssmemory.ops._lanes import LANES

    ends = torch.full((len(u),), u.shape[1]) if lengths is None else lengths
    entering, reading = (torch.nn.functional.pad(M, (0, -M.shape[-1] % LANES)) for M in _real(B, C))
    begin = torch.view_as_real(state.to(B.dtype).resolve_conj())
    logs = torch.view_as_real(log_eigenvalues.resolve_conj())
    y, last = _Compiled.apply(u, logs, entering, reading, D, begin, ends)
    return y, torch.view_as_complex(last)


def diagonal_mimo_ssm_naive(
    u: Float[Tensor, "batch length d_model"],
    log_eigenvalues: Complex[Tensor, " modes"],
    B: Complex[Tensor, "modes d_model"],
    C: Complex[Tensor, "d_model modes"],
    D: Float[Tensor, " d_model"],
    state: Complex[Tensor, "batch modes"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length d_model"], Complex[Tensor, "batch modes"]]:
    """Return what `diagonal_mimo_ssm` returns, one step after the other.

    Args:
        u: as in `diagonal_mimo_ssm`.
        log_eigenvalues: as in `diagonal_mimo_ssm`.
        B: as in `diagonal_mimo_ssm`.
        C: as in `diagonal_mimo_ssm`.
        D: as in `diagonal_mimo_ssm`.
        state: as in `diagonal_mimo_ssm`.
        lengths: as in `diagonal_mimo_ssm`.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    return _of_parts(diagonal_scan_naive, u, log_eigenvalues, B, C, D, state, lengths)


def _of_parts(
    scan: Callable[..., tuple[Tensor, Tensor]], u: Tensor, log_eigenvalues: Tensor, B: Tensor, C: Tensor, D: Tensor,
    state: Tensor, lengths: Tensor | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    entering, reading = _real(B, C)
    x, last = scan(torch.view_as_complex((u @ entering).unflatten(-1, (-1, 2))), log_eigenvalues, state, lengths)
    return torch.view_as_real(x).flatten(-2) @ reading.mT + D * u, last


def _real(B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as real matrices (d_model, 2 modes), since complex products take twice as long."""
    entering = torch.view_as_real(B.mT.resolve_conj()).flatten(1)
    return entering, torch.view_as_real((2 * C).conj().resolve_conj()).flatten(1)


class _Compiled(torch.autograd.Function):
    """Products in torch, the recurrence compiled, as one differentiable function of real tensors."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, logs: Tensor, entering: Tensor, reading: Tensor, D: Tensor, state: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, poles = lengths.numpy().astype(np.int64), poles_of(logs)
        x, last = u @ entering, rows(state).astype(np.float64)
        scan_forward(x.numpy(), steps, poles, last, x.numpy())
        _clear(x, steps)
        ctx.save_for_backward(u, x, entering, reading, D, state)
        ctx.kept = steps, poles
        return _added(D * u, x, reading.mT), pairs(last, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> Any:
        (u, x, entering, reading, D, state), (steps, poles) = ctx.saved_tensors, ctx.kept
        wanted = ctx.needs_input_grad
        grad_v, adjoint = grad_y @ reading, rows(grad_last).astype(np.float64)
        grad_log = scan_backward(grad_v.numpy(), x.numpy(), rows(state), steps, poles, adjoint, grad_v.numpy())
        _clear(grad_v, steps)
        grad_u = _added(D * grad_y, grad_v, entering.mT) if wanted[0] else None
        grad_entering = u.flatten(0, 1).mT @ grad_v.flatten(0, 1) if wanted[2] else None
        grad_reading = grad_y.flatten(0, 1).mT @ x.flatten(0, 1) if wanted[3] else None
        grad_D = _summed(grad_y.flatten(0, 1), u.flatten(0, 1)) if wanted[4] else None
        grad_log = grad_log[: state.shape[-2]]
        return grad_u, grad_log, grad_entering, grad_reading, grad_D, pairs(adjoint, state), None


def _added(to: Tensor, rows: Tensor, matrix: Tensor) -> Tensor:
    """Return ``to + rows @ matrix``, in the place of ``to`` if it can be: one pass over memory less."""
    total = to.contiguous()
    total.view(-1, total.shape[-1]).addmm_(rows.flatten(0, 1), matrix)
    return total


def _clear(signal: Tensor, steps: np.ndarray[Any, Any]) -> None:
    for b in np.flatnonzero(steps < signal.shape[1]):
        signal[b, steps[b] :] = 0


def _summed(a: Tensor, b: Tensor) -> Tensor:
    """Return ``Σ_rows a b`` without holding all products."""
    parts = [(left * right).sum(0) for left, right in zip(a.split(BLOCK), b.split(BLOCK), strict=True)]
    return torch.stack(parts).sum(0)
