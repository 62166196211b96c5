"""Where a command's picture goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssmemory.errors import require
from ssmemory.files import replacing


def save(figure: Any, path: Path) -> Path:
    """Write a matplotlib figure as PNG, atomically, and return the path."""
    require("matplotlib", extra="plot", purpose="--plot")
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=130)
    return path
