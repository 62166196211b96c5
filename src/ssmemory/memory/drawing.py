"""One look for memory functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ssmemory.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FLOOR = 1e-12


def draw_memory(ax: Axes | None, lags: Tensor, curves: Tensor, limit: Tensor | None, label: str | None) -> Axes:
    """Draw the median of the curves (channels, n_lags) with a band from the 10th to the 90th percentile, and a limit.

    Args:
        ax: where to draw; a new figure if left out.
        lags: (n_lags,) in any order.
        curves: (channels, n_lags).
        limit: (n_lags,) a dashed line in the same colour, or None.
        label: name of the curve in the legend.

    Returns:
        The axes, logarithmic both ways.
    """
    pyplot = require("matplotlib.pyplot", extra="plot", purpose="plot")
    if ax is None:
        ax = pyplot.subplots(figsize=(6, 4), layout="constrained")[1]
    order = lags.argsort()
    steps = (lags[order] + 1).double()
    curves = curves.detach().cpu()[:, order].clamp(min=_FLOOR)
    (line,) = ax.plot(steps, curves.quantile(0.5, 0), label=label, linewidth=1.8)
    if len(curves) > 1:
        band = curves.quantile(0.1, 0), curves.quantile(0.9, 0)
        ax.fill_between(steps, *band, color=line.get_color(), alpha=0.18, linewidth=0)
    if limit is not None:
        ax.plot(steps, limit[order], color=line.get_color(), linestyle=(0, (4, 3)), linewidth=0.9)
    ax.set(xscale="log", yscale="log", xlabel="steps back (lag + 1)", ylabel="memory function")
    ax.set_ylim(max(1e-4, float(curves.min()) / 2), 1.3)
    return ax
