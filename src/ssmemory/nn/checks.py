"""What every layer asks of its input and state, in one line each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ssmemory.errors import reject


def check_input(u: Tensor, d_model: int, ndim: int) -> None:
    """Raise `InputError` unless u is a floating-point (batch, length, d_model), or (batch, d_model) for ``ndim`` 2."""
    shape = "(batch, length, d_model)" if ndim == 3 else "(batch, d_model)"
    if u.ndim != ndim or u.shape[-1] != d_model or 0 in u.shape:
        expected = f"shape {shape} with d_model = {d_model} and nothing empty"
        reject("u", expected=expected, got=tuple(u.shape), fix="put channels last, as everywhere here")
    if not u.is_floating_point():
        got = str(u.dtype).removeprefix("torch.")
        reject("u", expected="a real floating-point input", got=got, fix="embed or cast it")


def check_state(state: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return the state in ``dtype``, refusing another shape, or a real one for a complex one and the reverse."""
    if (
        tuple(state.shape) != shape
        or state.is_complex() != dtype.is_complex
        or not (state.is_complex() or state.is_floating_point())
    ):
        fix = "pass the state that this layer returned for this batch"
        got = f"{tuple(state.shape)} {str(state.dtype).removeprefix('torch.')}"
        kind = "complex" if dtype.is_complex else "real floating-point"
        reject("state", expected=f"a {kind} {shape}", got=got, fix=fix)
    return state.to(dtype)


def check_sizes(layer: str, d_model: int, d_state: int, *, pairs: bool) -> None:
    """Raise `InputError` unless d_model ≥ 1 and d_state is positive, and even where it counts pairs."""
    if d_model < 1 or d_state < (2 if pairs else 1) or (pairs and d_state % 2):
        expected = "d_model ≥ 1 and an even d_state ≥ 2" if pairs else "d_model ≥ 1 and d_state ≥ 1"
        fix = "d_state counts both halves of every conjugate pair" if pairs else "give both as positive numbers"
        reject(layer, expected=expected, got=f"d_model={d_model}, d_state={d_state}", fix=fix)


def check_steps(dt_min: float, dt_max: float) -> None:
    """Raise `InputError` unless 0 < dt_min ≤ dt_max < ∞."""
    if not 0 < dt_min <= dt_max < math.inf:
        reject("dt_min, dt_max", expected="0 < dt_min ≤ dt_max < ∞", got=f"{dt_min}, {dt_max}", fix="swap or mend them")
