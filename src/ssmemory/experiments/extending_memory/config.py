"""Which memories training starts from, what it has to recall, and for how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Every start with every lag, trained on the exact loss in five ways and at every learning rate.

    Attributes:
        d_state: full real state size, even.
        reaches: T of the starts ``log λ_n = (−σ ± iκπ(2n+1))/T``.
        lags: delays to be recalled, one a training.
        lrs: learning rates of Adam at the first step; they fall to 0 along a cosine.
        steps: steps of training.
        solved_steps: steps where the readout is solved for at every one: they cost about ten times as much.
        horizon: steps that the loss is summed over; several times the longest memory and lag.
        jitter: standard deviation of the phases at the start, in units of their spacing.
        level: value of the memory function that a reach is counted to.
        shown: starts whose memory functions are kept, of the first seed, for the figure.
        seeds: seeds of the phases and of C.
        processes: trainings at a time.
    """

    d_state: int = 16
    reaches: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    lags: tuple[int, ...] = (20, 80, 320)
    lrs: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    steps: int = 2000
    solved_steps: int = 500
    horizon: int = 4096
    jitter: float = 0.1
    level: float = 0.1
    shown: tuple[int, ...] = (16, 512)
    seeds: tuple[int, ...] = (0, 1, 2)
    processes: int = 2

    def __post_init__(self) -> None:
        if len(self.reaches) < 2 or not self.lags or not self.lrs or not self.seeds:
            got = f"reaches={self.reaches}, lags={self.lags}, lrs={self.lrs}, seeds={self.seeds}"
            reject("config", expected="two reaches, a lag, a learning rate and a seed", got=got, fix="name them")
        if self.horizon < 4 * max(*self.reaches, *self.lags):
            fix = "take four times the longest reach or lag, or more"
            reject("horizon", expected="the loss of a layer that has run for ever", got=self.horizon, fix=fix)


SIZES: dict[str, Config] = {
    "smoke": Config(
        reaches=(8, 32, 128), lags=(40,), lrs=(1e-2,), steps=250, solved_steps=60, horizon=512, shown=(8, 128),
        seeds=(0,), processes=1,
    ),
    "cpu": Config(),
    "paper": Config(
        d_state=64, lags=(80, 320, 1280), steps=20_000, solved_steps=2000, horizon=8192, seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
