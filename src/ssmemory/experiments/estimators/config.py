"""Which states are measured, with how many steps, and how many systems test the intervals."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject
from ssmemory.experiments.estimators.states import CASES, FAMILIES


@dataclass(frozen=True)
class Config:
    """Every recipe on some states over sample sizes, and intervals of random systems of every family.

    Attributes:
        cases: kinds of states with their state size N: "cyclic", "Gaussian" or "noise".
        samples: steps recorded, for every case.
        families: families of random systems whose intervals are tested.
        d_states: their full real state sizes.
        systems: how many of every family and size.
        steps: steps recorded of each.
        seeds: seeds of the cases' systems and inputs.
    """

    cases: tuple[tuple[str, int], ...] = (("cyclic", 50), ("Gaussian", 50), ("Gaussian", 100), ("noise", 50))
    samples: tuple[int, ...] = (1000, 2500, 10_000, 30_000, 100_000)
    families: tuple[str, ...] = ("ring", "disk", "Ginibre", "S4D", "noise")
    d_states: tuple[int, ...] = (8, 16, 32)
    systems: int = 40
    steps: int = 20_000
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.cases or not self.seeds or not self.samples or not self.families:
            got = f"cases={self.cases}, samples={self.samples}, families={self.families}, seeds={self.seeds}"
            reject("config", expected="a case, a sample size, a family and a seed", got=got, fix="name them")
        unknown = [kind for kind, _ in self.cases if kind not in CASES] + [
            name for name in self.families if name not in FAMILIES
        ]
        if unknown:
            expected = f"cases of {', '.join(CASES)} and families of {', '.join(FAMILIES)}"
            reject("config", expected=expected, got=", ".join(unknown), fix="name known ones")
        if any(steps <= 4 * n for steps in self.samples for _, n in self.cases):
            fix = "record longer, or take smaller states"
            reject("samples", expected="more than 4 N steps", got=str(self.samples), fix=fix)


SIZES: dict[str, Config] = {
    "smoke": Config(
        cases=(("cyclic", 12), ("noise", 12)), samples=(600, 4000), families=("ring", "S4D"), d_states=(8,), systems=4,
        steps=4000, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(
        samples=(1000, 2500, 10_000, 30_000, 100_000, 300_000), d_states=(8, 16, 32, 64), systems=50, steps=100_000,
        seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
