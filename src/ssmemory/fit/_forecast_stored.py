"""A forecaster on a disk: numbers as safetensors with JSON beside them, and no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ssmemory.errors import DataError, reject
from ssmemory.fit._arrays import UNREADABLE, read_arrays, reason, write_arrays
from ssmemory.fit._forecast_memory import Piece, Plan

if TYPE_CHECKING:
    from ssmemory.fit.forecaster import MemoryForecaster

Kind = TypeVar("Kind", bound="MemoryForecaster")


def save_forecaster(forecaster: MemoryForecaster, path: Path | str) -> Path:
    """Write a fitted forecaster to one file; what lay there before stays until the end."""
    arrays = {name: getattr(forecaster, name) for name in ("mean", "std", "error", "baseline")}
    arrays |= {
        "history": forecaster._history,
        "residuals": forecaster._residuals,
        "coarse": forecaster._coarse,
        "spectrum": forecaster._spectrum,
    }
    for k, plan in enumerate(forecaster._plans):
        if any(piece.plan == k for piece in forecaster._pieces):
            arrays |= {f"plan.{k}.rows": plan.rows, f"plan.{k}.level": plan.level}
    for k, piece in enumerate(forecaster._pieces):
        arrays |= {f"piece.{k}.weights": piece.weights, f"piece.{k}.intercept": piece.intercept}
    names = ("horizon", "lookback", "d_state", "memories", "levels", "channels", "penalties", "stride", "held_out")
    about = {name: getattr(forecaster, name) for name in names}
    state = {
        "n_windows": forecaster.n_windows, "flat": forecaster._flat,
        "plans": [(plan.memory, plan.level_name, plan.words) for plan in forecaster._plans],
        "pieces": [(p.plan, p.sharing, p.channel, p.first, p.last, p.penalty) for p in forecaster._pieces],
    }  # fmt: skip
    return write_arrays(path, arrays, {"arguments": json.dumps(about), "state": json.dumps(state)})


def load_forecaster(kind: type[Kind], path: Path | str) -> Kind:
    """Return the forecaster in a file."""
    try:
        arrays, about = read_arrays(path)
        given, state = json.loads(about["arguments"]), json.loads(about["state"])
        loaded = kind(given.pop("horizon"), given.pop("lookback"), given.pop("d_state"), **given)
        loaded.mean, loaded.std, loaded.error, loaded.baseline = (
            arrays[name] for name in ("mean", "std", "error", "baseline")
        )
        loaded._history, loaded._residuals, loaded._coarse = (
            arrays[name] for name in ("history", "residuals", "coarse")
        )
        loaded._spectrum = arrays["spectrum"]
        loaded.n_windows, loaded._flat = state["n_windows"], state["flat"]
        nothing = np.zeros((0, loaded.lookback))
        loaded._plans = [
            Plan(memory, level, words, *(arrays.get(f"plan.{k}.{part}", nothing) for part in ("rows", "level")))
            for k, (memory, level, words) in enumerate(state["plans"])
        ]
        loaded._pieces = [
            Piece(*(*piece, arrays[f"piece.{k}.weights"], arrays[f"piece.{k}.intercept"]))
            for k, piece in enumerate(state["pieces"])
        ]
    except UNREADABLE as error:
        expected, fix = "a file that MemoryForecaster wrote", "fit and save again"
        reject(str(path), expected=expected, got=reason(error), fix=fix, error=DataError)
    return loaded
