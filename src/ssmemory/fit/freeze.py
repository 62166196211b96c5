"""Which parameters stay as they were initialised, and the proof that they did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ssmemory.errors import SSMemoryError, reject, reject_unknown
from ssmemory.nn import Role, named_roles

FreezeMode = Literal["none", "eigenvalues", "recurrence", "all-but-readout"]

_FROZEN_ROLES: dict[str, set[Role]] = {
    "none": set(),
    "eigenvalues": {"eigenvalues"},
    "recurrence": {"eigenvalues", "input", "gate"},
}


@dataclass(frozen=True)
class Frozen:
    """The parameters that `freeze` froze, with a copy of each as it was.

    Attributes:
        mode: the mode.
        initial: a copy of every frozen parameter, by name.
    """

    mode: FreezeMode
    initial: dict[str, Tensor]

    def check(self, model: nn.Module) -> None:
        """Raise `SSMemoryError` unless every frozen parameter of ``model`` is bit for bit what it was."""
        now = dict(model.named_parameters())
        moved = [name for name, before in self.initial.items() if not torch.equal(now[name].detach().cpu(), before)]
        if moved:
            fix = "something trained past requires_grad; report it"
            got = f"{len(moved)} changed, first {moved[0]}"
            reject("frozen parameters", expected="bit-identical ones", got=got, fix=fix, error=SSMemoryError)


def freeze(model: nn.Module, mode: FreezeMode) -> Frozen:
    """Freeze part of a model, and unfreeze the rest.

    ======================  ==============================================================
    mode                    frozen
    ======================  ==============================================================
    ``"none"``              nothing
    ``"eigenvalues"``       A and dt of every recurrent layer: the paper's reservoir computing
    ``"recurrence"``        A, dt and B (and gates, where a layer has them)
    ``"all-but-readout"``   everything but the last linear map
    ======================  ==============================================================

    Args:
        model: any module; recurrent layers state the roles of their parameters.
        mode: one of the four.

    Returns:
        What was frozen; its `check` asserts later that nothing moved.

    Raises:
        InputError: an unknown mode, a mode that finds nothing to freeze, or no linear map to keep.

    Source:
        arXiv 2510.00563 for ``"eigenvalues"``.

    Example:
        >>> from ssmemory.nn import S4D
        >>> sorted(freeze(S4D(2, 4), "eigenvalues").initial)
        ['A_imag', 'log_A_real', 'log_dt']
    """
    if mode not in get_args(FreezeMode):
        reject_unknown("freeze", mode, get_args(FreezeMode))
    named = list(named_roles(model))
    if mode == "all-but-readout":
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not linear:
            reject("model", expected="a torch.nn.Linear to keep trained", got="none", fix="use another mode")
        kept = {id(parameter) for parameter in linear[-1].parameters()}
        frozen = {name for name, parameter, _ in named if id(parameter) not in kept}
    else:
        frozen = {name for name, _, role in named if role in _FROZEN_ROLES[mode]}
    if mode != "none" and not frozen:
        fix = "recurrent layers of ssmemory.nn name theirs"
        reject("model", expected=f"parameters to freeze in mode {mode!r}", got="none", fix=fix)
    for name, parameter, _ in named:
        parameter.requires_grad_(name not in frozen)
    return Frozen(mode, {name: p.detach().cpu().clone() for name, p, _ in named if name in frozen})
