"""The memory function by its definition, in ball arithmetic: solve with the Gramian, never with the all-pass theorem.

``P = A P A* + b b*`` has the closed form ``P_ij = 1 / (1 − λ_i λ̄_j)`` for a diagonal A with b of ones, and is one
Kronecker system for a dense A; then ``MF(τ) = v* P⁻¹ v`` with ``v = A^τ b``. Float64 arguments are taken as exact
numbers. Arb's balls carry a rigorous error bound; precision is doubled until the bound is far below float64's, so
that a wrong digit is a wrong formula and never rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from flint import acb, acb_mat, arb, ctx

_ERROR = arb("1e-20")  # relative error bound of a reference value; float64 has 1e-16
_FLOOR = arb("1e-330")  # below this, where float64 has only 0, an absolute bound will do
_MOST_BITS = 50_000


def memory_of_eigenvalues(eigenvalues: Iterable[complex], lags: Sequence[int]) -> np.ndarray:
    """MF at each lag of a diagonal system whose distinct eigenvalues are exactly these float64 numbers."""
    return _as_floats(_sharpen(lambda: _memory([_exact(value) for value in eigenvalues], lags)))


def memory_of_log_eigenvalues(log_eigenvalues: Iterable[complex], lags: Sequence[int]) -> np.ndarray:
    """MF at each lag, with log λ exactly these float64 numbers."""
    return _as_floats(_sharpen(lambda: _memory([_exact(value).exp() for value in log_eigenvalues], lags)))


def memory_of_matrices(A: np.ndarray, b: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """MF at each lag of a dense system that b reaches entirely; N² unknowns, so for small N."""
    n = len(b)

    def attempt() -> list[arb]:
        matrix = acb_mat(n, n, [_exact(value) for value in np.ravel(A)])
        vector = acb_mat(n, 1, [_exact(value) for value in b])
        pairs = [(i, j) for i in range(n) for j in range(n)]
        stein = [
            (1 if p == q else 0) - matrix[p[0], q[0]] * matrix[p[1], q[1]].conjugate() for p in pairs for q in pairs
        ]
        right = [vector[i, 0] * vector[j, 0].conjugate() for i, j in pairs]
        gram = acb_mat(n * n, n * n, stein).solve(acb_mat(n * n, 1, right))
        columns = [matrix ** int(lag) * vector for lag in lags]
        return _quadratic_forms(
            acb_mat(n, n, [gram[k, 0] for k in range(n * n)]),
            acb_mat(n, len(lags), [column[i, 0] for i in range(n) for column in columns]),
        )

    return _as_floats(_sharpen(attempt))


def memory_of_inputs(eigenvalues: Iterable[complex], B: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """(lags, inputs): MF of each input of a diagonal system, all reached, by ``P_ij = b_i b_j* / (1 − λ_i λ̄_j)``."""
    n, m = B.shape

    def attempt() -> list[arb]:
        poles, rows = [_exact(value) for value in eigenvalues], _matrix(B)
        products = rows * rows.conjugate().transpose()
        gram = acb_mat(
            n, n, [products[i, j] / (1 - poles[i] * poles[j].conjugate()) for i in range(n) for j in range(n)]
        )
        powers = [[pole ** int(lag) for lag in lags] for pole in poles]
        columns = [powers[i][t] * rows[i, k] for i in range(n) for t in range(len(lags)) for k in range(m)]
        return _quadratic_forms(gram, acb_mat(n, len(lags) * m, columns))

    return _as_floats(_sharpen(attempt)).reshape(len(lags), m)


def memory_of_matrices_and_inputs(A: np.ndarray, B: np.ndarray, lags: Sequence[int], bits: int = 400) -> np.ndarray:
    """(lags, inputs): MF of each input of a dense system, reached entirely, by ``P ← P + A^k P A*^k``, k doubled.

    The sum is cut where ``A^k`` is below 2^(−2 bits), far under the balls' own bounds; so for large N.
    """
    n, m = B.shape

    def attempt() -> list[arb]:
        matrix, columns = _matrix(A), _matrix(B)
        gram, power = columns * columns.conjugate().transpose(), matrix
        entries = [(i, j) for i in range(n) for j in range(n)]
        while abs(sum((abs(power[i, j]) for i, j in entries), arb(0)).mid()) > arb(2) ** (-2 * ctx.prec):
            gram, power = gram + power * gram * power.conjugate().transpose(), power * power
        moved = [matrix ** int(lag) * columns for lag in lags]
        flat = [moved[t][i, k] for i in range(n) for t in range(len(lags)) for k in range(m)]
        return _quadratic_forms(gram, acb_mat(n, len(lags) * m, flat))

    return _as_floats(_sharpen(attempt, bits)).reshape(len(lags), m)


def gradient_of_memory(eigenvalues: Sequence[complex], lag: int) -> np.ndarray:
    """∂MF(lag)/∂Re λ + i ∂MF(lag)/∂Im λ by central differences of width 2⁻¹⁵⁰, good to some 80 digits."""

    def difference(which: int, direction: complex) -> list[arb]:
        def attempt() -> list[arb]:
            step = arb(2) ** -150
            at = []
            for sign in (1, -1):
                poles = [_exact(value) for value in eigenvalues]
                poles[which] += sign * step * _exact(direction)
                at.append(_memory(poles, [lag])[0])
            return [(at[0] - at[1]) / (2 * step)]

        return _sharpen(attempt, bits=1000)

    return np.array(
        [complex(*(_as_floats(difference(k, direction))[0] for direction in (1, 1j))) for k in range(len(eigenvalues))]
    )


def power_of_matrix(A: np.ndarray, exponent: int) -> np.ndarray:
    """A^exponent, with A exactly these float64 numbers."""
    n = len(A)

    def attempt() -> list[arb]:
        result = acb_mat(n, n, [_exact(value) for value in np.ravel(A)]) ** exponent
        return [part for i in range(n) for j in range(n) for part in (result[i, j].real, result[i, j].imag)]

    return _as_floats(_sharpen(attempt)).view(complex).reshape(n, n)


def _matrix(values: np.ndarray) -> acb_mat:
    return acb_mat(*values.shape, [_exact(value) for value in np.ravel(values)])


def _exact(value: complex) -> acb:
    value = complex(value)
    return acb(arb(value.real), arb(value.imag))


def _memory(poles: list[acb], lags: Sequence[int]) -> list[arb]:
    n = len(poles)
    gram = acb_mat(n, n, [1 / (1 - left * right.conjugate()) for left in poles for right in poles])
    return _quadratic_forms(gram, acb_mat(n, len(lags), [pole ** int(lag) for pole in poles for lag in lags]))


def _quadratic_forms(gram: acb_mat, columns: acb_mat) -> list[arb]:
    """v* P⁻¹ v for every column v."""
    solved = gram.solve(columns)
    n, count = columns.nrows(), columns.ncols()
    return [sum(((columns[i, t].conjugate() * solved[i, t]).real for i in range(n)), arb(0)) for t in range(count)]


def _sharpen(attempt: Callable[[], list[arb]], bits: int = 400) -> list[arb]:
    """Double the precision until every value has a relative error bound of 1e-20."""
    before = ctx.prec
    try:
        while bits <= _MOST_BITS:
            ctx.prec = bits
            try:
                values = attempt()
            except ZeroDivisionError:  # the matrix may be singular as far as this precision can tell
                values = None
            if values is not None and all(value.rad() < _ERROR * (abs(value.mid()) + _FLOOR) for value in values):
                return values
            bits *= 2
    finally:
        ctx.prec = before
    raise AssertionError(f"the reference has no 20 digits at {_MOST_BITS} bits")


def _as_floats(values: list[arb]) -> np.ndarray:
    return np.array([float(value.mid()) for value in values])
