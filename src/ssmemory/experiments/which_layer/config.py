"""Which layers are compared, and at which size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ssmemory.errors import reject


@dataclass(frozen=True)
class Contestant:
    """A layer as it starts.

    Attributes:
        name: how tables call it; no two alike.
        layer: its name in `ssmemory.nn.LAYERS`.
        options: further fields of `ssmemory.nn.BackboneConfig`.
    """

    name: str
    layer: str
    options: dict[str, Any] = field(default_factory=dict)


def _contestants(d_state: int, dt: float, length: int) -> tuple[Contestant, ...]:
    """Every layer once, S4 with two of its measures; dt alike, but LegT's window is the whole sequence."""
    steps, window = {"dt_min": dt, "dt_max": dt}, {"dt_min": 1 / length, "dt_max": 1 / length}
    return (
        Contestant("S4D-Lin", "s4d", {"d_state": d_state} | steps),
        Contestant("S4-LegS", "s4", {"d_state": d_state} | steps),
        Contestant("S4-LegT", "s4", {"d_state": d_state, "init": "hippo_legt"} | window),
        Contestant("S5", "s5", {"d_state": d_state} | steps),
        Contestant("LRU", "lru", {"d_state": d_state}),
        Contestant("linear RNN", "linear-rnn", {"d_state": d_state}),
        Contestant("linear attention", "linear-attention"),
        Contestant("attention", "attention"),
    )


@dataclass(frozen=True)
class Config:
    """One sweep: every layer over the same seeds, images and training.

    Attributes:
        data: "mnist", "fashion-mnist" or "digits"; pixels read one a step, row by row.
        side: pixels a side after averaging, so that sequences have side² steps.
        n_train: training images, the first ones of the set's training part.
        n_validation: images after those, followed during training; they choose nothing.
        n_test: images of the test part, scored once after training.
        contestants: the layers.
        seeds: seeds of the initial values, the order of the batches, and dropout.
        d_model: channels between the blocks.
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
    contestants: tuple[Contestant, ...] = _contestants(32, 0.01, 196)
    seeds: tuple[int, ...] = (0, 1, 2)
    d_model: int = 32
    n_layers: int = 2
    dropout: float = 0.0
    epochs: int = 8
    batch_size: int = 50
    lr: float = 4e-3
    ssm_lr: float = 1e-3
    weight_decay: float = 0.01
    processes: int = 2

    def __post_init__(self) -> None:
        names = [contestant.name for contestant in self.contestants]
        if not names or len(set(names)) < len(names) or not self.seeds:
            got = f"{names}, seeds={self.seeds}"
            reject("config", expected="layers of different names and a seed", got=got, fix="name each once")


SIZES: dict[str, Config] = {
    # a test: seconds
    "smoke": Config(
        data="digits", side=8, n_train=600, n_validation=100, n_test=300, contestants=_contestants(8, 0.03, 64),
        seeds=(0,), d_model=16, n_layers=1, epochs=8, batch_size=25, lr=1e-2, processes=1,
    ),
    # minutes on two cores
    "cpu": Config(),
    # all images, full length: a GPU
    "paper": Config(
        side=28, n_train=55000, n_validation=5000, n_test=10000, contestants=_contestants(64, 0.003, 784), d_model=128,
        n_layers=4, dropout=0.1, epochs=20, processes=1,
    ),
}  # fmt: skip
