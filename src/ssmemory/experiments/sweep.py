"""Many training runs, taken up where they were cut off, each scored once on the test part."""

from __future__ import annotations

import dataclasses
import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import torch
from torch import Tensor
from tqdm import tqdm

from ssmemory import files
from ssmemory.experiments.pixels import Images
from ssmemory.fit import LayerMemory, TrainConfig, TrainResult, train
from ssmemory.nn import Backbone, BackboneConfig

Record = dict[str, Any]


def sweep(one_run: Callable[..., Record], jobs: Sequence[tuple[Any, ...]], *, processes: int) -> list[Record]:
    """Call ``one_run(threads, *job)`` for every job, some at a time, with a progress bar.

    Args:
        one_run: trains one model, or reads a finished run back.
        jobs: its further arguments.
        processes: runs trained at a time; they share torch's threads.

    Returns:
        The records, in any order.
    """
    pool = joblib.Parallel(n_jobs=processes, return_as="generator_unordered")
    threads = max(1, torch.get_num_threads() // processes)
    work = pool(joblib.delayed(one_run)(threads, *job) for job in jobs)
    return list(tqdm(work, total=len(jobs), desc="runs", unit="run", file=sys.stderr, mininterval=1))


def train_and_score(
    shape: BackboneConfig, how: TrainConfig, images: Images, folder: Path, threads: int, about: Record
) -> Record:
    """Train one model from the seed of ``how`` and score it on the test part; a finished run is read back.

    Args:
        shape: the model.
        how: the training.
        images: the data.
        folder: holds this run; its checkpoint is dropped at the end.
        threads: torch's threads while it trains.
        about: what tells this run from the others; begins the record.

    Returns:
        The record, as in ``run.json``: ``about``, one row an epoch, memory before and after, test accuracy. The
        eigenvalues, which only a picture needs, stand in those of seed 0.
    """
    done = folder / "run.json"
    if done.is_file():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    torch.set_num_threads(threads)
    torch.manual_seed(how.seed)
    model = Backbone(shape)
    result = train(model, images.training, images.validation, how, folder=folder, progress=False)
    record = about | _record(result, eigenvalues=how.seed == 0) | {"test_accuracy": accuracy(model, *images.test)}
    files.write_json(done, record)
    (folder / "last.ckpt").unlink(missing_ok=True)  # finished: nothing to resume
    return record


@torch.no_grad()
def accuracy(model: Backbone, u: Tensor, y: Tensor) -> float:
    """Return the share of sequences that the model names right."""
    right = sum(
        int((model(part)[0].argmax(-1) == target).sum())
        for part, target in zip(u.split(256), y.split(256), strict=True)
    )
    return right / len(y)


def score(runs: list[Record]) -> Record:
    """Return mean and spread of the test accuracy over runs that differ in their seed."""
    found = [run["test_accuracy"] for run in runs]
    return {
        "seeds": len(runs),
        "test_accuracy": statistics.mean(found),
        "test_accuracy_min": min(found),
        "test_accuracy_max": max(found),
        "test_accuracy_sd": statistics.stdev(found) if len(found) > 1 else None,
    }


def percent(scored: Record) -> str:
    """Return a test accuracy of `score` with its spread over the seeds, if there are several."""
    spread = "" if scored["test_accuracy_sd"] is None else f" ± {100 * scored['test_accuracy_sd']:.1f}"
    return f"{100 * scored['test_accuracy']:.1f}{spread} %"


def machine() -> Record:
    """Return what ``results.json`` says of where it was made."""
    return {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}


def results_of(
    runs: list[Record], summary: Record, images: Images, *, schema: str, size: str, config: Record
) -> Record:
    """Return what goes into ``results.json``.

    Args:
        runs: the records of all runs.
        summary: what was made of them.
        images: the data.
        schema: the schema's name.
        size: the size's name, or "custom".
        config: the configuration.

    Returns:
        The results.
    """
    return {
        "schema": schema,
        "size": size,
        "config": config,
        "data": images.described(),
        "machine": machine(),
        "training_seconds": round(sum(row["seconds"] for run in runs for row in run["rows"][1:]), 1),
        "summary": summary,
        "runs": runs,
    }


def _record(result: TrainResult, *, eigenvalues: bool) -> Record:
    return {
        "rows": [{name: float(f"{value:.6g}") for name, value in row.items()} for row in result.rows],
        "trained_parameters": result.trained_parameters,
        "frozen_parameters": result.frozen_parameters,
        "before": [_short(record, eigenvalues=eigenvalues) for record in result.before],
        "after": [_short(record, eigenvalues=eigenvalues) for record in result.after],
    }


def _short(record: LayerMemory, *, eigenvalues: bool) -> Record:
    """A layer's memory with six digits, and its eigenvalues only where they are wanted."""
    value = dataclasses.asdict(record)
    for name in ("median", "low", "high"):
        value[name] = [float(f"{number:.6g}") for number in value[name]]
    for name in ("eigenvalues_real", "eigenvalues_imag"):
        channels = value.pop(name)
        if eigenvalues:
            value[name] = [[float(f"{number:.6g}") for number in modes] for modes in channels]
    return value
