"""What is to be learned, and by what."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.systems import LinearSystem


def read_teacher(teacher: Any, horizon: int | None) -> Tensor:
    """Return the teacher's kernel ``α*[τ]`` as a vector in double precision.

    Args:
        teacher: (T,) real or complex numbers, entry τ the weight of the input of τ steps ago.
        horizon: the longest kernel allowed, if any.

    Returns:
        (T,) float64 or complex128.

    Raises:
        InputError: not one vector of finite numbers, all zero, or longer than the horizon.
    """
    fix = "give one weight a lag, lag 0 first"
    try:
        kernel = torch.as_tensor(np.asarray(teacher.detach().cpu() if isinstance(teacher, Tensor) else teacher))
    except (TypeError, ValueError):
        reject("teacher", expected="numbers", got=" ".join(repr(teacher).split())[:60], fix=fix)
    kernel = kernel.to(torch.complex128 if kernel.is_complex() else torch.float64)
    if kernel.ndim != 1 or len(kernel) == 0:
        reject("teacher", expected="one vector, a weight a lag", got=f"shape {tuple(kernel.shape)}", fix=fix)
    if not bool(torch.isfinite(kernel).all()):
        reject(
            "teacher", expected="finite weights", got=f"{int((~torch.isfinite(kernel)).sum())} NaN or infinite", fix=fix
        )
    if not bool(kernel.any()):
        reject("teacher", expected="a weight that is not zero", got="zeros only", fix="there is nothing to learn")
    if horizon is not None and len(kernel) > horizon:
        fix = "cut the teacher to the horizon, or lengthen that"
        reject("teacher", expected=f"at most horizon = {horizon} lags", got=len(kernel), fix=fix)
    return kernel


def one_input_system(system: Any, *, batched: bool = False) -> LinearSystem:
    """Return the system, refusing what has not one input, or a batch where one system is wanted."""
    if not isinstance(system, LinearSystem):
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix="ask a layer for its .system()")
    if system.n_inputs != 1:
        reject("system", expected="one input channel", got=system.n_inputs, fix="take one input at a time")
    if system.batch_shape and not batched:
        fix = "take one system of the batch"
        reject("system", expected="one system", got=f"a batch {tuple(system.batch_shape)}", fix=fix)
    return system


def energy(kernel: Tensor) -> float:
    """Return ``‖α‖²``."""
    return float(kernel.abs().square().sum())
