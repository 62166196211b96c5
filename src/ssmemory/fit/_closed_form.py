"""Frozen features with a readout in closed form, of sequences of any length: gathered and solved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from tqdm import tqdm

from ssmemory.errors import reject
from ssmemory.fit._sequences import Scaling, Sequences, Standardise
from ssmemory.fit.contrasts import FrozenContrasts
from ssmemory.fit.features import FrozenFeatures, Nonlinearity
from ssmemory.fit.ridge import LinearReadout, RidgeSums

Array = NDArray[Any]
_PAIRED = 2**24  # numbers in the sequences that make contrasts, about
_WIDE = 4096  # numbers that a contrast reads, at most
_CALIBRATED = 2**17  # steps that set thresholds, about
_AT_ONCE = 2**17  # steps that are computed at once, at most
_OFF = 1e-4  # standard deviations


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

    def contrasted(
        self, sequences: Sequences, targets: Array, places: Array, n_contrasts: int, seed: int
    ) -> ClosedForm:
        """Return the same with so many contrasts, made of pairs of the sequences at these places; nothing gathered."""
        longest, width = int(sequences.lengths[places].max()), self.scaling.d_input
        most = max(64, min(2 * n_contrasts, _PAIRED // (longest * width)))
        order = places[np.random.default_rng(seed).permutation(len(places))[:most]]
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


def _padded(length: int) -> int:
    """Return a length rounded up by an eighth at most, so that few shapes occur."""
    step = 1 << max(0, length.bit_length() - 4)
    return -(-length // step) * step


def _share(form: ClosedForm, threads: int, sequences: Sequences, targets: Array, first: int) -> RidgeSums:
    torch.set_num_threads(threads)
    return form._add(form.sums, sequences, targets, first, lambda n: None)
