"""Which memories and which teachers are set against each other."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Every memory length with every teacher, trained on samples.

    Attributes:
        d_state: full real state size, even.
        reaches: T of the spectra ``log λ_n = (−σ ± iκπ(2n+1))/T``: from exact and short to coarse and long memory.
        lags: lags of the teachers that recall one of them.
        kernels: time constants of the teachers that average, exponentially and as a power law, in steps.
        samples: steps of white input that a readout is trained on; as many test it.
        steps: steps of full-batch descent with momentum.
        momentum: its momentum.
        seeds: seeds of the input.
    """

    d_state: int = 16
    reaches: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    lags: tuple[int, ...] = (5, 20, 80, 320)
    kernels: tuple[int, ...] = (10, 100)
    samples: int = 40_000
    steps: int = 1000
    momentum: float = 0.9
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if len(self.reaches) < 2 or not self.lags or not self.seeds:
            got = f"reaches={self.reaches}, lags={self.lags}, seeds={self.seeds}"
            reject("config", expected="two reaches, a lag and a seed", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(reaches=(16, 128), lags=(5, 80), kernels=(10,), samples=8000, steps=200, seeds=(0,)),
    "cpu": Config(),
    "paper": Config(d_state=64, samples=400_000, steps=4000, seeds=(0, 1, 2, 3, 4)),
}
