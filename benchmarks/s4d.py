"""S4D's recurrence in training: ops.diagonal_ssm beside the field's own way and the chunked matrix products.

Forward and backward in float32 on all of torch's threads: 128 channels, d_state 64 (32 conjugate pairs), eigenvalues,
B and C of a new S4D layer (S4D-Lin, dt log-uniform in 0.001–0.1), gradients of all four arguments. The variants:

  ours     ops.diagonal_ssm
  chunked  ops.diagonal_ssm_chunked
  naive    ops.vandermonde_convolution: a complex64 Vandermonde tensor and a real FFT convolution of length 2L; it
           has no initial state and computes no last one, which the other two do

They take turns in one process; the first round is left out; medians with the shortest and longest run. Error: the
largest difference over the largest value, of y and of the worst gradient, against naive in complex128 on every 16th
channel. Peak memory: a fresh process a variant, above what it held before the call (after a small one). Floor: the
least time for the bytes of u, y and their gradients at the machine's copy bandwidth, and for the multiply-adds of
ours at its matrix-product rate, the larger of the two; both measured in this run. Then: the exponent of ours in L at
batch 1, one step of a layer of 256 channels, batch 1, without gradients, and the first forward and backward in a
fresh process, numba's loading included, with an empty or a full cache.

    python benchmarks/s4d.py [--quick] [--json PATH]

--quick leaves out naive above L = 4,096, runs two rounds, and writes no file unless told where.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import (
    copy_bandwidth,
    described,
    gemm_rate,
    in_fresh_process,
    machine,
    peak_memory,
    seconds,
    show,
    table,
)
from torch import Tensor

from ssmemory.files import write_json
from ssmemory.nn import S4D
from ssmemory.ops import diagonal_ssm, diagonal_ssm_chunked, vandermonde_convolution

SEED, D_MODEL, D_STATE = 0, 128, 64
CASES = ((1024, 16), (4096, 16), (16_384, 4), (65_536, 1))  # length, batch
ROUNDS = {1024: 7, 4096: 5, 16_384: 5, 65_536: 3}
LENGTHS = tuple(2**k for k in range(10, 17))
TARGET_RATIO = {1024: 5, 4096: 5, 16_384: 15, 65_536: 50}  # naive's seconds over ours
TARGET_EXPONENT, TARGET_STEP = 1.1, 1e-3  # of time in L; seconds a token
FLOPS = 2 * (5 + 13) * D_MODEL * D_STATE // 2  # of ours a step: multiply-adds of each mode forward and backward
BETWEEN = (
    "between ours and the floor: operands from the nearest cache beside those in registers (three fifths of the "
    "matrix-product rate within the loops), new memory for y and the gradient of u, and a few ms of small tensors"
)
CHECKED = slice(None, None, 16)  # channels compared with the float64 reference
MET = ("MISSED", "met")
PACKAGES = ("ssmemory", "torch", "numpy", "numba")
Run = Callable[[], list[Tensor]]


def from_zero(op: Callable[..., tuple[Tensor, Tensor]], u: Tensor, modes: Tensor, B: Tensor, C: Tensor) -> Tensor:
    return op(u, modes, B, C, torch.zeros(len(u), *modes.shape, dtype=B.dtype))[0]


# A layer hands out log λ in double precision; the field's layers hold it in complex64.
VARIANTS: dict[str, tuple[Callable[..., Tensor], torch.dtype]] = {
    "ours": (partial(from_zero, diagonal_ssm), torch.complex128),
    "chunked": (partial(from_zero, diagonal_ssm_chunked), torch.complex128),
    "naive": (vandermonde_convolution, torch.complex64),
}


@cache
def layer_arguments() -> tuple[Tensor, Tensor, Tensor]:
    """log λ, B and C of a new layer, each (channels, modes), in complex128."""
    system = S4D(D_MODEL, D_STATE, generator=torch.Generator().manual_seed(SEED)).system()
    assert system.log_modes is not None
    assert system.C is not None
    return system.log_modes.detach(), system.B.detach().squeeze(-1), system.C.detach().squeeze(-2)


def prepared(variant: str, length: int, batch: int, *, reference: bool = False) -> Run:
    """A forward and backward that gives y and the gradients of u, log λ, B and C; the reference: float64, CHECKED."""
    op, dtype = VARIANTS[variant]
    generator = torch.Generator().manual_seed(SEED)
    u, weights = torch.randn(2, batch, length, D_MODEL, generator=generator)
    modes, B, C = layer_arguments()
    arguments = [u, modes.to(dtype), B.to(torch.complex64), C.to(torch.complex64)]
    if reference:
        weights = weights[..., CHECKED].double()
        arguments = [u[..., CHECKED].double(), *(value[CHECKED] for value in (modes, B, C))]
    arguments = [value.clone().requires_grad_() for value in arguments]

    def run() -> list[Tensor]:
        y = op(*arguments)
        return [y.detach(), *torch.autograd.grad(y, arguments, weights)]

    return run


def errors(results: list[Tensor], exact: list[Tensor]) -> dict[str, float]:
    checked = [*(value[..., CHECKED] for value in results[:2]), *(value[CHECKED] for value in results[2:])]
    found = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(checked, exact, strict=True)]
    return {"y": found[0], "gradients": max(found[1:])}


def in_turn(runs: dict[Any, Run], rounds: int) -> dict[Any, list[float]]:
    """Seconds of every run, one after another in each round."""
    found: dict[Any, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return found


def peak(variant: str, length: int, batch: int) -> dict[str, float]:
    prepared(variant, 256, 1)()
    return peak_memory(prepared(variant, length, batch))


def floor(length: int, batch: int) -> dict[str, float]:
    """Seconds that nothing can go below: u read twice, its gradient and y written, y's gradient read; multiply-adds."""
    steps = length * batch
    return {"bytes": 5 * 4 * D_MODEL * steps / copy_bandwidth(), "flops": FLOPS * steps / gemm_rate()}


def measured(length: int, batch: int, quick: bool) -> dict[str, Any]:
    """One case: seconds, errors and peak memory of every variant, and the floor."""
    names = [name for name in VARIANTS if name != "naive" or not quick or length <= 4096]
    memory = {name: in_fresh_process(peak, None, name, length, batch) for name in names}
    exact = prepared("naive", length, batch, reference=True)()
    runs = {name: prepared(name, length, batch) for name in names}
    found = {name: errors(run(), exact) for name, run in runs.items()}  # also the round that warms up
    spent = in_turn(runs, 2 if quick else ROUNDS[length])
    least = floor(length, batch)
    return {"length": length, "batch": batch, "seconds": spent, "errors": found, "peak": memory, "floor": least}


def scaling(quick: bool) -> dict[str, Any]:
    """Seconds of ours at batch 1; the slope of log seconds over log L, over all lengths and over the upper half."""
    runs = {length: prepared("ours", length, 1) for length in LENGTHS}
    in_turn(runs, 1)
    spent = in_turn(runs, 2 if quick else 7)
    x, y = np.log(LENGTHS), np.log([statistics.median(spent[length]) for length in LENGTHS])
    return {"seconds": spent, "exponents": [float(np.polyfit(x[k:], y[k:], 1)[0]) for k in (0, len(x) // 2)]}


@torch.no_grad()
def step_seconds(rounds: int = 7, tokens: int = 300) -> list[float]:
    """Seconds a token of `S4D.step` with 256 channels, batch 1, one value a round of some tokens."""
    layer = S4D(256, D_STATE, generator=torch.Generator().manual_seed(SEED))
    u = torch.randn(tokens, 1, 256, generator=torch.Generator().manual_seed(SEED))

    def generate() -> None:
        state = layer.initial_state(1)
        for u_t in u:
            _, state = layer.step(u_t, state)

    generate()
    return [seconds(generate) / tokens for _ in range(rounds)]


def first_call() -> float:
    return seconds(prepared("ours", 256, 1))


STEP = "step, a token"


def others(quick: bool) -> dict[str, list[float]]:
    first = [f"first forward and backward, {state} cache" for state in ("empty", "full")]
    runs = {STEP: step_seconds(), **{key: list[float]() for key in first}}
    for _ in range(1 if quick else 3):
        with tempfile.TemporaryDirectory() as folder:
            for key in first:
                runs[key].append(in_fresh_process(first_call, {"NUMBA_CACHE_DIR": folder}))
    return runs


HEADING = "L, batch|variant|time|naive / it|target|error: y|gradients|peak MB|target|it / floor"


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A line a case and variant; naive / it: naive's seconds over the variant's."""
    result = [HEADING.split("|")]
    for row in rows:
        medians = {name: statistics.median(runs) for name, runs in row["seconds"].items()}
        memory = {name: value["above_baseline_mb"] for name, value in row["peak"].items()}
        which = max(row["floor"], key=row["floor"].get)
        for name, middle in medians.items():
            judged, wanted = name == "ours" and "naive" in medians, TARGET_RATIO[row["length"]]
            ratio = medians["naive"] / middle if "naive" in medians else 0.0
            speed = f"≥ {wanted} {MET[ratio >= wanted]}" if judged else "-"
            size = f"≤ naive {MET[memory[name] <= memory['naive']]}" if judged else "-"
            found = [f"{row['errors'][name][key]:.1e}" for key in ("y", "gradients")]
            above = f"{middle / row['floor'][which]:.1f} ({which})" if name == "ours" else "-"
            cells = [f"{row['length']:,}, {row['batch']}", name, show(row["seconds"][name])]
            result.append(
                [*cells, f"{ratio:.1f}" if ratio else "-", speed, *found, f"{memory[name]:,.0f}", size, above]
            )
    return result


def other_lines(growth: dict[str, Any], rest: dict[str, list[float]]) -> list[list[str]]:
    whole, upper = growth["exponents"]
    slope = f"≤ {TARGET_EXPONENT} {MET[whole <= TARGET_EXPONENT]}"
    result = [["other", "found", "target"], ["exponent of time in L, batch 1, 1,024–65,536", f"{whole:.2f}", slope]]
    result.append(["… from 8,192, where fixed costs are small", f"{upper:.2f}", "-"])
    for name, runs in rest.items():
        met = f"≤ {1e3 * TARGET_STEP:.0f} ms {MET[statistics.median(runs) <= TARGET_STEP]}"
        result.append([name, show(runs), met if name == STEP else "-"])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options, about = parser.parse_args(), machine(PACKAGES) | {"threads": torch.get_num_threads()}
    rows = [measured(*case, options.quick) for case in CASES]
    growth, rest = scaling(options.quick), others(options.quick)
    print(table(lines(rows)), "\n")
    print(table(other_lines(growth, rest)), f"\n\n{BETWEEN}")
    print(f"{about['threads']} threads; {described(about)}")
    path = options.json or (None if options.quick else Path(__file__).parent / "results" / "s4d.json")
    if path:
        common = {"machine": about, "seed": SEED, "quick": options.quick}
        write_json(path, common | {"cases": rows, "scaling": growth, "others": rest})


if __name__ == "__main__":
    main()
