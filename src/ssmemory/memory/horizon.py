"""Memory over a finite horizon: what the state holds of a window that began with an empty state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Complex, Float64, Int64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.powers import column_energy
from ssmemory.systems import LinearSystem, Spectrum, input_normal_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # c: how far e^(−c) the modes are pulled in over the horizon
LARGEST_CONDITION = 1e9  # beyond it fewer than six digits of the memory are sure


@dataclass(frozen=True, eq=False)
class HorizonBasis:
    """An orthonormal basis of what a state can hold of the last ``horizon`` inputs, one system.

    Attributes:
        rows: (rank, horizon) complex128 with ``rows rows* = I``; column τ belongs to the input of τ steps ago. They
            span the responses ``λ^τ``, so that the projection on them is ``rows* rows``.
        condition: condition number of the scaled responses that it was made from.
    """

    rows: Complex[Tensor, "rank horizon"]
    condition: float

    @property
    def error(self) -> float:
        """An estimate of the absolute error of what is read off the basis: condition times 1e-15."""
        return 1e-15 * self.condition


@dataclass(frozen=True, eq=False)
class HorizonMemory:
    """The memory function over a finite horizon; made by `horizon_memory`.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (*batch, n_lags) MF in [0, 1], float64.
        rank: (*batch,) number of state directions, at most the horizon: the sum over all lags of the horizon.
        horizon: L, steps since the state was zero.
        condition: (*batch,) condition number of the scaled responses; large where frequencies crowd.

    Example:
        >>> from ssmemory import init
        >>> memory = horizon_memory(init.fourier(8, length=70), 70)
        >>> memory.values.numpy().round(12)[[0, 35, 69]].tolist()
        [0.1, 0.1, 0.1]
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
        worst, best = self.values.amin(-1).median(), self.values.amax(-1).median()
        return (
            f"Over {self.horizon} steps from an empty state it holds {self.rank.double().median():.0f} numbers: "
            f"memory between {worst:.3g} and {best:.3g}, at an error of about {self.error.max():.0e}."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None, bound: bool = True) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic; the bound is 1.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.
            bound: draw ``rank/horizon``, the mean over the window, as a dashed line.

        Returns:
            The axes. Several channels are drawn as their median with a band from the 10th to the 90th percentile.
        """
        level = self.rank.double().median() / self.horizon if bound else None
        limit = None if level is None else level.expand(len(self.lags))
        return draw_memory(ax, self.lags, self.values.reshape(-1, len(self.lags)), limit, label)


def horizon_memory(system: LinearSystem, horizon: int, lags: int | None = None) -> HorizonMemory:
    """Return how well each of the last ``horizon`` inputs can be read off a state that was zero before them.

    ``MF_L(τ) = (A^τ b)* P_L⁺ (A^τ b)`` with ``P_L = Σ_{τ<L} A^τ b b* A*^τ``, white input. It sums to the rank over the
    horizon, need not be monotone, and exists on the unit circle (zero real parts) and slightly outside it, where the
    infinite horizon of `memory_function` does not. There it is symmetric, τ ↔ L − 1 − τ.

    Args:
        system: a system with one input, batched or not, stable or not.
        horizon: L, steps since the state was zero, at least 1.
        lags: how many leading lags to return, at most L; all of them if left out.

    Returns:
        The memory over the horizon.

    Raises:
        InputError: no horizon, more lags than it has, several inputs, or responses so nearly dependent that float64
            cannot tell them apart (condition above 1e9): nothing is returned that could be wrong unseen.

    Numerics:
        P_L is never formed. The rows ``(ρλ)^τ``, ρ = e^(−c/L), in input-normal form, scaled back by e^(cτ/L), and a QR
        decomposition, with the c of the smallest condition number. Error about 1e-15 times that number, which
        `HorizonMemory.error` gives. Time O(rank² L), memory O(rank L).

    Example:
        >>> system = LinearSystem.from_log_eigenvalues([0.0])  # a sum of all inputs
        >>> horizon_memory(system, 4).values.tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    if horizon < 1:
        reject("horizon", expected="at least 1 step", got=horizon, fix="it is the length of your sequences")
    n_lags = horizon if lags is None else lags
    if not 1 <= n_lags <= horizon:
        reject("lags", expected=f"1 … {horizon}", got=n_lags, fix="a window has no more lags than steps")
    bases = list(horizon_bases(system, horizon))
    values = torch.stack([column_energy(basis.rows[:, :n_lags]) for basis in bases])
    rank = torch.tensor([len(basis.rows) for basis in bases])
    condition = torch.tensor([basis.condition for basis in bases], dtype=torch.float64)
    shape = system.batch_shape
    return HorizonMemory(
        torch.arange(n_lags), values.reshape(*shape, n_lags), rank.reshape(shape), horizon, condition.reshape(shape)
    )


def horizon_bases(system: LinearSystem, horizon: int) -> Iterator[HorizonBasis]:
    """Yield the basis of every system of a batch, in order; see `horizon_memory`.

    Args:
        system: a system with one input, batched or not.
        horizon: L, at least 1.

    Yields:
        One `HorizonBasis` a system.

    Raises:
        InputError: as in `horizon_memory`.
    """
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    if horizon < 1:
        reject("horizon", expected="at least 1 step", got=horizon, fix="it is the length of your sequences")
    if system.n_inputs != 1:
        fix = "ask for one input at a time: a system with a column of B"
        reject("system", expected="one input channel", got=system.n_inputs, fix=fix)
    spectrum = system.spectrum()
    n = spectrum.counted.shape[-1]
    logs = spectrum.log_eigenvalues.detach().reshape(-1, n)
    for modes, counted in zip(logs, spectrum.counted.reshape(-1, n), strict=True):
        yield _basis(modes[counted], horizon)


def _basis(logs: Tensor, horizon: int) -> HorizonBasis:
    if len(logs) >= horizon:
        return HorizonBasis(torch.eye(horizon, dtype=torch.complex128), 1.0)
    best: HorizonBasis | None = None
    for scale in _SCALES:
        if bool((logs.real >= scale / horizon).any()):
            continue
        rows = _scaled_rows(logs, horizon, scale)
        Q, R = np.linalg.qr(rows.numpy().T)
        condition = float(np.linalg.cond(R)) if np.isfinite(R).all() else np.inf
        if best is None or condition < best.condition:
            best = HorizonBasis(torch.from_numpy(np.ascontiguousarray(Q.T)), condition)
        if condition < 10 or condition > 100 * best.condition:  # good enough, or well past the best one
            break
    if best is None:
        fix = f"|λ| may exceed 1 by {_SCALES[-1] / horizon:.3g} at most over this horizon"
        reject("eigenvalues", expected="|λ| about 1 or below", got=f"{float(logs.real.max().exp()):.6g}", fix=fix)
    if not best.condition < LARGEST_CONDITION:
        fix = "use fewer modes, or space their frequencies by 2π/horizon a step or more"
        expected = f"responses of a condition number below {LARGEST_CONDITION:.0e}"
        reject("eigenvalues", expected=expected, got=f"{best.condition:.1e}", fix=fix)
    return best


def _scaled_rows(logs: Tensor, horizon: int, scale: float) -> Tensor:
    """Return (n, horizon) rows that span λ^τ, each of norm 1."""
    shifted, none = logs - scale / horizon, torch.tensor(0)
    form = input_normal_form(Spectrum(shifted, torch.ones(len(logs), dtype=torch.bool), none, none))
    columns = form.B
    for square in form.squarings():
        if columns.shape[-1] >= horizon:
            break
        columns = torch.cat([columns, square @ columns], -1)
    back = torch.exp(torch.arange(horizon, dtype=torch.float64) * scale / horizon)
    rows = columns[:, :horizon] * back
    return rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
