"""S4D: diagonal spectra with a known continuous-time formula, sampled with a step dt.

At ``dt=1.0`` under zero-order hold, ``system.log_modes`` are the continuous eigenvalues a themselves.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ssmemory.init.arguments import pair_count, state_size
from ssmemory.init.hippo import hippo_legs_matrices
from ssmemory.systems import Discretization, LinearSystem


def s4d_lin(d_state: int, dt: float | Tensor, *, discretization: Discretization = "zoh") -> LinearSystem:
    """Return S4D-Lin, ``a_n = −½ + iπn`` for n = 0 … d_state/2 − 1 and conjugates: equally spaced frequencies.

    The mode n = 0 is real and is its own conjugate, so the rank is ``d_state − 1``. Under zero-order hold
    frequencies repeat modulo 2π/dt: where 2/dt is a whole number and below ``d_state − 1``, several n fall on one
    eigenvalue (aliasing) and the rank is 2/dt. With d_state 64 and dt 0.1 it is 20.

    Args:
        d_state: full real state size, even; S4D's papers call it N, and the modes are d_state/2.
        dt: step, positive, in units in which the decay time is 2: a number, or (*batch,) for a batch of systems.
        discretization: "zoh" (zero-order hold, the paper's choice) or "bilinear".

    Returns:
        The diagonal system with conjugate pairs, batch shape that of ``dt``, B = 1 in continuous time.

    Raises:
        InputError: d_state odd or below 2, dt not positive, an unknown discretization.

    Source:
        Gu, Gupta, Goel, Ré, On the parameterization and initialization of diagonal state space models (2022),
        section 4.

    Example:
        >>> system = s4d_lin(64, dt=0.001)
        >>> system, int(system.rank)
        (LinearSystem(diagonal, conjugate pairs, d_state=64, inputs=1), 63)
        >>> int(s4d_lin(64, dt=0.1).rank)
        20
    """
    n = torch.arange(pair_count(d_state), dtype=torch.float64)
    return _damped(math.pi * n, dt, discretization)


def s4d_inv(d_state: int, dt: float | Tensor, *, discretization: Discretization = "zoh") -> LinearSystem:
    """Return S4D-Inv, ``a_n = −½ + i (N/π)(N/(2n+1) − 1)``, n = 0 … N/2 − 1, and conjugates; N = d_state.

    N is the *full* state size. Putting in the number of modes N/2 instead makes the top frequency, about N²/π,
    four times too low. These frequencies approximate the largest ones of `s4d_legs` as N grows. At ``dt > π²/N²``
    the top ones alias under zero-order hold: they move, but seldom onto another one.

    Args:
        d_state: N, full real state size, even.
        dt: step, positive, in units in which the decay time is 2: a number, or (*batch,) for a batch of systems.
        discretization: "zoh" (the paper's choice) or "bilinear".

    Returns:
        The diagonal system with conjugate pairs, batch shape that of ``dt``, B = 1 in continuous time.

    Raises:
        InputError: d_state odd or below 2, dt not positive, an unknown discretization.

    Source:
        Gu, Gupta, Goel, Ré (2022), section 4.

    Example:
        >>> s4d_inv(4, dt=1.0).log_modes.imag.numpy().round(4).tolist()
        [3.8197, 0.4244]
    """
    n = torch.arange(pair_count(d_state), dtype=torch.float64)
    return _damped(d_state / math.pi * (d_state / (2 * n + 1) - 1), dt, discretization)


def s4d_legs(d_state: int, dt: float | Tensor, *, discretization: Discretization = "zoh") -> LinearSystem:
    """Return S4D-LegS: the eigenvalues ``−½ + iω`` of HiPPO-LegS's normal part ``A + p pᵀ``, ``p_n = sqrt(n+½)``.

    Not the eigenvalues of HiPPO-LegS, which are −1 … −d_state: its memory is that of `s4d_real`, not this one.

    Args:
        d_state: full real state size, even.
        dt: step, positive, in units in which the decay time is 2: a number, or (*batch,) for a batch of systems.
        discretization: "zoh" (the paper's choice) or "bilinear".

    Returns:
        The diagonal system with conjugate pairs, frequencies rising, batch shape that of ``dt``, B = 1 in
        continuous time (the paper rotates B into the eigenbasis; with one input the memory is the same).

    Raises:
        InputError: d_state odd or below 2, dt not positive, an unknown discretization.

    Numerics:
        ``A + p pᵀ = −½ I + S`` with S real and skew, so the real parts are −½ exactly and ω are the eigenvalues of
        the Hermitian −iS: absolute error about 1e-16 of the top frequency. O(d_state³).

    Source:
        Gu, Gupta, Goel, Ré (2022), section 4; Gu, Goel, Ré, Efficiently modeling long sequences (2022), appendix C.

    Example:
        >>> s4d_legs(4, dt=1.0).log_modes.numpy().round(4).tolist()
        [(-0.5+0.5565j), (-0.5+4.6033j)]
    """
    pairs = pair_count(d_state)
    A, _ = hippo_legs_matrices(d_state)
    skew = (A - A.mT) / 2
    return _damped(torch.linalg.eigvalsh(-1j * skew)[pairs:], dt, discretization)


def s4d_real(d_state: int, dt: float | Tensor, *, discretization: Discretization = "zoh") -> LinearSystem:
    """Return S4D-Real, ``a_n = −(n+1)``, n = 0 … d_state − 1: the eigenvalues of HiPPO-LegS, on the real line.

    Its memory function equals that of `hippo_legs` at the same dt and discretization.

    Args:
        d_state: number of real modes, at least 1.
        dt: step, positive, in units in which the slowest decay time is 1: a number, or (*batch,) for a batch.
        discretization: "zoh" (the paper's choice) or "bilinear".

    Returns:
        The diagonal system of d_state real modes (no conjugates), batch shape that of ``dt``, B = 1 in continuous time.

    Raises:
        InputError: d_state below 1, dt not positive, an unknown discretization.

    Source:
        Gu, Gupta, Goel, Ré (2022), section 4.

    Example:
        >>> s4d_real(3, dt=0.1).eigenvalues.real.numpy().round(4).tolist()
        [0.9048, 0.8187, 0.7408]
    """
    a = -torch.arange(1, state_size(d_state) + 1, dtype=torch.float64)
    return _sampled(a, dt, discretization, conj_sym=False)


def _damped(frequencies: Tensor, dt: float | Tensor, discretization: Discretization) -> LinearSystem:
    """Return the pairs ``−½ ± iω``, sampled."""
    a = torch.complex(torch.full_like(frequencies, -0.5), frequencies)
    return _sampled(a, dt, discretization, conj_sym=True)


def _sampled(a: Tensor, dt: float | Tensor, discretization: Discretization, *, conj_sym: bool) -> LinearSystem:
    """Return one system for every dt, all with the continuous eigenvalues a."""
    a = a.expand(*np.shape(dt), -1)
    return LinearSystem.from_continuous(a, dt=dt, discretization=discretization, conj_sym=conj_sym)
