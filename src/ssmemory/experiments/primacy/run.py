"""Train every model from every start on every recall, and say where its memory lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssmemory.experiments.primacy.config import SIZES, Config
from ssmemory.experiments.primacy.findings import summarise
from ssmemory.experiments.primacy.measure import measure
from ssmemory.experiments.primacy.model import MODELS, STARTS
from ssmemory.experiments.study import keep_results, study

SCHEMA = "ssmemory/primacy/1"


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
    runs = study(measure, jobs(config), config, folder)
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def jobs(config: Config) -> list[tuple[str, str, str, int]]:
    """Return what is trained: model, start, task and seed."""
    return [
        (model, start, task, seed)
        for seed in config.seeds
        for task in config.tasks
        for model in MODELS
        for start in STARTS
    ]
