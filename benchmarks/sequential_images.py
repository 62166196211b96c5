"""Sequential MNIST and permuted sequential MNIST, all 60,000 images, with `MemoryClassifier` in closed form.

Pixels one a step, 784 steps; the test part is looked at once, by `score`, with the defaults and two processes. Every
run is a process of its own:

  accuracy  on the 10,000 test images
  fit       seconds from the call to the readout: choosing, calibrating, one pass, solving
  score     seconds for the test images
  peak      resident memory of all its processes at their highest, GB, sampled every 0.1 s: pages that two of them
            share count twice

    python benchmarks/sequential_images.py [--seeds 1] [--images 60000] [--json PATH]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor
from machine import described, in_fresh_process, machine, table
from processes import Peak

from ssmemory import MemoryClassifier
from ssmemory.data import load_images, pixel_sequences
from ssmemory.files import write_json

TASKS = {"sMNIST": None, "psMNIST": 92}  # seed of the permutation
PACKAGES = ("ssmemory", "torch", "numpy", "scipy", "numba", "scikit-learn", "joblib")


def one(task: str, seed: int, images: int) -> dict[str, Any]:
    found = load_images("mnist", status=lambda words: None)
    (X, y), (X_test, y_test) = (
        (pixel_sequences(part, permutation_seed=TASKS[task])[..., 0].numpy(), np.asarray(labels))
        for part, labels in (
            (found.train_images[:images], found.train_labels[:images]),
            (found.test_images, found.test_labels),
        )
    )
    with Peak() as peak:
        began = time.perf_counter()
        model = MemoryClassifier(n_jobs=2, random_state=seed).fit(X, y)
        fitted = time.perf_counter()
        accuracy = model.score(X_test, y_test)
        scored = time.perf_counter()
    get_reusable_executor().shutdown()  # else this process waits for its helpers, and they for work
    print(f"{task}, seed {seed}:\n{model.explain()}\n", flush=True)
    return {
        "task": task, "seed": seed, "images": len(X), "features": len(model.readout_.weights), "accuracy": accuracy,
        "fit_s": fitted - began, "score_s": scored - fitted, "peak_gb": peak.most["resident"] * 2**20 / 1e9,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=60_000, help="of the training part, the first ones")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "sequential_images.json")
    options, about = parser.parse_args(), machine(PACKAGES)
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}
    runs = [(task, seed) for seed in range(options.seeds) for task in TASKS]
    rows = [in_fresh_process(one, passive, task, seed, options.images) for task, seed in runs]
    body = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    print(table([[*rows[0]], *body]))
    print(described(about))
    write_json(options.json, {"machine": about, "rows": rows})


if __name__ == "__main__":
    main()
