"""Ridge regression from running sums: one pass, memory that does not grow with the data, a penalty by leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import blas

from ssmemory.errors import DataError, reject
from ssmemory.fit._arrays import UNREADABLE, read_arrays, reason, write_arrays
from ssmemory.fit.leave_one_out import ByRows, BySums

Array = NDArray[Any]
PENALTIES = (1e-8, 1e2)  # searched
_MOST, _NUMBERS = 4096, 2**24  # rows that are kept, and numbers in them
_BLOCK = 2**23  # numbers of features that are summed at once


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """A linear map with an intercept, and how its penalty was chosen; made by `RidgeSums.solve`.

    Attributes:
        weights: (n_features, n_outputs), for features as given, not standardised.
        intercept: (n_outputs,).
        penalty: α, of features of variance 1 and errors averaged over the samples.
        error: mean squared leave-one-out error over samples and outputs.
        variance: what predicting the mean leaves: ``1 − error/variance`` is the share explained.
        n_samples: samples it was made of.
        n_scored: samples left out in turn: all of them while few, a random sample of many.
        tried: (n_tried, 2) penalties looked at and their errors, the smallest penalty first.
    """

    weights: Float64[Array, "n_features n_outputs"]
    intercept: Float64[Array, " n_outputs"]
    penalty: float
    error: float
    variance: float
    n_samples: int
    n_scored: int
    tried: Float64[Array, "n_tried 2"]

    def __call__(self, features: ArrayLike) -> Array:
        """Return (..., n_outputs) predictions.

        Args:
            features: (..., n_features).

        Returns:
            The predictions, in double precision.

        Raises:
            InputError: another number of features.
        """
        values = np.asarray(features)
        if values.shape[-1:] != self.weights.shape[:1]:
            got = values.shape[-1] if values.ndim else "a number"
            reject("features", expected=f"{len(self.weights)} a sample", got=got, fix="give those it was fitted to")
        return np.asarray(values @ self.weights + self.intercept)


class RidgeSums:
    """What a ridge regression needs to know of its data, gathered block by block; two of them can be added.

    With features x and targets y of n samples, both centred, and every feature scaled to variance 1 as z:
    ``W = argmin_W Σ ‖y − Wᵀz‖²/n + α ‖W‖²``. While samples are few their rows are kept, and singular values of Z give
    the leave-one-out error of every α. After that only the sums of z zᵀ, z yᵀ and y yᵀ are, with a random sample of
    rows, on which that error, ``(y_i − ŷ_i)/(1 − h_i)`` with h the leverage, is exact.

    Args:
        n_features: width of the features.
        n_outputs: width of the targets.
        seed: seeds the sample of rows. It depends on the numbers of the samples alone, not on blocks or processes.

    Attributes:
        n_samples: how many were gathered.
        about: words of the caller's own, kept by `save`.

    Raises:
        InputError: a width below 1.

    Numerics:
        Sums are float64 and centred as they grow, so that an offset costs no digits; two ways to cut, order or share
        out the same samples differ by rounding. Time O(n n_features²), memory 8 (n_features + n_outputs)² bytes beside
        rows of at most 2²⁴ features.

    Source:
        Chan, Golub, LeVeque, Am. Stat. 37, 242 (1983) for the sums; Allen, Technometrics 16, 125 (1974) for the error.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> sums = RidgeSums(3, 1).add(x, x @ [[1.0], [2.0], [0.0]] + 5)
        >>> sums.solve().intercept.round(3)
        array([5.])
    """

    def __init__(self, n_features: int, n_outputs: int, *, seed: int = 0) -> None:
        if min(n_features, n_outputs) < 1:
            reject("widths", expected="at least 1", got=f"{n_features}, {n_outputs}", fix="give at least one of each")
        self.n_features, self.n_outputs, self.seed, self.n_samples = n_features, n_outputs, seed, 0
        self.about: dict[str, str] = {}
        self._capacity = max(64, min(_MOST, _NUMBERS // n_features))
        self._rows = np.empty((0, n_features + n_outputs))
        self._numbers = np.empty(0, np.int64)
        self._sums: _Moments | None = None  # as long as all rows are kept
        self._waiting: list[tuple[Array, Array]] = []  # rows and numbers that are not summed yet
        self._n_waiting = 0

    def add(self, features: ArrayLike, targets: ArrayLike, numbers: ArrayLike | None = None) -> Self:
        """Add samples.

        Args:
            features: (n, n_features).
            targets: (n, n_outputs).
            numbers: (n,) whole numbers of the samples, each its own; counted on if left out. Processes that share the
                work give them, so that they agree which rows are kept.

        Returns:
            Itself.

        Raises:
            InputError: NaN, or shapes that do not fit.
        """
        rows = self._read(features, targets)
        given = np.arange(self.n_samples, self.n_samples + len(rows)) if numbers is None else np.asarray(numbers)
        if given.shape != (len(rows),):
            fix = "give one whole number a sample"
            reject("numbers", expected=f"{len(rows)} of them", got=given.shape, fix=fix)
        size = max(1, _BLOCK // rows.shape[1])
        for start in range(0, len(rows), size):
            some = slice(start, start + size)
            self._waiting.append((rows[some], given[some].astype(np.int64)))
            self._n_waiting += len(rows[some])
            self.n_samples += len(rows[some])
            if self._n_waiting >= size:
                self._settle()
        return self

    def _settle(self) -> Self:
        """Sum what waits, a large block at once: small ones would cost a pass over the sums each."""
        if self._waiting:
            rows, numbers = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
            self._waiting, self._n_waiting = [], 0
            self._sum(rows, numbers)
        return self

    def _sum(self, rows: Array, numbers: Array) -> None:
        if self._sums is None and len(self._rows) + len(rows) > self._capacity:
            self._sums = _Moments.of(self._rows)
        if self._sums is not None:
            self._sums.add_rows(rows)
        self._keep(rows, numbers)

    def _keep(self, rows: Array, numbers: Array) -> None:
        """Keep the rows of the smallest keys: a sample without replacement, whatever the order they come in."""
        numbers = np.concatenate([self._numbers, numbers])
        chosen = np.argsort(_keys(numbers, self.seed), kind="stable")[: self._capacity]
        chosen.sort()
        self._rows, self._numbers = np.concatenate([self._rows, rows])[chosen], numbers[chosen]

    def merge(self, other: RidgeSums) -> Self:
        """Add what another has gathered, whose samples must have other numbers.

        Args:
            other: of the same widths and seed; left as it is.

        Returns:
            Itself.

        Raises:
            InputError: other widths or another seed.
        """
        mine, given = (self.n_features, self.n_outputs, self.seed), (other.n_features, other.n_outputs, other.seed)
        if mine != given:
            fix = "make both alike"
            reject("other", expected=f"n_features, n_outputs, seed = {mine}", got=given, fix=fix)
        self._settle()
        other._settle()
        self.n_samples += other.n_samples
        if other._sums is None:
            self._sum(other._rows, other._numbers)
            return self
        if self._sums is None:
            self._sums = _Moments.of(self._rows)
        self._sums.add(other._sums)
        self._keep(other._rows, other._numbers)
        return self

    def remove(self, features: ArrayLike, targets: ArrayLike) -> Self:
        """Take samples out again that were added before.

        Args:
            features: (n, n_features) bit for bit as they were added.
            targets: (n, n_outputs).

        Returns:
            Itself, as if they had never been added, to rounding.

        Raises:
            InputError: samples that are not there, as far as it can be told.
        """
        self._settle()
        rows = self._read(features, targets)
        places: dict[bytes, list[int]] = {}
        for place, row in enumerate(self._rows):
            places.setdefault(row.tobytes(), []).append(place)
        found = [places[key].pop() for key in (row.tobytes() for row in rows) if places.get(key)]
        absent = len(rows) - len(found) if self._sums is None else max(0, len(rows) + 2 - self.n_samples)
        if absent:
            fix = "give features and targets bit for bit as they were added, and leave two samples"
            reject("samples", expected="samples that are there", got=f"{absent} that are not", fix=fix)
        self.n_samples -= len(rows)
        self._rows, self._numbers = np.delete(self._rows, found, 0), np.delete(self._numbers, found)
        if self._sums is not None:
            self._sums.remove(_Moments.of(rows))
        return self

    def solve(self, penalty: float | None = None) -> LinearReadout:
        """Return the readout of what was gathered.

        Args:
            penalty: α ≥ 0; the best of 1e-8 … 1e2 by leave-one-out, to half a decade, if left out.

        Returns:
            The readout. Features that are constant, to rounding, have no weight.

        Raises:
            InputError: fewer than two samples, constant features, or penalty 0 where features depend on each other.
        """
        if self.n_samples < 2:
            reject("samples", expected="at least 2", got=self.n_samples, fix="add data first")
        if penalty is not None and not 0 <= penalty < np.inf:
            reject("penalty", expected="a number ≥ 0", got=penalty, fix="leave it out to have it chosen")
        problem = self._problem()
        errors: dict[float, float] = {}
        if penalty is None:
            low, high = np.log10(PENALTIES)
            exponents = np.arange(low, high + 1, 2.0)
            for step in (1.0, 0.5, 0.0):
                errors |= {float(e): problem.error(10.0**e) for e in exponents if float(e) not in errors}
                best = min(errors, key=lambda e: (errors[e], -e))
                exponents = np.clip([best - step, best + step], low, high)
            penalty, error = float(10.0**best), errors[best]
        else:
            error = problem.error(penalty)
        if not np.isfinite(error):
            fix = "leave the penalty to be chosen, or raise it"
            reject("penalty", expected="features that do not depend on each other", got="a singular matrix", fix=fix)
        tried = np.array([(10.0**e, errors[e]) for e in sorted(errors)] or [(penalty, error)])
        weights, intercept = problem.readout(penalty)
        return LinearReadout(
            weights, intercept, penalty, error, problem.variance, self.n_samples, len(self._rows), tried
        )

    def save(self, path: Path | str) -> Path:
        """Write everything gathered to one file, atomically.

        Args:
            path: the file; safetensors, which holds numbers only.

        Returns:
            The path.

        Raises:
            DataError: it cannot be written, such as on a full disk; a file that lay there before is as it was.
        """
        self._settle()
        arrays = {"rows": self._rows, "numbers": self._numbers}
        if self._sums is not None:
            arrays |= {"mean": self._sums.mean, "scatter": self._sums.scatter}
        about = {name: str(getattr(self, name)) for name in ("n_features", "n_outputs", "seed", "n_samples")}
        return write_arrays(path, arrays, about | {f"about.{name}": words for name, words in self.about.items()})

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The sums.

        Raises:
            DataError: a file that is missing, damaged or something else.
        """
        try:
            arrays, about = read_arrays(path)
            loaded = cls(int(about["n_features"]), int(about["n_outputs"]), seed=int(about["seed"]))
            loaded.n_samples = int(about["n_samples"])
            loaded.about = {key[6:]: words for key, words in about.items() if key.startswith("about.")}
            loaded._rows, loaded._numbers = arrays["rows"], arrays["numbers"]
        except UNREADABLE as error:
            expected = "a file that RidgeSums wrote"
            reject(str(path), expected=expected, got=reason(error), fix="begin anew", error=DataError)
        if "scatter" in arrays:
            loaded._sums = _Moments(loaded.n_samples, arrays["mean"], np.asfortranarray(arrays["scatter"]))
        return loaded

    def _problem(self) -> ByRows | BySums:
        self._settle()
        if self._sums is None:
            return ByRows(self._rows[:, : self.n_features], self._rows[:, self.n_features :])
        return BySums(self._sums.n, self._sums.mean, self._sums.scatter, self._rows, self.n_features)

    def _read(self, features: ArrayLike, targets: ArrayLike) -> Array:
        parts = {}
        for name, value, width in (("features", features, self.n_features), ("targets", targets, self.n_outputs)):
            array = np.asarray(value)
            if array.ndim != 2 or array.shape[1] != width or array.dtype.kind not in "biuf":
                got = f"{array.shape} {array.dtype}"
                reject(name, expected=f"real numbers (n, {width})", got=got, fix="give one row a sample")
            if not np.isfinite(array).all():
                bad = int((~np.isfinite(array)).sum())
                reject(name, expected="finite numbers", got=f"{bad} NaN or infinite", fix="fill or drop them first")
            parts[name] = array
        if len(parts["features"]) != len(parts["targets"]):
            got = f"{len(parts['features'])} and {len(parts['targets'])}"
            reject("targets", expected="as many as features", got=got, fix="cut them to match")
        return np.concatenate([parts["features"], parts["targets"]], 1, dtype=np.float64)


def _keys(numbers: Array, seed: int) -> Array:
    """Return a random number for each number: always the same one (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


@dataclass
class _Moments:
    """Number of rows, their mean, and the lower triangle of ``Σ (v − mean)(v − mean)ᵀ``."""

    n: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, rows: Array) -> Self:
        width = rows.shape[1]
        moments = cls(0, np.zeros(width), np.zeros((width, width), order="F"))
        moments.add_rows(rows)
        return moments

    def add_rows(self, rows: Array) -> None:
        if len(rows):
            mean = rows.mean(0)
            centred = (rows - mean).T  # as Fortran has it, like the scatter, which then is added to in place
            self.scatter = blas.dsyrk(1.0, centred, beta=1.0, c=self.scatter, lower=1, overwrite_c=1)
            self._shift(len(rows), mean)

    def add(self, other: _Moments) -> None:
        self.scatter += other.scatter
        self._shift(other.n, other.mean)

    def _shift(self, n: int, mean: Array) -> None:
        """Account for the mean of n more rows, whose scatter about it is added already."""
        total = self.n + n
        if total:
            difference = mean - self.mean
            self._rank_one(self.n * n / total, difference)
            self.mean, self.n = self.mean + difference * (n / total), total

    def remove(self, other: _Moments) -> None:
        left = self.n - other.n
        mean = self.mean + (self.mean - other.mean) * (other.n / left)
        self.scatter -= other.scatter
        self._rank_one(-left * other.n / self.n, other.mean - mean)
        self.n, self.mean = left, mean

    def _rank_one(self, weight: float, v: Array) -> None:
        self.scatter = blas.dsyr(weight, v, a=self.scatter, lower=1, overwrite_a=1)
