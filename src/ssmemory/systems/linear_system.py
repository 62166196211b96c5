"""The project's one noun: a linear time-invariant system in discrete time, batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.ops.precise import log_from_eigenvalues, power
from ssmemory.systems.discretization import Discretization, discretize_dense, discretize_diagonal
from ssmemory.systems.several_inputs import dense_modes, diagonal_modes
from ssmemory.systems.spectrum import Spectrum, dense_eigenvalues, dense_spectrum, diagonal_spectrum


@runtime_checkable
class HasSystem(Protocol):
    """Anything that can hand out the linear system inside it, batched over its channels."""

    def system(self) -> LinearSystem:
        """Return the system."""
        ...


def _tensor(name: str, value: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Return ``value`` in double precision on the CPU, where theory is computed, refusing NaN and infinity."""
    try:
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))  # numpy: float64, not 32
    except (TypeError, ValueError):
        reject(
            name,
            expected="an array of numbers",
            got=" ".join(repr(value).split())[:60],
            fix="give a tensor, an array or a list",
        )
    if dtype is None:
        dtype = torch.complex128 if tensor.is_complex() else torch.float64
    if tensor.is_complex() and not dtype.is_complex:
        reject(name, expected="real numbers", got="complex ones", fix="take the real part yourself if it is meant")
    tensor = tensor.to("cpu", dtype)
    if not bool(torch.isfinite(tensor.detach()).all()):
        bad = int((~torch.isfinite(tensor.detach())).sum())
        reject(name, expected="finite numbers", got=f"{bad} NaN or infinite", fix="check where they come from")
    return tensor


def _fits(shape: torch.Size, batch: torch.Size) -> bool:
    """Whether ``shape`` expands to ``batch``."""
    return len(shape) <= len(batch) and all(a in (1, b) for a, b in zip(reversed(shape), reversed(batch), strict=False))


def _input_matrix(B: Any, batch: torch.Size, n: int) -> Tensor:
    """Bring B to shape (*batch, n, inputs); a vector, batched or not, is one input."""
    B = torch.ones(n, dtype=torch.float64) if B is None else _tensor("B", B)
    given = tuple(B.shape)
    if B.ndim == 1 or B.shape == (*batch, n):
        B = B.unsqueeze(-1)
    if B.ndim < 2 or B.shape[-2] != n or not _fits(B.shape[:-2], batch):
        shapes = f"({n},), {(*batch, n)} or {(*batch, n, 'inputs')}".replace("'", "")
        reject("B", expected=f"shape {shapes}", got=given, fix="give one row a state")
    return B.expand(*batch, *B.shape[-2:])


def _output_matrix(C: Any, batch: torch.Size, n: int) -> Tensor | None:
    """Bring C to shape (*batch, outputs, n); a vector, batched or not, is one output."""
    if C is None:
        return None
    C = _tensor("C", C)
    given = tuple(C.shape)
    if C.ndim == 1 or C.shape == (*batch, n):
        C = C.unsqueeze(-2)
    if C.ndim < 2 or C.shape[-1] != n or not _fits(C.shape[:-2], batch):
        shapes = f"({n},), {(*batch, n)} or {(*batch, 'outputs', n)}".replace("'", "")
        reject("C", expected=f"shape {shapes}", got=given, fix="give one column a state")
    return C.expand(*batch, *C.shape[-2:])


def _feedthrough(D: Any, batch: torch.Size, outputs: int, inputs: int) -> Tensor | None:
    """Bring D to shape (*batch, outputs, inputs); a number, batched or not, is one input and one output."""
    if D is None:
        return None
    D = _tensor("D", D)
    if outputs == inputs == 1 and D.shape in ((), batch):
        D = D[..., None, None]
    if D.ndim < 2 or D.shape[-2:] != (outputs, inputs) or not _fits(D.shape[:-2], batch):
        fix = "give one row an output, one column an input"
        reject("D", expected=f"shape {(*batch, outputs, inputs)}", got=tuple(D.shape), fix=fix)
    return D.expand(*batch, outputs, inputs)


def _vector(name: str, value: Any, dtype: torch.dtype | None = None) -> Tensor:
    tensor = _tensor(name, value, dtype)
    if tensor.ndim == 0 or tensor.shape[-1] == 0:
        reject(name, expected="shape (*batch, N) with N ≥ 1", got=tuple(tensor.shape), fix="give at least one")
    return tensor


def _steps(dt: Any, batch: torch.Size) -> Tensor:
    dt = _tensor("dt", dt, torch.float64)
    if not bool((dt.detach() > 0).all()):
        reject("dt", expected="positive steps", got=float(dt.detach().min()), fix="dt is a duration, such as 0.01")
    try:
        return dt.expand(torch.broadcast_shapes(dt.shape, batch))
    except RuntimeError:
        return reject("dt", expected=f"one step, or shape {tuple(batch)}", got=tuple(dt.shape), fix="one a system")


@dataclass(frozen=True, eq=False, repr=False)
class LinearSystem:
    """``x[t] = A x[t−1] + B u[t]``, ``y[t] = C x[t] + D u[t]``; diagonal or dense, real or complex, batched.

    Make one with `from_eigenvalues`, `from_matrices` or `from_continuous`. Lag 0 is the current input, so the
    Markov parameters begin with ``C B + D``. Everything is held in float64 or complex128.

    A diagonal system is held by ``log λ``, not λ: near the unit circle 1 − |λ|² and far powers keep their digits.
    With ``conj_sym`` its modes are one half of conjugate pairs, and ``y = 2 Re(C x) + D u``: the real system of
    S4D, S5 and LRU. There `eigenvalues` and `d_state` speak of both halves.

    Attributes:
        log_modes: (*batch, modes) log λ of the modes given, or None for a dense system.
        A: (*batch, N, N) of a dense system, else None.
        B: (*batch, modes or N, inputs).
        C: (*batch, outputs, modes or N), or None where nothing is read out.
        D: (*batch, outputs, inputs), or None for zero.
        conj_sym: whether the conjugates of the modes belong to the system without being stored.

    Example:
        >>> system = LinearSystem.from_eigenvalues([0.9, 0.5 + 0.5j], conj_sym=True)
        >>> system.d_state, int(system.rank)
        (4, 3)
    """

    log_modes: Tensor | None
    A: Tensor | None
    B: Tensor
    C: Tensor | None
    D: Tensor | None
    conj_sym: bool

    @classmethod
    def _assemble(
        cls, log_modes: Tensor | None, A: Tensor | None, B: Any, C: Any, D: Any, conj_sym: bool, scale: Any = None
    ) -> Self:
        if A is None:
            assert log_modes is not None
            batch, n = log_modes.shape[:-1], log_modes.shape[-1]
        else:
            batch, n = A.shape[:-2], A.shape[-1]
        B = _input_matrix(B, batch, n)
        B = B if scale is None else B * scale.unsqueeze(-1)
        C = _output_matrix(C, batch, n)
        if D is not None and C is None:
            reject("D", expected="a C beside it", got="D alone", fix="pass C, the matrix that reads the state")
        D = _feedthrough(D, batch, 0 if C is None else C.shape[-2], B.shape[-1])
        return cls(log_modes, A, B, C, D, conj_sym)

    @classmethod
    def from_eigenvalues(
        cls, eigenvalues: Any, B: Any = None, C: Any = None, D: Any = None, *, conj_sym: bool = False
    ) -> Self:
        """Make the diagonal system with the given discrete-time eigenvalues.

        Args:
            eigenvalues: (*batch, N) λ; with ``conj_sym`` one of each conjugate pair.
            B: (N,), (*batch, N) or (*batch, N, inputs); ones if left out.
            C: (N,), (*batch, N) or (*batch, outputs, N).
            D: a number, (*batch,) or (*batch, outputs, inputs).
            conj_sym: add the conjugate of every mode; a real eigenvalue still counts once.

        Returns:
            The system.

        Raises:
            InputError: NaN, an empty array, or shapes that do not fit.

        Example:
            >>> LinearSystem.from_eigenvalues([0.5, 0.25]).markov_parameters(3).squeeze()
            Traceback (most recent call last):
            ...
            ssmemory.errors.InputError: C: expected a read-out, got None; make the system with C
        """
        modes = _vector("eigenvalues", eigenvalues, torch.complex128)
        return cls._assemble(log_from_eigenvalues(modes), None, B, C, D, conj_sym)

    @classmethod
    def from_log_eigenvalues(
        cls, log_eigenvalues: Any, B: Any = None, C: Any = None, D: Any = None, *, conj_sym: bool = False
    ) -> Self:
        """Make the diagonal system with eigenvalues ``exp(log_eigenvalues)``; otherwise as `from_eigenvalues`.

        This is how a layer hands out its system without rounding 1 − |λ| away.

        Args:
            log_eigenvalues: (*batch, N) log λ, for a zero-order hold dt·a.
            B: as in `from_eigenvalues`, in discrete time.
            C: as in `from_eigenvalues`.
            D: as in `from_eigenvalues`.
            conj_sym: as in `from_eigenvalues`.

        Returns:
            The system.

        Raises:
            InputError: NaN, an empty array, or shapes that do not fit.
        """
        return cls._assemble(_vector("log_eigenvalues", log_eigenvalues, torch.complex128), None, B, C, D, conj_sym)

    @classmethod
    def from_matrices(cls, A: Any, B: Any, C: Any = None, D: Any = None) -> Self:
        """Make the system with a dense discrete-time state matrix.

        Args:
            A: (*batch, N, N), real or complex.
            B: (N,), (*batch, N) or (*batch, N, inputs).
            C: (N,), (*batch, N) or (*batch, outputs, N).
            D: a number, (*batch,) or (*batch, outputs, inputs).

        Returns:
            The system.

        Raises:
            InputError: NaN, a matrix that is not square, or shapes that do not fit.

        Example:
            >>> int(LinearSystem.from_matrices([[0.5, 0.0], [0.0, 0.5]], [1.0, 1.0]).rank)
            1
        """
        A = _tensor("A", A)
        if A.ndim < 2 or A.shape[-1] != A.shape[-2] or A.shape[-1] == 0:
            fix = "for a diagonal system use from_eigenvalues"
            reject("A", expected="shape (*batch, N, N) with N ≥ 1", got=tuple(A.shape), fix=fix)
        return cls._assemble(None, A, B, C, D, False)

    @classmethod
    def from_continuous(
        cls, A: Any, B: Any = None, C: Any = None, D: Any = None, *, dt: Any,
        discretization: Discretization = "zoh", conj_sym: bool = False,
    ) -> Self:  # fmt: skip
        """Make a diagonal system from continuous-time eigenvalues: ``x' = A x + B u`` held over steps of dt.

        ``dt·a`` is kept, not rounded to λ. For a dense A see `from_continuous_matrices`.

        Args:
            A: (*batch, N) continuous eigenvalues, per unit of time.
            B: as in `from_eigenvalues`, in continuous time.
            C: as in `from_eigenvalues`.
            D: as in `from_eigenvalues`.
            dt: the step in the same unit of time: a number or (*batch,).
            discretization: "zoh" (zero-order hold) or "bilinear".
            conj_sym: add the conjugate of every mode.

        Returns:
            The system in discrete time.

        Raises:
            InputError: dt not positive, an unknown discretization, NaN, or shapes that do not fit.

        Example:
            >>> float(LinearSystem.from_continuous([-1.0], dt=0.1).eigenvalues.real)
            0.9048374180359595
        """
        modes = _vector("A", A, torch.complex128)
        steps = _steps(dt, modes.shape[:-1]).unsqueeze(-1)
        log_modes, scale = discretize_diagonal(modes, steps, discretization)
        return cls._assemble(log_modes, None, B, C, D, conj_sym, scale)

    @classmethod
    def from_continuous_matrices(
        cls, A: Any, B: Any, C: Any = None, D: Any = None, *, dt: Any, discretization: Discretization = "zoh"
    ) -> Self:
        """Make a dense system from ``x' = A x + B u`` held over steps of dt.

        Args:
            A: (*batch, N, N) real, per unit of time.
            B: (N,), (*batch, N) or (*batch, N, inputs), real.
            C: as in `from_matrices`.
            D: as in `from_matrices`.
            dt: the step in the same unit of time: a number or (*batch,).
            discretization: "zoh" (zero-order hold) or "bilinear".

        Returns:
            The system in discrete time; an exactly triangular A stays exactly triangular.

        Raises:
            InputError: dt not positive, an unknown discretization, NaN, or shapes that do not fit.
        """
        continuous = cls.from_matrices(A, B, C, D)
        assert continuous.A is not None
        steps = _steps(dt, continuous.A.shape[:-2])[..., None, None]
        A_bar, B_bar = discretize_dense(continuous.A, continuous.B, steps, discretization)
        return cls._assemble(None, A_bar, B_bar, continuous.C, continuous.D, False)

    def __repr__(self) -> str:
        """Return the kind, the batch shape and the sizes."""
        kind = "dense" if self.A is not None else "diagonal, conjugate pairs" if self.conj_sym else "diagonal"
        batch = f", batch={tuple(self.batch_shape)}" if self.batch_shape else ""
        return f"LinearSystem({kind}{batch}, d_state={self.d_state}, inputs={self.n_inputs})"

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch of systems; empty for one system."""
        return self.B.shape[:-2]

    @property
    def n_inputs(self) -> int:
        """Number of input channels of each system."""
        return self.B.shape[-1]

    @property
    def d_state(self) -> int:
        """Full state size: with ``conj_sym`` both halves of every pair, a real mode given counted twice."""
        return self.B.shape[-2] * (2 if self.conj_sym else 1)

    @property
    def log_eigenvalues(self) -> Tensor:
        """(*batch, d_state) log λ of a diagonal system, conjugates included."""
        if self.log_modes is None:
            fix = "use eigenvalues, or spectrum().log_eigenvalues"
            reject("log_eigenvalues", expected="a diagonal system", got="a dense one", fix=fix)
        return torch.cat([self.log_modes, self.log_modes.conj()], -1) if self.conj_sym else self.log_modes

    @property
    def eigenvalues(self) -> Tensor:
        """(*batch, d_state) complex128 eigenvalues of A, conjugates included, repeats not merged."""
        if self.A is not None:
            return dense_eigenvalues(self.A)
        return power(self.log_eigenvalues, 1)

    def spectrum(self) -> Spectrum:
        """Return which eigenvalues count as state directions, and how several inputs drive them; see `Spectrum`.

        Returns:
            The spectrum; an eigenvalue counts up to once an input.

        Raises:
            InputError: gradients are wanted where a dense A has none; see `dense_spectrum`, `dense_modes`.
        """
        if self.A is not None:
            return dense_spectrum(self.A, self.B.squeeze(-1)) if self.n_inputs == 1 else dense_modes(self.A, self.B)
        B = torch.cat([self.B, self.B.conj()], -2) if self.conj_sym else self.B
        if self.n_inputs == 1:
            return diagonal_spectrum(self.log_eigenvalues, B.squeeze(-1) != 0)
        return diagonal_modes(self.log_eigenvalues, B)

    @property
    def rank(self) -> Tensor:
        """(*batch,) number of state directions that the inputs reach: the memory capacity in theory."""
        return self.spectrum().rank

    def to_dense(self) -> LinearSystem:
        """Return the same system with dense matrices, conjugates written out."""
        if self.log_modes is None:
            return self
        B, C = self.B, self.C
        if self.conj_sym:
            B = torch.cat([B, B.conj()], -2)
            C = None if C is None else torch.cat([C, C.conj()], -1)
        return LinearSystem._assemble(None, torch.diag_embed(self.eigenvalues), B, C, self.D, False)

    def markov_parameters(self, length: int) -> Tensor:
        """Return the impulse response ``C B + D, C A B, …, C A^(length−1) B``.

        Args:
            length: how many, at least 1.

        Returns:
            (*batch, length, outputs, inputs); real for a ``conj_sym`` system.

        Raises:
            InputError: no C, or a length below 1.

        Example:
            >>> LinearSystem.from_eigenvalues([0.5], C=[2.0]).markov_parameters(3).real.flatten().tolist()
            [2.0, 1.0, 0.5]
        """
        if self.C is None:
            reject("C", expected="a read-out", got="None", fix="make the system with C")
        if length < 1:
            reject("length", expected="at least 1", got=length, fix="ask for the first `length` parameters")
        C, state, response = self.C, self.B, []
        if self.A is not None:
            dtype = torch.promote_types(torch.promote_types(C.dtype, state.dtype), self.A.dtype)
            A, C, state = self.A.to(dtype), C.to(dtype), state.to(dtype)
            for _ in range(length):
                response.append(C @ state)
                state = A @ state
            values = torch.stack(response, -3)
        else:
            assert self.log_modes is not None
            powers = torch.stack([power(self.log_modes, k) for k in range(length)], -1)
            values = torch.einsum("...on,...nk,...ni->...koi", C.to(powers.dtype), powers, state.to(powers.dtype))
        if self.conj_sym:
            values = 2 * values.real
        if self.D is not None:
            values = torch.cat([values[..., :1, :, :] + self.D.unsqueeze(-3), values[..., 1:, :, :]], -3)
        return values
