"""The search behind `ssmemory.init.design`: goals as functions of θ, compiled all-pass sections, and L-BFGS.

Importing this module loads numba.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import scipy.fft
import scipy.linalg
import torch
from jaxtyping import Bool, Complex128, Float64, Int64
from numba import njit
from numpy import ndarray

from ssmemory.learning import visible_fraction
from ssmemory.memory import memory_function
from ssmemory.systems import LinearSystem
from ssmemory.systems.spectrum import MERGE_TOLERANCE

HANKEL_ROWS = 1024  # of the Hankel matrices of a teacher, at most
_FLUSH = 1e-180  # squares to less than the smallest float64; stops denormals, which are slow and never decay
_CLOSE = 1e-12  # share of a goal out of reach below which there is nothing left to improve
_LOST = 1e-15  # share of a goal reached below which 1 − hidden has no digits
_LEAST_DECAY, _MOST_DECAY = 1e-6, 40.0  # over the horizon, and a step


class Goal(Protocol):
    """What is to be reached, in [0, 1]: a function of θ over some lags, and exactly one of a system.

    Attributes:
        horizon: steps back that set the scale of time.
        length: how many lags of θ decide.
        overhead: what `hidden` costs, in passes of one mode.
    """

    horizon: int
    length: int
    overhead: int

    def hidden(self, theta: Float64[ndarray, " length"]) -> tuple[float, Float64[ndarray, " length"]]:
        """Return the share of the goal that is out of reach, and its gradient."""
        ...

    def exact(self, system: LinearSystem) -> float:
        """Return what a system reaches, by the public functions."""
        ...

    def bound(self, n: int) -> float:
        """Return what no system of n state directions exceeds."""
        ...

    def shrunk(self, factor: int) -> Goal:
        """Return about the same goal with ``factor`` steps taken as one."""
        ...

    def coarsening(self, n: int) -> int:
        """Return how many steps may be taken as one where n modes are compared roughly."""
        ...


class Recollection:
    """The mean of MF over lags: ``1 − Σ_i c_i θ_i²``, c_i the share of lags at or beyond i.

    Attributes:
        lags: (n_lags,) as given.
        corners: (corners, 2) where the least concave curve over k ↦ share of lags below k bends.
    """

    overhead = 0

    def __init__(self, lags: Int64[ndarray, " lags"]) -> None:
        self.lags = lags
        self.distinct, counts = np.unique(lags, return_counts=True)
        self.shares = counts / counts.sum()
        self.length = self.horizon = int(lags.max()) + 1
        self._at_or_beyond = np.bincount(self.distinct, self.shares)[::-1].cumsum()[::-1]
        self.corners = _concave_hull(np.concatenate([[0], self.distinct + 1]), np.append(0, self.shares.cumsum()))

    def hidden(self, theta: Float64[ndarray, " length"]) -> tuple[float, Float64[ndarray, " length"]]:
        """See `Goal`."""
        weighted = self._at_or_beyond * theta
        return float(weighted @ theta), 2 * weighted

    def exact(self, system: LinearSystem) -> float:
        """See `Goal`."""
        return float(self.shares @ memory_function(system, self.distinct).values.numpy())

    def bound(self, n: int) -> float:
        """Return the height over n of the curve through the corners; for one lag it is ``min(1, n/(τ+1))``.

        The mean of MF is that of the share of lags below k, k drawn with the probability |θ_k|², whose mean is n.
        """
        return float(np.interp(n, *self.corners.T))

    def shrunk(self, factor: int) -> Recollection:
        """See `Goal`."""
        return Recollection(np.maximum((self.lags + 1) // factor - 1, 0))

    def coarsening(self, n: int) -> int:
        """See `Goal`: to 2,048 lags and 32 a mode, beyond which eigenvalues only scale; no lag below 0 steps."""
        return max(1, min(self.horizon // max(2048, 32 * n), int(self.distinct[0]) + 1))


class Imitation:
    """The visible fraction of a teacher: ``1 − Σ_t |Σ_i θ_i α*[t+i]|² / ‖α*‖²``, two fast Fourier transforms.

    Attributes:
        kernel: (T,) α*, its largest weight 1.
        shares: (T,) the share of the energy in lags up to each.
    """

    overhead = 30

    def __init__(self, kernel: Float64[ndarray, " length"]) -> None:
        self.kernel = kernel / np.abs(kernel).max()
        self.energy = float(self.kernel @ self.kernel)
        self.length = len(kernel)
        self.shares = np.cumsum(self.kernel**2) / self.energy
        self.horizon = self.lag_of(0.95) + 1
        self._size = scipy.fft.next_fast_len(2 * self.length, real=True)
        self._transform = scipy.fft.rfft(self.kernel, self._size)

    def lag_of(self, share: float) -> int:
        """Return the lag up to which this share of the energy lies."""
        return int(np.searchsorted(self.shares, share))

    def hidden(self, theta: Float64[ndarray, " length"]) -> tuple[float, Float64[ndarray, " length"]]:
        """See `Goal`."""
        left = self._correlated(theta)
        return float(left @ left) / self.energy, 2 / self.energy * self._correlated(left)

    def _correlated(self, signal: ndarray) -> ndarray:
        """Return ``Σ_i signal_i α*[t+i]``."""
        transform = self._transform * scipy.fft.rfft(signal, self._size).conj()
        return scipy.fft.irfft(transform, self._size)[: self.length]

    def exact(self, system: LinearSystem) -> float:
        """See `Goal`."""
        return float(visible_fraction(system, self.kernel))

    def bound(self, n: int) -> float:
        """Return ``1 − Σ_{m>n} σ_m²/(p ‖α*‖²)``, σ of the p × p Hankel matrix, the least over some p ≤ 1,024.

        A kernel of order n has a Hankel matrix of rank n, so by Eckart and Young that of the difference has at least
        the energy of the other σ; and in it each lag stands at most p times.
        """
        largest, best = min(self.length, HANKEL_ROWS), 1.0
        for rows in {largest, *(2**k for k in range(largest.bit_length()))}:
            if rows > n:
                squares = np.sort(np.linalg.eigvalsh(hankel(self.kernel, rows)) ** 2)
                best = min(best, 1 - float(squares[: rows - n].sum()) / (rows * self.energy))
        return min(1.0, best + 1e-12)  # rounding

    def shrunk(self, factor: int) -> Imitation:
        """See `Goal`."""
        return self if factor == 1 else Imitation(in_blocks(self.kernel, factor))

    def coarsening(self, n: int) -> int:
        """See `Goal`: to 16,384 lags, but keeps 256 up to the horizon."""
        factor = max(1, min(self.length // 16384, self.horizon // 256))
        return factor if in_blocks(self.kernel, factor).any() else 1


def _concave_hull(x: ndarray, y: ndarray) -> Float64[ndarray, "corners 2"]:
    """Return the corners of the least concave curve above points of rising x."""
    corners: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1 and _turns_up(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    return np.array(corners)


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def in_blocks(kernel: Float64[ndarray, " length"], block: int) -> Float64[ndarray, " blocks"]:
    """Return the sums over blocks of steps."""
    return np.pad(kernel, (0, -len(kernel) % block)).reshape(-1, block).sum(1)


def hankel(kernel: Float64[ndarray, " length"], rows: int) -> Float64[ndarray, "rows rows"]:
    """Return the matrix of entries ``α*[i+j]``, 0 beyond the kernel's end."""
    padded = np.zeros(2 * rows)
    padded[: min(len(kernel), 2 * rows)] = kernel[: 2 * rows]
    return scipy.linalg.hankel(padded[:rows], padded[rows - 1 : -1])


def reached(goal: Goal, systems: LinearSystem) -> list[float]:
    """Return what ``goal.exact`` returns, of every real system of a batch, without its care for the last digits."""
    spectrum = systems.spectrum()
    values = []
    for poles, counted in zip(spectrum.eigenvalues.numpy(), spectrum.counted.numpy(), strict=True):
        real = counted & (2 * np.abs(poles.imag) <= MERGE_TOLERANCE * np.abs(poles))  # merged with its own conjugate
        kept = real | (counted & (poles.imag > 0))
        theta = _response(np.where(real, poles.real, poles)[kept], real[kept], goal.length)[-1]
        values.append(1 - goal.hidden(theta)[0])
    return values


def _response(
    poles: Complex128[ndarray, " modes"], real: Bool[ndarray, " modes"], length: int
) -> Float64[ndarray, "sections length"]:
    """Return an impulse before and after the sections, one after the other; the last row is θ."""
    signals = np.zeros((len(poles) + 1, length))
    signals[0, 0] = 1
    respond(poles.astype(complex), real, signals)
    return signals


def is_real(modes: Complex128[ndarray, " modes"]) -> Bool[ndarray, " modes"]:
    """Whether each log λ is that of a real eigenvalue: of imaginary part 0 or π."""
    return (modes.imag == 0) | (np.abs(modes.imag) == math.pi)


def hidden_and_slopes(goal: Goal, modes: Complex128[ndarray, " modes"]) -> tuple[float, Complex128[ndarray, " modes"]]:
    """Return the share of the goal out of reach, and its derivatives by the real and the imaginary parts of the modes.

    Args:
        goal: the goal.
        modes: log λ, one of each conjugate pair, and those of real eigenvalues.

    Returns:
        The share, and ``∂/∂Re + i ∂/∂Im``. Exact, O(modes · length).
    """
    real, poles = is_real(modes), np.exp(modes)
    poles[real] = poles[real].real
    signals = _response(poles, real, goal.length)
    value, adjoint = goal.hidden(signals[-1])
    slopes = np.empty(len(modes), complex)
    pull_back(poles, real, signals, adjoint, slopes, np.empty(goal.length, complex))
    return value, (slopes * poles * np.where(real, 1, 2)).conj()


def climb(goal: Goal, modes: Complex128[ndarray, " modes"], evaluations: int) -> Complex128[ndarray, " modes"]:
    """Return the modes that L-BFGS reaches from these; real ones stay real.

    It moves the log decays and, of pairs, the frequencies, both in units of 1/horizon, so that every point is stable,
    and minimises ``log(hidden) − log(1 − hidden)``, which tells goals far out of reach apart as well as goals almost
    reached.

    Args:
        goal: the goal.
        modes: as in `hidden_and_slopes`.
        evaluations: of the goal and its gradient, about at most.

    Returns:
        The modes, in the same order.
    """
    paired, n, scale = ~is_real(modes), len(modes), goal.horizon
    least, most = math.log(_LEAST_DECAY), math.log(_MOST_DECAY * scale)

    def unpacked(point: ndarray) -> ndarray:
        moved = -np.exp(point[:n].clip(least, most)) / scale + 1j * modes.imag
        moved.imag[paired] = point[n:] / scale
        return moved

    def loss(point: ndarray) -> tuple[float, ndarray]:
        here = unpacked(point)
        value, slopes = hidden_and_slopes(goal, here)
        low, high = max(value, _CLOSE), max(1 - value, _LOST)
        inside = (point[:n] > least) & (point[:n] < most)
        slopes = slopes * ((value > _CLOSE) / low + (1 - value > _LOST) / high)
        return math.log(low / high), np.concatenate([slopes.real * here.real * inside, slopes.imag[paired] / scale])

    point = torch.from_numpy(np.concatenate([np.log(-modes.real * scale), modes.imag[paired] * scale]))
    point.grad = torch.zeros_like(point)
    # torch's, because scipy's calls BLAS with threads that wait for each other when the machine is busy
    search = torch.optim.LBFGS([point], max_iter=evaluations, max_eval=evaluations, history_size=30,
                               tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe")  # fmt: skip

    best, lowest = point.clone(), math.inf

    def closure() -> torch.Tensor:
        nonlocal best, lowest
        value, gradient = loss(point.numpy()) if bool(point.isfinite().all()) else (math.inf, np.zeros(len(point)))
        if value < lowest:
            best, lowest = point.clone(), value
        point.grad = torch.from_numpy(gradient)
        return torch.tensor(value, dtype=torch.float64)

    search.step(closure)
    return unpacked(best.numpy())


@njit(cache=True, nogil=True)
def respond(poles, real, signals):  # type: ignore[no-untyped-def]
    """Fill row k + 1 of ``signals`` with row k after pole k's all-pass section; the last row is θ.

    A pole that is not real stands for its conjugate too: ``(q − λ)(q − λ‾)/((1 − λq)(1 − λ‾q))``, q one step back.
    """
    length = signals.shape[1]
    for k in range(poles.size):
        pole, other = poles[k], np.conj(poles[k])
        first = second = 0j
        for t in range(length):
            before = first
            first = pole * first + signals[k, t]
            if abs(first.real) + abs(first.imag) < _FLUSH:
                first = 0j
            passed = before - other * first
            if real[k]:
                signals[k + 1, t] = passed.real
                continue
            before = second
            second = other * second + passed
            if abs(second.real) + abs(second.imag) < _FLUSH:
                second = 0j
            signals[k + 1, t] = (before - pole * second).real


@njit(cache=True, nogil=True)
def pull_back(poles, real, signals, adjoint, slopes, work):  # type: ignore[no-untyped-def]
    """Turn ``adjoint``, ∂J/∂θ, into ``slopes``, ∂J/∂λ with λ‾ held: ``dJ = 2 Re(slope dλ)``, without the 2 if real.

    ``∂Θ/∂λ = Θ (q² − 1)/((q − λ)(1 − λq))``: what drives the last 1/(1 − λq) of the section, once back and once
    forth in time. ``adjoint`` and ``work`` are overwritten.
    """
    length = signals.shape[1]
    for k in range(poles.size - 1, -1, -1):
        pole, other = poles[k], np.conj(poles[k])
        first = second = 0j
        for t in range(length):
            before = first
            first = pole * first + signals[k, t]
            if abs(first.real) + abs(first.imag) < _FLUSH:
                first = 0j
            if real[k]:
                work[t] = first
                continue
            second = other * second + before - other * first
            if abs(second.real) + abs(second.imag) < _FLUSH:
                second = 0j
            work[t] = second
        slope = first = second = 0j
        for t in range(length - 1, -1, -1):
            before = first
            first = pole * first + adjoint[t]
            if abs(first.real) + abs(first.imag) < _FLUSH:
                first = 0j
            slope += first * ((work[t - 2] if t > 1 else 0j) - work[t])
            passed = before - other * first
            if real[k]:
                adjoint[t] = passed.real
                continue
            before = second
            second = other * second + passed
            if abs(second.real) + abs(second.imag) < _FLUSH:
                second = 0j
            adjoint[t] = (before - pole * second).real
        slopes[k] = slope
