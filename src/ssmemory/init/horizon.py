"""Spectra laid out from one number, the length of the window to remember."""

from __future__ import annotations

import math

import torch

from ssmemory.errors import reject
from ssmemory.init.arguments import pair_count, state_size, window
from ssmemory.systems import LinearSystem


def fourier(d_state: int, length: int) -> LinearSystem:
    """Return ``λ_n = exp(2πi n/length)``, n = 0 … d_state/2 − 1, and conjugates: the lowest Fourier modes.

    On the unit circle: nothing decays, so the memory of this system needs a finite horizon, and the infinite one
    of `memory_function` raises `UnstableError`. From a zero state over ``length`` steps the modes are orthogonal
    and the memory is flat: ``MF_length(τ) = rank/length`` at every lag. The mode n = 0 keeps the mean and is its
    own conjugate, so the rank is ``d_state − 1`` (as in `s4d_lin`).

    Args:
        d_state: full real state size, even, at most length + 1: a window has no more directions than steps.
        length: steps of the window, at least 2; one turn of the slowest oscillation.

    Returns:
        The diagonal system with conjugate pairs, |λ| = 1 exactly (log λ is imaginary), B = 1.

    Raises:
        InputError: d_state odd, below 2 or above length + 1, length below 2.

    Source:
        The discrete Fourier basis; compare the FouT measure of Gu et al., How to train your HiPPO (2023),
        and S4D-DFouT, arXiv 2508.20441.

    Example:
        >>> system = fourier(8, length=100)
        >>> int(system.rank), bool(torch.allclose(system.eigenvalues**100, torch.ones(8, dtype=torch.complex128)))
        (7, True)
    """
    pairs, length = pair_count(d_state), window(length)
    if d_state > length + 1:
        fix = "a window of `length` steps has no more directions; use a smaller state or a longer window"
        reject("d_state", expected=f"at most length + 1 = {length + 1}", got=d_state, fix=fix)
    phases = 2 * math.pi / length * torch.arange(pairs, dtype=torch.float64)
    return LinearSystem.from_log_eigenvalues(torch.complex(torch.zeros_like(phases), phases), conj_sym=True)


def geometric(d_state: int, length: int) -> LinearSystem:
    """Return ``λ_n = exp(−1/T_n)``, decay times ``T_n`` geometric from ``length`` down to 1: real modes.

    ``T_n = length^(1 − n/(d_state − 1))``, n = 0 … d_state − 1: every octave of time gets as many modes. The source
    proves this spacing minimax optimal for long-range memory, with an error of order exp(−c d_state/log length).

    Args:
        d_state: number of real modes, at least 1; no conjugates, so it is also the rank. 1: the longest time alone.
        length: the longest decay time in steps, at least 2.

    Returns:
        The diagonal system of d_state real modes, slowest first, B = 1.

    Raises:
        InputError: d_state below 1, length below 2.

    Source:
        Cao, Optimal decay spectra for linear recurrences, arXiv 2604.07658: geometrically spaced decay rates.

    Example:
        >>> (-1 / geometric(4, length=1000).log_eigenvalues.real).numpy().round(6).tolist()
        [1000.0, 100.0, 10.0, 1.0]
    """
    exponents = torch.linspace(1, 0, state_size(d_state), dtype=torch.float64)
    times = float(window(length)) ** exponents
    return LinearSystem.from_log_eigenvalues(-1 / times)
