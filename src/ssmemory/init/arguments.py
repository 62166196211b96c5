"""What every initialiser asks of its arguments, each refusal one clear line."""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from ssmemory.errors import reject


def whole_number(name: str, value: Any, *, least: int, fix: str) -> int:
    """Return ``value`` as an int, or raise `InputError` unless it is a whole number of at least ``least``."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        reject(name, expected=f"a whole number of at least {least}", got=repr(value), fix=fix)
    return number


def real_number(name: str, value: Any, expected: str, holds: Callable[[float], bool], *, fix: str) -> float:
    """Return ``value`` as a float, or raise `InputError` unless it is a real number for which ``holds``."""
    if isinstance(value, Real) and not isinstance(value, bool) and holds(float(value)):
        return float(value)
    return reject(name, expected=expected, got=repr(value), fix=fix)


def state_size(d_state: Any) -> int:
    """Return a state size of at least 1."""
    return whole_number("d_state", d_state, least=1, fix="it is the full real state size, such as 64")


def pair_count(d_state: Any, *, least: int = 2) -> int:
    """Return how many conjugate pairs make up an even state size."""
    size = whole_number("d_state", d_state, least=least, fix="it counts both halves of every conjugate pair")
    if size % 2:
        fix = f"modes come in conjugate pairs: use {size - 1} or {size + 1}"
        reject("d_state", expected="an even number", got=size, fix=fix)
    return size // 2


def window(length: Any) -> int:
    """Return a window of at least 2 steps."""
    return whole_number("length", length, least=2, fix="it is the number of steps to remember, such as 1000")


def modulus(name: str, value: Any, *, above: float = 0.0) -> float:
    """Return an eigenvalue modulus strictly between ``above`` and 1."""
    fix = "a modulus below 1 keeps the system stable"
    return real_number(name, value, f"{above:g} < {name} < 1", lambda r: above < r < 1, fix=fix)


def random_generator(seed: Any) -> torch.Generator:
    """Return a generator seeded with a whole number below 2**64; the global one is never touched."""
    number = whole_number("seed", seed, least=0, fix="the same seed draws the same system")
    if number >= 2**64:
        reject("seed", expected="a whole number below 2**64", got=number, fix="use a smaller one")
    return torch.Generator().manual_seed(number)


def batch_shape(channels: Any) -> tuple[int, ...]:
    """Return ``()`` for None, else ``(channels,)``."""
    if channels is None:
        return ()
    return (whole_number("channels", channels, least=1, fix="leave it out for one system"),)
