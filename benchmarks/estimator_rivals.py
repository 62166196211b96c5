"""Memory capacity from recorded states as other packages estimate it, beside the exact value and ours.

Every tool reads the same recorded states and input: i.i.d., uniform on [-0.8, 0.8], from a zero state. Lags 1 … 2N: the
rivals start at lag 1. RCbench's default sums 30 lags, and the exact value over those stands beside it. reservoirpy's
`memory_capacity` gets a model that plays the recorded states back into its own Ridge: split, warm-up and score are its
own. Mean and standard deviation over seeds.

  ours      value, and in how many of the runs its 95 % interval holds the exact value
  carried   resolved_rank of N: directions of the float64 states above their rounding; what lies below, no tool can find

    python benchmarks/estimator_rivals.py [--seeds 3] [--json PATH]     (environment: benchmarks/rivals_constraints.txt)
"""

from __future__ import annotations

import argparse
import logging
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described, machine, table
from reservoirpy.nodes import Ridge
from reservoirpy.observables import memory_capacity
from rivals import PACKAGES, RCBENCH_DELAYS, Array, Case, driven, noise, rcbench_capacity, theory
from threadpoolctl import threadpool_limits

from ssmemory import estimate_memory
from ssmemory.errors import InputError
from ssmemory.files import write_json

CASES: dict[str, tuple[int, Callable[[int, int], Case]]] = {
    "cyclic 0.95": (50, lambda samples, seed: driven("cyclic 0.95", 50, samples, seed)),
    "Gaussian 0.9": (50, lambda samples, seed: driven("Gaussian 0.9", 50, samples, seed)),
    "Gaussian 0.9 ": (100, lambda samples, seed: driven("Gaussian 0.9", 100, samples, seed)),
    "noise": (50, lambda samples, seed: noise(50, samples, seed)),
}
SAMPLES = (1000, 2500, 10_000, 30_000)
OURS = "ours (1..2N)"


class Recorded:
    """What reservoirpy's `memory_capacity` asks of a model, with recorded states in place of a reservoir."""

    def __init__(self, states: Array, ridge: float) -> None:
        self.states, self.readout, self.at = states, Ridge(ridge=ridge), 2 * states.shape[1]  # it skips k_max inputs

    def _next(self, steps: int) -> Array:
        self.at += steps
        return self.states[self.at - steps : self.at]

    def fit(self, x: Array, y: Array, warmup: int) -> None:
        self.readout.fit(self._next(len(x)), y, warmup=warmup)

    def run(self, x: Array) -> Array:
        return np.asarray(self.readout.run(self._next(len(x))))


def reservoirpy_capacity(u: Array, states: Array, ridge: float) -> float:
    """reservoirpy's score of its own Ridge on recorded states, k_max = 2N."""
    return float(memory_capacity(Recorded(states, ridge), k_max=2 * states.shape[1], series=u[:, None]))  # type: ignore[arg-type]


def tools(u: Array, states: Array) -> dict[str, Callable[[], float]]:
    """Each rival by its name and the lags that it sums over."""
    tuned: dict[str, Any] = {"max_delay": 2 * states.shape[1], "num_features": "all"}
    return {
        **{f"reservoirpy ridge {r:g} (1..2N)": partial(reservoirpy_capacity, u, states, r) for r in (0.0, 1e-8, 1e-4)},
        f"RCbench defaults (1..{RCBENCH_DELAYS})": partial(rcbench_capacity, u, states),
        **{
            f"RCbench all nodes, ridge {r:g} (1..2N)": partial(rcbench_capacity, u, states, **tuned, regression_alpha=r)
            for r in (1.0, 1e-8)
        },
    }


def ours(u: Array, states: Array, exact: float) -> dict[str, Any]:
    """Our estimate over lags 1 … 2N; refused where there are fewer than 20 steps a direction."""
    try:
        estimate = estimate_memory(states, u, range(1, 2 * states.shape[1] + 1))
    except InputError as refusal:
        return {"refused": str(refusal)}
    low, high = estimate.capacity_interval
    return {
        "capacity": estimate.capacity, "low": low, "high": high, "held": low <= exact <= high,
        "carried": estimate.resolved_rank, "condition": estimate.condition,
    }  # fmt: skip


def measured(case: Case, seed: int) -> dict[str, Any]:
    """Every tool on one case."""
    exact = theory(case)
    rivals = {name: compute() for name, compute in tools(case.u, case.states).items()}
    return {
        "case": case.name, "N": case.states.shape[1], "samples": len(case.u), "seed": seed, "exact": exact,
        "ours": ours(case.u, case.states, exact["1..2N"]), "rivals": rivals,
    }  # fmt: skip


def lines(runs: list[dict[str, Any]]) -> list[list[str]]:
    """A column a case and sample size, a line a tool."""
    columns = list(dict.fromkeys((run["case"], run["N"], run["samples"]) for run in runs))
    groups = [[run for run in runs if (run["case"], run["N"], run["samples"]) == column] for column in columns]

    def spread(values: list[float]) -> str:
        return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")

    def own(group: list[dict[str, Any]]) -> tuple[str, str, str]:
        kept = [run["ours"] for run in group if "capacity" in run["ours"]]
        if not kept:
            return "refused", "–", "–"
        held = f"{sum(one['held'] for one in kept)} of {len(kept)}"
        return spread([one["capacity"] for one in kept]), held, f"{statistics.mean(k['carried'] for k in kept):.3g}"

    about = [own(group) for group in groups]
    return [
        ["case", *(column[0].strip() for column in columns)],
        ["N, samples", *(f"{n}, {samples}" for _, n, samples in columns)],
        *(
            [f"exact ({k})", *(spread([run["exact"][k] for run in g]) for g in groups)]
            for k in list(runs[0]["exact"])[2:]
        ),
        *([name, *(one[k] for one in about)] for k, name in enumerate((OURS, "  held", "  carried"))),
        *([name, *(spread([run["rivals"][name] for run in g]) for g in groups)] for name in runs[0]["rivals"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "estimator_rivals.json")
    options, about = parser.parse_args(), machine(PACKAGES)
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    runs = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tools warn of ill-conditioned matrices
        for samples in SAMPLES:
            for _, make in CASES.values():
                runs += [measured(make(samples, seed), seed) for seed in range(options.seeds)]
    runs.sort(key=lambda run: (list(CASES).index(run["case"] + " " * (run["N"] == 100)), run["samples"], run["seed"]))
    print(table(lines(runs)))
    print(f"\n{described(about)}")
    write_json(options.json, {"machine": about, "lags": "1..2N", "seeds": options.seeds, "runs": runs})


if __name__ == "__main__":
    main()
