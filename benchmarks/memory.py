"""The exact memory function: time, error and memory, beside the Gram matrix in float64 and a generic IIR filter.

All lags at once, on eigenvalues of three kinds: LRU's ring (0.9–0.999), S4D-Lin at dt 0.001 (rank N − 1), and a
Gaussian matrix scaled to radius 0.99 (Ginibre). The ways, all with the same eigenvalues:

  ours          memory_function(system, lags), from the system to the values, compiled code in place
  Gram          P = 1/(1 − λ_i λ‾_j) and K = [1, λ, λ², …] in float64, factored once, then blocks of K* P⁻¹ K
  naive filter  ops.allpass_cascade_naive: the same cascade by scipy's lfilter

Errors for N = 64: against P⁻¹ in 2,000-bit ball arithmetic at the lags REFERENCE_LAGS (ours relative, Gram absolute),
and Gram against ours, absolute, at every lag. Peak memory of ours: a fresh process, above what it held after its
imports (so numba counts) and in all. Then what else one asks for, N = 64 on the ring; "first call" includes loading
numba, in a fresh process with an empty or a full cache; "import" is what comes on top of torch. Seconds are medians
with the shortest and longest run.

    python benchmarks/memory.py [--quick] [--json PATH]

--quick leaves out Gram and filter at N = 1024 and writes no file unless told where.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import torch
from flint import acb, acb_mat, arb, ctx
from machine import described, in_fresh_process, machine, peak_memory, seconds, show, table, timed
from numpy.typing import NDArray

from ssmemory import LinearSystem, memory_function
from ssmemory.files import write_json
from ssmemory.init import ring, s4d_lin
from ssmemory.ops import allpass_cascade_naive

SEED = 0
SMALL, LARGE = (64, 20_000), (1024, 100_000)  # state size, lags
CASES = [("ring", *SMALL), ("S4D-Lin", *SMALL), ("Ginibre", *SMALL), ("ring", *LARGE), ("S4D-Lin", *LARGE)]
TARGET_SECONDS = {64: 0.05, 1024: 3.0}
TARGET_MB = 1000
REFERENCE_LAGS = (0, 1, 10, 50, 63, 64, 100, 200, 500, 1000, 2000, 5000, 10_000, 19_999)
BLOCK = 4096  # lags that the Gram way solves for at once
PACKAGES = ("ssmemory", "torch", "numpy", "scipy", "numba", "python-flint")


def system(kind: str, d_state: int) -> LinearSystem:
    if kind == "ring":
        return ring(d_state, seed=SEED)
    if kind == "S4D-Lin":
        return s4d_lin(d_state, dt=0.001)
    eigenvalues = np.linalg.eigvals(np.random.default_rng(SEED).standard_normal((d_state, d_state)))
    return LinearSystem.from_eigenvalues(0.99 * eigenvalues / np.abs(eigenvalues).max())


def gram(poles: NDArray[np.complex128], lags: int) -> NDArray[np.float64]:
    """diag(K* P⁻¹ K) by LU, which is what numpy's and scipy's solve do; P is too ill-conditioned for Cholesky."""
    factors = scipy.linalg.lu_factor(1 / (1 - np.outer(poles, poles.conj())))
    K = poles[:, None] ** np.arange(min(BLOCK, lags))
    values = np.empty(lags)
    for start in range(0, lags, BLOCK):
        here = K[:, : lags - start]
        values[start : start + BLOCK] = (here.conj() * scipy.linalg.lu_solve(factors, here)).sum(0).real
        K = K * (poles**BLOCK)[:, None]
    return values


def reference(log_poles: NDArray[np.complex128]) -> NDArray[np.float64]:
    """K* P⁻¹ K at REFERENCE_LAGS in ball arithmetic, the logarithms of the eigenvalues taken as exact."""
    n, before, ctx.prec = len(log_poles), ctx.prec, 2000
    poles = [acb(arb(value.real), arb(value.imag)).exp() for value in log_poles.tolist()]
    P = acb_mat(n, n, [1 / (1 - a * b.conjugate()) for a in poles for b in poles])
    K = acb_mat(n, len(REFERENCE_LAGS), [a**lag for a in poles for lag in REFERENCE_LAGS])
    X = P.solve(K)
    values = [sum(((K[i, t].conjugate() * X[i, t]).real for i in range(n)), arb(0)) for t in range(len(REFERENCE_LAGS))]
    assert all(value.rad() < 1e-20 * abs(value.mid()) for value in values)
    ctx.prec = before
    return np.array([float(value.mid()) for value in values])


def peak(kind: str, d_state: int, lags: int) -> dict[str, float]:
    return peak_memory(partial(memory_function, system(kind, d_state), lags))


def measured(kind: str, d_state: int, lags: int, quick: bool) -> dict[str, Any]:
    """One row: seconds of every way, the errors, and the peak memory of ours."""
    this = system(kind, d_state)
    spectrum = this.spectrum()
    poles = spectrum.eigenvalues[spectrum.counted].numpy()
    gains = spectrum.margins[spectrum.counted].sqrt().numpy()
    ways: dict[str, Callable[[], object]] = {
        "ours": partial(memory_function, this, lags),
        "Gram": partial(gram, poles, lags),
        "naive filter": partial(allpass_cascade_naive, poles[None], gains[None], lags),
    }
    memory_function(this, 1)
    runs = {name: timed(way) for name, way in ways.items() if name == "ours" or not (quick and d_state > 64)}
    errors: dict[str, float] = {}
    ours = memory_function(this, lags).values.numpy()
    if "Gram" in runs:
        by_gram = gram(poles, lags)
        errors["gram_vs_ours_absolute"] = float(np.abs(by_gram - ours).max())
    if d_state <= 64:
        exact, at = reference(spectrum.log_eigenvalues[spectrum.counted].numpy()), list(REFERENCE_LAGS)
        errors["ours_relative"] = float((np.abs(ours[at] - exact) / exact).max())
        errors["gram_absolute"] = float(np.abs(by_gram[at] - exact).max())
    memory = in_fresh_process(peak, None, kind, d_state, lags)
    row = {"spectrum": kind, "N": d_state, "lags": lags, "rank": int(spectrum.rank)}
    return row | {"seconds": runs, "errors": errors, "peak": memory}


def first_call(d_state: int, lags: int) -> float:
    return seconds(partial(memory_function, system("ring", d_state), lags))


def import_seconds(statement: str) -> float:
    code = f"import time, torch; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def gradients(log_modes: torch.Tensor, lags: int) -> torch.Tensor:
    leaf = log_modes.clone().requires_grad_()
    values = memory_function(LinearSystem.from_log_eigenvalues(leaf, conj_sym=True), lags).values
    return torch.autograd.grad(values.sum(), leaf)[0]


def others() -> dict[str, list[float]]:
    """Seconds of what else one asks a memory function for, and of the first call and the import."""
    this = system("ring", 64)
    memory, log_modes = memory_function(this, 20_000), this.log_modes
    assert log_modes is not None
    runs = {
        "tail beyond 20,000": timed(lambda: dataclasses.replace(memory).tail),  # the tail of an object is cached
        "lag 10⁶ alone": timed(partial(memory_function, this, [10**6])),
        "2,000 lags with gradients": timed(partial(gradients, log_modes, 2000)),
        "first call, empty cache": [],
        "first call, full cache": [],
    }
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            for key in ("first call, empty cache", "first call, full cache"):
                runs[key].append(in_fresh_process(first_call, {"NUMBA_CACHE_DIR": cache}, 64, 100))
    for statement in ("import ssmemory", "from ssmemory import LinearSystem, memory_function"):
        runs[statement] = [import_seconds(statement) for _ in range(5)]
    return runs


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    heading = ["eigenvalues", "N", "lags", "ours", "target", "Gram", "naive filter"]
    heading += ["ours: rel. error", "Gram: abs. error", "Gram − ours", "peak MB above/in all"]
    result = [heading]
    for row in rows:
        runs, errors, memory, limit = row["seconds"], row["errors"], row["peak"], TARGET_SECONDS[row["N"]]
        met = statistics.median(runs["ours"]) <= limit and memory["absolute_mb"] <= TARGET_MB
        cells = [row["spectrum"], str(row["N"]), f"{row['lags']:,}", show(runs["ours"])]
        cells += [f"≤ {limit:g} s {'met' if met else 'MISSED'}"]
        cells += [show(runs[name]) if name in runs else "-" for name in ("Gram", "naive filter")]
        names = ("ours_relative", "gram_absolute", "gram_vs_ours_absolute")
        cells += [f"{errors[name]:.1e}" if name in errors else "-" for name in names]
        result.append([*cells, f"{memory['above_baseline_mb']:.0f} / {memory['absolute_mb']:.0f}"])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options, about = parser.parse_args(), machine(PACKAGES)
    rows = [measured(*case, options.quick) for case in CASES]
    rest = others()
    print(table(lines(rows)))
    print(f"\ntarget: seconds, and a peak of at most {TARGET_MB} MB in all\n")
    print(table([["N = 64, ring", "time"], *([name, show(runs)] for name, runs in rest.items())]))
    print(f"\n{described(about)}")
    path = options.json or (None if options.quick else Path(__file__).parent / "results" / "memory.json")
    if path:
        write_json(path, {"machine": about, "seed": SEED, "quick": options.quick, "rows": rows, "others": rest})


if __name__ == "__main__":
    main()
