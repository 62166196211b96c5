"""A million windows through `fit.readout`: memory while their number grows, throughput, one process against two.

Windows of 128 minutes of a household's power, seven channels, one from every minute on: views of one file, cut as they
are read and never stored. Frozen features and a readout in closed form tell the mean active power of the hour after.
A gap is filled with what was measured last; the errors are of hours measured in full, from the windows of the year
after, every fifth minute. Every run is a fresh process, and seconds go from the call to the readout, start of
processes included:

  windows/s      over all of that
  further/s      between this run and the one of a tenth of the windows, so without what is paid once
  MB/s           of windows, as if each were stored: 3.6 kB
  peak           MB of all processes together, sampled every 0.1 s: proportional set size (a page that k processes
                 share counts 1/k in each). "own": anonymous and shared memory. "file": mapped files, which are
                 libraries and as much of the data as was read, pages the system takes back when it needs them
  high water     sum of the peaks of resident memory that the system keeps of each process; misses no moment, but
                 counts shared pages more than once
  sent           MB that the run wrote, to other processes or to disk

    python benchmarks/windows.py [--windows 1000000] [--json PATH]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from joblib.externals.loky import get_reusable_executor
from machine import described, in_fresh_process, machine, table
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from processes import Peak

from ssmemory.data import load_household_power
from ssmemory.files import write_json
from ssmemory.fit import FrozenFeatures, LinearReadout, readout

Array = NDArray[Any]
WINDOW, HORIZON = 128, 60  # minutes
YEAR, EVERY = 525_600, 5  # minutes of the test, and between its windows
SIZES: dict[str, Any] = {
    "n_units": 128, "d_state": 64, "longest": WINDOW / 2, "segments": 4, "nonlinearity": "relu", "seed": 0,
}  # fmt: skip
BATCH, CALIBRATED = 1024, 1000  # windows
WAYS = {"1 process": (1, 1), "2 processes": (2, 1), "1 process, 2 threads": (1, 2)}  # processes, threads of each
PACKAGES = ("ssmemory", "torch", "numpy", "scipy", "numba", "joblib")


def prepare(folder: Path, n: int) -> tuple[FrozenFeatures, dict[str, float]]:
    """Write values and targets; return calibrated features, and what is known without any of ours: errors in kW²."""
    values = load_household_power().values[: n + YEAR + WINDOW + HORIZON]
    known = ~np.isnan(values).any(1)
    values = values[np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))]
    power, past = values[:, 0], values[:n]
    np.save(folder / "values.npy", ((values - past.mean(0)) / past.std(0)).astype(np.float32))
    after = sliding_window_view(power, HORIZON).mean(1)[WINDOW:, None]
    np.save(folder / "targets.npy", after)
    np.save(folder / "known.npy", sliding_window_view(known, HORIZON).all(1)[WINDOW:])
    features = FrozenFeatures(values.shape[1], **SIZES)
    features.calibrate(torch.from_numpy(windows(folder)[: n : max(1, n // CALIBRATED)].copy()))
    tested = windows_after(folder, n)
    y, last_minute = after[tested, 0], tested + WINDOW - 1
    guesses = {
        "mean of the training windows": after[:n].mean(),
        "last minute": power[last_minute],
        "last hour": sliding_window_view(power, HORIZON).mean(1)[last_minute - HORIZON + 1],
        "last 128 minutes": sliding_window_view(power, WINDOW).mean(1)[tested],
    }
    errors = {name: float(((y - guess) ** 2).mean()) for name, guess in guesses.items()}
    return features.eval(), errors | {"variance": float(y.var())}


def windows(folder: Path) -> Array:
    """(n, WINDOW, channels) as a view of the file."""
    return sliding_window_view(np.load(folder / "values.npy", mmap_mode="r"), WINDOW, axis=0).swapaxes(1, 2)


def windows_after(folder: Path, n: int) -> Array:
    """Numbers of windows that begin after all that was trained on, their hour measured in full."""
    first = n + WINDOW + HORIZON
    numbers = np.arange(first, len(np.load(folder / "targets.npy", mmap_mode="r")), EVERY)
    return numbers[np.load(folder / "known.npy")[numbers]]


def one(folder: Path, features: FrozenFeatures, n: int, processes: int) -> tuple[dict[str, Any], LinearReadout]:
    """A run over the first n windows, and what it found; in a fresh process."""
    inputs, targets = windows(folder)[:n], np.load(folder / "targets.npy", mmap_mode="r")[:n]
    written, began = psutil.Process().io_counters().write_chars, time.perf_counter()
    with Peak() as peak:
        found = readout(
            features, inputs, targets, task="regression", batch_size=BATCH, processes=processes, progress=False
        )
        took = time.perf_counter() - began
    sent = (psutil.Process().io_counters().write_chars - written) / 1e6
    if processes > 1:
        get_reusable_executor().shutdown()  # else they wait for work for minutes, and this process for them
    memory = {"at_start_mb": peak.start["all"], "high_water_mb": peak.high_water}
    memory |= {f"peak_{name}_mb": value for name, value in peak.most.items()}
    rates = {"seconds": took, "per_second": n / took, "mb_per_second": inputs.nbytes / took / 1e6}
    return {"windows": n, **rates, **memory, "sent_mb": sent}, found


def accuracy(
    folder: Path, features: FrozenFeatures, n: int, found: dict[str, LinearReadout]
) -> tuple[dict[str, float], dict[str, float]]:
    """Test error of the first in kW², and how far the others are from it, as largest differences."""
    tested, inputs = windows_after(folder, n), windows(folder)
    y, predictions = np.load(folder / "targets.npy")[tested], []
    for start in range(0, len(tested), BATCH):
        x = features(torch.from_numpy(inputs[tested[start : start + BATCH]])).double().numpy()
        predictions.append([fit(x) for fit in found.values()])
    each = [np.concatenate(parts) for parts in zip(*predictions, strict=True)]
    first, *others = found.values()
    scale = np.abs(first.weights).max()
    apart = {
        "predictions_kw": max(float(np.abs(other - each[0]).max()) for other in each[1:]),
        "weights_of_largest": max(float(np.abs(other.weights - first.weights).max() / scale) for other in others),
        "penalties": len({fit.penalty for fit in found.values()}) - 1,
    }
    left_out = 1 - first.error / first.variance
    return {"tested": len(tested), "error": float(((each[0] - y) ** 2).mean()), "left_out_R2": left_out}, apart


def measured(folder: Path, features: FrozenFeatures, n: int) -> tuple[list[dict[str, Any]], dict[str, LinearReadout]]:
    """Rows of all ways and three numbers of windows, and what each way found from all of them."""
    rows: list[dict[str, Any]] = []
    found = {}
    for way, (processes, threads) in WAYS.items():
        before = None
        for some in (n // 100, n // 10, n):
            environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
            row, found[way] = in_fresh_process(one, environment, folder, features, some, processes)
            if before:
                row["further_per_second"] = (some - before["windows"]) / (row["seconds"] - before["seconds"])
            rows.append({"way": way, **row})
            before = row
    return rows, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=10**6, help="the most; a hundredth and a tenth go before")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "windows.json")
    options, about = parser.parse_args(), machine(PACKAGES)
    n = options.windows
    if not 100 * BATCH // 10 <= n <= 1_500_000:
        parser.error(f"--windows: expected {100 * BATCH // 10} to 1500000, got {n}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        features, errors = prepare(folder, n)
        rows, found = measured(folder, features, n)
        tested, apart = accuracy(folder, features, n, found)
    columns = {
        "windows": "windows", "seconds": "seconds", "windows/s": "per_second", "further/s": "further_per_second",
        "MB/s": "mb_per_second", "MB at start": "at_start_mb", "peak": "peak_all_mb", "own": "peak_own_mb",
        "file": "peak_file_mb", "high water": "high_water_mb", "sent": "sent_mb",
    }  # fmt: skip
    cells = [[row["way"], *(f"{row[key]:,.4g}" if key in row else "-" for key in columns.values())] for row in rows]
    print(table([["way", *columns], *cells]))
    ends = {row["way"]: row for row in rows if row["windows"] == n}
    ratios = {
        way: {key: row[key] / ends["1 process"][key] for key in ("per_second", "further_per_second")}
        for way, row in ends.items()
    }
    for way, ratio in ratios.items():
        print(f"{way}: {ratio['per_second']:.2f} of one process, {ratio['further_per_second']:.2f} further on")
    print(f"between the ways, at most: {', '.join(f'{key} {value:.1e}' for key, value in apart.items())}")
    variance = errors["variance"]
    guesses = {"readout": tested["error"]} | {name: error for name, error in errors.items() if name != "variance"}
    lines = [[name, f"{error:.4f}", f"{1 - error / variance:.3f}"] for name, error in guesses.items()]
    print(table([[f"{tested['tested']:,} test windows", "kW²", "R²"], *lines]))
    print(f"R² by leave-one-out, which neighbours that overlap flatter: {tested['left_out_R2']:.3f}")
    print(described(about))
    task = {"window": WINDOW, "horizon": HORIZON, "batch": BATCH, **SIZES}
    record = {"rows": rows, "ratios": ratios, "apart": apart, "test": tested | {"guesses": errors}}
    write_json(options.json, {"machine": about, "task": task, **record})


if __name__ == "__main__":
    main()
