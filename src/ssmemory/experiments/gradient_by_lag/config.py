"""Which spectra recall a lag, and which starts train a network."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Linear cases in which vanishing gradients and memory disagree, and a network followed through its training.

    Attributes:
        lag: the lag that the linear cases recall.
        samples: steps of white input for the linear cases; as many test.
        data: the images of the network.
        side: their pixels a side; sequences have side² steps.
        n_train: training images.
        n_test: test images.
        steps: initial steps dt of the network's layers, one run each: from long memory to short.
        d_model: channels.
        d_state: full real state size of a channel.
        n_layers: blocks.
        epochs: passes over the training images; the gradient is looked at before, and after each.
        batch_size: images in a batch.
        lr: learning rate.
        seeds: seeds of everything.
    """

    lag: int = 60
    samples: int = 30_000
    data: str = "mnist"
    side: int = 14
    n_train: int = 2000
    n_test: int = 2000
    steps: tuple[float, ...] = (0.01, 0.05, 0.3)
    d_model: int = 16
    d_state: int = 32
    n_layers: int = 2
    epochs: int = 4
    batch_size: int = 50
    lr: float = 5e-3
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.steps or not self.seeds or self.lag < 1:
            got = f"lag={self.lag}, steps={self.steps}, seeds={self.seeds}"
            reject("config", expected="a lag, a step and a seed", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(
        samples=8000, data="digits", side=8, n_train=600, n_test=300, steps=(0.02, 1.0), d_model=8, d_state=16,
        epochs=2, batch_size=25, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(side=28, n_train=50_000, n_test=10_000, d_model=128, d_state=64, n_layers=4, epochs=10),
}  # fmt: skip
