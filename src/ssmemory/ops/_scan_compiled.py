"""The compiled loops of `ssmemory.ops.scan`; importing it loads numba.

A job is one sequence and one block of modes. Signals are real views, (batch, length, 2 modes), real and imaginary parts
side by side; the state is kept in double precision, as the loop waits for memory anyhow.
"""

import numpy as np
from numba import njit

BLOCK = 32  # modes: their state and coefficients stay in the nearest cache


@njit(cache=True, nogil=True, error_model="numpy")
def forward(v, lengths, poles, state, x, first, last):  # type: ignore[no-untyped-def]
    """Fill x with ``x[t] = λ x[t−1] + v[t]`` and advance ``state`` (batch, 2 modes) in place; jobs first … last−1."""
    modes = poles.shape[1]
    blocks = (modes + BLOCK - 1) // BLOCK
    real, imag = np.zeros(BLOCK), np.zeros(BLOCK)
    for job in range(first, last):
        b, k = job // blocks, job % blocks * BLOCK
        width = min(BLOCK, modes - k)
        a, c = poles[0, k : k + width], poles[1, k : k + width]
        for j in range(width):
            real[j], imag[j] = state[b, 2 * (k + j)], state[b, 2 * (k + j) + 1]
        for t in range(lengths[b]):
            enters, leaves = v[b, t, 2 * k : 2 * (k + width)], x[b, t, 2 * k : 2 * (k + width)]
            for j in range(width):
                p, q = real[j], imag[j]
                real[j] = a[j] * p - c[j] * q + enters[2 * j]
                imag[j] = a[j] * q + c[j] * p + enters[2 * j + 1]
                leaves[2 * j], leaves[2 * j + 1] = real[j], imag[j]
        for j in range(width):
            state[b, 2 * (k + j)], state[b, 2 * (k + j) + 1] = real[j], imag[j]


@njit(cache=True, nogil=True, error_model="numpy")
def backward(grad_x, x, begin, lengths, poles, adjoint, grad_v, grad_log, first, last):  # type: ignore[no-untyped-def]
    """Fill grad_v and grad_log (batch, 2, modes), and turn ``adjoint`` from that of the last state to that of begin."""
    modes = poles.shape[1]
    blocks = (modes + BLOCK - 1) // BLOCK
    real, imag = np.zeros(BLOCK), np.zeros(BLOCK)
    for job in range(first, last):
        b, k = job // blocks, job % blocks * BLOCK
        width = min(BLOCK, modes - k)
        a, c = poles[0, k : k + width], poles[1, k : k + width]
        sums, turned = grad_log[b, 0, k : k + width], grad_log[b, 1, k : k + width]
        for j in range(width):
            real[j], imag[j] = adjoint[b, 2 * (k + j)], adjoint[b, 2 * (k + j) + 1]
        for t in range(lengths[b] - 1, -1, -1):
            enters, leaves = grad_x[b, t, 2 * k : 2 * (k + width)], grad_v[b, t, 2 * k : 2 * (k + width)]
            before = x[b, t - 1, 2 * k : 2 * (k + width)] if t > 0 else begin[b, 2 * k : 2 * (k + width)]
            for j in range(width):
                p, q = real[j] + enters[2 * j], imag[j] + enters[2 * j + 1]
                leaves[2 * j], leaves[2 * j + 1] = p, q
                real[j] = a[j] * p + c[j] * q  # conj(λ) times the adjoint
                imag[j] = a[j] * q - c[j] * p
                sums[j] += before[2 * j] * real[j] + before[2 * j + 1] * imag[j]
                turned[j] += before[2 * j] * imag[j] - before[2 * j + 1] * real[j]
        for j in range(width):
            adjoint[b, 2 * (k + j)], adjoint[b, 2 * (k + j) + 1] = real[j], imag[j]
