"""A view on its way to another process: joblib copies what overlaps again and again, and misreads negative strides."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]
Packed = tuple[Array, tuple[int, ...], tuple[int, ...], tuple[slice, ...]]


def packed(view: Array) -> Packed | None:
    """Return the numbers that a view covers, each once and in their order, and how to cut it from them again.

    Args:
        view: any array.

    Returns:
        What `unpacked` takes; None where the view goes forward and does not overlap itself, so that nothing is gained.
    """
    low, high = byte_bounds(view)
    if not view.size or (high - low >= view.nbytes and min(view.strides, default=0) >= 0):
        return None
    onward = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in view.strides)
    forward = view[onward]
    covered = as_strided(forward, ((high - low) // view.itemsize,), (view.itemsize,), writeable=False)
    return covered, forward.shape, forward.strides, onward


def unpacked(parts: Packed) -> Array:
    """Return the view again.

    Args:
        parts: from `packed`.

    Returns:
        A view of the numbers, not to be written to.
    """
    covered, shape, strides, onward = parts
    return as_strided(covered, shape, strides, writeable=False)[onward]
