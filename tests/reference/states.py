"""States of a system driven step by step, by scipy's filters or a plain loop; nothing of the package's recurrences."""

import numpy as np
from scipy.signal import lfilter

from ssmemory import LinearSystem


def states_of(system: LinearSystem, u: np.ndarray) -> np.ndarray:
    """(steps, real numbers) what a readout may weigh, from a zero state."""
    if system.A is None:
        poles, B = system.log_modes.exp().numpy(), system.B.squeeze(-1).numpy()
        x = np.stack([lfilter([b], [1, -pole], u.astype(complex)) for pole, b in zip(poles, B, strict=True)], -1)
        return np.concatenate([x.real, x.imag], -1)
    A, b, x = system.A.numpy(), system.B.squeeze(-1).numpy(), np.zeros(len(system.A))
    states = []
    for value in u:
        x = A @ x + b * value
        states.append(x)
    return np.array(states)
