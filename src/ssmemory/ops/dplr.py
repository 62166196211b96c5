"""A diagonal-plus-low-rank system in continuous time, sampled: what S4 steps through."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor


class DiscreteDPLR(NamedTuple):
    """``x[t] = λ x[t−1] − left · 2 Re(right* x[t−1]) + B u[t]``: one half of conjugate pairs, in discrete time.

    Attributes:
        eigenvalues: (channels, modes) λ, of the diagonal part alone.
        left: (channels, modes, rank).
        right: (channels, modes, rank).
        B: (channels, modes).
    """

    eigenvalues: Complex[Tensor, "channels modes"]
    left: Complex[Tensor, "channels modes rank"]
    right: Complex[Tensor, "channels modes rank"]
    B: Complex[Tensor, "channels modes"]

    def step(
        self, u_t: Float[Tensor, "batch channels"], state: Complex[Tensor, "batch channels modes"]
    ) -> Complex[Tensor, "batch channels modes"]:
        """Return the state after one more step, in the precision of the state; O(modes · rank) a channel."""
        eigenvalues, left, right, B = (value.to(state.dtype) for value in self)
        fed_back = 2 * torch.einsum("hnr,bhn->bhr", right.conj(), state).real
        return eigenvalues * state - torch.einsum("hnr,bhr->bhn", left, fed_back.to(left.dtype)) + B * u_t.unsqueeze(-1)

    def matrices(self) -> tuple[Float[Tensor, "channels n n"], Float[Tensor, "channels n"]]:
        """Return A and B as real matrices, n = 2 modes, on ``(Re x_0, Im x_0, Re x_1, …)``."""
        z = self.eigenvalues
        blocks = torch.stack([torch.stack([z.real, -z.imag], -1), torch.stack([z.imag, z.real], -1)], -2)
        modes = torch.eye(z.shape[-1], dtype=blocks.dtype, device=z.device)
        diagonal = torch.einsum("hnij,nm->hnimj", blocks, modes).flatten(1, 2).flatten(2, 3)
        left, right = (interleaved(value.mT).mT for value in (self.left, self.right))
        return diagonal - 2 * left @ right.mT, interleaved(self.B)


def interleaved(x: Complex[Tensor, "*batch modes"]) -> Float[Tensor, "*batch n"]:
    """Return ``(Re x_0, Im x_0, Re x_1, …)``."""
    return torch.view_as_real(x.resolve_conj()).flatten(-2)


def dplr_bilinear(
    eigenvalues: Complex[Tensor, "channels modes"],
    P: Complex[Tensor, "channels modes rank"],
    B: Complex[Tensor, "channels modes"],
    dt: Float[Tensor, " channels"],
) -> DiscreteDPLR:
    """Sample ``x' = Λ x − P · 2 Re(P* x) + B u`` by the bilinear rule; the result has the same form.

    The modes are one half of conjugate pairs, so ``2 Re(P* x)`` is what both halves feed back. With
    ``D = 1 − dt Λ/2`` and the real rank × rank matrix ``S = 1 + dt Re(P* D⁻¹ P)``, Woodbury's identity gives
    ``λ = 2/D − 1``, ``left = dt D⁻¹ P S⁻¹``, ``right = D⁻* P`` and
    ``B_bar = dt D⁻¹ B − dt/2 · left · 2 Re(right* B)``. Where Re Λ < 0 the real matrix of the result shortens
    every vector, whatever P is.

    Args:
        eigenvalues: Λ, per unit of time.
        P: the low-rank part.
        B: input weights in continuous time.
        dt: step, in the same unit of time; positive.

    Returns:
        The system in discrete time; differentiable.

    Numerics:
        Cancellation loses a factor of about ``dt |P|²``: for HiPPO-LegS, 64 states and dt 0.1, two digits of sixteen.

    Source:
        Gu, Goel, Ré, Efficiently modeling long sequences (2022), appendix C.2.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.complex128)
        >>> sampled = dplr_bilinear(-one, one.unsqueeze(-1), one, torch.tensor([1.0]))
        >>> sampled.matrices()[0].diagonal(dim1=-2, dim2=-1).round(decimals=4)  # of A = [[−3, 0], [0, −1]]
        tensor([[-0.2000,  0.3333]], dtype=torch.float64)
    """
    dt = dt.unsqueeze(-1)
    inverse = 1 / (1 - dt * eigenvalues / 2)
    Q = inverse.unsqueeze(-1) * P
    right = inverse.conj().unsqueeze(-1) * P
    capacitance = dt.unsqueeze(-1) * (P.mH @ Q).real
    capacitance = capacitance + torch.eye(P.shape[-1], dtype=capacitance.dtype, device=P.device)
    left = dt.unsqueeze(-1) * Q @ torch.linalg.inv(capacitance).to(Q.dtype)
    fed_back = (right.mH @ B.unsqueeze(-1)).real.to(B.dtype)
    B_bar = dt * (inverse * B - (left @ fed_back).squeeze(-1))
    return DiscreteDPLR(2 * inverse - 1, left, right, B_bar)
