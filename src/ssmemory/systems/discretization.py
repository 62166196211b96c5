"""From continuous time to steps: zero-order hold and bilinear, on eigenvalues and on dense matrices."""

from __future__ import annotations

from typing import Literal, get_args

import scipy.linalg
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ssmemory.errors import reject, reject_unknown

Discretization = Literal["zoh", "bilinear"]


def check_discretization(name: str) -> None:
    """Raise `InputError` unless ``name`` is "zoh" or "bilinear"."""
    if name not in get_args(Discretization):
        reject_unknown("discretization", name, get_args(Discretization))


def discretize_diagonal(
    A: Complex[Tensor, "*batch n"], dt: Float[Tensor, "*batch 1"], discretization: str = "zoh"
) -> tuple[Complex[Tensor, "*batch n"], Complex[Tensor, "*batch n"]]:
    """Return ``log λ`` and the factor that turns B into ``B_bar``, for ``x' = A x + B u`` with diagonal A.

    Zero-order hold: ``λ = exp(dt A)``, ``B_bar = (λ − 1)/A · B``. Bilinear (Tustin), with z = dt A:
    ``λ = (1 + z/2)/(1 − z/2)``, ``B_bar = dt/(1 − z/2) · B``.

    Args:
        A: continuous eigenvalues, per unit of time.
        dt: step, in the same unit of time; positive.
        discretization: "zoh" or "bilinear".

    Returns:
        log λ (its real part accurate near the unit circle) and B_bar / B.

    Raises:
        InputError: another name.

    Numerics:
        Nothing cancels at small dt·A: ``expm1`` for the hold, ``log1p`` for the bilinear modulus.

    Source:
        Gu, Goel, Ré, Efficiently modeling long sequences (2022), section 2; Smith, Warrington, Linderman (2023).

    Example:
        >>> a = torch.tensor([-1.0 + 0j], dtype=torch.complex128)
        >>> discretize_diagonal(a, torch.tensor([0.1], dtype=torch.float64))[0].exp().real
        tensor([0.9048], dtype=torch.float64)
    """
    check_discretization(discretization)
    z = dt * A
    if discretization == "zoh":
        small = A == 0
        safe = torch.where(small, torch.ones_like(A), A)
        hold = torch.where(small, dt.to(A.dtype).expand_as(z), torch.expm1(dt * safe) / safe)
        return z, hold
    above, below = 1 + z / 2, 1 - z / 2
    margin = -2 * z.real / (below.real.square() + below.imag.square())
    near, zero = margin < 0.5, above == 0  # near 0 it is 1 − margin that would cancel
    quotient = torch.where(zero, torch.ones_like(above), above).abs() / below.abs()
    real = torch.where(near, 0.5 * torch.log1p(-torch.where(near, margin, 0.0)), quotient.log())
    angle = torch.angle(above) - torch.angle(below)
    return torch.complex(torch.where(zero, -torch.inf, real), angle), dt / below


def discretize_dense(
    A: Float[Tensor, "*batch n n"], B: Float[Tensor, "*batch n m"], dt: Float[Tensor, "*batch 1 1"], discretization: str
) -> tuple[Float[Tensor, "*batch n n"], Float[Tensor, "*batch n m"]]:
    """Return ``A_bar`` and ``B_bar`` of ``x' = A x + B u`` for dense A.

    Zero-order hold by one exponential of ``dt [[A, B], [0, 0]]``, bilinear by one solve with ``I − dt A/2``.
    An exactly triangular A gives an exactly triangular A_bar.

    Args:
        A: continuous state matrix, per unit of time.
        B: input matrix.
        dt: step, in the same unit of time; positive.
        discretization: "zoh" or "bilinear".

    Returns:
        A_bar and B_bar.

    Raises:
        InputError: another name, or gradients wanted through a dense zero-order hold.

    Source:
        Van Loan, IEEE TAC 23 (1978), for the block exponential.
    """
    check_discretization(discretization)
    n, m = B.shape[-2:]
    dtype = torch.promote_types(A.dtype, B.dtype)
    A, B = A.to(dtype), B.to(dtype)
    if discretization == "bilinear":
        eye = torch.eye(n, dtype=A.dtype)
        below = eye - dt / 2 * A
        both = torch.linalg.solve(below, torch.cat([eye + dt / 2 * A, dt * B], dim=-1))
        A_bar, B_bar = both[..., :n], both[..., n:]
    else:
        if torch.is_grad_enabled() and any(x.requires_grad for x in (A, B, dt)):
            fix = "use bilinear, or a diagonal system"
            reject("discretization", expected="no gradients through a dense zero-order hold", got="zoh", fix=fix)
        block = torch.zeros(*torch.broadcast_shapes(A.shape[:-2], B.shape[:-2], dt.shape[:-2]), n + m, n + m)
        block = block.to(A.dtype)
        block[..., :n, :n] = dt * A
        block[..., :n, n:] = dt * B
        exponential = torch.from_numpy(scipy.linalg.expm(block.numpy()))  # torch's own is off by 2e-11 at small norms
        A_bar, B_bar = exponential[..., :n, :n], exponential[..., :n, n:]
    if bool((A.triu(1) == 0).all()):
        A_bar = A_bar.tril()
    elif bool((A.tril(-1) == 0).all()):
        A_bar = A_bar.triu()
    return A_bar, B_bar
