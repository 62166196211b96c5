"""HiPPO with a sliding window: the last unit of time held in Legendre polynomials (LegT) or Fourier modes (FouT)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.init.arguments import pair_count, state_size
from ssmemory.systems import Discretization, LinearSystem


def hippo_legt_matrices(d_state: int) -> tuple[Float64[Tensor, "n n"], Float64[Tensor, " n"]]:
    """Return HiPPO-LegT's continuous A and B, ``x' = A x + B u``, for a window of length 1.

    ``A[n,k] = −sqrt((2n+1)(2k+1)) s`` with s = 1 for k ≤ n and (−1)^(n−k) above; ``B[n] = sqrt(2n+1)``. State n
    follows ``∫_0^1 u(t−τ) p_n(τ) dτ`` with the orthonormal ``p_n(τ) = sqrt(2n+1) P_n(1−2τ)``, P_n Legendre's, where
    u(t−1), which leaves the window, is replaced by what the states make of it, ``Σ_n x_n p_n(1)``.

    Args:
        d_state: number of polynomials, at least 1.

    Returns:
        A and B, per window. The input delayed by 1, read off as ``Σ_n (−1)^n sqrt(2n+1) x_n``, has the Padé
        approximant of ``e^{−s}`` of degrees d_state − 1 over d_state as its transfer function.

    Raises:
        InputError: d_state below 1.

    Source:
        Gu, Dao, Ermon, Rudra, Ré, HiPPO (2020), theorem 1, in the orthonormal basis; Voelker, Kajić, Eliasmith,
        Legendre memory units (2019), for the Padé approximant.

    Example:
        >>> A, B = hippo_legt_matrices(2)
        >>> A.numpy().round(4).tolist(), B.numpy().round(4).tolist()
        ([[-1.0, 1.7321], [-1.7321, -3.0]], [1.0, 1.7321])
    """
    n = torch.arange(state_size(d_state))
    B = (2 * n + 1).double().sqrt()
    alternating = 1 - 2 * ((n.unsqueeze(-1) - n) % 2)
    return -torch.outer(B, B) * torch.where(n <= n.unsqueeze(-1), 1, alternating), B


def hippo_legt(d_state: int, dt: float | Tensor, *, discretization: Discretization = "bilinear") -> LinearSystem:
    """Return HiPPO-LegT, the dense system of a sliding window in Legendre polynomials: the LMU's.

    Args:
        d_state: real state size, at least 1.
        dt: step, positive, in units of the window, which so is 1/dt steps long: a number, or (*batch,) for a batch.
        discretization: "bilinear" (S4's choice) or "zoh".

    Returns:
        The dense system, batch shape that of ``dt``; A and B from `hippo_legt_matrices`.

    Raises:
        InputError: d_state below 1, dt not positive, an unknown discretization.

    Source:
        Gu et al., HiPPO (2020), theorem 1.

    Example:
        >>> hippo_legt(4, dt=0.01).eigenvalues.abs().sort().values.numpy().round(4).tolist()
        [0.9532, 0.9532, 0.9684, 0.9684]
    """
    A, B = hippo_legt_matrices(d_state)
    return LinearSystem.from_continuous_matrices(A, B, dt=dt, discretization=discretization)


def hippo_fout_matrices(d_state: int) -> tuple[Float64[Tensor, "n n"], Float64[Tensor, " n"]]:
    """Return HiPPO-FouT's continuous A and B, ``x' = A x + B u``, for a window of length 1.

    State n follows ``∫_0^1 u(t−τ) p_n(τ) dτ``, p the orthonormal ``1, 0, √2 cos 2πτ, √2 sin 2πτ, √2 cos 4πτ, …``.
    By parts, its derivative is ``p_n(0) u(t) − p_n(1) u(t−1) + ∫ u(t−τ) p_n'(τ) dτ``. Here ``p_n(0) = p_n(1) = b_n``,
    and p' stays in the basis: D, with a block ``[[0, −2πm], [2πm, 0]]`` on the cosine and sine of m periods. At the
    window's end, where the periodic sum jumps, it is ``Σ_n b_n x_n ≈ (u(t) + u(t−1))/2``. Put in for u(t−1), this gives

        A = D − 2 b bᵀ,    B = 2 b,    b = (1, 0, √2, 0, √2, 0, …).

    Args:
        d_state: real state size, even: cosine and sine of 0, 1, …, d_state/2 − 1 periods a window. The sine of
            0 periods is 0: state 1 is never reached, and the rank is d_state − 1.

    Returns:
        A and B, per window. For an input of whole periods a window, fewer than d_state/2, the steady states are
        exactly the integrals above.

    Raises:
        InputError: d_state odd or below 2.

    Source:
        Gu, Johnson, Timalsina, Rudra, Ré, How to train your HiPPO (2023), section 4; derived anew.

    Example:
        >>> A, B = hippo_fout_matrices(4)
        >>> A.numpy().round(2).tolist()[2:], B.numpy().round(2).tolist()
        ([[-2.83, 0.0, -4.0, -6.28], [0.0, 0.0, 6.28, 0.0]], [2.0, 0.0, 2.83, 0.0])
    """
    periods = torch.arange(pair_count(d_state), dtype=torch.float64)
    b = torch.zeros(d_state, dtype=torch.float64)
    b[::2] = math.sqrt(2)
    b[0] = 1
    D = torch.zeros(d_state, d_state, dtype=torch.float64)
    cosine = 2 * torch.arange(len(periods))
    D[cosine, cosine + 1], D[cosine + 1, cosine] = -2 * math.pi * periods, 2 * math.pi * periods
    return D - 2 * torch.outer(b, b), 2 * b


def hippo_fout(d_state: int, dt: float | Tensor, *, discretization: Discretization = "bilinear") -> LinearSystem:
    """Return HiPPO-FouT, the dense system of a sliding window in Fourier modes; its rank is d_state − 1.

    Args:
        d_state: real state size, even; one of the states is never reached, see `hippo_fout_matrices`.
        dt: step, positive, in units of the window, which so is 1/dt steps long: a number, or (*batch,) for a batch.
        discretization: "bilinear" (S4's choice) or "zoh".

    Returns:
        The dense system, batch shape that of ``dt``; A and B from `hippo_fout_matrices`. Its one eigenvalue 1
        belongs to the state that is never reached; all others lie inside the unit circle.

    Raises:
        InputError: d_state odd or below 2, dt not positive, an unknown discretization.

    Source:
        Gu et al., How to train your HiPPO (2023), section 4.

    Example:
        >>> system = hippo_fout(8, dt=0.01)
        >>> system.d_state, int(system.rank)
        (8, 7)
    """
    A, B = hippo_fout_matrices(d_state)
    return LinearSystem.from_continuous_matrices(A, B, dt=dt, discretization=discretization)
