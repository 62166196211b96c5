"""Which spacings, inputs, targets and sample sizes are set against each other."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Every spacing on inputs and targets that are learned to the end, and on narrow targets from few samples.

    Frequencies and widths of bands are in units of 2π/length.

    Attributes:
        length: steps of a window; the state is zero before it.
        d_state: full real state size, even.
        centre: the middle of the frequencies, and of the targets' bands.
        spacings: distances of neighbouring frequencies.
        bands: widths of the bands that the frequencies of a target are drawn from.
        tones: frequencies in a target.
        samples: windows that a readout is estimated from.
        budgets: steps of descent that are allowed there, few and many.
        noise: variance of the noise on a target of unit variance.
        targets: targets of either kind that are learned to the end, a seed.
        windows: windows for training to the end; as many test the estimates.
        draws: targets a band and seed, for the estimates.
        lr_shares: learning rates of descent, as shares of the largest stable one; the fastest counts.
        adam_lrs: learning rates of Adam; the fastest counts.
        longest: steps after which training is given up.
        seeds: seeds of input, noise and targets.
    """

    length: int = 256
    d_state: int = 16
    centre: float = 32.0
    spacings: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
    bands: tuple[float, ...] = (0.5, 2.0, 4.0, 6.0, 8.0, 24.0)
    tones: int = 4
    samples: tuple[int, ...] = (64, 256, 1024, 4096)
    budgets: tuple[int, ...] = (30, 1000)
    noise: float = 0.1
    targets: int = 4
    windows: int = 4096
    draws: int = 8
    lr_shares: tuple[float, ...] = (0.25, 0.5, 0.75, 0.95)
    adam_lrs: tuple[float, ...] = (0.003, 0.03, 0.3, 3.0)
    longest: int = 30_000
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if 1.0 not in self.spacings or min(self.spacings) >= 1 or not self.seeds:
            got = f"spacings={self.spacings}, seeds={self.seeds}"
            reject("config", expected="the spacing 1, a smaller one, and a seed", got=got, fix="name them")
        reach = self.centre + max(self.spacings) * (self.d_state // 2 - 1) / 2
        if self.d_state % 2 or not reach < min(2 * self.centre, self.length / 2):
            fix = "a centre in the middle between 0 and length/2, or smaller spacings"
            reject("centre", expected="all frequencies between 0 and length/2", got=self.centre, fix=fix)
        if min(self.samples) < self.d_state + 2 or max(self.samples) > self.windows:
            got = f"samples={self.samples}, windows={self.windows}"
            reject("samples", expected=f"{self.d_state + 2} to `windows`", got=got, fix="choose others")


SIZES: dict[str, Config] = {
    "smoke": Config(
        spacings=(0.5, 1.0, 4.0),
        bands=(2.0, 8.0),
        samples=(64, 1024),
        windows=1024,
        targets=2,
        draws=4,
        longest=4000,
        seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(length=1024, d_state=32, centre=128.0, windows=16_384, longest=500_000, seeds=(0, 1, 2, 3, 4)),
}
