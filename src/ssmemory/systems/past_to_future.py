"""How much of a state the future uses: the rank of the map from past inputs to future outputs, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.systems.linear_system import LinearSystem, _tensor
from ssmemory.systems.time_varying import TimeVaryingSystem, read_positions

_ROUNDING = 16  # units of rounding below which a singular value is noise; at most 3 were seen


@dataclass(frozen=True, eq=False)
class PastToFuture:
    """The map from the inputs up to a step to the outputs after it; made by `past_to_future`.

    Attributes:
        positions: (n_positions,) the steps.
        singular_values: (*batch, n_positions, most) of the map, largest first, in outputs per input; zeros where a
            position has fewer.

    Example:
        >>> found = past_to_future(torch.ones(4, 4).tril())  # y[t] is the sum of all inputs so far
        >>> found.rank().tolist(), found.effective.numpy().round(6).tolist()
        ([1, 1, 1], [1.0, 1.0, 1.0])
    """

    positions: Int64[Tensor, " n_positions"]
    singular_values: Float64[Tensor, "*batch n_positions most"]

    def rank(self, tolerance: float = 1e-10) -> Int64[Tensor, "*batch n_positions"]:
        """Return how many numbers the future needs of the past: singular values above a share of the largest.

        Args:
            tolerance: the share, in [1e-15, 1).

        Returns:
            (*batch, n_positions), at most the state size.

        Raises:
            InputError: a tolerance out of range.
        """
        if not 1e-15 <= tolerance < 1:
            reject("tolerance", expected="a number in [1e-15, 1)", got=tolerance, fix="1e-10 is the default")
        values = self.singular_values
        return ((values > tolerance * values[..., :1]) & (values > 0)).sum(-1)

    @property
    def effective(self) -> Float64[Tensor, "*batch n_positions"]:
        """(*batch, n_positions) ``exp(−Σ p log p)`` with p the singular values over their sum: 0 where all are 0.

        A rank that counts weak directions for less: n equal values give n, one strong among weak ones little above 1.
        """
        total = self.singular_values.sum(-1, keepdim=True)
        shares = self.singular_values / total.where(total > 0, 1)
        return torch.special.entr(shares).sum(-1).exp().where(total.squeeze(-1) > 0, 0.0)


def past_to_future(
    system: TimeVaryingSystem | Float[Tensor, "*batch T T"], positions: int | Sequence[int] | Tensor | None = None
) -> PastToFuture:
    """Return what the outputs after each step can tell of the inputs up to it.

    ``H_p[s, j] = C_s A_s … A_{j+1} B_j`` for s > p ≥ j, the block below and left of the diagonal of the matrix that
    turns the whole input into the whole output. Its rank is the smallest state that would do at that step: at most N,
    p + 1 and T − 1 − p. Memory says what the state holds; this, what of it is used.

    Args:
        system: a recurrence with a read-out, given its gates; or any causal linear map (*batch, T, T), rows the
            outputs, such as the weights of softmax attention, which have no state to bound the rank.
        positions: p, one step or several, 0 … T−2; all of them if left out.

    Returns:
        The singular values at every position.

    Raises:
        InputError: a system without C, a matrix that is not square or not causal, NaN, one step only, positions
            out of range, or gates that grow beyond float64.

    Numerics:
        Of a system, H is never formed: it is ``O K`` with K what the state holds and O what the outputs see, and its
        singular values are those of ``R_O R_K*`` from a QR decomposition of each. Absolute error about 1e-15 of
        Σ_n ‖O_n‖‖K_n‖ over the states, for a delta rule or dense A with C_p in O; what is below 4e-15 of it is
        rounding and is returned as 0, so that what was erased, or is never asked for, does not count. Time O(N² T) a
        position (N³ T for a dense A). Of a matrix, O(T³) a position, and 0 below 16 rounding units of the precision
        it came in, times the largest: weights in float32 show no direction below 2e-6 of it.

    Source:
        The rank by position is the effective state size of arXiv 2504.19561; so is its version by entropy.

    Example:
        >>> keys, queries = torch.eye(3)[[0, 1, 2, 0]], torch.eye(3)[[0, 0, 1, 0]]
        >>> past_to_future(TimeVaryingSystem.scalar([1.0] * 4, keys, C=queries)).rank().tolist()
        [1, 2, 1]
    """
    if isinstance(system, TimeVaryingSystem):
        steps = _steps(positions, system.length)
        found = [_through_state(system, p) for p in steps]
    else:
        matrix, unit = _causal(system)
        steps = _steps(positions, matrix.shape[-1])
        exact = [torch.linalg.svdvals(matrix[..., p + 1 :, : p + 1]) for p in steps]
        found = [_above(values, unit * values[..., :1]) for values in exact]
    most = max(values.shape[-1] for values in found)
    padded = [torch.nn.functional.pad(values, (0, most - values.shape[-1])) for values in found]
    return PastToFuture(torch.tensor(steps), torch.stack(padded, -2))


def _steps(positions: Any, length: int) -> list[int]:
    if length < 2:
        reject("system", expected="at least two steps", got=length, fix="a single step has no past before its future")
    if positions is None:
        return list(range(length - 1))
    return read_positions(positions, length - 2, "the last step has no future")


def _through_state(system: TimeVaryingSystem, p: int) -> Tensor:
    """Return the singular values of ``O K``, those that are rounding alone as 0."""
    held, seen = system.responses(p), system.observations(p)
    R_held, R_seen = torch.linalg.qr(held.mH, mode="r").R, torch.linalg.qr(seen, mode="r").R
    between = R_seen @ R_held.mH
    if not bool(torch.isfinite(between).all()):
        got, fix = f"an overflow at position {p}", "gates of modulus above 1 grow over many steps: cut the sequence"
        reject("A", expected="a map below 1e308", got=got, fix=fix)
    if system.structure in ("delta", "dense"):  # a state erased at the next step leaves rounding of the size of C
        assert system.C is not None
        seen = torch.cat([system.C[..., p : p + 1, :], seen], -2)
    terms = _norms(held) * _norms(seen.mT)
    return _above(torch.linalg.svdvals(between), torch.finfo(torch.float64).eps * terms.sum(-1, keepdim=True))


def _norms(rows: Tensor) -> Tensor:
    """Return the norm of each row, which neither overflows nor underflows in between."""
    largest = rows.abs().amax(-1, keepdim=True)
    scaled = rows / largest.where(largest > 0, 1)
    return torch.linalg.vector_norm(scaled, dim=-1) * largest.squeeze(-1)


def _above(values: Tensor, unit: Tensor) -> Tensor:
    return values.where(values > _ROUNDING * unit, 0.0)


def _causal(given: Any) -> tuple[Tensor, float]:
    """Return the matrix in double precision, and the rounding unit of the precision it came in."""
    if isinstance(given, LinearSystem):
        fix = "of a system that stays the same take hankel_singular_values or effective_state_size"
        reject("system", expected="a TimeVaryingSystem or a matrix", got="a LinearSystem", fix=fix)
    matrix = _tensor("system", given).detach()
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or 0 in matrix.shape:
        fix = "give one row an output, one column an input"
        reject("system", expected="a TimeVaryingSystem or a matrix (*batch, T, T)", got=tuple(matrix.shape), fix=fix)
    above = float(matrix.triu(1).abs().max())
    if above > 1e-9 * float(matrix.abs().max()):
        got = f"entries of {above:.2g} above the diagonal"
        reject("system", expected="no output that sees a later input", got=got, fix="mask it, or transpose it")
    dtype = torch.as_tensor(given).dtype if isinstance(given, (Tensor, np.ndarray)) else matrix.dtype
    exact = not (dtype.is_floating_point or dtype.is_complex)
    return matrix, torch.finfo(matrix.dtype if exact else dtype).eps
