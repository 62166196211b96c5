"""Frozen features with a readout in closed form, of sequences of any length: chosen, gathered, solved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from tqdm import tqdm

from ssmemory.errors import InputError, reject
from ssmemory.fit._sequences import Scaling, Sequences
from ssmemory.fit.features import FrozenFeatures
from ssmemory.fit.ridge import LinearReadout, RidgeSums

Array = NDArray[Any]
SEGMENTS = (1, 4, 16)  # tried
_SAMPLE = 1000  # sequences on which choices are compared
_CALIBRATED = 2**17  # steps that set thresholds, about
_AT_ONCE = 2**17  # steps that are computed at once, at most
_FEATURES = 4096  # at most, where the number of units is left open
_UNITS = (32, 512)  # least and most, likewise
_OFF = 1e-4  # standard deviations
_SHORT = 8  # steps: a shorter sequence is not normalised on its own unless asked to


@dataclass(eq=False)
class ClosedForm:
    """Scaling, features and ridge sums that belong together, and how they were chosen."""

    scaling: Scaling
    features: FrozenFeatures
    sizes: dict[str, Any]  # of the features, as their constructor takes them
    sums: RidgeSums
    batch_size: int
    lengths: tuple[int, float, int] = (1, 1.0, 1)  # shortest, median, longest that were calibrated on
    tried: list[tuple[bool, int, float]] = field(default_factory=list)  # per sequence, segments, leave-one-out error
    n_compared: int = 0  # sequences that they were compared on
    seen: int = 0  # sequences ever added
    solved: tuple[float | None, LinearReadout] | None = None

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
                yield chosen, self.features(*self._block(sequences, chosen, size, int(length))).numpy()[: len(chosen)]

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

    def gather(self, sequences: Sequences, targets: Array, n_jobs: int | None = None, progress: bool = False) -> None:
        """Add the features and targets of the sequences to the sums."""
        shares, n = min(effective_n_jobs(n_jobs), len(sequences)), len(sequences)
        with tqdm(total=n, desc="sequences", unit="seq", file=sys.stderr, mininterval=1, disable=not progress) as bar:
            if shares == 1:
                self._add(self.sums, sequences, targets, self.seen, bar.update)
            else:
                threads = max(1, torch.get_num_threads() // shares)
                empty = RidgeSums(self.sums.n_features, self.sums.n_outputs, seed=self.sums.seed)
                light = replace(self, sums=empty, solved=None)
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

    What is "auto" is tried on at most 1,000 sequences, and the lowest leave-one-out error wins.
    """
    _check(params)
    generator = np.random.default_rng(seed)
    some = sequences
    if len(sequences) > _SAMPLE:
        chosen = np.sort(generator.permutation(len(sequences))[:_SAMPLE])
        some, wanted = sequences.take(chosen), targets[chosen]
    else:
        wanted = targets
    candidates = _candidates(params, int(sequences.lengths.min()))
    if len(sequences) < 2 and len(candidates) > 1:
        fix = "give more, or choose segments and standardise yourself"
        reject("X", expected="at least 2 sequences to choose on", got="1 sample", fix=fix)
    forms, errors, refused = [], [], None
    for per_sequence, segments in candidates:
        forms.append(_made(params, per_sequence, segments, some, len(sequences), targets.shape[1], seed))
        forms[-1].calibrate(some, np.random.default_rng(seed))
        if len(candidates) == 1:
            errors.append(np.nan)
            break
        forms[-1].gather(some, wanted)
        try:
            errors.append(forms[-1].readout(params["penalty"]).error)
        except InputError as error:  # constant features
            refused = error
            errors.append(np.inf)
    if refused is not None and np.isinf(errors).all():
        raise refused
    best = forms[int(np.argmin(errors))] if len(forms) > 1 else forms[0]
    lengths = sequences.lengths
    best.lengths = int(lengths.min()), float(np.median(lengths)), int(lengths.max())
    if len(forms) > 1:
        best.tried = [(*pair, float(e)) for pair, e in zip(candidates, errors, strict=True) if np.isfinite(e)]
        best.n_compared = len(some)
        if len(some) < len(sequences):
            best.sums = RidgeSums(best.features.n_features, targets.shape[1], seed=seed)
            best.seen, best.solved = 0, None
    return best


def _check(params: dict[str, Any]) -> None:
    """Refuse parameters of the wrong kind; sizes out of range are refused where they are used."""
    if params["standardise"] not in (True, False, "auto"):
        got = repr(params["standardise"])
        reject("standardise", expected="True, False or 'auto'", got=got, fix="give one of these")
    for name in ("n_units", "d_state", "n_layers", "segments"):
        value, open_ = params[name], name in ("n_units", "segments")
        if not (isinstance(value, Integral) and int(value) >= 1) and not (open_ and value == "auto"):
            expected = "a whole number of at least 1" + (" or 'auto'" if open_ else "")
            reject(name, expected=expected, got=repr(value), fix="leave it out for the default")
    if not isinstance(params["longest"], Real) and params["longest"] != "auto":
        got = repr(params["longest"])
        reject("longest", expected="a number of steps or 'auto'", got=got, fix="leave it out for the default")


def _candidates(params: dict[str, Any], shortest: int) -> list[tuple[bool, int]]:
    segments, standardise = params["segments"], params["standardise"]
    parts = [s for s in SEGMENTS if s <= shortest] if segments == "auto" else [int(segments)]
    automatic = [False, True] if shortest >= _SHORT else [False]
    ways = automatic if standardise == "auto" else [bool(standardise)]
    return [(way, part) for way in ways for part in parts]


def _made(
    params: dict[str, Any], per_sequence: bool, segments: int, some: Sequences, n: int, n_outputs: int, seed: int
) -> ClosedForm:
    scaling = Scaling.of(some, per_sequence)
    units, longest = params["n_units"], params["longest"]
    if units == "auto":
        least, most = _UNITS
        units = max(1, min(most, max(least, 4 * n), _FEATURES // (2 * segments * params["n_layers"])))
    if longest == "auto":
        longest = max(2.0, float(np.median(some.lengths)) / 2)
    sizes: dict[str, Any] = {
        "d_input": scaling.d_input, "n_units": int(units), "d_state": int(params["d_state"]), "longest": float(longest),
        "segments": segments, "n_layers": int(params["n_layers"]), "seed": seed,
    }  # fmt: skip
    features = FrozenFeatures(**sizes)
    return ClosedForm(
        scaling, features, sizes, RidgeSums(features.n_features, n_outputs, seed=seed), int(params["batch_size"])
    )


def _padded(length: int) -> int:
    """Return a length rounded up by an eighth at most, so that few shapes occur."""
    step = 1 << max(0, length.bit_length() - 4)
    return -(-length // step) * step


def _share(form: ClosedForm, threads: int, sequences: Sequences, targets: Array, first: int) -> RidgeSums:
    torch.set_num_threads(threads)
    return form._add(form.sums, sequences, targets, first, lambda n: None)
