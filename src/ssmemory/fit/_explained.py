"""A closed form in plain words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssmemory.fit._closed_form import ClosedForm
from ssmemory.fit._sequences import Standardise
from ssmemory.fit.ridge import LinearReadout

Array = NDArray[Any]


_WAYS: dict[Standardise, str] = {True: "by its own mean and spread", False: "by the data's", "both": "both ways"}


def explained(form: ClosedForm, readout: LinearReadout) -> str:
    """Return some lines on memory, choices, error and weights."""
    shortest, median, longest = form.lengths
    segments, reach = form.sizes["segments"], form.sizes["longest"]
    own = _WAYS[form.scaling.standardise]
    lines = [
        f"Fitted to {readout.n_samples} sequences; those it was calibrated on have {shortest} to {longest} steps, "
        f"median {median:g}, and {len(form.scaling.mean)} channel(s), each scaled {own}"
        + (", and one channel that marks missing values." if form.scaling.marks else "."),
        f"Memory: decay times from 1 to {reach:.4g} steps, the longest {reach / median:.2g} of the median length; "
        f"{form.sizes['n_units']} {form.sizes['nonlinearity']} "
        f"units in each of {form.sizes['n_layers']} layer(s), pooled over {segments} "
        f"segment(s): {form.features.n_features} features.",
    ]
    if form.contrasts is not None:
        lines.append(
            f"Contrasts: {len(form.contrasts.W)}, each between two sequences, by all that {form.contrasts.d_state} "
            f"numbers hold of the last {form.contrasts.window} steps, none of them forgotten."
        )
    if form.tried:
        each = "; ".join(
            f"{part} segment(s), {kind}, scaled {_WAYS[way]}"
            f"{f', {contrasts} contrasts' if contrasts else ''}: {error:.4g}"
            for way, kind, part, contrasts, error in form.tried
        )
        lines.append(f"Chosen by leave-one-out error on {form.n_compared} sequences: {each}.")
    penalties = readout.tried[:, 0]
    how = (
        f"the lowest leave-one-out error of {len(penalties)} tried, {penalties[0]:.1e} to {penalties[-1]:.1e}"
        if len(penalties) > 1
        else "as given"
    )
    lines.append(f"Penalty: {readout.penalty:.2e}, {how}.")
    share = f"{1 - readout.error / readout.variance:.1%}" if readout.variance > 0 else "no share, for there is none,"
    lines.append(
        f"Leave-one-out error: {readout.error:.4g} mean squared, on {readout.n_scored} sequences left out in turn: "
        f"{share} of the variance explained."
    )
    times, weight = decay_times(form, readout)
    if weight.sum() > 0:
        order = np.argsort(weight)[::-1][:3]
        most = ", ".join(f"{times[k]:.3g} steps ({weight[k] / weight.sum():.0%})" for k in order)
        lines.append(f"Decay times that carry most of the squared weight: {most}; features overlap, so a hint only.")
    return "\n".join(lines)


def decay_times(form: ClosedForm, readout: LinearReadout) -> tuple[Array, Array]:
    """Return decay times in steps, and the squared weight of the pooled units of each, at variance 1."""
    pooled = form.features.n_features
    squared = (readout.weights[:pooled] ** 2).sum(1) * form.sums._settle()._rows[:, :pooled].var(0)
    found: list[tuple[Array, Array]] = []
    layers: list[Any] = list(form.features.layers)
    for layer, part in zip(layers, np.split(squared, len(layers)), strict=True):
        times = layer.decay_times.numpy()
        found.append((times, part.reshape(-1, len(times)).sum(0)))
    times, weight = (np.concatenate(column) for column in zip(*found, strict=True))
    each, place = np.unique(times.round(9), return_inverse=True)
    return each, np.bincount(place, weight)
