"""The exact memory of every layer of a model, summed up over its channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ssmemory.memory import memory_function
from ssmemory.nn import named_systems

REACH_LEVEL = 0.1  # an input counts as remembered down to this memory function


@dataclass(frozen=True)
class LayerMemory:
    """The memory of one layer, of *that layer's* input: white input, infinite horizon, exact.

    Attributes:
        layer: the module's name in the model.
        lags: lags from 0 to the sequence length − 1, about equally spaced on a logarithmic scale.
        median: MF at those lags, median over the channels.
        low: 10th percentile over the channels.
        high: 90th percentile over the channels.
        rank: median capacity.
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
    """Return the exact memory of every layer that hands out its linear system.

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
    lags = np.unique(np.geomspace(1, length, 48).round().astype(int)) - 1
    records = []
    for name, system in named_systems(model):
        memory = memory_function(system, length)
        values = memory.values.reshape(-1, length)
        low, median, high = values[:, lags].quantile(torch.tensor([0.1, 0.5, 0.9], dtype=values.dtype), 0)
        half = system.eigenvalues[..., : system.d_state // 2] if system.conj_sym else system.eigenvalues
        records.append(
            LayerMemory(
                layer=name,
                lags=lags.tolist(),
                median=median.tolist(),
                low=low.tolist(),
                high=high.tolist(),
                rank=float(memory.rank.double().median()),
                reach=float((values >= REACH_LEVEL).sum(-1).double().quantile(0.5)),
                first_input=float(values[:, -1].quantile(0.5)),
                eigenvalues_real=half.real.reshape(-1, half.shape[-1]).tolist(),
                eigenvalues_imag=half.imag.reshape(-1, half.shape[-1]).tolist(),
            )
        )
    return records
