"""Which state sizes are reached in which way."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """One large model a seed, and two smaller ones a size and seed.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        side: pixels a side after averaging, so that sequences have side² steps.
        n_train: training images.
        n_test: images of the test part, scored once.
        large: full real state size that the large model has, and the reduced ones begin with.
        d_states: the smaller sizes, even.
        reduce_after: epochs before the early reduction; the others follow it.
        level: the share of the sum of the Hankel singular values whose number of directions is the predicted size.
        margin: how much less accuracy still counts as kept.
        d_model: channels.
        n_layers: blocks.
        epochs: passes over the training images, of every model.
        batch_size: images in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, gains and B.
        seeds: seeds of the initial values and the order of the batches.
    """

    data: str = "mnist"
    side: int = 7
    n_train: int = 3000
    n_test: int = 2000
    large: int = 32
    d_states: tuple[int, ...] = (4, 12, 24)
    reduce_after: int = 2
    level: float = 0.99
    margin: float = 0.01
    d_model: int = 16
    n_layers: int = 1
    epochs: int = 10
    batch_size: int = 50
    lr: float = 1e-2
    ssm_lr: float = 3e-3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        if not self.d_states or not self.seeds or max(self.d_states) >= self.large:
            got = f"d_states={self.d_states}, large={self.large}, seeds={self.seeds}"
            reject("config", expected="sizes below the large one, and a seed", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(
        data="digits", side=8, n_train=600, n_test=300, large=16, d_states=(4,), reduce_after=1, d_model=8, epochs=4,
        batch_size=25, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(
        side=28, n_train=55000, n_test=10000, large=256, d_states=(8, 16, 32, 64, 128), d_model=128, n_layers=4,
        epochs=50, lr=4e-3, ssm_lr=1e-3, seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
