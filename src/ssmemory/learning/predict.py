"""Will it be learned, how well, how fast, and what would have to change?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.learning.readout import ReadoutModes, modes_of
from ssmemory.learning.teacher import one_input_system, read_teacher
from ssmemory.learning.visibility import see
from ssmemory.systems import LinearSystem

_MOST_STEPS = 2**40
_ILL = 1e4  # a condition number beyond which plain descent takes tens of thousands of steps


@dataclass(frozen=True, eq=False)
class Prediction:
    """What training a readout of a fixed recurrence will come to; made by `predict`.

    Attributes:
        modes: the rates and energies of learning, with the learning curves.
        teacher: (T,) the kernel to be learned.
        unseen: (T,) what is left of it at the end, lag by lag: ``α* − Π α*``.
        rank: state directions.
        horizon: steps since the state was zero, or None for ever.
        lr: learning rate of plain descent that the steps are counted for.
        momentum: its momentum.
    """

    modes: ReadoutModes
    teacher: Tensor
    unseen: Tensor
    rank: int
    horizon: int | None
    lr: float
    momentum: float

    @property
    def visible_fraction(self) -> float:
        """The share of the teacher's energy that will have been learned in the end."""
        return self.modes.visible_fraction

    @property
    def reachable_loss(self) -> float:
        """The loss ``½ E|y − y*|²`` in the end."""
        return self.modes.floor

    def loss_after(self, steps: int) -> float:
        """Return the loss after so many steps of descent.

        Args:
            steps: at least 0.

        Returns:
            The predicted loss.
        """
        return float(self.modes.descent([steps], lr=self.lr, momentum=self.momentum))

    def steps_to(self, share: float = 0.95) -> float:
        """Return after how many steps this share of what can be removed of the loss is gone for good.

        Args:
            share: in (0, 1).

        Returns:
            Steps of descent at `lr` and `momentum`; infinite where that takes more than 2**40, or never comes.
        """
        if not 0 < share < 1:
            reject("share", expected="a number strictly between 0 and 1", got=share, fix="0.95 asks for most of it")
        wanted = self.modes.floor + (1 - share) * float(self.modes.energy.sum()) / 2
        low, high = 0, 1
        while not self.loss_after(high) <= wanted:
            low, high = high, 2 * high
            if high > _MOST_STEPS:
                return math.inf
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.loss_after(middle) <= wanted else (middle, high)
        return high

    @property
    def unseen_lag(self) -> int:
        """The lag that half of the unseen energy within the teacher's lags lies at or before."""
        return _median_lag(self.unseen)

    def explain(self) -> str:
        """Return the answer in plain words: will it be learned, how well, how fast, what would have to change."""
        seen, lag = self.visible_fraction, self.unseen_lag
        verdict = "all but learned" if seen > 0.99 else "learned in part" if seen > 0.1 else "not learned"
        steps = self.steps_to()
        pace = f"{steps:,.0f} steps" if math.isfinite(steps) else "more steps than anyone takes"
        told = [
            f"It will be {verdict}: the state shows {100 * seen:.3g} % of the teacher's energy, and no training of the "
            f"readout goes below a loss of {self.reachable_loss:.3g} (from {self.modes.teacher_energy / 2:.3g}).",
            f"95 % of what can be learned takes {pace} of descent at a learning rate of {self.lr:.3g} with momentum "
            f"{self.momentum:g} (condition number {self.modes.conditioning:.2g}).",
        ]
        if seen < 0.99:
            bound = self.rank / (lag + 1)
            told.append(
                f"What is missing lies half at lags up to {lag}. "
                + (
                    f"At lag {lag} no state of {self.rank} directions holds more than {bound:.2g} of a white input: "
                    f"it takes a larger state, about {lag + 1} for all of it."
                    if bound < 0.5
                    else f"{self.rank} directions could hold it: choose eigenvalues for that lag "
                    "(init.design, init.recall), not a longer training."
                )
            )
        if self.modes.conditioning > _ILL:
            told.append("The pace is set by crowded eigenvalues: space their frequencies, or whiten the state.")
        return "\n".join(told)


def predict(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None,
    whitened: bool = False, lr: float | None = None, momentum: float = 0.0,
) -> Prediction:  # fmt: skip
    """Predict the training of a linear readout of a fixed recurrence on a linear teacher. Exact for descent on E|y − y*|².

    Args:
        system: one system with one input; see `readout_modes`.
        teacher: (T,) the kernel α*, lag 0 first.
        horizon: steps since the state was zero; if left out the system has run for ever.
        input_autocovariance: r(0), r(1), … of the input; white if left out.
        whitened: the readout weighs an orthonormal basis of the state.
        lr: learning rate of the descent; the best one for the slowest and the fastest mode if left out.
        momentum: heavy-ball momentum in [0, 1).

    Returns:
        The prediction, with `Prediction.explain`.

    Raises:
        InputError: as in `readout_modes`, or lr or momentum out of range.
        UnstableError: |λ| ≥ 1 without a horizon.

    Numerics:
        For the population: a readout trained on n samples ends above this by about rank/n of the unseen energy.

    Source:
        arXiv 2510.00563 for what gradients see; Saxe, McClelland, Ganguli (2014) for the curves.

    Example:
        >>> prediction = predict(LinearSystem.from_eigenvalues([0.5]), [0.0, 0.0, 0.0, 1.0])
        >>> print(prediction.explain().splitlines()[0])
        It will be not learned: the state shows 1.17 % of the teacher's energy, and no training of the readout goes below a loss of 0.494 (from 0.5).
    """  # noqa: E501
    kernel = read_teacher(teacher, horizon)
    seen = see(one_input_system(system), kernel, horizon=horizon, input_autocovariance=input_autocovariance)
    modes = modes_of(system, seen, whitened=whitened, from_readout=False)
    learning = modes.rates[modes.rates > 1e-12 * modes.rates.max()]
    best = 2 / float(learning.max() + learning.min())
    chosen = best if lr is None else lr
    modes.descent([0], lr=chosen, momentum=momentum)  # refuses what is out of range
    return Prediction(modes, kernel, seen.unseen, int(system.rank), horizon, chosen, momentum)


def _median_lag(kernel: Float64[Tensor, " lags"]) -> int:
    gathered = kernel.abs().square().cumsum(0)
    return int(torch.searchsorted(gathered, gathered[-1] / 2))
