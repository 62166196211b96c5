"""Plain spectra to compare against. Definitions of our own.

arXiv 2510.00563 compares initialisations called random, lin and step without stating formulas known to us. Those here
share the names, not necessarily the numbers; for random see `random_disk`.
"""

from __future__ import annotations

import math

import torch

from ssmemory.init.arguments import modulus, pair_count, state_size
from ssmemory.systems import LinearSystem


def linear(d_state: int, r_max: float = 0.99) -> LinearSystem:
    """Return ``λ_n = r_max (n+1)/d_state``, n = 0 … d_state − 1: real eigenvalues equally spaced in (0, r_max].

    Our own definition. Few modes are slow: at 64 modes the slowest decay times are 99, 39 and 24 steps.

    Args:
        d_state: number of real modes, at least 1; no conjugates, so it is also the rank.
        r_max: the largest eigenvalue, between 0 and 1.

    Returns:
        The diagonal system of d_state real modes, fastest first, B = 1.

    Raises:
        InputError: d_state below 1, r_max out of range.

    Example:
        >>> linear(4, r_max=0.8).eigenvalues.real.numpy().round(12).tolist()
        [0.2, 0.4, 0.6, 0.8]
    """
    steps = torch.arange(1, state_size(d_state) + 1, dtype=torch.float64)
    return LinearSystem.from_eigenvalues(modulus("r_max", r_max) * steps / d_state)


def step(d_state: int, r_min: float = 0.5, r_max: float = 0.99) -> LinearSystem:
    """Return a spectrum of two moduli: the slower half of the oscillations at r_max, the faster half at r_min.

    Our own definition: ``λ_k = r_k exp(iθ_k)``, ``θ_k = π(2k+1)/d_state``, k = 0 … d_state/2 − 1, and conjugates;
    ``r_k`` steps from r_max down to r_min half-way (an odd pair goes to r_max). One modulus holds at most two real
    eigenvalues, and equal ones are one state direction; so the modes of a level differ in phase, half-shifted so
    that none is real: the rank is d_state.

    Args:
        d_state: full real state size, even, at least 4 (one pair a level).
        r_min: the modulus of the faster half, 0 < r_min < r_max.
        r_max: the modulus of the slower half, below 1.

    Returns:
        The diagonal system with conjugate pairs, phases rising, B = 1.

    Raises:
        InputError: d_state odd or below 4, moduli out of range.

    Example:
        >>> system = step(8)
        >>> system.log_modes.real.exp().numpy().round(12).tolist(), int(system.rank)
        ([0.99, 0.99, 0.5, 0.5], 8)
    """
    pairs, fast = pair_count(d_state, least=4), modulus("r_min", r_min)
    slow = modulus("r_max", r_max, above=fast)
    k = torch.arange(pairs, dtype=torch.float64)
    moduli = torch.where(2 * k < pairs, torch.full_like(k, slow), fast)
    return LinearSystem.from_log_eigenvalues(
        torch.complex(moduli.log(), math.pi * (2 * k + 1) / d_state), conj_sym=True
    )
