"""How strongly white input drives each direction of the state, and how strongly each one shows in the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ssmemory.errors import UnstableError, reject
from ssmemory.ops.precise import power
from ssmemory.systems.linear_system import LinearSystem

_NEGLIGIBLE = 1e-20  # of ‖A^m‖: what came m steps before can no longer change a digit
_DOUBLINGS = 100  # enough for 1 − |λ| = 1e-28


def controllability_gramian(system: LinearSystem) -> Tensor:
    """Return the covariance of the state under white input of unit variance: ``P = A P A* + B B*``.

    Exact. For a diagonal system ``P[i,j] = (B B*)[i,j] / (1 − λ_i λ‾_j)``, O(N²). For a dense one a Stein
    equation, O(N³); under ten states O(N⁶), which is still less.

    Args:
        system: a stable system; every |λ| < 1, modes that no input reaches included.

    Returns:
        (*batch, d_state, d_state), in the coordinates of `LinearSystem.to_dense`: with ``conj_sym`` the conjugates
        follow the modes. Real for real dense matrices. Differentiable for a diagonal system only.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle.

    Numerics:
        Diagonal: a few 1e-16 relative in every entry, for ``1 − λ_i λ‾_j`` is formed from log λ. Dense: about eps times
        the condition of the equation, 1/(1 − |λ|²) or worse. Do not multiply or invert Gramians: their condition
        number is the square of what `hankel_singular_values` and `input_normal_form` work with.

    Source:
        Antoulas, Approximation of Large-Scale Dynamical Systems (2005), chapter 4.

    Example:
        >>> system = LinearSystem.from_eigenvalues([0.5, 0.0], B=[3.0, 1.0])
        >>> controllability_gramian(system).real.tolist()
        [[12.0, 3.0], [3.0, 1.0]]
    """
    require_stable(system)
    if system.A is not None:
        return _stein(system.A, system.B)
    B = torch.cat([system.B, system.B.conj()], -2) if system.conj_sym else system.B
    B = B.to(torch.complex128)
    return B @ B.mH / _margins(system.log_eigenvalues)


def observability_gramian(system: LinearSystem) -> Tensor:
    """Return the output energy that a state releases by itself, as a form: ``Q = A* Q A + C* C``.

    ``x* Q x`` is the sum of |C A^k x|² over all k ≥ 0. Exact; cost and numerics as of `controllability_gramian`.

    Args:
        system: a stable system with a read-out C.

    Returns:
        (*batch, d_state, d_state), in the coordinates of `LinearSystem.to_dense`. Real for real dense matrices.
        Differentiable for a diagonal system only.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle.
        InputError: no C.

    Source:
        Antoulas, Approximation of Large-Scale Dynamical Systems (2005), chapter 4.

    Example:
        >>> system = LinearSystem.from_matrices([[0.5, 0.0], [0.0, 0.0]], [1.0, 1.0], C=[3.0, 1.0])
        >>> observability_gramian(system).numpy().round(12).tolist()
        [[12.0, 3.0], [3.0, 1.0]]
    """
    C = require_readout(system)
    require_stable(system)
    if system.A is not None:
        return _stein(system.A.mH.resolve_conj(), C.mH.resolve_conj())
    C = torch.cat([C, C.conj()], -1) if system.conj_sym else C
    C = C.to(torch.complex128)
    return C.mH @ C / _margins(system.log_eigenvalues).conj()


@dataclass(frozen=True, eq=False)
class GramianFactors:
    """A system in plain matrices, and square roots of its Gramians: P = S S*, Q = L* L.

    Real where the system is real: a conjugate pair has the coordinates √2 Re x and √2 Im x. Carries no gradient.

    Attributes:
        A: (*batch, d_state, d_state).
        B: (*batch, d_state, inputs).
        C: (*batch, outputs, d_state).
        S: (*batch, d_state, k), k ≤ d_state.
        L: (*batch, k, d_state), upper triangular.
    """

    A: Tensor
    B: Tensor
    C: Tensor
    S: Tensor
    L: Tensor


def gramian_factors(system: LinearSystem) -> GramianFactors:
    """Return square roots of both Gramians, found without forming either: half the condition, twice the digits.

    ``S ← [S, A^m S]`` holds twice as many lags each time; a QR decomposition compresses it to N columns. L likewise.

    Args:
        system: a stable system with a read-out C, batched or not.

    Returns:
        The factors.

    Raises:
        UnstableError: an eigenvalue on or outside the unit circle.
        InputError: no C, or a dense A whose powers do not decay within rounding.

    Numerics:
        O(N³ log(1/(1 − |λ|))). The error in each row of S, and column of L, is about 1e-15 of its norm. Powers of a
        diagonal system come from log λ; those of a dense one, from squaring, err by about eps/(1 − |λ|).

    Source:
        Smith, SIAM J. Appl. Math. 16 (1968), for the doubling; Penzl, SIAM J. Sci. Comput. 21 (2000), for factors.

    Example:
        >>> factors = gramian_factors(LinearSystem.from_eigenvalues([0.5], B=[3.0], C=[1.0]))
        >>> round(float(factors.S @ factors.S.mH), 12)
        12.0
    """
    require_readout(system)
    require_stable(system)
    B, C = _plain(system)
    reach, observe = B.mH, C
    first: Tensor | None = None
    for matrix in _squarings(system, B.dtype):
        first = matrix if first is None else first
        reach, observe = _compressed(reach, reach @ matrix.mH), _compressed(observe, observe @ matrix)
        if float(torch.linalg.matrix_norm(matrix).max()) <= _NEGLIGIBLE:
            return GramianFactors(first, B, C, reach.mH, observe)
    got = "powers of A that do not decay"
    expected = "eigenvalues that rounding can tell from the circle"
    return reject("A", expected=expected, got=got, fix="scale A down a little")


def require_stable(system: LinearSystem) -> None:
    """Raise `UnstableError` unless every eigenvalue of the system, reached or not, lies inside the unit circle."""
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    if system.log_modes is None:
        size = system.eigenvalues.detach().abs()
        stable = size < 1
    else:
        size = system.log_modes.detach().real.exp()
        stable = system.log_modes.detach().real < 0
    if not bool(stable.all()):
        fix = "scale the eigenvalues down, or make the real parts of a continuous system negative"
        got = f"max |λ| = {float(size.max()):.6g}"
        reject("eigenvalues", expected="every |λ| < 1, as a Gramian needs", got=got, fix=fix, error=UnstableError)


def require_readout(system: LinearSystem) -> Tensor:
    """Return C, or raise `InputError` where the system has none."""
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    if system.C is None:
        reject("C", expected="a read-out", got="None", fix="make the system with C")
    return system.C


def _margins(logs: Tensor) -> Tensor:
    """Return ``1 − λ_i λ‾_j``, from logarithms: nothing cancels near the circle."""
    total = logs.unsqueeze(-1) + logs.conj().unsqueeze(-2)
    zero = torch.isneginf(total.real)
    total = torch.where(zero, torch.zeros_like(total), total)
    return torch.where(zero, torch.ones_like(total), -torch.expm1(total))


def _stein(A: Tensor, B: Tensor) -> Tensor:
    """Return X = A X A* + B B* for a batch of dense matrices."""
    dtype = torch.promote_types(A.dtype, B.dtype)
    n = A.shape[-1]
    matrices = A.detach().to(dtype).reshape(-1, n, n).numpy()
    sources = (B @ B.mH).resolve_conj().detach().to(dtype).reshape(-1, n, n).numpy()
    solved = [scipy.linalg.solve_discrete_lyapunov(a, q) for a, q in zip(matrices, sources, strict=True)]
    X = torch.from_numpy(np.stack(solved)).to(dtype).reshape(A.shape)
    return (X + X.mH) / 2


def _compressed(above: Tensor, below: Tensor) -> Tensor:
    """Return a triangular R with R* R = above* above + below* below."""
    return torch.linalg.qr(torch.cat([above, below], -2), mode="r")[1]


def _plain(system: LinearSystem) -> tuple[Tensor, Tensor]:
    """Return B and C of the plain matrices: real coordinates √2 (Re x, Im x) for conjugate pairs."""
    assert system.C is not None
    B, C = system.B.detach(), system.C.detach()
    if system.conj_sym:
        B, C = B.to(torch.complex128) * 2**0.5, C.to(torch.complex128) * 2**0.5
        return torch.cat([B.real, B.imag], -2), torch.cat([C.real, -C.imag], -1)
    if is_complex(system):
        return B.to(torch.complex128), C.to(torch.complex128)
    return real_part(B), real_part(C)


def real_part(values: Tensor) -> Tensor:
    """Return the values as real ones, without their imaginary parts."""
    return values.real if values.is_complex() else values


def is_complex(system: LinearSystem) -> bool:
    """Whether the system has any number that is not real; ``conj_sym`` makes it real."""
    if system.conj_sym:
        return False
    parts: list[Tensor | None] = [system.A, system.B, system.C]
    if system.log_modes is not None:
        phase = system.log_modes.detach().imag.abs()
        if bool(((phase != 0) & (phase != np.pi)).any()):  # not the sign of exp(iπ), whose sine is 1e-16
            return True
    return any(part is not None and part.is_complex() and bool((part.detach().imag != 0).any()) for part in parts)


def _squarings(system: LinearSystem, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the plain A, A², A⁴ …; for a diagonal system from log λ, without rounding that grows."""
    if system.A is not None:
        matrix = system.A.detach()
        matrix = matrix.to(dtype) if dtype.is_complex else real_part(matrix)
        for _ in range(_DOUBLINGS):
            if not bool(torch.isfinite(matrix).all()):
                return
            yield matrix
            matrix = matrix @ matrix
        return
    assert system.log_modes is not None
    logs = system.log_modes.detach()
    for k in range(_DOUBLINGS):
        poles = power(logs * 2.0**k, 1)
        if system.conj_sym:
            real, imag = torch.diag_embed(poles.real), torch.diag_embed(poles.imag)
            yield torch.cat([torch.cat([real, -imag], -1), torch.cat([imag, real], -1)], -2)
        else:
            yield torch.diag_embed(poles if dtype.is_complex else poles.real)
