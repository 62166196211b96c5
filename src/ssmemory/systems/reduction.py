"""How many states a system needs: Hankel singular values, and balanced truncation with its error bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ssmemory.errors import UnstableError, reject
from ssmemory.ops.precise import log_from_eigenvalues
from ssmemory.systems.gramians import GramianFactors, gramian_factors, is_complex, real_part
from ssmemory.systems.linear_system import LinearSystem

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(float).eps)
_EIGENVECTORS = 1e8  # condition number up to which a reduced system is diagonalised
_CHUNK = 2**22  # numbers at a time of a response over many frequencies


@dataclass(frozen=True, eq=False, repr=False)
class Reduction:
    """A system with fewer states and a bound on what that changes; made by `balanced_truncation`.

    Attributes:
        system: the reduced system, stable, dense, balanced; real where the original is real.
        singular_values: (*batch, d_state) Hankel singular values of the original, largest first.
        bound: (*batch,) twice the sum of the discarded values, equal ones counted once: no frequency is changed by
            more, in exact arithmetic.
        rank: (*batch,) how many of the values are above rounding.
        original: the system that was reduced.
        asked: the d_state asked for, or None where a tolerance was.

    Example:
        >>> system = LinearSystem.from_eigenvalues([0.9, 0.5], C=[1.0, 0.01])
        >>> reduced = balanced_truncation(system, 1)
        >>> reduced.system.d_state, bool(reduced.error_measured() <= reduced.bound)
        (1, True)
    """

    system: LinearSystem
    singular_values: Float64[Tensor, "*batch d_state"]
    bound: Float64[Tensor, "*batch"]
    rank: Int64[Tensor, "*batch"]
    original: LinearSystem
    asked: int | None = None

    def __repr__(self) -> str:
        """Return the sizes and the bound."""
        sizes = f"d_state {self.original.d_state} -> {self.system.d_state}"
        return f"Reduction({sizes}, bound={float(self.bound.max()):.3g})"

    def error_measured(self, n_frequencies: int = 4096) -> Float64[Tensor, "*batch"]:
        """Return the largest ``‖G(e^iω) − G_r(e^iω)‖`` found: the gain of the error to a sine of the worst frequency.

        Args:
            n_frequencies: how many, at least 1, evenly round the circle, or for a real system its upper half; the
                phases of all eigenvalues, where narrow resonances sit, are added.

        Returns:
            (*batch,) the largest singular value, over the frequencies looked at; never more than `bound` but for
            rounding, about 1e-15/(1 − |λ|) of the gain of the original.

        Raises:
            InputError: no frequency.
        """
        if n_frequencies < 1:
            reject("n_frequencies", expected="at least 1", got=n_frequencies, fix="4096 is a good number")
        end = 2 * np.pi * (1 - 1 / n_frequencies) if is_complex(self.original) else np.pi
        grid = torch.linspace(0, end, n_frequencies, dtype=torch.float64)
        errors = []
        for full, small in zip(_each(self.original), _each(self.system), strict=True):
            phases = [full.eigenvalues.angle(), small.eigenvalues.angle()]
            omega = torch.cat([grid, *phases])
            difference = _response(full, omega) - _response(small, omega)
            errors.append(torch.linalg.matrix_norm(difference, 2).max())
        return torch.stack(errors).reshape(self.bound.shape)

    def to_diagonal(self) -> LinearSystem:
        """Return the reduced system in diagonal form, as S4D and LRU hold theirs.

        A real system gives ``conj_sym`` modes, one of each pair; a real eigenvalue is a mode of its own, with half
        its C, which `LinearSystem.d_state` counts twice. Systems of a batch that need fewer modes get modes with
        λ = B = C = 0. A complex system gives all its modes.

        Returns:
            The diagonal system; the same transfer function, D included.

        Raises:
            InputError: eigenvectors of a condition number above 1e8: the system has (nearly) a Jordan block.
        """
        real = not is_complex(self.system)
        pieces = [_diagonal(system, real) for system in _each(self.system)]
        modes = max(len(values) for values, _, _ in pieces)
        n_out, n_in = pieces[0][2].shape[0], self.system.n_inputs
        shape, count = self.system.batch_shape, len(pieces)
        values = np.zeros((count, modes), complex)
        B, C = np.zeros((count, modes, n_in), complex), np.zeros((count, n_out, modes), complex)
        for k, (poles, rows, columns) in enumerate(pieces):
            values[k, : len(poles)], B[k, : len(poles)], C[k, :, : len(poles)] = poles, rows, columns
        logs = log_from_eigenvalues(torch.from_numpy(values).reshape(*shape, modes))
        rows_of_B = torch.from_numpy(B).reshape(*shape, modes, n_in)
        read_out = torch.from_numpy(C).reshape(*shape, n_out, modes)
        return LinearSystem(logs, None, rows_of_B, read_out, self.system.D, real)

    def explain(self) -> str:
        """Return in plain words what was kept, what it may change, and whether anything was reduced at all."""
        before, after, rank = self.original.d_state, self.system.d_state, int(self.rank.max())
        gain = float(self.singular_values[..., 0].max())
        worst = float(self.bound.max())
        batch = " (the worst of the batch)" if self.original.batch_shape else ""
        if self.asked is not None and self.asked >= rank:
            found = f"The system has {rank} directions above rounding, of {before} states"
            if rank < before:
                return f"{found}; {self.asked} were asked for, so only the empty ones were removed and nothing is lost."
            return f"{found}; {self.asked} were asked for, so nothing was reduced."
        if after >= before:
            return f"All {before} states are needed for the tolerance: nothing was reduced."
        return (
            f"{after} of {before} states are kept. No frequency changes by more than {worst:.3g}{batch}; "
            f"the largest Hankel singular value is {gain:.3g}."
        )


def hankel_singular_values(system: LinearSystem) -> Float64[Tensor, "*batch d_state"]:
    """Return the Hankel singular values: how much of its past input each direction of the state hands to the output.

    The singular values of the operator from past inputs to the outputs they leave behind, with the entries
    ``C A^(i+j) B``, i, j ≥ 0: the roots of the eigenvalues of P Q. Independent of the basis and of D. Exact, O(N³)
    times log(1/(1 − |λ|)).

    Args:
        system: a stable system with a read-out C.

    Returns:
        (*batch, d_state) in the unit of the output per unit of input, largest first; rounding stands where the exact
        value is 0 (modes not reached or not seen, repeated eigenvalues). Carries no gradient.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle.
        InputError: no C.

    Numerics:
        The singular values of L S, from the factors P = S S* and Q = L* L of `gramian_factors`. Absolute error a few
        1e-16 ‖L‖‖S‖, usually that share of the largest value: values down to 1e-3 of it have 12 digits, those under
        1e-14 of it are rounding; the eigenvalues of P Q are rounding below 1e-8. A diagonal system keeps these digits
        however near the circle; a dense one loses to about eps/(1 − |λ|), for its entries do not say more.

    Source:
        Glover, Int. J. Control 39 (1984).

    Example:
        >>> system = LinearSystem.from_eigenvalues([0.5], B=[3.0], C=[1.0])
        >>> round(float(hankel_singular_values(system)), 12)
        4.0
    """
    return _balanced(gramian_factors(system))[1]


def effective_state_size(system: LinearSystem, level: float = 0.99) -> Int64[Tensor, "*batch"]:
    """Return how many directions hold a share ``level`` of the sum of the Hankel singular values.

    The sum, not the energy (the sum of squares): what balanced truncation leaves out is bounded by twice the rest.

    Args:
        system: a stable system with a read-out C.
        level: the share, above 0 and at most 1.

    Returns:
        (*batch,) the number of directions; 0 for a system whose output does not depend on past states.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle.
        InputError: no C, or a level out of range.

    Example:
        >>> int(effective_state_size(LinearSystem.from_eigenvalues([0.9, 0.5], C=[1.0, 0.001])))
        1
    """
    if not 0 < level <= 1:
        reject("level", expected="above 0 and at most 1", got=level, fix="0.99 is the usual one")
    values = hankel_singular_values(system)
    values = torch.where(values > _floor(values), values, torch.zeros_like(values))
    total = values.sum(-1, keepdim=True)
    held = values.cumsum(-1)
    enough = held >= level * total * (1 - 4 * values.shape[-1] * _EPS)
    return torch.where(total.squeeze(-1) > 0, enough.to(torch.int64).argmax(-1) + 1, 0)


def balanced_truncation(system: LinearSystem, d_state: int | None = None, tolerance: float | None = None) -> Reduction:
    """Return the system with only its strongest directions, those of the largest Hankel singular values.

    In balanced coordinates P = Q = diag(σ); the states of the smallest σ are left out. The result is stable (in
    discrete time even where equal σ are cut apart), and with the distinct discarded values each counted once
    ``max_ω ‖G(e^iω) − G_r(e^iω)‖ ≤ 2 Σ σ``. D is kept.

    Args:
        system: a stable system with a read-out C, batched or not.
        d_state: how many states to keep, at least 1; no more than the largest rank of the batch are kept.
        tolerance: in its place, the largest bound allowed, as a share of the largest Hankel singular value: the
            error is then at most this share of the largest gain of G − D. In (0, 1). A batch keeps one size, that of
            the system which needs most.

    Returns:
        The reduction.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle, of the system or, by rounding, of the result.
        InputError: no C; both or neither of d_state and tolerance, or one out of range.

    Numerics:
        The square-root method: from the factors of `hankel_singular_values`, nothing inverted but the kept σ.

    Source:
        Moore, IEEE TAC 26 (1981); Al-Saggaf and Franklin, IEEE TAC 32 (1987), for the bound in discrete time; Beck,
        Doyle and Glover, IEEE TAC 41 (1996), for equal values counted once; Tombs and Postlethwaite, Int. J. Control
        46 (1987), for the square-root method.

    Example:
        >>> system = LinearSystem.from_eigenvalues([0.9, 0.9, 0.5], C=[1.0, 1.0, 0.001])
        >>> balanced_truncation(system, tolerance=0.01).system.d_state
        1
    """
    _check_size(d_state, tolerance)
    factors = gramian_factors(system)
    U, values, V = _balanced(factors)
    rank = (values > _floor(values)).sum(-1)
    largest = max(1, int(rank.max()))
    size = min(d_state, largest) if d_state is not None else _size_for(values, float(tolerance or 0), largest)
    kept = values[..., :size]
    alive = kept > _floor(values)
    root = torch.where(alive, kept, torch.ones_like(kept)).rsqrt() * alive
    left = root.unsqueeze(-1) * (U[..., :size].mH @ factors.L)
    right = factors.S @ V[..., :size] * root.unsqueeze(-2)
    A = left @ (factors.A @ right)
    D = None if system.D is None else system.D.detach()
    reduced = LinearSystem(None, A, left @ factors.B, factors.C @ right, D, False)
    worst = float(reduced.eigenvalues.abs().max())
    if not worst < 1:
        fix = "rounding pushed it out: keep a state less, or move the eigenvalues in"
        reject("d_state", expected="a stable result", got=f"max |λ| = {worst:.6g}", fix=fix, error=UnstableError)
    return Reduction(reduced, values, _bound(values, size), rank, system, d_state)


def _balanced(factors: GramianFactors) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, values and V of ``L S = U diag(values) V*``, with zeros where a factor has a rank below N."""
    U, values, Vh = torch.linalg.svd(factors.L @ factors.S, full_matrices=False)
    n = factors.A.shape[-1]
    return _widened(U, n), _widened(values.unsqueeze(-2), n).squeeze(-2), _widened(Vh.mH, n)


def _widened(vectors: Tensor, n: int) -> Tensor:
    """Return the vectors with zero columns up to n of them."""
    return torch.cat([vectors, vectors.new_zeros(*vectors.shape[:-1], max(0, n - vectors.shape[-1]))], -1)


def _floor(values: Tensor) -> Tensor:
    """Return the size below which a singular value is rounding."""
    return 8 * values.shape[-1] * _EPS * values[..., :1]


def _check_size(d_state: int | None, tolerance: float | None) -> None:
    if (d_state is None) == (tolerance is None):
        got = "neither" if d_state is None else "both"
        reject("d_state", expected="d_state or tolerance", got=got, fix="say how many states, or how large an error")
    if d_state is not None and d_state < 1:
        reject("d_state", expected="at least 1", got=d_state, fix="see effective_state_size for a good number")
    if tolerance is not None and not 0 < tolerance < 1:
        fix = "it is a share of the largest Hankel singular value, such as 0.01"
        reject("tolerance", expected="above 0 and below 1", got=tolerance, fix=fix)


def _size_for(values: Tensor, tolerance: float, largest: int) -> int:
    """Return the smallest size whose bound is within the tolerance for every system of the batch."""
    for size in range(1, largest):
        if bool((_bound(values, size) <= tolerance * values[..., 0]).all()):
            return size
    return largest


def _bound(values: Tensor, size: int) -> Tensor:
    """Return twice the sum of the values after the first ``size``; those equal within rounding count once."""
    rest = values[..., size:]
    if rest.shape[-1] == 0:
        return torch.zeros_like(values[..., 0])
    again = torch.zeros_like(rest, dtype=torch.bool)
    leader = rest[..., 0].clone()  # of the group of equal values: the largest
    for k in range(1, rest.shape[-1]):
        again[..., k] = leader - rest[..., k] <= _floor(values).squeeze(-1)
        leader = torch.where(again[..., k], leader, rest[..., k])
    return 2 * (rest * ~again).sum(-1)


def _each(system: LinearSystem) -> Iterator[LinearSystem]:
    """Yield the systems of a batch one by one, without gradient."""
    size = len(system.batch_shape)
    parts = [system.log_modes, system.A, system.B, system.C, system.D]
    flat = [None if part is None else part.detach().reshape(-1, *part.shape[size:]) for part in parts]
    assert flat[2] is not None
    for k in range(len(flat[2])):
        logs, A, B, C, D = (None if part is None else part[k] for part in flat)
        assert B is not None
        yield LinearSystem(logs, A, B, C, D, system.conj_sym)


def _response(system: LinearSystem, omega: Tensor) -> Tensor:
    """Return ``G(e^iω) = C (I − A e^−iω)⁻¹ B + D`` of one system, (frequencies, outputs, inputs)."""
    assert system.C is not None
    if system.log_modes is not None:
        B, C, logs = system.B, system.C, system.log_eigenvalues
        if system.conj_sym:
            B, C = torch.cat([B, B.conj()], -2), torch.cat([C, C.conj()], -1)
        turned = torch.complex(logs.real.expand(len(omega), -1), logs.imag - omega.unsqueeze(-1))
        zero = torch.isneginf(turned.real)
        turned = torch.where(zero, torch.zeros_like(turned), turned)
        gains = 1 / torch.where(zero, torch.ones_like(turned), -torch.expm1(turned))
        response = torch.einsum("on,wn,ni->woi", C.to(gains.dtype), gains, B.to(gains.dtype))
    else:
        assert system.A is not None
        form, basis = scipy.linalg.schur(system.A.numpy().astype(complex), output="complex")
        T, Z = torch.from_numpy(form), torch.from_numpy(basis)
        rows, columns = Z.mH @ system.B.to(T.dtype), system.C.to(T.dtype) @ Z
        chunk = max(1, _CHUNK // rows.numel())
        pieces = [_resolvent(T, rows, turn) for turn in torch.exp(-1j * omega).split(chunk)]
        response = torch.cat([torch.einsum("on,nwi->woi", columns, piece) for piece in pieces])
    return response if system.D is None else response + system.D


def _resolvent(T: Tensor, rows: Tensor, turns: Tensor) -> Tensor:
    """Return ``(I − T z)⁻¹ rows`` for an upper triangular T and every z in turns, (N, turns, inputs)."""
    n, inputs = rows.shape
    solved = torch.zeros(n, len(turns), inputs, dtype=T.dtype)
    for k in range(n - 1, -1, -1):  # back substitution, over all frequencies at once
        fed = (T[k, k + 1 :] @ solved[k + 1 :].flatten(1)).reshape(len(turns), inputs)
        solved[k] = (rows[k] + turns[:, None] * fed) / (1 - T[k, k] * turns[:, None])
    return solved


def _diagonal(system: LinearSystem, real: bool) -> tuple[Array, Array, Array]:
    """Return eigenvalues, B and C of one dense system; of a real one only one of each pair, and half of real C."""
    assert system.A is not None
    assert system.C is not None
    values, vectors = np.linalg.eig(real_part(system.A).numpy() if real else system.A.numpy())
    condition = float(np.linalg.cond(vectors))
    if condition > _EIGENVECTORS:
        fix = "keep one state more or fewer, or use the dense system"
        expected = "eigenvectors of a condition number below 1e8"
        reject("system", expected=expected, got=f"{condition:.1e}", fix=fix)
    B, C = np.linalg.solve(vectors, system.B.numpy().astype(vectors.dtype)), system.C.numpy() @ vectors
    if not real:
        return values, B, C
    upper = values.imag >= 0
    weights = np.where(values.imag == 0, 0.5, 1.0)
    return values[upper], B[upper], (C * weights)[:, upper]
