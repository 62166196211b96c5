"""Spectra for which ``|λ|^τ``, the size of what reaches back, and the memory function say different things."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ssmemory.experiments.driven import driven
from ssmemory.learning import readout_modes, visible_fraction
from ssmemory.systems import LinearSystem

CASES = ("slow and crowded", "slow and spread", "fast and spread", "fast and few")


def case(name: str, lag: int) -> LinearSystem:
    """Return a spectrum of conjugate pairs by its name.

    Args:
        name: one of `CASES`.
        lag: the lag to be recalled.

    Returns:
        The system; every response has unit energy.
    """
    pairs = 32 if "spread" in name else 16 if "crowded" in name else 2
    n = torch.arange(pairs, dtype=torch.float64)
    decay = 0.5 / lag if name.startswith("slow") else 5.0 / lag
    width = 0.5 / lag if "crowded" in name else math.pi
    logs = torch.complex(torch.full_like(n, -decay), width * (2 * n + 1) / (2 * pairs))
    return LinearSystem.from_log_eigenvalues(logs, (-torch.expm1(2 * logs.real)).sqrt(), conj_sym=True)


def measure_case(name: str, lag: int, samples: int, seed: int) -> dict[str, Any]:
    """Return what both theories say of recalling a lag, and the test loss of a trained readout."""
    system = case(name, lag)
    teacher = torch.nn.functional.one_hot(torch.tensor(lag), lag + 1).double()
    memory = float(visible_fraction(system, teacher))
    modes = readout_modes(system, teacher)
    assert system.log_modes is not None
    u = np.random.default_rng(seed).standard_normal(2 * samples)
    x, y = driven(system, u), np.concatenate([np.zeros(lag), u[:-lag]])
    seen, fresh = slice(10 * lag, samples), slice(samples, None)
    w = np.linalg.lstsq(x[seen], y[seen], rcond=1e-7)[0]
    reach = float(system.log_modes.real.max().exp() ** lag)
    raw = (system.B.squeeze(-1).abs().square() * torch.exp(2 * system.log_modes.real * lag)).sum()
    here = (system.B.squeeze(-1).abs().square()).sum()
    return {
        "kind": "linear", "name": name, "seed": seed, "rank": int(system.rank),
        "reaching_back": reach, "gradient_share": float(raw / here), "memory": memory,
        "predicted": 1 - memory, "measured": float(np.mean((y[fresh] - x[fresh] @ w) ** 2)),
        "conditioning": modes.conditioning if math.isfinite(modes.conditioning) else None,
    }  # fmt: skip
