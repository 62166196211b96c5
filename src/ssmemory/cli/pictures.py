"""A command's picture: drawn in one way, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssmemory.errors import require
from ssmemory.files import replacing


def save(figure: Any, path: Path) -> Path:
    """Write a matplotlib figure as PNG, atomically, and return the path."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=130)
    return path


def save_axes(draw: Callable[[Any], object], path: Path) -> Path:
    """Write a figure of one pair of axes that ``draw`` fills, with its legend, and return the path."""
    require("matplotlib", extra="plot", purpose="--plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return save(figure, path)
