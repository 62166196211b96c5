"""Predictions along a running sequence: the state of the frozen memory is kept, not the sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.fit._closed_form import ClosedForm
from ssmemory.ops.pooled_units import read_groups

Array = NDArray[Any]
_State = tuple[
    int, list[tuple[Tensor, Tensor]], Tensor | None
]  # steps; modes and sums of every layer; contrasts' modes


class Stream:
    """A running sequence; made by ``stream`` of an estimator.

    After every `step` the prediction is that of ``predict`` on all steps so far, to rounding, at a cost that does not
    grow with their number. Missing values are bridged once the next known one has come, as ``predict`` bridges them;
    until then the steps since are computed again.

    Attributes:
        n_steps: steps so far.
    """

    def __init__(self, form: ClosedForm, penalty: float | None, decide: Callable[[Array], Array]) -> None:
        fix = "fit with segments=1, standardise=False"
        if form.features.segments > 1:
            got = f"{form.features.segments} segments, whose bounds move with the length"
            reject("stream", expected="one segment", got=got, fix=fix)
        if form.scaling.standardise is not False:
            got = "one that every step changes anew"
            reject("stream", expected="a scale that is the same for all sequences", got=got, fix=fix)
        self.n_steps = 0
        self._form, self._readout, self._decide = form, form.readout(penalty), decide
        self._layers: list[Any] = list(form.features.layers)
        whole = None if form.contrasts is None else form.contrasts.begin()
        self._state: _State = 0, [_begin(layer) for layer in self._layers], whole  # after the last step without gaps
        self._since: list[Array] = []  # that step, and those after it
        self._anchored = False

    def step(self, u: ArrayLike) -> Any:
        """Take one more step and return the prediction for all steps so far.

        Args:
            u: (n_channels,) values, or a number if there is one channel; NaN where missing.

        Returns:
            The label or the value; (n_outputs,) values if there are several.

        Raises:
            InputError: another number of channels, infinity, or nothing known yet.
        """
        values, width = np.atleast_1d(np.asarray(u, np.float64)), len(self._form.scaling.mean)
        if values.shape != (width,) or np.isinf(values).any():
            fix = "give one number a channel, NaN where missing"
            reject("u", expected=f"finite values ({width},)", got=f"{values.shape}: {values[:3]}", fix=fix)
        known = np.isfinite([*self._since, values]).any()
        if not known:
            reject("u", expected="at least one known value so far", got="all missing", fix="begin where one is known")
        self._since.append(values)
        self.n_steps += 1
        filled = self._form.scaling(np.stack(self._since, 1))[int(self._anchored) :]
        state, row = self._advanced(torch.from_numpy(filled))
        if not np.isnan(values).any():
            self._state, self._since, self._anchored = state, [values], True
        return self._decide(self._readout(row))[0]

    @torch.no_grad()
    def _advanced(self, h: Tensor) -> tuple[_State, Array]:
        """Return the state after more steps, and the features."""
        steps, layers, row = self._state[0] + len(h), [], []
        h = h[None]
        contrasts, whole = self._form.contrasts, self._state[2]
        if contrasts is not None and whole is not None:
            whole = contrasts.advance(whole, h)
        for layer, (modes, pooled) in zip(self._layers, self._state[1], strict=True):
            x, modes = layer.modes(h, modes)
            y = (read_groups(x, layer.C) - layer.threshold) / layer.scale
            h = y.relu()
            pooled = pooled + ((y > 0) if self._form.features.nonlinearity == "step" else h).sum(1).double()
            layers.append((modes, pooled))
            row.append(pooled / steps)
        if contrasts is not None and whole is not None:
            row.append(contrasts.units(contrasts.state_of(whole)).double())
        return (steps, layers, whole), torch.cat(row, 1).numpy()


def _begin(layer: Any) -> tuple[Tensor, Tensor]:
    modes = torch.zeros(1, len(layer.log_eigenvalues), dtype=torch.complex128)
    return modes, torch.zeros(1, len(layer.threshold), dtype=torch.float64)
