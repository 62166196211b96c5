"""The linear systems inside a model."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ssmemory.systems import HasSystem, LinearSystem


def named_systems(model: nn.Module) -> Iterator[tuple[str, LinearSystem]]:
    """Yield the linear system of every layer that hands one out, with the layer's name, in the model's order.

    Args:
        model: any module; where it is a layer itself, its class names it.

    Yields:
        Name and system, batched over the layer's channels.

    Example:
        >>> from ssmemory.nn import S4D
        >>> [(name, system.d_state) for name, system in named_systems(S4D(2, 4))]
        [('S4D', 4)]
    """
    for name, module in model.named_modules():
        if isinstance(module, HasSystem):
            yield name or type(module).__name__, module.system()
