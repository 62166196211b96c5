"""What a source predicts beside what was measured, as a table."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ssmemory.experiments.page import Table


def claims_table(folder: Path, claims: dict[str, dict[str, str]]) -> Table:
    """Return the claims of an experiment's ``expected.toml``, each with what was measured and the verdict.

    Args:
        folder: the experiment's folder.
        claims: "measured" and "verdict" of each claim, by its id.

    Returns:
        The table.
    """
    expected = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))
    rows = [
        [name, told["claim"], told["predicted"], claims[name]["measured"], claims[name]["verdict"]]
        for name, told in expected.items()
    ]
    caption = f"Source: {next(iter(expected.values()))['source']}. A verdict speaks of this setting alone."
    return Table("Predicted and measured", ["", "claim", "predicted", "measured", "verdict"], rows, caption)
