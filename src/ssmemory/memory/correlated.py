"""Memory where the input is correlated in time: the state knows more of the past than it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Complex, Float64, Int64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.circle import InputCircle, long_enough
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.function import read_lags
from ssmemory.memory.horizon import LARGEST_CONDITION, horizon_bases
from ssmemory.systems import LinearSystem

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class CorrelatedMemory:
    """The memory function for correlated input; made by `correlated_memory`.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (*batch, n_lags) MF in [0, 1], float64.
        rank: (*batch,) number of state directions; not a bound on the sum of the values.
        horizon: steps of the past that were counted.
        condition: (*batch,) of the state's covariance in coordinates that white input would leave uncorrelated; or,
            where larger, its square root times the condition number of the responses.

    Example:
        >>> from ssmemory import LinearSystem
        >>> memory = correlated_memory(LinearSystem.from_eigenvalues([0.0]), [1.0, 0.5], 3)  # holds the current input
        >>> memory.values.numpy().round(12).tolist()
        [1.0, 0.25, 0.0]
    """

    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, "*batch n_lags"]
    rank: Int64[Tensor, "*batch"]
    horizon: int
    condition: Float64[Tensor, "*batch"]

    @property
    def error(self) -> Float64[Tensor, "*batch"]:
        """(*batch,) an estimate of the absolute error of the values: condition times 1e-15."""
        return 1e-15 * self.condition

    def describe(self) -> str:
        """Return one sentence in plain words, over the channels if there are several."""
        curves = self.values.reshape(-1, len(self.lags))
        total = curves.sum(-1).median()
        return (
            f"For this input {self.rank.double().median():.0f} state directions give memory "
            f"{curves[:, 0].median():.3g} at lag {int(self.lags[0])} and {curves[:, -1].median():.3g} at lag "
            f"{int(self.lags[-1])}: {total:.3g} summed over {len(self.lags)} lags."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic; there is no bound to draw but 1.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.

        Returns:
            The axes. Several channels are drawn as their median with a band from the 10th to the 90th percentile.
        """
        return draw_memory(ax, self.lags, self.values.reshape(-1, len(self.lags)), None, label)


def correlated_memory(
    system: LinearSystem, input_autocovariance: Any, lags: int | Sequence[int] | Tensor, *, horizon: int | None = None
) -> CorrelatedMemory:
    """Return how well the input of τ steps ago can be read, linearly, off the state, for stationary correlated input.

    ``MF_R(τ) = 1 − min_w E|u[t−τ] − w·x[t]|² / r(0) = c_τ* Σ⁻¹ c_τ / r(0)``, with ``R[σ,τ] = r(τ−σ)``,
    ``Σ = K R K*``, ``c_τ = K R e_τ`` and ``K = [B, A B, …]``. A lag is also known by its neighbours, so the sum is not
    bounded by the number of states, and MF_R need not fall with τ. White input gives `memory_function` back.

    Args:
        system: a system with one input, batched or not; stable, unless a horizon is given.
        input_autocovariance: r(0), r(1), … of the input, real, r(0) > 0, zero beyond what is given: carry it on until
            it has died away. `sample_autocovariance` takes it from data, `autoregressive_autocovariance` from a model.
        lags: n for lags 0 … n−1, or a sequence of lags.
        horizon: steps since the state was zero; if left out the system has run for ever.

    Returns:
        The memory at every lag.

    Raises:
        InputError: no lags, lags beyond the horizon, several inputs, an autocovariance that is not real or not positive
            definite, an input so narrow in frequency that the state's directions cannot be told apart, or a system
            that takes more than 2**18 steps to forget.
        UnstableError: |λ| ≥ 1 without a horizon.

    Numerics:
        Neither Σ nor R is formed. Rows orthonormal for white input, laid on a circle where R is diagonal, and a QR
        decomposition. The covariance so solved has a condition number of at most max/min of the spectral density; where
        it exceeds 1e9 the input is refused. Absolute error about 1e-15 times `CorrelatedMemory.condition`. Without a
        horizon, responses of an energy below 1e-32 are left out. Time O(rank² L), memory O(rank L) a system, L the
        horizon.

    Example:
        >>> r = 0.9 ** torch.arange(400, dtype=torch.float64)
        >>> memory = correlated_memory(LinearSystem.from_eigenvalues([0.5]), r, 3)
        >>> memory.values.numpy().round(4).tolist()  # 0.75, 0.1875, 0.0469 for white input
        [0.9404, 0.9311, 0.8363]
    """
    wanted, _ = read_lags(lags)
    furthest = int(wanted.max())
    if horizon is not None and furthest >= horizon >= 1:
        fix = "a window has no more lags than steps"
        reject("lags", expected=f"at most {horizon - 1}, within the horizon", got=furthest, fix=fix)
    if horizon is None:
        horizon = long_enough(system, furthest + 1)
    circle = InputCircle(input_autocovariance, horizon)
    values, rank, condition = [], [], []
    for basis in horizon_bases(system, horizon):
        found, spread = _on_circle(circle, basis.rows)
        values.append(found[wanted])
        rank.append(len(basis.rows))
        condition.append(max(spread, basis.condition) * spread)
    shape = system.batch_shape
    return CorrelatedMemory(
        wanted, torch.stack(values).reshape(*shape, len(wanted)), torch.tensor(rank).reshape(shape), horizon,
        torch.tensor(condition, dtype=torch.float64).reshape(shape),
    )  # fmt: skip


def _on_circle(circle: InputCircle, rows: Complex[Tensor, "rank horizon"]) -> tuple[Float64[Tensor, " size"], float]:
    """Return MF_R, right at the first ``horizon`` lags, and the condition number of the rows on the circle."""
    Q, R = torch.linalg.qr(circle.rows(rows).mT)
    singular = torch.linalg.svdvals(R)
    spread = float(singular[0] / singular[-1]) if len(singular) else 1.0
    if not spread**2 < LARGEST_CONDITION:  # rounding in the spectral density counts for its least values
        fix = "add to r(0) the noise that the input has, or use fewer modes"
        expected = f"a state covariance of a condition number below {LARGEST_CONDITION:.0e}"
        reject("input_autocovariance", expected=expected, got=f"{spread**2:.1e}", fix=fix)
    seen = torch.fft.fft(Q.mH * circle.root) / circle.size**0.5  # each direction with the input of each lag
    return torch.view_as_real(seen).square().sum((0, -1)) / circle.variance, spread
