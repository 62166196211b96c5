"""A spectrum for a wanted reach, in closed form."""

from __future__ import annotations

import math

import numpy as np

from ssmemory.init.arguments import state_size, whole_number
from ssmemory.systems import LinearSystem

_DECAY, _GROWTH, _FEW = 1.44, 0.43, -0.34  # decay = _DECAY + _GROWTH ln h + _FEW/N, in units of 1/(lag + 1)
_SLACK, _CROWDED, _EDGE = 0.69, 0.465, 0.2  # frequency = 2πν (1 − (_SLACK (1 − _CROWDED r) + _EDGE g ln N)/N)
_LEFT = 1e-4  # square root of what a register of more states than lags leaves unseen


def recall(d_state: int, lag: int) -> LinearSystem:
    """Return eigenvalues that remember the input of ``lag`` steps ago, nearly as well as any: a closed form.

    Because MF never increases they also maximise, nearly, the worst lag of the window 0 … lag. With N = d_state,
    r = N/(lag + 1) < 1, and the modes counted from the middle, ν = ½, 3/2 … for an even N (0, 1, 2 … for an odd one)::

        log λ_ν = (−σ_ν ± 2πi ν κ_ν)/(lag + 1),      E = πr/2,  v = 2νE/N
        σ_ν = 1.44 + 0.43 ln h_ν − 0.34/N,           h_ν = N sin(E + v) sin(E − v)/(πr sin πr)
        κ_ν = 1 − (0.69 (1 − 0.465 r) + 0.2 g_ν ln N)/N,   g_ν = (E/2v) ln(sin(E + v)/sin(E − v))

    so frequencies lie nearly 2π/(lag + 1) apart, and decays are nearly equal but for the highest frequencies. For far
    lags, r → 0, h is N/4 − ν²/N and g is artanh(2ν/N)/(2ν/N): the spectrum depends on the lag by its scale alone.
    N = 1 is exact, ``|λ|² = lag/(lag + 1)``. A lag below N is a shift register's: ``λ^N = −1e-4``, MF = 1 − 1e-8.

    **A fit, not a theorem.** The form imitates what optima look like (distances to the ends of the occupied arc); its
    six numbers were fitted to 77 optima, N = 2 … 128 and lags from N on, each the better of two L-BFGS searches. None
    of these is proven to be the best there is.

    Args:
        d_state: N, state directions of the real system, at least 1.
        lag: steps back, at least 0; 0 is the current input.

    Returns:
        The diagonal system, frequencies rising, B = 1: conjugate pairs for an even d_state; for an odd one the pairs,
        their conjugates and a real mode written out.

    Raises:
        InputError: d_state below 1, lag below 0.

    Numerics:
        MF(lag) is at least 99.57 % of the optimum found for those 77 pairs (worst: N = 2, lag 2), and at least 99.68 %
        for 33 pairs left out of the fit. At lag 1000::

            N                      2      4      8     16     32     64    128
            MF(lag)·(lag+1)/N  0.507  0.646  0.761  0.846  0.904  0.941  0.964
            of the optimum     0.996  0.998  0.997  0.997  0.997  0.997  0.997

        Beyond N = 128 nothing was searched: N = 512 still reaches 0.987 of the bound at far lags. log λ is written
        down, not computed from λ: lags of 1e9 lose nothing.

    Source:
        Found here; see `design` for the optima. The bound d_state/(lag + 1) is that of `memory_function`.

    Example:
        >>> from ssmemory import memory_function
        >>> system = recall(16, lag=200)
        >>> share = float(memory_function(system, [200]).values) / (16 / 201)
        >>> system, round(share, 3)
        (LinearSystem(diagonal, conjugate pairs, d_state=16, inputs=1), 0.848)
    """
    n = state_size(d_state)
    lag = whole_number("lag", lag, least=0, fix="it is how many steps back to remember; 0 is the current input")
    if lag < n:
        return _real_system(np.full(n - n // 2, math.log(_LEFT) / n), math.pi / n * np.arange(1 - n % 2, n, 2))
    if n == 1:
        return _real_system(np.array([-0.5 * math.log1p(1 / lag)]), np.zeros(1))
    r, nu = n / (lag + 1), np.arange(1 - n % 2, n, 2) / 2
    end = math.pi * r / 2
    at = 2 * nu * end / n
    beyond, before = np.sin(end + at), np.sin(end - at)
    decays = _DECAY + _GROWTH * np.log(n * beyond * before / (math.pi * r * math.sin(math.pi * r))) + _FEW / n
    bend = np.log(beyond / before) / 2 * end / np.where(at > 0, at, 1)  # the frequency 0 stays
    turns = nu * (1 - (_SLACK * (1 - _CROWDED * r) + _EDGE * bend * math.log(n)) / n)
    return _real_system(-decays / (lag + 1), 2 * math.pi * turns / (lag + 1))


def _real_system(real: np.ndarray, imaginary: np.ndarray) -> LinearSystem:
    """Return the system of these log λ and their conjugates, a first real mode once."""
    logs = real + 1j * imaginary
    if imaginary[0] > 0:
        return LinearSystem.from_log_eigenvalues(logs, conj_sym=True)
    return LinearSystem.from_log_eigenvalues(np.concatenate([logs[1:], logs[1:].conj(), logs[:1]]))
