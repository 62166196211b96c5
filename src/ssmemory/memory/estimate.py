"""The memory function of any model, estimated from the states that it went through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from ssmemory.memory._regression import SURROGATES, Regression, corrected, read_inputs, regression, shifted_inputs
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.function import read_lags

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHUNK_NUMBERS = 2**19  # 4 MB at once


@dataclass(frozen=True, eq=False)
class MemoryEstimate:
    """A memory function measured on recorded states; made by `estimate_memory`. An estimate, with its interval.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (n_lags,) MF, free of the finite-sample floor to first order, so that it can fall below 0.
        stderr: (n_lags,) standard errors, from a jackknife over contiguous blocks and the covariance of neighbours.
        interval: (n_lags, 2) two-sided intervals, each for its own lag.
        floor: what the current input seems to be remembered by states that never saw it: the 95th percentile over
            64 circularly shifted inputs, after the same correction. A value below it is no evidence of memory.
        capacity: sum of the values over these lags, not beyond.
        capacity_interval: (2,) its interval.
        level: what share of such intervals is to hold the true value.
        n_samples: steps used, after the washout.
        d_state: real numbers in a state; a complex one counts two.
        resolved_rank: directions of the state above the rounding of its own precision. Where it is below what the
            theory says, the states as recorded do not carry the rest.
        condition: condition number of the standardised states, all their directions included.
    """

    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, " n_lags"]
    stderr: Float64[Tensor, " n_lags"]
    interval: Float64[Tensor, "n_lags 2"]
    floor: float
    capacity: float
    capacity_interval: tuple[float, float]
    level: float
    n_samples: int
    d_state: int
    resolved_rank: int
    condition: float

    def describe(self) -> str:
        """Return one sentence in plain words."""
        above = int((self.values > self.floor).sum())
        low, high = self.capacity_interval
        return (
            f"Remembers {self.capacity:.3g} inputs ({low:.3g} to {high:.3g}, {100 * self.level:g} %) over "
            f"{len(self.lags)} lags, {above} of them above the floor of {self.floor:.1e}, from {self.n_samples} steps; "
            f"{self.resolved_rank} of {self.d_state} directions of the state are above rounding."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None, bound: bool = True) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic, with its interval.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.
            bound: draw ``min(1, resolved_rank/(τ+1))``, which holds for a linear system, as a dashed line.

        Returns:
            The axes. A dotted line shows the floor; values below it are noise.
        """
        limit = (self.resolved_rank / (self.lags + 1).double()).clamp(max=1) if bound else None
        ax = draw_memory(ax, self.lags, self.values.clamp(min=1e-4)[None], limit, label)
        color = ax.lines[-1].get_color()
        order = self.lags.argsort()
        low, high = self.interval[order].clamp(min=1e-4).unbind(-1)
        ax.fill_between((self.lags[order] + 1).double(), low, high, color=color, alpha=0.18, linewidth=0)
        ax.axhline(max(self.floor, 1e-4), color=color, linestyle=":", linewidth=0.9)
        return ax


def estimate_memory(
    states_or_model: Tensor | NDArray[Any] | nn.Module | Callable[[Tensor], Any],
    inputs: Tensor | NDArray[Any],
    lags: int | Sequence[int],
    *,
    layer: str | None = None,
    washout: int | None = None,
    level: float = 0.95,
    blocks: int = 32,
    seed: int = 0,
) -> MemoryEstimate:
    """Estimate how well the input of τ steps ago can be read, linearly, off the present state of any model.

    ``MF(τ) = 1 − min_w E|u[t−τ] − w·x[t] − c|² / Var u`` by least squares on recorded states. The squared correlation
    of a finite sample is too large by about rank/T. A jackknife over contiguous blocks takes that off, for states and
    residuals that depend on time too, and gives the interval. For a linear system, white input and states past their
    transient it estimates `memory_function`. Correlated inputs are allowed; they measure what that input leaves.

    No ridge penalty: it would add a bias that the jackknife does not take off, and with these samples has no use.

    A complex state is read by a *real* readout of its real and imaginary parts, as S4D, S5 and LRU do: compare with
    ``conj_sym=True``, not with the complex system alone.

    Args:
        states_or_model: states (length, N) or (sequences, length, N), real or complex, arrays on disk included; or a
            module or function as for `record_states`, which is then called with inputs of shape (sequences, length, 1).
        inputs: (length,) or (sequences, length) real; the state at a step has seen the input of that step.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0.
        layer: dotted name of the layer to record, for a module.
        washout: steps at the beginning of every sequence that are not used; a tenth of it if left out. Never fewer
            than the largest lag.
        level: what share of intervals is to hold the true value.
        blocks: number of blocks, at least 20. A block should be longer than the memory.
        seed: seeds the shifts of the surrogates.

    Returns:
        The estimate.

    Raises:
        InputError: NaN, complex or constant input, states that are constant or of another length, lags longer than the
            data, fewer than 20 steps for every direction of the state, or a model that `record_states` refuses.

    Numerics:
        Directions of the state come from a QR decomposition of standardised states, not from their covariance, so a
        condition number up to about 1e13 in float64 is resolved; what is below rounding is left out and counted.
        Three passes in blocks: time O(T N (N + n_lags)), memory O(blocks · N · (N + n_lags)) beside the data.
        Intervals leave out what is lost below rounding: heed `resolved_rank`. They are too short for a memory near 0 of
        states with few directions: with one, 18 % lie wholly below 0.

    Source:
        Künsch, Ann. Statist. 17, 1217 (1989) for the block jackknife; Jaeger (2001) for the memory function.

    Example:
        >>> u = np.random.default_rng(0).standard_normal(4000)
        >>> estimate = estimate_memory(np.stack([u, np.roll(u, 3)], -1), u, 5)
        >>> (estimate.values.numpy().round(2) + 0).tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0]
    """
    wanted, u = read_lags(lags)[0], read_inputs(inputs)
    fit = regression(
        states_or_model, u, int(wanted.max()), layer=layer, washout=washout, level=level, blocks=blocks,
        numbers=_CHUNK_NUMBERS,
    )  # fmt: skip
    where, scaled, steps_back = shifted_inputs(u.shape, seed), (u - u.mean()) / u.std(), wanted.numpy()

    def targets(sequence: int, steps: slice) -> NDArray[np.float64]:
        t = np.arange(steps.start, steps.stop)[:, None]
        return np.concatenate([scaled[sequence][t - steps_back], scaled[where(sequence, steps)]], -1)

    return summarise(fit, wanted, *fit.shares(targets, len(wanted) + SURROGATES))


def summarise(
    fit: Regression, lags: Tensor, full: NDArray[np.float64], without: NDArray[np.float64]
) -> MemoryEstimate:  # fmt: skip
    """Return the estimate from the explained shares of the lags and, after them, of the surrogates."""
    n = len(lags)
    values, error = corrected(full, without)
    capacity, capacity_error = (float(part) for part in corrected(full[:n].sum(), without[:, :n].sum(1)))
    values, error, floor = values[:n], error[:n], float(np.quantile(values[n:], 0.95))
    half = fit.quantile * error
    return MemoryEstimate(
        lags=lags,
        values=torch.from_numpy(values),
        stderr=torch.from_numpy(error),
        interval=torch.from_numpy(np.stack([values - half, values + half], -1)),
        floor=floor,
        capacity=capacity,
        capacity_interval=(capacity - fit.quantile * capacity_error, capacity + fit.quantile * capacity_error),
        level=fit.level,
        n_samples=fit.rows.total,
        d_state=fit.d_state,
        resolved_rank=fit.rank,
        condition=fit.condition,
    )
