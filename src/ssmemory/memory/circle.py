"""Correlated input over a window: its autocovariance laid on a circle, where it is diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.powers import first_below
from ssmemory.systems import LinearSystem, input_normal_form

LONGEST = 2**18  # lags that are written out, at most
_FORGOTTEN = 1e-32  # energy of a response that is left out
_NEGATIVE = 1e-10  # of the largest spectral density: what rounding may make of zero


class InputCircle:
    """The Toeplitz form of an autocovariance as a circulant one, exact for kernels of up to ``horizon`` lags.

    Multiplying the transforms of two kernels, padded to ``size``, by ``root`` makes their inner product
    ``Σ_στ α_σ r(σ−τ) β‾_τ``.

    Args:
        autocovariance: r(0), r(1), … of the input, zero beyond.
        horizon: steps of the window.

    Raises:
        InputError: not real finite numbers with r(0) > 0, or not the autocovariance of anything.
    """

    def __init__(self, autocovariance: Any, horizon: int) -> None:
        r = _read_autocovariance(autocovariance)
        half = 1 << (max(horizon, len(r)) - 1).bit_length()
        row = torch.zeros(2 * half, dtype=torch.float64)
        row[: len(r)] = r
        row[2 * half - len(r) + 1 :] = r[1:].flip(0)
        density = torch.fft.fft(row).real
        if float(density.min()) < -_NEGATIVE * float(density.max()):
            got = f"a spectral density down to {float(density.min() / density.max()):.1e} of its largest value"
            fix = "carry it on until it has died away, or use a biased sample autocovariance"
            reject("input_autocovariance", expected="one that is positive definite", got=got, fix=fix)
        self.size, self.variance, self.root = 2 * half, float(r[0]), density.clamp(min=0).sqrt()

    def rows(self, kernels: Tensor) -> Tensor:
        """Return kernels (…, lags ≤ horizon) as vectors whose plain inner product is the weighted one."""
        return torch.fft.fft(kernels.to(torch.complex128), n=self.size) * self.root / self.size**0.5


def long_enough(system: LinearSystem, n_lags: int) -> int:
    """Return a horizon that holds all lags, and beyond which no response is left."""
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    spectrum = system.spectrum()
    spectrum.require_stable()
    form = input_normal_form(spectrum)
    eye = torch.eye(form.A.shape[-1], dtype=torch.complex128) * spectrum.counted.unsqueeze(-1)
    forgotten = first_below(form, eye, torch.full(spectrum.rank.shape, _FORGOTTEN, dtype=torch.float64))
    needed = max(n_lags, int(forgotten.max()), 1)
    if needed > LONGEST:
        fix = "give horizon=, the length of your sequences"
        reject("system", expected="one that forgets within 2**18 steps, as correlated input needs", got=needed, fix=fix)
    return needed


def _read_autocovariance(given: Any) -> Float64[Tensor, " lags"]:
    fix = "give r(0), r(1), … of a stationary input, such as rho**tau"
    shown = " ".join(repr(given).split())[:60]
    try:
        r = given.detach().cpu() if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
    except (TypeError, ValueError):
        reject("input_autocovariance", expected="real numbers", got=shown, fix=fix)
    if r.is_complex():
        reject("input_autocovariance", expected="real numbers", got="complex ones", fix=fix)
    r = r.to(torch.float64)
    if r.ndim != 1 or len(r) == 0:
        reject("input_autocovariance", expected="one vector, a number a lag", got=f"shape {tuple(r.shape)}", fix=fix)
    if not bool(torch.isfinite(r).all()):
        got = f"{int((~torch.isfinite(r)).sum())} NaN or infinite"
        reject("input_autocovariance", expected="finite numbers", got=got, fix=fix)
    if not float(r[0]) > 0:
        reject("input_autocovariance", expected="r(0) > 0", got=f"{float(r[0]):g}", fix=fix)
    if len(r) > LONGEST:
        fix = "cut it where it has died away"
        reject("input_autocovariance", expected=f"at most {LONGEST} lags", got=len(r), fix=fix)
    return r
