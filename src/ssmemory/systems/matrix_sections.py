"""The input-normal form of a system with several inputs: a cascade of matrix all-pass sections."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ssmemory.systems.spectrum import Spectrum

_NEGLIGIBLE = 8 * torch.finfo(torch.float64).eps  # singular values of B below this share of the largest are rounding


def matrix_sections(spectrum: Spectrum) -> tuple[Tensor, Tensor]:
    """Return A and B of the input-normal form of a spectrum with several inputs.

    Section k takes out of the signal e, one vector of channels, the direction g in which it drives mode k. With
    ``g = G[k]/‖G[k]‖``, G the rows of B as the sections before have left them, and ``s = sqrt(1 − |λ_k|²)``::

        x_k[t] = λ_k x_k[t−1] + s g e[t],      e ← e + g* ((−λ‾_k g e + s x_k[t−1]) − g e)
        G ← G + (φ(T) − I) G g* g,             φ(T) = (T − λ_k)(I − λ‾_k T)⁻¹

    T is diagonal, or lower triangular for a dense system: there φ(T) is one triangular solve, and repeated eigenvalues
    and Jordan blocks are nothing special. Before each section a reflection turns g onto one of the channels, so that
    the section is a scalar one and all the others pass unchanged, to the last bit.

    Args:
        spectrum: a stable one, with its B.

    Returns:
        A (*batch, N, N), lower triangular with the eigenvalues on its diagonal, and B (*batch, N, inputs).

    Numerics:
        Relative error of ``‖A^τ b_i‖²`` about 1e-14; more, about eps/‖g‖, where the sections before leave of a row of
        B no more than a share ‖g‖: eigenvalues that nearly coincide with nearly the same row, or dozens of eigenvalues
        for each of two or three inputs. There the memory hangs on rounding of B itself. Of an input that does not drive
        the slow modes, the square root is exact to about 1e-16 of that of the inputs that do.

    Source:
        Potapov, AMS Translations 15 (1960), for the matrix sections.
    """
    G, signal = _channels(spectrum)
    n, counted = G.shape[-2], spectrum.counted
    factors = _blaschke_factors(spectrum) if spectrum.coupling is None else None
    poles, identity = spectrum.eigenvalues, torch.eye(n, dtype=G.dtype)
    gains = torch.where(counted, spectrum.margins, torch.ones_like(spectrum.margins)).sqrt() * counted
    signal = torch.cat([signal.new_zeros(*signal.shape[:-1], n), signal], -1)  # e as a function of x[t−1] and u[t]
    width, rows = signal.shape[-1], []
    for k in range(n):
        here = torch.nn.functional.pad(identity[k], (0, width - n))
        mirror, axis = _reflection(G[..., 0, :], counted[..., k])
        signal = signal - mirror.conj().unsqueeze(-1) * (mirror.unsqueeze(-2) @ signal)
        G = G - (G @ mirror.conj().unsqueeze(-1)) * mirror.unsqueeze(-2)
        entering = (axis.to(signal.dtype).unsqueeze(-2) @ signal).squeeze(-2)
        pole, gain = poles[..., k : k + 1], gains[..., k : k + 1]
        rows.append(gain * entering + pole * here)
        leaving = torch.where(counted[..., k : k + 1], gain * here - pole.conj() * entering, entering)
        signal = torch.where(axis.unsqueeze(-1), leaving.unsqueeze(-2), signal)
        G = _after_section(G, axis, k, factors, spectrum.coupling)
    assembled = torch.stack(rows, -2)
    return assembled[..., :n], assembled[..., n:]


def _channels(spectrum: Spectrum) -> tuple[Tensor, Tensor]:
    """Return G (*batch, N, r) and an orthonormal W (*batch, r, inputs) with B = G W.

    Where B has a rank r below the number of inputs, fewer channels do. Gradients reach beyond the rows of B: no r then.
    """
    assert spectrum.B is not None
    B = spectrum.B if spectrum.coupling is not None else _unit_rows(spectrum.B)
    identity = torch.eye(B.shape[-1], dtype=B.dtype).expand(*B.shape[:-2], -1, -1)
    if torch.is_grad_enabled() and (B.requires_grad or spectrum.log_eigenvalues.requires_grad):
        return B, identity
    _, sizes, basis = torch.linalg.svd(B, full_matrices=False)
    rank = max(1, int((sizes > _NEGLIGIBLE * sizes[..., :1]).sum(-1).max()))
    if rank == B.shape[-1]:
        return B, identity
    W = basis[..., :rank, :]
    return B @ W.mH, W


def _unit_rows(rows: Tensor) -> Tensor:
    """Return the rows with norm 1, and those of norm 0 as they are; sizes have no gradient."""
    largest = rows.detach().abs().amax(-1, keepdim=True)
    rows = rows / torch.where(largest > 0, largest, torch.ones_like(largest))  # squares neither overflow nor vanish
    return rows / torch.linalg.vector_norm(rows.detach(), dim=-1, keepdim=True).clamp(min=1)


def _reflection(row: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Return v, of norm √2, such that ``row (I − v* v)`` has one entry only, and a mask of that entry, its largest."""
    axis = one_hot(row.detach().abs().argmax(-1), row.shape[-1]).bool()
    size = torch.linalg.vector_norm(row.detach(), dim=-1)
    row = torch.where((counted & (size > 0)).unsqueeze(-1), row, axis.to(row.dtype))
    lead = (row * axis).sum(-1, keepdim=True)
    mirror = row + axis * (lead / lead.abs()) * torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return mirror * (2**0.5 / torch.linalg.vector_norm(mirror, dim=-1, keepdim=True)), axis


def _after_section(G: Tensor, axis: Tensor, k: int, factors: Tensor | None, coupling: Tensor | None) -> Tensor:
    """Return the rows after row k as section k leaves them: φ(T) on one channel, the others unchanged."""
    column = (G * axis.unsqueeze(-2)).sum(-1)
    if coupling is not None:
        passed = _blaschke_of_matrix(coupling[..., k:, k:], column)
        return torch.where(axis.unsqueeze(-2), passed.unsqueeze(-1), G[..., 1:, :])
    assert factors is not None
    passed = factors[..., k, k + 1 :] * column[..., 1:]
    rows = torch.where(axis.unsqueeze(-2), passed.unsqueeze(-1), G[..., 1:, :])
    return _unit_rows(rows)  # the size of a row means nothing to a diagonal system, and could underflow


def _blaschke_of_matrix(T: Tensor, column: Tensor) -> Tensor:
    """Return ``φ(T) column`` without its first row, which is 0; λ_k is the first entry of the lower-triangular T."""
    pole, eye = T[..., :1, :1], torch.eye(T.shape[-1], dtype=T.dtype)
    moved = ((T - pole * eye) @ column.unsqueeze(-1))[..., 1:, :]
    return torch.linalg.solve_triangular((eye - pole.conj() * T)[..., 1:, 1:], moved, upper=False).squeeze(-1)


def _blaschke_factors(spectrum: Spectrum) -> Tensor:
    """Return ``φ[k, j] = (λ_j − λ_k)/(1 − λ‾_k λ_j)``, from logarithms: no difference cancels. 1 where k is out."""
    counted = spectrum.counted
    zero = ~counted | torch.isneginf(spectrum.log_eigenvalues.real)
    logs = torch.where(zero, torch.full_like(spectrum.log_eigenvalues, -1), spectrum.log_eigenvalues)
    pole, other = logs.unsqueeze(-1), logs.unsqueeze(-2)
    larger = other.real > pole.real  # the exponential of a negative number does not overflow
    outer = torch.where(larger, -torch.exp(other), torch.exp(pole))
    factors = outer * torch.expm1(torch.where(larger, pole - other, other - pole)) / -torch.expm1(other + pole.conj())
    factors = torch.where(zero.unsqueeze(-2), -torch.exp(pole), factors)
    at_zero = torch.where(zero.unsqueeze(-2), torch.zeros_like(factors), torch.exp(other))
    factors = torch.where(zero.unsqueeze(-1), at_zero, factors)
    return torch.where(counted.unsqueeze(-1), factors, torch.ones_like(factors))
