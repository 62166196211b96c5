"""What every layer does before its recurrence begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ssmemory.nn.checks import check_input, check_state
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.nn.roles import Role


class RecurrentLayer(nn.Module, ABC):
    """A layer ``y, state = layer(u, state, lengths)`` over ``d_model`` channels.

    Attributes:
        d_model: number of channels, in and out.
        roles: what each of its parameters does; see `named_roles`.
    """

    d_model: int
    roles: ClassVar[dict[str, Role]]

    @abstractmethod
    def initial_state(self, batch_size: int) -> Tensor:
        """Return the zero state."""

    def _begin(self, u: Tensor, state: Tensor | None, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return u with zeros beyond the lengths, the state (zero if left out), and the lengths, all checked."""
        check_input(u, self.d_model, 3)
        state = self.initial_state(len(u)) if state is None else self._checked(state, len(u))
        if lengths is not None:
            lengths = check_lengths(lengths, u)
            u = u.masked_fill(beyond(lengths, u), 0)
        return u, state, lengths

    def _begin_step(self, u_t: Tensor, state: Tensor) -> Tensor:
        """Return the state of one step, u_t and it checked."""
        check_input(u_t, self.d_model, 2)
        return self._checked(state, len(u_t))

    def _checked(self, state: Tensor, batch: int) -> Tensor:
        zero = self.initial_state(batch)
        return check_state(state, tuple(zero.shape), zero.dtype)
