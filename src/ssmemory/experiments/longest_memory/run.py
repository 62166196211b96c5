"""Predict what a readout of every memory learns of every teacher, train it, and set both side by side."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from ssmemory.experiments.driven import driven
from ssmemory.experiments.longest_memory.config import SIZES, Config
from ssmemory.experiments.study import keep_results, spread, study
from ssmemory.experiments.sweep import Record
from ssmemory.learning import predict
from ssmemory.memory import memory_function
from ssmemory.systems import LinearSystem

SCHEMA = "ssmemory/longest-memory/1"
SIGMA, KAPPA = 1.8, 0.85  # of a state of 16: decay and spacing of frequencies near the optimum for one lag


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: not needed: the data are noise.
        source: not needed either.

    Returns:
        The results, as in ``results.json``.
    """
    del cache, source
    jobs = [(reach, name, seed) for seed in config.seeds for name in teachers(config) for reach in config.reaches]
    runs = study(measure, jobs, config, folder)
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def spectrum(d_state: int, reach: int) -> LinearSystem:
    """Return equally spaced modes with a memory of about ``reach`` steps; every response has unit energy."""
    n = torch.arange(d_state // 2, dtype=torch.float64)
    logs = torch.complex(torch.full_like(n, -SIGMA), KAPPA * math.pi * (2 * n + 1) * 8 / (d_state // 2)) / reach
    wrapped = torch.complex(logs.real, torch.remainder(logs.imag + math.pi, 2 * math.pi) - math.pi)
    return LinearSystem.from_log_eigenvalues(wrapped, (-torch.expm1(2 * logs.real)).sqrt(), conj_sym=True)


def teachers(config: Config) -> dict[str, Tensor]:
    """Return the kernels by name, each of unit energy: single lags, exponential means, power laws."""
    made = {f"lag {lag}": torch.nn.functional.one_hot(torch.tensor(lag), lag + 1).double() for lag in config.lags}
    for time in config.kernels:
        lags = torch.arange(8 * time, dtype=torch.float64)
        made[f"mean over {time}"] = torch.exp(-lags / time)
        made[f"power law to {8 * time}"] = 1 / (lags + 1)
    return {name: kernel / torch.linalg.vector_norm(kernel) for name, kernel in made.items()}


def measure(config: Config, reach: int, name: str, seed: int) -> Record:
    """Return predicted and measured loss, relative to that of answering zero, and the first gradient at the lag."""
    system, teacher = spectrum(config.d_state, reach), teachers(config)[name]
    foreseen = predict(system, teacher, momentum=config.momentum)
    rng = np.random.default_rng(seed)
    u = rng.standard_normal(2 * config.samples + 8 * reach + len(teacher))
    x, y = driven(system, u), lfilter(teacher.numpy(), [1.0], u)
    start = len(u) - 2 * config.samples
    seen, fresh = slice(start, start + config.samples), slice(start + config.samples, None)
    X, Y = torch.from_numpy(x[seen]), torch.from_numpy(y[seen])
    w, losses = _descended(X, Y, foreseen.lr, config)
    test = float((torch.from_numpy(x[fresh]) @ w - torch.from_numpy(y[fresh])).square().mean())
    scale = float(np.mean(y[fresh] ** 2))
    lag = len(teacher) - 1
    return {
        "reach": reach, "teacher": name, "seed": seed,
        "predicted": 2 * foreseen.loss_after(config.steps), "measured": test / scale,
        "reachable": 2 * foreseen.reachable_loss, "visible": foreseen.visible_fraction,
        "training": losses, "memory_at_last_lag": float(memory_function(system, [lag]).values),
        "gradient": _first_gradient(X, Y, u[seen.start - lag : seen.stop - lag]),
    }  # fmt: skip


def _descended(X: Tensor, Y: Tensor, lr: float, config: Config) -> tuple[Tensor, list[float]]:
    """Return the weights after full-batch descent from zero, and the loss at a few steps, relative to the first."""
    w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser, losses = torch.optim.SGD([w], lr=lr, momentum=config.momentum), []
    gram, cross, power = X.mT @ X / len(X), X.mT @ Y / len(X), Y.square().mean()
    for step in range(config.steps):
        loss = 0.5 * (w @ gram @ w - 2 * w @ cross + power)
        if step & (step - 1) == 0:
            losses.append(loss.item() / (0.5 * power.item()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return w.detach(), losses


def _first_gradient(X: Tensor, Y: Tensor, delayed: np.ndarray[Any, Any]) -> float:
    """Return how much of the input of the teacher's last lag the first step of a whitened readout puts out.

    For the population that is ``Π α*`` at that lag: the memory function there, where the teacher is one lag.
    """
    gram = X.mT @ X / len(X)
    step = torch.linalg.solve(gram, X.mT @ Y / len(X))
    return float(((X @ step) * torch.from_numpy(delayed)).mean())


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings and verdicts.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims", and the best reach of every teacher.
    """
    names, longest = list(teachers(config)), max(config.reaches)
    mean = {
        (name, reach): float(np.mean([r["measured"] for r in runs if (r["teacher"], r["reach"]) == (name, reach)]))
        for name in names
        for reach in config.reaches
    }
    best = {name: min(config.reaches, key=lambda reach: mean[name, reach]) for name in names}
    foreseen = {
        name: min(
            config.reaches,
            key=lambda reach: next(r["predicted"] for r in runs if (r["teacher"], r["reach"]) == (name, reach)),
        )
        for name in names
    }
    errors = [abs(r["measured"] / r["predicted"] - 1) for r in runs]
    hits = sum(best[name] == foreseen[name] for name in names)
    short = [name for name in names if best[name] < longest]
    worst = max(names, key=lambda name: mean[name, longest] / mean[name, best[name]])
    lagged = [r for r in runs if r["teacher"].startswith("lag")]
    slope = [abs(r["gradient"] - r["memory_at_last_lag"]) for r in lagged]
    findings = [
        f"The predicted loss is within {100 * float(np.median(errors)):.2g} % of the trained one in the median, "
        f"{100 * max(errors):.2g} % at most; the best memory length is the predicted one for {hits} of {len(names)} "
        "teachers.",
        f"The longest memory ({longest} steps) is best for {len(names) - len(short)} of {len(names)} teachers. It does "
        f"worst on '{worst}': a loss of {mean[worst, longest]:.3g}, where {best[worst]} steps reach "
        f"{mean[worst, best[worst]]:.3g}.",
    ]
    lags = ", ".join(f"lag {lag}: {best[f'lag {lag}']}" for lag in config.lags)
    follows = all(best[f"lag {a}"] <= best[f"lag {b}"] for a, b in itertools.pairwise(sorted(config.lags)))
    ratio = [best[f"lag {lag}"] / lag for lag in config.lags]
    return {
        "findings": findings,
        "best": best,
        "claims": {
            "G7": {
                "measured": f"first gradient − MF at the lag: at most {max(slope):.2g} ({spread(slope)})",
                "verdict": "holds for a whitened state" if max(slope) < 0.05 else "does not hold",
            },
            "G8": {
                "measured": f"best reach by teacher: {lags}; {min(ratio):.2g} to {max(ratio):.2g} times the lag",
                "verdict": "conditional: as long as the teacher, not as long as possible" if short else "holds here",
            },
            "R2": {
                "measured": f"the longest memory is best for {len(names) - len(short)} of {len(names)} teachers",
                "verdict": "the best length follows the teacher's lag" if follows else "no order in the best lengths",
            },
        },
    }
