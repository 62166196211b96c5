"""Which networks are trained, and when they are looked at."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Every start, with learned and with frozen recurrence, looked at before, midway and after.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        side: pixels a side after averaging, so that sequences have side² steps.
        n_train: training images, the first ones of the set's training part.
        n_validation: images after those; not used.
        n_test: images of the test part, which score, and whose memory is measured.
        n_noise: sequences of white noise, of the images' shape.
        dts: steps of the S4D-Lin spectrum, from long memory to short.
        seeds: seeds of the initial values, the order of the batches, and the noise.
        d_model: channels between the blocks, which bound the capacity of what a block puts out.
        d_state: full real state size of every channel.
        n_layers: blocks.
        epochs: passes over the training images; the networks are looked at after 0, half and all.
        batch_size: images in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B.
    """

    data: str = "mnist"
    side: int = 14
    n_train: int = 1500
    n_validation: int = 0
    n_test: int = 1500
    n_noise: int = 1500
    dts: tuple[float, ...] = (0.001, 0.005, 0.02, 0.11, 1.37)
    seeds: tuple[int, ...] = (0, 1, 2)
    d_model: int = 16
    d_state: int = 32
    n_layers: int = 2
    epochs: int = 4
    batch_size: int = 50
    lr: float = 1e-2
    ssm_lr: float = 2e-3

    def __post_init__(self) -> None:
        if len(set(self.dts)) < 3 or not self.seeds or self.epochs < 2:
            got = f"dts={self.dts}, seeds={self.seeds}, epochs={self.epochs}"
            reject("config", expected="three different dts, a seed and two epochs", got=got, fix="add some")

    @property
    def looks(self) -> tuple[int, int, int]:
        """Epochs after which a network is looked at."""
        return 0, self.epochs // 2, self.epochs


SIZES: dict[str, Config] = {
    # a test: seconds
    "smoke": Config(
        data="digits", side=8, n_train=400, n_test=200, n_noise=200, dts=(0.03, 0.3, 1.37), seeds=(0,), d_model=8,
        d_state=16, epochs=2, batch_size=25,
    ),
    "cpu": Config(),
    "paper": Config(
        side=28, n_train=55_000, n_test=10_000, n_noise=10_000, dts=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.11, 1.37),
        seeds=(0, 1, 2, 3, 4), d_model=128, d_state=64, n_layers=6, epochs=20, lr=4e-3, ssm_lr=1e-3,
    ),
}  # fmt: skip
