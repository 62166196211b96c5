"""Memory of several inputs that are each correlated in time, by polynomials of the input-normal form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.circle import InputCircle, _read_autocovariance
from ssmemory.memory.function import read_lags
from ssmemory.memory.horizon import LARGEST_CONDITION
from ssmemory.systems import LinearSystem, input_normal_form


def correlated_channels(
    system: LinearSystem, input_autocovariance: Any, lags: int | Sequence[int] | Tensor
) -> Float64[Tensor, "*batch n_lags inputs"]:
    """Return `correlated_memory` for every input of a system: independent inputs, of one autocovariance each.

    In the input-normal form ``P = I``, so that the state's covariance is a polynomial in A, whatever the inputs are::

        Σ   = r(0) I + F + F*,                                     F = Σ_{j≥1} r(j) A^j
        c_τ = A^τ (r(0) I + F) b_i + Σ_{j=1}^{τ} r(j) A^{τ−j} b_i,   MF_i(τ) = c_τ* Σ⁻¹ c_τ / r(0)

    Nothing is cut off: exact for a system that has run for ever, however slowly it forgets. White input gives the
    values of `memory_function` back.

    Args:
        system: a stable system, batched or not, of one input or several.
        input_autocovariance: r(0), r(1), … of each input, real, r(0) > 0, zero beyond what is given.
        lags: n for lags 0 … n−1, or a sequence of lags.

    Returns:
        (*batch, n_lags, inputs) MF in [0, 1], float64, without gradients.

    Raises:
        InputError: no lags, an autocovariance that is not real or not positive definite, or an input so narrow in
            frequency that Σ has a condition number above 1e9.
        UnstableError: an eigenvalue on or outside the unit circle.

    Numerics:
        Absolute error about 1e-16 times the condition number of Σ, which is at most max/min of the spectral density.
        Time O(N³ √J) for J lags of autocovariance, and O(N² T) an input for the largest lag T; memory O(N T) an input.

    Example:
        >>> r = 0.9 ** torch.arange(400, dtype=torch.float64)
        >>> values = correlated_channels(LinearSystem.from_eigenvalues([0.5]), r, 3)
        >>> values.squeeze(-1).numpy().round(4).tolist()
        [0.9404, 0.9311, 0.8363]
    """
    wanted, _ = read_lags(lags)
    r = _read_autocovariance(input_autocovariance)
    InputCircle(r, len(r))  # refuses what is no autocovariance
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    with torch.no_grad():
        spectrum = system.spectrum()
        form = input_normal_form(spectrum)
        n, m = form.B.shape[-2:]
        parts = zip(form.A.reshape(-1, n, n), form.B.reshape(-1, n, m), spectrum.counted.reshape(-1, n), strict=True)
        values = [_one(A[counted][:, counted], B[counted], r, wanted) for A, B, counted in parts]
    return torch.stack(values).reshape(*system.batch_shape, len(wanted), m)


def _one(A: Tensor, B: Tensor, r: Tensor, lags: Tensor) -> Float64[Tensor, "n_lags inputs"]:
    """Return MF of one system in input-normal form."""
    eye = torch.eye(len(A), dtype=A.dtype)
    F = _polynomial(A, torch.cat([r.new_zeros(1), r[1:]]))
    covariance = r[0] * eye + F + F.mH
    strengths = torch.linalg.eigvalsh(covariance)
    if len(strengths) and not float(strengths[-1]) < LARGEST_CONDITION * float(strengths[0]):
        fix = "add to r(0) the noise that the input has, or use fewer modes"
        expected = f"a state covariance of a condition number below {LARGEST_CONDITION:.0e}"
        got = f"{float(strengths[-1] / strengths[0].clamp(min=1e-300)):.1e}"
        reject("input_autocovariance", expected=expected, got=got, fix=fix)
    length = int(lags.max()) + 1
    kernels = _powers(A, torch.cat([B, r[0] * B + F @ B], -1), length)  # (n, length, 2 inputs)
    plain, ahead = kernels.chunk(2, -1)
    size = 1 << (2 * length).bit_length()
    turned = torch.fft.fft(torch.nn.functional.pad(r[1:length], (1, 0)), n=size)[:, None]
    crossed = ahead + torch.fft.ifft(torch.fft.fft(plain, n=size, dim=1) * turned, dim=1)[:, :length]
    seen = torch.linalg.solve_triangular(
        torch.linalg.cholesky(covariance), crossed[:, lags].reshape(len(A), -1), upper=False
    )
    return torch.view_as_real(seen).square().sum((0, -1)).reshape(len(lags), -1) / r[0]


def _polynomial(A: Tensor, coefficients: Tensor) -> Complex[Tensor, "n n"]:
    """Return ``Σ_j r_j A^j`` with about 2 √J products of matrices (Paterson and Stockmeyer)."""
    width = max(1, math.isqrt(len(coefficients)))
    powers = [torch.eye(len(A), dtype=A.dtype)]
    for _ in range(width - 1):
        powers.append(powers[-1] @ A)
    stacked, step = torch.stack(powers), powers[-1] @ A
    result = torch.zeros_like(A)
    for block in reversed(coefficients.split(width)):
        result = step @ result + torch.einsum("j,jnm->nm", block.to(A.dtype), stacked[: len(block)])
    return result


def _powers(A: Tensor, B: Tensor, length: int) -> Complex[Tensor, "n length inputs"]:
    """Return ``A^τ B`` for τ < length, twice as many each time."""
    columns, square = B.unsqueeze(1), A
    while columns.shape[1] < length:
        columns = torch.cat([columns, torch.einsum("nm,mtk->ntk", square, columns)], 1)
        square = square @ square
    return columns[:, :length]
