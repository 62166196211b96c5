"""Optimiser groups: eigenvalues and steps learn at a rate of their own and are not decayed."""

from __future__ import annotations

from typing import Any

from torch import nn

from ssmemory.errors import reject
from ssmemory.nn.roles import named_roles


def param_groups(model: nn.Module, lr: float, ssm_lr: float = 1e-3, weight_decay: float = 0.01) -> list[dict[str, Any]]:
    """Return the groups to hand to a torch optimiser; frozen parameters are left out.

    Args:
        model: any module that may contain layers of `ssmemory.nn`.
        lr: learning rate of all ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt, B and gates, usually smaller than ``lr``.
        weight_decay: decay of ordinary parameters of two dimensions or more; the others are not decayed.

    Returns:
        Up to three groups: ordinary, ordinary without decay (biases, norms), recurrent without decay.

    Raises:
        InputError: nothing is left to train, or a rate is negative.

    Source:
        The S4 authors' recipe; leaving it out costs tens of points of accuracy on sequential images.

    Example:
        >>> from ssmemory.nn import S4D
        >>> groups = param_groups(S4D(2, 4), lr=1e-2, ssm_lr=1e-3)
        >>> [group["lr"] for group in groups]
        [0.01, 0.01, 0.001]
    """
    if not all(rate >= 0 for rate in (lr, ssm_lr, weight_decay)):  # also where one is NaN
        got = f"lr={lr}, ssm_lr={ssm_lr}, weight_decay={weight_decay}"
        reject("param_groups", expected="rates ≥ 0", got=got, fix="give each as a number such as 0.001")
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    recurrent: list[nn.Parameter] = []
    for _, parameter, role in named_roles(model):
        if not parameter.requires_grad:
            continue
        if role in ("eigenvalues", "input", "gate"):
            recurrent.append(parameter)
        else:
            (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups = [
        {"params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"params": plain, "lr": lr, "weight_decay": 0.0},
        {"params": recurrent, "lr": ssm_lr, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        reject("model", expected="at least one parameter to train", got="none", fix="unfreeze something")
    return groups
