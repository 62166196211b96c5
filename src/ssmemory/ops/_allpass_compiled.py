"""The compiled loop of `ssmemory.ops.allpass`; importing it loads numba."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def cascade(poles, gains, memory, block, flush):  # type: ignore[no-untyped-def]
    length = memory.size
    states = np.zeros(poles.size, dtype=np.complex128)
    signal = np.empty(block, dtype=np.complex128)
    for start in range(0, length, block):
        steps = min(block, length - start)
        signal[:] = 0
        if start == 0:
            signal[0] = 1
        largest = 0.0
        for k in range(poles.size):
            pole, gain, state = poles[k], gains[k], states[k]
            reflection = -np.conj(pole)
            for t in range(steps):
                entering = signal[t]
                signal[t] = reflection * entering + gain * state
                state = pole * state + gain * entering
                if abs(state.real) + abs(state.imag) < flush:
                    state = 0j
            states[k] = state
            largest = max(largest, abs(state.real) + abs(state.imag))
        for t in range(steps):
            memory[start + t] = signal[t].real ** 2 + signal[t].imag ** 2
        if largest == 0.0:
            memory[start + steps :] = 0
            break
    total = 0.0
    for k in range(states.size):
        total += states[k].real ** 2 + states[k].imag ** 2
    for t in range(length - 1, -1, -1):
        energy = memory[t]
        memory[t] = total
        total += energy
