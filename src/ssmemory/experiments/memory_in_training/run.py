"""Train every start, learned and frozen, and set memory beside the score."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ssmemory.experiments.memory_in_training.config import SIZES, Config
from ssmemory.experiments.memory_in_training.findings import summarise
from ssmemory.experiments.memory_in_training.measure import measure
from ssmemory.experiments.pixels import load_sequences
from ssmemory.experiments.study import keep_results, study

SCHEMA = "ssmemory/memory-in-training/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: the data are there but damaged. Where they cannot be reached, scikit-learn's digits are used.
    """
    images = load_sequences(config, cache=cache, source=source)
    jobs = [(dt, mode, seed) for seed in config.seeds for dt in config.dts for mode in ("learned", "frozen")]
    runs = study(functools.partial(measure, images=images), jobs, config, folder)
    summary = summarise(runs, config, images.length)
    return keep_results(
        runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data=dict(images.described())
    )  # fmt: skip
