"""Long time series told apart by `MemoryClassifier`, beside MiniRocket and Rocket as aeon has them.

    python benchmarks/rockets.py [--others] [--seeds 3] [--json PATH]   (environment: rockets_constraints.txt)

All with their defaults, aeon's with the RidgeClassifierCV that comes inside; two threads for each (aeon's are asked for
with n_jobs=2, and linear algebra has as many). The sets come in their published division and as they are; OSULeaf is
the one in aeon's own wheel. PLAID's series have lengths of their own, 100 … 1,344. `MemoryClassifier` reads them so.
aeon's two refuse them: theirs are padded with zeros to the longest of all, by aeon's `Padder` with its defaults.

The features of `MemoryClassifier` were chosen with an eye on the accuracy on these four sets. ``--others`` takes the
rest of aeon's wheel, short series mostly, which were not looked at, and tells accuracy alone: several of their fits
compile while the clock runs.

Each fit has a fresh process and first a tiny fit of the same kind on noise, so that nothing is compiled while the clock
runs (padding is not timed either).

  fit, predict  wall clock in seconds: of all training, of all test series; the median over seeds
  CPU           seconds of processor time that the fit took, all threads together; the median over seeds
  MB            peak resident memory of the fit above what the process held before it; the most over seeds
  accuracy      on the test part: mean and standard deviation over seeds
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import aeon
import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier, RocketClassifier
from aeon.transformations.collection.unequal_length import Padder
from machine import described, in_fresh_process, machine, peak_memory, seconds, table
from threadpoolctl import threadpool_limits

from ssmemory import MemoryClassifier
from ssmemory.data import SeriesSet, load_series_set, read_series_set
from ssmemory.files import write_json

SETS = ("acsf1", "plaid", "pigcvp", "OSULeaf")
OTHERS = ("ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "JapaneseVowels", "PickupGestureWiimoteZ")
THREADS = 2
TOOLS = {
    "MemoryClassifier": lambda seed: MemoryClassifier(random_state=seed),
    "MiniRocketClassifier": lambda seed: MiniRocketClassifier(n_jobs=THREADS, random_state=seed),
    "RocketClassifier": lambda seed: RocketClassifier(n_jobs=THREADS, random_state=seed),
}
PACKAGES = ("ssmemory", "aeon", "torch", "numba", "numpy", "scipy", "scikit-learn")
SPENT = {"fit_s": "fit s", "fit_cpu_s": "CPU s", "predict_s": "predict s"}
ENVIRONMENT = {f"{name}_NUM_THREADS": str(THREADS) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def loaded(name: str) -> SeriesSet:
    if name.islower():
        return load_series_set(name, status=lambda words: None)
    folder = Path(aeon.__file__).parent / "datasets" / "data" / name
    return read_series_set(folder / f"{name}_TRAIN.ts", folder / f"{name}_TEST.ts")


def as_given(found: SeriesSet, tool: str) -> tuple[Any, Any, str]:
    """Training and test series as the tool takes them, channels before steps, and what was done to the lengths."""
    train, test = ([series.T for series in part.series] for part in (found.train, found.test))
    if len({*found.train.lengths, *found.test.lengths}) == 1:
        return np.stack(train), np.stack(test), "one length"
    if tool == "MemoryClassifier":
        return train, test, "as they are"
    padder = Padder(int(max(found.train.lengths.max(), found.test.lengths.max()))).fit(train)
    return padder.transform(train), padder.transform(test), "padded with zeros"


def measured(name: str, tool: str, seed: int) -> dict[str, Any]:
    """One fit and its predictions; in a fresh process."""
    found = loaded(name)
    X, X_test, lengths = as_given(found, tool)
    noise = np.random.default_rng(0).standard_normal((20, 1, 100))
    with threadpool_limits(THREADS):
        TOOLS[tool](seed).fit(noise, np.tile([0, 1], 10)).predict(noise)  # compiles
        model, spent, guesses = TOOLS[tool](seed), {}, []

        def fit() -> None:
            began = time.process_time()
            spent["fit_s"] = seconds(lambda: model.fit(X, found.train.labels))
            spent["fit_cpu_s"] = time.process_time() - began

        memory = peak_memory(fit)
        spent["predict_s"] = seconds(lambda: guesses.append(model.predict(X_test)))
    return {
        "set": name, "tool": tool, "seed": seed, "train": len(X), "test": len(X_test),
        "longest": int(found.train.lengths.max()), "classes": len(found.train.classes), "lengths": lengths,
        "accuracy": float(np.mean(guesses[0] == found.test.labels)), **spent, **memory,
    }  # fmt: skip


def lines(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[list[str]]:
    """A line a set and tool, and for each tool one over all sets: accuracies averaged, seconds added, the most MB."""

    timed = "fit_s" in rows[0]

    def summed(tool: str, sets: tuple[str, ...]) -> list[str]:
        groups = [[row for row in rows if (row["set"], row["tool"]) == (name, tool)] for name in sets]
        by_seed = [statistics.mean(row["accuracy"] for row in runs) for runs in zip(*groups, strict=True)]
        spread = f" ± {statistics.stdev(by_seed):.3f}" if len(by_seed) > 1 else ""
        accuracy = f"{statistics.mean(by_seed):.3f}{spread}"
        if not timed:
            return [accuracy]
        took = [sum(statistics.median(row[key] for row in group) for group in groups) for key in SPENT]
        most = max(row["above_baseline_mb"] for group in groups for row in group)
        return [accuracy, *(f"{value:.1f}" for value in took), f"{most:.0f}"]

    def about(name: str) -> list[str]:
        row = next(row for row in rows if row["set"] == name)
        return [f"{row['train']} + {row['test']}", str(row["longest"]), str(row["classes"])]

    heading = ["set", "series", "steps", "classes", "tool", "accuracy", *([*SPENT.values(), "MB"] if timed else [])]
    body = [[name, *about(name), tool, *summed(tool, (name,))] for name in names for tool in TOOLS]
    return [heading, *body, *(["all", "", "", "", tool, *summed(tool, names)] for tool in TOOLS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--others", action="store_true", help="sets that the features were not chosen on")
    parser.add_argument("--json", type=Path, help="default: results/rockets.json, results/rockets_others.json")
    options, about = parser.parse_args(), machine(PACKAGES)
    names = OTHERS if options.others else SETS
    file = "rockets_others.json" if options.others else "rockets.json"
    target = options.json or Path(__file__).parent / "results" / file
    rows = []
    for seed, name, tool in product(range(options.seeds), names, TOOLS):
        rows.append(row := in_fresh_process(measured, ENVIRONMENT, name, tool, seed))
        print(f"{name}, {tool}, seed {seed}: {row['accuracy']:.3f}, {row['fit_s']:.1f} s", file=sys.stderr, flush=True)
    if options.others:
        rows = [{key: value for key, value in row.items() if not key.endswith(("_s", "_mb"))} for row in rows]
    print(table(lines(rows, names)))
    print(f"\n{described(about)}")
    write_json(target, {"machine": about, "threads": THREADS, "seeds": options.seeds, "rows": rows})


if __name__ == "__main__":
    main()
