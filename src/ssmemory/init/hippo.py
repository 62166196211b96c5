"""HiPPO: state matrices that project the past onto orthogonal polynomials, as S4 uses them."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.init.arguments import state_size
from ssmemory.systems import Discretization, LinearSystem


def hippo_legs_matrices(d_state: int) -> tuple[Float64[Tensor, "n n"], Float64[Tensor, " n"]]:
    """Return HiPPO-LegS's continuous A and B: ``x' = A x + B u``, time-invariant as in S4.

    ``A[n,k] = −sqrt((2n+1)(2k+1))`` for n > k, ``−(n+1)`` on the diagonal, 0 above; ``B[n] = sqrt(2n+1)``. The
    response of state n to an impulse is ``(e^{tA} B)[n] = sqrt(2n+1) e^{−t} P_n(2e^{−t} − 1)``, P_n Legendre's.

    Args:
        d_state: number of polynomials, at least 1.

    Returns:
        A and B, per unit of time. S4's rank-one correction is ``p = B/√2``: ``A + p pᵀ = −½ I + skew``.

    Raises:
        InputError: d_state below 1.

    Source:
        Gu, Dao, Ermon, Rudra, Ré, HiPPO (2020), theorem 2; Gu, Goel, Ré, Efficiently modeling long sequences
        (2022), eq. 2.

    Example:
        >>> A, B = hippo_legs_matrices(2)
        >>> A.numpy().round(4).tolist(), B.numpy().round(4).tolist()
        ([[-1.0, 0.0], [-1.7321, -2.0]], [1.0, 1.7321])
    """
    n = torch.arange(state_size(d_state), dtype=torch.float64)
    B = (2 * n + 1).sqrt()
    return torch.outer(-B, B).tril(-1) - torch.diag(n + 1), B


def hippo_legs(d_state: int, dt: float | Tensor, *, discretization: Discretization = "bilinear") -> LinearSystem:
    """Return HiPPO-LegS, the dense system that S4 starts from; its eigenvalues are those of −1 … −d_state.

    Triangular, so its memory function is exactly that of `s4d_real`; not that of `s4d_legs` or `s4d_inv`, which
    keep only the eigenvalues of a normal part of A: MF differs by up to 0.63 (d_state 8, bilinear, dt 0.1).

    Args:
        d_state: real state size, at least 1.
        dt: step, positive, in units in which the slowest decay time is 1: a number, or (*batch,) for a batch.
        discretization: "bilinear" (S4's choice) or "zoh".

    Returns:
        The dense system, exactly triangular, batch shape that of ``dt``; A and B from `hippo_legs_matrices`.

    Raises:
        InputError: d_state below 1, dt not positive, an unknown discretization.

    Source:
        Gu, Goel, Ré (2022), eq. 2 and 3.

    Example:
        >>> hippo_legs(3, dt=0.1).eigenvalues.real.numpy().round(4).tolist()
        [0.9048, 0.8182, 0.7391]
    """
    A, B = hippo_legs_matrices(d_state)
    return LinearSystem.from_continuous_matrices(A, B, dt=dt, discretization=discretization)
