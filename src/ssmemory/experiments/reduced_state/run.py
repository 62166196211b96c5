"""Train large, reduce after or during training, train small from the start, and compare at every state size."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import torch

from ssmemory.experiments.pixels import Images, Parts, load_sequences
from ssmemory.experiments.reduced_state.config import SIZES, Config
from ssmemory.experiments.reduced_state.findings import summarise
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record, accuracy
from ssmemory.fit import ReduceState, TrainConfig, train
from ssmemory.nn import Backbone, BackboneConfig, named_systems, reduce_model
from ssmemory.systems import effective_state_size, hankel_singular_values

SCHEMA = "ssmemory/reduced-state/1"


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
    images = load_sequences(
        Parts(config.data, config.side, config.n_train, 200, config.n_test), cache=cache, source=source
    )
    jobs = [("large", config.large, seed) for seed in config.seeds]
    jobs += [(way, size, seed) for seed in config.seeds for size in config.d_states for way in ("early", "small")]
    runs = study(functools.partial(measure, images=images, folder=folder / "runs"), jobs, config, folder)
    summary = summarise(runs, config)
    return keep_results(runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data=images.described())


def measure(config: Config, way: str, d_state: int, seed: int, *, images: Images, folder: Path) -> Record:
    """Train one model and score it; of the large one also what is left of it at every smaller size.

    Args:
        config: the configuration.
        way: "large", "early" (large, and reduced to d_state after a few epochs), or "small" (d_state from the start).
        d_state: the state size at the end.
        seed: the seed.
        images: the data.
        folder: holds a folder a run.

    Returns:
        The record.
    """
    torch.manual_seed(seed)
    size = d_state if way == "small" else config.large
    model = Backbone(BackboneConfig(d_model=config.d_model, d_state=size, n_layers=config.n_layers, layer="lru"))
    how = TrainConfig(
        epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=config.ssm_lr, seed=seed
    )  # fmt: skip
    plan = ReduceState((config.reduce_after,), d_state) if way == "early" else None
    here = folder / f"{way}-{d_state}-seed{seed}"
    result = train(model, images.training, images.validation, how, folder=here, progress=False, reduce=plan)
    (here / "last.ckpt").unlink(missing_ok=True)
    record = {"way": way, "d_state": d_state, "seed": seed, "test_accuracy": accuracy(model, *images.test)}
    record |= {"train_accuracy": result.final("train_accuracy"), "reductions": result.reductions}
    return record | (_truncated(model, images, config) if way == "large" else {})


def _truncated(model: Backbone, images: Images, config: Config) -> Record:
    """Return the predicted size of a trained model, and what is left of it at every even size."""
    systems = [system for _, system in named_systems(model)]
    total = [float(hankel_singular_values(system).sum()) for system in systems]
    curve = []
    for size in range(2, config.large + 1, 2):
        small = copy.deepcopy(model)
        done = list(reduce_model(small, size).values())
        share = [float(d.singular_values[int(d.order) :].sum()) / t for d, t in zip(done, total, strict=True)]
        bound = max(float(d.bound / d.singular_values[0]) for d in done)
        error = max(float(d.error_measured(256) / d.singular_values[0]) for d in done)
        point = {"d_state": size, "test_accuracy": accuracy(small, *images.test), "discarded": max(share)}
        curve.append(point | {"bound": bound, "error": error})
    predicted = max(int(effective_state_size(system, config.level)) for system in systems)
    return {"truncated": curve, "predicted": predicted + predicted % 2}
