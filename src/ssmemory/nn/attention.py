"""Causal softmax attention: the reference whose state is everything it has seen."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.checks import check_input, check_sizes, check_state
from ssmemory.nn.lengths import beyond
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.roles import Role


class Attention(RecurrentLayer):
    """Causal softmax attention, ``y_t = Σ_{j≤t} softmax_j(q_t · k_j / √d) v_j`` a head, with rotary positions.

    Nothing is forgotten, so the state grows by one entry a step, and a step costs as much as there is past: the
    reference for layers whose state has a fixed size. There is no linear system inside, and no eigenvalue to freeze.
    Queries and keys are turned by the angle ``t · 10000^(−2i/d)`` in their i-th plane, so only distances count.

    Args:
        d_model: number of channels, in and out.
        heads: number of heads, each of an even number d = d_model/heads of channels.
        generator: source of the parameters; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, past, 2 d_model + 1): for every entry its key, its value, and 1.
        Sequences of unequal lengths end together: the shorter ones begin with padding, zero throughout.

    Raises:
        InputError: heads that do not divide d_model into even parts; at a call, a wrong width, length, dtype or state.

    Source:
        Vaswani et al., Attention is all you need (2017); Su et al., RoFormer (2021), for the positions.

    Example:
        >>> layer = Attention(8, heads=2)
        >>> y, state = layer(torch.randn(2, 10, 8))
        >>> y.shape, state.shape, layer.step(torch.randn(2, 8), state)[1].shape
        (torch.Size([2, 10, 8]), torch.Size([2, 10, 17]), torch.Size([2, 11, 17]))
    """

    roles: ClassVar[dict[str, Role]] = {"key": "input", "value": "input", "query": "readout", "output": "readout"}

    def __init__(self, d_model: int, *, heads: int = 4, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_sizes("Attention", d_model, 1, pairs=False)
        if heads < 1 or d_model % (2 * heads):
            got = f"heads={heads}, d_model={d_model}"
            reject(
                "heads", expected="d_model/heads whole and even", got=got, fix="rotary positions turn pairs of channels"
            )
        self.d_model, self.heads = d_model, heads

        def drawn() -> nn.Parameter:
            return nn.Parameter(torch.randn(d_model, d_model, generator=generator) / math.sqrt(d_model))

        self.query, self.key, self.value, self.output = drawn(), drawn(), drawn(), drawn()

    def forward(
        self,
        u: Float[Tensor, "batch length d_model"],
        state: Float[Tensor, "batch past entry"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_model"], Float[Tensor, "batch longer entry"]]:
        """Run over a sequence after the past in ``state`` (none if left out), and hand back the longer past.

        Args:
            u: the input; under autocast everything stays in float32.
            state: from `initial_state`, an earlier call, or `step`.
            lengths: real steps of each sequence, 1 … length; what lies beyond changes nothing, and y is zero there.

        Returns:
            y, and the past after the last real step, of length past + length.
        """
        u, state, lengths = self._begin(u, state, lengths)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.key.dtype)
            entries = torch.nn.functional.pad(torch.cat([u @ self.key.mT, u @ self.value.mT], -1), (0, 1), value=1.0)
            seen = torch.cat([state, entries], 1)
            y = self._attend(u @ self.query.mT, seen) @ self.output.mT
            if lengths is None:
                return y, seen
            return y.masked_fill(beyond(lengths, u), 0), _shifted(seen, u.shape[1] - lengths)

    def _attend(self, q: Tensor, seen: Tensor) -> Float[Tensor, "batch length d_model"]:
        """Return each head's mean of the values, for queries that belong to the last of the entries."""
        length, total = q.shape[1], seen.shape[1]
        k, v, present = seen.split([self.d_model, self.d_model, 1], -1)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        positions = torch.arange(total, device=q.device)
        q, k, mask = _turned(q, positions[total - length :]), _turned(k, positions), None
        if total > length:
            visible = present.transpose(1, 2) > 0  # (batch, 1, total); the padding of this call is never in sight
            mask = (visible & (positions <= positions[total - length :, None])).unsqueeze(1)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return y.transpose(1, 2).flatten(2)

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Float[Tensor, "batch past entry"]
    ) -> tuple[Float[Tensor, "batch d_model"], Float[Tensor, "batch longer entry"]]:
        """Take one step: the same as `forward` over a sequence of length 1; O(past).

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the past with it.
        """
        check_input(u_t, self.d_model, 2)
        y, state = self.forward(u_t.unsqueeze(1), state)
        return y.squeeze(1), state

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch 0 entry"]:
        """Return the empty past."""
        return self.key.new_zeros(batch_size, 0, 2 * self.d_model + 1)

    def _checked(self, state: Tensor, batch: int) -> Tensor:
        past = state.shape[1] if state.ndim == 3 else 0
        return check_state(state, (batch, past, 2 * self.d_model + 1), self.key.dtype)


def _turned(x: Float[Tensor, "batch heads length d"], positions: Tensor) -> Float[Tensor, "batch heads length d"]:
    """Turn the plane of channels i and i + d/2 by position · 10000^(−2i/d), the angles in double precision."""
    half = x.shape[-1] // 2
    planes = torch.arange(half, dtype=torch.float64, device=x.device)
    angles = positions.unsqueeze(-1) * 10_000 ** (-planes / half)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.split(half, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def _shifted(seen: Tensor, by: Tensor) -> Tensor:
    """Shift each sequence right, so that padding at its end leaves, and as much comes in at its beginning."""
    source = (torch.arange(seen.shape[1], device=seen.device) - by.unsqueeze(-1)).unsqueeze(-1)
    return seen.gather(1, source.clamp(min=0).expand_as(seen)).masked_fill(source < 0, 0)
