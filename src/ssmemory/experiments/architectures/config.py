"""Which layers, spectra and gates are set side by side."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject

LAYERS = ("S4D", "S4D:s4d_inv", "S4", "S5", "LRU", "LinearRNN", "LinearAttention", "Attention")


@dataclass(frozen=True)
class Config:
    """Every layer at one state size and at one number of bytes; every spectrum at every step; every kind of gate.

    Attributes:
        inputs: "mnist" or "digits" (pixels one a step, image after image) and "power" (a household's, hour by hour).
        d_model: channels of a layer.
        d_state: the state size of every layer, and of every spectrum, even.
        bytes: of state, the most a layer may have in the other comparison.
        window: steps that softmax attention keeps in the first one.
        lags: memory is compared at lags 0 … lags − 1.
        steps: dt of the HiPPO spectra.
        radii: largest modulus of the baselines' eigenvalues.
        basis_size: state size of the random bases.
        sizes: state sizes at which the Gram matrix is inverted.
        gate_state: state size of the gated recurrences.
        gate_length: steps of their sequences.
        gate_sequences: how many sequences.
        seeds: seeds of layers, spectra, bases and gates.
    """

    inputs: tuple[str, ...] = ("mnist", "power")
    d_model: int = 4
    d_state: int = 32
    bytes: int = 512
    window: int = 100
    lags: int = 1000
    steps: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    radii: tuple[float, ...] = (0.9, 0.99, 0.999)
    basis_size: int = 8
    sizes: tuple[int, ...] = (4, 8, 16, 32, 64)
    gate_state: int = 16
    gate_length: int = 400
    gate_sequences: int = 3
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.inputs or len(self.steps) < 2 or not self.radii or not self.sizes or not self.seeds:
            got = f"{self.inputs}, {self.steps}, {self.radii}, {self.sizes}, {self.seeds}"
            reject("config", expected="an input, two steps, a radius, a size and a seed", got=got, fix="name them")


SIZES: dict[str, Config] = {
    "smoke": Config(
        inputs=("digits",), d_model=2, d_state=8, bytes=64, window=20, lags=100, steps=(0.003, 0.03, 0.3),
        radii=(0.99,), basis_size=4, sizes=(4, 16), gate_state=4, gate_length=100, gate_sequences=2, seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(
        d_model=8, d_state=64, bytes=2048, window=256, lags=4000, gate_length=2000, gate_sequences=16,
        seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
