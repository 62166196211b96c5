"""Compute memory, train readouts, measure variances, and train zero real parts held in four ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.zero_real_part.config import SIZES, Config
from ssmemory.experiments.zero_real_part.findings import summarise
from ssmemory.experiments.zero_real_part.measure import HELD, STEPS, measure

SCHEMA = "ssmemory/zero-real-part/1"
_FEW = 50  # jobs that take less time than starting a second process


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: not needed: the data are noise.
        source: not needed either.

    Returns:
        The results, as in ``results.json``.
    """
    del cache, source
    wanted = jobs(config)
    runs = study(measure, wanted, config, folder, processes=1 if len(wanted) < _FEW else 2)
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def jobs(config: Config) -> list[tuple[Any, ...]]:
    """Return what is measured, each by the arguments of `measure`."""
    wanted: list[tuple[Any, ...]] = [
        ("memory", length, d_state, step, real)
        for d_state in config.d_states
        for length in config.lengths
        for step in STEPS
        for real in config.real_parts
    ]
    models = [("layer", length) for length in config.training_lengths]
    models += [("backbone", length) for length in config.backbone_lengths]
    for seed in config.seeds:
        for kind in ("variance", "readout"):
            wanted += [
                (kind, length, step, real, seed)
                for length in config.lengths
                for step in STEPS
                for real in (config.real_parts[0], config.real_parts[-1])
            ]
        wanted += [
            ("training", model, length, held, lr, seed)
            for model, length in models
            for held in HELD
            for lr in (config.eigenvalue_lrs if held != "frozen" else (0.0,))
        ]
    return wanted
