"""The states of a system driven by an input, from a zero state."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import lfilter

from ssmemory.systems import LinearSystem


def driven(system: LinearSystem, u: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what a readout of a system of conjugate pairs weighs at every step, by scipy's filters.

    Args:
        system: of conjugate pairs (``conj_sym``), with one input.
        u: (steps,) the input.

    Returns:
        (steps, d_state): 2 Re x and −2 Im x of every mode.
    """
    assert system.log_modes is not None
    poles, B = system.log_modes.exp().numpy(), system.B.squeeze(-1).numpy()
    modes = [lfilter([b], [1, -pole], u.astype(complex)) for pole, b in zip(poles, B, strict=True)]
    x = 2 * np.stack(modes, -1)
    return np.concatenate([x.real, -x.imag], -1)
