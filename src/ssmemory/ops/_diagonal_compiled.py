"""The compiled loops of `ssmemory.ops.diagonal`; importing it loads numba.

Four steps at a time (a group): ``x' = λ⁴ x + Σ_k W_k u_k``, ``y_k = Σ_{i≤k} taps_{k−i} u_i + Re(V_k x)``. Lanes are
neighbouring channels: one arithmetic instruction works on several channels, and the input is read as it lies in
memory, (batch, length, channel). A job is one sequence and one group of lanes. Every mode runs over a chunk of steps
before the next one does, so that all it touches stays in the nearest cache.

What a mode needs lies in one flat row of LANES-wide fields, at offsets known beforehand, and so do the signals: only
thus can the compiler see that nothing overlaps, and vectorise.

The adjoint needs every state once more, last one first: the state is kept every CHUNK steps, and computed again
within a chunk.
"""

import numpy as np
from numba import njit

LANES = 16
CHUNK = 128
GROUP = 4
FIELDS = 18  # λ⁴, W_0 … W_3, V_0 … V_3, each real then imaginary
_L = LANES
_STATE = FIELDS * LANES  # the state, or its adjoint, lies behind the coefficients
_SUMS = _STATE + 2 * LANES  # and behind it, in `backward`, the gradient of each coefficient
_Y = CHUNK * LANES  # the signals of a chunk: u, then y or its gradient, then the gradient of u
_GU = 2 * CHUNK * LANES


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def forward(u, lengths, coefficients, taps, state, y, starts, first, last):  # type: ignore[no-untyped-def]
    """Fill ``y``, advance ``state`` in place over whole groups, and keep it at every chunk if ``starts`` has room.

    u, y (batch, length, channels); coefficients (lane groups, modes, FIELDS LANES); taps (lane groups, 1, 4 LANES);
    state (batch, lane groups, modes, 2 LANES); starts (chunks or 0, *state's shape); jobs first … last−1.
    """
    lane_groups, modes = coefficients.shape[:2]
    rows = np.empty((modes, _STATE + 2 * LANES), u.dtype)
    signals = np.empty(2 * CHUNK * LANES, u.dtype)
    for job in range(first, last):
        b, g = job // lane_groups, job % lane_groups
        rows[:, :_STATE] = coefficients[g]
        rows[:, _STATE:] = state[b, g]
        for t0 in range(0, lengths[b], CHUNK):
            if starts.shape[0] > 0:
                starts[t0 // CHUNK, b, g] = rows[:, _STATE:]
            steps = min(CHUNK, lengths[b] - t0)
            _load(u, signals, 0, b, t0, steps, g)
            _within_groups(taps[g, 0], signals, (steps + 3) // GROUP)
            for n in range(modes):
                _advance(rows[n], signals, steps // GROUP)
                if steps % GROUP > 0:
                    _read(rows[n], signals, steps // GROUP)
            _store(y, signals, _Y, b, t0, steps, g)
        state[b, g] = rows[:, _STATE:]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def backward(  # type: ignore[no-untyped-def]
    u, grad_y, lengths, coefficients, taps, starts, adjoint, grad_u, grad_coefficients, grad_taps, first, last
):
    """Fill the gradients, and turn ``adjoint`` from that of the last whole group's state to that of the first state.

    grad_coefficients and grad_taps have a leading batch dimension and are float64; the rest as in `forward`.
    """
    lane_groups, modes = coefficients.shape[:2]
    rows = np.empty((modes, _SUMS + FIELDS * LANES), u.dtype)
    signals = np.empty(3 * CHUNK * LANES, u.dtype)
    states = np.empty((CHUNK // GROUP + 1) * 2 * LANES, u.dtype)
    for job in range(first, last):
        b, g = job // lane_groups, job % lane_groups
        rows[:, :_STATE] = coefficients[g]
        rows[:, _STATE:_SUMS] = adjoint[b, g]
        for chunk in range((lengths[b] + CHUNK - 1) // CHUNK - 1, -1, -1):
            t0 = chunk * CHUNK
            steps = min(CHUNK, lengths[b] - t0)
            _load(u, signals, 0, b, t0, steps, g)
            _load(grad_y, signals, _Y, b, t0, steps, g)
            _within_groups_back(taps[g, 0], signals, grad_taps[b, g, 0], (steps + 3) // GROUP)
            for n in range(modes):
                rows[n, _SUMS:] = 0
                states[: 2 * LANES] = starts[chunk, b, g, n]
                _states(rows[n], signals, states, steps // GROUP)
                if steps % GROUP > 0:
                    _read_back(rows[n], signals, states, steps // GROUP)
                _advance_back(rows[n], signals, states, steps // GROUP)
                for i in range(FIELDS * LANES):
                    grad_coefficients[b, g, n, i] += rows[n, _SUMS + i]
            _store(grad_u, signals, _GU, b, t0, steps, g)
        adjoint[b, g] = rows[:, _STATE:_SUMS]


@njit(nogil=True)
def _load(array, signals, offset, b, t0, steps, g):  # type: ignore[no-untyped-def]
    """Copy a chunk of one lane group in, with zeros for missing channels and up to the end of the last group."""
    width = min(LANES, array.shape[2] - g * LANES)
    for t in range(steps):
        for j in range(width):
            signals[offset + t * LANES + j] = array[b, t0 + t, g * LANES + j]
        for j in range(width, LANES):
            signals[offset + t * LANES + j] = 0
    for i in range(steps * LANES, (steps + 3) // GROUP * GROUP * LANES):
        signals[offset + i] = 0


@njit(nogil=True)
def _store(array, signals, offset, b, t0, steps, g):  # type: ignore[no-untyped-def]
    width = min(LANES, array.shape[2] - g * LANES)
    for t in range(steps):
        for j in range(width):
            array[b, t0 + t, g * LANES + j] = signals[offset + t * LANES + j]


@njit(nogil=True, fastmath=True)
def _within_groups(taps, s, groups):  # type: ignore[no-untyped-def]
    for group in range(groups):
        o = group * GROUP * LANES
        for j in range(LANES):
            k0, k1, k2, k3 = taps[j], taps[_L + j], taps[2 * _L + j], taps[3 * _L + j]
            u0, u1, u2, u3 = s[o + j], s[o + _L + j], s[o + 2 * _L + j], s[o + 3 * _L + j]
            s[_Y + o + j] = k0 * u0
            s[_Y + o + _L + j] = k0 * u1 + k1 * u0
            s[_Y + o + 2 * _L + j] = k0 * u2 + k1 * u1 + k2 * u0
            s[_Y + o + 3 * _L + j] = k0 * u3 + k1 * u2 + k2 * u1 + k3 * u0


@njit(nogil=True, fastmath=True)
def _within_groups_back(taps, s, grad, groups):  # type: ignore[no-untyped-def]
    for group in range(groups):
        o = group * GROUP * LANES
        for j in range(LANES):
            k0, k1, k2, k3 = taps[j], taps[_L + j], taps[2 * _L + j], taps[3 * _L + j]
            u0, u1, u2, u3 = s[o + j], s[o + _L + j], s[o + 2 * _L + j], s[o + 3 * _L + j]
            y0, y1, y2, y3 = s[_Y + o + j], s[_Y + o + _L + j], s[_Y + o + 2 * _L + j], s[_Y + o + 3 * _L + j]
            s[_GU + o + j] = k0 * y0 + k1 * y1 + k2 * y2 + k3 * y3
            s[_GU + o + _L + j] = k0 * y1 + k1 * y2 + k2 * y3
            s[_GU + o + 2 * _L + j] = k0 * y2 + k1 * y3
            s[_GU + o + 3 * _L + j] = k0 * y3
            grad[j] += u0 * y0 + u1 * y1 + u2 * y2 + u3 * y3
            grad[_L + j] += u0 * y1 + u1 * y2 + u2 * y3
            grad[2 * _L + j] += u0 * y2 + u1 * y3
            grad[3 * _L + j] += u0 * y3


@njit(nogil=True, fastmath=True)
def _read(r, s, group):  # type: ignore[no-untyped-def]
    """Add Re(V_k x) to the outputs of one group, and leave the state."""
    o = _Y + group * GROUP * LANES
    for j in range(LANES):
        x, z = r[_STATE + j], r[_STATE + _L + j]
        s[o + j] += r[10 * _L + j] * x - r[11 * _L + j] * z
        s[o + _L + j] += r[12 * _L + j] * x - r[13 * _L + j] * z
        s[o + 2 * _L + j] += r[14 * _L + j] * x - r[15 * _L + j] * z
        s[o + 3 * _L + j] += r[16 * _L + j] * x - r[17 * _L + j] * z


@njit(nogil=True, fastmath=True)
def _advance(r, s, groups):  # type: ignore[no-untyped-def]
    """Read as `_read` does and advance the state, over some groups."""
    for group in range(groups):
        o = group * GROUP * LANES
        for j in range(LANES):
            x, z = r[_STATE + j], r[_STATE + _L + j]
            u0, u1, u2, u3 = s[o + j], s[o + _L + j], s[o + 2 * _L + j], s[o + 3 * _L + j]
            s[_Y + o + j] += r[10 * _L + j] * x - r[11 * _L + j] * z
            s[_Y + o + _L + j] += r[12 * _L + j] * x - r[13 * _L + j] * z
            s[_Y + o + 2 * _L + j] += r[14 * _L + j] * x - r[15 * _L + j] * z
            s[_Y + o + 3 * _L + j] += r[16 * _L + j] * x - r[17 * _L + j] * z
            driven_x = r[2 * _L + j] * u0 + r[4 * _L + j] * u1 + r[6 * _L + j] * u2 + r[8 * _L + j] * u3
            driven_z = r[3 * _L + j] * u0 + r[5 * _L + j] * u1 + r[7 * _L + j] * u2 + r[9 * _L + j] * u3
            r[_STATE + j] = r[j] * x - r[_L + j] * z + driven_x
            r[_STATE + _L + j] = r[j] * z + r[_L + j] * x + driven_z


@njit(nogil=True, fastmath=True)
def _states(r, s, states, groups):  # type: ignore[no-untyped-def]
    """Write the state after every group behind the one before it."""
    for group in range(groups):
        o, p = group * GROUP * LANES, group * 2 * LANES
        for j in range(LANES):
            x, z = states[p + j], states[p + _L + j]
            u0, u1, u2, u3 = s[o + j], s[o + _L + j], s[o + 2 * _L + j], s[o + 3 * _L + j]
            driven_x = r[2 * _L + j] * u0 + r[4 * _L + j] * u1 + r[6 * _L + j] * u2 + r[8 * _L + j] * u3
            driven_z = r[3 * _L + j] * u0 + r[5 * _L + j] * u1 + r[7 * _L + j] * u2 + r[9 * _L + j] * u3
            states[p + 2 * _L + j] = r[j] * x - r[_L + j] * z + driven_x
            states[p + 3 * _L + j] = r[j] * z + r[_L + j] * x + driven_z


@njit(nogil=True, fastmath=True)
def _read_sums(r, s, states):  # type: ignore[no-untyped-def]
    """Add one group's part to the gradients of V."""
    for j in range(LANES):
        x, z = states[j], states[_L + j]
        y0, y1, y2, y3 = s[_Y + j], s[_Y + _L + j], s[_Y + 2 * _L + j], s[_Y + 3 * _L + j]
        r[_SUMS + 10 * _L + j] += y0 * x
        r[_SUMS + 11 * _L + j] -= y0 * z
        r[_SUMS + 12 * _L + j] += y1 * x
        r[_SUMS + 13 * _L + j] -= y1 * z
        r[_SUMS + 14 * _L + j] += y2 * x
        r[_SUMS + 15 * _L + j] -= y2 * z
        r[_SUMS + 16 * _L + j] += y3 * x
        r[_SUMS + 17 * _L + j] -= y3 * z


@njit(nogil=True, fastmath=True)
def _read_back(r, s, states, group):  # type: ignore[no-untyped-def]
    """The adjoint of `_read`."""
    _read_sums(r, s[group * GROUP * LANES :], states[group * 2 * LANES :])
    o = _Y + group * GROUP * LANES
    for j in range(LANES):
        y0, y1, y2, y3 = s[o + j], s[o + _L + j], s[o + 2 * _L + j], s[o + 3 * _L + j]
        r[_STATE + j] += r[10 * _L + j] * y0 + r[12 * _L + j] * y1 + r[14 * _L + j] * y2 + r[16 * _L + j] * y3
        r[_STATE + _L + j] -= r[11 * _L + j] * y0 + r[13 * _L + j] * y1 + r[15 * _L + j] * y2 + r[17 * _L + j] * y3


@njit(nogil=True, fastmath=True)
def _advance_back(r, s, states, groups):  # type: ignore[no-untyped-def]
    """The adjoint of `_advance`, last group first."""
    for group in range(groups - 1, -1, -1):
        _group_back(r, s[group * GROUP * LANES :], states[group * 2 * LANES :])


@njit(nogil=True, fastmath=True)
def _group_back(r, s, states):  # type: ignore[no-untyped-def]
    """One group of `_advance_back`, in three loops: one alone has more places than the vectoriser compares."""
    _read_sums(r, s, states)
    for j in range(LANES):
        x, z = states[j], states[_L + j]
        v, w = r[_STATE + j], r[_STATE + _L + j]
        u0, u1, u2, u3 = s[j], s[_L + j], s[2 * _L + j], s[3 * _L + j]
        r[_SUMS + j] += v * x + w * z
        r[_SUMS + _L + j] += w * x - v * z
        r[_SUMS + 2 * _L + j] += u0 * v
        r[_SUMS + 3 * _L + j] += u0 * w
        r[_SUMS + 4 * _L + j] += u1 * v
        r[_SUMS + 5 * _L + j] += u1 * w
        r[_SUMS + 6 * _L + j] += u2 * v
        r[_SUMS + 7 * _L + j] += u2 * w
        r[_SUMS + 8 * _L + j] += u3 * v
        r[_SUMS + 9 * _L + j] += u3 * w
    for j in range(LANES):
        v, w = r[_STATE + j], r[_STATE + _L + j]
        y0, y1, y2, y3 = s[_Y + j], s[_Y + _L + j], s[_Y + 2 * _L + j], s[_Y + 3 * _L + j]
        s[_GU + j] += r[2 * _L + j] * v + r[3 * _L + j] * w
        s[_GU + _L + j] += r[4 * _L + j] * v + r[5 * _L + j] * w
        s[_GU + 2 * _L + j] += r[6 * _L + j] * v + r[7 * _L + j] * w
        s[_GU + 3 * _L + j] += r[8 * _L + j] * v + r[9 * _L + j] * w
        read_x = r[10 * _L + j] * y0 + r[12 * _L + j] * y1 + r[14 * _L + j] * y2 + r[16 * _L + j] * y3
        read_z = r[11 * _L + j] * y0 + r[13 * _L + j] * y1 + r[15 * _L + j] * y2 + r[17 * _L + j] * y3
        r[_STATE + j] = r[j] * v + r[_L + j] * w + read_x
        r[_STATE + _L + j] = r[j] * w - r[_L + j] * v - read_z
