"""Where does NaN come from? A debug mode that names the layer, the sequence and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ssmemory.errors import reject


@contextmanager
def detect_nan(model: nn.Module) -> Iterator[None]:
    """Raise at the first NaN or infinity that enters or leaves a module, naming it and the step.

    A debug mode: every tensor that passes is read once more. Gradients are the business of
    `torch.autograd.detect_anomaly`.

    Args:
        model: any module; the calls of all modules in it are watched while the block runs.

    Yields:
        Nothing.

    Raises:
        InputError: in the block, at the first value that is not finite. It names the module, and the first step where
            a tensor of shape (batch, length, …) is not finite.

    Example:
        >>> from ssmemory.nn import S4D
        >>> u = torch.zeros(2, 10, 4)
        >>> u[1, 7, 2] = torch.nan
        >>> layer = S4D(4, d_state=8)
        >>> with detect_nan(layer):
        ...     layer(u)
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: input of S4D: expected finite values, got nan at step 7 of sequence 1; ...
    """
    handles = []
    for name, module in model.named_modules():
        told = name or type(module).__name__
        handles.append(module.register_forward_pre_hook(_before(told)))
        handles.append(module.register_forward_hook(_after(told)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(name: str) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, arguments: Any) -> None:
        _check(f"input of {name}", arguments, "look at what makes this input, or fill the gaps in your data")

    return hook


def _after(name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, arguments: Any, result: Any) -> None:
        bad = [key for key, parameter in module.named_parameters() if not _finite(parameter)]
        fix = f"its parameter {bad[0]} is not finite" if bad else "its input was finite, its parameters are: lower lr"
        _check(f"output of {name}", result, fix)

    return hook


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())


def _check(what: str, values: Any, fix: str) -> None:
    """Look through tensors, and tuples and lists of them, in order."""
    if isinstance(values, (tuple, list)):
        for value in values:
            _check(what, value, fix)
    elif isinstance(values, Tensor) and (values.is_floating_point() or values.is_complex()) and not _finite(values):
        where = (~torch.isfinite(values.detach())).nonzero()
        first = where[where[:, 1].argmin()] if values.ndim > 2 else where[0]
        value = values.detach()[tuple(first)].item()
        place = f"step {int(first[1])} of sequence {int(first[0])}" if values.ndim > 2 else f"entry {first.tolist()}"
        reject(what, expected="finite values", got=f"{value} at {place}", fix=fix)
