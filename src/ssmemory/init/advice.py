"""What `from_data` advises: numbers, reasons in plain words, and one figure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Complex
from torch import Tensor

from ssmemory.errors import require
from ssmemory.init.autocorrelation import Autocorrelation
from ssmemory.init.s4d import s4d_lin
from ssmemory.memory import HorizonMemory, horizon_memory
from ssmemory.systems import Discretization, LinearSystem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CALLED = {
    "fourier": "the Fourier frequencies of the window",
    "peaks": "the Fourier frequencies of the window with the most power",
    "lin": "S4D-Lin's frequencies",
    "inv": "S4D-Inv's frequencies",
    "band": "frequencies spread by the power of the data",
}


@dataclass(frozen=True, eq=False)
class Candidate:
    """One spectrum that was tried.

    Attributes:
        spectrum: "fourier", "peaks", "lin", "inv" or "band".
        decay: −Re(log λ) · L of all modes.
        dt: the step.
        variance: of its states on the data, the mean over the modes.
        frequencies: (d_state/2,) radians a step.
        approximation_error: share of a window's variance that the state does not hold.
        condition: condition number of the covariance of its states on the data.
        separation: condition number of its responses, each of length 1: 1 for orthogonal ones.
        rank: state directions.
    """

    spectrum: str
    decay: float
    dt: float
    variance: float
    frequencies: Tensor
    approximation_error: float
    condition: float
    separation: float
    rank: int


@dataclass(frozen=True, eq=False)
class Advice:
    """How to start a layer for some data; made by `from_data`, and taken by `ssmemory.nn.S4D` as ``init``.

    Attributes:
        system: the advised system in discrete time, B = 1 in continuous time.
        A: (d_state/2,) its continuous eigenvalues; real parts exactly 0 where nothing decays.
        dt_rule: ``1/sqrt(L λ_max)``.
        discretization: the rule that A is sampled by.
        chosen: the candidate that is advised.
        rule_variance: the states' variance at the rule's step.
        candidates: everything that was tried.
        max_condition: the largest separation that was asked for.
        autocorrelation: what was found in the data.
        sampling_rate: steps per unit of time, if given.
        unit: the unit of time.
    """

    system: LinearSystem
    A: Complex[Tensor, " n"]
    dt_rule: float
    discretization: Discretization
    chosen: Candidate
    rule_variance: float
    candidates: tuple[Candidate, ...]
    max_condition: float
    autocorrelation: Autocorrelation
    sampling_rate: float | None
    unit: str

    @property
    def length(self) -> int:
        """L, steps of the window."""
        return self.autocorrelation.length

    @property
    def dt(self) -> float:
        """The advised step."""
        return self.chosen.dt

    @property
    def decay(self) -> float:
        """−Re(log λ) · L: how many e-foldings a mode loses over the window."""
        return self.chosen.decay

    @property
    def spectrum(self) -> str:
        """Which frequencies."""
        return self.chosen.spectrum

    @property
    def approximation_error(self) -> float:
        """The share of a window's variance that the state does not hold."""
        return self.chosen.approximation_error

    @property
    def condition(self) -> float:
        """Condition number of the covariance of the states on these data."""
        return self.chosen.condition

    @property
    def separation(self) -> float:
        """Condition number of the responses, each of length 1: 1 for orthogonal ones."""
        return self.chosen.separation

    @property
    def variance(self) -> float:
        """Of the states on these data at the advised step, the mean over the modes."""
        return self.chosen.variance

    def memory(self) -> HorizonMemory:
        """Return the memory of the advised system over the window, from an empty state."""
        return horizon_memory(self.system, self.length)

    def explain(self) -> str:
        """Return the advice with its reasons, as a colleague would say it."""
        a = self.autocorrelation
        low, high = a.lambda_range
        varies = f" (from {low:.3g} to {high:.3g} over channels or segments)" if high > 1.2 * low else ""
        kind = (
            "nearly white"
            if a.lambda_max < 3
            else "nearly constant"
            if a.lambda_max > 0.5 * self.length
            else "correlated"
        )
        lines = [
            f"Data: {a.n_values:,} numbers, windows of {self._time(self.length)}. They are {kind}: the autocorrelation "
            f"falls below 1/e after {self._time(a.correlation_length)}, and the largest eigenvalue over a window is "
            f"{a.lambda_max:.3g}{varies}, between 1 (white) and {self.length} (constant).",
        ]
        if a.n_missing:
            lines.append(f"{a.n_missing:,} numbers are missing; they were left out of every pair.")
        if a.trend > 0.3:
            lines.append(f"A straight line takes {100 * a.trend:.0f} % of the variance: consider detrend=True.")
        if high > 3 * low:
            lines.append("The data are not alike throughout: one dt fits their mean; consider one a channel or regime.")
        lines.append(
            f"Step: dt = {self.dt:.4g}; the states then have a variance of {self.variance:.2g} on these data. The rule "
            f"1/√(L λ_max) gives {self.dt_rule:.4g} and a variance of {self.rule_variance:.2g}: it is a bound for any "
            "spectrum, not a target."
        )
        frequencies = self.system.log_modes.imag  # type: ignore[union-attr]
        slowest = float(frequencies[frequencies > 0].min()) if bool((frequencies > 0).any()) else math.pi
        lines.append(
            f"Imaginary parts: {_CALLED[self.spectrum]}, periods from "
            f"{self._time(2 * math.pi / float(frequencies.max()))} to {self._time(2 * math.pi / slowest)}. The state "
            f"then holds {100 * (1 - self.approximation_error):.3g} % of a window's variance. Its responses are apart "
            f"by a condition number of {self.separation:.2g}; on these data the states' covariance has "
            f"{self.condition:.2g}."
        )
        best = min(self.candidates, key=lambda c: c.approximation_error)
        if best.approximation_error < self.approximation_error - 1e-3:
            lines.append(
                f"{_CALLED[best.spectrum][0].upper()}{_CALLED[best.spectrum][1:]} with decay {best.decay:g} would hold "
                f"{100 * (1 - best.approximation_error):.3g} %, with responses apart by {best.separation:.2g} and a "
                f"covariance of {best.condition:.2g}: smaller approximation error, slower learning."
            )
        lines.append(
            "Real parts: zero. Nothing fades within a window, and a layer that starts from this advice keeps its real "
            "parts at or below zero while it is trained. Where one stream runs on without a reset, ask for a decay."
            if self.decay == 0
            else f"Real parts: −{self.decay / self.length / self.dt:.3g}, a fading by e^−{self.decay:g} over a window."
        )
        return "\n".join(lines)

    def to_record(self) -> dict[str, Any]:
        """Return the numbers for a machine."""
        a = self.autocorrelation
        return {
            "dt": self.dt, "dt_rule": self.dt_rule, "length": self.length, "lambda_max": a.lambda_max,
            "lambda_range": list(a.lambda_range), "correlation_length": a.correlation_length,
            "n_values": a.n_values, "n_missing": a.n_missing, "trend": a.trend,
            "discretization": self.discretization, "spectrum": self.spectrum, "decay": self.decay,
            "A_real": self.A.real.tolist(), "A_imag": self.A.imag.tolist(),
            "approximation_error": self.approximation_error,
            "condition": self.condition if math.isfinite(self.condition) else None, "separation": self.separation,
            "variance": self.variance, "rule_variance": self.rule_variance,
            "candidates": [
                {
                    "spectrum": c.spectrum, "decay": c.decay, "dt": c.dt, "variance": c.variance,
                    "approximation_error": c.approximation_error,
                    "condition": c.condition if math.isfinite(c.condition) else None,
                    "separation": c.separation, "rank": c.rank,
                }
                for c in self.candidates
            ],
        }  # fmt: skip

    def plot(self) -> Figure:
        """Draw autocorrelation, power with the frequencies, candidates, and memory in one figure.

        Returns:
            A matplotlib figure of four panels.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require("matplotlib", extra="plot", purpose="plot")
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(10, 7), layout="constrained")
        (correlation, power), (tried, memory) = canvas.subplots(2, 2)
        self._draw_correlation(correlation)
        self._draw_power(power)
        self._draw_candidates(tried)
        self._draw_memory(memory)
        for axes in (correlation, power, tried, memory):
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        return canvas

    def _draw_correlation(self, axes: Any) -> None:
        a = self.autocorrelation
        axes.plot(torch.arange(self.length), a.values, color="#1f5fa8", linewidth=1.2)
        axes.axhline(1 / math.e, color="#999999", linewidth=0.8, linestyle="--")
        axes.axvline(a.correlation_length, color="#999999", linewidth=0.8, linestyle=":")
        axes.set(title="autocorrelation of the data", xlabel="lag (steps)", ylabel="r(τ)", xscale="symlog")
        axes.set_xlim(left=0)

    def _draw_power(self, axes: Any) -> None:
        density = self.autocorrelation.density().clamp(min=1e-6)
        axes.plot(torch.linspace(0, math.pi, len(density)), density, color="#1f5fa8", linewidth=1.0)
        frequencies = self.system.log_modes.imag  # type: ignore[union-attr]
        at = density[(frequencies / math.pi * (len(density) - 1)).round().long().clamp(0, len(density) - 1)]
        axes.plot(frequencies, at, "|", color="#c46210", markersize=12, label="advised frequencies")
        axes.set(title="power of the data", xlabel="radians a step", yscale="log")
        axes.set_xscale("symlog", linthresh=4 * math.pi / self.length)
        axes.set_xlim(0, math.pi)
        axes.legend(frameon=False, loc="lower left")

    def _draw_candidates(self, axes: Any) -> None:
        colours = dict(zip(_CALLED, ("#0b6e4f", "#8a8d2f", "#1f5fa8", "#7a5195", "#c46210"), strict=True))
        for c in self.candidates:
            size = 4 + c.decay
            axes.plot(c.separation, max(c.approximation_error, 1e-4), "o", color=colours[c.spectrum], markersize=size)
        for name in dict.fromkeys(c.spectrum for c in self.candidates):
            axes.plot([], [], "o", color=colours[name], label=name)
        at = self.separation, max(self.approximation_error, 1e-4)
        axes.plot(*at, "x", color="black", markersize=10, label="advised")
        axes.axvline(self.max_condition, color="#999999", linewidth=0.8, linestyle="--")
        axes.set(
            title="what was tried (larger dots decay more)", xlabel="condition number of the responses",
            ylabel="approximation error",
            xscale="log", yscale="log",
        )  # fmt: skip
        axes.legend(frameon=False)

    def _draw_memory(self, axes: Any) -> None:
        self.memory().plot(axes, label="advised", bound=False)
        usual = s4d_lin(self.system.d_state, 0.01)
        horizon_memory(usual, self.length).plot(axes, label="S4D-Lin, dt 0.01", bound=False)
        axes.set_title("memory over a window, white input")
        axes.legend(frameon=False)

    def _time(self, steps: float) -> str:
        """Return a number of steps, and what it is in the user's unit."""
        told = f"{steps:,.0f} steps" if steps >= 10 else f"{steps:.3g} steps"
        return told if self.sampling_rate is None else f"{told} ({steps / self.sampling_rate:.3g} {self.unit})"
