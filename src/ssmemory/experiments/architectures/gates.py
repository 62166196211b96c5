"""Gates that depend on the input: Mamba's, Mamba-2's and the gated delta rule's, on real sequences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ssmemory.experiments.architectures.config import Config
from ssmemory.experiments.sweep import Record
from ssmemory.memory import GatedMemory, gated_memory
from ssmemory.systems import TimeVaryingSystem

WIDTH, TAPS, CHANNELS = 16, 4, 2  # inner channels, taps of the short convolution, channels measured


def gates(config: Config, name: str, series: Tensor, seed: int) -> list[Record]:
    """Return rank and memory of each kind of gate on windows of a series, and of the same with mean gates.

    As in Mamba: a random short convolution and SiLU make ``WIDTH`` channels of the series; random projections of these
    give B_t (or keys) and softplus gives dt_t, its offset log-uniform in [0.001, 0.1] a channel; A = −(n+1).

    Args:
        config: sizes.
        name: the input's name.
        series: (steps,) standardised.
        seed: of all weights.

    Returns:
        One record a kind.
    """
    generator = torch.Generator().manual_seed(seed)
    starts = np.linspace(0, len(series) - config.gate_length - TAPS, config.gate_sequences).astype(int)
    windows = torch.stack([series[s : s + config.gate_length + TAPS - 1] for s in starts])
    u, n = _inner(windows, generator), config.gate_state

    def projected(rows: int) -> Tensor:
        return u @ torch.randn(WIDTH, rows, generator=generator, dtype=torch.float64) / WIDTH**0.5

    B, offsets = projected(n), 0.001 * 100 ** torch.rand(CHANNELS, generator=generator, dtype=torch.float64)
    raw = projected(CHANNELS) + torch.expm1(offsets).log()  # softplus of the offset alone is the offset
    dt = torch.nn.functional.softplus(raw).mT  # (windows, channels, steps)
    keys, beta = torch.nn.functional.normalize(projected(n), dim=-1), torch.sigmoid(projected(1)).squeeze(-1)
    return [
        {"part": "gates", "input": name, "seed": seed} | _measured(config, *systems)
        for systems in (_mamba(dt, B), _mamba2(dt, B, generator), _delta(dt[:, 0], keys, beta))
    ]


def _inner(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Return (windows, steps, WIDTH) channels of a causal convolution of ``TAPS`` steps and SiLU."""
    taps = torch.randn(TAPS + 1, WIDTH, generator=generator, dtype=torch.float64) / TAPS**0.5
    return torch.nn.functional.silu(windows.unfold(1, TAPS, 1) @ taps[:TAPS] + taps[TAPS])


Kind = tuple[str, TimeVaryingSystem, TimeVaryingSystem, TimeVaryingSystem]


def _mamba(dt: Tensor, B: Tensor) -> Kind:
    """Return the system, that with the mean dt and the B of every step, and that with constant gates."""
    a = -torch.arange(1, B.shape[-1] + 1, dtype=torch.float64)
    driven, mean = dt.unsqueeze(-1) * B.unsqueeze(1), dt.mean(-1, keepdim=True)
    gates, constant = dt.unsqueeze(-1) * a, (mean.unsqueeze(-1) * a).expand(*driven.shape)
    still = TimeVaryingSystem.diagonal(log_decay=constant, B=torch.ones_like(driven))
    return (
        "Mamba", TimeVaryingSystem.diagonal(log_decay=gates, B=driven),
        TimeVaryingSystem.diagonal(log_decay=constant, B=driven), still,
    )  # fmt: skip


def _mamba2(dt: Tensor, B: Tensor, generator: torch.Generator) -> Kind:
    a = -(1 + 15 * torch.rand(dt.shape[1], 1, generator=generator, dtype=torch.float64))
    driven, constant = dt.unsqueeze(-1) * B.unsqueeze(1), (dt.mean(-1, keepdim=True) * a).expand(*dt.shape)
    return (
        "Mamba-2", TimeVaryingSystem.scalar(log_decay=dt * a, B=driven),
        TimeVaryingSystem.scalar(log_decay=constant, B=driven),
        TimeVaryingSystem.scalar(log_decay=constant, B=torch.ones_like(driven)),
    )  # fmt: skip


def _delta(dt: Tensor, keys: Tensor, beta: Tensor) -> Kind:
    decay = torch.exp(-dt)
    written = beta.unsqueeze(-1) * keys
    eye = torch.eye(keys.shape[-1], dtype=torch.float64)
    erased = torch.einsum("bt,btn,btm->bnm", beta, keys, keys) / keys.shape[1]
    mean = decay.mean(1)[:, None, None] * (eye - erased)
    A = mean.unsqueeze(1).expand(-1, keys.shape[1], -1, -1)
    return (
        "gated delta rule", TimeVaryingSystem.delta(decay, keys, beta), TimeVaryingSystem.dense(A, written),
        TimeVaryingSystem.dense(A, written.mean(1, keepdim=True).expand_as(written)),
    )  # fmt: skip


def _measured(
    config: Config, kind: str, real: TimeVaryingSystem, mean: TimeVaryingSystem, still: TimeVaryingSystem
) -> Record:
    half = config.gate_length // 2
    positions = [half, config.gate_length - 1]
    lags = (np.unique(np.geomspace(1, half, 30).round().astype(int)) - 1).tolist()
    memory, averaged, constant = (gated_memory(system, positions, lags) for system in (real, mean, still))
    low, high = memory.band()
    states = memory.rank.flatten()
    return {
        "kind": kind, "d_state": config.gate_state, "states": len(states), "rank_least": int(states.min()),
        "rank_most": int(states.max()), "off": float((memory.capacity - memory.rank).abs().max()),
        "constant_rank": [int(constant.rank.min()), int(constant.rank.max())], "lags": lags,
        "mean": memory.mean.tolist(), "low": low.tolist(), "high": high.tolist(),
        "averaged": averaged.mean.tolist(), "constant": constant.mean.tolist(),
        "apart": _apart(memory, constant), "apart_averaged": _apart(memory, averaged),
    }  # fmt: skip


def _apart(one: GatedMemory, other: GatedMemory) -> float:
    """Return the mean |difference| over sequences and positions, at the lag where it is largest."""
    return float((one.values - other.values).abs().reshape(-1, len(one.lags)).mean(0).max())
