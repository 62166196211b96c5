"""Every claim with what was measured for it, from the results that the documentation keeps."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

_HEAD = """# Claims and what was measured

G: *Memory Determines Learning Direction* (arXiv 2510.00563). A: *Autocorrelation Matters* (arXiv 2411.19455).
R: questions that their public reviews left open. P: *Emergence of the Primacy Effect in Structured State-Space Models*
(arXiv 2502.13729). S: *The Curious Case of In-Training Compression of State Space Models* (arXiv 2510.02823).
A verdict speaks of the setting that was run, no further. This page is made from the results in `docs/results/` by
`make docs`; each command makes its results anew.

| id | claim | predicted | measured | verdict | command |
|---|---|---|---|---|---|
"""


def claims_document(results: Path, experiments: Mapping[str, ModuleType]) -> str:
    """Return the table of all claims in Markdown, in the order G, A, R, P, S.

    Args:
        results: the folder of saved results, ``NAME-SIZE.json``.
        experiments: the experiments by name.

    Returns:
        The page.
    """
    rows = []
    for path in sorted(results.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        known = [name for name, experiment in experiments.items() if found["schema"] == experiment.SCHEMA]
        if not known:
            continue
        folder = Path(str(experiments[known[0]].__file__)).parent
        expected = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))
        command = f"`ssmemory run {known[0]} --size {found['size']}`"
        for name, told in expected.items():
            claim = found["summary"]["claims"][name]
            cells = name, told["claim"], told["predicted"], claim["measured"], claim["verdict"], command
            rows.append([str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells])
    rows.sort(key=lambda row: ("GARPS".index(row[0][0]), int(row[0][1:])))
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)
