"""The compiled loops of `ssmemory.ops.scan`; importing it loads numba.

A row is one step of one sequence: real and imaginary parts side by side, padded to a multiple of LANES numbers, so
that lanes hold whole modes: ``λ x = Re(λ) x + Im(λ) (−Im x, Re x)``, the latter from x with neighbours swapped. A job
is one sequence and ``width`` numbers of its rows; lanes do not meet, so that the width changes no bit. A few steps at
a time, the rest of a row is still in the nearest cache. The state is kept in double precision, as the loops wait for
memory anyhow. All arrays are flat, and offsets count items.
"""

from numba import njit

from ssmemory.ops._lanes import LANES, load, rounded, store, swapped, widened

CHUNK = 16


@njit(cache=True, nogil=True, error_model="numpy")
def forward(v, sizes, lengths, poles, state, x, first, last):  # type: ignore[no-untyped-def]
    """Fill x with ``x[t] = λ x[t−1] + v[t]`` and advance ``state`` in place.

    v, x (batch, length, row), of which ``sizes`` holds length, row, and width; poles (2, row): Re λ for both numbers of
    a mode, then −Im λ and Im λ; state (batch, row); jobs first … last−1.
    """
    length, row, width = sizes
    blocks = (row + width - 1) // width
    for job in range(first, last):
        b, k = job // blocks, job % blocks * width
        for t0 in range(0, lengths[b], CHUNK):
            start, end = (b * length + t0) * row, (b * length + min(t0 + CHUNK, lengths[b])) * row
            for j in range(k, min(k + width, row), LANES):
                real, imag, s = load(poles, j), load(poles, row + j), load(state, b * row + j)
                for i in range(start + j, end + j, row):
                    s = real * s + widened(load(v, i)) + imag * swapped(s)
                    store(x, i, rounded(s, x))
                store(state, b * row + j, s)


@njit(cache=True, nogil=True, error_model="numpy")
def backward(grad_x, x, begin, sizes, lengths, poles, adjoint, grad_v, sums, first, last):  # type: ignore[no-untyped-def]
    """Fill grad_v and sums, and turn ``adjoint`` from that of the last state to that of ``begin``.

    sums (2, batch, row) over the steps, with p = conj(λ) grad_v[t]: of x[t−1] p, then of x[t−1] with p swapped, number
    by number. The others as in `forward`.
    """
    length, row, width = sizes
    blocks = (row + width - 1) // width
    for job in range(first, last):
        b, k = job // blocks, job % blocks * width
        origin = b * length * row
        for n in range((lengths[b] + CHUNK - 1) // CHUNK - 1, -1, -1):
            start, end = origin + n * CHUNK * row, origin + min((n + 1) * CHUNK, lengths[b]) * row
            for j in range(k, min(k + width, row), LANES):
                o = b * row + j
                real, imag, p = load(poles, j), load(poles, row + j), load(adjoint, o)
                along, across = load(sums, o), load(sums, len(adjoint) + o)
                for i in range(end - row + j, start + j - 1, -row):
                    g = p + widened(load(grad_x, i))
                    store(grad_v, i, rounded(g, x))
                    p = real * g - imag * swapped(g)
                    before = widened(load(x, i - row)) if i - j > origin else widened(load(begin, o))
                    along, across = along + before * p, across + before * swapped(p)
                store(adjoint, o, p)
                store(sums, o, along)
                store(sums, len(adjoint) + o, across)
