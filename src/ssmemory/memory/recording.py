"""The states that a model goes through, recorded without changing it."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown


def record_states(
    model: nn.Module | Callable[[Tensor], Any], inputs: Tensor, *, layer: str | None = None, at_once: int | None = None
) -> Tensor:
    """Return what a model, or one layer inside it, puts out at every step.

    The model runs once over every sequence, without gradients, and is left as it was: its hook is removed also if it
    raises.

    Args:
        model: a module in evaluation mode, or a function of the inputs.
        inputs: (batch, length, ...) numbers or token ids, handed on as they are.
        layer: dotted name of a layer, as in ``model.named_modules()``; the model's own output if left out.
        at_once: sequences that go through the model at a time, where all would not fit; all of them if left out.

    Returns:
        (batch, length, features), real or complex: the output, or the tensor in an output that is a tuple, a dict or a
        dataclass: its ``last_hidden_state`` if it has one, else its first tensor.

    Raises:
        InputError: a module in training mode, a layer that is not there or does not run exactly once, an output that
            holds no tensor, or one without an axis of time.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 3), nn.Tanh()).eval()
        >>> record_states(model, torch.zeros(2, 5, 1), layer="0").shape
        torch.Size([2, 5, 3])
    """
    if isinstance(model, nn.Module):
        _require_evaluation(model)
    elif not callable(model):
        reject("model", expected="a module or a function", got=type(model).__name__, fix="pass recorded states as such")
    elif layer is not None:
        reject("layer", expected="none for a function", got=repr(layer), fix="leave layer out, or pass the module")
    if layer is not None and isinstance(model, nn.Module):
        return record_layers(model, inputs, [layer], at_once=at_once)[layer]
    with torch.no_grad():
        return torch.cat([_over_time(model(part), part) for part in _parts(inputs, at_once)])


def record_layers(
    model: nn.Module, inputs: Tensor, layers: Sequence[str] | None = None, *, at_once: int | None = None
) -> dict[str, Tensor]:
    """Return what several layers put out at every step, from a single run of the model.

    Args:
        model: a module in evaluation mode.
        inputs: as in `record_states`.
        layers: their dotted names; every layer that runs once and puts out (batch, length, features) if left out.
        at_once: as in `record_states`.

    Returns:
        The states (batch, length, features) by name, in the order of the names, or of the model.

    Raises:
        InputError: as `record_states`, or no layer puts out (batch, length, features).

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 3), nn.Tanh()).eval()
        >>> {name: x.shape[-1] for name, x in record_layers(model, torch.zeros(2, 5, 1)).items()}
        {'0': 3, '1': 3}
    """
    _require_evaluation(model)
    modules = {name: module for name, module in model.named_modules() if name}
    for name in layers or []:
        if name not in modules:
            near = difflib.get_close_matches(str(name), modules, n=8, cutoff=0.0)
            reject_unknown("layer", name, near or ["(no layers inside)"])
    found: dict[str, list[Tensor]] = {name: [] for name in layers or modules}
    for part in _parts(inputs, at_once):
        outputs = _run(model, part, {name: modules[name] for name in found})
        for name, runs in outputs.items():
            if layers is None and (len(runs) != 1 or not _is_over_time(runs[0], part)):
                del found[name]
                continue
            if len(runs) != 1:
                fix = "name the layer around it, or one that sees the whole sequence"
                reject("layer", expected=f"{name!r} to run once a pass", got=f"{len(runs)} runs", fix=fix)
            found[name].append(_over_time(runs[0], part))
    if not found:
        fix = "name a layer before the pooling over time, or record the model's own output"
        reject("model", expected="a layer that puts out (batch, length, features)", got="none", fix=fix)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _require_evaluation(model: nn.Module) -> None:
    if any(module.training for module in model.modules()):
        fix = "call model.eval() first: dropout and batch statistics would be measured too"
        reject("model", expected="a module in evaluation mode", got="one in training mode", fix=fix)


def _parts(inputs: Tensor, at_once: int | None) -> tuple[Tensor, ...]:
    if at_once is not None and at_once < 1:
        reject("at_once", expected="at least one sequence", got=at_once, fix="leave it out to run all at a time")
    return (inputs,) if at_once is None else inputs.split(at_once)


def _run(model: nn.Module, inputs: Tensor, modules: dict[str, nn.Module]) -> dict[str, list[Any]]:
    """Return what every module put out, run by run."""
    outputs: dict[str, list[Any]] = {name: [] for name in modules}

    def keep(name: str, output: Any) -> None:
        found = _tensor_in(output)
        if isinstance(found, Tensor):  # a later layer may work in place
            found = found.clone() if _is_over_time(found, inputs) else found.new_empty(()).expand(found.shape)
        outputs[name].append(output if found is None else found)

    hooks = [m.register_forward_hook(lambda _, __, out, name=n: keep(name, out)) for n, m in modules.items()]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def _tensor_in(output: Any) -> Any:
    """Return the tensor in an output; its type's other content where it holds none."""
    parts: list[Any] | None = None
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    if isinstance(output, Mapping):
        parts = [output.get("last_hidden_state"), *output.values()]
    elif isinstance(output, (tuple, list)):
        parts = list(output)
    return output if parts is None else next((part for part in parts if isinstance(part, Tensor)), None)


def _is_over_time(output: Any, inputs: Tensor) -> bool:
    return isinstance(output, Tensor) and output.ndim == 3 and output.shape[:2] == inputs.shape[:2]


def _over_time(output: Any, inputs: Tensor) -> Tensor:
    """Return the tensor in an output, of shape (batch, length, features)."""
    found = _tensor_in(output)
    if not isinstance(found, Tensor):
        fix = "name a layer that puts out a tensor, or a tuple, dict or dataclass that holds one"
        reject("states", expected="a tensor", got=f"{type(output).__name__} without one", fix=fix)
    if not _is_over_time(found, inputs):
        expected = f"states at every step, of shape {(*inputs.shape[:2], 'features')}".replace("'", "")
        reject("states", expected=expected, got=tuple(found.shape), fix="name a layer before the pooling over time")
    return found.detach()
