"""A linear recurrence whose matrices change from step to step: a gated layer, given its gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.systems.linear_system import _tensor

Structure = Literal["diagonal", "scalar", "delta", "dense"]
_DIMS = {"A": 2, "a": 1, "dense A": 3, "decay": 1, "k": 2, "beta": 1, "B": 2, "C": 2, "number": 0}  # after the batch


@dataclass(frozen=True, eq=False, repr=False)
class TimeVaryingSystem:
    """``x[t] = A_t x[t−1] + B_t u[t]``, ``y[t] = C_t x[t]``, t = 0 … T−1, from ``x[−1] = 0``; one input, batched.

    The matrices are those that real sequences gave: for Mamba, Mamba-2, gated linear attention and the delta rules
    they depend on the input, and are held fixed here. Make one with `diagonal`, `scalar`, `delta` or `dense`.
    Everything is held in float64 or complex128, without gradients. A_0 is never used.

    Attributes:
        structure: "diagonal", "scalar", "delta" or "dense".
        gates: what A_t is made of: (*batch, T, N) its diagonal; (*batch, T) the scalar, or the decay of a delta rule;
            (*batch, T, N, N) all of it.
        logarithmic: whether ``gates`` holds logarithms.
        B: (*batch, T, N).
        k: (*batch, T, N) keys of a delta rule, else None.
        beta: (*batch, T) strengths of a delta rule, else None.
        C: (*batch, T, N) the read-out, or None.

    Example:
        >>> system = TimeVaryingSystem.scalar([0.5, 0.5, 0.0], [[1.0], [2.0], [3.0]])
        >>> system.responses(1).tolist(), system.responses(2).tolist()
        ([[2.0, 0.5]], [[3.0, 0.0, 0.0]])
    """

    structure: Structure
    gates: Tensor
    logarithmic: bool
    B: Tensor
    k: Tensor | None = None
    beta: Tensor | None = None
    C: Tensor | None = None

    @classmethod
    def diagonal(cls, A: Any = None, B: Any = None, *, log_decay: Any = None, C: Any = None) -> Self:
        """Make a system with diagonal A_t, as one channel of Mamba has.

        Args:
            A: (*batch, T, N) the diagonal of A_t, real or complex; in Mamba exp(dt_t a).
            B: (*batch, T, N); in Mamba dt_t times the layer's B_t. Its batch may broadcast with that of A.
            log_decay: (*batch, T, N) log of the diagonal, in place of A; keeps the digits of 1 − |A|. Finite.
            C: (*batch, T, N) read-out, if what the outputs see is asked for; in Mamba the layer's C_t.

        Returns:
            The system.

        Raises:
            InputError: both or neither of A and log_decay, NaN, an empty sequence, or shapes that do not fit.

        Example:
            >>> TimeVaryingSystem.diagonal([[0.5, 1.0], [0.5, 1.0]], [[1.0, 1.0], [1.0, 1.0]])
            TimeVaryingSystem(diagonal, length=2, d_state=2)
        """
        gates, logarithmic = _one_of("A", A, log_decay)
        return cls._assemble("diagonal", gates, logarithmic, read_sequence("B", B), C=C)

    @classmethod
    def scalar(cls, a: Any = None, B: Any = None, *, log_decay: Any = None, C: Any = None) -> Self:
        """Make a system with ``A_t = a_t I``, as a head of Mamba-2, of retention and of linear attention has.

        Args:
            a: (*batch, T) real or complex.
            B: (*batch, T, N); in linear attention the keys. Its batch may broadcast with that of a.
            log_decay: (*batch, T) log of a, in place of it. Finite.
            C: (*batch, T, N) read-out; in linear attention the queries.

        Returns:
            The system.

        Raises:
            InputError: both or neither of a and log_decay, NaN, an empty sequence, or shapes that do not fit.
        """
        gates, logarithmic = _one_of("a", a, log_decay)
        return cls._assemble("scalar", gates, logarithmic, read_sequence("B", B), C=C)

    @classmethod
    def delta(cls, decay: Any, k: Any, beta: Any, B: Any = None, *, C: Any = None) -> Self:
        """Make a system with ``A_t = decay_t (I − beta_t k_t k_t*)``, the delta rule, gated or not.

        Args:
            decay: (*batch, T), or None for no decay.
            k: (*batch, T, N) keys, used as given: normalise them as the layer does.
            beta: (*batch, T) strengths.
            B: (*batch, T, N); ``beta_t k_t`` if left out, which is the delta rule's own.
            C: (*batch, T, N) read-out: the queries.

        Returns:
            The system.

        Raises:
            InputError: NaN, an empty sequence, or shapes that do not fit.

        Example:
            >>> system = TimeVaryingSystem.delta(None, [[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0])
            >>> system.responses(1).tolist()  # the second value overwrites the first
            [[1.0, 0.0], [0.0, 0.0]]
        """
        k, beta = read_sequence("k", k), read_sequence("beta", beta)
        gates = torch.ones_like(beta.real) if decay is None else read_sequence("decay", decay)
        if B is None:
            _common_batch({"k": k, "beta": beta})
            B = beta.unsqueeze(-1) * k
        else:
            B = read_sequence("B", B)
        return cls._assemble("delta", gates, False, B, k, beta, C)

    @classmethod
    def dense(cls, A: Any, B: Any, *, C: Any = None) -> Self:
        """Make a system with any A_t: the reference for the other structures.

        Args:
            A: (*batch, T, N, N) real or complex.
            B: (*batch, T, N). Its batch may broadcast with that of A.
            C: (*batch, T, N) read-out.

        Returns:
            The system.

        Raises:
            InputError: NaN, an empty sequence, matrices that are not square, or shapes that do not fit.
        """
        A = read_sequence("A", A, "dense A")
        if A.shape[-1] != A.shape[-2]:
            reject("A", expected="shape (*batch, T, N, N)", got=tuple(A.shape), fix="give one square matrix a step")
        return cls._assemble("dense", A, False, read_sequence("B", B), C=C)

    @classmethod
    def _assemble(
        cls, structure: Structure, gates: Tensor, logarithmic: bool, B: Tensor, k: Tensor | None = None,
        beta: Tensor | None = None, C: Any = None,
    ) -> Self:  # fmt: skip
        given = {{"diagonal": "A", "scalar": "a", "delta": "decay", "dense": "dense A"}[structure]: gates}
        given |= {name: x for name, x in (("k", k), ("beta", beta)) if x is not None}
        ends = {"B": B} if C is None else {"B": B, "C": read_sequence("C", C)}
        batch = _common_batch(given | ends)
        dtype = torch.complex128 if any(x.is_complex() for x in (*ends.values(), *given.values())) else torch.float64

        def whole(name: str, x: Tensor) -> Tensor:
            return x.to(dtype).expand(*batch, *x.shape[x.ndim - _DIMS[name] :])

        held = {name: whole(name, x) for name, x in given.items()}
        first, *_ = held.values()
        whole_C = whole("C", ends["C"]) if "C" in ends else None
        return cls(structure, first, logarithmic, whole("B", B), held.get("k"), held.get("beta"), whole_C)

    def __repr__(self) -> str:
        """Return the structure, the batch shape, the sizes and whether anything is read out."""
        batch = f", batch={tuple(self.batch_shape)}" if self.batch_shape else ""
        sizes = f"length={self.length}, d_state={self.d_state}"
        return f"TimeVaryingSystem({self.structure}{batch}, {sizes}{'' if self.C is None else ', with C'})"

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch of systems; empty for one system."""
        return self.B.shape[:-2]

    @property
    def length(self) -> int:
        """T, number of steps."""
        return self.B.shape[-2]

    @property
    def d_state(self) -> int:
        """N, size of the state."""
        return self.B.shape[-1]

    def responses(self, position: int) -> Float[Tensor, "*batch N lags"] | Complex[Tensor, "*batch N lags"]:
        """Return what is left in the state at ``position`` of the input of every lag.

        ``K[:, τ] = A_p A_{p−1} … A_{p−τ+1} B_{p−τ}``, p the position, so that ``x[p] = Σ_τ K[:, τ] u[p−τ]``. Lag 0 is
        the current input.

        Args:
            position: p, a step of the sequence, 0 … T−1.

        Returns:
            (*batch, N, p + 1), lags 0 … p in the last dimension.

        Raises:
            InputError: a position that the sequence does not have, or gates that grow beyond float64.

        Numerics:
            Backwards from the position, by products only: no division by a decay, so small gates are harmless; below
            1e-308 a response is 0. |A_t| > 1 is allowed. Time O(N p); O(N² p) for a delta rule, O(N³ p) for a dense
            A_t. Relative error about 1e-16 p.
        """
        self._check_position(position)
        K = self._unrolled(position)
        if not bool(torch.isfinite(K).all()):
            fix = "gates of modulus above 1 grow over many steps: take an earlier position"
            reject("A", expected="responses below 1e308", got=f"an overflow at position {position}", fix=fix)
        return K.mT

    def observations(self, position: int) -> Float[Tensor, "*batch later N"] | Complex[Tensor, "*batch later N"]:
        """Return what every later output sees of the state at ``position``.

        ``O[i] = C_s A_s … A_{p+1}``, s = p + 1 + i, so that ``y[s] = O[i] x[p]`` where no input follows.

        Args:
            position: p, a step of the sequence, 0 … T−1.

        Returns:
            (*batch, T − 1 − p, N); no row for the last step.

        Raises:
            InputError: a system without C, a position that the sequence does not have, or gates that grow beyond
                float64.

        Numerics:
            As `responses`, of the `adjoint`.
        """
        backwards = self.adjoint()
        self._check_position(position)
        seen = backwards._unrolled(self.length - 1 - position)[..., 1:, :].conj()
        if not bool(torch.isfinite(seen).all()):
            fix = "gates of modulus above 1 grow over many steps: take a later position, or cut the sequence"
            reject("A", expected="observations below 1e308", got=f"an overflow after position {position}", fix=fix)
        return seen

    def adjoint(self) -> TimeVaryingSystem:
        """Return the system that runs backwards from the outputs: ``z[r] = A*_{T−r} z[r−1] + C*_{T−1−r} v[r]``.

        Its responses at position ``T−1−p`` are the adjoint of what the outputs from p on see of the state at p: column
        τ is ``A*_{p+1} … A*_{p+τ} C*_{p+τ}``. It reads out what drove this one.

        Returns:
            The system.

        Raises:
            InputError: a system without C.
        """
        if self.C is None:
            reject("system", expected="a read-out C", got="none", fix="give C where the system is made")
        gates = self.gates.mH if self.structure == "dense" else self.gates.conj()
        axis = len(self.batch_shape)

        def later_first(x: Tensor) -> Tensor:
            first, rest = x.split([1, self.length - 1], axis)
            return torch.cat([first, rest.flip(axis)], axis)

        k = None if self.k is None else later_first(self.k)
        beta = None if self.beta is None else later_first(self.beta.conj())
        B, C = self.C.conj().flip(axis), self.B.conj().flip(axis)
        return TimeVaryingSystem(self.structure, later_first(gates), self.logarithmic, B, k, beta, C)

    def _check_position(self, position: int) -> None:
        if isinstance(position, bool) or not isinstance(position, Integral) or not 0 <= position < self.length:
            expected = f"a step of the sequence, 0 … {self.length - 1}"
            reject("position", expected=expected, got=repr(position), fix="the first step is 0")

    def _unrolled(self, position: int) -> Tensor:
        """Return the responses, transposed, without a check."""
        return self._by_vectors(position) if self.structure in ("diagonal", "scalar") else self._by_matrices(position)

    def _by_vectors(self, position: int) -> Tensor:
        """Return (*batch, p + 1, N) for diagonal and scalar A_t."""
        gates = self.gates.unsqueeze(-1) if self.structure == "scalar" else self.gates
        later = gates[..., 1 : position + 1, :].flip(-2)  # A_p, …, A_1
        first = torch.zeros_like if self.logarithmic else torch.ones_like
        now = first(gates[..., :1, :])
        if self.logarithmic:
            products = torch.cat([now, later.cumsum(-2)], -2).exp()
        else:
            products = torch.cat([now, later.cumprod(-2)], -2)
        return products * self.B[..., : position + 1, :].flip(-2)

    def _by_matrices(self, position: int) -> Tensor:
        """Return (*batch, p + 1, N) for any A_t: the product A_p … A_{s} is taken one factor further at a time."""
        product = torch.eye(self.d_state, dtype=self.B.dtype).expand(*self.batch_shape, -1, -1)
        K = torch.empty(*self.batch_shape, position + 1, self.d_state, dtype=self.B.dtype)
        K[..., 0, :] = self.B[..., position, :]
        for s in range(position, 0, -1):
            if self.k is None or self.beta is None:
                product = product @ self.gates[..., s, :, :]
            else:
                k = self.k[..., s, :, None]
                erased = (product @ k) * (self.beta[..., s, None, None] * k.mH)
                product = self.gates[..., s, None, None] * (product - erased)
            K[..., position - s + 1, :] = (product @ self.B[..., s - 1, :, None]).squeeze(-1)
        return K

    def blocks(self, size: int) -> Iterator[TimeVaryingSystem]:
        """Yield the systems of the batch in order, ``size`` at a time, as systems with one batch dimension.

        Args:
            size: how many at once, at least 1.

        Yields:
            Systems of batch shape (size,), the last one perhaps smaller.
        """
        given = (self.gates, self.B, self.k, self.beta, self.C)

        def chosen(at: Any) -> TimeVaryingSystem:
            gates, B, k, beta, C = (None if x is None else x[at] for x in given)
            assert gates is not None
            assert B is not None
            return TimeVaryingSystem(self.structure, gates, self.logarithmic, B, k, beta, C)

        if not self.batch_shape:
            yield chosen(None)
            return
        for flat in torch.arange(self.batch_shape.numel()).split(size):
            yield chosen(torch.unravel_index(flat, self.batch_shape))


def read_sequence(name: str, value: Any, like: str | None = None) -> Tensor:
    """Return the tensor, refusing what has not the dimensions of ``like``, or is empty."""
    tensor = _tensor(name, value).detach()
    shape = _shape(like or name)
    if tensor.ndim < _DIMS[like or name]:
        reject(name, expected=f"shape {shape}", got=tuple(tensor.shape), fix="give one entry a step")
    if 0 in tensor.shape:
        fix = "give a sequence of at least one step"
        reject(name, expected=f"shape {shape}, none of them 0", got=tuple(tensor.shape), fix=fix)
    return tensor


def read_positions(positions: Any, last: int, fix: str = "the first step is 0") -> list[int]:
    """Return steps as a list, refusing what is not one or several whole numbers from 0 to ``last``."""
    values = np.asarray(positions.detach().cpu() if isinstance(positions, Tensor) else positions)
    shown = " ".join(repr(positions).split())[:60]
    if values.dtype.kind not in "iu" or values.ndim > 1 or values.size == 0:
        reject("positions", expected="a whole number or several", got=shown, fix=fix)
    if values.min() < 0 or values.max() > last:
        got = int(values.min() if values.min() < 0 else values.max())
        reject("positions", expected=f"steps of the sequence, 0 … {last}", got=got, fix=fix)
    return [int(p) for p in values.reshape(-1)]


def _shape(name: str) -> str:
    dims = _DIMS[name]
    return "a number, or (*batch, T)" if dims == 0 else "(*batch, T" + ", N" * (dims - 1) + ")"


def _one_of(name: str, plain: Any, log_decay: Any) -> tuple[Tensor, bool]:
    if (plain is None) == (log_decay is None):
        got = "neither" if plain is None else "both"
        reject(name, expected=f"{name} or log_decay", got=got, fix="log_decay is the logarithm of the gates")
    if plain is not None:
        return read_sequence(name, plain), False
    return read_sequence("log_decay", log_decay, name), True


def _common_batch(given: dict[str, Tensor]) -> torch.Size:
    """Return the batch shape of sequences, refusing those that differ in length, state size or batch."""
    (first, like), *others = given.items()
    batch = like.shape[: like.ndim - _DIMS[first]]
    length, state = like.shape[len(batch)], like.shape[-1] if _DIMS[first] > 1 else None
    for name, value in others:
        own = value.shape[: value.ndim - _DIMS[name]]
        if value.shape[len(own)] != length:
            reject(name, expected=f"{length} steps, as {first} has", got=value.shape[len(own)], fix="cut both alike")
        if _DIMS[name] > 1:
            state = state or value.shape[-1]
            if value.shape[-1] != state:
                fix = "the state is the last dimension"
                reject(name, expected=f"a state of size {state}", got=value.shape[-1], fix=fix)
        try:
            batch = torch.broadcast_shapes(batch, own)
        except RuntimeError:
            fix = "give both the same batch, or 1 in its place"
            reject(name, expected=f"a batch that fits {tuple(batch)}", got=tuple(own), fix=fix)
    return batch
