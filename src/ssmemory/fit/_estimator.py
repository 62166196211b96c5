"""What classifier and regressor of sequences share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ssmemory.errors import DataError, reject
from ssmemory.fit._choosing import choose
from ssmemory.fit._closed_form import ClosedForm
from ssmemory.fit._explained import explained
from ssmemory.fit._sequences import Sequences, Standardise, read_sequences
from ssmemory.fit._stored import load_form, save_form
from ssmemory.fit._stream import Stream
from ssmemory.fit.features import Nonlinearity
from ssmemory.fit.ridge import LinearReadout

Array = NDArray[Any]
Auto = Literal["auto"]


class MemoryEstimator(BaseEstimator):
    """A frozen memory and a readout in closed form, without the meaning of the targets."""

    def __init__(
        self, n_units: int | Auto = "auto", d_state: int = 256, n_layers: int = 1, *,
        nonlinearity: Nonlinearity | Auto = "auto", segments: int | Auto = "auto", longest: float | Auto = "auto",
        standardise: Standardise | Auto = "auto", n_contrasts: int | Auto = "auto", penalty: float | None = None,
        batch_size: int = 16, n_jobs: int | None = None, random_state: Any = None, progress: bool = False,
    ) -> None:  # fmt: skip
        self.n_units, self.d_state, self.n_layers = n_units, d_state, n_layers
        self.nonlinearity, self.segments, self.longest = nonlinearity, segments, longest
        self.standardise, self.n_contrasts, self.penalty = standardise, n_contrasts, penalty
        self.batch_size, self.n_jobs, self.random_state, self.progress = batch_size, n_jobs, random_state, progress

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    @property
    def readout_(self) -> LinearReadout:
        """The linear map, with its penalty and leave-one-out error."""
        check_is_fitted(self, "_form")
        form: ClosedForm = self._form
        return form.readout(self.penalty)

    def forget(self, X: Any, y: ArrayLike) -> Self:
        """Take sequences out again, as if only the others had been added; thresholds and choices stay as they are.

        Args:
            X: sequences as they were given, in any order.
            y: their targets.

        Returns:
            Itself.

        Raises:
            InputError: sequences that were not fitted, as far as it can be told; then nothing is changed.
        """
        check_is_fitted(self, "_form")
        sequences = read_sequences(self, X, reset=False)
        self._form.remove(sequences, self._encoded(self._read_targets(y, len(sequences))))
        return self

    def stream(self) -> Stream:
        """Return a running sequence, whose ``step(u_t)`` gives the prediction for all steps so far.

        Returns:
            The stream. It keeps states, not steps, and goes on with the readout of now.

        Raises:
            InputError: more than one segment, or a scale of every sequence of its own: both need the whole sequence.
        """
        check_is_fitted(self, "_form")
        return Stream(self._form, self.penalty, self._decided)

    def explain(self) -> str:
        """Return in plain words what it remembers, how it was chosen, and how well it does on samples left out."""
        check_is_fitted(self, "_form")
        return explained(self._form, self.readout_)

    def save(self, folder: Path | str) -> Path:
        """Write everything to a folder, numbers as safetensors and words as JSON; what lay there is replaced last.

        Args:
            folder: made if need be.

        Returns:
            The folder.

        Raises:
            InputError: labels that JSON cannot hold.
            DataError: it cannot be written.
        """
        check_is_fitted(self, "_form")
        _ = self.readout_
        params = self.get_params()
        if not isinstance(params["random_state"], int | None):
            params["random_state"] = None  # the seed that was drawn from it is kept
        params = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
        about = {
            "kind": type(self).__name__, "params": params, "channels": self.n_channels_,
            "n_features_in": self.n_features_in_, "as_matrix": self.as_matrix_, "targets": self._targets_about(),
            "columns": [*map(str, getattr(self, "feature_names_in_", []))],
        }  # fmt: skip
        return save_form(folder, self._form, about)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Return what `save` wrote; it predicts the same bits, and can go on with ``partial_fit`` and ``forget``.

        Args:
            folder: the folder.

        Returns:
            The estimator.

        Raises:
            DataError: missing, damaged, or an estimator of another class.
        """
        form, about = load_form(folder, cls.__name__)
        try:
            loaded = cls(**about["params"])
            loaded._form, loaded.n_channels_ = form, int(about["channels"])
            loaded.n_features_in_, loaded.as_matrix_ = int(about["n_features_in"]), bool(about["as_matrix"])
            if about["columns"]:
                loaded.feature_names_in_ = np.array(about["columns"], object)
            loaded._set_targets(about["targets"])
        except (KeyError, TypeError, ValueError) as error:
            got = str(error).partition("\n")[0][:120]
            reject(str(folder), expected="an estimator that save wrote", got=got, fix="fit it anew", error=DataError)
        return loaded

    def _begin(self, X: Any) -> Sequences:
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            reject("batch_size", expected="at least 1", got=self.batch_size, fix="16 is the default")
        if self.penalty is not None and not 0 <= self.penalty < np.inf:
            reject("penalty", expected="a number ≥ 0", got=self.penalty, fix="leave it out to have it chosen")
        self.__dict__.pop("_form", None)  # a fit that fails leaves nothing half new
        return read_sequences(self, X, reset=True)

    def _start(self, sequences: Sequences, targets: Array) -> None:
        """Choose and calibrate on these sequences, and gather them."""
        params = self.get_params(deep=False)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        form = choose(params, sequences, targets, seed)
        if not form.sums.n_samples:
            form.gather(sequences, targets, self.n_jobs, self.progress)
        self._form = form

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self, "_form")
        return self._form.outputs(read_sequences(self, X, reset=False), self.penalty)

    def predict(self, X: Any) -> Array:
        """Return a label, or a value, for every sequence.

        Args:
            X: sequences, in any of the forms that were fitted or another one.

        Returns:
            (n,); (n, n_outputs) of a regressor that was fitted to several.

        Raises:
            NotFittedError: before fit.
            InputError: another number of channels, or a sequence with fewer steps than segments.
        """
        return self._decided(self._outputs(X))

    def _read_targets(self, y: Any, n: int) -> Array:
        raise NotImplementedError

    def _encoded(self, y: Array) -> Array:
        raise NotImplementedError

    def _decided(self, outputs: Array) -> Array:
        raise NotImplementedError

    def _targets_about(self) -> Any:
        raise NotImplementedError

    def _set_targets(self, about: Any) -> None:
        raise NotImplementedError


def check_given(estimator: BaseEstimator, y: Any) -> None:
    """Refuse no targets at all."""
    if y is None:
        got = f"none: {type(estimator).__name__} requires y to be passed, but the target y is None"
        reject("y", expected="a target a sequence", got=got, fix="give y")


def check_finite(y: Array) -> None:
    """Refuse NaN and infinity."""
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        got = f"{int((~np.isfinite(y)).sum())} NaN or infinite"
        reject("y", expected="finite numbers", got=got, fix="drop these sequences first")


def as_many(y: Array, n: int) -> Array:
    """Return y, or refuse another number than n."""
    if len(y) != n:
        reject("y", expected=f"as many as sequences, {n}", got=len(y), fix="cut them to match")
    return y
