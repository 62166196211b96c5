"""The compiled loops of `ssmemory.ops.diagonal`; importing it loads numba.

Four steps at a time (a group): ``x' = λ⁴ x + Σ_k W_k u_k``, ``y_k = Σ_{i≤k} taps_{k−i} u_i + Re(V_k x)``. Lanes are
eight neighbouring channels, in one vector register: a number below is eight. A job is one group of lanes, of one
sequence or, in `backward`, of a part of the batch. Every mode runs over a chunk of steps before the next one does:
so its state, or its sums, stay in registers, and the signals of the chunk in the nearest cache.

The adjoint needs every state once more, last one first: the state is kept every CHUNK steps, and computed again
within a chunk. All arrays are flat, and offsets count items.
"""

import numpy as np
from numba import njit

from ssmemory.ops._lanes import LANES, load, store, widened, zeros

CHUNK = 128
GROUP = 4
FIELDS = 18  # λ⁴, W_0 … W_3, V_0 … V_3, the real parts, then the imaginary ones, of each
_L = LANES
_ROW = FIELDS * LANES  # the coefficients of one mode
_W = 2 * LANES
_V = 10 * LANES
_STATE = 2 * LANES
_Y = CHUNK * LANES  # the signals of a chunk: u, then y or its gradient, then the gradient of u
_GU = 2 * CHUNK * LANES


@njit(cache=True, nogil=True, error_model="numpy")
def forward(u, sizes, lengths, coefficients, taps, state, y, starts, first, last):  # type: ignore[no-untyped-def]
    """Fill ``y``, advance ``state`` in place over whole groups, and keep it at every chunk if ``starts`` has room.

    u, y (batch, length, channels), of which ``sizes`` holds length, channels, and modes; coefficients (lane groups,
    modes, FIELDS); taps (lane groups, 4); state (batch, lane groups, modes, 2); starts (chunks or 0, *state's shape),
    the last four with LANES as last dimension; jobs first … last−1.
    """
    length, channels, modes = sizes
    lane_groups, size = (channels + LANES - 1) // LANES, modes * _STATE
    signals, scratch = np.empty(2 * CHUNK * LANES, u.dtype), np.empty(size, u.dtype)
    for job in range(first, last):
        b, g = job // lane_groups, job % lane_groups
        for t0 in range(0, lengths[b], CHUNK):
            if len(starts) > 0:
                _copy(state, job * size, starts, t0 // CHUNK * len(state) + job * size, size)
            steps = min(CHUNK, lengths[b] - t0)
            whole, at = steps // GROUP, (b * length + t0) * channels + g * LANES
            _load(u, at, signals, 0, steps, channels, g)
            _within_groups(taps, g * 4 * _L, signals, (steps + 3) // GROUP)
            for n in range(modes):
                _advance(coefficients, (g * modes + n) * _ROW, state, job * size + n * _STATE, signals, 0, whole)
            if steps % GROUP > 0:
                _copy(state, job * size, scratch, 0, size)
                for n in range(modes):
                    _advance(coefficients, (g * modes + n) * _ROW, scratch, n * _STATE, signals, whole, whole + 1)
            _store(signals, _Y, y, at, steps, channels, g)


@njit(cache=True, nogil=True, error_model="numpy")
def backward(  # type: ignore[no-untyped-def]
    u, grad_y, sizes, lengths, coefficients, taps, starts, adjoint, grad_u, grad_coefficients, grad_taps, first, last
):
    """Fill the gradients, and turn ``adjoint`` from that of the last whole group's state to that of the first state.

    grad_coefficients and grad_taps have a leading dimension, the parts of the batch, and are float64; the rest as in
    `forward`.
    """
    length, channels, modes = sizes
    lane_groups, size = (channels + LANES - 1) // LANES, modes * _STATE
    batch, parts = len(lengths), len(grad_taps) // (lane_groups * 4 * _L)
    signals, states = np.empty(3 * CHUNK * LANES, u.dtype), np.empty(CHUNK // GROUP * _STATE, u.dtype)
    beyond = np.empty(_STATE, u.dtype)
    for job in range(first, last):
        part, g = job // lane_groups, job % lane_groups
        for b in range(part * batch // parts, (part + 1) * batch // parts):
            for chunk in range((lengths[b] + CHUNK - 1) // CHUNK - 1, -1, -1):
                steps = min(CHUNK, lengths[b] - chunk * CHUNK)
                whole, groups = steps // GROUP, (steps + 3) // GROUP
                at = (b * length + chunk * CHUNK) * channels + g * LANES
                _load(u, at, signals, 0, steps, channels, g)
                _load(grad_y, at, signals, _Y, steps, channels, g)
                _within_groups_back(taps, g * 4 * _L, signals, grad_taps, job * 4 * _L, groups)
                for n in range(modes):
                    c, p = (g * modes + n) * _ROW, (b * lane_groups + g) * size + n * _STATE
                    sums = (job * modes + n) * _ROW
                    start = chunk * len(adjoint) + p
                    _states(coefficients, c, starts, start, signals, states, grad_coefficients, sums, groups)
                    if whole < groups:  # it leads to no later state
                        store(beyond, 0, zeros(beyond))
                        store(beyond, _L, zeros(beyond))
                        _retreat(coefficients, c, beyond, 0, signals, states, grad_coefficients, sums, whole, groups)
                        store(adjoint, p, load(adjoint, p) + load(beyond, 0))
                        store(adjoint, p + _L, load(adjoint, p + _L) + load(beyond, _L))
                    _retreat(coefficients, c, adjoint, p, signals, states, grad_coefficients, sums, 0, whole)
                _store(signals, _GU, grad_u, at, steps, channels, g)


@njit(nogil=True)
def _copy(source, i, target, j, count):  # type: ignore[no-untyped-def]
    for k in range(0, count, LANES):
        store(target, j + k, load(source, i + k))


@njit(nogil=True)
def _load(array, at, signals, offset, steps, channels, g):  # type: ignore[no-untyped-def]
    """Copy a chunk of one lane group in, with zeros for missing channels and up to the end of the last group."""
    width = min(LANES, channels - g * LANES)
    for t in range(steps):
        if width == LANES:
            store(signals, offset + t * LANES, load(array, at + t * channels))
        else:
            for j in range(LANES):
                signals[offset + t * LANES + j] = array[at + t * channels + j] if j < width else 0
    for t in range(steps, (steps + 3) // GROUP * GROUP):
        store(signals, offset + t * LANES, zeros(signals))


@njit(nogil=True)
def _store(signals, offset, array, at, steps, channels, g):  # type: ignore[no-untyped-def]
    width = min(LANES, channels - g * LANES)
    for t in range(steps):
        if width == LANES:
            store(array, at + t * channels, load(signals, offset + t * LANES))
        else:
            for j in range(width):
                array[at + t * channels + j] = signals[offset + t * LANES + j]


@njit(nogil=True)
def _four(array, i):  # type: ignore[no-untyped-def]
    return load(array, i), load(array, i + _L), load(array, i + 2 * _L), load(array, i + 3 * _L)


@njit(nogil=True)
def _add(sums, i, value):  # type: ignore[no-untyped-def]
    store(sums, i, load(sums, i) + widened(value))


@njit(nogil=True)
def _add_four(sums, i, a, b, c, d):  # type: ignore[no-untyped-def]
    _add(sums, i, a)
    _add(sums, i + _L, b)
    _add(sums, i + 2 * _L, c)
    _add(sums, i + 3 * _L, d)


@njit(nogil=True)
def _within_groups(taps, i, s, groups):  # type: ignore[no-untyped-def]
    k0, k1, k2, k3 = _four(taps, i)
    for o in range(0, groups * GROUP * _L, GROUP * _L):
        u0, u1, u2, u3 = _four(s, o)
        store(s, _Y + o, k0 * u0)
        store(s, _Y + o + _L, k0 * u1 + k1 * u0)
        store(s, _Y + o + 2 * _L, k0 * u2 + k1 * u1 + k2 * u0)
        store(s, _Y + o + 3 * _L, k0 * u3 + k1 * u2 + k2 * u1 + k3 * u0)


@njit(nogil=True)
def _within_groups_back(taps, i, s, sums, q, groups):  # type: ignore[no-untyped-def]
    k0, k1, k2, k3 = _four(taps, i)
    s0 = s1 = s2 = s3 = zeros(s)
    for o in range(0, groups * GROUP * _L, GROUP * _L):
        u0, u1, u2, u3 = _four(s, o)
        y0, y1, y2, y3 = _four(s, _Y + o)
        store(s, _GU + o, k0 * y0 + k1 * y1 + k2 * y2 + k3 * y3)
        store(s, _GU + o + _L, k0 * y1 + k1 * y2 + k2 * y3)
        store(s, _GU + o + 2 * _L, k0 * y2 + k1 * y3)
        store(s, _GU + o + 3 * _L, k0 * y3)
        s0 = s0 + u0 * y0 + u1 * y1 + u2 * y2 + u3 * y3
        s1 = s1 + u0 * y1 + u1 * y2 + u2 * y3
        s2 = s2 + u0 * y2 + u1 * y3
        s3 = s3 + u0 * y3
    _add_four(sums, q, s0, s1, s2, s3)


@njit(nogil=True)
def _advance(c, i, state, p, s, first, last):  # type: ignore[no-untyped-def]
    """Take one mode over some groups: add Re(V_k x) to the outputs, then move the state x + i z on."""
    onward_x, onward_z = load(c, i), load(c, i + _L)
    w0, w1, w2, w3 = _four(c, i + _W)
    iw0, iw1, iw2, iw3 = _four(c, i + _W + 4 * _L)
    v0, v1, v2, v3 = _four(c, i + _V)
    iv0, iv1, iv2, iv3 = _four(c, i + _V + 4 * _L)
    x, z = load(state, p), load(state, p + _L)
    for o in range(first * GROUP * _L, last * GROUP * _L, GROUP * _L):
        u0, u1, u2, u3 = _four(s, o)
        y0, y1, y2, y3 = _four(s, _Y + o)
        store(s, _Y + o, y0 + v0 * x - iv0 * z)
        store(s, _Y + o + _L, y1 + v1 * x - iv1 * z)
        store(s, _Y + o + 2 * _L, y2 + v2 * x - iv2 * z)
        store(s, _Y + o + 3 * _L, y3 + v3 * x - iv3 * z)
        driven_x = w0 * u0 + w1 * u1 + w2 * u2 + w3 * u3
        driven_z = iw0 * u0 + iw1 * u1 + iw2 * u2 + iw3 * u3
        x, z = driven_x + onward_x * x - onward_z * z, driven_z + onward_x * z + onward_z * x
    store(state, p, x)
    store(state, p + _L, z)


@njit(nogil=True)
def _states(c, i, starts, p, s, states, sums, q, groups):  # type: ignore[no-untyped-def]
    """Write down the state before every group of a chunk, and add to the sums of V's gradient."""
    onward_x, onward_z = load(c, i), load(c, i + _L)
    w0, w1, w2, w3 = _four(c, i + _W)
    iw0, iw1, iw2, iw3 = _four(c, i + _W + 4 * _L)
    x, z = load(starts, p), load(starts, p + _L)
    s0 = s1 = s2 = s3 = is0 = is1 = is2 = is3 = zeros(s)
    for group in range(groups):
        o = group * GROUP * _L
        store(states, group * _STATE, x)
        store(states, group * _STATE + _L, z)
        y0, y1, y2, y3 = _four(s, _Y + o)
        s0, s1, s2, s3 = s0 + y0 * x, s1 + y1 * x, s2 + y2 * x, s3 + y3 * x
        is0, is1, is2, is3 = is0 - y0 * z, is1 - y1 * z, is2 - y2 * z, is3 - y3 * z
        u0, u1, u2, u3 = _four(s, o)
        driven_x = w0 * u0 + w1 * u1 + w2 * u2 + w3 * u3
        driven_z = iw0 * u0 + iw1 * u1 + iw2 * u2 + iw3 * u3
        x, z = driven_x + onward_x * x - onward_z * z, driven_z + onward_x * z + onward_z * x
    _add_four(sums, q + _V, s0, s1, s2, s3)
    _add_four(sums, q + _V + 4 * _L, is0, is1, is2, is3)


@njit(nogil=True)
def _retreat(c, i, adjoint, p, s, states, sums, q, first, last):  # type: ignore[no-untyped-def]
    """The adjoint of `_advance`, last group first; it adds to the gradient of u, and to the sums of λ⁴'s and W's."""
    onward_x, onward_z = load(c, i), load(c, i + _L)
    w0, w1, w2, w3 = _four(c, i + _W)
    iw0, iw1, iw2, iw3 = _four(c, i + _W + 4 * _L)
    v0, v1, v2, v3 = _four(c, i + _V)
    iv0, iv1, iv2, iv3 = _four(c, i + _V + 4 * _L)
    v, w = load(adjoint, p), load(adjoint, p + _L)
    sum_x = sum_z = s0 = s1 = s2 = s3 = is0 = is1 = is2 = is3 = zeros(s)
    for group in range(last - 1, first - 1, -1):
        o = group * GROUP * _L
        x, z = load(states, group * _STATE), load(states, group * _STATE + _L)
        sum_x, sum_z = sum_x + v * x + w * z, sum_z + w * x - v * z
        u0, u1, u2, u3 = _four(s, o)
        s0, s1, s2, s3 = s0 + u0 * v, s1 + u1 * v, s2 + u2 * v, s3 + u3 * v
        is0, is1, is2, is3 = is0 + u0 * w, is1 + u1 * w, is2 + u2 * w, is3 + u3 * w
        g0, g1, g2, g3 = _four(s, _GU + o)
        store(s, _GU + o, g0 + w0 * v + iw0 * w)
        store(s, _GU + o + _L, g1 + w1 * v + iw1 * w)
        store(s, _GU + o + 2 * _L, g2 + w2 * v + iw2 * w)
        store(s, _GU + o + 3 * _L, g3 + w3 * v + iw3 * w)
        y0, y1, y2, y3 = _four(s, _Y + o)
        read_x = v0 * y0 + v1 * y1 + v2 * y2 + v3 * y3
        read_z = iv0 * y0 + iv1 * y1 + iv2 * y2 + iv3 * y3
        v, w = read_x + onward_x * v + onward_z * w, onward_x * w - onward_z * v - read_z
    store(adjoint, p, v)
    store(adjoint, p + _L, w)
    _add(sums, q, sum_x)
    _add(sums, q + _L, sum_z)
    _add_four(sums, q + _W, s0, s1, s2, s3)
    _add_four(sums, q + _W + 4 * _L, is0, is1, is2, is3)
