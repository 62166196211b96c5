"""A closed form on a disk: numbers as safetensors, the rest as JSON, and no pickle."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssmemory.errors import DataError, reject
from ssmemory.files import write_json
from ssmemory.fit._arrays import UNREADABLE, read_arrays, reason, write_arrays
from ssmemory.fit._closed_form import ClosedForm, Tried
from ssmemory.fit._sequences import Scaling
from ssmemory.fit.contrasts import FrozenContrasts
from ssmemory.fit.features import FrozenFeatures
from ssmemory.fit.ridge import LinearReadout, RidgeSums

Array = NDArray[Any]
_NAME = "estimator.json"
_PARTS = ("weights", "intercept", "tried")  # arrays of a readout
_NUMBERS = ("penalty", "error", "variance", "n_samples", "n_scored")


def save_form(folder: Path | str, form: ClosedForm, about: dict[str, Any]) -> Path:
    """Write a form and words about it into a folder; until the end what lay there before is as it was."""
    folder, token = Path(folder), uuid.uuid4().hex[:8]
    arrays = {f"features.{name}": _real(value) for name, value in form.features.state_dict().items()}
    if form.contrasts is not None:
        arrays["contrasts.W"] = _real(form.contrasts.W)
    arrays |= {"mean": form.scaling.mean, "scale": form.scaling.scale}
    record = about | {
        "arrays": f"arrays-{token}.safetensors", "sums": f"sums-{token}.safetensors",
        "standardise": form.scaling.standardise, "marks": form.scaling.marks, "sizes": form.sizes,
        "batch_size": form.batch_size, "lengths": form.lengths, "tried": form.tried, "n_compared": form.n_compared,
        "seen": form.seen, "solved": None, "contrasts": None if form.contrasts is None else form.contrasts.sizes,
    }  # fmt: skip
    if form.solved is not None:
        given, readout = form.solved
        arrays |= {f"readout.{name}": np.ascontiguousarray(getattr(readout, name)) for name in _PARTS}
        record["solved"] = {"given": None if given is None else float(given)}
        record["solved"] |= {name: getattr(readout, name) for name in _NUMBERS}
    before = _record(folder) if (folder / _NAME).is_file() else {}
    write_arrays(folder / record["arrays"], arrays)
    form.sums.save(folder / record["sums"])
    write_json(folder / _NAME, record)
    for name in ("arrays", "sums"):
        if name in before:
            (folder / Path(before[name]).name).unlink(missing_ok=True)
    return folder


def load_form(folder: Path | str, kind: str) -> tuple[ClosedForm, dict[str, Any]]:
    """Return the form in a folder, and the words about it, of an estimator of this kind."""
    folder = Path(folder)
    record = _record(folder)
    if record.get("kind") != kind:
        got = f"a {record.get('kind')}"
        reject(str(folder), expected=f"a {kind}", got=got, fix="load it by its own class", error=DataError)
    try:
        arrays, _ = read_arrays(folder / Path(record["arrays"]).name)
        features = FrozenFeatures(**record["sizes"])
        state = {name: _like(arrays[f"features.{name}"], old) for name, old in features.state_dict().items()}
        features.load_state_dict(state)
        features.calibrated = True
        scaling = Scaling(record["standardise"], arrays["mean"], arrays["scale"], record["marks"])
        sums = RidgeSums.load(folder / Path(record["sums"]).name)
        tried = [Tried(way, kind, int(parts), int(n), float(error)) for way, kind, parts, n, error in record["tried"]]
        shortest, median, longest = record["lengths"]
        form = ClosedForm(
            scaling, features, record["sizes"], sums, record["batch_size"], (shortest, median, longest), tried,
            record["n_compared"], record["seen"],
        )  # fmt: skip
        if record["contrasts"] is not None:
            form.contrasts = FrozenContrasts(**record["contrasts"])
            form.contrasts.load_state_dict({"W": torch.from_numpy(arrays["contrasts.W"])})
            form.contrasts.calibrated = True
        if record["solved"] is not None:
            parts: dict[str, Any] = {name: arrays[f"readout.{name}"] for name in _PARTS}
            numbers = {name: record["solved"][name] for name in _NUMBERS}
            form.solved = record["solved"]["given"], LinearReadout(**parts, **numbers)
    except DataError:
        raise
    except (*UNREADABLE, RuntimeError) as error:
        expected = "an estimator that save wrote"
        reject(str(folder), expected=expected, got=reason(error), fix="fit it anew", error=DataError)
    return form, record


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        got = str(error).partition("\n")[0][:120]
        reject(str(folder), expected=f"a folder with {_NAME}", got=got, fix="name that of save", error=DataError)
    return record if isinstance(record, dict) else {}


def _real(value: torch.Tensor) -> Array:
    return (torch.view_as_real(value) if value.is_complex() else value).contiguous().numpy()


def _like(array: Array, old: torch.Tensor) -> torch.Tensor:
    value = torch.from_numpy(array)
    return torch.view_as_complex(value) if old.is_complex() else value
