"""From an initialiser's name, a function or a system to the continuous eigenvalues that a layer starts from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.init import Advice, initialiser
from ssmemory.systems import Discretization, LinearSystem

SpectrumInit = str | LinearSystem | Advice | Callable[[int, Tensor], LinearSystem]


def taken(
    advice: Advice, discretization: Discretization | None, dt_min: float, dt_max: float
) -> tuple[LinearSystem, Discretization, float, float]:
    """Return the system, discretization and steps of an advice, refusing a discretization that contradicts it."""
    if discretization not in (None, advice.discretization):
        fix = "ask for an advice with that discretization, or leave it out"
        reject("discretization", expected=repr(advice.discretization), got=repr(discretization), fix=fix)
    return advice.system, advice.discretization, advice.dt, advice.dt


def log_uniform(low: float, high: float, size: int, generator: torch.Generator | None) -> Float[Tensor, " size"]:
    """Return logarithms of numbers that are log-uniform between the two."""
    return math.log(low) + (math.log(high) - math.log(low)) * torch.rand(size, generator=generator)


def continuous_modes(
    init: SpectrumInit, d_state: int, dt: Float[Tensor, " channels"], discretization: Discretization, *,
    zero_allowed: bool = False,
) -> Complex[Tensor, "channels modes"]:  # fmt: skip
    """Return A of the wanted spectrum, per unit of time, one half of conjugate pairs a channel.

    Args:
        init: a name of the form f(d_state, dt), whose spectrum per unit of time is taken; such a function, or a system,
            whose eigenvalues a step are met at the given dt.
        d_state: full real state size.
        dt: the channels' steps.
        discretization: the rule that A will be sampled by.
        zero_allowed: whether real parts of exactly zero can be held.

    Returns:
        (channels, d_state/2), complex128.

    Raises:
        InputError: an unknown or unsuitable initialiser, or eigenvalues that the layer cannot hold.
    """
    if isinstance(init, Advice):
        init = init.system
    if isinstance(init, str):
        make = initialiser(init)
        if "dt" not in inspect.signature(make).parameters:
            fix = f"make the system yourself: init=ssmemory.init.{init}(…)"
            reject("init", expected="the name of an initialiser of the form f(d_state, dt)", got=repr(init), fix=fix)
        system = make(d_state, torch.ones_like(dt))
        modes = system.log_modes
    else:
        system, modes = init(d_state, dt) if callable(init) else init, None
    fits = isinstance(system, LinearSystem) and system.conj_sym and system.d_state == d_state
    if not fits or system.batch_shape not in ((), (1,), (len(dt),)):
        expected = f"a diagonal system of conjugate pairs (conj_sym) with d_state {d_state}, batch () or ({len(dt)},)"
        reject("init", expected=expected, got=repr(system), fix="see ssmemory.init for the ones that fit")
    assert system.log_modes is not None
    logs = system.log_modes.detach().expand(len(dt), -1)
    steps = logs if discretization == "zoh" else 2 * torch.tanh(logs / 2)  # dt·A of the given λ
    A = steps / dt.unsqueeze(-1) if modes is None else modes.detach()
    outside = (A.real > 0) if zero_allowed else (A.real >= 0)
    if bool(outside.any()) or not bool(torch.isfinite(A.real).all()):
        fix = "the layer holds no others" if zero_allowed else "the layer keeps A = −exp(…) + i…, which reaches neither"
        reject(
            "init",
            expected=f"0 < |λ| {'≤' if zero_allowed else '<'} 1",
            got=f"max |λ| = {float(logs.real.max().exp()):.6g}",
            fix=fix,
        )
    return A
