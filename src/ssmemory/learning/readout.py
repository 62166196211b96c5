"""How a readout is learned: what it can reach, the rate of every mode, and the whole learning curve in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.learning.teacher import one_input_system
from ssmemory.learning.visibility import Sight, see
from ssmemory.systems import LinearSystem


@dataclass(frozen=True, eq=False)
class ReadoutModes:
    """The learning of a readout, mode by mode; made by `readout_modes`.

    The loss is ``½ E|y − y*|²``. Mode i starts with the residual energy ``energy[i]`` and loses it at the rate
    ``rates[i]`` = σ_i², an eigenvalue of the covariance of what the readout weighs; ``floor`` is never lost.

    Attributes:
        rates: (modes,) σ², largest first; 0 for a mode that does not learn.
        energy: (modes,) squared residual of every mode at the start.
        floor: the reachable loss, ``½ E|y* − Π y*|²``.
        teacher_energy: E|y*|²: twice the loss of an output of zero.

    Example:
        >>> from ssmemory import LinearSystem
        >>> modes = readout_modes(LinearSystem.from_eigenvalues([0.5]), [0.0, 1.0])
        >>> round(modes.visible_fraction, 12), modes.rates.numpy().round(6).tolist()
        (0.1875, [1.333333])
    """

    rates: Float64[Tensor, " modes"]
    energy: Float64[Tensor, " modes"]
    floor: float
    teacher_energy: float

    @property
    def visible_fraction(self) -> float:
        """The share of the teacher's energy that a readout can give."""
        return 1 - 2 * self.floor / self.teacher_energy

    @property
    def conditioning(self) -> float:
        """Condition number of the covariance: the largest rate over the smallest one; infinite if one is 0."""
        smallest = float(self.rates.min())
        return float(self.rates.max()) / smallest if smallest > 0 else math.inf

    @property
    def largest_lr(self) -> float:
        """The learning rate of plain descent beyond which it diverges: 2 over the largest rate."""
        return 2 / float(self.rates.max())

    def flow(self, times: Sequence[float] | Tensor) -> Float64[Tensor, " times"]:
        """Return the loss under gradient flow, ``floor + ½ Σ energy e^(−2 σ² t)``.

        Args:
            times: learning rate times steps, as it were; at least 0.

        Returns:
            The loss at every time.
        """
        at = torch.as_tensor(times, dtype=torch.float64)
        return self._loss(torch.exp(-at.unsqueeze(-1) * self.rates))

    def descent(self, steps: Sequence[int] | Tensor, *, lr: float, momentum: float = 0.0) -> Float64[Tensor, " steps"]:
        """Return the loss after so many steps of gradient descent, with heavy-ball momentum as torch.optim.SGD has it.

        A mode's residual follows ``e[k+1] = (1 + μ − lr σ²) e[k] − μ e[k−1]``, solved by its two roots.

        Args:
            steps: numbers of steps, at least 0; 0 is the start.
            lr: learning rate, positive. Above (1 + momentum) times `largest_lr` the loss grows without end.
            momentum: μ in [0, 1).

        Returns:
            The loss after every number of steps.

        Raises:
            InputError: lr or momentum out of range, or negative steps.
        """
        k = torch.as_tensor(steps, dtype=torch.float64).unsqueeze(-1)
        if not lr > 0 or not 0 <= momentum < 1:
            got = f"lr={lr}, momentum={momentum}"
            reject("descent", expected="lr > 0 and 0 ≤ momentum < 1", got=got, fix="such as lr=0.1, momentum=0.9")
        if bool((k < 0).any()):
            reject("steps", expected="at least 0", got=int(k.min()), fix="0 is the loss at the start")
        return self._loss(_heavy_ball(lr * self.rates, momentum, k))

    def time_to(self, share: float = 0.95) -> float:
        """Return when gradient flow has removed this share of the loss that can be removed.

        Args:
            share: in (0, 1).

        Returns:
            The time, in units of 1/rate; infinite where modes that do not learn hold more than the rest.

        Raises:
            InputError: share outside (0, 1).
        """
        if not 0 < share < 1:
            reject("share", expected="a number strictly between 0 and 1", got=share, fix="0.95 asks for most of it")
        wanted = self.floor + (1 - share) * float(self.energy.sum()) / 2
        low, high = 0.0, 1 / float(self.rates.max())
        while float(self.flow([high])) > wanted:
            low, high = high, 2 * high
            if high > 1e30:
                return math.inf
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if float(self.flow([middle])) > wanted else (low, middle)
        return high

    def _loss(self, left: Tensor) -> Tensor:
        return self.floor + 0.5 * (left.square() * self.energy).sum(-1)


def readout_modes(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None,
    whitened: bool = False, from_readout: bool = False,
) -> ReadoutModes:  # fmt: skip
    """Return what a linear readout of the state can learn of a teacher, and how fast. Exact.

    ``y = w·x``, ``y* = Σ_τ α*_τ u[t−τ]``, loss ``½ E|y − y*|²``. With K the responses of the state, the kernel
    ``α = Kᵀw`` obeys ``dα/dt = −conj(K*K)(α − α*)`` for the raw state, ``−conj(Π)(α − α*)`` for a whitened one: both
    end at the same loss, the raw one at the pace of the eigenvalues of ``K K*``. Correlated input weighs all inner
    products by its autocovariance.

    Args:
        system: one system with one input, and the B that it has. With ``conj_sym`` the readout weighs 2 Re x and
            −2 Im x, as the C of S4D does in its real and imaginary part; else x itself.
        teacher: (T,) the kernel α*, lag 0 first.
        horizon: steps since the state was zero; needed where |λ| ≥ 1. If left out the system has run for ever.
        input_autocovariance: r(0), r(1), … of the input, zero beyond; white of unit variance if left out.
        whitened: the readout weighs an orthonormal basis of the state (the input-normal form) instead.
        from_readout: start from the system's C, not from zero. Its D takes no part.

    Returns:
        The modes.

    Raises:
        InputError: a teacher that is empty, not finite, zero or longer than the horizon; several inputs or a batch; no
            C where the start is to be one; with correlated input a system so slow that a horizon is needed.
        UnstableError: |λ| ≥ 1 without a horizon.

    Numerics:
        Without horizon or correlation nothing is truncated: the states are expressed in the input-normal form, and
        the singular values are those of an N × N matrix, exact to 1e-16 of the largest. The floor is computed from the
        part of the teacher that is not seen, and keeps its digits when it is small.

    Source:
        arXiv 2510.00563 for the gradient; Saxe, McClelland, Ganguli (2014) for learning mode by mode.

    Example:
        >>> from ssmemory import init
        >>> modes = readout_modes(init.s4d_lin(16, dt=0.1), [0.0] * 20 + [1.0])
        >>> round(modes.visible_fraction, 4), bool(modes.conditioning > 5)
        (0.1051, True)
    """
    system = one_input_system(system)
    seen = see(system, teacher, horizon=horizon, input_autocovariance=input_autocovariance)
    return modes_of(system, seen, whitened=whitened, from_readout=from_readout)


def modes_of(system: LinearSystem, seen: Sight, *, whitened: bool, from_readout: bool) -> ReadoutModes:
    """Return the modes of a teacher that was seen already; the arguments are those of `readout_modes`."""
    transform = seen.transform
    start = _readout(system) @ transform if from_readout else torch.zeros_like(seen.coordinates)
    if whitened:
        transform = torch.eye(len(start), dtype=torch.complex128)
    elif system.conj_sym:
        transform = transform * math.sqrt(2)  # 2 Re x and −2 Im x, of x and its conjugate
    singular, V = torch.linalg.svd(transform, full_matrices=False)[1:]
    residual = (V.conj() @ (seen.coordinates - start)).abs().square()
    return ReadoutModes(singular.square(), residual, seen.unseen_energy / 2, seen.teacher_energy)


def _readout(system: LinearSystem) -> Tensor:
    if system.C is None or system.C.shape[-2] != 1:
        reject("C", expected="one row, to start from", got="none", fix="make the system with C, or start from zero")
    C = system.C[0].detach().to(torch.complex128)
    return torch.cat([C, C.conj()]) if system.conj_sym else C


def _heavy_ball(pace: Tensor, momentum: float, k: Tensor) -> Tensor:
    """Return e[k] of ``e[k+1] = (1 + μ − pace) e[k] − μ e[k−1]``, e[0] = 1, e[1] = 1 − pace."""
    if momentum == 0:
        return (1 - pace) ** k
    middle = (1 + momentum - pace) / 2
    root = (middle.square() - momentum).to(torch.complex128).sqrt()
    upper, lower = middle + root, middle - root

    def between(k: Tensor) -> Tensor:
        """``Σ_j upper^j lower^(k−1−j)`` for k ≥ 0: the response of the two roots."""
        apart = (upper - lower).abs() > 1e-6
        quotient = (upper**k - lower**k) / torch.where(apart, upper - lower, torch.ones_like(upper))
        together = k * middle.to(torch.complex128) ** (k - 1).clamp(min=0)
        return torch.where(apart, quotient, together)

    ahead = (k - 1).clamp(min=0)
    later = (1 - pace) * between(k) - momentum * between(ahead)
    return torch.where(k == 0, torch.ones_like(later), later).real
