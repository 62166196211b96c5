"""Frozen features with a readout in closed form, of sequences of any length: chosen, gathered, solved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from tqdm import tqdm

from ssmemory.errors import InputError, reject
from ssmemory.fit._sequences import Scaling, Sequences, Standardise
from ssmemory.fit.contrasts import FrozenContrasts
from ssmemory.fit.features import FrozenFeatures, Nonlinearity
from ssmemory.fit.ridge import LinearReadout, RidgeSums

Array = NDArray[Any]
SEGMENTS = (1, 4, 16)  # tried
_SAMPLE = 1000  # sequences on which choices are compared
_MANY = 1000  # sequences: from here on those that make contrasts are others than those that they are compared on
_CONTRASTS = 2048  # at most, where their number is left open
_PAIRED = 2**24  # steps of the sequences that make contrasts, about
_WIDE = 4096  # numbers that a contrast reads, at most
_CALIBRATED = 2**17  # steps that set thresholds, about
_AT_ONCE = 2**17  # steps that are computed at once, at most
_FEATURES = 4096  # at most, where the number of units is left open
_FEW, _A_SEQUENCE = 256, 32  # features at least, where sequences are few, and for each of them, likewise
_OFF = 1e-4  # standard deviations
_SHORT = 8  # steps: a shorter sequence is not normalised on its own unless asked to


Choice = tuple[Standardise, Nonlinearity, int, int]  # of what a `Tried` has but its error


class Tried(NamedTuple):
    """One of the choices that were compared."""

    standardise: Standardise
    nonlinearity: Nonlinearity
    segments: int
    n_contrasts: int
    error: float  # leave-one-out


@dataclass(eq=False)
class ClosedForm:
    """Scaling, features and ridge sums that belong together, and how they were chosen."""

    scaling: Scaling
    features: FrozenFeatures
    sizes: dict[str, Any]  # of the features, as their constructor takes them
    sums: RidgeSums
    batch_size: int
    lengths: tuple[int, float, int] = (1, 1.0, 1)  # shortest, median, longest that were calibrated on
    tried: list[Tried] = field(default_factory=list)
    n_compared: int = 0  # sequences that they were compared on
    seen: int = 0  # sequences ever added
    solved: tuple[float | None, LinearReadout] | None = None
    contrasts: FrozenContrasts | None = None

    @property
    def n_features(self) -> int:
        """Width of the rows."""
        return self.features.n_features + (0 if self.contrasts is None else len(self.contrasts.W))

    def rows(self, sequences: Sequences) -> Iterator[tuple[Array, Array]]:
        """Yield places of some of the sequences, and their features.

        All blocks of one length have one shape, filled up with nothing, so that the features of a sequence are the
        same numbers whatever comes with it: otherwise it could not be found again among the sums.
        """
        short = np.flatnonzero(sequences.lengths < self.features.segments)
        if len(short):
            k, got = short[0], int(sequences.lengths[short[0]])
            expected = f"at least {self.features.segments} steps, one a segment"
            reject(f"X[{k}]", expected=expected, got=got, fix="drop it, or fit with fewer segments")
        padded = np.array([_padded(int(length)) for length in sequences.lengths])
        for length in np.unique(padded):
            places = np.flatnonzero(padded == length)
            size = max(1, min(self.batch_size, _AT_ONCE // int(length)))
            for start in range(0, len(places), size):
                chosen = places[start : start + size]
                u, lengths = self._block(sequences, chosen, size, int(length))
                found = self.features(u, lengths)
                if self.contrasts is not None:
                    found = torch.cat([found, self.contrasts(u, lengths)], 1)
                yield chosen, found.numpy()[: len(chosen)]

    def _block(self, sequences: Sequences, chosen: Array, size: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        u, lengths = torch.zeros(size, length, self.scaling.d_input), torch.ones(size, dtype=torch.int64)
        for row, place in enumerate(chosen):
            u[row, : sequences.lengths[place]] = torch.from_numpy(self.scaling(sequences.values[place]))
            lengths[row] = int(sequences.lengths[place])
        return u, lengths

    def calibrate(self, sequences: Sequences, generator: np.random.Generator) -> None:
        """Set thresholds on a random part of the sequences."""
        longest = int(sequences.lengths.max())
        order = generator.permutation(len(sequences))[: max(4, _CALIBRATED // longest)]
        self.features.calibrate(*self._block(sequences, order, len(order), longest))
        layers: list[Any] = list(self.features.layers)
        for layer in layers:  # off any value that the data take again and again: rounding would decide its side
            layer.threshold += _OFF * layer.scale

    def contrasted(self, sequences: Sequences, targets: Array, n_contrasts: int, seed: int) -> ClosedForm:
        """Return the same with so many contrasts, made of pairs of these sequences, and with nothing gathered."""
        longest = int(sequences.lengths.max())
        most = max(64, min(2 * n_contrasts, _PAIRED // longest))
        order = np.random.default_rng(seed).permutation(len(sequences))[:most]
        width = self.scaling.d_input
        contrasts = FrozenContrasts(
            width, n_contrasts, window=max(2, longest), d_state=max(2, min(longest, 1024, _WIDE // width) // 2 * 2),
            seed=seed,
        )  # fmt: skip
        u, lengths = self._block(sequences, order, len(order), max(2, longest))
        contrasts.calibrate(u, torch.from_numpy(targets[order]), lengths)
        return replace(self, contrasts=contrasts, solved=None).emptied()

    def emptied(self) -> ClosedForm:
        """Return itself with nothing gathered."""
        self.sums, self.seen, self.solved = self._empty_sums(), 0, None
        return self

    def _empty_sums(self) -> RidgeSums:
        return RidgeSums(self.n_features, self.sums.n_outputs, seed=self.sums.seed)

    def gather(self, sequences: Sequences, targets: Array, n_jobs: int | None = None, progress: bool = False) -> None:
        """Add the features and targets of the sequences to the sums."""
        shares, n = min(effective_n_jobs(n_jobs), len(sequences)), len(sequences)
        with tqdm(total=n, desc="sequences", unit="seq", file=sys.stderr, mininterval=1, disable=not progress) as bar:
            if shares == 1:
                self._add(self.sums, sequences, targets, self.seen, bar.update)
            else:
                threads = max(1, torch.get_num_threads() // shares)
                light = replace(self, sums=self._empty_sums(), solved=None)
                cuts = np.array_split(np.arange(n), shares)
                work = (
                    delayed(_share)(light, threads, sequences.take(cut), targets[cut], self.seen + cut[0])
                    for cut in cuts
                )
                for part, cut in zip(Parallel(n_jobs=shares, return_as="generator")(work), cuts, strict=True):
                    self.sums = self.sums.merge(part) if self.sums.n_samples else part
                    bar.update(len(cut))
        self.seen += n
        self.solved = None

    def _add(
        self, sums: RidgeSums, sequences: Sequences, targets: Array, first: int, tick: Callable[[int], Any]
    ) -> RidgeSums:
        for places, rows in self.rows(sequences):
            sums.add(rows, targets[places], first + places)
            tick(len(places))
        return sums

    def remove(self, sequences: Sequences, targets: Array) -> None:
        """Take them out of the sums again: all of them, or none if one is not there."""
        found, rows = zip(*self.rows(sequences), strict=True)
        self.sums.remove(np.concatenate(rows), targets[np.concatenate(found)])
        self.solved = None

    def readout(self, penalty: float | None) -> LinearReadout:
        """Return the readout of what was gathered, solved once."""
        if self.solved is None or self.solved[0] != penalty:
            self.solved = penalty, self.sums.solve(penalty)
        return self.solved[1]

    def outputs(self, sequences: Sequences, penalty: float | None) -> Array:
        """Return (n, n_outputs) predictions."""
        readout = self.readout(penalty)
        found = np.empty((len(sequences), len(readout.intercept)))
        for places, rows in self.rows(sequences):
            found[places] = readout(rows)
        return found


def choose(params: dict[str, Any], sequences: Sequences, targets: Array, seed: int) -> ClosedForm:
    """Return a calibrated form with empty sums, or with sums of all sequences where these were compared on anyway.

    What is "auto" is tried on at most 1,000 sequences, and the lowest leave-one-out error wins: first how to scale,
    then, beside the best so far, the nonlinearity, the segments, and contrasts. These are made of other sequences, for
    those that made them would judge well of them.
    """
    _check(params)
    trial = _Trial(params, sequences, targets, seed)
    ways, kinds, parts = _open(params, int(sequences.lengths.min()))
    asked, many = params["n_contrasts"], len(sequences) >= _MANY
    also = min(_CONTRASTS, 2 * len(trial.others)) if asked == "auto" and many else 0
    choice = ways[0], kinds[0], parts[0], 0 if asked == "auto" else int(asked)
    if len(ways) == len(kinds) == len(parts) == 1 and not also:
        best = trial.form(*choice)
    else:
        if len(sequences) < 2:
            fix = "give more, or choose segments, nonlinearity and standardise yourself"
            reject("X", expected="at least 2 sequences to choose on", got="1 sample", fix=fix)
        axes: list[list[Any]] = [ways, kinds, parts, [also] if also else []]
        for axis, values in enumerate(axes):
            for value in values:
                trial.compare((*choice[:axis], value, *choice[axis + 1 :]))
            choice = trial.best()
        best = trial.chosen()
    lengths = sequences.lengths
    best.lengths = int(lengths.min()), float(np.median(lengths)), int(lengths.max())
    return best


class _Trial:
    """Choices that are compared on some of the sequences."""

    def __init__(self, params: dict[str, Any], sequences: Sequences, targets: Array, seed: int) -> None:
        self.params, self.seed, self._n = params, seed, len(sequences)
        self.some, self.others = _divided(len(sequences), np.random.default_rng(seed))
        self._compared, self._targets = sequences.take(self.some), targets[self.some]
        self._makers = sequences, targets
        self._errors: dict[Choice, float] = {}
        self._best: ClosedForm | None = None
        self._refused: InputError | None = None

    def form(self, way: Standardise, kind: Nonlinearity, part: int, n_contrasts: int) -> ClosedForm:
        """Return a calibrated form with nothing gathered."""
        form = _made(self.params, way, kind, part, self._compared, self._n, self._targets.shape[1], self.seed)
        form.calibrate(self._compared, np.random.default_rng(self.seed))
        if not n_contrasts:
            return form
        sequences, targets = self._makers
        return form.contrasted(sequences.take(self.others), targets[self.others], n_contrasts, self.seed)

    def compare(self, choice: Choice) -> None:
        """Note its leave-one-out error, and keep the form if none is better."""
        if choice in self._errors:
            return
        form, error = self.form(*choice), np.inf
        form.gather(self._compared, self._targets)
        try:
            error = form.readout(self.params["penalty"]).error
        except InputError as refused:  # constant features
            self._refused = refused
        self._errors[choice] = error
        if choice == self.best():
            self._best = form

    def best(self) -> Choice:
        """Return the choice of the lowest error, the first of equal ones."""
        return min(self._errors, key=lambda choice: self._errors[choice])

    def chosen(self) -> ClosedForm:
        """Return the best form, with what it gathered if that is all there is, or raise why there is none."""
        assert self._best is not None
        tried = [Tried(*choice, error) for choice, error in self._errors.items() if np.isfinite(error)]
        if not tried:
            assert self._refused is not None
            raise self._refused
        self._best.tried, self._best.n_compared = tried, len(self.some)
        return self._best if len(self.some) == self._n else self._best.emptied()


def _divided(n: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Return the places of those that choices are compared on, and of those that make contrasts: all, while few."""
    if n < _MANY:
        return np.arange(n), np.arange(n)
    order, size = generator.permutation(n), min(_SAMPLE, n // 2)
    return np.sort(order[:size]), np.sort(order[size:])


def _check(params: dict[str, Any]) -> None:
    """Refuse parameters of the wrong kind; sizes out of range are refused where they are used."""
    if params["standardise"] not in (True, False, "both", "auto"):
        got = repr(params["standardise"])
        reject("standardise", expected="True, False, 'both' or 'auto'", got=got, fix="give one of these")
    for name in ("n_units", "d_state", "n_layers", "segments", "n_contrasts"):
        value, open_, least = params[name], name in ("n_units", "segments", "n_contrasts"), int(name != "n_contrasts")
        if not (isinstance(value, Integral) and int(value) >= least) and not (open_ and value == "auto"):
            expected = f"a whole number of at least {least}" + (" or 'auto'" if open_ else "")
            reject(name, expected=expected, got=repr(value), fix="leave it out for the default")
    if not isinstance(params["longest"], Real) and params["longest"] != "auto":
        got = repr(params["longest"])
        reject("longest", expected="a number of steps or 'auto'", got=got, fix="leave it out for the default")


def _open(params: dict[str, Any], shortest: int) -> tuple[list[Standardise], list[Nonlinearity], list[int]]:
    """Return the ways to scale, the nonlinearities and the numbers of segments that are to be tried."""
    segments, standardise, nonlinearity = params["segments"], params["standardise"], params["nonlinearity"]
    parts = [s for s in SEGMENTS if s <= shortest] if segments == "auto" else [int(segments)]
    ways: list[Standardise] = [False, True, "both"] if shortest >= _SHORT else [False]
    kinds: list[Nonlinearity] = ["step", "relu"] if nonlinearity == "auto" else [nonlinearity]
    return ways if standardise == "auto" else [standardise], kinds, parts


def _made(
    params: dict[str, Any], standardise: Standardise, nonlinearity: Nonlinearity, segments: int, some: Sequences,
    n: int, n_outputs: int, seed: int,
) -> ClosedForm:  # fmt: skip
    scaling = Scaling.of(some, standardise)
    units, longest = params["n_units"], params["longest"]
    if units == "auto":
        units = max(8, min(_FEATURES, max(_FEW, _A_SEQUENCE * n)) // (segments * params["n_layers"]))
    if longest == "auto":
        longest = max(2.0, float(np.median(some.lengths)) / 2)
    sizes: dict[str, Any] = {
        "d_input": scaling.d_input, "n_units": int(units), "d_state": int(params["d_state"]), "longest": float(longest),
        "segments": segments, "n_layers": int(params["n_layers"]), "nonlinearity": nonlinearity, "seed": seed,
    }  # fmt: skip
    features = FrozenFeatures(**sizes)
    sums = RidgeSums(features.n_features, n_outputs, seed=seed)
    return ClosedForm(scaling, features, sizes, sums, int(params["batch_size"]))


def _padded(length: int) -> int:
    """Return a length rounded up by an eighth at most, so that few shapes occur."""
    step = 1 << max(0, length.bit_length() - 4)
    return -(-length // step) * step


def _share(form: ClosedForm, threads: int, sequences: Sequences, targets: Array, first: int) -> RidgeSums:
    torch.set_num_threads(threads)
    return form._add(form.sums, sequences, targets, first, lambda n: None)
