"""Train every task from every start, and set the scores beside what the advice said."""

from __future__ import annotations

import functools
import math
import statistics
from pathlib import Path
from typing import Any

import scipy.stats
import torch

from ssmemory import init
from ssmemory.experiments.advised_start.config import SIZES, Config
from ssmemory.experiments.advised_start.tasks import Task, load_task
from ssmemory.experiments.study import keep_results, spread, study
from ssmemory.experiments.sweep import Record
from ssmemory.fit import TrainConfig, train
from ssmemory.init import Advice
from ssmemory.nn import Backbone, BackboneConfig
from ssmemory.systems import LinearSystem

SCHEMA = "ssmemory/advised-start/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files, for the pixels.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: data cannot be had, or are damaged.
    """
    tasks = {name: load_task(name, config, cache=cache, source=source) for name in config.tasks}
    advice = {name: init.from_data(task.training[0][:500], config.d_state) for name, task in tasks.items()}
    jobs = [(task, start, seed) for seed in config.seeds for task in config.tasks for start in config.starts]
    here = functools.partial(measure, tasks=tasks, advice=advice, folder=folder / "runs")
    runs = study(here, jobs, config, folder)
    told = {name: found.to_record() | {"explained": found.explain()} for name, found in advice.items()}
    summary = summarise(runs, config) | {"advice": told}
    data = {name: task.about for name, task in tasks.items()}
    return keep_results(runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data=data)


def measure(
    config: Config, name: str, start: str, seed: int, *, tasks: dict[str, Task], advice: dict[str, Advice], folder: Path
) -> Record:
    """Return the score of one training: test accuracy, or the share of the variance that is explained."""
    task, found = tasks[name], advice[name]
    u, y = task.training
    torch.manual_seed(seed)
    begin = _start(start, found, config.d_state)
    dt = None if start == "usual" else found.dt_rule if start == "rule" else found.dt
    shape = BackboneConfig(
        d_input=u.shape[-1], d_output=task.classes or 1, d_model=config.d_model, d_state=config.d_state,
        n_layers=config.n_layers, pooling="mean" if name == "text" else "last", dt_min=dt, dt_max=dt,
    )  # fmt: skip
    model = Backbone(shape, init=begin)
    how = TrainConfig(
        epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=config.ssm_lr, seed=seed,
        task="classification" if task.classes else "regression",
    )  # fmt: skip
    own = folder / f"{name}-{start}-{seed}"
    train(model, (u, y), (task.test[0][:50], task.test[1][:50]), how, folder=own, progress=False)
    (own / "last.ckpt").unlink(missing_ok=True)
    return {"task": name, "start": start, "seed": seed, "score": _score(model, task)}


def _start(start: str, advice: Advice, d_state: int) -> LinearSystem | Advice | None:
    if start == "advised":
        return advice
    if start == "fourier":
        return init.fourier(d_state, advice.length)
    return init.recall(d_state, advice.length - 1) if start == "recall" else None


@torch.no_grad()
def _score(model: Backbone, task: Task) -> float:
    u, y = task.test
    output = torch.cat([model(part)[0] for part in u.split(256)])
    if task.classes:
        return float((output.argmax(-1) == y).double().mean())
    return 1 - float((output - y).square().mean() / y.var())


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return the table of scores, findings and verdicts.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "rows", "findings" and "claims".
    """
    scores = {
        (task, start): [run["score"] for run in runs if (run["task"], run["start"]) == (task, start)]
        for task in config.tasks
        for start in config.starts
    }
    mean = {key: statistics.mean(values) for key, values in scores.items()}
    rows = [
        {"task": task, "best": max(config.starts, key=lambda start: mean[task, start])}
        | {start: spread([100 * value for value in scores[task, start]]) for start in config.starts}
        for task in config.tasks
    ]
    gains = {task: {s: _gain(scores[task, s], scores[task, "usual"]) for s in config.starts} for task in config.tasks}
    told = "; ".join(
        f"{task}: {', '.join(f'{start} {_told(*gain)}' for start, gain in of.items() if start != 'usual')}"
        for task, of in gains.items()
    )
    sure = {
        start: {task: gain for task, of in gains.items() for gain, error in [of[start]] if abs(gain) > error}
        for start in config.starts
        if start != "usual"
    }
    findings = [
        f"Points gained over the usual start, with half of the 95 % interval of the paired seeds: {told}.",
        *(_sentence(start, found) for start, found in sure.items()),
    ]
    advised = sure.get("advised", {})
    better = [f"{task} ({start})" for start, found in sure.items() for task, gain in found.items() if gain > 0]
    claims = {
        "R6": {
            "measured": "; ".join(f"{task} {_told(*of['advised'])}" for task, of in gains.items())
            if "advised" in config.starts
            else "not run",
            "verdict": f"better on {_names(advised, 1)}; worse on {_names(advised, -1)}; not told from chance on the "
            f"other {len(gains) - len(advised)} of {len(gains)} tasks",
        },
        "R8": {"measured": told, "verdict": f"yes: {', '.join(better)}" if better else "none told from chance"},
    }
    return {"rows": rows, "findings": findings, "claims": claims}


def _gain(scores: list[float], usual: list[float]) -> tuple[float, float]:
    """Return the mean difference in points, and half of its 95 % interval over paired seeds; infinite for one seed."""
    points = [100 * (a - b) for a, b in zip(scores, usual, strict=True)]
    if len(points) < 2:
        return points[0], math.inf
    error = float(scipy.stats.t.ppf(0.975, len(points) - 1)) * statistics.stdev(points) / math.sqrt(len(points))
    return statistics.mean(points), error


def _told(gain: float, error: float) -> str:
    return f"{gain:+.1f} ± {error:.1f}" if math.isfinite(error) else f"{gain:+.1f} (one seed)"


def _sentence(start: str, found: dict[str, float]) -> str:
    return f"The start '{start}' is better on {_names(found, 1)}, worse on {_names(found, -1)}."


def _names(found: dict[str, float], sign: int) -> str:
    return ", ".join(task for task, gain in found.items() if gain * sign > 0) or "none"
