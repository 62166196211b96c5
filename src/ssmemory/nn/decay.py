"""How a layer holds real parts that may be zero: projected, so that no step of training makes it unstable."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Decay = Literal["exp", "projected"]


class _NotAboveZero(torch.autograd.Function):
    """``min(x, 0)``, whose gradient is that of x unless descent along it would leave the boundary outwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(max=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad.masked_fill((x >= 0) & (grad < 0), 0)


def not_above_zero(x: Tensor) -> Tensor:
    """Return ``min(x, 0)`` with the gradient projected onto what descent may do there.

    At 0 a gradient that points inwards passes, one that points outwards does not: zero real parts can be learned away
    from 0, and can come back to it. ``−exp`` cannot hold 0, and the gradient of ``−relu`` is 0 there.

    Args:
        x: any real tensor.

    Returns:
        Real parts at or below zero.

    Example:
        >>> x = torch.tensor([0.0, 0.0, -1.0], requires_grad=True)
        >>> (not_above_zero(x) * torch.tensor([1.0, -1.0, -1.0])).sum().backward()
        >>> x.grad.tolist()
        [1.0, 0.0, -1.0]
    """
    return _NotAboveZero.apply(x)
