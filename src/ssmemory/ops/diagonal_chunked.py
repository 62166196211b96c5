"""A diagonal state-space model in chunks of real matrix products: plain torch, for any device and for export."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


class ChunkMatrices(NamedTuple):
    """What takes a diagonal system over T steps at once: ``x' = onward x + Σ_k drive_k u_k``, ``y_k += Re(read_k x)``.

    Attributes:
        onward: (channels, modes) ``λ^T``.
        drive: (channels, modes, T) ``B λ^(T−1−k)``.
        read: (channels, modes, T) ``2 C λ^(k+1)``.
        taps: (channels, T) the kernel's first T taps, ``2 Re Σ_n C_n B_n λ_n^k``.
    """

    onward: Complex[Tensor, "channels modes"]
    drive: Complex[Tensor, "channels modes T"]
    read: Complex[Tensor, "channels modes T"]
    taps: Float[Tensor, "channels T"]


def chunk_matrices(log_eigenvalues: Tensor, B: Tensor, C: Tensor, T: int, dtype: torch.dtype) -> ChunkMatrices:
    """Return the matrices of a chunk of T steps, formed in double precision and rounded once, to that of ``dtype``."""
    exponents = torch.arange(T + 1, device=log_eigenvalues.device)
    powers = torch.exp(log_eigenvalues.to(torch.complex128).unsqueeze(-1) * exponents)
    driven = B.unsqueeze(-1) * powers[..., :T]
    read = 2 * C.unsqueeze(-1) * powers[..., 1:]
    taps = 2 * (C.unsqueeze(-1) * driven).real.sum(-2)
    rounded = dtype.to_complex()
    return ChunkMatrices(powers[..., T].to(rounded), driven.flip(-1).to(rounded), read.to(rounded), taps.to(dtype))


def diagonal_ssm_chunked(
    u: Float[Tensor, "batch length channels"],
    log_eigenvalues: Complex[Tensor, "channels modes"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
    state: Complex[Tensor, "batch channels modes"],
    lengths: Int[Tensor, "batch"] | None = None,
    *,
    chunk: int = 64,
) -> tuple[Float[Tensor, "batch length channels"], Complex[Tensor, "batch channels modes"]]:
    """Return what `ssmemory.ops.diagonal_ssm` returns, with nothing compiled.

    Inside a chunk of T steps ``y = M u`` with the Toeplitz matrix M of the kernel's first T taps. From chunk to chunk
    ``S' = λ^T S + W u`` with ``W[n, j] = B_n λ_n^(T−1−j)``, and ``y += 2 Re(C λ^(i+1) S)``: real matrix products,
    batched over the channels, and one short loop over the chunks. Linear in the length.

    Args:
        u: as in `diagonal_ssm`.
        log_eigenvalues: as in `diagonal_ssm`.
        B: as in `diagonal_ssm`.
        C: as in `diagonal_ssm`.
        state: as in `diagonal_ssm`.
        lengths: as in `diagonal_ssm`.
        chunk: T, steps in a chunk.

    Returns:
        y, zero beyond the lengths, and the state after the last real step of every sequence.
    """
    batch, length, channels = u.shape
    T, n = min(chunk, length), log_eigenvalues.shape[-1]
    T += T % 2  # complex views must begin at, and stride over, whole pairs, also in the adjoint
    ends = torch.full((batch,), length, device=u.device) if lengths is None else lengths.to(u.device)
    real = (torch.arange(length, device=u.device) < ends.unsqueeze(-1)).unsqueeze(-1)
    padded = torch.nn.functional.pad(u.where(real, 0), (0, 0, 0, -length % T))  # where: the rest may be NaN
    X = padded.view(batch, -1, T, channels).permute(3, 0, 1, 2)  # (channels, batch, chunks, T)
    onward, drive, read, taps = chunk_matrices(log_eigenvalues, B, C, T, u.dtype)
    M = torch.nn.functional.pad(taps, (T - 1, 0)).unfold(-1, T, 1).flip(1)  # M[j, i] = taps[i − j]
    W = torch.view_as_real(drive).permute(0, 2, 1, 3).reshape(channels, T, 2 * n)
    V = torch.view_as_real(read.conj().resolve_conj()).permute(0, 1, 3, 2).reshape(channels, 2 * n, T)
    products = X.reshape(channels, -1, T) @ torch.cat([M, W], -1)
    entering = torch.view_as_complex(products[..., T:].reshape(channels, batch, -1, n, 2))
    states = [state.transpose(0, 1)]
    for entered in entering.unbind(2):
        states.append(onward.unsqueeze(1) * states[-1] + entered)
    S = torch.stack(states, 2)
    y = torch.baddbmm(products[..., :T], torch.view_as_real(S[:, :, :-1]).reshape(channels, -1, 2 * n), V)
    y = y.view(channels, batch, -1, T).permute(1, 2, 3, 0).reshape(batch, -1, channels)[:, :length]
    whole = S[:, torch.arange(batch), ends // T].transpose(0, 1)
    return y.where(real, 0), finish_states(whole, u, ends, log_eigenvalues, B, T)


def finish_states(
    state: Tensor, u: Tensor, ends: Tensor, log_eigenvalues: Tensor, B: Tensor, T: int
) -> Complex[Tensor, "batch channels modes"]:
    """Take the state after the last whole chunk of T steps, step by step, to the end of every sequence."""
    rest = ends % T
    if not bool((rest > 0).any()):
        return state
    eigenvalues = torch.exp(log_eigenvalues.to(torch.complex128)).to(state.dtype)
    first = (ends - rest).unsqueeze(-1)
    steps = (first + torch.arange(int(rest.max()), device=u.device)).clamp(max=u.shape[1] - 1)
    remaining = u.gather(1, steps.unsqueeze(-1).expand(-1, -1, u.shape[2]))
    for i, u_t in enumerate(remaining.unbind(1)):
        onward = (i < rest).view(-1, 1, 1)
        u_t = u_t.where(onward[..., 0], 0)
        state = torch.where(onward, eigenvalues * state + B * u_t.unsqueeze(-1), state)
    return state
