"""Unequal lengths in one batch: which steps are real."""

from __future__ import annotations

import torch
from torch import Tensor

from ssmemory.errors import reject


def beyond(lengths: Tensor, u: Tensor) -> Tensor:
    """Return (batch, length, 1): where a sequence has ended."""
    return (torch.arange(u.shape[1], device=u.device) >= lengths.unsqueeze(-1)).unsqueeze(-1)


def check_lengths(lengths: Tensor, u: Tensor) -> Tensor:
    """Return the lengths as int64 beside u, refusing what is not one whole number in 1 … length a sequence."""
    good = lengths.shape == u.shape[:1] and not lengths.is_floating_point() and not lengths.is_complex()
    if not good or int(lengths.min()) < 1 or int(lengths.max()) > u.shape[1]:
        expected = f"{len(u)} whole numbers in 1 … {u.shape[1]}"
        reject("lengths", expected=expected, got=lengths.tolist(), fix="give the real steps of each sequence")
    return lengths.to(device=u.device, dtype=torch.int64)
