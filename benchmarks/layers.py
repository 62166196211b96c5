"""The layers in training beside the field's own ways: forward and backward, float32, on all of torch's threads.

Whole layers of 128 channels with gradients of the input and of all parameters; ours and the other take turns in one
process with the same input and, where it is our own layer with another recurrence inside, the same parameters:

  S4                 d_state 64; the others: the kernel by Woodbury's identity in complex64 and an FFT convolution of
                     length 2L (ops.dplr_convolution_naive). "Cauchy" as the field's layers fall back to it: a tensor of
                     quotients for each of the four pairs of vectors; "one tensor": our better one, no target
  S5                 64 complex modes; the others: our layer with a Python loop over the steps, and s5-pytorch
  LRU                64 complex modes; our layer with a Python loop
  linear RNN         d_state 64; our layer with a Python loop (no target)
  linear attention   4 heads, keys of 32; our layer with a Python loop (no target), and the recurrence alone

Error: the largest difference of y over its largest value, ours in float32 against the other in float64 with the same
parameters. Peak memory: a fresh process a variant, above what it held before the call. Floor: the least time that the
bytes of u, y and their gradients take at the machine's copy bandwidth, and the products that any way of this layer
needs at its matrix-product rate, the larger of the two; both measured in this run. Then the exponent of time in L,
of every layer at batch 1, and a step of one token.

    python benchmarks/layers.py [--quick] [--json PATH]        (environment: benchmarks/rivals_constraints.txt)

--quick: two rounds at a quarter of the length, and no file unless told where.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

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

from ssmemory import nn, ops
from ssmemory.files import write_json

SEED, D_MODEL = 0, 128
LENGTHS = tuple(2**k for k in range(10, 17))
MET = ("MISSED", "met")
PACKAGES = ("ssmemory", "torch", "numpy", "numba", "s5-pytorch")
Forward = Callable[[torch.nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A layer, a length and a batch, and the ways to run it; ``others`` hold what ours must beat, and by how much."""

    name: str
    make: Callable[[], torch.nn.Module]
    length: int
    batch: int
    flops: float  # products of one step and sequence, forward
    others: dict[str, tuple[Forward, float]] = field(default_factory=dict)
    rounds: int = 5


def ours(layer: torch.nn.Module, u: Tensor) -> Tensor:
    return layer(u)[0]


def with_loop(module: str, name: str) -> Forward:
    """The layer with the naive twin of its recurrence."""

    def run(layer: torch.nn.Module, u: Tensor) -> Tensor:
        with patch.object(importlib.import_module(module), name, getattr(ops, f"{name}_naive")):
            return layer(u)[0]

    return run


def cauchy(layer: torch.nn.Module, u: Tensor, *, pairwise: bool = True) -> Tensor:
    P, B, C = (torch.view_as_complex(getattr(layer, name)) for name in ("P", "B", "C"))
    eigenvalues = torch.complex(-layer.log_A_real.exp(), layer.A_imag)
    y = ops.dplr_convolution_naive(u, eigenvalues, P.mT, B, C, layer.log_dt.exp(), pairwise=pairwise)
    return y + layer.D * u


def s5_pytorch() -> torch.nn.Module:
    from s5 import S5

    return S5(D_MODEL, 64)


def theirs(layer: torch.nn.Module, u: Tensor) -> Tensor:
    y = layer(u)
    return y[0] if isinstance(y, tuple) else y


class Recurrence(torch.nn.Module):
    """Linear attention without its projections: u is queries, keys and values, in 4 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.log_decay = torch.nn.Parameter(torch.tensor([-0.1, -0.03, -0.01, -0.003]))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        heads = u.unflatten(-1, (4, -1))
        y, state = ops.linear_attention(heads, heads, heads, self.log_decay, u.new_zeros(len(u), 4, 32, 32))
        return y.flatten(2), state


CASES = (
    Case(
        "S4", lambda: nn.S4(D_MODEL, 64), 16_384, 4, D_MODEL * 4 * 64,
        {"Cauchy": (cauchy, 30), "Cauchy, one tensor": (partial(cauchy, pairwise=False), 0)}, 2,
    ),
    *(
        Case(
            "S5", lambda: nn.S5(D_MODEL, 128), 4096, batch, 2 * D_MODEL * 128 * 2,
            {"loop": (with_loop("ssmemory.nn.diagonal_mimo", "diagonal_mimo_ssm"), 5), "s5-pytorch": (theirs, 5)},
        )
        for batch in (4, 12, 16)
    ),
    *(
        Case(
            "LRU", lambda: nn.LRU(D_MODEL, 128), 4096, batch, 2 * D_MODEL * 128 * 2,
            {"loop": (with_loop("ssmemory.nn.diagonal_mimo", "diagonal_mimo_ssm"), 5)},
        )
        for batch in (4, 12, 16)
    ),
    Case(
        "linear RNN", lambda: nn.LinearRNN(D_MODEL, 64), 4096, 4, 2 * 64 * (2 * D_MODEL + 64),
        {"loop": (with_loop("ssmemory.nn.linear_rnn", "matrix_scan"), 0)},
    ),
    Case(
        "linear attention", lambda: nn.LinearAttention(D_MODEL, 32, heads=4), 4096, 4,
        2 * (4 * D_MODEL * D_MODEL + 2 * D_MODEL * 32),
        {"loop": (with_loop("ssmemory.nn.linear_attention", "linear_attention"), 0)},
    ),
    Case(
        "its recurrence", Recurrence, 4096, 4, 4 * D_MODEL * 32,
        {"loop": (with_loop("ssmemory.ops", "linear_attention"), 10)},
    ),
)  # fmt: skip


def made(case: Case, variant: str) -> torch.nn.Module:
    torch.manual_seed(SEED)
    return s5_pytorch() if variant == "s5-pytorch" else case.make()


def prepared(case: Case, variant: str, length: int, batch: int) -> Callable[[], list[Tensor]]:
    """A forward and backward that gives y and all gradients."""
    forward = ours if variant == "ours" else case.others[variant][0]
    layer = made(case, variant)
    u, weights = torch.randn(2, batch, length, D_MODEL, generator=torch.Generator().manual_seed(SEED))
    u.requires_grad_()

    def run() -> list[Tensor]:
        y = forward(layer, u)
        wanted = [u, *layer.parameters()]
        return [y.detach(), *torch.autograd.grad(y, wanted, weights, materialize_grads=True)]

    return run


def error_of(case: Case, length: int) -> float:
    """Ours in float32 against the first of the others in float64, on one sequence."""
    u = torch.randn(1, length, D_MODEL, generator=torch.Generator().manual_seed(SEED))
    layer = made(case, "ours").requires_grad_(False)
    exact = next(iter(case.others.values()))[0](copy.deepcopy(layer).double(), u.double())
    return float((ours(layer, u) - exact).abs().max() / exact.abs().max())


def peak(name: str, variant: str, length: int, batch: int) -> dict[str, float]:
    case = next(case for case in CASES if case.name == name)
    prepared(case, variant, 64, 1)()
    return peak_memory(prepared(case, variant, length, batch))


def measured(case: Case, quick: bool, bandwidth: float, rate: float) -> dict[str, Any]:
    length = case.length // 4 if quick else case.length
    names = ["ours", *case.others]
    runs = {name: prepared(case, name, length, case.batch) for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(1 + (2 if quick else case.rounds)):
        for name in names:
            spent[name].append(seconds(runs[name]))
    memory = {n: in_fresh_process(peak, None, case.name, n, length, case.batch)["above_baseline_mb"] for n in names}
    steps = length * case.batch
    moved = 5 * 4 * steps * D_MODEL / bandwidth  # u and y; u, the gradients of y and of u
    computed = 3 * case.flops * steps / rate
    return {
        "layer": case.name, "length": length, "batch": case.batch, "seconds": {n: s[1:] for n, s in spent.items()},
        "peak_mb": memory, "error": error_of(case, length), "floor": {"bytes": moved, "flops": computed},
    }  # fmt: skip


def scaling(case: Case, quick: bool) -> dict[str, Any]:
    lengths = LENGTHS[:4] if quick else LENGTHS
    runs = {length: prepared(case, "ours", length, 1) for length in lengths}
    spent = {length: [seconds(run) for _ in range(4)][1:] for length, run in runs.items()}
    slope = np.polyfit(np.log(lengths), np.log([statistics.median(s) for s in spent.values()]), 1)[0]
    return {"layer": case.name, "seconds": spent, "exponent": float(slope)}


@torch.no_grad()
def step_seconds(case: Case, tokens: int = 200) -> list[float]:
    layer = made(case, "ours")
    u = torch.randn(tokens, 1, D_MODEL, generator=torch.Generator().manual_seed(SEED))

    def generate() -> None:
        state = layer.initial_state(1)
        for u_t in u:
            _, state = layer.step(u_t, state)

    generate()
    return [seconds(generate) / tokens for _ in range(5)]


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    result = [["layer, L, batch", "way", "time", "it / ours", "target", "error of y", "peak MB", "ours / floor"]]
    targets = {case.name: case.others for case in CASES}
    for row in rows:
        medians = {name: statistics.median(runs) for name, runs in row["seconds"].items()}
        floor = max(row["floor"].values())
        which = max(row["floor"], key=row["floor"].get)
        for name, middle in medians.items():
            own = name == "ours"
            ratio = middle / medians["ours"]
            wanted = None if own else targets[row["layer"]][name][1]
            result.append([
                f"{row['layer']}, {row['length']:,}, {row['batch']}", name, show(row["seconds"][name]),
                "-" if own else f"{ratio:.1f}", f"≥ {wanted} {MET[ratio >= wanted]}" if wanted else "-",
                f"{row['error']:.1e}" if own else "-", f"{row['peak_mb'][name]:,.0f}",
                f"{middle / floor:.1f} ({which})" if own else "-",
            ])  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options, about = parser.parse_args(), machine(PACKAGES) | {"threads": torch.get_num_threads()}
    bandwidth, rate = copy_bandwidth(), gemm_rate()
    rows = [measured(case, options.quick, bandwidth, rate) for case in CASES]
    layers = {case.name: case for case in CASES}.values()
    growth = [scaling(case, options.quick) for case in layers]
    steps = {case.name: step_seconds(case) for case in layers if case.make is not Recurrence}
    print(table(lines(rows)), "\n")
    body = [
        [
            g["layer"],
            f"{g['exponent']:.2f}",
            f"≤ 1.1 {MET[g['exponent'] <= 1.1]}",
            show(steps[g["layer"]]) if g["layer"] in steps else "-",
        ]
        for g in growth
    ]
    print(table([["layer", "time ~ L^", "target", "step, a token, batch 1"], *body]))
    print(
        "\nbetween ours and the floor: S4's chunks cost T + 2n products a step, its matrices float64 ones, signals are "
        "copied to rows and back; S5 and LRU pass over u, states and y a few times beside their products; linear "
        "attention scores whole chunks"
    )
    print(f"floors: copy {bandwidth / 1e9:.1f} GB/s, matrix products {rate / 1e9:.0f} GFLOP/s")
    print(f"{about['threads']} threads; {described(about)}")
    path = options.json or (None if options.quick else Path(__file__).parent / "results" / "layers.json")
    if path:
        common = {"machine": about, "seed": SEED, "quick": options.quick, "bandwidth": bandwidth, "gemm_rate": rate}
        write_json(path, common | {"cases": rows, "scaling": growth, "steps": steps})


if __name__ == "__main__":
    main()
