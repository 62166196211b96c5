"""The states that a model goes through, recorded without changing it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown


def record_states(
    model: nn.Module | Callable[[Tensor], Any], inputs: Tensor, *, layer: str | None = None
) -> Tensor:  # fmt: skip
    """Return what a model, or one layer inside it, puts out at every step.

    The model runs once, without gradients, and is left as it was: its hook is removed also if it raises.

    Args:
        model: a module in evaluation mode, or a function of the inputs.
        inputs: (batch, length, ...) handed on as they are.
        layer: dotted name of a layer, as in ``model.named_modules()``; the model's own output if left out.

    Returns:
        (batch, length, features), real or complex: the output, or the first tensor of an output that is a tuple.

    Raises:
        InputError: a module in training mode, a layer that is not there or does not run exactly once, an output that
            is no tensor, or one without an axis of time.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 3), nn.Tanh()).eval()
        >>> record_states(model, torch.zeros(2, 5, 1), layer="0").shape
        torch.Size([2, 5, 3])
    """
    if isinstance(model, nn.Module):
        if any(module.training for module in model.modules()):
            fix = "call model.eval() first: dropout and batch statistics would be measured too"
            reject("model", expected="a module in evaluation mode", got="one in training mode", fix=fix)
    elif not callable(model):
        reject("model", expected="a module or a function", got=type(model).__name__, fix="pass recorded states as such")
    elif layer is not None:
        fix = "leave layer out, or pass the module"
        reject("layer", expected="none for a function", got=repr(layer), fix=fix)
    with torch.no_grad():
        if layer is None or not isinstance(model, nn.Module):
            outputs = [model(inputs)]
        else:
            outputs = _outputs_of(model, layer, inputs)
    if len(outputs) != 1:
        fix = "name the layer around it, or one that sees the whole sequence"
        reject("layer", expected=f"{layer!r} to run once a pass", got=f"{len(outputs)} runs", fix=fix)
    return _over_time(outputs[0], inputs)


def _outputs_of(model: nn.Module, layer: str, inputs: Tensor) -> list[Any]:
    modules = dict(model.named_modules())
    if layer not in modules:
        names = [name for name in modules if name]
        near = difflib.get_close_matches(str(layer), names, n=8, cutoff=0.0)
        reject_unknown("layer", layer, near or ["(no layers inside)"])
    outputs: list[Any] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        found = _first_tensor(output)
        outputs.append(found.clone() if isinstance(found, Tensor) else found)  # a later layer may work in place

    handle = modules[layer].register_forward_hook(keep)
    try:
        model(inputs)
    finally:
        handle.remove()
    return outputs


def _first_tensor(output: Any) -> Any:
    if isinstance(output, (tuple, list)):
        return next((part for part in output if isinstance(part, Tensor)), None)
    return output


def _over_time(output: Any, inputs: Tensor) -> Tensor:
    """Return the tensor in an output, of shape (batch, length, features)."""
    output = _first_tensor(output)
    if not isinstance(output, Tensor):
        fix = "name a layer that puts out a tensor or a tuple that holds one"
        reject("states", expected="a tensor", got=type(output).__name__, fix=fix)
    if output.ndim != 3 or output.shape[:2] != inputs.shape[:2]:
        expected = f"states at every step, of shape {(*inputs.shape[:2], 'features')}".replace("'", "")
        reject("states", expected=expected, got=tuple(output.shape), fix="name a layer before the pooling over time")
    return output.detach()
