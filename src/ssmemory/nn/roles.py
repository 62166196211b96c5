"""What a parameter of a layer does: the word by which it is frozen, and given its learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn

Role = Literal["eigenvalues", "input", "gate", "readout"]


def named_roles(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Role | None]]:
    """Yield every parameter with its full name and its role; None outside the recurrent layers.

    A layer states the roles of its own parameters in a class attribute ``roles``, a name to a role.

    Args:
        model: any module.

    Yields:
        Name, parameter, role. A parameter that two modules share comes once.

    Example:
        >>> from ssmemory.nn import S4D
        >>> [role for _, _, role in named_roles(S4D(2, 4))][:3]
        ['eigenvalues', 'eigenvalues', 'eigenvalues']
    """
    seen = set()
    for prefix, module in model.named_modules():
        roles = getattr(module, "roles", {})
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield (f"{prefix}.{name}" if prefix else name), parameter, roles.get(name)
