"""Which models are trained on which recall, and from which starts."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject

TASKS = ("all", "first", "middle", "last")


@dataclass(frozen=True)
class Config:
    """Every model with every task and start, measured before and after training.

    Attributes:
        length: steps of a sequence, which begins with an empty state.
        channels: of every layer.
        d_state: full real state size of a channel.
        depth: layers of the models that have several.
        ar: r(1)/r(0) of the correlated input, an AR(1).
        tasks: what is to be recalled: "all" positions, or the "first", "middle" or "last" tenth; "all" among them.
        run_in: windows of input before the one measured, where the state does not begin empty.
        samples: sequences that the memory of a nonlinear model is estimated from, and that recall is tested on.
        steps: steps of Adam, each on a new batch.
        batch_size: its size.
        lr: its learning rate, eigenvalues included.
        seeds: seeds of initial weights and of the input.
    """

    length: int = 64
    channels: int = 4
    d_state: int = 4
    depth: int = 2
    ar: float = 0.9
    tasks: tuple[str, ...] = ("all", "first", "last")
    run_in: int = 7
    samples: int = 2000
    steps: int = 400
    batch_size: int = 64
    lr: float = 1e-2
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if self.length < 30 or not self.seeds or self.channels * self.d_state >= self.length:
            got = f"length={self.length}, channels={self.channels}, d_state={self.d_state}, seeds={self.seeds}"
            fix = "a state as large as the sequence holds all of it"
            reject("config", expected="30 steps, a seed, and channels · d_state below the length", got=got, fix=fix)
        if "all" not in self.tasks or not {*self.tasks} <= {*TASKS}:
            reject("tasks", expected=f"'all' and some of {', '.join(TASKS[1:])}", got=str(self.tasks), fix="name them")

    @property
    def tenth(self) -> int:
        """Positions in the tenth of a sequence."""
        return self.length // 10


SIZES: dict[str, Config] = {
    "smoke": Config(tasks=("all",), run_in=1, samples=600, steps=30, seeds=(0,)),
    "cpu": Config(),
    "paper": Config(
        length=128, channels=8, depth=3, tasks=TASKS, samples=20_000, steps=20_000, lr=3e-3, seeds=(0, 1, 2, 3, 4)
    ),
}  # fmt: skip
