"""Is an input i.i.d.? Two tests at a level that a true one fails once in a million."""

from __future__ import annotations

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from ssmemory.errors import reject

_CHANCE = 1e-6


def require_iid(v: NDArray[np.float64], lags: int, distribution: str) -> None:
    """Refuse an input whose distribution function is not uniform, or whose steps depend on one another.

    The second test sums the squared correlations of v and v² with both at lags 1 … lags: χ² with 4 · lags degrees of
    freedom for an i.i.d. input. Dependence that leaves these at 0, and between sequences, is not seen.

    Args:
        v: (sequences, length) the input's distribution function at the inputs, times 2 minus 1.
        lags: how far back to look.
        distribution: its name, for the message.

    Raises:
        InputError: either test fails at p < 1e-6.
    """
    fix = "draw independent inputs from it, or name the distribution that they have"
    distance, chance = scipy.stats.kstest(v.ravel(), "uniform", args=(-1, 2))
    if chance < _CHANCE:
        got = f"a Kolmogorov-Smirnov distance of {distance:.2g} (p = {chance:.0e})"
        reject("inputs", expected=f"a {distribution} distribution", got=got, fix=fix)
    q = np.stack([np.sqrt(3) * v, np.sqrt(5) * (1.5 * v**2 - 0.5)])
    squares = 0.0
    for lag in range(1, lags + 1):
        now, then = q[..., lag:].reshape(2, -1), q[..., :-lag].reshape(2, -1)
        squares += float(((now @ then.T) ** 2).sum()) / now.shape[1]
    chance = float(scipy.stats.chi2.sf(squares, 4 * lags))
    if chance < _CHANCE:
        got = f"correlations over {lags} lags (p = {chance:.0e})"
        reject("inputs", expected="inputs that do not depend on one another", got=got, fix="drive with white noise")
