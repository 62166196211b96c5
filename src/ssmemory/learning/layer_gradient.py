"""The gradient of a loss at one layer, lag by lag: a norm, a share, a picture, a table."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor

from ssmemory.errors import UnstableError, reject, require
from ssmemory.memory import memory_function
from ssmemory.systems import LinearSystem

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class LayerGradient:
    """How a loss would change with each tap of a layer's impulse response; made by `gradient_by_lag`.

    Attributes:
        layer: the layer's name in the model.
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (channels, n_lags) ``∂ℓ/∂k[τ]`` of every channel, with its sign, where each channel is a system of its
            own (S4D, S4). Where all channels share one system (S5, LRU, LinearRNN): of every input channel the
            Euclidean norm over the output channels, not negative.
        taps: (d_out, d_in, n_lags) all of ``∂ℓ/∂k[τ]`` of a layer of the second kind, if they were asked for.
        system: the layer's linear system as it was then.

    Example:
        >>> import torch
        >>> from ssmemory.learning import gradient_by_lag
        >>> from ssmemory.nn import S4D
        >>> _ = torch.manual_seed(0)
        >>> inputs, targets = torch.randn(8, 50, 4), torch.randn(8, 50, 4)
        >>> found = gradient_by_lag(S4D(4, d_state=8), (inputs, targets), torch.nn.functional.mse_loss)
        >>> found["S4D"].values.shape, found["S4D"].share_beyond(49)
        (torch.Size([4, 50]), 0.0)
    """

    layer: str
    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, "channels n_lags"]
    taps: Float64[Tensor, "d_out d_in n_lags"] | None
    system: LinearSystem

    @property
    def norm(self) -> Float64[Tensor, " n_lags"]:
        """(n_lags,) root mean square over the channels."""
        return self.values.square().mean(0).sqrt()

    def share_beyond(self, lag: int) -> float:
        """Return which share of the squared gradient lies at lags above this one, of the lags that were computed.

        Args:
            lag: at least 0.

        Returns:
            In [0, 1]; NaN where the gradient is zero at all lags.

        Raises:
            InputError: a negative lag.
        """
        if lag < 0:
            reject("lag", expected="at least 0", got=lag, fix="lag 0 is the current input")
        energy = self.values.square().sum(0)
        total = float(energy.sum())
        return float(energy[self.lags > lag].sum()) / total if total > 0 else math.nan

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the gradient against the number of steps read back (lag + 1), with the memory of the layer beside it.

        Both logarithmic, the gradient relative to its largest lag; the memory is ``sqrt(MF)``, the correlation
        between the input of τ steps ago and what can best be read of it, dashed.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the gradient's curve in the legend; the layer's if left out.

        Returns:
            The axes. Without the dashed line where the layer is not stable, so that no memory function exists.
        """
        pyplot = require("matplotlib.pyplot", extra="plot", purpose="plot")
        if ax is None:
            ax = pyplot.subplots(figsize=(6, 4), layout="constrained")[1]
        order = self.lags.argsort()
        steps, norm = (self.lags[order] + 1).double(), self.norm[order]
        shown = norm / norm.max() if bool(norm.any()) else norm
        (line,) = ax.plot(steps, shown, label=label or self.layer, linewidth=1.8)
        with contextlib.suppress(UnstableError):
            memory = memory_function(self.system, self.lags[order]).channels.quantile(0.5, 0).sqrt()
            ax.plot(steps, memory, label="sqrt(memory)", color=line.get_color(), linestyle=(0, (4, 3)), linewidth=0.9)
        ax.set(xscale="log", yscale="log", xlabel="steps back (lag + 1)", ylabel="gradient (largest = 1)")
        ax.set_ylim(1e-4, 1.3)
        ax.legend(frameon=False)
        return ax

    def to_frame(self) -> pandas.DataFrame:
        """Return a table with the columns layer, channel, lag and gradient."""
        pandas = require("pandas", extra="plot", purpose="to_frame")
        channels, n = self.values.shape
        return pandas.DataFrame(
            {
                "layer": self.layer,
                "channel": np.repeat(np.arange(channels), n),
                "lag": np.tile(self.lags.numpy(), channels),
                "gradient": self.values.flatten().numpy(),
            }
        )
