"""The naive twin of `ssmemory.ops.diagonal`: the field's own way, kept as the fixed point of comparison."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def vandermonde_convolution(
    u: Float[Tensor, "batch length channels"],
    log_eigenvalues: Complex[Tensor, "channels modes"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
) -> Float[Tensor, "batch length channels"]:
    """Return y of `diagonal_ssm` from a zero state, by a Vandermonde tensor and a real FFT convolution of length 2L.

    The kernel ``k[τ] = 2 Re Σ_n C_n B_n λ_n^τ`` is summed over a (channels, modes, length) tensor of powers. This is
    all that the field's layers compute in training, and so what benchmarks compare with.

    Args:
        u: as in `diagonal_ssm`.
        log_eigenvalues: as in `diagonal_ssm`, but in the precision of B and C: complex64 is the field's own.
        B: as in `diagonal_ssm`.
        C: as in `diagonal_ssm`.

    Returns:
        y.
    """
    length = u.shape[1]
    powers = torch.exp(log_eigenvalues.unsqueeze(-1) * torch.arange(length, device=u.device))
    kernel = 2 * torch.einsum("hn,hnl->hl", B * C, powers).real
    spectrum = torch.fft.rfft(u.transpose(1, 2), n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length].transpose(1, 2)


def diagonal_ssm_naive(
    u: Float[Tensor, "batch length channels"],
    log_eigenvalues: Complex[Tensor, "channels modes"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
    state: Complex[Tensor, "batch channels modes"] | None = None,
) -> tuple[Float[Tensor, "batch length channels"], Complex[Tensor, "batch channels modes"]]:
    """Return what `diagonal_ssm` returns: `vandermonde_convolution`, and the states by the same tensor of powers.

    Args:
        u: as in `diagonal_ssm`.
        log_eigenvalues: as in `vandermonde_convolution`.
        B: as in `diagonal_ssm`.
        C: as in `diagonal_ssm`.
        state: as in `diagonal_ssm`; zero if left out, and then nothing is computed for it.

    Returns:
        y, and the state after the last step.
    """
    y = vandermonde_convolution(u, log_eigenvalues, B, C)
    steps = torch.arange(u.shape[1], device=u.device)
    powers = torch.exp(log_eigenvalues.unsqueeze(-1) * steps.flip(0))
    last = torch.einsum("blh,hnl->bhn", u.to(B.dtype), powers) * B
    if state is not None:
        free = state.unsqueeze(-1) * torch.exp(log_eigenvalues.unsqueeze(-1) * (steps + 1))
        y = y + 2 * torch.einsum("hn,bhnl->blh", C, free).real
        last = last + free[..., -1]
    return y, last
