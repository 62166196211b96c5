"""What a layer carries from step to step, in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ssmemory.errors import InputError, reject
from ssmemory.nn.recurrent import RecurrentLayer


@torch.no_grad()
def state_bytes(layer: RecurrentLayer, length: int) -> int:
    """Return the bytes of the state that a layer hands on after ``length`` steps of one sequence.

    Measured off the state itself, in the precision in which it is kept: 4 bytes a real number and 8 a complex one where
    the parameters are float32, as they are at first. Parameters do not count, nor what a call needs while it
    runs. With d_state as each layer defines it, H = d_model and float32::

        S4D, S4             4 H d_state            a state of d_state numbers a channel
        S5, LRU, LinearRNN  4 d_state              one state for all channels
        LinearAttention     4 d_state (H + heads)  values and their normaliser, for each of d_state keys
        Attention           4 length (2 H + 1)     a key, a value and a mark for every step: the one that grows

    Args:
        layer: a layer of `ssmemory.nn`.
        length: steps, at least 1. Only a layer whose state grows is run over them: O(length²) for Attention.

    Returns:
        Bytes; the same at every length but for layers whose state grows.

    Raises:
        InputError: a length below 1, or a layer that hands on no state.

    Example:
        >>> from ssmemory.nn import S4D, Attention
        >>> state_bytes(S4D(4, d_state=8), 100), state_bytes(Attention(4, heads=1), 100)
        (128, 3600)
    """
    if length < 1:
        reject("length", expected="at least 1 step", got=length, fix="it is how much of a sequence has been read")
    if not isinstance(layer, RecurrentLayer):
        fix = "give one of ssmemory.nn; a Bidirectional layer reads whole sequences"
        reject("layer", expected="a layer that hands on a state", got=type(layer).__name__, fix=fix)
    call: Any = layer
    before = layer.initial_state(1)
    u = before.real.new_zeros(1, length, layer.d_model)
    after = call.step(u[:, 0], before)[1]
    if after.shape != before.shape and length > 1:
        after = call(u)[1]
    return int(after.numel() * after.element_size())


def largest_d_state(make: Callable[[int], RecurrentLayer], most: int) -> int:
    """Return the largest d_state of a layer whose state, proportional to d_state, has at most ``most`` bytes.

    Args:
        make: returns the layer of a d_state.
        most: bytes, at least those of the smallest layer.

    Returns:
        d_state; even where the layer counts conjugate pairs.

    Raises:
        InputError: no layer is as small as that.

    Example:
        >>> from ssmemory.nn import LRU
        >>> largest_d_state(lambda d_state: LRU(4, d_state), 100)
        24
    """
    try:
        smallest, step = make(1), 1
    except InputError:  # d_state counts conjugate pairs
        smallest, step = make(2), 2
    least = state_bytes(smallest, 1)
    if most < least:
        expected = f"at least {least}, the state of {type(smallest).__name__} at d_state {step}"
        reject("bytes", expected=expected, got=most, fix="give more bytes, or fewer channels")
    return step * (most // least)
