"""Memory, readouts, variances and trainings of layers that start with zero real parts, one record each."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.experiments.sweep import Record
from ssmemory.experiments.zero_real_part.config import Config
from ssmemory.learning import predict, readout_modes
from ssmemory.memory import horizon_memory
from ssmemory.nn import S4D, Backbone, BackboneConfig
from ssmemory.systems import LinearSystem

STEPS = ("1/√L", "2/L", "1/L")
HELD = ("projected", "free", "exp", "frozen")  # how real parts are held in training
SMALLEST = -1e-4  # where an exponential starts that cannot reach zero
LEFT = 0.01  # e-folds over the window from which on a real part counts as having left zero
_TESTED = 1024


def step_of(name: str, length: int) -> float:
    """Return dt by its name in `STEPS`."""
    return {"1/√L": length**-0.5, "2/L": 2 / length, "1/L": 1 / length}[name]


def start(d_state: int, dt: float | Tensor, *, real: float = 0.0) -> LinearSystem:
    """Return S4D-Lin with another real part, ``a_n = real + iπn``."""
    n = torch.arange(d_state // 2, dtype=torch.float64)
    a = torch.complex(torch.full_like(n, real), math.pi * n)
    batch = dt.shape if isinstance(dt, Tensor) else ()
    return LinearSystem.from_continuous(a.expand(*batch, -1), dt=dt, conj_sym=True)


def last_lag(decay: float) -> float:
    """Return the foreseen ``MF_L(L−1)·L/rank`` of well-separated modes that lose ``decay`` e-folds over the window.

    The memory then falls as ``e^(−2 decay τ/L)`` and sums to the rank: ``2σ e^(−2σ)/(1 − e^(−2σ))``, 1 at zero.
    """
    return 1.0 if decay == 0 else 2 * decay * math.exp(-2 * decay) / -math.expm1(-2 * decay)


class FreeS4D(S4D):
    """S4D with real parts that nothing holds at or below zero."""

    def _real_parts(self) -> Tensor:
        assert self.A_real is not None
        return self.A_real.double()


class _Copier(nn.Module):
    """One layer, its last output weighed: linear in the input."""

    def __init__(self, layer: S4D, copied: int) -> None:
        super().__init__()
        self.layer = layer
        self.decoder = nn.Linear(layer.d_model, copied)

    def forward(self, u: Tensor) -> Tensor:
        y, _ = self.layer(u.expand(-1, -1, self.layer.d_model))
        return self.decoder(y[:, -1])


class _Last(nn.Module):
    """A backbone whose states are not wanted."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.decoder = backbone, backbone.decoder

    def forward(self, u: Tensor) -> Tensor:
        return self.backbone(u)[0]


def measure(config: Config, kind: str, *job: Any) -> Record:
    """Return one record: "memory", "readout", "variance" or "training"."""
    kinds: dict[str, Callable[..., Record]] = {
        "memory": memory, "readout": readout, "variance": variance, "training": training,
    }  # fmt: skip
    return {"kind": kind, **kinds[kind](config, *job)}


def memory(config: Config, length: int, d_state: int, step: str, real: float) -> Record:
    """Return the exact memory over the window, in units of its mean, and what is foreseen of its last lag."""
    dt = step_of(step, length)
    system = start(d_state, dt, real=real)
    decay = -real * dt * length
    record = {
        "length": length, "d_state": d_state, "step": step, "real": real, "decay": decay,
        "apart": _apart(system, length), "predicted": last_lag(decay), "refused": None,
    }  # fmt: skip
    try:
        found = horizon_memory(system, length)
    except InputError as refusal:
        return record | {"refused": str(refusal)}
    relative = found.values * length / int(found.rank)
    lags = sorted({round(x) for x in torch.linspace(0, length - 1, 65).tolist()})
    return record | {
        "rank": int(found.rank), "condition": float(found.condition), "worst": float(relative.min()),
        "last": float(relative[-1]), "last_tenth": float(relative[-(length // 10) :].mean()),
        "lags": lags, "curve": [float(f"{relative[lag]:.5g}") for lag in lags],
    }  # fmt: skip


def _apart(system: LinearSystem, length: int) -> float:
    """Return the smallest distance of two frequencies on the circle, in units of 2π/L."""
    spectrum = system.spectrum()
    angles = spectrum.log_eigenvalues[spectrum.counted].imag.remainder(2 * math.pi).sort().values
    gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]])
    return float(gaps.min()) * length / (2 * math.pi)


def readout(config: Config, length: int, step: str, real: float, seed: int) -> Record:
    """Return what C of an S4D with frozen eigenvalues learns to give back of two lags, foreseen and measured.

    A channel learns a lag. The loss is that of the population, read off the layer's response to an impulse.
    """
    dt, lags = step_of(step, length), [length // 2, length - 1]
    generator = torch.Generator().manual_seed(seed)
    begin = functools.partial(start, real=real)
    layer = S4D(len(lags), config.d_states[0], init=begin, dt_min=dt, dt_max=dt, generator=generator)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == "C")
    nn.init.zeros_(layer.D)
    wanted = torch.nn.functional.one_hot(torch.tensor(lags), length).mT.float()
    system = layer.system()
    assert system.log_modes is not None
    assert system.C is not None
    foreseen, pace = [], math.inf
    for k in range(len(lags)):
        own = LinearSystem.from_log_eigenvalues(
            system.log_modes[k].detach(), system.B[k].detach(), system.C[k].detach(), conj_sym=True
        )
        pace = predict(own, wanted[:, k], horizon=length, momentum=config.momentum).lr
        modes = readout_modes(own, wanted[:, k], horizon=length, from_readout=True)
        loss = modes.descent([config.readout_steps], lr=pace, momentum=config.momentum)
        foreseen.append((2 * float(loss), modes.visible_fraction))
    impulse = torch.zeros(1, length, len(lags))
    impulse[:, 0] = 1
    optimiser = torch.optim.SGD([layer.C], lr=pace, momentum=config.momentum)
    for _ in range(config.readout_steps):
        optimiser.zero_grad()
        (0.5 * (layer(impulse)[0][0] - wanted).square().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        losses = (layer(impulse)[0][0] - wanted).double().square().sum(0)
    rows = [
        {"lag": lag, "predicted": loss, "memory": seen, "measured": float(measured)}
        for lag, (loss, seen), measured in zip(lags, foreseen, losses, strict=True)
    ]
    return {"length": length, "step": step, "real": real, "seed": seed, "lags": rows}


def variance(config: Config, length: int, step: str, real: float, seed: int) -> Record:
    """Return the variance of a state at the end of the window and of one four times as long, mean over the modes."""
    dt, channels = step_of(step, length), 8
    begin = functools.partial(start, real=real)
    layer = S4D(channels, config.d_states[0], init=begin, dt_min=dt, dt_max=dt)
    system = layer.system()
    assert system.log_modes is not None
    generator = torch.Generator().manual_seed(seed)
    record: Record = {"length": length, "step": step, "real": real, "seed": seed, "bound": dt * dt * length}
    for name, steps in (("", length), ("_later", 4 * length)):
        u = torch.randn(config.sequences // channels, steps, channels, generator=generator)
        lags = torch.arange(steps, dtype=torch.float64)
        energy = torch.exp(2 * system.log_modes[0].real.unsqueeze(-1) * lags).sum(-1)
        with torch.no_grad():
            state = layer(u)[1]
            record["predicted" + name] = float((system.B[0, :, 0].abs().square() * energy).mean())
            record["measured" + name] = float(state.abs().square().mean())
    return record


def training(config: Config, model: str, length: int, held: str, lr: float, seed: int) -> Record:
    """Return how a training from zero real parts went: loss relative to answering zero, growth, and what left zero."""
    torch.manual_seed(seed)
    net, layer = _net(config, model, length, held)
    inside = [layer.log_dt, layer.A_imag, layer.log_A_real if held == "exp" else layer.A_real]
    eigenvalues = [parameter for parameter in inside if parameter is not None]
    for parameter in eigenvalues:
        parameter.requires_grad_(held != "frozen")
    ids = {id(parameter) for parameter in eigenvalues}
    others = [parameter for parameter in net.parameters() if id(parameter) not in ids]
    groups = [{"params": others, "lr": config.lr}] + ([{"params": eigenvalues, "lr": lr}] if held != "frozen" else [])
    optimiser = torch.optim.Adam(groups)
    u_test = torch.randn(_TESTED, length, 1)
    first = _loss(net, u_test, config.copied)
    growth, died, losses = float(_growth(layer, length).max()), None, []
    for step in range(config.steps):
        u = torch.randn(config.batch_size, length, 1)
        loss = (net(u) - u[:, : config.copied, 0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if not bool(torch.isfinite(loss)) or not all(bool(torch.isfinite(p).all()) for p in net.parameters()):
            died = step
            break
        growth = max(growth, float(_growth(layer, length).max()))
        losses.append(loss.item())
    last = _loss(net, u_test, config.copied)
    later = _loss(net, torch.randn(128, 4 * length, 1), config.copied, window=length)
    known = died is None and math.isfinite(last)
    now = _growth(layer, length) if died is None else torch.zeros(0)
    dt = step_of(STEPS[0], length)
    system = start(config.d_states[0], dt)
    foreseen = 1 - float(horizon_memory(system, length).values[-config.copied :].mean())
    return {
        "model": model, "length": length, "held": held, "lr": lr, "seed": seed, "folds_a_step": lr * dt * length,
        "frozen_predicted": foreseen, "first": first, "final": last if known else None,
        "later": later if known and math.isfinite(later) else None, "died": died,
        "worst": max(losses) if losses else None, "growth": growth, "above_start": not known or last > first,
        "left": float((now.abs() > LEFT).double().mean()) if known else None,
        "decay": float((-now).median()) if known else None,
        "above": float((now > 0).double().mean()) if known else None,
        "decay_range": [float((-now).min()), float((-now).max())] if known else None,
    }  # fmt: skip


def _net(config: Config, model: str, length: int, held: str) -> tuple[_Copier | _Last, S4D]:
    """Return the model, its answer zero at first, and the layer in it."""
    dt = step_of(STEPS[0], length)
    real = SMALLEST if held == "exp" else 0.0
    make = FreeS4D if held == "free" else S4D
    begin = functools.partial(start, real=real)
    layer = make(
        config.d_model, config.d_states[0], init=begin, dt_min=dt, dt_max=dt,
        decay="exp" if held == "exp" else "projected",
    )  # fmt: skip
    net: _Copier | _Last
    if model == "layer":
        net = _Copier(layer, config.copied)
    else:
        shape = BackboneConfig(
            d_output=config.copied, d_model=config.d_model, d_state=config.d_states[0], n_layers=1, pooling="last"
        )
        backbone = Backbone(shape)
        backbone.blocks[0].layer = layer
        net = _Last(backbone)
    nn.init.zeros_(net.decoder.weight)
    nn.init.zeros_(net.decoder.bias)
    return net, layer


def _growth(layer: S4D, length: int) -> Tensor:
    """Return Re log λ · L of every mode: e-folds over the window."""
    with torch.no_grad():
        modes = layer.system().log_modes
    assert modes is not None
    return modes.real * length


@torch.no_grad()
def _loss(net: nn.Module, u: Tensor, copied: int, *, window: int | None = None) -> float:
    """Return the loss relative to that of answering zero, the window being the last steps of ``u``, or all of it."""
    first = 0 if window is None else u.shape[1] - window
    wanted = u[:, first : first + copied, 0]
    errors = [(net(part) - goal).square().sum() for part, goal in zip(u.split(256), wanted.split(256), strict=True)]
    return float(torch.stack(errors).sum() / wanted.square().sum())
