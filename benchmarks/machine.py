"""The machine and how to measure on it: what it is, times with their spread, peak memory, fresh processes, a table."""

from __future__ import annotations

import gc
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

import torch

P = ParamSpec("P")
R = TypeVar("R")


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """The processor, its cores, and the versions of everything compared."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    return {"cpu": model[1] if model else platform.machine(), "cores": os.cpu_count(), "versions": versions}


def described(about: dict[str, Any]) -> str:
    """`machine` in one line."""
    return f"{about['cpu']}, {about['cores']} cores; " + ", ".join(f"{k} {v}" for k, v in about["versions"].items())


def seconds(compute: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start


def timed(compute: Callable[[], object]) -> list[float]:
    """Seconds of five runs or more: up to 50 within half a second, two or three of those over 10 s.

    The run before them warms up and is left out, unless it took over 5 s.
    """
    first = seconds(compute)
    runs = [first] if first > 5 else []
    while (len(runs) < 5 and sum(runs) < 30) or (len(runs) < 50 and sum(runs) < 0.5):
        runs.append(seconds(compute))
    return runs


def peak_memory(compute: Callable[[], object]) -> dict[str, float]:
    """Peak resident MB of one call, above what was held before it and in all. Linux only; use a fresh process.

    The kernel's high-water mark of this process, set back before the call. Not getrusage's ru_maxrss: that starts at
    the peak of the process which started this one, and shows the parent's memory.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = compute()
    peak = _status("VmHWM")
    del result
    return {"above_baseline_mb": peak - before, "absolute_mb": peak}


def _status(field: str) -> float:
    found = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def in_fresh_process(
    function: Callable[P, R], environment: dict[str, str] | None = None, /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """The result of a module's function in a new interpreter, with additions to the environment."""
    with (
        patch.dict(os.environ, environment or {}),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return pool.submit(function, *args, **kwargs).result()


def show(runs: Sequence[float]) -> str:
    """Median of some seconds with the shortest and the longest, in a unit that fits."""
    middle = statistics.median(runs)
    unit, scale = ("s", 1.0) if middle >= 1 else ("ms", 1e3) if middle >= 1e-3 else ("µs", 1e6)
    return f"{scale * middle:.3g} ({scale * min(runs):.3g}–{scale * max(runs):.3g}) {unit}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the heading first: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows)
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)


def copy_bandwidth() -> float:
    """Bytes a second that a copy of 256 MB reads and writes, the best of five."""
    source = torch.ones(2**26)
    target = torch.empty_like(source)
    return 2 * source.nbytes / min(seconds(lambda: target.copy_(source)) for _ in range(6))


def gemm_rate() -> float:
    """Floating-point operations a second of a float32 matrix product of 2,048 rows, the best of five."""
    A = torch.ones(2048, 2048)
    return 2 * 2048**3 / min(seconds(lambda: A @ A) for _ in range(6))
