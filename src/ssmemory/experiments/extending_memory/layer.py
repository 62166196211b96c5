"""One linear layer that learns to recall a lag: its eigenvalues in three parametrisations, and its exact loss."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ssmemory.experiments.extending_memory.config import Config
from ssmemory.memory import memory_function
from ssmemory.nn.decay import not_above_zero
from ssmemory.systems import LinearSystem

Method = Literal["frozen", "s4d", "lru", "raw", "solved"]
METHODS: tuple[Method, ...] = ("frozen", "s4d", "lru", "raw", "solved")
_INSIDE = 1e-9  # keeps sums over the horizon finite where a real part has been projected to 0


def to_parameters(logs: Tensor, times: Tensor, method: Method) -> list[Tensor]:
    """Return what is trained of the eigenvalues, (layers, ·) each.

    Args:
        logs: (layers, n) log λ.
        times: (layers,) T: 1/T is the dt of the layers that have one.
        method: "s4d" and "solved" hold ``log dt``, ``log(−Re a)`` and ``Im a`` of ``log λ = dt a``; "lru" holds
            ``log(−Re log λ)`` and the phase; "raw" and "frozen" hold real part and phase.
    """
    if method in ("s4d", "solved"):
        T = times.unsqueeze(-1)
        return [-T.log(), (-logs.real * T).log(), logs.imag * T]
    return [(-logs.real).log() if method == "lru" else logs.real.clone(), logs.imag.clone()]


def to_logs(parameters: list[Tensor], method: Method) -> Tensor:
    """Return (layers, n) log λ of `to_parameters`; differentiable."""
    if method in ("s4d", "solved"):
        log_dt, log_real, imag = parameters
        return log_dt.exp() * torch.complex(-log_real.exp(), imag)
    real, phase = parameters
    return torch.complex(-real.exp() if method == "lru" else not_above_zero(real) - _INSIDE, phase)


def recall_loss(logs: Tensor, c: Tensor, lag: int, horizon: int) -> Tensor:
    """Return ``Σ_{t<horizon} (α_t − [t = lag])²`` with ``α_t = 2 Re Σ_n c_n λ_n^t``, in closed form; 1 for α = 0.

    Args:
        logs: (layers, n) log λ, real parts below 0.
        c: (layers, n) products of B and C.
        lag: the delay to be recalled.
        horizon: steps of the sum.

    Returns:
        (layers,) losses; exact for white input of unit variance, nothing is sampled.
    """

    one, far, both = torch.expm1(logs), torch.expm1(horizon * logs), torch.cat([c, c.conj()], -1)
    sums = _power_minus_one(far) / _power_minus_one(one)  # Σ_t (λ_i μ_j)^t, μ = λ and its conjugates
    energy = 2 * (c.unsqueeze(-1) * sums * both.unsqueeze(-2)).sum((-2, -1)).real
    return energy - 4 * (c * torch.exp(lag * logs)).sum(-1).real + 1


def _power_minus_one(x: Tensor) -> Tensor:
    """Return ``(1 + x_i)(1 + y_j) − 1`` for y = x and its conjugates, as ``xy + x + y``: nothing cancels."""
    x, y = x.unsqueeze(-1), torch.cat([x, x.conj()], -1).unsqueeze(-2)
    return x * y + x + y


def train(logs: Tensor, times: Tensor, C: Tensor, lag: int, method: Method, config: Config) -> tuple[Tensor, Tensor]:
    """Train the layers with Adam at every learning rate.

    Args:
        logs: (layers, n) log λ at the start; B starts at the gain that gives every mode unit energy.
        times: (layers,) T of the starts.
        C: (layers, n) readout at the start.
        lag: the delay to be recalled.
        method: what is trained, see `METHODS`: "frozen" keeps the eigenvalues, "solved" trains them alone, along
            the gradient of log MF(lag), the log of what the best readout recalls.
        config: learning rates, steps, horizon.

    Returns:
        log λ and losses at the end, (learning rates, layers, ·); with the best readout where it is "solved".
    """
    B = (-torch.expm1(2 * logs.real)).sqrt().to(C.dtype)
    groups = []
    for _ in config.lrs:
        eigen = [p.clone().requires_grad_(method != "frozen") for p in to_parameters(logs, times, method)]
        gains = [torch.view_as_real(p).clone().requires_grad_(method != "solved") for p in (B, C)]
        groups.append(eigen + gains)
    optimiser = torch.optim.Adam(
        [
            {"params": [p for p in group if p.requires_grad], "lr": lr}
            for group, lr in zip(groups, config.lrs, strict=True)
        ]
    )
    steps = config.solved_steps if method == "solved" else config.steps
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: (1 + math.cos(math.pi * k / steps)) / 2)
    for _ in range(steps):
        now, c = _joined(groups, method)
        objective = -_recalled(now, lag).log() if method == "solved" else recall_loss(now, c, lag, config.horizon) / 2
        optimiser.zero_grad()
        objective.sum().backward()
        optimiser.step()
        falling.step()
    with torch.no_grad():
        now, c = _joined(groups, method)
        losses = 1 - _recalled(now, lag) if method == "solved" else recall_loss(now, c, lag, config.horizon)
    shape = (len(config.lrs), len(logs))
    return now.unflatten(0, shape), losses.unflatten(0, shape)


def _joined(groups: list[list[Tensor]], method: Method) -> tuple[Tensor, Tensor]:
    """Return log λ and B C of all learning rates, one after the other."""
    *eigen, B, C = [torch.cat(parts) for parts in zip(*groups, strict=True)]
    return to_logs(eigen, method), torch.view_as_complex(B) * torch.view_as_complex(C)


def _recalled(logs: Tensor, lag: int) -> Tensor:
    return memory_function(LinearSystem.from_log_eigenvalues(logs, conj_sym=True), [lag]).values.squeeze(-1)
