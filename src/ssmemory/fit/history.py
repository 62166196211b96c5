"""The record of a run, written anew after every epoch, so that a kill loses at most the epoch under way."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ssmemory.files import write_text
from ssmemory.fit.batches import epoch_seed
from ssmemory.fit.layer_memory import layer_memory


class History(Callback):
    """Collect one row an epoch: losses, accuracies, seconds, and the memory of every layer; write ``metrics.csv``.

    The rows travel in the checkpoint, so that a resumed run continues them. The row of epoch 0 is the state before
    training.

    Args:
        path: where to write the table.
        length: steps of the sequences, for the memory.
        seed: reseeds torch at the start of every epoch, so that dropout too repeats after a resume.
    """

    def __init__(self, path: Path, length: int, seed: int) -> None:
        self.path, self.length, self.seed = path, length, seed
        self.rows: list[dict[str, float]] = []
        self._began = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the checkpoint."""
        self.rows = state_dict["rows"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the memory before training."""
        if not self.rows:
            self.rows.append({"epoch": 0} | self._memory(pl_module))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reseed, and start the clock."""
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch) + 1)
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row of the epoch and write the table."""
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1}
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.rows.append(row | self._memory(pl_module))
        self.write()

    def write(self) -> None:
        """Write the table atomically."""
        names = list(dict.fromkeys(name for row in reversed(self.rows) for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    def _memory(self, module: LightningModule) -> dict[str, float]:
        row = {}
        for record in layer_memory(cast("nn.Module", module.model), self.length):
            row[f"{record.layer}/reach"] = record.reach
            row[f"{record.layer}/first_input"] = record.first_input
        return row
