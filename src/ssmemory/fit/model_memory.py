"""The memory of a whole model, layer by layer: how much of the model's input is left in what every layer puts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ssmemory.errors import InputError, reject
from ssmemory.fit.layer_memory import LayerMemory, layer_memory
from ssmemory.memory import MemoryEstimate, estimate_memory
from ssmemory.memory.recording import record_layers
from ssmemory.memory.tokens import token_memory
from ssmemory.nn import Backbone

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class ModelMemory:
    """The memory of every layer of a model; made by `model_memory`.

    Attributes:
        layers: name to memory of the *model's* input in what that layer puts out, in the model's order. Estimates.
        exact: the linear layers, each with the exact memory of *its own* input, taken as white.
    """

    layers: dict[str, MemoryEstimate]
    exact: list[LayerMemory]

    @property
    def last(self) -> MemoryEstimate:
        """End to end: the memory of the model's input in its last layer."""
        return list(self.layers.values())[-1]

    def describe(self) -> str:
        """Return a line for every layer."""
        width = max(len(name) for name in [*self.layers, *(record.layer for record in self.exact)])
        lines = [f"{name:{width}}  {found.describe()}" for name, found in self.layers.items()]
        for record in self.exact:
            told = f"exact, of its own input: capacity {record.rank:.3g}, MF ≥ 0.1 over {record.reach:g} inputs."
            lines.append(f"{record.layer:{width}}  {told}")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every layer's memory of the model's input, and dashed the exact one of its own.

        Args:
            ax: where to draw; a new figure if left out.

        Returns:
            The axes, with a legend. Dotted: the floors, below which a value is noise.
        """
        colours = {}
        for name, found in self.layers.items():
            ax = found.plot(ax, label=name, bound=False)
            colours[name] = ax.lines[-2].get_color()
        assert ax is not None
        low, right = ax.get_ylim()[0], max(float(found.lags.max()) + 1 for found in self.layers.values())
        for record in self.exact:
            inside = [name for name in colours if record.layer == name or record.layer.startswith(f"{name}.")]
            colour = colours[inside[-1]] if inside else "#888888"
            steps, label = [lag + 1 for lag in record.lags], f"{record.layer}, of its own input"
            ax.plot(steps, record.median, color=colour, linestyle=(0, (4, 3)), linewidth=1, label=label)
        ax.set(xlim=(0.95, 1.05 * right), ylim=(low, 1.3))
        ax.legend(fontsize=8)
        return ax


def model_memory(
    model: nn.Module,
    inputs: Tensor,
    lags: int | Sequence[int],
    *,
    layers: Sequence[str] | None = None,
    target: Tensor | None = None,
    washout: int | None = None,
    level: float = 0.95,
    blocks: int = 32,
    seed: int = 0,
    at_once: int | None = None,
) -> ModelMemory:
    """Estimate how much of a model's input is left in what each of its layers puts out, in one run of the model.

    For every layer ``MF(τ) = 1 − min_W E|u[t−τ] − w·y[t] − c|² / Var u``, y the layer's output and u the input of the
    *model*: end to end, through everything that lies before, nonlinear or not. Beside it stands what a linear layer
    could keep of *its own* input, exactly. The sum of an estimate over all lags is at most the layer's width.

    Drive with white noise of the data's shape to see what the model can keep. The task's own sequences say what they
    leave: of correlated input the present alone tells something of the past, and the sum has no bound. Where the mean
    depends on the step, as in images, a layer that knows the step seems to remember: give the deviation from the mean
    over sequences, ``u − u.mean(0)``, as ``target``.

    Args:
        model: any module in evaluation mode.
        inputs: (sequences, length, channels) numbers, or (sequences, length) token ids, as the model takes them.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0.
        layers: their dotted names; the blocks of a `Backbone`, else every layer that puts out
            (sequences, length, features), if left out.
        target: (sequences, length) what to look for; the first channel, or the token, if left out.
        washout: steps at the beginning of every sequence that are not used, as in `estimate_memory`.
        level: what share of intervals is to hold the true value.
        blocks: number of blocks, at least 20.
        seed: seeds the surrogates.
        at_once: sequences that go through the model at a time; all if left out.

    Returns:
        The memory of every layer.

    Raises:
        InputError: fewer than 20 steps for every direction of a layer's output, which is named; or what
            `estimate_memory`, `token_memory` or `record_layers` refuse.

    Numerics:
        The outputs of the layers are held at once, in the model's precision; for the rest see `estimate_memory`.
        Token ids are read as one-hot vectors of as many tokens as the largest id says.

    Example:
        >>> import torch
        >>> u = torch.randn(4, 500, 1, generator=torch.Generator().manual_seed(0))
        >>> found = model_memory(nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2)).eval(), u, 3)
        >>> {name: round(layer.capacity, 2) for name, layer in found.layers.items()}
        {'0': 1.0, '1': 1.0}
    """
    ids = target is None and inputs.ndim == 2 and not inputs.is_floating_point() and not inputs.is_complex()
    if target is None and not ids and inputs.ndim != 3:
        fix = "put channels last, or say by target what to look for"
        reject("inputs", expected="(sequences, length, channels) or token ids", got=tuple(inputs.shape), fix=fix)
    if layers is None and isinstance(model, Backbone):
        layers = [f"blocks.{k}" for k in range(len(model.blocks))]
    found = {}
    for name, states in record_layers(model, inputs, layers, at_once=at_once).items():
        try:
            if ids:
                found[name] = token_memory(
                    states, inputs, lags, int(inputs.max()) + 1, washout=washout, level=level, blocks=blocks, seed=seed
                )  # fmt: skip
            else:
                wanted = inputs[..., 0] if target is None else target
                found[name] = estimate_memory(
                    states, wanted, lags, washout=washout, level=level, blocks=blocks, seed=seed
                )  # fmt: skip
        except InputError as error:
            raise InputError(f"layer {name}, {error}") from error
    return ModelMemory(found, layer_memory(model, int(max(found[next(iter(found))].lags)) + 1))
