"""Stacks of S4D layers read at their last state, and what that state holds of every input."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from ssmemory.experiments.primacy.config import Config
from ssmemory.nn import S4D, Backbone, BackboneConfig
from ssmemory.systems import LinearSystem

MODELS = ("one layer", "correlated input", "deep, linear", "deep, nonlinear", "backbone")
LINEAR = MODELS[:3]
STARTS = ("S4D-Lin", "zero real part")
_ROUNDING = float(torch.finfo(torch.float32).eps)  # of the states as the models compute them


def zero_real_part(config: Config) -> LinearSystem:
    """Return undamped modes of all channels together 2π/L apart, from half of that on: flat memory over the window."""
    pairs = config.d_state // 2
    k = torch.arange(config.channels * pairs, dtype=torch.float64).reshape(pairs, config.channels).T
    return LinearSystem.from_log_eigenvalues(2j * math.pi / config.length * (k + 0.5), conj_sym=True)


class Stack(nn.Module):
    """A scalar input to all channels, layers with their channels mixed in between, the last state handed out."""

    def __init__(self, config: Config, model: str, start: str) -> None:
        super().__init__()
        self.channels = config.channels
        options: dict[str, Any] = {}
        if start == STARTS[1]:
            step = 2 / config.length
            options = {"init": zero_real_part(config), "dt_min": step, "dt_max": step}
        depth = config.depth if model.startswith("deep") else 1
        self.layers = nn.ModuleList(S4D(config.channels, config.d_state, **options) for _ in range(depth))
        self.mixes = nn.ModuleList(nn.Linear(config.channels, config.channels) for _ in range(depth - 1))
        self.activation = nn.GELU() if model == "deep, nonlinear" else nn.Identity()

    def forward(self, u: Tensor) -> list[Tensor]:
        """Return the state of every layer after the last step of ``u`` (batch, length)."""
        h = u.unsqueeze(-1).expand(-1, -1, self.channels)
        states = []
        for k, layer in enumerate(self.layers):
            h = self.mixes[k - 1](self.activation(h)) if k else h
            h, state = layer(h)
            states.append(state)
        return states


class Whole(nn.Module):
    """The backbone of the package, its states handed out."""

    def __init__(self, config: Config, start: str) -> None:
        super().__init__()
        long = start == STARTS[1]
        step = 2 / config.length if long else None
        shape = BackboneConfig(
            d_model=config.channels, d_state=config.d_state, n_layers=config.depth, dt_min=step, dt_max=step
        )
        self.inside = Backbone(shape, init=zero_real_part(config) if long else None)

    def forward(self, u: Tensor) -> list[Tensor]:
        """Return the state of every layer after the last step of ``u`` (batch, length)."""
        states: list[Tensor] = self.inside(u.unsqueeze(-1))[1]
        return states


class Recaller(nn.Module):
    """A readout of the last layer's last state, in units of its size before training."""

    size: Tensor

    def __init__(self, config: Config, model: str, start: str, wanted: Tensor) -> None:
        super().__init__()
        self.inside = Whole(config, start) if model == "backbone" else Stack(config, model, start)
        self.decoder = nn.Linear(config.channels * config.d_state, len(wanted))
        nn.init.zeros_(self.decoder.weight)
        nn.init.zeros_(self.decoder.bias)
        with torch.no_grad():
            size = self.states(torch.randn(1000, config.length)).std(0)
        self.register_buffer("size", size.clamp(min=1e-6 * float(size.max())))

    def states(self, u: Tensor, *, every: bool = False) -> Tensor:
        """Return (batch, numbers) the last layer's state after the last step, or those of all layers together."""
        states = self.inside(u)
        return torch.cat([torch.view_as_real(x).flatten(1) for x in (states if every else states[-1:])], -1)

    def forward(self, u: Tensor) -> Tensor:
        """Return what is recalled of ``u`` (batch, length)."""
        recalled: Tensor = self.decoder(self.states(u) / self.size)
        return recalled


@torch.no_grad()
def kernel(net: Recaller, length: int, *, every: bool = False) -> Tensor:
    """Return (length, numbers) the last state's response to an input at every position, of a linear model, float64."""
    double = copy.deepcopy(net).double()
    impulses = torch.eye(length, dtype=torch.float64)
    return double.states(impulses, every=every) - double.states(torch.zeros(1, length).double(), every=every)


def memory_by_position(K: Tensor, root: Tensor | None = None) -> Tensor:
    """Return how well the input at every position can be read, linearly, off a state of the response ``K``.

    ``‖Qᵀ F e_p‖² / r(0)``, R = FᵀF the input's covariance, Q an orthonormal basis of the columns of ``F K``, as far as
    they stand above the rounding of single precision.

    Args:
        K: (positions, numbers) the response.
        root: (positions, positions) F; white input if left out.

    Returns:
        (positions,) in [0, 1].
    """
    seen = K if root is None else root @ K
    size = torch.linalg.vector_norm(seen, dim=0)
    seen = seen[:, size > 10 * _ROUNDING * size.max()]
    U, s, _ = torch.linalg.svd(seen / torch.linalg.vector_norm(seen, dim=0), full_matrices=False)
    U = U[:, s > max(16, len(s)) * _ROUNDING * s[0]]
    if root is None:
        return U.square().sum(1)
    return (root.mT @ U).square().sum(1) / root.square().sum(0)
