"""Spectra designed for a purpose: the eigenvalues that remember best what is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Complex128, Float64
from numpy import ndarray
from torch import Tensor

from ssmemory.errors import reject, require
from ssmemory.init.arguments import random_generator, state_size, whole_number
from ssmemory.init.horizon import geometric
from ssmemory.init.recall import recall
from ssmemory.init.s4d import s4d_inv, s4d_legs, s4d_lin, s4d_real
from ssmemory.learning.teacher import read_teacher
from ssmemory.memory import memory_function
from ssmemory.systems import LinearSystem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ssmemory.init._spectrum_search import Goal, Imitation, Recollection

_LONGEST = 10**6  # lags that are looked at, at most
_EARLY = 1024  # lags of a long teacher whose Hankel matrix is a start of its own
_WORK = 3e8  # modes × lags × evaluations over all starts: some seconds
_FEWEST = 10  # evaluations a start, at least


@dataclass(frozen=True, eq=False)
class Design:
    """A spectrum designed for a goal, with what it was held against; made by `design`.

    Attributes:
        system: the real system, with ``conj_sym`` if it has no real modes; else with its conjugates written out.
        goal: the goal in words.
        value: what the system reaches, in [0, 1], by `memory_function` or `visible_fraction`.
        bound: what no system of that state size can exceed.
        baselines: what each hand-made spectrum reaches at the dt that suits it best.
        baseline_systems: those spectra.
        starts: what the search reached from each start.
        horizon: steps back that the goal looks at.
    """

    system: LinearSystem
    goal: str
    value: float
    bound: float
    baselines: dict[str, float]
    baseline_systems: dict[str, LinearSystem]
    starts: dict[str, float]
    horizon: int

    @property
    def share(self) -> float:
        """The value as a share of the bound."""
        return self.value / self.bound

    @property
    def best_baseline(self) -> str:
        """Name of the best hand-made spectrum."""
        return max(self.baselines, key=self.baselines.__getitem__)

    def explain(self) -> str:
        """Return in plain words what was reached, how far that is from the bound, and against what."""
        name = self.best_baseline
        best, decays = self.baselines[name], -1 / self.system.log_eigenvalues.real
        ratio = f"{self.value / best:.2f} times as much as" if best > 0 else "against 0 of"
        near = max(self.starts.values())
        same = sum(value > 0.999 * near for value in self.starts.values())
        return (
            f"{self.goal}: {self.value:.4g}, {self.share:.1%} of the bound {self.bound:.4g}, with "
            f"{int(self.system.rank)} state directions. That is {ratio} the best hand-made spectrum, {name} at "
            f"its best step ({best:.4g}). Decay times run from {decays.min():.3g} to {decays.max():.3g} steps. "
            f"{same} of {len(self.starts)} starts came within 0.1 % of the best; the optimum is not proven."
        )

    def plot(self) -> Figure:
        """Draw the eigenvalues, and the memory function with its bound and the best hand-made spectrum's.

        Returns:
            The figure, of two axes.
        """
        pyplot = require("matplotlib.pyplot", extra="plot", purpose="plot")
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
        name = self.best_baseline
        lags = np.unique(np.geomspace(1, 4 * self.horizon + 1, 200).round().astype(int)) - 1
        for label, system, bound in (("designed", self.system, True), (name, self.baseline_systems[name], False)):
            self._draw_eigenvalues(left, system, label)
            memory_function(system, lags).plot(right, label=label, bound=bound)
        right.axvline(self.horizon, color="0.6", linewidth=0.8)
        right.legend()
        left.legend()
        return figure

    def _draw_eigenvalues(self, ax: Axes, system: LinearSystem, label: str) -> None:
        log = system.log_eigenvalues * self.horizon
        ax.plot(-log.real, log.imag, "o", markersize=4, label=label)
        ax.set(xlabel="decay over the horizon", ylabel="phase over the horizon (radians)", xscale="log")


def design(
    d_state: int, *, window: int | None = None, lags: Sequence[int] | ndarray | Tensor | None = None,
    teacher: Any = None, seed: int = 0, starts: int | None = None,
) -> Design:  # fmt: skip
    """Search for the eigenvalues of a real system that remember best what is asked for; white input, one channel.

    Exactly one goal: ``window=K`` maximises the worst lag of 0 … K−1, which is ``MF(K−1)`` because MF never increases;
    ``lags=[…]`` the mean of MF over them; ``teacher=α*`` the visible fraction ``‖Π α*‖²/‖α*‖²``. With θ the impulse
    response of the all-pass product of the eigenvalues, ``MF(τ) = Σ_{i>τ} |θ_i|²`` and
    ``1 − fraction = Σ_t |Σ_i θ_i α*[t+i]|² / ‖α*‖²``: L-BFGS on exact gradients, O(d_state · lags) each.

    Args:
        d_state: state directions of the real system, at least 1: conjugate pairs, one real mode more where it is odd
            (for a teacher more real modes, where its Hankel matrix says so).
        window: K steps, 1 … 1,000,000.
        lags: lags, 0 … 1,000,000; a lag that is named twice counts twice.
        teacher: (T,) real kernel, T ≤ 1,000,000: entry τ is the weight of the input of τ steps ago.
        seed: seeds the random starts; the same seed gives the same design.
        starts: how many starts, at least 1: first those that are laid out (`recall`, equally spaced frequencies, the
            Hankel matrix of a teacher, the best hand-made spectrum), then random ones. If left out, at least 4.

    Returns:
        The design: system, value, bound, what hand-made spectra reach, `explain` and `plot`.

    Raises:
        InputError: none or several of the goals; a goal, d_state, seed or starts out of range.

    Numerics:
        The search is local and proves nothing: compare `Design.starts` and `Design.share`. It is cut off after some ten
        seconds; teachers of over 100,000 weights, and near lags together with lags as far away, take minutes. Lags
        beyond 2,048 and 32 · d_state are searched on a coarser scale of time first, and so is the dt of hand-made
        spectra, by a grid that can miss a narrow peak. What is reached in the limit alone, as a lag below d_state is,
        is approached to about 1e-8.
        The bound for lags: MF is ``P(k > τ)`` for a random k of mean N: the least concave curve over
        k ↦ share of the lags below k, at N; for one lag ``min(1, N/(τ+1))``. For a teacher it is
        ``1 − Σ_{n>N} σ_n²/(p ‖α*‖²)`` with σ the singular values of its p × p Hankel matrix, the least over some
        p ≤ 1,024: a kernel of order N has a Hankel matrix of rank N (Eckart–Young), where each lag stands at most p
        times.

    Source:
        The all-pass theorem of `memory_function`; starts by Ho and Kalman (1966) for a teacher, else `recall`.

    Example:
        >>> found = design(2, window=51)
        >>> round(found.value, 4), round(found.share, 2)
        (0.0202, 0.51)
    """
    n = state_size(d_state)
    words, goal = _read_goal(window, lags, teacher)
    if starts is not None:
        starts = whole_number("starts", starts, least=1, fix="leave it out for those that are laid out and one more")
    random_generator(seed)  # refuses what is no seed
    from ssmemory.init._spectrum_search import Imitation, climb  # compiles: not while the package is imported

    factor = goal.coarsening(n)
    rough = goal.shrunk(factor)
    rivals = dict(_baselines(rough, n))
    finer = {name: _scaled(system, factor) for name, system in rivals.items()}
    values = {name: goal.exact(system) for name, system in finer.items()}
    best = max(values, key=values.__getitem__)
    first, made = (goal, finer[best]) if isinstance(goal, Imitation) else (rough, rivals[best])
    laid_out = _laid_out(first, n) | {best: _filled(made, n, first.horizon)}
    count = max(4, len(laid_out) + 1) if starts is None else starts
    reached: dict[str, float] = {}
    systems: dict[str, LinearSystem] = {}
    for name, start in _starts(laid_out, first.horizon, count, seed):
        modes = climb(first, start, _evaluations(first, n, count))
        if first is not goal and factor > 1:
            modes = _finer(modes, factor)
            polish = _evaluations(goal, n, 4 * count)
            modes = climb(goal, modes, polish) if polish > _FEWEST else modes
        systems[name] = _system(modes)
        reached[name] = goal.exact(systems[name])
    top = max(reached, key=reached.__getitem__)
    return Design(systems[top], words, reached[top], goal.bound(n), values, finer, reached, goal.horizon)


def _evaluations(goal: Goal, n: int, count: int) -> int:
    """Return how many evaluations of the goal each of so many starts may take."""
    return int(np.clip(_WORK / (count * goal.length * (n + goal.overhead)), _FEWEST, 1500))


def _read_goal(window: Any, lags: Any, teacher: Any) -> tuple[str, Recollection | Imitation]:
    """Return the one goal that is given, in words and as a function."""
    from ssmemory.init._spectrum_search import Imitation, Recollection

    given = [name for name, value in (("window", window), ("lags", lags), ("teacher", teacher)) if value is not None]
    if len(given) != 1:
        fix = "window=1000 asks for the last 1,000 inputs, lags=[200] for one, teacher=kernel for a sum of them"
        reject("goal", expected="exactly one of window, lags and teacher", got=" and ".join(given) or "none", fix=fix)
    if teacher is not None:
        return "the visible fraction of the teacher", Imitation(_read_kernel(teacher))
    fix = "recall(d_state, lag) has no limit; so far away eigenvalues only scale, log λ ∝ 1/(lag + 1)"
    if window is not None:
        steps = whole_number("window", window, least=1, fix="it is the number of steps to remember, such as 1000")
        if steps > _LONGEST:
            reject("window", expected=f"at most {_LONGEST:,} steps", got=f"{steps:,}", fix=fix)
        return f"MF at the worst of the last {steps:,} inputs", Recollection(np.array([steps - 1]))
    wanted = _read_lags(lags)
    if wanted.max() > _LONGEST:
        reject("lags", expected=f"lags ≤ {_LONGEST:,}", got=f"{wanted.max():,}", fix=fix)
    return f"MF at lag {wanted[0]:,}" if len(wanted) == 1 else f"mean MF of {len(wanted)} lags", Recollection(wanted)


def _read_lags(lags: Any) -> ndarray:
    fix = "give a list of lags, such as lags=[200]; lag 0 is the current input"
    try:
        wanted = np.asarray(lags.detach().cpu() if isinstance(lags, Tensor) else lags)
    except ValueError:  # ragged
        wanted = np.array(None)
    if wanted.ndim != 1 or len(wanted) == 0 or wanted.dtype.kind not in "iu":
        reject("lags", expected="whole numbers in a list", got=" ".join(repr(lags).split())[:60], fix=fix)
    if wanted.min() < 0:
        reject("lags", expected="lags ≥ 0", got=int(wanted.min()), fix=fix)
    return wanted.astype(np.int64)


def _read_kernel(teacher: Any) -> ndarray:
    kernel = read_teacher(teacher, None)
    if kernel.is_complex():
        fix = "the system is real: design for the real part alone"
        reject("teacher", expected="real weights", got="complex ones", fix=fix)
    if len(kernel) > _LONGEST:
        fix = "cut off its far end, or sum it over blocks of steps and divide the log eigenvalues by their length"
        reject("teacher", expected=f"at most {_LONGEST:,} weights", got=f"{len(kernel):,}", fix=fix)
    return kernel.detach().numpy()


def _starts(laid_out: dict[str, ndarray], horizon: int, count: int, seed: int) -> Iterator[tuple[str, ndarray]]:
    """Yield so many starts: those that are laid out, then those with each mode moved at random."""
    names, generator = list(laid_out), np.random.default_rng(seed)
    yield from list(laid_out.items())[:count]
    for k in range(count - len(names)):
        modes = laid_out[names[k % len(names)]]
        decays = modes.real * np.exp(0.5 * generator.standard_normal(len(modes)))
        turns = generator.standard_normal(len(modes)) / horizon
        yield f"random {k + 1}", decays + 1j * (modes.imag + turns * (modes.imag % math.pi != 0))


def _laid_out(goal: Goal, n: int) -> dict[str, ndarray]:
    """Return the starts that nothing random goes into, but for the best hand-made spectrum."""
    from ssmemory.init._spectrum_search import Imitation, Recollection

    if isinstance(goal, Imitation):
        found = {"Hankel": _hankel_modes(goal.kernel, n)}
        if len(goal.kernel) > 2 * _EARLY and goal.kernel[:_EARLY].any():
            found["Hankel of early lags"] = _hankel_modes(goal.kernel[:_EARLY], n)
        return found | {f"recall({n}, {lag})": _modes(recall(n, lag)) for lag in (goal.lag_of(0.95), goal.lag_of(0.5))}
    assert isinstance(goal, Recollection)
    lags = (int(goal.lags.max()), int(np.median(goal.lags)))
    found = {f"recall({n}, {lag})": _modes(recall(n, lag)) for lag in lags}
    found["half-shifted"] = (-2 + 1j * math.pi * np.arange(1 - n % 2, n, 2)) / max(goal.horizon, n)
    ends = goal.corners[:, 0].astype(int)
    near, far = max(ends[ends < n], default=0), min(ends[ends >= n], default=0)
    if near and far:  # some modes for the nearer lags, the others for those farther away
        split = [_modes(recall(int(near), int(near) - 1)), _modes(recall(n - int(near), int(far) - 1))]
        found["split"] = np.concatenate(split)
    return found


def _filled(system: LinearSystem, n: int, horizon: int) -> Complex128[ndarray, " modes"]:
    """Return the modes of a hand-made spectrum with those added that it lacks of n state directions."""
    spectrum = system.spectrum()
    logs = spectrum.log_eigenvalues[spectrum.counted].numpy()
    turns = np.remainder(logs.imag + math.pi, 2 * math.pi) - math.pi
    real = np.minimum(np.abs(turns), math.pi - np.abs(turns)) < 1e-12
    pairs, alone = (
        (logs.real + 1j * turns)[~real & (turns > 0)],
        logs.real[real] + 1j * math.pi * (np.abs(turns[real]) > 1),
    )
    lacking = n - 2 * len(pairs) - len(alone)
    if lacking == 1 and len(alone) == 1 and alone.imag[0] == 0:  # S4D-Lin: make the real mode half of a pair
        slowest = min(pairs.imag, default=1 / horizon)
        return np.concatenate([alone + 0.5j * slowest, pairs])
    return np.concatenate([pairs, alone, -(2.0 + np.arange(lacking)) / horizon + 0j])


def _hankel_modes(kernel: Float64[ndarray, " length"], n: int) -> Complex128[ndarray, " modes"]:
    """Return the modes of the shift on the dominant subspace of the kernel's Hankel matrix (Ho and Kalman).

    A kernel longer than 1,024 is summed over blocks of steps.
    """
    from ssmemory.init._spectrum_search import HANKEL_ROWS, hankel, in_blocks

    block = -(-len(kernel) // HANKEL_ROWS)
    summed = in_blocks(kernel, block)
    values, vectors = np.linalg.eigh(hankel(summed, max(len(summed), n + 1)))
    order = np.argsort(-np.abs(values), kind="stable")[:n]
    basis = vectors[:, order] * np.sqrt(np.abs(values[order]))
    poles = np.linalg.eigvals(np.linalg.lstsq(basis[:-1], basis[1:])[0]).astype(complex)
    poles = poles[poles.imag >= 0]
    return _finer(np.log(np.abs(poles).clip(1e-9, 1 - 1e-4)) + 1j * np.angle(poles), block)


def _finer(modes: Complex128[ndarray, " modes"], factor: int) -> Complex128[ndarray, " modes"]:
    """Return the modes with a step cut into ``factor`` steps; a negative real eigenvalue stays one."""
    turns = np.where(np.abs(modes.imag) == math.pi, modes.imag, modes.imag / factor)
    return modes.real / factor + 1j * turns


def _modes(system: LinearSystem) -> Complex128[ndarray, " modes"]:
    """Return log λ of a real system, one of each pair."""
    logs = system.log_eigenvalues.numpy()
    return logs[: len(logs) // 2] if system.conj_sym else logs[logs.imag >= 0]


def _system(modes: Complex128[ndarray, " modes"]) -> LinearSystem:
    """Return the real system of these modes and their conjugates, frequencies rising."""
    from ssmemory.init._spectrum_search import is_real

    real = is_real(modes)
    turns = np.abs(np.remainder(modes.imag + math.pi, 2 * math.pi) - math.pi)
    wrapped = modes.real + 1j * turns
    pairs = wrapped[~real][np.argsort(turns[~real], kind="stable")]
    if not real.any():
        return LinearSystem.from_log_eigenvalues(pairs, conj_sym=True)
    return LinearSystem.from_log_eigenvalues(np.concatenate([pairs, pairs.conj(), wrapped[real]]))


def _scaled(system: LinearSystem, factor: int) -> LinearSystem:
    """Return the system with a step cut into ``factor`` steps."""
    assert system.log_modes is not None
    return LinearSystem.from_log_eigenvalues(system.log_modes / factor, conj_sym=system.conj_sym)


def _baselines(goal: Goal, n: int) -> Iterator[tuple[str, LinearSystem]]:
    """Yield the hand-made spectra, each at the dt that suits the goal best: the best of a grid, twice refined."""
    from ssmemory.init._spectrum_search import reached

    even = n - n % 2
    makers: dict[str, Callable[[Tensor], LinearSystem]] = {
        "S4D-Lin": partial(s4d_lin, n + n % 2),  # its rank is one less
        "S4D-Real": partial(s4d_real, n),
        "geometric": partial(_geometric, n),
    }
    if even:
        makers |= {"S4D-Inv": partial(s4d_inv, even), "S4D-LegS": partial(s4d_legs, even)}
    tries = int(np.clip(1e9 / (goal.length * (n + goal.overhead)), 30, 120))
    first = torch.linspace(math.log(0.02 / (n * goal.horizon)), math.log(60 / goal.horizon), tries, dtype=torch.float64)
    for name, make in makers.items():
        grid, apart = first, float(first[1] - first[0])
        for _ in range(3):  # folded frequencies make many peaks: follow the best four
            peaks = grid[np.argsort(reached(goal, make(grid.exp())))[::-1][:4].copy()]
            grid = (peaks[:, None] + apart * torch.linspace(-1, 1, 9, dtype=torch.float64)).flatten()
            apart /= 4
        best = peaks[0]
        one = make(best.exp().unsqueeze(0))
        assert one.log_modes is not None
        yield name, LinearSystem.from_log_eigenvalues(one.log_modes[0], conj_sym=one.conj_sym)


def _geometric(n: int, dt: Tensor) -> LinearSystem:
    lengths = [max(2, round(1 / step)) for step in dt.tolist()]
    return LinearSystem.from_log_eigenvalues(torch.stack([geometric(n, length).log_eigenvalues for length in lengths]))
