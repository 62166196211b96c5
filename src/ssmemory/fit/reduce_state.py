"""Smaller states while training: after set epochs, every layer is reduced, and the optimiser told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ssmemory.errors import reject
from ssmemory.nn import reduce_model


@dataclass(frozen=True)
class ReduceState:
    """When the layers' states are reduced during training, and how far; see `ssmemory.nn.reduce_model`.

    Attributes:
        epochs: after which epochs, counted from 1; before the last one.
        d_state: the new state size of every S4D and LRU.
        tolerance: in its place, the error allowed each time, as a share of a layer's largest Hankel singular value.

    Raises:
        InputError: no epoch, one below 1, or both or neither of d_state and tolerance.

    Source:
        arXiv 2510.02823.

    Example:
        >>> ReduceState(epochs=(1, 2), tolerance=0.01).epochs
        (1, 2)
    """

    epochs: tuple[int, ...]
    d_state: int | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", tuple(self.epochs))
        if not self.epochs or min(self.epochs) < 1:
            reject("epochs", expected="at least one, counted from 1", got=self.epochs, fix="(1,) is after the first")
        if (self.d_state is None) == (self.tolerance is None):
            got = "neither" if self.d_state is None else "both"
            reject("d_state and tolerance", expected="one of the two", got=got, fix="leave the other one out")


class Reducer(Callback):
    """Do what a `ReduceState` says, after the epoch's row is written and before its checkpoint.

    Args:
        plan: when, and how far.
    """

    def __init__(self, plan: ReduceState) -> None:
        self.plan = plan
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the checkpoint."""
        self.rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reduce every layer, tell the optimisers, and add a row a layer."""
        epoch = trainer.current_epoch + 1
        if epoch not in self.plan.epochs:
            return
        done = reduce_model(cast("nn.Module", pl_module.model), self.plan.d_state, self.plan.tolerance)
        for name, reduction in done.items():
            for optimizer in trainer.optimizers:
                reduction.tell(optimizer)
            largest = reduction.singular_values[..., 0]
            self.rows.append({
                "epoch": epoch, "layer": name, "d_state_before": reduction.before.d_state,
                "d_state": reduction.after.d_state, "bound_share": float((reduction.bound / largest).max()),
            })  # fmt: skip
