"""A clock that stands still during evaluations, and the descent that it times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ssmemory.experiments.sweep import Record
from ssmemory.fit.batches import EpochBatches
from ssmemory.nn import param_groups

WARMUP, CLIP, SLOWER = 0.1, 1.0, 4.0  # as in `fit.train`; recurrences learn at a fourth of the rate


class Clock:
    """Wall and process seconds of the work done inside `running`, none of what lies between."""

    def __init__(self) -> None:
        self.wall = self.process = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds of a block."""
        wall, process = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.process += time.process_time() - process

    def point(self, **about: float) -> Record:
        """Return a point of a curve, at the seconds so far."""
        return about | {"wall": round(self.wall, 4), "process": round(self.process, 4)}


def marks(steps: int) -> list[int]:
    """Return at which steps a run is evaluated: twice an octave from the second step on, and at the last."""
    found = {round(2 ** (k / 2)) for k in range(2, math.ceil(2 * math.log2(max(steps, 2))))}
    return sorted({step for step in found if step < steps} | {steps})


def descend(
    model: nn.Module, logits: Callable[[Tensor], Tensor], data: tuple[Tensor, Tensor],
    evaluate: Callable[[], float], *, clock: Clock, lr: float, epochs: int, batch_size: int, weight_decay: float,
    seed: int,
) -> list[Record]:  # fmt: skip
    """Train what is not frozen of a model, as `fit.train` does, and evaluate it within epochs too.

    AdamW with `param_groups`, gradient clipping, linear warm-up and a cosine to zero.

    Args:
        model: holds the parameters.
        logits: from inputs to the outputs of the model.
        data: inputs and classes.
        evaluate: returns the accuracy that is told.
        clock: runs during the steps alone.
        lr: learning rate.
        epochs: passes over the data.
        batch_size: samples in a batch.
        weight_decay: decay of ordinary weight matrices.
        seed: seeds the order of the batches.

    Returns:
        A point an evaluation: "step", "accuracy", "wall", "process".
    """
    u, y = data
    batches = EpochBatches(len(u), batch_size, seed)
    last = epochs * len(batches)
    warm = max(1, round(WARMUP * last))
    optimiser = torch.optim.AdamW(param_groups(model, lr, lr / SLOWER, weight_decay))
    rates = [group["lr"] for group in optimiser.param_groups]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    due, step, points = set(marks(last)), 0, [clock.point(step=0, accuracy=evaluate())]
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for index in batches:
            with clock.running():
                decayed = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, last - warm)))
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * ((step + 1) / warm if step < warm else decayed)
                optimiser.zero_grad()
                nn.functional.cross_entropy(logits(u[index]), y[index]).backward()
                nn.utils.clip_grad_norm_(trained, CLIP)
                optimiser.step()
            step += 1
            if step in due:
                points.append(clock.point(step=step, accuracy=evaluate()))
    return points
