"""One look for the figures of all reports."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ssmemory.errors import require

_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "ssmemory", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "legend.frameon": False, "axes.axisbelow": True,
}  # fmt: skip


def draw_svg(draw: Callable[[Any, dict[str, Any]], None], results: dict[str, Any]) -> str:
    """Return a figure as SVG with text as text, the same for the same results.

    Args:
        draw: fills a matplotlib figure from the results.
        results: what an experiment saved.

    Returns:
        The ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", extra="plot", purpose="the figures")
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=(7.2, 4.0), layout="constrained")
        draw(canvas, results)
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
