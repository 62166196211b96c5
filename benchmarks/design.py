"""Designed spectra: how near the bound N/(lag + 1) they come, and what the best S4D-Lin and the closed form reach.

For every state size N and lag one `init.design` (one lag, default starts, seed 0): its value by `memory_function` as a
share of the bound min(1, N/(lag + 1)); its ratio to the best S4D-Lin over a dense grid of 1,500 steps dt, and to
the best hand-made spectrum that `design` found; `init.recall` as a share of the design. Seconds of one call, wall clock
and processor, of one thread; the first call, which loads or compiles the loops, is left out.

    python benchmarks/design.py [--quick] [--json PATH]

--quick stops at N = 16 and writes no file unless told where.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described, machine, table

from ssmemory import memory_function
from ssmemory.files import write_json
from ssmemory.init import s4d_lin
from ssmemory.init._spectrum_search import Recollection, reached
from ssmemory.init.design import design
from ssmemory.init.recall import recall

SIZES, LAGS = (1, 2, 4, 8, 16, 32, 64, 128), (50, 200, 1000)
TARGET_SHARE = {2: 0.50, 4: 0.64, 8: 0.76, 16: 0.845, 32: 0.90}
TARGET_RATIO = {16: 1.2}
TARGET_SECONDS = 10.0
STEPS = 1500
PACKAGES = ("ssmemory", "torch", "numpy", "scipy", "numba")


def best_s4d_lin(d_state: int, lag: int) -> float:
    """The largest MF(lag) of S4D-Lin over a dense grid of dt."""
    steps = torch.from_numpy(np.geomspace(0.01 / d_state, 100, STEPS) / (lag + 1))
    return max(reached(Recollection(np.array([lag])), s4d_lin(d_state + d_state % 2, steps)))


def measured(d_state: int, lag: int) -> dict[str, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    found = design(d_state, lags=[lag])
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    closed_form = float(memory_function(recall(d_state, lag), [lag]).values)
    lin = max(best_s4d_lin(d_state, lag), found.baselines["S4D-Lin"])
    return {
        "N": d_state,
        "lag": lag,
        "value": found.value,
        "bound": found.bound,
        "share": found.share,
        "ratio_to_s4d_lin": found.value / lin,
        "best_baseline": found.best_baseline,
        "ratio_to_best_baseline": found.value / max(lin, found.baselines[found.best_baseline]),
        "recall_of_optimum": closed_form / found.value,
        "starts": found.starts,
        "seconds": wall,
        "processor_seconds": processor,
    }


def met(row: dict[str, Any]) -> str:
    """Whether the targets of this row are met."""
    missed = [
        name
        for name, good in (
            ("share", row["share"] >= TARGET_SHARE.get(row["N"], 0)),
            ("ratio", row["ratio_to_s4d_lin"] >= TARGET_RATIO.get(row["N"], 0)),
            ("recall", row["recall_of_optimum"] >= 0.98),
            ("seconds", row["seconds"] <= TARGET_SECONDS),
        )
        if not good
    ]
    return "met" if not missed else "MISSED " + ", ".join(missed)


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    heading = [
        "N",
        "lag",
        "MF",
        "share of bound",
        "× S4D-Lin",
        "× best hand-made",
        "recall/design",
        "seconds (CPU)",
        "",
    ]
    result = [heading]
    for row in rows:
        cells = [str(row["N"]), f"{row['lag']:,}", f"{row['value']:.5f}", f"{row['share']:.4f}"]
        cells += [f"{row['ratio_to_s4d_lin']:.3f}", f"{row['ratio_to_best_baseline']:.3f} {row['best_baseline']}"]
        cells += [f"{row['recall_of_optimum']:.4f}", f"{row['seconds']:.1f} ({row['processor_seconds']:.1f})", met(row)]
        result.append(cells)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options, about = parser.parse_args(), machine(PACKAGES)
    torch.set_num_threads(1)
    design(2, window=10)
    sizes = [n for n in SIZES if n <= 16 or not options.quick]
    rows = [measured(d_state, lag) for lag in LAGS for d_state in sizes]
    print(table(lines(rows)))
    print(f"\n{described(about)}")
    path = options.json or (None if options.quick else Path(__file__).parent / "results" / "design.json")
    if path:
        write_json(path, {"machine": about, "quick": options.quick, "rows": rows})


if __name__ == "__main__":
    main()
