"""What of a closed form is left open, chosen by leave-one-out on some of the sequences."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssmemory.errors import InputError, reject
from ssmemory.fit._closed_form import ClosedForm, Tried
from ssmemory.fit._sequences import Scaling, Sequences, Standardise
from ssmemory.fit.features import FrozenFeatures, Nonlinearity
from ssmemory.fit.ridge import RidgeSums

Array = NDArray[Any]
Choice = tuple[Standardise, Nonlinearity, int, int]  # of what a `Tried` has but its error
SEGMENTS = (1, 4, 16)  # tried
_SAMPLE = 1000  # sequences on which choices are compared
_MANY = 1000  # sequences: from here on those that make contrasts are others than those that they are compared on
_CONTRASTS = 2048  # at most, where their number is left open
_FEATURES = 4096  # at most, where the number of units is left open
_FEW, _A_SEQUENCE = 256, 32  # features at least, where sequences are few, and for each of them, likewise
_SHORT = 8  # steps: a shorter sequence is not normalised on its own unless asked to


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
        return form.contrasted(*self._makers, self.others, n_contrasts, self.seed)

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
