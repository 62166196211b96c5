"""Memory of a gated layer on real sequences: what the state holds of the past, given the gates it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.function import read_lags
from ssmemory.systems.time_varying import TimeVaryingSystem, read_positions, read_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLOCK = 2**22  # numbers of K that are held at once, unless one system has more
_DRAWN = 2**24  # numbers of which torch takes quantiles
_CAPACITY_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class GatedMemory:
    """The gate-conditional memory function; made by `gated_memory`.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the input of the position itself.
        values: (*batch, n_positions, n_lags) MF in [0, 1], float64.
        rank: (*batch, n_positions) number of state directions that the inputs up to the position reach.
        positions: (n_positions,) the steps at which the state is read.
        capacity: (*batch, n_positions) the sum of MF over all lags up to the position, summed and not read off the
            rank; within 1e-9 of it.
        condition: (*batch, n_positions) of the responses that count, each of norm 1; near the inverse of the
            tolerance the rank hangs on that. 1 where nothing counts.

    Example:
        >>> memory = gated_memory(TimeVaryingSystem.scalar([1.0] * 4, [[1.0]] * 4))  # a sum of all inputs
        >>> memory.values.numpy().round(12).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """

    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, "*batch n_positions n_lags"]
    rank: Int64[Tensor, "*batch n_positions"]
    positions: Int64[Tensor, " n_positions"]
    capacity: Float64[Tensor, "*batch n_positions"]
    condition: Float64[Tensor, "*batch n_positions"]

    @property
    def error(self) -> Float64[Tensor, "*batch n_positions"]:
        """(*batch, n_positions) an estimate of the absolute error of the values: condition times 1e-15."""
        return 1e-15 * self.condition

    @property
    def mean(self) -> Float64[Tensor, " n_lags"]:
        """(n_lags,) the mean over all sequences and positions."""
        return self._curves.mean(0)

    def band(self, low: float = 0.1, high: float = 0.9) -> tuple[Tensor, Tensor]:
        """Return how far MF spreads over sequences and positions, lag by lag.

        Args:
            low: the lower quantile, in [0, 1].
            high: the upper one, at least ``low``.

        Returns:
            Two tensors (n_lags,): the quantiles.

        Raises:
            InputError: quantiles outside [0, 1] or in the wrong order.
        """
        if not 0 <= low <= high <= 1:
            reject("band", expected="0 ≤ low ≤ high ≤ 1", got=f"{low:g}, {high:g}", fix="0.1, 0.9 is the default")
        lower, upper = np.quantile(self._curves.numpy(), [low, high], axis=0)  # torch's takes 2**24 numbers at most
        return torch.from_numpy(lower), torch.from_numpy(upper)

    @property
    def _curves(self) -> Tensor:
        return self.values.reshape(-1, len(self.lags))

    def describe(self) -> str:
        """Return one sentence in plain words, over sequences and positions."""
        low, high = self.band()
        far, lag = len(self.lags) - 1, int(self.lags[-1])
        states = f", median of {self.rank.numel()} states" if self.rank.numel() > 1 else ""
        spread = f" (10–90 %: {low[far]:.3g}–{high[far]:.3g})" if states else ""
        return (
            f"Given its gates the state holds {self.rank.double().median():.0f} numbers of the inputs so far"
            f"{states}: memory {self.mean[0]:.3g} at lag {int(self.lags[0])} and "
            f"{self.mean[far]:.3g} at lag {lag}{spread}."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None, bound: bool = True) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.
            bound: draw the mean over all lags, ``rank/(position + 1)``, as a dashed line.

        Returns:
            The axes: the median over sequences and positions, with a band from the 10th to the 90th percentile. Of more
            than 2**24 values some lags are left out, evenly on the logarithmic axis.
        """
        level = (self.rank / (self.positions + 1)).median() if bound else None
        most = max(2, _DRAWN // len(self._curves))
        shown = torch.arange(len(self.lags))
        if len(shown) > most:
            shown = torch.from_numpy(np.unique(np.geomspace(1, len(shown), most).astype(int) - 1))
        limit = None if level is None else level.expand(len(shown))
        return draw_memory(ax, self.lags[shown], self._curves[:, shown], limit, label)


def gated_memory(
    system: TimeVaryingSystem,
    positions: int | Sequence[int] | Tensor | None = None,
    lags: int | Sequence[int] | Tensor | None = None,
    *,
    tolerance: float = 1e-10,
) -> GatedMemory:
    """Return how well each earlier input can be read, linearly, off the state that the given gates led to.

    ``MF_p(τ) = K[:, τ]* (K K*)⁺ K[:, τ]``, ``K[:, τ] = A_p A_{p−1} … A_{p−τ+1} B_{p−τ}``, from an empty state at the
    start. It treats the inputs u as white *given* the gates: where gates are functions of u this is not the share of u
    that is known, but what the recurrence they make leaves room for. Summed over τ it is the rank of K, at most N. It
    need not be monotone. A complex state is read with complex weights: for a layer that reads Re(C x) give the
    conjugates as further states. For A = I, linear attention, it is the leverage of each key among the keys so far.

    Args:
        system: the recurrence with the gates of real sequences, batched or not.
        positions: p, one step or several, 0 … T−1; the last one if left out.
        lags: n for lags 0 … n−1, or a sequence of lags, none larger than the first position; by default all lags that
            every position has.
        tolerance: directions of K, its rows scaled to norm 1, with a singular value below this share of the largest
            one do not count; in [1e-14, 1).

    Returns:
        The memory at every position of every sequence, with rank, mean and band.

    Raises:
        InputError: positions out of range, lags beyond a position, a tolerance out of range, gates that grow beyond
            float64.

    Numerics:
        K K* is never formed: rows of K scaled to norm 1, a QR decomposition of K*, singular values of its R. Absolute
        error about 1e-15 times `GatedMemory.condition`. Where singular values fall off without a gap, as for many
        close modes, rank and values depend on the tolerance. Time O(N² p) a position (N³ p for a dense A), memory
        O(N T) at a time beside the result.

    Example:
        >>> keys = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
        >>> gated_memory(linear_attention_system(keys)).values.numpy().round(12).tolist()
        [[0.5, 1.0, 0.5]]
    """
    if not isinstance(system, TimeVaryingSystem):
        fix = "make one with TimeVaryingSystem.diagonal, scalar, delta or dense"
        reject("system", expected="a TimeVaryingSystem", got=type(system).__name__, fix=fix)
    if not 1e-14 <= tolerance < 1:
        reject("tolerance", expected="a number in [1e-14, 1)", got=tolerance, fix="1e-10 is the default")
    last = system.length - 1
    steps = [last] if positions is None else read_positions(positions, last)
    first = min(steps)
    wanted, _ = read_lags(first + 1 if lags is None else lags)
    if int(wanted.max()) > first:
        fix = "take later positions, or fewer lags"
        reject("lags", expected=f"at most {first}, the first position", got=int(wanted.max()), fix=fix)
    size = max(1, _BLOCK // (system.d_state * system.length))
    found = [_at(block, p, wanted, tolerance) for block in system.blocks(size) for p in steps]
    n = len(steps)
    parts = [torch.cat([torch.stack(part, 1) for part in _grouped(kind, n)]) for kind in zip(*found, strict=True)]
    values, rank, capacity, condition = (part.reshape(*system.batch_shape, *part.shape[1:]) for part in parts)
    return GatedMemory(wanted, values, rank, torch.tensor(steps), capacity, condition)


def linear_attention_system(keys: Any, log_decay: Any = None) -> TimeVaryingSystem:
    """Return linear attention as one value channel sees it: ``s_t = γ_t s_{t−1} + k_t v_t``.

    Args:
        keys: (*batch, T, N), after the feature map.
        log_decay: log γ: one number, (*batch, T), or (*batch, 1) for one decay a head; none (γ = 1) if left out.

    Returns:
        The system; its `gated_memory` is the leverage of every key, weighted by the decay.

    Raises:
        InputError: NaN, an empty sequence, or shapes that do not fit.
    """
    keys = read_sequence("keys", keys, "B")
    if log_decay is None:
        return TimeVaryingSystem.scalar(torch.ones(keys.shape[-2]), keys)
    log_decay = read_sequence("log_decay", log_decay, "number")
    if log_decay.ndim == 0 or log_decay.shape[-1] == 1:
        log_decay = log_decay.expand(*log_decay.shape[:-1], keys.shape[-2])
    return TimeVaryingSystem.scalar(log_decay=log_decay, B=keys)


def _grouped(parts: tuple[Tensor, ...], n: int) -> list[tuple[Tensor, ...]]:
    """Return results, block by block and position by position, as one tuple a block."""
    return [parts[start : start + n] for start in range(0, len(parts), n)]


def _at(
    system: TimeVaryingSystem, position: int, lags: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return values (systems, lags), rank, capacity and condition (systems,) at one position."""
    K = system.responses(position)
    K = K / _or_one(K.abs().amax(-1, keepdim=True))  # first, else the norm may overflow
    K = K / _or_one(torch.linalg.vector_norm(K, dim=-1, keepdim=True))
    Q, R = torch.linalg.qr(K.mH)
    U, singular, _ = torch.linalg.svd(R, full_matrices=False)
    counted = singular > tolerance * singular[..., :1]
    rank = counted.sum(-1)
    directions = Q @ (U * counted.unsqueeze(-2))
    memory = torch.view_as_real(directions).square().sum((-2, -1)) if K.is_complex() else directions.square().sum(-1)
    capacity = memory.sum(-1)
    if not bool(((capacity - rank).abs() <= _CAPACITY_TOLERANCE * rank.clamp(min=1)).all()):
        worst = float((capacity - rank).abs().max())
        fix = "report it: the singular value decomposition failed"
        reject("capacity", expected="the rank within 1e-9", got=f"a difference of {worst:.1e}", fix=fix)
    smallest = singular.where(counted, torch.inf).amin(-1)
    condition = torch.where(rank > 0, singular[..., 0] / smallest, 1.0)
    return memory[..., lags], rank, capacity, condition


def _or_one(scale: Tensor) -> Tensor:
    return scale.where(scale > 0, 1)
