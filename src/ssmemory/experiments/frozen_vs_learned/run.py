"""Train every start with learned and with frozen recurrence, and sum up what came out."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from ssmemory import files
from ssmemory.experiments.frozen_vs_learned.config import SIZES, Config
from ssmemory.experiments.frozen_vs_learned.findings import summarise
from ssmemory.experiments.pixels import Images, load_sequences
from ssmemory.experiments.sweep import results_of, sweep, train_and_score
from ssmemory.fit import FreezeMode, TrainConfig
from ssmemory.nn import BackboneConfig

SCHEMA = "ssmemory/frozen-vs-learned/1"
MODES: dict[str, FreezeMode] = {"learned": "none", "frozen": "eigenvalues"}


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the sweep, or take it up where it was cut off, and write ``results.json``.

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
    fixed = dataclasses.replace(config, dts=SIZES["quick"].dts, seeds=(0,), processes=1)  # may grow: a run has its own
    record = {"config": dataclasses.asdict(fixed), "read": images.name}
    files.claim_folder(folder / "runs", record, "sweep.json")
    jobs = [(dt, mode, seed) for seed in config.seeds for dt in config.dts for mode in MODES]
    one_run = functools.partial(_one_run, config, images, folder / "runs")
    runs = sweep(one_run, jobs, processes=config.processes)
    runs.sort(key=lambda r: (r["seed"], r["dt"], r["mode"]))
    size = next((name for name, known in SIZES.items() if known == config), "custom")
    summary = summarise(runs, images.length)
    results = results_of(runs, summary, images, schema=SCHEMA, size=size, config=dataclasses.asdict(config))
    files.write_json(folder / "results.json", results)
    return results


def _one_run(
    config: Config, images: Images, folder: Path, threads: int, dt: float, mode: str, seed: int
) -> dict[str, Any]:
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=config.n_layers, dropout=config.dropout,
        dt_min=dt, dt_max=dt, pooling="last",
    )  # fmt: skip
    how = TrainConfig(
        epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=config.ssm_lr,
        weight_decay=config.weight_decay, freeze=MODES[mode], seed=seed,
    )  # fmt: skip
    about = {"dt": dt, "mode": mode, "seed": seed}
    return train_and_score(shape, how, images, folder / f"dt{dt:g}-{mode}-seed{seed}", threads, about)
