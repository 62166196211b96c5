"""Which starts are compared on which data."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject

TASKS = ("pixels", "text", "power")
STARTS = ("usual", "rule", "advised", "fourier", "recall")


@dataclass(frozen=True)
class Config:
    """Every start with every task and seed.

    Attributes:
        tasks: "pixels" (sequential digits), "text" (the first bytes of film reviews, two classes), "power" (the mean of
            a household's power over the next day, from the hours before).
        starts: "usual" (S4D-Lin, steps log-uniform in 0.001 … 0.1), "rule" (S4D-Lin at the rule's step), "advised"
            (`init.from_data`), "fourier" (zero real parts, 2πn/L), "recall" (`init.recall` for the window's length).
        data: the images of the task pixels.
        side: their pixels a side.
        bytes: steps of the task text.
        hours: steps of the task power.
        n_train: training sequences.
        n_test: test sequences.
        d_model: channels.
        d_state: full real state size of a channel.
        n_layers: blocks.
        epochs: passes over the training data.
        batch_size: sequences in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B.
        seeds: seeds of initial values and order of the batches.
    """

    tasks: tuple[str, ...] = TASKS
    starts: tuple[str, ...] = STARTS
    data: str = "mnist"
    side: int = 14
    bytes: int = 512
    hours: int = 336
    n_train: int = 3000
    n_test: int = 2000
    d_model: int = 16
    d_state: int = 32
    n_layers: int = 1
    epochs: int = 6
    batch_size: int = 50
    lr: float = 1e-2
    ssm_lr: float = 1e-3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        unknown = [name for name in (*self.tasks, *self.starts) if name not in (*TASKS, *STARTS)]
        if unknown or not self.tasks or "usual" not in self.starts or not self.seeds:
            got = f"tasks={self.tasks}, starts={self.starts}, seeds={self.seeds}"
            reject("config", expected=f"of {TASKS} and {STARTS}, the usual start among them", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(
        tasks=("pixels",), starts=("usual", "advised"), data="digits", side=8, n_train=600, n_test=300, epochs=3,
        d_state=16, batch_size=25, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(
        side=28, bytes=4096, n_train=25_000, n_test=10_000, d_model=128, d_state=64, n_layers=4, epochs=20, lr=4e-3,
    ),
}  # fmt: skip
