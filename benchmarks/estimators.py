"""The estimated memory function against the exact one: how often the interval holds the truth, and how wide it is.

Random linear systems driven by white noise (uniform), their states simulated in float64 and handed to
`estimate_memory` as any model's would be. By family and state size:

  lags        share of (system, lag) pairs whose 95 % interval holds the exact MF; its smallest share over the systems
  capacity    share of systems whose interval holds the exact capacity over the same lags
  half-width  median of half the capacity's interval over the capacity, in per cent
  bias        mean of estimate − exact of the capacity, in per cent of it
  resolved    mean of resolved_rank over the rank. Below 1, float64 states do not carry the memory that theory gives
              them, and no estimate from them can find it: such systems have rows of their own, marked *
  noise       states that never saw the input: share of capacity intervals that hold 0

    python benchmarks/estimators.py [--systems 52] [--steps 100000] [--first SEED] [--json PATH]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described, machine, seconds, table
from numpy.typing import NDArray
from scipy.signal import lfilter

from ssmemory import LinearSystem, memory_function
from ssmemory.files import write_json
from ssmemory.init import random_dense, random_disk, ring, s4d_inv, s4d_legs, s4d_lin
from ssmemory.memory.estimate import MemoryEstimate, estimate_memory

PACKAGES = ("ssmemory", "torch", "numpy", "scipy")
SIZES = (8, 16, 32, 64)
NOISE = "noise (inputs, not %)"
HEADING = ["states", "N", "systems", "lags % (least)", "capacity %", "half-width", "bias", "resolved"]


def s4d(d_state: int, seed: int) -> LinearSystem:
    """S4D at a random step, each of its three spectra in turn."""
    dt = float(np.exp(np.random.default_rng(seed).uniform(math.log(0.01), math.log(0.1))))
    return (s4d_lin, s4d_inv, s4d_legs)[seed % 3](d_state, dt)


FAMILIES: dict[str, Callable[[int, int], LinearSystem]] = {
    "ring 0.9-0.99": lambda n, seed: ring(n, 0.9, 0.99, seed=seed),
    "random disk 0.99": lambda n, seed: random_disk(n, 0.99, seed=seed),
    "Ginibre 0.9": lambda n, seed: random_dense(n, 0.9, seed=seed),
    "S4D": s4d,
}


def states(system: LinearSystem, u: NDArray[np.float64]) -> NDArray[Any]:
    """(length, N) states from zero; of conjugate pairs one half."""
    if system.log_modes is not None:
        modes = system.log_modes.exp().numpy()
        x = np.stack([lfilter([1.0], [1.0, -mode], u) for mode in modes], -1)
        return x * system.B.numpy()[:, 0]
    assert system.A is not None
    A, b = system.A.numpy(), system.B.numpy()[:, 0]
    x, now = np.empty((len(u), len(b)), dtype=A.dtype), np.zeros(len(b), dtype=A.dtype)
    for t, value in enumerate(u):
        now = A @ now + b * value
        x[t] = now
    return x


def one(family: str, d_state: int, seed: int, steps: int) -> dict[str, float]:
    system = FAMILIES[family](d_state, seed)
    exact = memory_function(system, 4 * d_state)
    u = np.random.default_rng([seed, d_state, list(FAMILIES).index(family)]).uniform(-1, 1, steps)
    x = states(system, u)
    found: list[MemoryEstimate] = []
    took = seconds(lambda: found.append(estimate_memory(x, u, 4 * d_state, seed=seed)))
    estimate = found[0]
    low, high = estimate.interval.unbind(-1)
    capacity = float(exact.values.sum())
    return {
        "seed": seed,
        "lags": float(((low <= exact.values) & (exact.values <= high)).double().mean()),
        "capacity": float(estimate.capacity_interval[0] <= capacity <= estimate.capacity_interval[1]),
        "half_width": (estimate.capacity_interval[1] - estimate.capacity) / capacity,
        "bias": (estimate.capacity - capacity) / capacity,
        "worst_lag_in_stderr": float(((estimate.values - exact.values).abs() / estimate.stderr).max()),
        "largest_error": float((estimate.values - exact.values).abs().max()),
        "resolved": estimate.resolved_rank / int(exact.rank),
        "condition": estimate.condition,
        "seconds": took,
    }


def noise(d_state: int, seed: int, steps: int) -> dict[str, float]:
    """States of a linear system driven by another input."""
    u, other = np.random.default_rng([7, seed, d_state]).uniform(-1, 1, (2, steps))
    estimate = estimate_memory(states(ring(d_state, 0.9, 0.99, seed=seed), other), u, 4 * d_state, seed=seed)
    low, high = estimate.interval.unbind(-1)
    held = float(((low <= 0) & (high >= 0)).double().mean())
    return {
        "lags": held,
        "capacity": float(estimate.capacity_interval[0] <= 0 <= estimate.capacity_interval[1]),
        "half_width": estimate.capacity_interval[1] - estimate.capacity,
        "bias": estimate.capacity,
        "resolved": 1.0,
    }


def row(name: str, d_state: int, runs: list[dict[str, float]]) -> list[str]:
    def values(key: str) -> NDArray[np.float64]:
        return np.array([run[key] for run in runs])

    lags, resolved = values("lags"), float(values("resolved").mean())
    percent = 1.0 if name == NOISE else 100.0
    return [
        name + (" *" if resolved < 1 else ""),
        str(d_state or "all"),
        str(len(runs)),
        f"{100 * lags.mean():.1f} ({100 * lags.min():.0f})",
        f"{100 * values('capacity').mean():.1f}",
        f"{percent * np.median(values('half_width')):.2f}",
        f"{percent * values('bias').mean():+.3f}",
        f"{resolved:.3f}",
    ]


def summary(runs: dict[tuple[str, int], list[dict[str, float]]]) -> list[list[str]]:
    """Rows by family and size, those that float64 cannot carry apart, then by family and over all that it can."""
    rows: list[list[str]] = []
    whole: dict[str, list[dict[str, float]]] = {}
    for (family, d_state), here in runs.items():
        carried = [run for run in here if run["resolved"] >= 1]
        rest = [run for run in here if run["resolved"] < 1]
        rows += [row(family, d_state, some) for some in (carried, rest) if some]
        whole[family] = whole.get(family, []) + carried
    rows += [row(family, 0, some) for family, some in whole.items() if some]
    return [*rows, row("all without *, no noise", 0, [run for f, some in whole.items() if f != NOISE for run in some])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=40, help="systems of every family, spread over the sizes")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first system")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "estimators.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    about, seeds = machine(PACKAGES), range(options.first, options.first + max(1, options.systems // len(SIZES)))
    print(f"{described(about)}; {options.steps} steps, lags 0 … 4N − 1")
    runs = {(family, n): [one(family, n, seed, options.steps) for seed in seeds] for family in FAMILIES for n in SIZES}
    runs |= {(NOISE, n): [noise(n, seed, options.steps) for seed in seeds] for n in SIZES}
    rows = summary(runs)
    print(table([HEADING, *rows]))
    records = [dict(zip(HEADING, cells, strict=True)) for cells in rows]
    sizes = {"steps": options.steps, "systems": options.systems, "first": options.first, "lags": "4N"}
    write_json(options.json, {"machine": about, **sizes, "results": records})


if __name__ == "__main__":
    main()
