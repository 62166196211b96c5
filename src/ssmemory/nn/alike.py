"""Layers by their names, of one state size or of as many bytes of state."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ssmemory.errors import reject, reject_unknown
from ssmemory.nn.attention import Attention
from ssmemory.nn.backbone import LAYERS
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.state_bytes import largest_d_state, state_bytes

LARGEST_STATE = 2048  # beyond it a memory function takes hours
BY_CLASS = {layer.__name__: layer for layer in LAYERS.values()}


@dataclass(frozen=True, eq=False)
class SizedLayer:
    """A new layer as it starts, and how much it keeps.

    Attributes:
        name: NAME or NAME:INIT, as it was asked for.
        layer: the layer.
        steps: for `Attention`, how many of the latest steps it keeps; else None.
    """

    name: str
    layer: RecurrentLayer
    steps: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes of its state; see `state_bytes`."""
        return state_bytes(self.layer, self.steps or 1)


def layers_alike(
    names: Sequence[str], *, d_model: int, d_state: int | None = None, most_bytes: int | None = None,
    steps: int = 1000, seed: int = 0,
) -> list[SizedLayer]:  # fmt: skip
    """Make the named layers, of one d_state, or each as large as a number of bytes of state allows.

    Args:
        names: class names such as "S4D", or those of `LAYERS`; with an initialiser as "S4D:s4d_inv".
        d_model: channels of each.
        d_state: the state size of all, as each layer defines it; or else
        most_bytes: what the state of each may have: d_state, and the steps of Attention, are the largest that fit.
        steps: what Attention keeps where ``d_state`` is given.
        seed: seeds the initial values of each layer.

    Returns:
        The layers, in order; heads, of those that have some, are 4, 2 or 1: the first that divides d_model.

    Raises:
        InputError: no or unknown names, a name twice, both or neither of d_state and most_bytes, or a size that a
            layer refuses.

    Example:
        >>> [(sized.name, sized.bytes) for sized in layers_alike(["LRU", "Attention"], d_model=4, most_bytes=400)]
        [('LRU', 400), ('Attention', 396)]
    """
    if not names or len(set(names)) < len(names):
        reject("layers", expected="one or more, none twice", got=", ".join(names) or "none", fix="name each once")
    if (d_state is None) == (most_bytes is None):
        got = "neither" if d_state is None else "both"
        reject("d_state", expected="it, or a number of bytes", got=got, fix="name one of them")
    return [_sized(name, d_model, d_state, most_bytes, steps, seed) for name in names]


def _sized(
    name: str, d_model: int, d_state: int | None, most_bytes: int | None, steps: int, seed: int
) -> SizedLayer:  # fmt: skip
    word, _, init = name.partition(":")
    layer = BY_CLASS.get(word) or LAYERS.get(word)
    if layer is None:
        reject_unknown("layer", word, BY_CLASS)
    taken = inspect.signature(layer).parameters
    options: dict[str, object] = {}
    if init:
        if "init" not in taken or isinstance(taken["init"].default, type(None)):
            fix = "leave out what follows the colon"
            reject("init", expected=f"none, as {word} takes none by name", got=repr(init), fix=fix)
        options["init"] = init
    if "heads" in taken:
        even = 2 if layer is Attention else 1
        options["heads"] = next((heads for heads in (4, 2) if d_model % (even * heads) == 0), 1)

    def make(size: int | None) -> RecurrentLayer:
        if size is not None and size > LARGEST_STATE:
            reject("d_state", expected=f"at most {LARGEST_STATE}", got=f"{size} for {name}", fix="take a smaller state")
        generator = torch.Generator().manual_seed(seed)
        sized = {} if size is None else {"d_state": size}
        made: RecurrentLayer = layer(d_model, **sized, **options, generator=generator)
        return made.requires_grad_(False)

    if layer is Attention:
        made = make(None)
        if most_bytes is None:
            return SizedLayer(name, made, steps)
        entry = state_bytes(made, 1)
        if most_bytes < entry:
            reject("bytes", expected=f"at least {entry}, one step of {name}", got=most_bytes, fix="give more bytes")
        return SizedLayer(name, made, most_bytes // entry)
    if d_state is None:
        assert most_bytes is not None
        d_state = largest_d_state(make, most_bytes)
    return SizedLayer(name, make(d_state))
