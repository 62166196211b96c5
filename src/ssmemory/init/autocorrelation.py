"""What the data say: their autocorrelation, and the largest eigenvalue of it over a window, with no L × L matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor

from ssmemory.errors import reject

Array = ndarray[Any, Any]
_SEGMENTS = 4  # of a single long series, whose autocorrelations are compared


@dataclass(frozen=True, eq=False)
class Autocorrelation:
    """Second moments of a data set over windows of ``length`` steps; made by `autocorrelation`.

    Attributes:
        values: (length,) mean over the channels of r(τ) = E[x(t) x(t−τ)] / E[x²], r(0) = 1.
        length: L, steps of a window.
        lambda_max: largest eigenvalue of R = E[x xᵀ] with unit diagonal: 1 for white data, L for constant ones.
        lambda_range: smallest and largest ``lambda_max`` over channels and, of one long series, over its quarters.
        n_values: numbers it was estimated from.
        n_missing: numbers that were missing and left out.
        trend: share of the variance that a straight line takes, the largest over the channels; it is left in.
    """

    values: Float64[Tensor, " length"]
    length: int
    lambda_max: float
    lambda_range: tuple[float, float]
    n_values: int
    n_missing: int
    trend: float

    @property
    def correlation_length(self) -> int:
        """Steps until the autocorrelation first falls below 1/e; the window's length if it never does."""
        below = torch.nonzero(self.values < 1 / np.e)
        return int(below[0]) if len(below) else self.length

    def density(self) -> Float64[Tensor, " half"]:
        """Return the data's power at the frequencies πk/L, k = 0 … L, tapered so that it is not negative.

        Returns:
            (L + 1,) the transform of ``r(τ) (1 − τ/L)``.
        """
        taper = 1 - torch.arange(self.length, dtype=torch.float64) / self.length
        r = self.values * taper
        circle = torch.cat([r, r.new_zeros(1), r[1:].flip(0)])
        return torch.fft.rfft(circle).real.clamp(min=0)


def autocorrelation(
    x: Any, *, length: int | None = None, center: bool = True, detrend: bool = False
) -> Autocorrelation:
    """Estimate the autocorrelation of data over a window, and its largest eigenvalue.

    ``r(τ) = Σ x(t) x(t−τ) / Σ 1`` over the pairs of which both are there (unbiased, so that few or gappy data may give
    one that is not quite positive definite); every channel by itself, and then the mean. ``lambda_max`` by Lanczos
    iterations, each a Toeplitz product by fast Fourier transforms.

    Args:
        x: (steps,), (steps, channels), (sequences, steps, channels), or a list of arrays of unequal lengths, (steps,)
            or (steps, channels). NaN is a gap.
        length: L, steps of the window a model will see, at most the longest sequence; that if left out.
        center: subtract every channel's mean first.
        detrend: subtract every channel's straight line, of every sequence, first.

    Returns:
        The estimate.

    Raises:
        InputError: no numbers, one step, text, infinite numbers, a channel that is constant or empty, or a window
            longer than the data.

    Numerics:
        O(steps log steps) a channel, and about 30 products of O(L log L). λ_max to 1e-6 of its value.

    Source:
        arXiv 2411.19455 for R and its role.

    Example:
        >>> found = autocorrelation(np.random.default_rng(0).standard_normal(100_000), length=100)
        >>> 1 < found.lambda_max < 1.1, found.correlation_length
        (True, 1)
    """
    sequences = read_sequences(x)
    longest = max(len(sequence) for sequence in sequences)
    length = longest if length is None else length
    if not 2 <= length <= longest:
        fix = "use a shorter window, or more data"
        reject("length", expected=f"2 … {longest}, the longest sequence", got=length, fix=fix)
    missing = sum(int(np.isnan(sequence).sum()) for sequence in sequences)
    trend = max(_trend(sequence) for sequence in sequences)
    if detrend:
        sequences = [_detrended(sequence) for sequence in sequences]
    if center:
        total = np.concatenate(sequences)
        mean = np.nanmean(total, 0)
        sequences = [sequence - mean for sequence in sequences]
    channels = _by_channel(sequences, length)
    values = channels.mean(0)
    each = [largest_eigenvalue(row) for row in channels[: min(len(channels), 16)]]
    if len(sequences) == 1 and longest >= 2 * _SEGMENTS * length:
        for part in np.array_split(sequences[0], _SEGMENTS):
            try:
                each.append(largest_eigenvalue(_by_channel([part], length).mean(0)))
            except ValueError:  # nothing happens in this quarter
                continue
    overall = largest_eigenvalue(values)
    each.append(overall)
    count = sum(sequence.size for sequence in sequences) - missing
    return Autocorrelation(
        torch.from_numpy(values), length, overall, (min(each), max(each)), count, missing, float(trend)
    )


def read_sequences(x: Any) -> list[Array]:
    """Return the data as a list of (steps, channels) arrays in double precision, NaN for gaps, all checked.

    Args:
        x: as in `autocorrelation`.

    Returns:
        The sequences.

    Raises:
        InputError: as in `autocorrelation`.
    """
    fix = "give (steps,), (steps, channels), (sequences, steps, channels), or a list of such of unequal lengths"
    ragged = isinstance(x, Sequence) and not isinstance(x, str) and len(x) > 0 and np.ndim(x[0]) > 0
    parts = [_numbers(part, fix) for part in x] if ragged else [_numbers(x, fix)]
    if not ragged and parts[0].ndim == 3:
        parts = list(parts[0])
    if any(part.ndim not in (1, 2) for part in parts):
        reject("x", expected="one to three dimensions", got=f"{parts[0].ndim}", fix=fix)
    if not ragged and parts[0].ndim == 2 and parts[0].shape[1] > parts[0].shape[0] > 0:
        told = "for many sequences of one channel give (sequences, steps, 1), or a list of them"
        reject("x", expected="(steps, channels) with more steps than channels", got=f"shape {parts[0].shape}", fix=told)
    sequences = [part[:, None] if part.ndim == 1 else part for part in parts]
    widths = {sequence.shape[1] for sequence in sequences}
    if len(widths) != 1 or widths == {0}:
        reject("x", expected="the same channels in every sequence", got=f"widths {sorted(widths)}", fix=fix)
    if not sequences or max(len(sequence) for sequence in sequences) < 2:
        got = f"{max((len(sequence) for sequence in sequences), default=0)}"
        reject("x", expected="at least 2 steps", got=got, fix="there is no autocorrelation of fewer")
    together = np.concatenate(sequences)
    if np.isinf(together).any():
        reject("x", expected="finite numbers, NaN for gaps", got=f"{int(np.isinf(together).sum())} infinite", fix=fix)
    for channel, column in enumerate(together.T):
        there = column[~np.isnan(column)]
        if len(there) < 2 or float(np.ptp(there)) == 0:
            got = "nothing but gaps" if len(there) == 0 else "a constant"
            reject(f"x, channel {channel}", expected="numbers that vary", got=got, fix="leave that channel out")
    return sequences


def largest_eigenvalue(autocorrelation: Float64[ndarray, " length"] | Tensor) -> float:
    """Return the largest eigenvalue of the symmetric Toeplitz matrix with that first row, without the matrix.

    Args:
        autocorrelation: r(0), r(1), … r(L−1).

    Returns:
        λ_max, to 1e-6 of its value.

    Raises:
        InputError: not one row of finite numbers.

    Example:
        >>> round(largest_eigenvalue(np.ones(50)), 6)
        50.0
    """
    from scipy.linalg import eigvalsh, toeplitz
    from scipy.sparse.linalg import LinearOperator, eigsh

    row = np.asarray(autocorrelation, dtype=float)
    if row.ndim != 1 or len(row) == 0 or not np.isfinite(row).all():
        fix = "give r(0), r(1), … of one channel"
        reject("autocorrelation", expected="one row of finite numbers", got=f"shape {row.shape}", fix=fix)
    n = len(row)
    if n <= 64:
        return float(eigvalsh(toeplitz(row))[-1])
    size = 2 * n
    turned = np.fft.rfft(np.concatenate([row, [0.0], row[:0:-1]]))

    def product(v: Array) -> Array:
        return np.fft.irfft(turned * np.fft.rfft(v.ravel(), size), size)[:n]

    operator = LinearOperator((n, n), matvec=product, dtype=float)
    begin = 1 + 0.1 * np.random.default_rng(0).standard_normal(n)
    return float(eigsh(operator, k=1, which="LA", v0=begin, tol=1e-6, return_eigenvectors=False)[0])


def _numbers(part: Any, fix: str) -> Array:
    if isinstance(part, Tensor):
        part = part.detach().cpu()
    try:
        array = np.asarray(part)
    except ValueError:  # ragged
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        reject("x", expected="real numbers", got=" ".join(repr(part).split())[:60], fix=fix)
    return array.astype(float)


def _trend(sequence: Array) -> float:
    """Return the largest share of a channel's variance that a straight line takes."""
    time = np.linspace(-1, 1, len(sequence))[:, None] * np.ones(sequence.shape[1])
    there = ~np.isnan(sequence)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(there, time - (time * there).sum(0) / there.sum(0), 0)
        x = np.where(there, sequence - np.nansum(sequence, 0) / there.sum(0), 0)
        share = (t * x).sum(0) ** 2 / ((t**2).sum(0) * (x**2).sum(0))
    return float(np.nan_to_num(share).max())


def _detrended(sequence: Array) -> Array:
    time = np.linspace(-1, 1, len(sequence))
    left = sequence.copy()
    for channel in range(sequence.shape[1]):
        there = ~np.isnan(sequence[:, channel])
        if there.sum() > 2:
            left[:, channel] -= np.polyval(np.polyfit(time[there], sequence[there, channel], 1), time)
    return left


def _by_channel(sequences: list[Array], length: int) -> Array:
    """Return (channels, length) r(τ)/r(0) of every channel, over all pairs that are there."""
    channels = sequences[0].shape[1]
    sums, pairs = np.zeros((channels, length)), np.zeros((channels, length))
    for sequence in sequences:
        there = ~np.isnan(sequence)
        size = 1 << (len(sequence) + min(length, len(sequence)) - 1).bit_length()
        count = min(length, len(sequence))
        for target, signal in ((sums, np.where(there, sequence, 0)), (pairs, there.astype(float))):
            power = np.abs(np.fft.rfft(signal, size, axis=0)) ** 2
            target[:, :count] += np.fft.irfft(power, size, axis=0)[:count].T
    if (sums[:, 0] <= 0).any():
        raise ValueError("a channel that does not vary")
    covariance = sums / np.maximum(np.rint(pairs), 1)
    return covariance / covariance[:, :1]
