"""Distances to the unit circle and powers of eigenvalues, without cancellation."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

_SPLIT = 134217729.0  # 2**27 + 1 cuts a float64 significand in two halves (Dekker)


def _square(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x * x`` as an unevaluated sum of two float64 numbers, exact."""
    product = x * x
    carry = _SPLIT * x
    high = carry - (carry - x)
    low = x - high
    return product, ((high * high - product) + 2 * high * low) + low * low


def _difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """``a - b`` as an unevaluated sum of two float64 numbers, exact."""
    total = a - b
    back = total - a
    return total, (a - (total - back)) - (b + back)


def one_minus_abs2(eigenvalues: Complex[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return ``1 − |λ|²`` in compensated (double-double) arithmetic.

    Args:
        eigenvalues: λ, complex128, |Re λ| and |Im λ| below 1e150.

    Returns:
        1 − |λ|², float64; negative outside the unit circle.

    Numerics:
        Relative error a few 1e-16 of the value that belongs to the given floats, also at |λ| = 1 − 1e-15,
        where the plain formula has no correct digit.

    Source:
        Dekker's product and Knuth's sum, Numer. Math. 18 (1971).

    Example:
        >>> float(one_minus_abs2(torch.tensor([0.6 + 0.0j], dtype=torch.complex128)))
        0.64
    """
    real, real_low = _square(eigenvalues.real)
    imag, imag_low = _square(eigenvalues.imag)
    first, first_low = _difference(torch.ones_like(real), real)
    second, second_low = _difference(first, imag)
    return second + (((second_low + first_low) - real_low) - imag_low)


def log_from_eigenvalues(eigenvalues: Complex[Tensor, "*batch n"]) -> Complex[Tensor, "*batch n"]:
    """Return ``log λ`` whose real part keeps full relative precision near the unit circle.

    Args:
        eigenvalues: λ, complex128.

    Returns:
        log λ, complex128; −∞ for λ = 0 (with gradient zero there).
    """
    zero = eigenvalues == 0
    safe = torch.where(zero, torch.full_like(eigenvalues, 0.5), eigenvalues)
    size = safe.abs()
    near = size > 0.5
    margin = torch.where(near, one_minus_abs2(safe), torch.full_like(size, 0.5))
    real = torch.where(near, 0.5 * torch.log1p(-margin), size.log())
    return torch.complex(torch.where(zero, -torch.inf, real), safe.angle() * ~zero)


def power(log_eigenvalues: Complex[Tensor, "*batch n"], exponent: int) -> Complex[Tensor, "*batch n"]:
    """Return ``λ^k = exp(k log λ)`` for an integer k ≥ 0; ``0^0`` is 1, and λ = 0 (log −∞) is allowed.

    Args:
        log_eigenvalues: log λ, complex128.
        exponent: k ≥ 0.

    Returns:
        λ^k, complex128, at a relative error of about k · |log λ| · 1e-16.
    """
    if exponent == 0:
        return torch.ones_like(log_eigenvalues)
    zero = torch.isneginf(log_eigenvalues.real)
    safe = torch.where(zero, torch.zeros_like(log_eigenvalues), log_eigenvalues)
    return torch.where(zero, torch.zeros_like(safe), torch.exp(exponent * safe))
