"""What any model computes from its past inputs: the capacity of its states for products of lagged polynomials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.stats
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from ssmemory.errors import require
from ssmemory.memory._regression import (
    SURROGATES,
    Array,
    Regression,
    corrected,
    read_inputs,
    regression,
    shifted_inputs,
)
from ssmemory.memory.estimate import MemoryEstimate, summarise
from ssmemory.memory.iid import require_iid
from ssmemory.memory.products import (
    Lags,
    factors,
    list_products,
    orthonormal,
    products,
    read_windows,
    standardise,
    surrogates,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHUNK_NUMBERS = 2**21  # 16 MB at once
_SUM_NUMBERS = 2**23  # 64 MB of sums


@dataclass(frozen=True, eq=False)
class ProcessingCapacity:
    """Capacities for products of lagged polynomials; made by `processing_capacity`. Estimates, with intervals.

    Attributes:
        targets: (n_targets, degree) the lags of the factors of every target, in order, a lag k times for a polynomial
            of order k, filled up with −1: ``[1, 1, 3]`` is P2(u[t-1]) u[t-3].
        values: (n_targets,) capacities, free of the finite-sample floor to first order: they can fall below 0.
        stderr: (n_targets,) standard errors.
        by_degree: (degree,) sums over the targets of degree 1, 2, …
        by_degree_interval: (degree, 2) their intervals.
        total: sum over all targets here, not beyond: a lower bound of the total capacity, apart from its error.
        total_interval: (2,) its interval.
        bound: resolved rank of the states, which the total capacity of any system cannot exceed, and reaches where
            the state is a function of past inputs that fades.
        floor: (degree,) a value that none of all these targets would pass, in 95 of 100 trials, for states that never
            saw the input; from the spread over 64 shifted inputs and the χ² law of such values.
        linear: degree 1 alone: the memory function.
        distribution: of the input, "uniform" or "normal".
        level: what share of intervals is to hold the true value.
        n_samples: steps used, after the washout.
    """

    targets: Int64[Tensor, "n_targets degree"]
    values: Float64[Tensor, " n_targets"]
    stderr: Float64[Tensor, " n_targets"]
    by_degree: Float64[Tensor, " degree"]
    by_degree_interval: Float64[Tensor, "degree 2"]
    total: float
    total_interval: tuple[float, float]
    bound: int
    floor: Float64[Tensor, " degree"]
    linear: MemoryEstimate
    distribution: str
    level: float
    n_samples: int

    @property
    def n_targets(self) -> int:
        """Number of targets, of all degrees."""
        return len(self.targets)

    @property
    def degrees(self) -> Int64[Tensor, " n_targets"]:
        """(n_targets,) total degree of every target."""
        return (self.targets >= 0).sum(-1)

    @property
    def above(self) -> Bool[Tensor, " n_targets"]:
        """(n_targets,) which targets pass the floor of their degree and have an interval above 0."""
        half = scipy.stats.norm.ppf((1 + self.level) / 2) * self.stderr
        return (self.values > self.floor[self.degrees - 1]) & (self.values > half)

    def name(self, target: int) -> str:
        """Return a target in words, such as ``P2(u[t-1]) u[t-3]``, with P for Legendre and He for Hermite."""
        letter = "P" if self.distribution == "uniform" else "He"
        orders = Counter(lag for lag in self.targets[target].tolist() if lag >= 0)
        inputs = [(f"u[t-{lag}]" if lag else "u[t]", order) for lag, order in orders.items()]
        return " ".join(u if order == 1 else f"{letter}{order}({u})" for u, order in inputs)

    def top(self, n: int = 10) -> list[tuple[str, float]]:
        """Return names and values of the at most n largest targets of those above the floor."""
        order = self.values.argsort(descending=True, stable=True)
        return [(self.name(i), float(self.values[i])) for i in order[self.above[order]][:n].tolist()]

    def describe(self) -> str:
        """Return a few sentences in plain words."""
        low, high = self.total_interval
        shares = ", ".join(f"{value:.3g} of degree {i + 1}" for i, value in enumerate(self.by_degree.tolist()))
        most = ", ".join(f"{name} {value:.2f}" for name, value in self.top(3)) or "none"
        return (
            f"Computes {self.total:.3g} ({low:.3g} to {high:.3g}, {100 * self.level:g} %) of at most {self.bound} "
            f"independent functions of the input: {shares}. {int(self.above.sum())} of {self.n_targets} products are "
            f"above the floor of {float(self.floor.max()):.1e}, from {self.n_samples} steps; the largest: {most}. "
            "What lies beyond these lags and degrees is not counted."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw one bar, stacked by degree, with the interval of the total and the bound as a dashed line.

        Args:
            ax: where to draw: beside the bars that are there already. A new figure if left out.
            label: name under the bar.

        Returns:
            The axes. Sums below 0 are drawn as 0. For the memory function use ``linear.plot()``.
        """
        pyplot = require("matplotlib.pyplot", extra="plot", purpose="plot")
        if ax is None:
            ax = pyplot.subplots(figsize=(4.5, 4), layout="constrained")[1]
        labels = [text.get_text() for text in ax.get_xticklabels()] if ax.containers else []
        at, bottom, known = len(labels), 0.0, ax.get_legend_handles_labels()[1]
        shades = pyplot.get_cmap("viridis")(np.linspace(0.15, 0.9, max(4, len(self.by_degree))))
        for i, value in enumerate(self.by_degree.clamp(min=0).tolist()):
            name = f"degree {i + 1}"
            ax.bar(at, value, 0.6, bottom, color=shades[i], label=None if name in known else name)
            bottom += value
        half = self.total_interval[1] - self.total
        ax.errorbar([at], [self.total], [half], color="black", capsize=4, linewidth=1)
        bound = None if "bound" in known else "bound"
        ax.plot(
            [at - 0.42, at + 0.42], [self.bound] * 2, color="black", linestyle=(0, (4, 3)), linewidth=0.9, label=bound
        )
        ax.set_xticks(range(at + 1), [*labels, label or ""])
        ax.set(ylabel="capacity", xlim=(-0.6, at + 0.6))
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.08 * self.bound))
        ax.legend(frameon=False, reverse=True, loc="upper left", bbox_to_anchor=(1, 1))
        return ax


def processing_capacity(
    states_or_model: Tensor | NDArray[Any] | nn.Module | Callable[[Tensor], Any],
    inputs: Tensor | NDArray[Any],
    *,
    degree: int,
    lags: Lags | Mapping[int, Lags],
    layer: str | None = None,
    washout: int | None = None,
    level: float = 0.95,
    blocks: int = 32,
    seed: int = 0,
    distribution: Literal["uniform", "normal"] = "uniform",
    support: tuple[float, float] | None = None,
) -> ProcessingCapacity:
    """Estimate which functions of its past inputs can be read, linearly, off the present state of any model.

    ``C(y) = 1 − min_w E|y[t] − w·x[t] − c|² / Var y`` for every target ``y[t] = Π_τ p_{k_τ}(u[t−τ])`` of total degree
    ``Σ_τ k_τ`` = 1 … degree and lags within the window of that degree. ``p_k`` are the polynomials orthonormal under
    the input's distribution, Legendre's for a uniform and Hermite's for a normal one, so that for i.i.d. inputs the
    targets are orthonormal, and the sum of C over all of them, any degree and lag, is at most the number N of linearly
    independent states; exactly N if the state is a function of past inputs that fades. Degree 1 is `estimate_memory`.

    Exact: the targets, apart from the support or the mean and scale of the input where they are found from it; their
    relative error is of order 1/T and 1/√T. Estimates: every C, corrected for the finite-sample floor, and their sums,
    each with an interval from the same block jackknife as in `estimate_memory`. A sum over finitely many targets is a
    lower bound of the total: what it leaves of N may lie beyond the window, or in noise.

    Args:
        states_or_model: states (length, N) or (sequences, length, N), or a model, as in `estimate_memory`.
        inputs: (length,) or (sequences, length) real, i.i.d.; the state at a step has seen the input of that step.
        degree: largest total degree, at least 1.
        lags: n for lags 0 … n−1 or a sequence of lags, for all degrees; or a dict {1: …, 2: …} with a window for each.
        layer: dotted name of the layer to record, for a module.
        washout: steps at the beginning of every sequence that are not used, as in `estimate_memory`.
        level: what share of intervals is to hold the true value.
        blocks: number of blocks, at least 20. A block should be longer than the memory.
        seed: seeds the shifts of the surrogates.
        distribution: of the inputs.
        support: (low, high) of a uniform input; found from its extremes if left out.

    Returns:
        The capacities.

    Raises:
        InputError: inputs that are not i.i.d. of this distribution (a Kolmogorov-Smirnov test, and a test of the
            correlations of u and u² over the window, both at p < 1e-6), more than 50,000 targets, no window for a
            degree, a repeated lag, or what `estimate_memory` refuses.

    Numerics:
        Streams over steps and targets: time O(T (N + degree) n_targets); 100,000 steps, 64 states and 5,880 targets
        take 0.15 GB beside the data.
        Intervals of sums over many targets hold. That of one capacity near 0 whose state has one or two directions lies
        wholly below 0 in up to 1 of 5 trials. For normal inputs and states with heavy tails 95 % intervals at degree 4
        and more hold less: 0.7 to 0.8 of them for the state exp(u) and 20,000 steps.

    Source:
        Dambre, Verstraeten, Schrauwen, Massar, Sci. Rep. 2, 514 (2012): the capacities and their bound.

    Example:
        >>> u = np.random.default_rng(0).uniform(-1, 1, 20_000)
        >>> x = np.stack([u**3, u * np.roll(u, 2)], -1)
        >>> capacity = processing_capacity(x, u, degree=3, lags=4)
        >>> [(name, round(value, 2)) for name, value in capacity.top()]
        [('u[t] u[t-2]', 1.0), ('u[t]', 0.84), ('P3(u[t])', 0.16)]
        >>> capacity.bound, round(capacity.total, 1)
        (2, 2.0)
    """
    windows = read_windows(lags, degree)
    targets = list_products(windows)
    u = read_inputs(inputs)
    window = sorted({lag for lags in windows for lag in lags})
    scaled, v = standardise(u, distribution, support)
    require_iid(v, min(max(10, window[-1]), u.shape[1] - 1), distribution)
    fit = regression(
        states_or_model, u, window[-1], layer=layer, washout=washout, level=level, blocks=blocks,
        numbers=_CHUNK_NUMBERS,
    )  # fmt: skip
    polynomials = orthonormal(scaled, degree, distribution)
    full, without = _shares(fit, polynomials, targets, np.array(window))
    null, null_without = fit.shares(surrogates(polynomials, shifted_inputs(u.shape, seed)), degree * SURROGATES)
    chance = np.sqrt((corrected(null, null_without)[0].reshape(degree, SURROGATES) ** 2).mean(1))
    unusual = scipy.stats.chi2.isf(0.05 / len(targets), fit.rank) - fit.rank
    of_degree = ((targets >= 0).sum(1)[:, None] == np.arange(1, degree + 1)).astype(np.float64)
    values, error = corrected(full, without)
    sums, sums_error = corrected(full @ of_degree, without @ of_degree)
    total, total_error = (float(part) for part in corrected(full.sum(), without.sum(1)))
    half, total_half, n = fit.quantile * sums_error, fit.quantile * total_error, len(windows[0])
    linear = (
        np.concatenate([full[:n], null[:SURROGATES]]),
        np.concatenate([without[:, :n], null_without[:, :SURROGATES]], -1),
    )
    return ProcessingCapacity(
        targets=torch.from_numpy(targets),
        values=torch.from_numpy(values),
        stderr=torch.from_numpy(error),
        by_degree=torch.from_numpy(sums),
        by_degree_interval=torch.from_numpy(np.stack([sums - half, sums + half], -1)),
        total=total,
        total_interval=(total - total_half, total + total_half),
        bound=fit.rank,
        floor=torch.from_numpy(chance * unusual / math.sqrt(2 * fit.rank)),
        linear=summarise(fit, torch.tensor(windows[0]), *linear),
        distribution=distribution,
        level=level,
        n_samples=fit.rows.total,
    )


def _shares(
    fit: Regression, polynomials: Array, targets: NDArray[np.int64], window: NDArray[Any]
) -> tuple[Array, Array]:
    """Return the explained shares of all targets, so many at once that their sums by block are small."""
    rows = factors(targets, window)
    most = max(64, _SUM_NUMBERS // (fit.rows.blocks * (fit.rank + 1)))
    parts = [
        fit.shares(products(polynomials, part, window), len(part))
        for part in (rows[first : first + most] for first in range(0, len(rows), most))
    ]
    return np.concatenate([full for full, _ in parts]), np.concatenate([without for _, without in parts], -1)
