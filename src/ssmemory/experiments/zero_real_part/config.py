"""Which windows, steps, real parts and ways of holding them are compared."""

from __future__ import annotations

from dataclasses import dataclass

from ssmemory.errors import reject


@dataclass(frozen=True)
class Config:
    """Memory of every start, readouts and states of some, and training of zero real parts held in four ways.

    Attributes:
        lengths: L, steps of the windows.
        d_states: full real state sizes whose memory is computed; the first is the one of layers that are trained.
        real_parts: Re a of S4D-Lin's modes ``Re a + iπn``, the first zero; readouts are trained at first and last.
        readout_steps: steps of full-batch descent with momentum.
        momentum: its momentum.
        sequences: white sequences that the variance of the states is measured on.
        training_lengths: windows of the trainings of a layer alone.
        backbone_lengths: windows of the trainings of a one-layer backbone.
        d_model: channels of what is trained.
        copied: inputs at the start of the window that are to be given back at its end.
        steps: steps of Adam, each on a new batch.
        batch_size: its size.
        lr: learning rate of all but the eigenvalues.
        eigenvalue_lrs: learning rates of real parts, imaginary parts and dt.
        seeds: seeds of initial weights and of the input.
    """

    lengths: tuple[int, ...] = (128, 512, 2048, 4096)
    d_states: tuple[int, ...] = (16, 64)
    real_parts: tuple[float, ...] = (0.0, -1 / 32, -1 / 8, -1 / 2)
    readout_steps: int = 100
    momentum: float = 0.9
    sequences: int = 256
    training_lengths: tuple[int, ...] = (128, 512)
    backbone_lengths: tuple[int, ...] = (128,)
    d_model: int = 8
    copied: int = 4
    steps: int = 200
    batch_size: int = 32
    lr: float = 1e-2
    eigenvalue_lrs: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.lengths or not self.d_states or not self.seeds or not self.eigenvalue_lrs:
            got = f"lengths={self.lengths}, d_states={self.d_states}, seeds={self.seeds}"
            reject("config", expected="a length, a state size, a learning rate and a seed", got=got, fix="name them")
        if len(self.real_parts) < 2 or self.real_parts[0] != 0:
            fix = "such as (0.0, -0.5)"
            reject("real_parts", expected="zero first, and one more", got=str(self.real_parts), fix=fix)


SIZES: dict[str, Config] = {
    "smoke": Config(
        lengths=(128,), d_states=(16,), real_parts=(0.0, -0.5), sequences=128, training_lengths=(128,),
        backbone_lengths=(), steps=60, eigenvalue_lrs=(0.1,), seeds=(0,),
    ),
    "cpu": Config(),
    "paper": Config(
        d_states=(16, 32, 64), sequences=2048, training_lengths=(128, 512, 2048), backbone_lengths=(128, 512, 2048),
        d_model=16, steps=3000, eigenvalue_lrs=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1), seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
