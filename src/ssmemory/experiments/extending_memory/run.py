"""Say what a start can learn before training and after one step of it, train it, and set both side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssmemory.experiments.extending_memory.config import SIZES, Config
from ssmemory.experiments.extending_memory.findings import summarise
from ssmemory.experiments.extending_memory.layer import METHODS, Method, train
from ssmemory.experiments.longest_memory.run import KAPPA, spectrum
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record
from ssmemory.learning import reachable_loss
from ssmemory.memory import memory_function
from ssmemory.ops.allpass import allpass_cascade
from ssmemory.systems import LinearSystem

SCHEMA = "ssmemory/extending-memory/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to train.
        folder: where runs and results are written.
        cache: not needed: there are no data.
        source: not needed either.

    Returns:
        The results, as in ``results.json``.
    """
    del cache, source
    jobs = [(method, lag, seed) for seed in config.seeds for lag in config.lags for method in METHODS]
    records = study(measure, jobs, config, folder, processes=config.processes)
    runs = [{**record["about"], **row} for record in records for row in record["rows"]]
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def starts(config: Config, seed: int) -> tuple[Tensor, Tensor]:
    """Return log λ and C of every start, (reaches, n) each: phases off their even spacing by chance, C by chance."""
    n = config.d_state // 2
    generator = torch.Generator().manual_seed(seed)
    off = config.jitter * torch.randn(n, generator=generator, dtype=torch.float64)
    C = torch.randn(n, generator=generator, dtype=torch.complex128) / math.sqrt(config.d_state)
    logs = []
    for reach in config.reaches:
        even = spectrum(config.d_state, reach).log_modes
        assert even is not None
        logs.append(even + 1j * off * 2 * KAPPA * math.pi * 8 / (n * reach))
    return torch.stack(logs), C.expand(len(logs), n).clone()


def doubled_memory(logs: Tensor, lag: int) -> list[float]:
    """Return the share of the recall of ``lag`` that lies in the span of λ^t and t λ^(t−1), conjugates included.

    That is the memory function where every eigenvalue counts twice, and all that a small step of eigenvalues and
    readout together can put out.
    """
    once = torch.cat([logs, logs.conj()], -1)
    twice = torch.cat([once, once], -1)
    gains = (-torch.expm1(2 * twice.real)).sqrt()
    memory = allpass_cascade(twice.exp().numpy(), gains.numpy(), lag + 1)
    return [float(value) for value in memory[:, -1]]


def measure(config: Config, method: Method, lag: int, seed: int) -> Record:
    """Return what was known of every start, and what training made of it at every learning rate."""
    before, C = starts(config, seed)
    teacher = torch.nn.functional.one_hot(torch.tensor(lag), lag + 1).double()
    reachable = 2 * reachable_loss(_system(before), teacher)
    after, losses = train(before, torch.tensor(config.reaches).double(), C, lag, method, config)
    known = [reachable.tolist(), doubled_memory(before, lag), _remembered(before, lag, config)]
    grown = _remembered(after.flatten(0, 1), lag, config)
    keep = seed == config.seeds[0] and method in ("s4d", "solved")
    rows = []
    for j, (lr, logs, scores) in enumerate(zip(config.lrs, after, losses, strict=True)):
        for k, (reach, least, twice, old) in enumerate(zip(config.reaches, *known, strict=True)):
            new = grown[j * len(config.reaches) + k]
            curves = {"curve_before": before[k], "curve_after": logs[k]} if keep and reach in config.shown else {}
            rows.append({
                "reach": reach, "lr": lr, "reachable": _short(least), "doubled": _short(twice),
                "loss": _short(scores[k]),
                **{f"{name}_before": value for name, value in old.items()},
                **{f"{name}_after": value for name, value in new.items()},
                **{name: _curve(modes, config) for name, modes in curves.items()},
            })  # fmt: skip
    return {"about": {"method": method, "lag": lag, "seed": seed}, "rows": rows}


def shown_lags(config: Config) -> list[int]:
    """Return the lags that memory functions are kept at."""
    return sorted({round(lag) for lag in np.geomspace(1, config.horizon / 2, 48)})


def _system(logs: Tensor) -> LinearSystem:
    return LinearSystem.from_log_eigenvalues(logs, conj_sym=True)


def _remembered(logs: Tensor, lag: int, config: Config) -> list[dict[str, float]]:
    """Return MF at the lag, the reach at the level, and how many inputs hold half of the capacity, of every layer."""
    memory = memory_function(_system(logs), [lag])
    found = zip(memory.values.squeeze(-1), memory.reach(config.level), memory.quantile(0.5), strict=True)
    return [{"memory": _short(m), "steps": int(steps), "half": int(half)} for m, steps, half in found]


def _curve(logs: Tensor, config: Config) -> list[float]:
    return [float(f"{value:.4g}") for value in memory_function(_system(logs), shown_lags(config)).values]


def _short(value: Tensor | float) -> float:
    return float(f"{float(value):.6g}")
