"""Normal plus low rank: the HiPPO matrices as S4 holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex128, Float64
from torch import Tensor

from ssmemory.errors import reject_unknown
from ssmemory.init.arguments import pair_count
from ssmemory.init.hippo import hippo_legs_matrices
from ssmemory.init.hippo_window import hippo_legt_matrices

NPLR_NAMES = ("hippo_legs", "hippo_legt", "hippo_fout")


@dataclass(frozen=True, eq=False)
class NormalPlusLowRank:
    """``A = V (Λ − P P*) V*`` with V unitary: one half of the conjugate pairs in which everything comes.

    Attributes:
        eigenvalues: (d_state/2,) Λ of the normal part, per unit of time, Im Λ ≥ 0; the other half is conj(Λ).
        P: (d_state/2, rank).
        B: (d_state/2,) V* B, made real and positive by the phases of V, which are free.
        V: (d_state, d_state/2) half of the columns; the others are their conjugates. A state x of A is
            ``2 Re(V z)`` of a state z of this form, and an output ``C x`` is ``2 Re((C V) z)``.
    """

    eigenvalues: Complex128[Tensor, " modes"]
    P: Complex128[Tensor, "modes rank"]
    B: Complex128[Tensor, " modes"]
    V: Complex128[Tensor, "n modes"]

    def matrices(self) -> tuple[Float64[Tensor, "n n"], Float64[Tensor, " n"]]:
        """Return the real A and B that this is a form of."""
        p = 2 * (self.V @ self.P).real
        A = 2 * (self.V * self.eigenvalues @ self.V.mH).real - p @ p.mT
        return A, 2 * (self.V @ self.B).real


def nplr(name: str, d_state: int) -> NormalPlusLowRank:
    """Return a HiPPO matrix as a normal one plus one of low rank.

    LegS: ``A + p pᵀ = −½ + skew`` with p = B/√2. LegT: ``A + e eᵀ + o oᵀ`` is skew with e and o the entries of B of
    even and of odd degree. FouT: ``A + p pᵀ`` is skew with p = B/√2, its eigenvalues those of whole periods, 2πim.

    Args:
        name: "hippo_legs", "hippo_legt" or "hippo_fout".
        d_state: full real state size, even.

    Returns:
        The form; P has 1 column for LegS and FouT, 2 for LegT.

    Raises:
        InputError: another name, or d_state odd or below 2.

    Numerics:
        `NormalPlusLowRank.matrices` is within 1e-14 · d_state of A's largest entry.

    Source:
        Gu, Goel, Ré, Efficiently modeling long sequences (2022), theorem 1; Gu et al., How to train your HiPPO (2023).

    Example:
        >>> form = nplr("hippo_legs", 4)
        >>> form.eigenvalues.numpy().round(3).tolist(), tuple(form.P.shape)
        ([(-0.5+0.557j), (-0.5+4.603j)], (2, 1))
    """
    modes = pair_count(d_state)
    if name == "hippo_fout":
        return _fout(modes)
    if name not in NPLR_NAMES:
        reject_unknown("initialiser", name, NPLR_NAMES)
    if name == "hippo_legs":
        A, B = hippo_legs_matrices(d_state)
        p, real = B.unsqueeze(-1) / math.sqrt(2), -0.5
    else:
        A, B = hippo_legt_matrices(d_state)
        p, real = torch.zeros(d_state, 2, dtype=B.dtype), 0.0
        p[::2, 0], p[1::2, 1] = B[::2], B[1::2]
    normal = A + p @ p.mT
    skew = (normal - normal.mT) / 2
    frequencies, vectors = torch.linalg.eigh(-1j * skew)
    frequencies, V = frequencies[modes:], vectors[:, modes:]  # ascending, so these are the positive ones
    B_half = V.mH @ B.to(V.dtype)
    V = V * torch.sgn(B_half)
    eigenvalues = torch.complex(torch.full_like(frequencies, real), frequencies)
    return NormalPlusLowRank(eigenvalues, V.mH @ p.to(V.dtype), B_half.abs().to(V.dtype), V)


def _fout(modes: int) -> NormalPlusLowRank:
    """Return FouT in closed form: the numerical eigenvectors of its double eigenvalue 0 come in no conjugate pair."""
    periods = torch.arange(modes, dtype=torch.float64)
    b = torch.ones(modes, dtype=torch.complex128)  # V* b
    b[0] = math.sqrt(0.5)
    V = torch.zeros(2 * modes, modes, dtype=torch.complex128)
    columns = torch.arange(modes)
    V.real[2 * columns, columns], V.imag[2 * columns + 1, columns] = math.sqrt(0.5), -math.sqrt(0.5)
    return NormalPlusLowRank(2j * math.pi * periods, math.sqrt(2) * b.unsqueeze(-1), 2 * b, V)
