"""The exact memory of every layer of a model, summed up over its channels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ssmemory.errors import UnstableError
from ssmemory.memory import memory_function
from ssmemory.nn import named_systems
from ssmemory.systems import LinearSystem

REACH_LEVEL = 0.1  # an input counts as remembered down to this memory function


@dataclass(frozen=True)
class LayerMemory:
    """The memory of one layer, of *that layer's* input: white input, infinite horizon, exact.

    The channels are the inputs of the layer: one a system in S4D, whose channels have a state each, and all
    of one system in S5, LRU and LinearRNN, whose channels share a state.

    Attributes:
        layer: the module's name in the model.
        lags: lags from 0 to the sequence length − 1, about equally spaced on a logarithmic scale.
        median: MF at those lags, median over the channels.
        low: 10th percentile over the channels.
        high: 90th percentile over the channels.
        rank: capacity of a system, which its inputs share; median over the systems.
        reach: median number of latest inputs with MF ≥ 0.1, at most the sequence length.
        first_input: median MF at the largest lag: how well the sequence's first input is remembered at its end.
        eigenvalues_real: real parts of λ, channel by channel, modes of the upper half plane.
        eigenvalues_imag: imaginary parts of λ.
    """

    layer: str
    lags: list[int]
    median: list[float]
    low: list[float]
    high: list[float]
    rank: float
    reach: float
    first_input: float
    eigenvalues_real: list[list[float]]
    eigenvalues_imag: list[list[float]]


@torch.no_grad()
def layer_memory(model: nn.Module, length: int) -> list[LayerMemory]:
    """Return the exact memory of every layer that hands out its linear system, if that forgets.

    A layer with an eigenvalue on the unit circle never forgets, such as linear attention without decay, and one
    with an eigenvalue outside, as an unconstrained recurrence may come to have in training, forgets all but the rest.
    The inputs that they have seen in infinitely many steps have no finite variance, so that the memory of an infinite
    horizon does not exist: they have no record.

    Args:
        model: any module.
        length: steps of the sequences in mind: the memory is computed for lags 0 … length − 1.

    Returns:
        One record a layer, in the model's order.

    Example:
        >>> from ssmemory.nn import S4D
        >>> layer_memory(S4D(4, d_state=8), 100)[0].lags[-1]
        99
    """
    lags = (np.unique(np.geomspace(1, length, 48).round().astype(int)) - 1).tolist()
    records = []
    for name, system in named_systems(model):
        with contextlib.suppress(UnstableError):
            records.append(_record(name, system, lags))
    return records


def _record(name: str, system: LinearSystem, lags: list[int]) -> LayerMemory:
    values, reach, rank = _channels(system, lags)
    low, median, high = values.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=values.dtype), 0)
    half = system.eigenvalues[..., : system.d_state // 2] if system.conj_sym else system.eigenvalues
    return LayerMemory(
        layer=name,
        lags=lags,
        median=median.tolist(),
        low=low.tolist(),
        high=high.tolist(),
        rank=float(rank.double().median()),
        reach=float(reach.double().quantile(0.5)),
        first_input=float(values[:, -1].quantile(0.5)),
        eigenvalues_real=half.real.reshape(-1, half.shape[-1]).tolist(),
        eigenvalues_imag=half.imag.reshape(-1, half.shape[-1]).tolist(),
    )


def _channels(system: LinearSystem, lags: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return MF at ``lags`` by channel, the reach of every channel within the sequence, and the ranks."""
    length = lags[-1] + 1
    if system.n_inputs > 1:  # lag by lag is cheaper than all of them
        memory = memory_function(system, lags)
        return memory.channels, memory.reach(REACH_LEVEL).flatten().clamp(max=length), memory.rank
    memory = memory_function(system, length)
    return memory.channels[:, lags], (memory.channels >= REACH_LEVEL).sum(-1), memory.rank
