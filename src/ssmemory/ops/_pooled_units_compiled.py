"""The compiled loop of `ssmemory.ops.pooled_units`; importing it loads numba.

A job is one sequence and one group of LANES modes with the units that read it. The states of a few steps are formed in
double precision and kept, rounded, in the nearest cache; then LANES units at a time go over them. All arrays are flat.
"""

import numpy as np
from numba import njit

from ssmemory.ops._lanes import LANES, above_zero, load, positive, rounded, spread, store, widened, zeros

CHUNK = 64
PARTS = 2 * LANES  # real numbers of a group's state


@njit(cache=True, nogil=True, error_model="numpy")
def pool(u, sizes, lengths, poles, B, C, threshold, blocks, sums, h, first, last):  # type: ignore[no-untyped-def]
    """Add up what every unit gives over every segment, and fill h with it step by step if there is room.

    u (batch, length, width), of which ``sizes`` holds length, width, and then segments; poles (groups, 2, LANES): Re λ,
    Im λ; B (groups, width, LANES); C (blocks, PARTS, LANES) and threshold (blocks, LANES), of which group g has
    ``blocks[g] … blocks[g+1]``; sums (batch, segments, 2, blocks, LANES), zero: steps above zero, and excess;
    h (batch, length, blocks, LANES) or empty; jobs first … last−1.
    """
    length, width, segments = sizes
    groups, all_blocks = len(blocks) - 1, blocks[-1]
    for job in range(first, last):
        b, g = job // groups, job % groups
        state, x, n = np.zeros(PARTS), np.empty(CHUNK * PARTS, np.float32), lengths[b]
        real, imag = load(poles, g * PARTS), load(poles, g * PARTS + LANES)
        for s in range(segments):
            start, stop = (s * n + segments - 1) // segments, ((s + 1) * n + segments - 1) // segments
            for t0 in range(start, stop, CHUNK):
                steps = min(CHUNK, stop - t0)
                re, im = load(state, 0), load(state, LANES)
                for t in range(steps):
                    drive = zeros(state)
                    for c in range(width):
                        value = spread(u, (b * length + t0 + t) * width + c, state)
                        drive = drive + value * load(B, (g * width + c) * LANES)
                    re, im = real * re - imag * im + drive, real * im + imag * re
                    store(x, t * PARTS, rounded(re, x))
                    store(x, t * PARTS + LANES, rounded(im, x))
                store(state, 0, re)
                store(state, LANES, im)
                for k in range(blocks[g], blocks[g + 1]):
                    off, count, excess = load(threshold, k * LANES), zeros(x), zeros(x)
                    for t in range(steps):
                        y = zeros(x) - off
                        for j in range(PARTS):
                            y = y + spread(x, t * PARTS + j, x) * load(C, (k * PARTS + j) * LANES)
                        count, y = count + above_zero(y), positive(y)
                        excess = excess + y
                        if len(h):
                            store(h, ((b * length + t0 + t) * all_blocks + k) * LANES, y)
                    for row, part in ((0, count), (1, excess)):
                        i = (((b * segments + s) * 2 + row) * all_blocks + k) * LANES
                        store(sums, i, load(sums, i) + widened(part))
