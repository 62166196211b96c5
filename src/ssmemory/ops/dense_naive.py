"""The naive twins of `ssmemory.ops.dense`: a plain loop, and S4's convolution as the field computes it."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


def dense_ssm_naive(
    u: Float[Tensor, "batch length channels"],
    A: Float[Tensor, "channels n n"],
    B: Float[Tensor, "channels n"],
    C: Float[Tensor, "channels n"],
    state: Float[Tensor, "batch channels n"],
    lengths: Int[Tensor, "batch"] | None = None,
) -> tuple[Float[Tensor, "batch length channels"], Float[Tensor, "batch channels n"]]:
    """Return what `dense_ssm` returns, one step after the other.

    Args:
        u: as in `dense_ssm`.
        A: as in `dense_ssm`, here in the dtype of u.
        B: as in `dense_ssm`, here in the dtype of u.
        C: as in `dense_ssm`, here in the dtype of u.
        state: as in `dense_ssm`.
        lengths: as in `dense_ssm`.

    Returns:
        y, and the state after the last real step.
    """
    ends = torch.full((len(u),), u.shape[1], device=u.device) if lengths is None else lengths.to(u.device)
    y = []
    for t, u_t in enumerate(u.unbind(1)):
        real = (t < ends).view(-1, 1, 1)
        u_t = u_t.unsqueeze(-1).where(real, 0)
        state = torch.where(real, torch.einsum("hij,bhj->bhi", A, state) + B * u_t, state)
        y.append((C * state).sum(-1).where(real.squeeze(-1), 0))
    return torch.stack(y, 1), state


def dplr_kernel_naive(
    eigenvalues: Complex[Tensor, "channels modes"],
    P: Complex[Tensor, "channels modes rank"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
    dt: Float[Tensor, " channels"],
    length: int,
    *,
    pairwise: bool = False,
) -> Float[Tensor, "channels length"]:
    """Return S4's kernel ``C A_bar^k B_bar``, k < length, through its values at the roots of unity.

    With A = Λ − P P* over both halves of the conjugate pairs, sampled by the bilinear rule, and
    ``C̃ = C (I − A_bar^L)``, the kernel's discrete Fourier transform is ``C̃ (I − z A_bar)⁻¹ B_bar`` at
    ``z = exp(−2πi j/L)``. With ``h = dt (1 + z)/2`` and ``R = 1/(1 − z − h Λ)``, Woodbury's identity makes that
    ``dt (C̃ R B − h (C̃ R P)(1 + h P* R P)⁻¹ (P* R B))``. One inverse FFT gives the kernel.

    Args:
        eigenvalues: Λ, one half of conjugate pairs; complex64 is the field's own precision, here as below.
        P: the low-rank part, of the same half.
        B: input weights in continuous time.
        C: output weights, ``y = 2 Re(C x)``.
        dt: steps.
        length: L, number of taps.
        pairwise: sum every entry of the four products over a (channels, 2 modes, L/2 + 1) tensor of quotients of its
            own, as the field's code does without its compiled kernels, and not all by one product with R. Slower.

    Returns:
        The kernel.

    Source:
        Gu, Goel, Ré, Efficiently modeling long sequences (2022), algorithm 1.
    """
    eigenvalues, B, C = (torch.cat([x, x.conj()], -1) for x in (eigenvalues, B, C))
    P = torch.cat([P, P.conj()], -2)
    dt = dt.unsqueeze(-1)
    C = C - (C.unsqueeze(-2) @ _sampled_power(eigenvalues, P, dt, length)).squeeze(-2)
    angles = torch.arange(length // 2 + 1, dtype=dt.dtype, device=B.device) * (-2 * torch.pi / length)
    z = torch.polar(torch.ones_like(angles), angles).to(B.dtype)
    h = dt * (1 + z) / 2
    poles = 1 - z - h.unsqueeze(-2) * eigenvalues.unsqueeze(-1)  # (channels, 2 modes, roots)
    rows = torch.cat([C.unsqueeze(-1), P.conj()], -1)
    columns = torch.cat([B.unsqueeze(-1), P], -1)
    if pairwise:
        pairs = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).permute(2, 3, 0, 1)
        table = (pairs.unsqueeze(-1) / poles).sum(-2).permute(2, 3, 0, 1)
    else:
        table = torch.einsum("hni,hnj,hnl->hlij", rows, columns, 1 / poles)
    h = h[..., None, None]
    capacitance = torch.eye(P.shape[-1], dtype=B.dtype, device=B.device) + h * table[..., 1:, 1:]
    correction = table[..., :1, 1:] @ torch.linalg.solve(capacitance, h * table[..., 1:, :1])
    spectrum = dt * (table[..., :1, :1] - correction)[..., 0, 0]
    return torch.fft.irfft(spectrum, n=length)


def dplr_convolution_naive(
    u: Float[Tensor, "batch length channels"],
    eigenvalues: Complex[Tensor, "channels modes"],
    P: Complex[Tensor, "channels modes rank"],
    B: Complex[Tensor, "channels modes"],
    C: Complex[Tensor, "channels modes"],
    dt: Float[Tensor, " channels"],
    *,
    pairwise: bool = False,
) -> Float[Tensor, "batch length channels"]:
    """Return y of S4 from a zero state: `dplr_kernel_naive` and a real FFT convolution of length 2L.

    This is what the field's S4 computes in training, and so what benchmarks compare with.

    Args:
        u: the input.
        eigenvalues: as in `dplr_kernel_naive`.
        P: as in `dplr_kernel_naive`.
        B: as in `dplr_kernel_naive`.
        C: as in `dplr_kernel_naive`.
        dt: as in `dplr_kernel_naive`.
        pairwise: as in `dplr_kernel_naive`.

    Returns:
        y.
    """
    length = u.shape[1]
    kernel = dplr_kernel_naive(eigenvalues, P, B, C, dt, length, pairwise=pairwise)
    spectrum = torch.fft.rfft(u.transpose(1, 2), n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length].transpose(1, 2)


def _sampled_power(eigenvalues: Tensor, P: Tensor, dt: Tensor, exponent: int) -> Complex[Tensor, "channels n n"]:
    """Return A_bar^exponent, A_bar the bilinear sample of Λ − P P*."""
    half = dt.unsqueeze(-1) / 2 * (torch.diag_embed(eigenvalues) - P @ P.mH)
    eye = torch.eye(half.shape[-1], dtype=half.dtype, device=half.device)
    return torch.linalg.matrix_power(torch.linalg.solve(eye - half, eye + half), exponent)
