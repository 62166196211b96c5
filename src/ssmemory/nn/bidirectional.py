"""A layer from each end of the sequence."""

from __future__ import annotations

from typing import NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.lengths import beyond, check_lengths


class Bidirectional(nn.Module):
    """``y = forward(u) + reverse(backward(reverse(u)))``: every output sees the whole sequence.

    With ``lengths`` each sequence is turned round within its own end. There is no stream to carry on: the backward
    layer begins at the end. So no state is taken, and `step` and `initial_state` refuse in one line.

    Args:
        ahead: the layer that reads from the first step on; any layer of `ssmemory.nn`.
        back: the layer that reads from the last step back, of the same ``d_model``.

    Shape:
        u, y: (batch, length, d_model). State: that of ``ahead`` after the last real step.

    Raises:
        InputError: layers of different width, a state, or a step.

    Example:
        >>> from ssmemory.nn import S4D
        >>> layer = Bidirectional(S4D(4, d_state=8), S4D(4, d_state=8))
        >>> layer(torch.randn(2, 10, 4))[0].shape
        torch.Size([2, 10, 4])
    """

    def __init__(self, ahead: nn.Module, back: nn.Module) -> None:
        super().__init__()
        if ahead.d_model != back.d_model:
            got = f"{ahead.d_model} and {back.d_model}"
            reject("Bidirectional", expected="two layers of one d_model", got=got, fix="make them alike")
        self.ahead, self.back = ahead, back
        self.d_model = ahead.d_model

    def forward(
        self, u: Float[Tensor, "batch length d_model"], state: None = None, lengths: Int[Tensor, "batch"] | None = None
    ) -> tuple[Float[Tensor, "batch length d_model"], Tensor]:
        """Run over whole sequences.

        Args:
            u: the input.
            state: None; there is nothing to carry on from.
            lengths: real steps of each sequence, 1 … length; what lies beyond changes nothing, and y is zero there.

        Returns:
            y, and the state of the layer ahead after the last real step.
        """
        if state is not None:
            self._refuse("a state")
        y, after = self.ahead(u, None, lengths)
        order = _reversed(u, None if lengths is None else check_lengths(lengths, u))
        turned = u.gather(1, order.expand_as(u))
        return y + self.back(turned, None, lengths)[0].gather(1, order.expand_as(y)), after

    def step(self, u_t: Tensor, state: Tensor) -> NoReturn:
        """Refuse: one step alone has no end to read back from.

        Args:
            u_t: an input.
            state: a state.

        Raises:
            InputError: always.
        """
        self._refuse("a single step")

    def initial_state(self, batch_size: int) -> NoReturn:
        """Refuse: see `step`.

        Args:
            batch_size: number of sequences.

        Raises:
            InputError: always.
        """
        self._refuse("a single step")

    def _refuse(self, got: str) -> NoReturn:
        fix = "pass the sequence at once, or use a layer of one direction"
        reject("Bidirectional", expected="a whole sequence and no state", got=got, fix=fix)


def _reversed(u: Tensor, lengths: Tensor | None) -> Tensor:
    """Return (batch or 1, length, 1): for each step the one as far from the sequence's end; beyond it, itself."""
    steps = torch.arange(u.shape[1], device=u.device).view(1, -1, 1)
    if lengths is None:
        return steps.flip(1).expand(len(u), -1, -1)
    return torch.where(beyond(lengths, u), steps, lengths.view(-1, 1, 1) - 1 - steps)
