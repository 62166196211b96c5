"""What a memory function is asked for: capacity, tail, reach, quantiles, a table, a picture, plain words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ssmemory.errors import reject, require
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.powers import energy, first_below, first_columns_below, leading_lags
from ssmemory.systems import InputNormalForm, Spectrum, input_normal_form

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class MemoryFunction:
    """The exact memory function of a batch of systems; made by `memory_function`.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (*batch, n_lags) MF in [0, 1], float64; with several inputs (*batch, n_lags, inputs).
        rank: (*batch,) number of state directions; what the capacity is in theory.
        spectrum: the eigenvalues it was computed from, with the count of those merged or unreached.

    "Channels" are all inputs of all systems.

    Example:
        >>> from ssmemory import LinearSystem, memory_function
        >>> memory = memory_function(LinearSystem.from_eigenvalues([0.9, -0.9]), 8)
        >>> int(memory.reach(0.2)), int(memory.quantile(0.9))
        (4, 12)
    """

    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, "..."]
    rank: Int64[Tensor, "*batch"]
    spectrum: Spectrum

    @property
    def n_inputs(self) -> int:
        """Number of input channels of each system."""
        return 1 if self.spectrum.B is None else self.spectrum.B.shape[-1]

    @property
    def channels(self) -> Float64[Tensor, "channels n_lags"]:
        """(channels, n_lags) the values, one row an input of a system."""
        by_lag = self.values.unsqueeze(-1) if self.n_inputs == 1 else self.values
        return by_lag.transpose(-1, -2).reshape(-1, len(self.lags))

    @property
    def _contiguous(self) -> bool:
        return bool((self.lags == torch.arange(len(self.lags))).all())

    @cached_property
    def _form(self) -> InputNormalForm:
        return input_normal_form(self.spectrum)

    @cached_property
    def tail(self) -> Float64[Tensor, "*batch"]:
        """(*batch,) ``Σ MF(τ)`` over all inputs and the lags beyond the largest one, ``‖A^L‖_F²``, not a difference."""
        return energy(self._form.matrix_power(int(self.lags.max()) + 1))

    @cached_property
    def capacity(self) -> Float64[Tensor, "*batch"]:
        """(*batch,) ``Σ MF(τ)`` over all lags and inputs: values plus tail. In theory the rank; the rest is the error.

        Where the lags are not 0 … n−1, the leading lags are computed for it.
        """
        if self._contiguous:
            return self.values.reshape(*self.rank.shape, -1).sum(-1) + self.tail
        leading = 4 * self.spectrum.counted.shape[-1]
        return leading_lags(self._form, leading).reshape(*self.rank.shape, -1).sum(-1) + energy(
            self._form.matrix_power(leading)
        )

    def reach(self, level: float) -> Int64[Tensor, "..."]:
        """Return how many of the latest inputs are each remembered with MF ≥ level.

        Because MF never increases these are lags 0 … reach − 1; 0 if even the current input falls short. Exact,
        also beyond the lags that were computed.

        Args:
            level: in (0, 1].

        Returns:
            (*batch,) steps; with several inputs (*batch, inputs).

        Raises:
            InputError: level outside (0, 1].
        """
        if not 0 < level <= 1:
            reject("level", expected="a number in (0, 1]", got=level, fix="0.5 asks for half of the variance")
        found = first_columns_below(self._form, self._form.B.detach(), torch.tensor(float(level), dtype=torch.float64))
        return found.squeeze(-1) if self.n_inputs == 1 else found

    def quantile(self, q: float) -> Int64[Tensor, "*batch"]:
        """Return the smallest n such that lags 0 … n−1 of all inputs hold at least the share q of the capacity. Exact.

        Args:
            q: in (0, 1).

        Returns:
            (*batch,) steps.

        Raises:
            InputError: q outside (0, 1).
        """
        if not 0 < q < 1:
            reject("q", expected="a number strictly between 0 and 1", got=q, fix="0.9 asks for nine tenths")
        eye = torch.eye(self._form.A.shape[-1], dtype=torch.complex128) * self.spectrum.counted.unsqueeze(-1)
        above = torch.nextafter((1 - q) * self.rank.double(), torch.tensor(torch.inf, dtype=torch.float64))
        return first_below(self._form, eye, above)

    def describe(self, length: int | None = None, level: float = 0.5) -> str:
        """Return one sentence in plain words, over the channels if there are several.

        Args:
            length: steps of the sequences that the reader has in mind, if any.
            level: the MF down to which an input counts as read.

        Returns:
            The sentence.

        Example:
            >>> from ssmemory import LinearSystem, memory_function
            >>> memory_function(LinearSystem.from_eigenvalues([0.5]), 1).describe(100, level=0.1)
            'Reads back 2 steps at level 0.1 (capacity 1); your sequences have 100.'
        """
        reach = self.reach(level).double().flatten()
        steps = f"{reach.quantile(0.5):.0f} steps"
        if len(reach) > 1:
            low, high = reach.quantile(0.1), reach.quantile(0.9)
            steps += f" (median of {len(reach)} channels; 10–90 %: {low:.0f}–{high:.0f})"
        capacity = f"capacity {self.rank.double().median():.0f}"
        capacity += f", shared by {self.n_inputs} inputs" if self.n_inputs > 1 else ""
        yours = "" if length is None else f"; your sequences have {length}"
        return f"Reads back {steps} at level {level:g} ({capacity}){yours}."

    def to_frame(self) -> pandas.DataFrame:
        """Return a table with the columns lag and memory; before lag one a batch dimension, after it several inputs."""
        pandas = require("pandas", extra="plot", purpose="to_frame")
        batch = self.rank.ndim
        names = [f"system_{d}" if batch > 1 else "system" for d in range(batch)] + ["lag", "input"]
        index = torch.cartesian_prod(*(torch.arange(n) for n in self.values.shape)).reshape(-1, self.values.ndim)
        columns = {name: index[:, d].numpy() for d, name in zip(range(self.values.ndim), names, strict=False)}
        columns["lag"] = self.lags[index[:, batch]].numpy()
        columns["memory"] = self.values.detach().flatten().cpu().numpy()
        return pandas.DataFrame(columns)

    def plot(self, ax: Axes | None = None, *, label: str | None = None, bound: bool = True) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic, with the bound rank/(τ+1).

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.
            bound: draw ``min(1, rank/(τ+1))`` as a dashed line.

        Returns:
            The axes. Several channels are drawn as their median with a band from the 10th to the 90th percentile. The
            bound holds for each of several inputs; on average over them it is as many times lower.
        """
        limit = (self.rank.double().median() / (self.lags + 1)).clamp(max=1) if bound else None
        return draw_memory(ax, self.lags, self.channels, limit, label)
