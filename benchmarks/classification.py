"""Long time series told apart with the defaults of `MemoryClassifier`: test accuracy, and wall clock of fit and score.

    python benchmarks/classification.py [--seeds 1] [--json PATH]

The sets come as they are, in their published division; seed 0 first.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from machine import described, machine, table

from ssmemory import MemoryClassifier
from ssmemory.data import load_series_set
from ssmemory.files import write_json

SETS = ("acsf1", "plaid", "pigcvp")
PACKAGES = ("ssmemory", "torch", "numpy", "scikit-learn")


def one(name: str, seed: int) -> dict[str, float | str]:
    found = load_series_set(name, status=lambda words: None)
    (X, y), (X_test, y_test) = (([x.T for x in part.series], part.labels) for part in (found.train, found.test))
    began = time.perf_counter()
    model = MemoryClassifier(random_state=seed).fit(X, y)
    accuracy = model.score(X_test, y_test)
    return {
        "set": name, "seed": seed, "train": len(X), "test": len(X_test), "classes": len(found.train.classes),
        "features": len(model.readout_.weights), "accuracy": accuracy, "seconds": time.perf_counter() - began,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "classification.json")
    options, about = parser.parse_args(), machine(PACKAGES)
    rows = [one(name, seed) for name in SETS for seed in range(options.seeds)]
    body = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    print(table([[*rows[0]], *body]))
    print(described(about))
    write_json(options.json, {"machine": about, "rows": rows})


if __name__ == "__main__":
    main()
