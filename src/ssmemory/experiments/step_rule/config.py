"""Which steps are tried on which sequences."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Every step with every length, of pixels as they are, decorrelated, and autoregressive.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        sides: pixels a side after averaging; sequences have side² steps.
        factors: the steps tried, as multiples of 1/L.
        n_train: training images.
        n_validation: images after those; they choose nothing.
        n_test: images of the test part, scored once after training.
        d_model: channels.
        d_state: full real state size of a channel.
        epochs: passes over the training images.
        batch_size: images in a batch.
        lr: learning rate.
        seeds: seeds of initial values and order of the batches.
    """

    data: str = "mnist"
    sides: tuple[int, ...] = (7, 14, 28)
    factors: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    n_train: int = 2000
    n_validation: int = 200
    n_test: int = 2000
    d_model: int = 16
    d_state: int = 16
    epochs: int = 4
    batch_size: int = 50
    lr: float = 1e-2
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.sides or len(self.factors) < 2 or not self.seeds:
            got = f"sides={self.sides}, factors={self.factors}, seeds={self.seeds}"
            reject("config", expected="a side, two factors and a seed", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(
        data="digits", sides=(8,), factors=(0.02, 2.0), n_train=600, n_validation=50, n_test=300, epochs=4,
        batch_size=25, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(n_train=55_000, n_validation=5000, n_test=10_000, d_model=128, d_state=64, epochs=10, lr=4e-3),
}  # fmt: skip
