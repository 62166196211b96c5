"""What a gradient step sees: closed-form gradients of a kernel, lag by lag, and how far one step reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float64, Inexact
from torch import Tensor

from ssmemory.errors import UnstableError, reject
from ssmemory.learning.teacher import energy, one_input_system, read_teacher
from ssmemory.memory import MemoryFunction
from ssmemory.memory.function import all_lags, read_lags
from ssmemory.memory.powers import leading_lags, single_lags
from ssmemory.ops.precise import power
from ssmemory.systems import LinearSystem, Spectrum, input_normal_form
from ssmemory.systems.discretization import check_discretization

_FORGOTTEN = 22.0  # e-foldings of the slowest mode after which what is left out is below rounding
_LARGEST = 2**22  # modes times lags that are written out


@dataclass(frozen=True, eq=False)
class LagGradient:
    """The gradient with respect to one group of parameters, resolved by lag; made by `kernel_gradients`.

    Attributes:
        by_lag: (n, horizon) what lag τ contributes; complex for complex parameters, as ``.grad`` in PyTorch.
        beyond: (n,) what all lags from the horizon on would add, exact; None where the system is not stable.
    """

    by_lag: Inexact[Tensor, "n horizon"]
    beyond: Inexact[Tensor, " n"] | None

    @cached_property
    def total(self) -> Inexact[Tensor, " n"]:
        """(n,) the gradient over the horizon: the sum over its lags."""
        return self.by_lag.sum(-1)

    @property
    def norm(self) -> Float64[Tensor, " horizon"]:
        """(horizon,) Euclidean norm of what each lag contributes."""
        return torch.linalg.vector_norm(self.by_lag, dim=0)


@dataclass(frozen=True, eq=False)
class KernelGradients:
    """All gradients of ``½ Σ_τ |α_τ − α*_τ|²`` for one diagonal layer; made by `kernel_gradients`.

    Attributes:
        residual: (horizon,) ``ρ = α − α*``.
        loss: ``½ Σ |ρ|²`` over the horizon.
        left_out: ``½ Σ |α|²`` over all later lags, exact; NaN where the system is not stable.
        C: of the readout.
        B: of the input weights in discrete time.
        eigenvalues: of λ.
        log_eigenvalues: of log λ.
        D: of the feedthrough, which lag 0 alone contributes to; None without one.
        A: of the eigenvalues in continuous time; None without a dt.
        B_continuous: of the input weights in continuous time; None without a dt.
        dt: of the step, one or one a mode; None without a dt.
    """

    residual: Inexact[Tensor, " horizon"]
    loss: float
    left_out: float
    C: LagGradient
    B: LagGradient
    eigenvalues: LagGradient
    log_eigenvalues: LagGradient
    D: LagGradient | None
    A: LagGradient | None
    B_continuous: LagGradient | None
    dt: LagGradient | None

    @property
    def horizon(self) -> int:
        """How many lags were taken."""
        return len(self.residual)


def kernel_gradients(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, dt: Any = None, discretization: str = "zoh"
) -> KernelGradients:
    """Return the gradients of a diagonal layer's squared error on a linear teacher, each resolved by lag. Exact.

    Kernel ``α_τ = Σ_n c_n b_n λ_n^τ`` (+ D at lag 0), with ``conj_sym`` twice the real part of the sum; loss
    ``½ E|y − y*|² = ½ Σ_τ |ρ_τ|²``, ``ρ = α − α*``, for white input of unit variance. With θ a parameter, lag τ
    contributes ``ρ_τ conj(∂a_τ/∂θ)``, a the sum, and with ``conj_sym`` ``2 Re(ρ_τ) conj(∂a_τ/∂θ)``: the convention of
    PyTorch, where descent is ``θ − lr · gradient``. Of a real parameter inside a complex one take the real part. ::

        ∂a_τ/∂c = b λ^τ       ∂a_τ/∂b = c λ^τ       ∂a_τ/∂λ = c b τ λ^(τ−1)       ∂a_τ/∂log λ = c b τ λ^τ

    Args:
        system: one diagonal system with one input and one output. A layer that reads ``Re(C x)`` is ``conj_sym`` with
            half its C.
        teacher: (T,) the kernel α*, lag 0 first; zero at later lags.
        horizon: how many lags, at least T: the length of a sequence, say. If left out so many that the slowest mode
            has decayed to e^−22; what is left out even so is in `LagGradient.beyond` and `KernelGradients.left_out`.
        dt: the step that the system was sampled with, or one a mode: positive. With it come the gradients in continuous
            time; A and its B are recovered from λ and B.
        discretization: "zoh" or "bilinear", how it was sampled; takes part only with a dt.

    Returns:
        The gradients.

    Raises:
        InputError: a dense or batched system, several inputs or outputs, no C; a teacher that is empty, not finite,
            zero or longer than the horizon; more than 2**22 modes times lags; dt not positive, or not one number or one
            a mode; λ that no A is sampled to (0 by zoh, −1 by bilinear).
        UnstableError: |λ| ≥ 1 without a horizon.

    Numerics:
        Time and memory O(N · horizon). λ^τ = exp(τ log λ), to about τ |log λ| · 1e-16. Agrees with automatic
        differentiation to about 1e-13.

    Source:
        arXiv 2510.00563 for the gradient of a readout by lag.

    Example:
        >>> gradients = kernel_gradients(LinearSystem.from_eigenvalues([0.5], C=[1.0]), [0.0, 0.0, 1.0], horizon=3)
        >>> gradients.residual.real.tolist(), gradients.eigenvalues.by_lag.real.tolist()
        ([1.0, 0.5, -0.75], [[0.0, 0.5, -0.75]])
        >>> gradients.eigenvalues.total.real.tolist()
        [-0.25]
    """
    system, kernel = _readable(system), read_teacher(teacher, horizon)
    modes = _Modes(system, kernel, horizon)
    residual, bc = modes.residual, modes.c * modes.b
    to_eigenvalues = modes.gradient(bc, delayed=True)
    logs = _scaled(to_eigenvalues, power(modes.log, 1))
    D = None
    if system.D is not None:
        at_zero = torch.zeros_like(residual).unsqueeze(0)
        at_zero[0, 0] = residual[0]
        D = _of_dtype(LagGradient(at_zero, None if modes.unstable else at_zero[:, 0] * 0), system.D)
    A = B_continuous = steps = None
    if dt is not None:
        A, B_continuous, steps = _in_continuous_time(modes, to_eigenvalues, dt, discretization)
    return KernelGradients(
        residual,
        energy(residual) / 2,
        modes.left_out(),
        _of_dtype(modes.gradient(modes.b), _row(system)),
        _of_dtype(modes.gradient(modes.c), system.B),
        to_eigenvalues,
        logs,
        D,
        A,
        B_continuous,
        steps,
    )


def step_reach(system: LinearSystem, lags: int | Sequence[int] | np.ndarray[Any, Any] | Tensor) -> MemoryFunction:
    """Return how much of every lag's kernel weight one gradient step on the eigenvalues can reach. Exact.

    To first order a step moves the kernel within the span of ``λ_n^τ`` (by C and B) and ``τ λ_n^(τ−1)`` (by λ, A or
    dt). The squared length of lag τ's projection on that span is the memory function of the doubled spectrum, in which
    every eigenvalue stands twice, in one Jordan block. It is at least the memory function of the system, sums to twice
    its rank, and tells how far one step can extend memory: to finite lags, and by little beyond them.

    Args:
        system: a stable system with one input, batched or not. For a dense one λ are the eigenvalues of A, each as
            often as its Jordan chain is long: what a step on all of A reaches.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0, as in `memory_function`.

    Returns:
        The memory function of the doubled spectrum, with its capacity, reach and plot.

    Raises:
        InputError: several inputs, or lags as in `memory_function`.
        UnstableError: an eigenvalue on or outside the unit circle.

    Numerics:
        As `memory_function`: the all-pass product squared. Repeated eigenvalues are nothing special to it.

    Example:
        >>> from ssmemory import memory_function
        >>> system = LinearSystem.from_eigenvalues([0.5])
        >>> step_reach(system, 4).values.numpy().round(4).tolist()
        [0.9375, 0.375, 0.3398, 0.1992]
        >>> memory_function(system, 4).values.numpy().round(4).tolist()
        [0.75, 0.1875, 0.0469, 0.0117]
    """
    wanted, contiguous = read_lags(lags)
    single = one_input_system(system, batched=True).spectrum()
    single.require_stable()
    doubled = Spectrum(
        torch.cat([single.log_eigenvalues, single.log_eigenvalues], -1),
        torch.cat([single.counted, single.counted], -1),
        2 * single.merged,
        2 * single.unreached,
    )
    if not contiguous:
        values = single_lags(input_normal_form(doubled), wanted)
    elif torch.is_grad_enabled() and doubled.log_eigenvalues.requires_grad:
        values = leading_lags(input_normal_form(doubled), len(wanted))
    else:
        values = all_lags(doubled, len(wanted))
    return MemoryFunction(lags=wanted, values=values, rank=doubled.rank, spectrum=doubled)


class _Modes:
    """The modes of a system, their powers over a horizon, and the residual that weighs them."""

    def __init__(self, system: LinearSystem, kernel: Tensor, horizon: int | None) -> None:
        assert system.log_modes is not None
        self.log = system.log_modes.detach()
        self.c = _row(system).detach().to(torch.complex128)
        self.b = system.B.squeeze(-1).detach().to(torch.complex128)
        self.paired = system.conj_sym
        slowest = float(self.log.real.max())
        self.unstable = slowest >= 0
        if horizon is None:
            horizon = _long_enough(slowest, len(kernel))
        if len(self.log) * horizon > _LARGEST:
            got = f"{len(self.log)} × {horizon}"
            reject("horizon", expected=f"at most {_LARGEST} modes × lags", got=got, fix="give horizon=, a shorter one")
        self.lags = torch.arange(horizon, dtype=torch.float64)
        self.powers = _powers(self.log, self.lags)
        response = (self.c * self.b) @ self.powers
        response = 2 * response.real if self.paired else response
        if system.D is not None:
            response = response.to(torch.promote_types(response.dtype, system.D.dtype))
            response[0] += system.D.detach().squeeze()
        self.residual = response - torch.nn.functional.pad(kernel, (0, horizon - len(kernel)))
        self.weights = 2 * self.residual.real if self.paired else self.residual

    def gradient(self, factors: Tensor, *, delayed: bool = False) -> LagGradient:
        """Return what the derivatives ``factors λ^τ`` make, or delayed ``factors τ λ^(τ−1)``."""
        powers = torch.nn.functional.pad(self.powers[:, :-1], (1, 0)) * self.lags if delayed else self.powers
        by_lag = self.weights * (factors.unsqueeze(-1) * powers).conj()
        if self.unstable:
            return LagGradient(by_lag, None)
        log, later = self._later()
        start, margin = len(self.lags), self._margin(log)
        if delayed:
            summed = self._product(log, start - 1) * (start / margin + self._product(log, 1) / margin.square())
            later = later * power(log, 1)
        else:
            summed = self._product(log, start) / margin
        beyond = (1 + self.paired) * factors.conj() * (later.unsqueeze(-1) * summed).sum(0)
        return LagGradient(by_lag, beyond)

    def left_out(self) -> float:
        """``½ Σ |α_τ|²`` beyond the horizon."""
        if self.unstable:
            return math.nan
        log, later = self._later()
        own = torch.cat([self.log, self.log.conj()]) if self.paired else self.log
        gram = self._product(log, len(self.lags), own) / self._margin(log, own)
        return max(0.0, float((later @ gram @ later.conj()).real) / 2)

    def _later(self) -> tuple[Tensor, Tensor]:
        """Return log λ and c b of all modes of the kernel, conjugates included."""
        weights = self.c * self.b
        if not self.paired:
            return self.log, weights
        return torch.cat([self.log, self.log.conj()]), torch.cat([weights, weights.conj()])

    def _product(self, log: Tensor, exponent: int, own: Tensor | None = None) -> Tensor:
        """``(λ_m λ‾_n)^exponent``."""
        return power(log, exponent).unsqueeze(-1) * power(self.log if own is None else own, exponent).conj()

    def _margin(self, log: Tensor, own: Tensor | None = None) -> Tensor:
        """``1 − λ_m λ‾_n``, which does not cancel near the unit circle."""
        both = log.unsqueeze(-1) + (self.log if own is None else own).conj()
        zero = torch.isneginf(both.real)
        return torch.where(zero, 1, -torch.expm1(torch.where(zero, 0, both)))


def _in_continuous_time(
    modes: _Modes, to_eigenvalues: LagGradient, dt: Any, discretization: str
) -> tuple[LagGradient, LagGradient, LagGradient]:
    """Return the gradients of A, the continuous B and dt: by the chain rule through λ and through B_bar / B."""
    check_discretization(discretization)
    steps = _steps(dt, len(modes.log))
    eigenvalues = power(modes.log, 1)
    zero = torch.isneginf(modes.log.real)
    below_one = torch.where(zero, -1, torch.expm1(torch.where(zero, 0, modes.log)))  # λ − 1
    z = modes.log if discretization == "zoh" else 2 * below_one / (eigenvalues + 1)
    if not bool(torch.isfinite(torch.view_as_real(z)).all()):
        bad = "0" if discretization == "zoh" else "-1"
        fix = "leave dt out, or name the discretization that was used"
        reject("dt", expected=f"λ ≠ {bad}, as by {discretization}", got=f"λ = {bad}", fix=fix)
    A = z / steps
    if discretization == "zoh":
        scale, scale_A, scale_dt = steps * _phi(z), steps.square() * _phi_slope(z), eigenvalues
        lambda_A, lambda_dt = steps * eigenvalues, A * eigenvalues
    else:
        below = 1 - z / 2
        scale, scale_A, scale_dt = steps / below, steps.square() / 2 / below.square(), 1 / below.square()
        lambda_A, lambda_dt = steps / below.square(), A / below.square()
    B = modes.b / scale
    to_A = _sum(modes.gradient(modes.c * B * scale_A), _scaled(to_eigenvalues, lambda_A))
    to_steps = _sum(modes.gradient(modes.c * B * scale_dt), _scaled(to_eigenvalues, lambda_dt))
    to_B = modes.gradient(modes.c * scale)
    by_lag, beyond = to_steps.by_lag.real, None if to_steps.beyond is None else to_steps.beyond.real
    if steps.ndim == 0:
        by_lag, beyond = by_lag.sum(0, keepdim=True), None if beyond is None else beyond.sum(0, keepdim=True)
    return to_A, to_B, LagGradient(by_lag, beyond)


def _phi(z: Complex[Tensor, " n"]) -> Complex[Tensor, " n"]:
    """``(e^z − 1)/z``."""
    zero = z == 0
    return torch.where(zero, 1, torch.expm1(z) / torch.where(zero, 1, z))


def _phi_slope(z: Complex[Tensor, " n"]) -> Complex[Tensor, " n"]:
    """The derivative of ``(e^z − 1)/z``: by its series where the closed form would cancel."""
    near = z.abs() < 1
    small, series = torch.where(near, z, 0), torch.zeros_like(z)
    for k in reversed(range(20)):
        series = series * small + (k + 1) / math.factorial(k + 2)
    large = torch.where(near, 1, z)
    return torch.where(near, series, (torch.exp(large) - _phi(large)) / large)


def _powers(log: Complex[Tensor, " n"], lags: Float64[Tensor, " horizon"]) -> Complex[Tensor, "n horizon"]:
    """``λ^τ``, with 0^0 = 1."""
    zero = torch.isneginf(log.real).unsqueeze(-1)
    powers = torch.exp(torch.where(zero, 0, log.unsqueeze(-1)) * lags)
    return torch.where(zero, (lags == 0).to(powers.dtype), powers)


def _scaled(gradient: LagGradient, derivative: Complex[Tensor, " n"]) -> LagGradient:
    """The chain rule: from the gradient of λ to that of what λ depends on."""
    factor = derivative.conj()
    beyond = None if gradient.beyond is None else gradient.beyond * factor
    return LagGradient(gradient.by_lag * factor.unsqueeze(-1), beyond)


def _sum(one: LagGradient, other: LagGradient) -> LagGradient:
    beyond = None if one.beyond is None or other.beyond is None else one.beyond + other.beyond
    return LagGradient(one.by_lag + other.by_lag, beyond)


def _of_dtype(gradient: LagGradient, parameter: Tensor) -> LagGradient:
    """Of a real parameter the real part."""
    if parameter.is_complex() or not gradient.by_lag.is_complex():
        return gradient
    return LagGradient(gradient.by_lag.real, None if gradient.beyond is None else gradient.beyond.real)


def _readable(system: Any) -> LinearSystem:
    system = one_input_system(system)
    if system.A is not None:
        fix = "its eigenvalues are not its parameters; make it with from_eigenvalues"
        reject("system", expected="a diagonal one", got=repr(system), fix=fix)
    if system.C is None or system.C.shape[-2] != 1:
        got = "none" if system.C is None else f"{system.C.shape[-2]} outputs"
        reject("C", expected="one output", got=got, fix="make the system with one row of C")
    return system


def _row(system: LinearSystem) -> Tensor:
    assert system.C is not None
    return system.C.squeeze(-2)


def _long_enough(slowest: float, length: int) -> int:
    if slowest >= 0:
        fix = "give horizon=, the length of your sequences"
        expected = "every |λ| < 1, as an infinite horizon needs"
        got = f"max |λ| = {math.exp(slowest):.6g}"
        reject("eigenvalues", expected=expected, got=got, fix=fix, error=UnstableError)
    return max(length, math.ceil(_FORGOTTEN / -slowest)) + 1


def _steps(dt: Any, n: int) -> Tensor:
    fix = "dt is a duration, such as 0.01"
    try:
        steps = torch.as_tensor(dt, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        reject("dt", expected="a number, or one a mode", got=" ".join(repr(dt).split())[:60], fix=fix)
    if steps.shape not in ((), (n,)):
        reject("dt", expected=f"a number, or one a mode ({n},)", got=tuple(steps.shape), fix=fix)
    if not bool(((steps > 0) & torch.isfinite(steps)).all()):
        reject("dt", expected="positive steps", got=float(steps.min()), fix=fix)
    return steps
