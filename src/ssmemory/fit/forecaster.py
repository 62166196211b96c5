"""Forecasts in closed form: a frozen linear memory of the past, and a ridge readout for all steps ahead at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float64
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from ssmemory.errors import reject, reject_unknown
from ssmemory.fit._forecast_memory import Piece, Plan, Sharing, WindowSums, filled, memory_rows
from ssmemory.fit._forecast_stored import load_forecaster, save_forecaster

Array = NDArray[Any]
Memory = Literal["lags", "fourier", "geometric", "data"]
Level = Literal["last", "mean", "none"]
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # tried
_BANDS = (0.0, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the horizon: steps ahead that are chosen for together
_COARSE = 8  # numbers that a crossed readout reads of every other channel
_BLOCK = 2**22  # numbers in windows that are held at once
_KEPT = 1000  # held-out windows whose errors are kept, at most


class MemoryForecaster:
    """Forecasts of one or more channels, in closed form, for every step ahead at once.

    With w the last ``lookback`` values of a channel in units of its standard deviation, and l(w) its level (the last
    value, the mean over w, or 0), a frozen linear memory holds ``x = M (w − l)``: the state that a system of
    eigenvalues λ_n, M[n, τ] = λ_n^τ, has reached at the last step. The value h steps ahead is read off it,

        ŷ[h] = l + W_h x + b_h,     W by ridge regression over all windows of the training series.

    Each step ahead is a regression of its own, so memory, level, penalty, and whether a readout is one for all channels
    or one each, are chosen for every channel and band of steps ahead (to 1/8, 1/4, 1/2 and all of the horizon): by the
    squared error over windows held out at the end, not by leaving single windows out, since windows overlap. Then all
    windows are used. Sums are streamed: memory does not grow with the number of windows.

    Args:
        horizon: steps ahead, at most.
        lookback: past steps L that a forecast reads.
        d_state: numbers in the memory of a channel, 1..L; ``lookback`` of them if left out.
        memories: candidates: ``"lags"``, a shift register of the last d_state values; ``"fourier"``, frequencies
            0, 1, 2, … cycles a window that do not decay; ``"geometric"``, decay times equally spaced on a logarithmic
            scale, with up to four cycles each; ``"data"``, what `init.from_data` advises (even d_state).
        levels: candidates: ``"last"``, ``"mean"``, ``"none"``.
        channels: candidates: ``"shared"``, one readout for all channels; ``"own"``, one each; ``"crossed"``, one each
            that also reads eight numbers of every other channel, exponentials of geometric decay times.
        penalties: candidates α, of features of variance 1.
        stride: steps from one training window to the next.
        held_out: the share of windows, at the end, that choices are made on if `fit` is given no validation series.

    Attributes:
        error: (horizon, n_channels) root mean squared errors over the held-out windows, in the channels' units; a
            little too kind, as the smallest of several.
        baseline: the same of repeating the last value.
        n_windows: windows that the readouts are made of, summed over channels.

    Raises:
        InputError: sizes or names out of range.

    Numerics:
        float64. O(n (d_state + horizon)²) for n windows and a candidate of memory and level; a readout of its own costs
        no further pass. Where a window's values determine the future exactly, the smallest penalty limits the error.

    Source:
        Zeng et al. (2023), arXiv 2205.13504, for subtracting the last value; Toner, Darlow (2024), arXiv 2403.14587,
        for the closed form of linear forecasts; the memory and the choice by bands are our own.

    Example:
        >>> t = np.arange(600.0)
        >>> forecaster = MemoryForecaster(24, lookback=48).fit(np.sin(2 * np.pi * t / 24))
        >>> bool(np.abs(forecaster.predict() - np.sin(2 * np.pi * np.arange(600, 624) / 24)).max() < 1e-3)
        True
    """

    error: Float64[Array, "horizon n_channels"]
    baseline: Float64[Array, "horizon n_channels"]

    def __init__(
        self, horizon: int, lookback: int = 336, d_state: int | None = None, *,
        memories: Sequence[Memory] = ("lags", "fourier"), levels: Sequence[Level] = ("last", "mean", "none"),
        channels: Sequence[Sharing] = ("shared", "own"), penalties: Sequence[float] = PENALTIES, stride: int = 1,
        held_out: float = 0.2,
    ) -> None:  # fmt: skip
        d_state = lookback if d_state is None else d_state
        for name, size in {"horizon": horizon, "lookback": lookback, "d_state": d_state, "stride": stride}.items():
            if not isinstance(size, int) or size < 1:
                reject(name, expected="a whole number of at least 1", got=size, fix="give one")
        if d_state > lookback:
            fix = "a longer memory needs a longer lookback"
            reject("d_state", expected=f"at most the lookback's {lookback}", got=d_state, fix=fix)
        given: tuple[tuple[str, Sequence[str], tuple[str, ...]], ...] = (
            ("memories", memories, ("lags", "fourier", "geometric", "data")),
            ("levels", levels, ("last", "mean", "none")),
            ("channels", channels, ("shared", "own", "crossed")),
        )
        for name, chosen, known in given:
            if not chosen:
                reject(name, expected="at least one", got="none", fix=f"choose among {', '.join(known)}")
            for each in chosen:
                if each not in known:
                    reject_unknown(name, each, known)
        if not penalties or not all(0 < p < math.inf for p in penalties):
            reject("penalties", expected="numbers above 0", got=list(penalties), fix="leave them out for 1e-6 … 1")
        if not 0 < held_out < 1:
            reject("held_out", expected="a share between 0 and 1", got=held_out, fix="0.2 is the default")
        self.horizon, self.lookback, self.d_state, self.stride, self.held_out = (
            horizon, lookback, d_state, stride, held_out,
        )  # fmt: skip
        self.memories, self.levels, self.channels = tuple(memories), tuple(levels), tuple(channels)
        self.penalties = tuple(penalties)
        self.n_windows, self._offset = 0, 0
        self._pieces: list[Piece] = []
        self._gathered: dict[tuple[int, Sharing], list[WindowSums]] = {}

    def fit(self, series: ArrayLike, validation: ArrayLike | None = None) -> Self:
        """Fit the readouts.

        Args:
            series: (steps,) or (steps, channels); NaN is missing: windows with missing targets or a missing last value
                are left out for that channel, other inputs are interpolated.
            validation: another series that choices are made on, of which nothing is learnt otherwise; if left out,
                the last windows of ``series``, which are learnt from once the choice is made.

        Returns:
            Itself.

        Raises:
            InputError: a series too short, a channel that is constant or all NaN, infinite values.
        """
        values = self._begin(series)
        starts = np.arange(0, len(values) - self.lookback - self.horizon + 1, self.stride)
        if validation is None:
            held = starts[len(starts) - max(1, round(self.held_out * len(starts))) :]
            learnt, on, also = starts[starts <= held[0] - self.horizon], values, starts[starts > held[0] - self.horizon]
            if len(learnt) < 2:
                least = self.lookback + math.ceil((self.horizon + 2 * self.stride) / (1 - self.held_out))
                fix = "give more, ask for fewer, or pass a validation series"
                self._too_short("series", f"about {least + self.horizon}", len(values), fix)
        else:
            on = self._scaled(self._read(validation, "validation"))
            learnt, also = starts, starts[:0]
            held = np.arange(0, len(on) - self.lookback - self.horizon + 1, self.stride)
            if not len(held):
                self._too_short("validation", str(self.lookback + self.horizon), len(on), "give a longer one")
        best = self._search(values, learnt, on, held)
        used = {(choice.plan, _summed(choice.sharing)) for choice in best.values()}
        self._gathered = {key: sums for key, sums in self._gathered.items() if key in used}
        self._choices = best
        self._solve()
        kept = held[np.unique(np.linspace(0, len(held) - 1, _KEPT).astype(int))]
        blocks = self._blocks(on, kept)
        self._residuals = np.concatenate([self._errors(block) for block in blocks]).astype(np.float32)
        self._spectrum = np.zeros((values.shape[1], self.lookback // 2 + 1))
        for windows, _ in self._blocks(values, starts[:: max(1, len(starts) // _KEPT)]):
            self._spectrum += (np.abs(np.fft.rfft(windows, axis=-1)) ** 2).sum(0)
        if len(also):
            for key, sums in self._gathered.items():
                self._gather(key, sums, values, also)
            self._solve()
        self._next = int(starts[-1]) + self.stride - (len(values) - self._keep(values))
        return self

    def update(self, series: ArrayLike) -> Self:
        """Learn from the steps that follow those seen so far; choices, units and intervals stay as they were.

        Args:
            series: the new steps, of the same channels, any number of them.

        Returns:
            Itself.

        Raises:
            InputError: not fitted, loaded from a file, another number of channels, infinite values.
        """
        self._check_fitted()
        if not self._gathered:
            fix = "fit again, or update before saving"
            reject("update", expected="a forecaster fitted here", got="one loaded from a file", fix=fix)
        values = np.concatenate([self._history, self._scaled(self._read(series))])
        starts = np.arange(self._next, len(values) - self.lookback - self.horizon + 1, self.stride)
        if len(starts):
            for key, sums in self._gathered.items():
                self._gather(key, sums, values, starts)
            self._solve()
            self._next = int(starts[-1]) + self.stride
        self._next -= len(values) - self._keep(values)
        return self

    partial_fit = update

    def predict(self, series: ArrayLike | None = None, horizon: int | None = None) -> Array:
        """Return the values that follow.

        Args:
            series: what they follow, of at least ``lookback`` steps; the training series if left out.
            horizon: steps ahead, at most those trained for, which are the default.

        Returns:
            (horizon,) or (horizon, channels), as the training series was.

        Raises:
            InputError: not fitted, a longer horizon, a series that is too short, has another number of channels, or a
                channel with no value in its last ``lookback`` steps.
        """
        horizon = self._check_horizon(horizon)
        past = self._history if series is None else self._scaled(self._read(series))
        if len(past) < self.lookback:
            self._too_short("series", str(self.lookback), len(past), "give as many as the lookback")
        past = past[-self.lookback :]
        if (empty := np.isnan(past).all(0)).any():
            what = f"series, channel {int(empty.argmax())}"
            reject(what, expected=f"a value in the last {self.lookback} steps", got="none", fix="give other data")
        return self._shaped(self._forecast(filled(past).T[None])[0].T[:horizon] * self.std + self.mean)

    def predict_windows(self, windows: ArrayLike) -> Float64[Array, "n horizon channels"]:
        """Return the forecasts of many windows at once.

        Args:
            windows: (n, lookback, channels), no NaN.

        Returns:
            (n, horizon, channels).

        Raises:
            InputError: not fitted, another shape, values that are not finite.
        """
        self._check_fitted()
        array = np.asarray(windows, dtype=np.float64)
        if array.ndim != 3 or array.shape[1:] != (self.lookback, len(self.std)) or not np.isfinite(array).all():
            expected = f"finite numbers (n, {self.lookback}, {len(self.std)})"
            reject("windows", expected=expected, got=f"{array.shape}", fix="fill gaps, and cut to the lookback")
        found = self._forecast(np.ascontiguousarray(((array - self.mean) / self.std).swapaxes(1, 2)))
        return found.swapaxes(1, 2) * self.std + self.mean

    def predict_interval(
        self, level: float = 0.9, series: ArrayLike | None = None, horizon: int | None = None
    ) -> tuple[Array, Array]:
        """Return the bounds between which each value lies with a given probability, step by step.

        The forecast plus quantiles of the errors over held-out windows, for each channel and step ahead. They hold each
        for its own step, and as far as the future is like the held-out part; not for a whole path at once.

        Args:
            level: the probability, in (0, 1); no higher than the number n of held-out windows tells, (n − 1)/(n + 1).
            series: as for `predict`.
            horizon: as for `predict`.

        Returns:
            Lower and upper bounds, each shaped as the forecast.

        Raises:
            InputError: as `predict`, or a level out of range.
        """
        horizon = self._check_horizon(horizon)
        counted = np.isfinite(self._residuals).sum(0).min()
        most = (counted - 1) / (counted + 1)
        if not 0 < level <= most:
            reject("level", expected=f"between 0 and {most:.3g}", got=level, fix="hold out more, or ask for less")
        ranks = np.array([(1 - level) / 2, (1 + level) / 2]) * (counted + 1) / counted - 0.5 / counted
        low, high = np.nanquantile(self._residuals, np.clip(ranks, 0, 1), axis=0, method="hazen").astype(float)
        centre = self.predict(series, horizon)
        return (
            centre + self._shaped((low.T * self.std)[:horizon]), centre + self._shaped((high.T * self.std)[:horizon]),
        )  # fmt: skip

    def kernel(self, channel: int = 0) -> Float64[Array, "lookback horizon"]:
        """Return the weight of each past step (the last first) of a channel on each step ahead of the same channel."""
        self._check_fitted()
        if not 0 <= channel < len(self.std):
            reject("channel", expected=f"0..{len(self.std) - 1}", got=channel, fix="choose one of them")
        found = np.zeros((self.lookback, self.horizon))
        for piece in self._pieces:
            if piece.channel == channel:
                plan = self._plans[piece.plan]
                weights = plan.rows.T @ piece.weights[: len(plan.rows)] + plan.level[:, None]
                found[:, piece.first : piece.last] = weights
        return found[::-1]

    def explain(self) -> str:
        """Return in words what was chosen, how far back the weight lies, at what periods, and the errors."""
        self._check_fitted()
        lines = [
            f"Forecasts of up to {self.horizon} steps from the last {self.lookback}, in closed form; "
            f"{self.n_windows:,} windows over {len(self.std)} channel(s)."
        ]
        shown = sorted({0, self.horizon // 4, self.horizon // 2, self.horizon - 1})
        for channel in range(len(self.std)):
            weight = np.abs(self.kernel(channel)).sum(1)
            reach = np.searchsorted(np.cumsum(weight) / max(weight.sum(), 1e-300), [0.5, 0.9]) + 1
            response = (np.abs(np.fft.rfft(self.kernel(channel)[::-1], axis=0)) ** 2).sum(1)
            power = (response * self._spectrum[channel])[1:]
            share = float(power.max(initial=0) / max(power.sum(), 1e-300))
            period = self.lookback / (1 + int(power.argmax())) if len(power) else math.inf
            lines.append(
                f"Channel {channel}: half of the weight lies within the last {reach[0]} steps, nine tenths within "
                f"{reach[1]}; {100 * share:.0f} % of the variance that is passed on has a period of {period:.3g} steps."
            )
            lines += [f"  {words}" for words in self._chosen(channel)]
            errors = [
                f"{self.error[h, channel]:.3g} at {h + 1} ({self.baseline[h, channel]:.3g} if the last value is kept)"
                for h in shown
            ]
            lines.append("  root mean squared error, held out: " + ", ".join(errors) + ".")
        return "\n".join(lines)

    def _chosen(self, channel: int) -> Iterator[str]:
        names = {
            "shared": "one readout for all channels", "own": "a readout of its own",
            "crossed": "a readout that reads the other channels too",
        }  # fmt: skip
        for piece in self._pieces:
            if piece.channel == channel:
                plan, steps = self._plans[piece.plan], f"steps {piece.first + 1}–{piece.last}"
                how = f"{len(plan.rows)} numbers of memory ({plan.memory}: {plan.words})"
                yield f"{steps}: {how}, level: {plan.level_name}, {names[piece.sharing]}, penalty {piece.penalty:.0e}."

    def save(self, path: Path | str) -> Path:
        """Write the forecaster to one file (safetensors: numbers, with JSON beside them), atomically.

        What is loaded forecasts; sums over the training windows are not kept, so it cannot `update`.

        Args:
            path: the file.

        Returns:
            The path.

        Raises:
            InputError: not fitted.
            DataError: it cannot be written; what lay there before is as it was.
        """
        self._check_fitted()
        return save_forecaster(self, path)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The forecaster.

        Raises:
            DataError: a file that is missing, damaged or something else.
        """
        return load_forecaster(cls, path)

    def _read(self, series: ArrayLike, name: str = "series") -> Array:
        array = np.asarray(series)
        if array.ndim not in (1, 2) or array.dtype.kind not in "biuf" or 0 in array.shape:
            got = f"{array.shape} {array.dtype}"
            reject(name, expected="real numbers (steps,) or (steps, channels)", got=got, fix="put channels last")
        if np.isinf(array).any():
            reject(name, expected="finite numbers, or NaN where missing", got="infinite ones", fix="make them NaN")
        array = array.reshape(len(array), -1).astype(np.float64)
        if self._pieces and array.shape[1] != len(self.std):
            fix = "give the channels it was fitted to, in their order"
            reject(name, expected=f"{len(self.std)} channel(s)", got=array.shape[1], fix=fix)
        return array

    def _begin(self, series: ArrayLike) -> Array:
        """Return the series in units of its own, and set up the candidates."""
        self._pieces, self._gathered, self.n_windows, self._offset = [], {}, 0, 0
        values = self._read(series)
        self._flat = np.ndim(series) == 1
        least = self.lookback + self.horizon
        if len(values) < least:
            fix = "give more, or ask for fewer"
            self._too_short("series", f"{least} (lookback {self.lookback} + horizon {self.horizon})", len(values), fix)
        for channel, column in enumerate(values.T):
            measured = column[~np.isnan(column)]
            if not len(measured) or measured.min() == measured.max():
                got = "none" if not len(measured) else f"{measured[0]:g} throughout"
                fix = "leave the channel out"
                reject(f"series, channel {channel}", expected="at least two different values", got=got, fix=fix)
        self.mean, self.std = np.nanmean(values, 0), np.nanstd(values, 0)
        values = self._scaled(values)
        lags = np.arange(self.lookback)[::-1]  # of a window's steps
        self._coarse = np.stack([np.exp(-lags / t) for t in np.geomspace(0.2, self.lookback, _COARSE)])
        self._coarse /= self._coarse.sum(1, keepdims=True)
        self._plans = [
            Plan.of(memory, words, rows, level)
            for memory in self.memories
            for rows, words in [memory_rows(memory, self.d_state, lags, values)]
            for level in self.levels
        ]
        return values

    def _search(self, values: Array, learnt: Array, on: Array, held: Array) -> dict[tuple[int, int, int], _Choice]:
        """Return the best candidate for each channel and band; sums stay in ``_gathered``."""
        edges = [round(share * self.horizon) for share in _BANDS]
        bands = [band for band in itertools.pairwise(edges) if band[0] < band[1]]
        best: dict[tuple[int, int, int], _Choice] = {}
        self.error = np.full((self.horizon, values.shape[1]), np.nan)
        self.baseline, count = np.zeros_like(self.error), np.zeros(values.shape[1])
        for block in self._blocks(on, held):
            windows, targets = block
            self.baseline += np.nansum((targets - windows[..., -1:]) ** 2, 0).T
            count += np.isfinite(targets[..., 0]).sum(0)
        if not np.all(count):
            what = f"held-out windows, channel {int(np.argmin(count))}"
            reject(what, expected="some without missing targets", got="none", fix="pass a validation series")
        self.baseline = np.sqrt(self.baseline / count) * self.std
        for plan in range(len(self._plans)):
            solved: list[tuple[Sharing, float, list[tuple[Array, Array]]]] = []
            for kind in {_summed(sharing) for sharing in self.channels}:
                self._gathered[plan, kind] = self._gather((plan, kind), None, values, learnt)
            for sharing in self.channels:
                found = self._readouts(plan, sharing, self.penalties)
                solved += [(sharing, penalty, each) for penalty, each in zip(self.penalties, found, strict=True)]
            squares = np.zeros((len(solved), values.shape[1], self.horizon))
            for windows, targets in self._blocks(on, held):
                for channel, kind in itertools.product(range(values.shape[1]), {_summed(s) for s in self.channels}):
                    x, level = self._features(plan, kind, windows, channel)
                    for k in (k for k, candidate in enumerate(solved) if _summed(candidate[0]) == kind):
                        readouts = solved[k][2]
                        wrong = x @ readouts[channel][0] + readouts[channel][1] + level - targets[:, channel]
                        squares[k, channel] += np.nansum(wrong**2, 0)
            for channel, (first, last) in itertools.product(range(values.shape[1]), bands):
                scores, key = squares[:, channel, first:last].sum(1), (channel, first, last)
                least = int(scores.argmin())
                if key not in best or scores[least] < best[key].score:
                    best[key] = _Choice(plan, solved[least][0], solved[least][1], float(scores[least]))
                    spread = np.sqrt(squares[least, channel, first:last] / count[channel])
                    self.error[first:last, channel] = spread * self.std[channel]
            alive = {choice.plan for choice in best.values()}
            self._gathered = {key: sums for key, sums in self._gathered.items() if key[0] in alive}
        return best

    def _gather(
        self, key: tuple[int, Sharing], sums: list[WindowSums] | None, values: Array, starts: Array
    ) -> list[WindowSums]:
        """Add windows to the sums of every channel, new ones if none are given."""
        plan, sharing = key
        if sums is None:
            width = len(self._plans[plan].rows) + (sharing == "crossed") * _COARSE * (values.shape[1] - 1)
            sums = [WindowSums(width, self.horizon) for _ in range(values.shape[1])]
        for block, (windows, targets) in zip(self._cuts(starts), self._blocks(values, starts), strict=True):
            for channel, channel_sums in enumerate(sums):
                whole = np.isfinite(targets[:, channel, 0])
                x, level = self._features(plan, sharing, windows[whole], channel)
                numbers = self._offset + block[whole] + (channel << 40)
                channel_sums.add(x, targets[whole, channel] - level, numbers)
        for channel, channel_sums in enumerate(sums):
            if channel_sums.n_samples < 2:
                fix = "fill gaps, or shorten horizon"
                reject(f"series, channel {channel}", expected="two windows without gaps", got="none", fix=fix)
        return sums

    def _readouts(self, plan: int, sharing: Sharing, penalties: Sequence[float]) -> list[list[tuple[Array, Array]]]:
        """Return weights and intercept of every channel, for each penalty."""
        sums = self._gathered[plan, _summed(sharing)]
        if sharing == "shared":
            merged = WindowSums(sums[0].n_features, self.horizon)
            for each in sums:
                merged.merge(each)
            one = merged.readouts(penalties)
            return [[readout] * len(sums) for readout in one]
        return [list(found) for found in zip(*(each.readouts(penalties) for each in sums), strict=True)]

    def _solve(self) -> None:
        self._pieces = []
        wanted: dict[tuple[int, Sharing], list[tuple[tuple[int, int, int], float]]] = {}
        for key, choice in self._choices.items():
            wanted.setdefault((choice.plan, choice.sharing), []).append((key, choice.penalty))
        for (plan, sharing), entries in wanted.items():
            penalties = sorted({penalty for _, penalty in entries})
            solved = dict(zip(penalties, self._readouts(plan, sharing, penalties), strict=True))
            for (channel, first, last), penalty in entries:
                W, b = (part[..., first:last].copy() for part in solved[penalty][channel])
                self._pieces.append(Piece(plan, sharing, channel, first, last, penalty, W, b))
        self._pieces.sort(key=lambda piece: (piece.channel, piece.first))
        self.n_windows = sum(each.n_samples for each in next(iter(self._gathered.values())))

    def _features(self, plan: int, sharing: Sharing, windows: Array, channel: int) -> tuple[Array, Array]:
        """Return (n, n_features) of one channel and (n, 1) its level."""
        chosen, own = self._plans[plan], windows[:, channel]
        x, level = own @ chosen.rows.T, (own @ chosen.level)[:, None]
        if sharing == "crossed":
            others = np.delete(windows, channel, 1) @ self._coarse.T
            x = np.concatenate([x, others.reshape(len(x), -1)], 1)
        return x, level

    def _forecast(self, windows: Float64[Array, "n channels lookback"]) -> Float64[Array, "n channels horizon"]:
        found = np.empty((*windows.shape[:2], self.horizon))
        for (channel, plan, sharing), pieces in itertools.groupby(sorted(self._pieces, key=_source), key=_source):
            x, level = self._features(plan, sharing, windows, channel)
            for piece in pieces:
                found[:, channel, piece.first : piece.last] = x @ piece.weights + piece.intercept + level
        return found

    def _errors(self, block: tuple[Array, Array]) -> Array:
        windows, targets = block
        return targets - self._forecast(windows)

    def _cuts(self, starts: Array) -> list[Array]:
        size = max(1, _BLOCK // (len(self.std) * (self.lookback + self.horizon)))
        return [starts[k : k + size] for k in range(0, len(starts), size)]

    def _blocks(self, values: Array, starts: Array) -> Iterator[tuple[Array, Array]]:
        """Yield filled windows (n, channels, lookback), and targets (n, channels, horizon), NaN if any is missing."""
        bridged, L = filled(values), self.lookback
        for block in self._cuts(starts):
            windows = sliding_window_view(bridged, L, axis=0)[block]
            targets = sliding_window_view(values[L:], self.horizon, axis=0)[block]
            lost = np.isnan(targets).any(-1) | np.isnan(values[block + L - 1])
            yield windows, np.where(lost[..., None], np.nan, targets)

    def _keep(self, values: Array) -> int:
        """Keep the last steps, which the next window to learn begins in, and return how many."""
        self._history = values[-(self.lookback + self.horizon - 1) :].copy()
        self._offset += len(values) - len(self._history)
        return len(self._history)

    def _scaled(self, values: Array) -> Array:
        return (values - self.mean) / self.std

    def _shaped(self, values: Array) -> Array:
        return values[:, 0] if self._flat else values

    def _check_fitted(self) -> None:
        if not self._pieces:
            reject("forecaster", expected="one that is fitted", got="one that is not", fix="call fit first")

    def _check_horizon(self, horizon: int | None) -> int:
        self._check_fitted()
        horizon = self.horizon if horizon is None else horizon
        if not (isinstance(horizon, int) and 1 <= horizon <= self.horizon):
            fix = "fit a forecaster with a longer horizon"
            reject("horizon", expected=f"1..{self.horizon} steps, as trained", got=horizon, fix=fix)
        return horizon

    @staticmethod
    def _too_short(what: str, least: str, got: int, fix: str) -> None:
        reject(what, expected=f"at least {least} steps", got=got, fix=fix)


@dataclass(frozen=True)
class _Choice:
    plan: int
    sharing: Sharing
    penalty: float
    score: float


def _summed(sharing: Sharing) -> Sharing:
    """Return under which name the sums lie: a shared readout is made of the channels' own."""
    return "crossed" if sharing == "crossed" else "own"


def _source(piece: Piece) -> tuple[int, int, Sharing]:
    return piece.channel, piece.plan, piece.sharing
