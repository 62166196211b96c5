"""Memory capacity of linear reservoirs as other packages report it, beside theory and ours.

Every tool gets the same A, b and input u: i.i.d., uniform on [-0.8, 0.8], from a zero state. 20 N samples is
reservoirpy's own length (10 k_max, k_max = 2N); the longer runs show what samples change. The lags a tool sums over
stand in its row; the rivals start at lag 1, hence "theory" for each range. Theory, ours, naive use no input.

Both rivals score squared correlation on the last 20 % of the samples, so each lag without memory adds about 1/(test
samples): all that RCbench reports on noise. Their shortfall on Gaussian matrices is ridge and rounding: a fair answer
about a readout of float64 states, not the memory capacity. RCbench's defaults keep the 10 nodes with the largest
loadings in the first principal component, ridge 1. reservoirpy's Ridge has ridge 0 by default, 1e-4 in the docstring's
example. `*`: the tool itself warned of an ill-conditioned matrix. Seconds: the shortest of up to five runs on one
thread; recording the states is left out for RCbench, driving them is part of reservoirpy's.

    python benchmarks/rivals.py [--json PATH]        (environment: benchmarks/rivals_constraints.txt)
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy.linalg
import torch
from machine import described, machine
from numpy.typing import NDArray
from rcbench import MemoryCapacityEvaluator
from reservoirpy.nodes import Reservoir, Ridge
from reservoirpy.observables import memory_capacity
from threadpoolctl import threadpool_limits

from ssmemory import LinearSystem, memory_function
from ssmemory.files import write_json

Array = NDArray[np.float64]
SEED = 0
HORIZON = 2000  # lags kept by the naive ways: 0.95^2000 = 3e-45
RCBENCH_DELAYS = 30  # its default
PACKAGES = ("ssmemory", "reservoirpy", "rcbench", "torch", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Case:
    """A reservoir x[t] = A x[t-1] + b u[t] with its input (samples,) and states (samples, N); no A: noise."""

    name: str
    u: Array
    states: Array
    A: Array | None = None
    b: Array | None = None


def driven(name: str, d_state: int, samples: int, seed: int = SEED) -> Case:
    """A ring of units that hand on 0.95 of their state, or a Gaussian matrix of spectral radius 0.9; Gaussian b."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((d_state, d_state)), rng.standard_normal(d_state)
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max()
    A = 0.95 * np.roll(np.eye(d_state), 1, axis=0) if name == "cyclic 0.95" else A
    u = rng.uniform(-0.8, 0.8, samples)
    states, x = np.empty((samples, d_state)), np.zeros(d_state)
    for t in range(samples):
        x = states[t] = A @ x + b * u[t]
    return Case(name, u, states, A, b)


def noise(d_state: int, samples: int, seed: int = SEED) -> Case:
    """States that are Gaussian noise and know nothing of the input: the true capacity is 0."""
    rng = np.random.default_rng(seed)
    return Case("noise", rng.uniform(-0.8, 0.8, samples), rng.standard_normal((samples, d_state)))


def theory(case: Case) -> dict[str, float]:
    """Sums of MF over the lags that the tools use, in 40 digits from the eigenvalues; the sum over all lags is N.

    MF(lag) = 1 - sum of |theta_i|^2 over i <= lag, theta the impulse response of the all-pass product.
    """
    n = case.states.shape[1]
    with mpmath.workdps(40):
        theta = [mpmath.mpc(1)] + [mpmath.mpc(0)] * (2 * n)
        for value in np.linalg.eigvals(case.A) if case.A is not None else ():
            pole, y, previous = mpmath.mpc(complex(value)), mpmath.mpc(0), mpmath.mpc(0)
            for i, x in enumerate(theta):  # y[i] = pole y[i-1] + x[i-1] - conj(pole) x[i]
                y = pole * y + previous - mpmath.conj(pole) * x
                theta[i], previous = y, x
        mf = [1 - partial_sum for partial_sum in itertools.accumulate(abs(value) ** 2 for value in theta)]
        total = n if case.A is not None else 0
        sums = {"0, 1, ...": total, "1, 2, ...": total - mf[0], "1..2N": sum(mf[1:])}
        return {k: float(v) for k, v in (sums | {f"1..{RCBENCH_DELAYS}": sum(mf[1 : RCBENCH_DELAYS + 1])}).items()}


def ours(A: Array, b: Array) -> float:
    """The sum of our exact memory function over 2N + 1 lags plus its exact tail."""
    f = memory_function(LinearSystem.from_matrices(torch.from_numpy(A), torch.from_numpy(b)), 2 * len(b) + 1)
    return float(f.values.sum() + f.tail)


def naive(A: Array, b: Array, way: str) -> float:
    """From K = [b, A b, A^2 b, ...]: squared right singular vectors above matrix_rank's tolerance, or K* P^-1 K."""
    K = np.empty((len(b), HORIZON))
    K[:, 0] = b
    for lag in range(1, HORIZON):
        K[:, lag] = A @ K[:, lag - 1]
    if way == "Gram P":
        P = scipy.linalg.solve_discrete_lyapunov(A, np.outer(b, b))
        return float((K * np.linalg.solve(P, K)).sum())
    _, s, Vh = np.linalg.svd(K, full_matrices=False)
    return float((Vh[s > s[0] * HORIZON * np.finfo(float).eps] ** 2).sum())


def reservoirpy_capacity(A: Array, b: Array, u: Array, ridge: float) -> float:
    """reservoirpy's memory_capacity with its rule k_max = 2N and its own split."""
    reservoir = Reservoir(W=A, Win=b[:, None], bias=0.0, lr=1.0, activation="identity")
    return float(memory_capacity(reservoir >> Ridge(ridge=ridge), k_max=2 * len(b), series=u[:, None]))


def rcbench_capacity(u: Array, states: Array, max_delay: int = RCBENCH_DELAYS, **options: Any) -> float:
    """RCbench's total memory capacity of recorded states; no options: its defaults."""
    evaluator = MemoryCapacityEvaluator(u, states, max_delay=max_delay)
    return float(evaluator.calculate_total_memory_capacity(**options)["total_memory_capacity"])


def tools(case: Case) -> Iterator[tuple[str, Callable[[], float]]]:
    """Each tool that can say something about the case, with the lags that it sums over."""
    A, b, u, states = case.A, case.b, case.u, case.states
    if A is not None and b is not None:  # these take a system; recorded states are not enough
        yield "ours (0, 1, ...)", partial(ours, A, b)
        for way in ("SVD of K", "Gram P"):
            yield f"naive {way} (0, 1, ...)", partial(naive, A, b, way)
        for ridge in (0.0, 1e-8, 1e-4):
            yield f"reservoirpy ridge {ridge:g} (1..2N)", partial(reservoirpy_capacity, A, b, u, ridge)
    yield f"RCbench defaults (1..{RCBENCH_DELAYS})", partial(rcbench_capacity, u, states)
    for ridge in (1e-8, 1e-12):
        tuned: dict[str, Any] = {"max_delay": 2 * states.shape[1], "num_features": "all", "regression_alpha": ridge}
        yield f"RCbench all nodes, ridge {ridge:g} (1..2N)", partial(rcbench_capacity, u, states, **tuned)


def timed(compute: Callable[[], float]) -> dict[str, Any]:
    """The value, the seconds of the shortest of up to five runs (one if over a second), and did the tool warn."""
    seconds: list[float] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        while len(seconds) < 5 and sum(seconds) < 1:
            start = time.perf_counter()
            value = compute()
            seconds.append(time.perf_counter() - start)
    warned = any(issubclass(warning.category, scipy.linalg.LinAlgWarning) for warning in caught)
    return {"capacity": value, "seconds": min(seconds), "warned": warned}


def table(rows: list[dict[str, Any]]) -> str:
    """A column a case, a line a tool: capacity, then seconds; a dash where a tool has nothing to say."""

    def text(cell: dict[str, Any] | None) -> str:
        return f"{cell['capacity']:.2f}{'*' if cell['warned'] else ' '}{cell['seconds']:7.3f}s" if cell else f"-{'':9}"

    lines = [[label, *(f"{row[label]}{'':9}" for row in rows)] for label in ("case", "N", "samples")]
    lines += [[f"theory ({k})", *(f"{row['theory'][k]:.2f}{'':9}" for row in rows)] for k in rows[0]["theory"]]
    lines += [[name, *(text(row["tools"].get(name)) for row in rows)] for name in rows[0]["tools"]]
    return "\n".join((line[0].ljust(40) + "".join(cell.rjust(20) for cell in line[1:])).rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "rivals.json")
    path, rows, about = parser.parse_args().json, [], machine(PACKAGES)
    systems = (("cyclic 0.95", 50), ("Gaussian 0.9", 50), ("Gaussian 0.9", 100))
    cases = [driven(name, n, samples) for name, n in systems for samples in (20 * n, 10_000)]
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for case in [*cases, noise(50, 1000), noise(50, 5000)]:
            row = {"case": case.name, "N": case.states.shape[1], "samples": len(case.u), "theory": theory(case)}
            rows.append(row | {"tools": {name: timed(compute) for name, compute in tools(case)}})
    print(table(rows))
    print(f"\n{described(about)}")
    write_json(path, {"machine": about, "seed": SEED, "rows": rows})


if __name__ == "__main__":
    main()
