"""The matrices that take a dense system over a chunk of steps at once, by doubling."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


class DenseChunk(NamedTuple):
    """What takes a dense system over T = 2^m steps: ``x' = A^T x + drive u``, ``y = toeplitz(taps) u + read x``.

    Attributes:
        taps: (channels, T) the kernel's first T taps, ``C A^i B``.
        drive: (channels, n, T) ``A^(T−1−j) B``.
        read: (channels, T, n) ``C A^(i+1)``.
        powers: A, A², A⁴, …, A^T, each (channels, n, n).
    """

    taps: Float[Tensor, "channels T"]
    drive: Float[Tensor, "channels n T"]
    read: Float[Tensor, "channels T n"]
    powers: tuple[Float[Tensor, "channels n n"], ...]


def dense_chunk(
    A: Float[Tensor, "channels n n"],
    B: Float[Tensor, "channels n"],
    C: Float[Tensor, "channels n"],
    doublings: int,
    dtype: torch.dtype,
) -> DenseChunk:
    """Return the matrices of a chunk of 2^doublings steps, formed in float64 and rounded once, to ``dtype``.

    Their gradients, which are not raised to powers afterwards, are formed in ``dtype``: most of the cost in float32.
    """
    taps, drive, read, *powers = _Doubling.apply(A, B, C, doublings, dtype)
    return DenseChunk(taps, drive, read, tuple(powers))


class _Doubling(torch.autograd.Function):
    """``drive ← [A^m drive, drive]``, ``read ← [read; read A^m]``, ``A^2m = A^m A^m``, m = 1, 2, 4, …, T/2."""

    @staticmethod
    def forward(ctx: Any, A: Tensor, B: Tensor, C: Tensor, doublings: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        powers, drive, row = [A.double()], B.double().unsqueeze(-1), C.double().unsqueeze(-2)
        read = row @ powers[0]
        for _ in range(doublings):
            drive = torch.cat([powers[-1] @ drive, drive], -1)
            read = torch.cat([read, read @ powers[-1]], -2)
            powers.append(powers[-1] @ powers[-1])
        taps = (row @ drive).squeeze(-2).flip(-1)
        rounded = [value.to(dtype) for value in (drive, read, *powers)]
        ctx.save_for_backward(row.to(dtype), *rounded)
        ctx.dtypes = A.dtype, B.dtype, C.dtype
        return taps.to(dtype), *rounded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_taps: Tensor, by_drive: Tensor, by_read: Tensor, *by_powers: Tensor) -> Any:
        row, drive, read, *powers = ctx.saved_tensors
        by_taps = by_taps.flip(-1).unsqueeze(-1)
        by_C = (drive @ by_taps).squeeze(-1)
        by_drive = torch.baddbmm(by_drive, row.mT, by_taps.mT)
        by_square = by_powers[-1]
        for power, by_power in zip(reversed(powers[:-1]), reversed(by_powers[:-1]), strict=True):
            half = by_drive.shape[-1] // 2
            by_power = torch.baddbmm(by_power, by_square, power.mT).baddbmm_(power.mT, by_square)
            by_power.baddbmm_(by_drive[..., :half], drive[..., half:].mT)
            by_power.baddbmm_(read[:, :half].mT, by_read[:, half:])
            by_drive = torch.baddbmm(by_drive[..., half:], power.mT, by_drive[..., :half])
            by_read = torch.baddbmm(by_read[:, :half], by_read[:, half:], power.mT)
            drive, read, by_square = drive[..., half:], read[:, :half], by_power
        by_A = torch.baddbmm(by_square, row.mT, by_read)
        by_C = by_C + (by_read @ powers[0].mT).squeeze(-2)
        grads = zip((by_A, by_drive.squeeze(-1), by_C), ctx.dtypes, strict=True)
        return *(grad.to(dtype) for grad, dtype in grads), None, None
