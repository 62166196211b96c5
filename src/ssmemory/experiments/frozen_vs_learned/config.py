"""What is compared, at which size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssmemory.errors import reject

Size = Literal["smoke", "quick", "cpu", "paper"]


@dataclass(frozen=True)
class Config:
    """One sweep: every dt, with learned and with frozen recurrence, over the same seeds.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        side: pixels a side after averaging, so that sequences have side² steps.
        n_train: training images, the first ones of the set's training part.
        n_validation: images after those, which choose the tuned start.
        n_test: images of the test part, scored once after training.
        dts: steps of the S4D-Lin spectrum, the same in all channels, from long memory to short. Not of the form 2q/p
            with p below d_state: there frequencies alias, and the rank collapses.
        seeds: seeds of the initial values, the order of the batches, and dropout.
        d_model: channels between the blocks.
        d_state: full real state size of every channel.
        n_layers: blocks.
        dropout: share of activations dropped while training.
        epochs: passes over the training images.
        batch_size: images in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B.
        weight_decay: decay of ordinary weight matrices.
        processes: runs trained at a time, each on one core.
    """

    data: str = "mnist"
    side: int = 14
    n_train: int = 3000
    n_validation: int = 1000
    n_test: int = 2000
    dts: tuple[float, ...] = (0.001, 0.01, 0.03, 0.11, 1.37)
    seeds: tuple[int, ...] = (0, 1, 2)
    d_model: int = 32
    d_state: int = 32
    n_layers: int = 2
    dropout: float = 0.0
    epochs: int = 4
    batch_size: int = 50
    lr: float = 4e-3
    ssm_lr: float = 1e-3
    weight_decay: float = 0.01
    processes: int = 2

    def __post_init__(self) -> None:
        if len(set(self.dts)) < 2 or not self.seeds:
            got = f"dts={self.dts}, seeds={self.seeds}"
            reject("config", expected="at least two different dts and one seed", got=got, fix="add some")


SIZES: dict[str, Config] = {
    # a test: seconds
    "smoke": Config(
        data="digits", side=8, n_train=600, n_validation=150, n_test=200, dts=(0.03, 1.37), seeds=(0,), d_model=16,
        d_state=16, epochs=3, batch_size=25, lr=1e-2, processes=1,
    ),
    # a first look: minutes on two cores
    "quick": Config(),
    # the full sequence of 784 pixels: about twenty minutes on two cores
    "cpu": Config(side=28, dts=(0.0003, 0.003, 0.03, 1.37), epochs=5),
    # all images, a model of the size that papers train: a GPU
    "paper": Config(
        side=28, n_train=55000, n_validation=5000, n_test=10000, dts=(0.0001, 0.001, 0.003, 0.01, 0.03, 0.11, 1.37),
        d_model=128, d_state=64, n_layers=4, dropout=0.1, epochs=20, processes=1,
    ),
}  # fmt: skip
