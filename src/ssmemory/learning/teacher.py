"""What is to be learned, the input it is learned from, and how far back both are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.systems import LinearSystem


def read_teacher(teacher: Any, horizon: int | None) -> Tensor:
    """Return the teacher's kernel ``α*[τ]`` as a vector in double precision.

    Args:
        teacher: (T,) real or complex numbers, entry τ the weight of the input of τ steps ago.
        horizon: the longest kernel allowed, if any.

    Returns:
        (T,) float64 or complex128.

    Raises:
        InputError: not one vector of finite numbers, all zero, or longer than the horizon.
    """
    fix = "give one weight a lag, lag 0 first"
    try:
        kernel = torch.as_tensor(np.asarray(teacher.detach().cpu() if isinstance(teacher, Tensor) else teacher))
    except (TypeError, ValueError):
        reject("teacher", expected="numbers", got=" ".join(repr(teacher).split())[:60], fix=fix)
    kernel = kernel.to(torch.complex128 if kernel.is_complex() else torch.float64)
    if kernel.ndim != 1 or len(kernel) == 0:
        reject("teacher", expected="one vector, a weight a lag", got=f"shape {tuple(kernel.shape)}", fix=fix)
    if not bool(torch.isfinite(kernel).all()):
        reject(
            "teacher", expected="finite weights", got=f"{int((~torch.isfinite(kernel)).sum())} NaN or infinite", fix=fix
        )
    if not bool(kernel.any()):
        reject("teacher", expected="a weight that is not zero", got="zeros only", fix="there is nothing to learn")
    if horizon is not None and len(kernel) > horizon:
        fix = "cut the teacher to the horizon, or lengthen that"
        reject("teacher", expected=f"at most horizon = {horizon} lags", got=len(kernel), fix=fix)
    return kernel


def one_input_system(system: Any, *, batched: bool = False) -> LinearSystem:
    """Return the system, refusing what has not one input, or a batch where one system is wanted."""
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    if system.n_inputs != 1:
        reject("system", expected="one input channel", got=system.n_inputs, fix="take one input at a time")
    if system.batch_shape and not batched:
        fix = "take one system of the batch"
        reject("system", expected="one system", got=f"a batch {tuple(system.batch_shape)}", fix=fix)
    return system


class InputSpectrum:
    """The power of the input over a window, on the circle that the window is laid on.

    Multiplying the transforms of two kernels, padded to ``size``, by ``root`` makes their inner product
    ``Σ_στ α_σ r(σ−τ) β‾_τ``: a Toeplitz form as a circulant one, exact for windows up to the horizon.

    Args:
        autocovariance: r(0), r(1), …, zero beyond; None for white input of unit variance.
        horizon: steps of the window.

    Raises:
        InputError: not real numbers with r(0) > 0, or not the autocovariance of anything.
    """

    def __init__(self, autocovariance: Any, horizon: int) -> None:
        r = torch.as_tensor(np.asarray(autocovariance, dtype=float))
        fix = "give r(0), r(1), … of a stationary input, such as rho**tau"
        if r.ndim != 1 or len(r) == 0 or not bool(torch.isfinite(r).all()) or not float(r[0]) > 0:
            reject("input_autocovariance", expected="real numbers with r(0) > 0", got=str(r.tolist())[:60], fix=fix)
        half = 1 << (max(horizon, len(r)) - 1).bit_length()
        row = torch.zeros(2 * half, dtype=torch.float64)
        row[: len(r)] = r
        row[2 * half - len(r) + 1 :] = r[1:].flip(0)
        power = torch.fft.fft(row).real
        if float(power.min()) < -1e-6 * float(power.max()):
            got = f"a spectral density down to {float(power.min() / power.max()):.1e} of its largest value"
            reject("input_autocovariance", expected="one that is positive definite", got=got, fix=fix)
        self.size, self.root = 2 * half, power.clamp(min=0).sqrt()

    def rows(self, kernels: Tensor) -> Tensor:
        """Return kernels (…, lags ≤ horizon) as vectors whose plain inner product is the weighted one."""
        return torch.fft.fft(kernels.to(torch.complex128), n=self.size) * self.root / self.size**0.5


def energy(kernel: Tensor, spectrum: InputSpectrum | None) -> Float64[Tensor, ""]:
    """Return E|y|² of a kernel: ``‖α‖²`` for white input."""
    row = kernel if spectrum is None else spectrum.rows(kernel)
    return row.abs().square().sum()
