"""Scikit-learn estimators of sequences: a frozen memory, and a readout in closed form."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ssmemory.errors import reject
from ssmemory.fit._estimator import MemoryEstimator, as_many, check_finite, check_given
from ssmemory.fit._sequences import read_sequences

Array = NDArray[Any]


class MemoryClassifier(ClassifierMixin, MemoryEstimator):
    """Classify sequences by what a frozen memory holds of them: nothing is trained but a linear map, in closed form.

    `FrozenFeatures` reads every sequence, and a ridge regression on its features, `RidgeSums`, has one output a class,
    +1 for its own sequences and −1 for others (a single output for two classes). There is no ``predict_proba``: such
    an output is a score, not a probability.

    Sequences are given as scikit-learn and aeon have them, channels *before* steps, unlike the layers of
    `ssmemory.nn`: an array (n, length), (n, channels, length), or a list of arrays (channels, length) or (length,) of
    lengths of their own. After a matrix, matrices have to be as wide; other lengths go into a list.

    NaN is a missing value: linear interpolation in time fills it, at the ends the nearest, and a channel with none
    known in a sequence is set to the channel's mean. Where the data of the first call miss any, one more channel tells
    the share of channels that miss the step; where they miss none, later gaps are filled without.

    Args:
        n_units: units of each layer. "auto": so many that there are 32 features a sequence, but 256 … 4096 in all.
        d_state: state size of each layer, a multiple of 16.
        n_layers: layers, one on top of the other.
        nonlinearity: "step": how often a unit is above its threshold; "relu": how far, on average; "auto" tries both.
        segments: equal parts of a sequence that are pooled apart; "auto" tries 1, 4 and 16, as far as the shortest
            sequence has that many steps.
        longest: longest decay time in steps; "auto": half the median length.
        standardise: True normalises every channel of every sequence by its own mean and standard deviation, which
            drops level and amplitude; False uses those of the channel in the first data, which keeps them; "both"
            gives the units either. "auto" tries all three, for only the data can tell whether a level means
            something; False below 8 steps, too few for a mean.
        n_contrasts: units that compare a whole sequence with two others, `FrozenContrasts`; 0 for none. "auto": none
            below 1,000 sequences; above, two a sequence, at most 4,096, are tried, made of other sequences than those
            that they are tried on.
        penalty: α ≥ 0 of `RidgeSums`; chosen by leave-one-out if left out.
        batch_size: sequences at a time, at most; blocks are always filled up to it, so that no prediction depends on
            what is predicted beside it.
        n_jobs: processes that share the work of a fit, by joblib; changes results by rounding only.
        random_state: seeds modes, units, thresholds and samples.
        progress: show a progress bar.

    Attributes:
        classes_: the labels, sorted.
        n_channels_: channels of the data.
        readout_: the linear map, with its penalty and leave-one-out error.

    Numerics:
        What is "auto" is tried on up to 1,000 sequences, and the lowest leave-one-out error wins. That error is then
        the best of a few, so slightly too good. Features are float32, sums float64.

    Example:
        >>> steps, generator = np.arange(100), np.random.default_rng(0)
        >>> y = np.tile(["slow", "fast"], 20)
        >>> rate = np.where(y == "slow", 0.2, 0.3)[:, None]
        >>> X = np.sin(rate * steps + generator.uniform(0, 6, (40, 1))) + generator.standard_normal((40, 100)) / 2
        >>> float(MemoryClassifier(random_state=0).fit(X[:30], y[:30]).score(X[30:], y[30:]))
        1.0
    """

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit to sequences, in one pass after what is "auto" has been chosen.

        Args:
            X: (n, length), (n, channels, length), or a list of (channels, length) or (length,).
            y: (n,) labels.

        Returns:
            Itself.

        Raises:
            InputError: one class only, NaN, or sizes that do not fit.
            ValueError: what scikit-learn refuses.
        """
        sequences = self._begin(X)
        labels = self._read_targets(y, len(sequences))
        self.classes_ = _classes(labels)
        self._start(sequences, self._encoded(labels))
        _ = self.readout_
        return self

    def partial_fit(self, X: Any, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Add sequences. The first call sets all that is chosen or calibrated, so give it a fair sample.

        Args:
            X: as in `fit`.
            y: their labels.
            classes: all labels that may come, at the first call.

        Returns:
            Itself. After the same first call, the same sequences in other pieces differ by rounding only.

        Raises:
            InputError: no classes at the first call, or labels that are not among them.
        """
        if first := not hasattr(self, "_form"):
            if classes is None:
                reject("classes", expected="all labels at the first call", got="none", fix="give classes=")
            sequences = self._begin(X)
            self.classes_ = _classes(np.asarray(classes))
        else:
            sequences = read_sequences(self, X, reset=False)
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                got = str(np.unique(classes).tolist())[:80]
                reject("classes", expected=str(self.classes_.tolist())[:80], got=got, fix="give the same ones")
        targets = self._encoded(self._read_targets(y, len(sequences)))
        if (
            first
            and np.ptp(targets, axis=0).max() == 0
            and "auto" in (self.segments, self.standardise, self.nonlinearity)
        ):
            fix = "shuffle, or choose segments, nonlinearity and standardise yourself"
            reject("y", expected="at least two classes at the first call", got="one class", fix=fix)
        if first:
            self._start(sequences, targets)
        else:
            self._form.gather(sequences, targets, self.n_jobs, self.progress)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the score of every class, about −1 … 1.

        Args:
            X: as in `fit`.

        Returns:
            (n, n_classes); (n,) for two classes, positive for the second.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def _read_targets(self, y: Any, n: int) -> Array:
        check_given(self, y)
        labels = column_or_1d(y, warn=True)
        check_finite(labels)
        check_classification_targets(labels)
        return as_many(labels, n)

    def _encoded(self, y: Array) -> Array:
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            got, fix = str(unknown.tolist())[:80], "fit anew, or name all classes at the first partial_fit"
            reject("y", expected=f"labels among {str(self.classes_.tolist())[:80]}", got=got, fix=fix)
        own = y[:, None] == (self.classes_[1:] if len(self.classes_) == 2 else self.classes_)
        return np.where(own, 1.0, -1.0)

    def _decided(self, outputs: Array) -> Array:
        two = len(self.classes_) == 2
        return self.classes_[(outputs[:, 0] > 0).astype(int) if two else outputs.argmax(1)]

    def _targets_about(self) -> Any:
        labels = self.classes_.tolist()
        if not all(isinstance(label, str | int | float) for label in labels):
            got = type(labels[0]).__name__
            reject("labels", expected="words or numbers", got=got, fix="name the classes by words")
        return {"labels": labels, "dtype": self.classes_.dtype.str}

    def _set_targets(self, about: Any) -> None:
        self.classes_ = np.array(about["labels"], about["dtype"])


class MemoryRegressor(RegressorMixin, MemoryEstimator):
    """Predict numbers from sequences by what a frozen memory holds of them, with a linear map in closed form.

    Sequences, missing values, parameters and numerics are those of `MemoryClassifier`; the outputs of the ridge
    regression are the targets themselves. Several targets share their penalty, and errors are averaged over them as
    they are: bring them to one scale first.

    Example:
        >>> steps, generator = np.arange(100), np.random.default_rng(0)
        >>> rate = generator.uniform(0.1, 0.4, 60)
        >>> X = np.sin(rate[:, None] * steps + generator.uniform(0, 6, (60, 1)))
        >>> bool(MemoryRegressor(random_state=0).fit(X[:50], rate[:50]).score(X[50:], rate[50:]) > 0.9)
        True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit to sequences, in one pass after what is "auto" has been chosen.

        Args:
            X: (n, length), (n, channels, length), or a list of (channels, length) or (length,).
            y: (n,) or (n, n_outputs) numbers.

        Returns:
            Itself.

        Raises:
            InputError: fewer than two sequences, NaN, or sizes that do not fit.
            ValueError: what scikit-learn refuses.
        """
        sequences = self._begin(X)
        targets = self._read_targets(y, len(sequences))
        if len(sequences) < 2:
            reject("X", expected="at least 2 sequences", got="1 sample", fix="give more")
        self._flat = targets.ndim == 1
        self._start(sequences, self._encoded(targets))
        _ = self.readout_
        return self

    def partial_fit(self, X: Any, y: ArrayLike) -> Self:
        """Add sequences. The first call sets all that is chosen or calibrated, so give it a fair sample.

        Args:
            X: as in `fit`.
            y: their targets.

        Returns:
            Itself. After the same first call, the same sequences in other pieces differ by rounding only.

        Raises:
            InputError: another number of channels or targets.
        """
        if not hasattr(self, "_form"):
            sequences = self._begin(X)
            targets = self._read_targets(y, len(sequences))
            self._flat = targets.ndim == 1
            self._start(sequences, self._encoded(targets))
            return self
        sequences = read_sequences(self, X, reset=False)
        targets = self._encoded(self._read_targets(y, len(sequences)))
        self._form.gather(sequences, targets, self.n_jobs, self.progress)
        return self

    def _read_targets(self, y: Any, n: int) -> Array:
        check_given(self, y)
        check_finite(np.asarray(y))
        return as_many(check_array(y, dtype=np.float64, ensure_2d=False, input_name="y"), n)

    def _encoded(self, y: Array) -> Array:
        y = y[:, None] if y.ndim == 1 else y
        if hasattr(self, "_form") and y.shape[1] != self._form.sums.n_outputs:
            fix = "give those it was fitted to"
            reject("y", expected=f"targets a sequence: {self._form.sums.n_outputs}", got=y.shape[1], fix=fix)
        return y

    def _decided(self, outputs: Array) -> Array:
        return outputs[:, 0] if self._flat else outputs

    def _targets_about(self) -> Any:
        return {"flat": self._flat}

    def _set_targets(self, about: Any) -> None:
        self._flat = bool(about["flat"])


def _classes(labels: Array) -> Array:
    classes = np.unique(labels)
    if len(classes) < 2:
        reject("y", expected="at least two classes", got="one class", fix="give samples of others too")
    return classes
