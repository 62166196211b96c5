"""Choose learning rates, then let the same network learn in every way."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ssmemory.experiments.closed_form.config import SIZES, WAYS, Config
from ssmemory.experiments.closed_form.findings import chosen, summarise
from ssmemory.experiments.closed_form.measure import measure
from ssmemory.experiments.pixels import load_sequences
from ssmemory.experiments.study import keep_results, study

SCHEMA = "ssmemory/closed-form/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written; runs that are finished there are not repeated.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: the data are there but damaged. Where they cannot be reached, scikit-learn's digits are used.
        InputError: the folder holds runs of another configuration.
    """
    images = load_sequences(config, cache=cache, source=source)
    measured = functools.partial(measure, images=images)
    grid = [("validation", way, lr, config.tuning_seed, images.name) for way in WAYS for lr in config.rates(way)]
    tuning = study(measured, grid, config, folder)
    lrs = chosen(tuning, config)
    jobs = [("test", way, lrs[way], seed, images.name) for way in WAYS for seed in config.seeds]
    runs = study(measured, jobs, config, folder)
    summary, told = summarise(runs, tuning, config), images.described()
    return keep_results(tuning + runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data=told)
