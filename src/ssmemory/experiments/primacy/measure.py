"""Train one model on one recall and measure, before and after, what its last state holds of every position."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from scipy.linalg import cholesky, toeplitz
from scipy.signal import lfilter
from torch import Tensor

from ssmemory.experiments.primacy.config import Config
from ssmemory.experiments.primacy.model import LINEAR, Recaller, kernel, memory_by_position
from ssmemory.experiments.sweep import Record
from ssmemory.memory import estimate_memory


def asked(config: Config, task: str) -> Tensor:
    """Return the positions that a task asks for: all of them, or a tenth of the sequence."""
    n, length = config.tenth, config.length
    begin = {"all": 0, "first": 0, "middle": (length - n) // 2, "last": length - n}[task]
    return torch.arange(begin, begin + (length if task == "all" else n))


def drawn(config: Config, model: str, count: int, rng: np.random.Generator) -> Tensor:
    """Return (count, length) stationary input of unit variance: white, or an AR(1)."""
    if model != "correlated input":
        return torch.from_numpy(rng.standard_normal((count, config.length), dtype=np.float32))
    noise = (1 - config.ar**2) ** 0.5 * rng.standard_normal((count, config.length))
    noise[:, 0] /= (1 - config.ar**2) ** 0.5
    return torch.from_numpy(lfilter([1.0], [1.0, -config.ar], noise, axis=1).astype(np.float32))


def measure(config: Config, model: str, start: str, task: str, seed: int) -> Record:
    """Return one training: memory by position before and after, recall of what was asked for, losses."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    wanted = asked(config, task)
    net = Recaller(config, model, start, wanted)
    before = remembered(net, config, model, seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    losses = []
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * min(1.0, 2 - 2 * step / config.steps)  # falls to zero over the second half
        u = drawn(config, model, config.batch_size, rng)
        loss = (net(u) - u[:, wanted]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        u = drawn(config, model, config.samples, rng)
        recall = 1 - (net(u) - u[:, wanted]).square().mean(0) / u[:, wanted].square().mean(0)
    kept = [losses[k] for k in range(0, config.steps, max(1, config.steps // 20))]
    return {
        "model": model, "start": start, "task": task, "seed": seed, "before": before,
        "after": remembered(net, config, model, seed + 1), "positions": wanted.tolist(),
        "recall": _short(recall), "losses": [float(f"{loss:.4g}") for loss in kept],
    }  # fmt: skip


def remembered(net: Recaller, config: Config, model: str, seed: int) -> Record:
    """Return memory by position of the last state: exact for a linear model, else estimated, with its floor.

    For a linear model also that of all layers' states together, and that of the last state after a longer run.
    """
    if model not in LINEAR:
        u = drawn(config, model, config.samples, np.random.default_rng(10_000 + seed))
        with torch.no_grad():
            last = net.states(u)
        steps = last.unsqueeze(1).expand(-1, config.length, -1)  # only the last step is read
        found = estimate_memory(steps, u, config.length, washout=0, seed=seed)
        return {"empty": _short(found.values.flip(0)), "floor": found.floor, "rank": found.resolved_rank}
    ar = config.ar if model == "correlated input" else 0.0
    own = memory_by_position(kernel(net, config.length), _root(ar, config.length))
    long = (1 + config.run_in) * config.length
    running = memory_by_position(kernel(net, long), _root(ar, long))[-config.length :]
    record: dict[str, Any] = {"empty": _short(own), "running": _short(running), "rank": round(float(own.sum()), 3)}
    if model == "deep, linear":
        together = memory_by_position(kernel(net, config.length, every=True), _root(ar, config.length))
        record["together"] = _short(together)
    return record


@functools.cache
def _root(ar: float, length: int) -> Tensor | None:
    """Return F of an AR(1)'s covariance FᵀF; None where the input is white."""
    return None if ar == 0 else torch.from_numpy(cholesky(toeplitz(ar ** np.arange(length))))


def _short(values: Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.double()]
