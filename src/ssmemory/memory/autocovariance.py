"""The autocovariance of an input, from data or from a model of it: what memory of correlated input asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.signal
import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject

_LONGEST = 2**20  # lags of an autoregression that forgets slowly
_GONE = 1e-17


def autoregressive_autocovariance(coefficients: Sequence[float]) -> Float64[Tensor, " lags"]:
    """Return the autocorrelation r(0) = 1, r(1), … of ``u[t] = Σ_k φ_k u[t−k] + e[t]``, e white, until it dies away.

    The Yule–Walker equations ``r(k) = Σ_j φ_j r(|k−j|)``, k ≥ 1, solved for the first lags and carried on.

    Args:
        coefficients: φ_1 … φ_p, of a stationary process: all roots of ``z^p − Σ φ_k z^(p−k)`` inside the unit circle.

    Returns:
        (lags,) float64, down to about 1e-17.

    Raises:
        InputError: no or infinite coefficients, a process that is not stationary, or one that takes more than 2**20
            lags to forget.

    Numerics:
        A dense solve of size p + 1; relative error about 1e-16 over the distance of the roots from the circle.

    Example:
        >>> autoregressive_autocovariance([0.5])[:4].numpy().round(12).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """
    phi = np.asarray(coefficients, dtype=np.float64)
    if phi.ndim != 1 or not len(phi) or not np.isfinite(phi).all():
        reject("coefficients", expected="one or more finite numbers", got=str(coefficients)[:60], fix="give φ_1 … φ_p")
    largest = float(np.abs(np.roots([1.0, *-phi])).max(initial=0.0))
    if largest >= 1:
        got, fix = f"a root of modulus {largest:.6g}", "its variance grows without end: difference the series first"
        reject("coefficients", expected="a stationary process", got=got, fix=fix)
    p = len(phi)
    length = p + 1 + (0 if largest == 0 else p * math.ceil(math.log(_GONE) / math.log(largest)))
    if length > _LONGEST:
        fix = "shrink the coefficients a little, or give r itself"
        reject("coefficients", expected=f"a memory of at most {_LONGEST} lags", got=length, fix=fix)
    # Row k: r(k) − Σ_j φ_j r(|k−j|) = 1 for k = 0, else 0.
    equations = np.eye(p + 1)
    for k in range(p + 1):
        for j in range(1, p + 1):
            equations[k, abs(k - j)] -= phi[j - 1]
    first = scipy.linalg.solve(equations, np.eye(p + 1)[0])
    first = first / first[0]
    denominator = np.array([1.0, *-phi])
    start = scipy.signal.lfiltic([1.0], denominator, first[:0:-1])
    later = scipy.signal.lfilter([1.0], denominator, np.zeros(length - p - 1), zi=start)[0]
    return torch.from_numpy(np.concatenate([first, later]))


def sample_autocovariance(x: Any, length: int) -> Float64[Tensor, " lags"]:
    """Return the autocorrelation r(0) = 1, r(1), … of data that counts as positive definite whatever the data are.

    The biased estimate ``Σ_t x(t) x(t−τ) / Σ x²`` about the mean, gaps counted as the mean, means over channels and
    sequences; where there are more steps than ``length``, times ``1 − τ/length``. Both keep it positive definite, at
    the price of a little too little correlation at the largest lags; `init.autocorrelation` is the unbiased one.

    Args:
        x: (steps, channels), or (sequences, steps, channels); NaN is a gap.
        length: how many lags at most, at least 1.

    Returns:
        (lags,) float64, as many as ``length`` or the steps.

    Raises:
        InputError: another shape, no lags, or data that do not vary.

    Example:
        >>> sample_autocovariance([[1.0], [-1.0], [1.0], [-1.0]], 4).numpy().round(12).tolist()
        [1.0, -0.75, 0.5, -0.25]
    """
    values = torch.as_tensor(x, dtype=torch.float64)
    if values.ndim not in (2, 3) or length < 1:
        expected = "shape (steps, channels) or (sequences, steps, channels), and a lag"
        reject("x", expected=expected, got=f"{tuple(values.shape)}, {length} lags", fix="put steps before channels")
    values = values if values.ndim == 3 else values.unsqueeze(0)
    values = (values - values.nanmean((0, 1))).nan_to_num(0.0).transpose(1, 2)
    steps = values.shape[-1]
    power = torch.fft.rfft(values, n=2 * steps).abs().square().sum(0)  # of every channel
    r = torch.fft.irfft(power, n=2 * steps)[:, : min(length, steps)]
    if not bool((r[:, 0] > 0).all()):
        reject("x", expected="channels that vary", got="a constant", fix="leave that channel out")
    r = (r / r[:, :1]).mean(0)
    return r if steps <= length else r * (1 - torch.arange(length, dtype=torch.float64) / length)
