"""Which network learns which images, in which ways and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssmemory.errors import reject
from ssmemory.fit import FreezeMode

CLOSED, KEPT, DECODER, FIXED, ALL = (
    "closed form", "decoder, features kept", "decoder", "all but the recurrence", "everything",
)  # fmt: skip
FROZEN: dict[str, FreezeMode] = {
    CLOSED: "all-but-readout", KEPT: "all-but-readout", DECODER: "all-but-readout", FIXED: "recurrence", ALL: "none",
}  # fmt: skip
WAYS = tuple(FROZEN)


@dataclass(frozen=True)
class Config:
    """One network, the same initial weights in every way, over some seeds.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        side: pixels a side after averaging, so that sequences have side² steps.
        n_train: training images, the first ones of the set's training part.
        n_validation: images after those, on which learning rates are chosen.
        n_test: images of the test part.
        seeds: seeds of the initial values and of the order of the batches.
        d_model: channels between the blocks, and features that the decoder reads.
        d_state: full real state size of every channel.
        n_layers: blocks.
        dt_min: smallest initial step.
        dt_max: largest initial step.
        pooling: the decoder reads the "mean" over the steps, or the "last" one.
        epochs: passes over the training images of the ways that train the network.
        decoder_epochs: of the decoder alone, the rest of the network computed anew at every step.
        kept_epochs: of the decoder on features that were computed once, and standardised.
        batch_size: images in a batch.
        lrs: learning rates tried for the network; recurrences learn at a quarter of it.
        decoder_lrs: learning rates tried for a decoder alone.
        weight_decay: decay of ordinary weight matrices.
        shares: shares of the training images that the closed form is fitted on, the last one 1.
        ladder: accuracies whose seconds are told.
        margin: how far below the closed form's test accuracy the main target lies, for every seed.
        tuning_seed: seed of the runs that choose learning rates, not one of the seeds.
    """

    data: str = "mnist"
    side: int = 14
    n_train: int = 3000
    n_validation: int = 1000
    n_test: int = 2000
    seeds: tuple[int, ...] = (0, 1, 2)
    d_model: int = 64
    d_state: int = 16
    n_layers: int = 1
    dt_min: float = 0.01
    dt_max: float = 0.1
    pooling: Literal["mean", "last"] = "mean"
    epochs: int = 10
    decoder_epochs: int = 24
    kept_epochs: int = 100
    batch_size: int = 50
    lrs: tuple[float, ...] = (0.03, 0.06, 0.12, 0.24)
    decoder_lrs: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    weight_decay: float = 0.01
    shares: tuple[float, ...] = (0.04, 0.1, 0.3, 1.0)
    ladder: tuple[float, ...] = (0.6, 0.7, 0.8, 0.85, 0.9)
    margin: float = 0.005
    tuning_seed: int = 1000

    def __post_init__(self) -> None:
        if not self.seeds or self.tuning_seed in self.seeds:
            got = f"seeds={self.seeds}, tuning_seed={self.tuning_seed}"
            reject("config", expected="a seed, and another one to tune on", got=got, fix="name different ones")
        if not self.lrs or not self.decoder_lrs:
            got = f"lrs={self.lrs}, decoder_lrs={self.decoder_lrs}"
            reject("config", expected="a learning rate for both", got=got, fix="name some")
        if not self.shares or list(self.shares) != sorted(set(self.shares)) or self.shares[-1] != 1:
            reject("shares", expected="rising shares that end at 1", got=self.shares, fix="1.0 alone will do")

    def rates(self, way: str) -> tuple[float, ...]:
        """Return the learning rates that are tried for a way; the closed form has none, told as 0."""
        if way == CLOSED:
            return (0.0,)
        return self.decoder_lrs if FROZEN[way] == "all-but-readout" else self.lrs

    def passes(self, way: str) -> int:
        """Return how many passes over the training images a way may take."""
        return {KEPT: self.kept_epochs, DECODER: self.decoder_epochs}.get(way, self.epochs)


SIZES: dict[str, Config] = {
    "smoke": Config(
        data="digits", side=8, n_train=400, n_validation=100, n_test=200, seeds=(0,), d_model=8, epochs=3,
        decoder_epochs=4, kept_epochs=20, batch_size=25, lrs=(0.03,), decoder_lrs=(0.03, 0.1), ladder=(0.3, 0.6),
        shares=(0.2, 1.0),
    ),
    "cpu": Config(),
    "paper": Config(
        side=28, n_train=55_000, n_validation=5000, n_test=10_000, seeds=(0, 1, 2, 3, 4), d_model=256, n_layers=2,
        dt_min=0.001, epochs=20, decoder_epochs=60, ladder=(0.6, 0.7, 0.8, 0.9, 0.95, 0.98),
    ),
}  # fmt: skip
