"""Record states, estimate their memory in every way, and set it beside the exact value."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssmemory.experiments.estimators.config import SIZES, Config
from ssmemory.experiments.estimators.findings import summarise
from ssmemory.experiments.estimators.recipes import RECIPES, foreseen, inverse_covariance
from ssmemory.experiments.estimators.states import CASES, FAMILIES, plain, recorded, responses, white
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record
from ssmemory.memory import estimate_memory, memory_function

SCHEMA = "ssmemory/estimators/1"
_FEW = 50  # jobs that take less time than starting a second process
_STEPS_PER_DIRECTION = 20  # `estimate_memory` refuses fewer


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
    jobs: list[tuple[Any, ...]] = [
        ("capacity", kind, n, steps, seed)
        for seed in config.seeds
        for kind, n in config.cases
        for steps in config.samples
    ]
    jobs += [
        ("coverage", family, n, config.steps, number)
        for family in config.families
        for n in config.d_states
        for number in range(config.systems)
    ]
    runs = study(measure, jobs, config, folder, processes=1 if len(jobs) < _FEW else 2)
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def measure(config: Config, kind: str, name: str, d_state: int, steps: int, seed: int) -> Record:
    """Return the exact capacity, what each estimate says, and what it was foreseen to say."""
    del config
    return {"kind": kind, "name": name, "d_state": d_state, "steps": steps, "seed": seed} | (
        capacities(name, d_state, steps, seed) if kind == "capacity" else coverage(name, d_state, steps, seed)
    )


def capacities(kind: str, d_state: int, steps: int, seed: int) -> Record:
    """Return the capacity over 2 N lags by every recipe, from the same rows."""
    lags, make = 2 * d_state, CASES[kind]
    u = white(steps, seed, d_state, zlib.crc32(kind.encode()))
    system = None if make is None else make(d_state, seed)
    exact = np.zeros(lags) if system is None else memory_function(system, lags).values.numpy()
    x = recorded(system, u) if system else np.random.default_rng([seed, steps, 1]).standard_normal((steps, d_state))
    start = max(lags, steps // 10)
    X, Y = x[start:], np.stack([u[start - lag : steps - lag] for lag in range(lags)], -1)
    predicted = foreseen(None if system is None else responses(system), d_state, lags, len(X))
    found = {name: plain(recipe(X, Y).sum()) for name, recipe in RECIPES.items()}
    return {
        "exact": plain(exact.sum()), "used": len(X), "found": found,
        "predicted": {name: plain(value) for name, value in predicted.items()}, "ours": _ours(x, u, exact, start, seed),
    }  # fmt: skip


def coverage(family: str, d_state: int, steps: int, seed: int) -> Record:
    """Return our estimate over 4 N lags of one random system, and what a plain inverse of the covariance says."""
    lags, system = 4 * d_state, FAMILIES[family](d_state, seed)
    u, other = (white(steps, seed, d_state, zlib.crc32(family.encode()), k) for k in (0, 1))
    noise = family == "noise"
    exact = np.zeros(lags) if noise else memory_function(system, lags).values.numpy()
    x, start = recorded(system, other if noise else u), max(lags, steps // 10)
    Y = np.stack([u[start - lag : steps - lag] for lag in range(lags)], -1)
    naive = plain(inverse_covariance(x[start:], Y).sum())
    rank = d_state if noise else int(memory_function(system, 1).rank)
    return {"exact": plain(exact.sum()), "rank": rank, "naive": naive, "ours": _ours(x, u, exact, start, seed)}


def _ours(x: NDArray[Any], u: NDArray[Any], exact: NDArray[Any], start: int, seed: int) -> Record | None:
    """Return the estimate; none where the steps are too few for it."""
    if len(x) - start < _STEPS_PER_DIRECTION * (x.shape[1] + 1):
        return None
    estimate = estimate_memory(x, u, len(exact), washout=start, seed=seed)
    low, high = estimate.interval.numpy().T
    return {
        "capacity": plain(estimate.capacity), "low": plain(estimate.capacity_interval[0]),
        "high": plain(estimate.capacity_interval[1]), "lags_held": plain(((low <= exact) & (exact <= high)).mean()),
        "floor": plain(estimate.floor), "resolved": estimate.resolved_rank, "condition": plain(estimate.condition),
    }  # fmt: skip
