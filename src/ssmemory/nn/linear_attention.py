"""Linear attention: a matrix of keys and values for a state, with or without forgetting."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ssmemory.errors import reject
from ssmemory.nn.checks import check_sizes
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.roles import Role
from ssmemory.ops.linear_attention import linear_attention
from ssmemory.systems import LinearSystem


class LinearAttention(RecurrentLayer):
    """Attention without softmax, so a recurrence: ``S_t = γ S_{t−1} + φ(k_t) v_tᵀ``, ``y_t = Sᵀφ(q) / zᵀφ(q)``.

    Queries, keys and values are linear in u, ``φ = elu + 1`` is positive, and ``z_t = γ z_{t−1} + φ(k_t)`` normalises:
    a head gives a mean of the values seen, weighted by ``γ^(t−j) φ(q_t)·φ(k_j)``. z rides along as one more value,
    constantly 1. The heads' means go side by side through an output matrix.

    Args:
        d_model: number of channels, in and out; the values of a head have d_model/heads.
        d_state: the length of each head's queries and keys: the state directions that every value channel has.
        heads: number of heads, a divisor of d_model.
        decay: one trainable 0 < γ < 1 a head, first 1 − 2^−5, 1 − 2^−6, …; without it γ = 1, and nothing is forgotten.
        generator: source of the parameters; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, heads, d_state, d_model/heads + 1), z its last column.

    Raises:
        InputError: a size below 1, heads that do not divide d_model; at a call, a wrong width, length, dtype or state.

    Numerics:
        γ = exp(−exp(log_rate)) keeps the digits of 1 − γ. A query so far below zero that its weights underflow reads 0.

    Source:
        Katharopoulos et al., Transformers are RNNs (2020), for γ = 1; Sun et al., Retentive network (2023), for γ.

    Example:
        >>> layer = LinearAttention(8, d_state=16, heads=2)
        >>> y, state = layer(torch.randn(2, 10, 8))
        >>> y.shape, state.shape, layer.system().batch_shape
        (torch.Size([2, 10, 8]), torch.Size([2, 2, 16, 5]), torch.Size([2]))
    """

    roles: ClassVar[dict[str, Role]] = {
        "log_rate": "eigenvalues",
        "key": "input",
        "value": "input",
        "query": "readout",
        "output": "readout",
    }
    log_rate: nn.Parameter | None

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        *,
        heads: int = 4,
        decay: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("LinearAttention", d_model, d_state, pairs=False)
        if heads < 1 or d_model % heads:
            got = f"heads={heads}, d_model={d_model}"
            reject("heads", expected="a divisor of d_model", got=got, fix="each head has d_model/heads value channels")
        self.d_model, self.d_state, self.heads = d_model, d_state, heads

        def drawn(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, d_model, generator=generator) / math.sqrt(d_model))

        forgotten = 2.0 ** -(5 + torch.arange(heads, dtype=torch.float64))
        rate = nn.Parameter((-torch.log1p(-forgotten)).log().float()) if decay else None
        self.register_parameter("log_rate", rate)
        self.query, self.key = drawn(heads * d_state), drawn(heads * d_state)
        self.value, self.output = drawn(d_model), drawn(d_model)

    def _log_decay(self) -> Float64[Tensor, " heads"]:
        if self.log_rate is None:
            return torch.zeros(self.heads, dtype=torch.float64, device=self.key.device)
        return -self.log_rate.double().exp()

    def _projected(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return φ(q), φ(k), and v with a last channel of ones, for each head."""
        q, k, v = ((u @ W.mT).unflatten(-1, (self.heads, -1)) for W in (self.query, self.key, self.value))
        return _Positive.apply(q), _Positive.apply(k), torch.nn.functional.pad(v, (0, 1), value=1.0)

    def _mean(self, sums: Tensor) -> Tensor:
        values, weight = sums.split([sums.shape[-1] - 1, 1], -1)
        least = torch.finfo(sums.dtype).tiny ** 0.5  # below it, gradients of the quotient overflow
        weight = weight.where(weight > least, 1)  # else underflow or padding: 0 is read
        return (values / weight).flatten(-2) @ self.output.mT

    def forward(
        self,
        u: Float[Tensor, "batch length d_model"],
        state: Float[Tensor, "batch heads d_state d_value"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_model"], Float[Tensor, "batch heads d_state d_value"]]:
        """Run over a sequence, from ``state`` (zero if left out), and hand back the state after its end.

        Args:
            u: the input; under autocast everything stays in float32.
            state: from `initial_state`, an earlier call, or `step`.
            lengths: real steps of each sequence, 1 … length; what lies beyond changes nothing, and y is zero there.

        Returns:
            y, and the state after the last real step.
        """
        u, state, lengths = self._begin(u, state, lengths)
        with torch.autocast(u.device.type, enabled=False):
            q, k, v = self._projected(u.to(self.key.dtype))
            sums, state = linear_attention(q, k, v, self._log_decay(), state, lengths)
            return self._mean(sums), state

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Float[Tensor, "batch heads d_state d_value"]
    ) -> tuple[Float[Tensor, "batch d_model"], Float[Tensor, "batch heads d_state d_value"]]:
        """Take one step: the same as `forward` over a sequence of length 1.

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the state after it.
        """
        state = self._begin_step(u_t, state)
        with torch.autocast(u_t.device.type, enabled=False):
            q, k, v = self._projected(u_t.to(self.key.dtype))
            decay = self._log_decay().exp().to(state.dtype)[:, None, None]
            state = decay * state + k.unsqueeze(-1) * v.unsqueeze(-2)
            return self._mean((q.unsqueeze(-2) @ state).squeeze(-2)), state

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch heads d_state d_value"]:
        """Return the zero state."""
        return self.key.new_zeros(batch_size, self.heads, self.d_state, self.d_model // self.heads + 1)

    def system(self) -> LinearSystem:
        """Return how long an entry of the state lasts: for each head the scalar recurrence ``x = γ x + u``.

        At a constant key every entry of S is this recurrence, driven by one value channel. So it tells the memory of
        what is written, batched over the heads (heads,), with one eigenvalue γ each; differentiable. It is not the
        layer as a linear system: keys depend on the input, which makes S more than linear in u, different keys are
        stored side by side in d_state directions, and the read-out weighs and normalises. Without decay γ = 1 is on
        the unit circle, and `ssmemory.memory_function` raises `UnstableError`: nothing is forgotten.
        """
        return LinearSystem.from_log_eigenvalues(self._log_decay().unsqueeze(-1))


class _Positive(torch.autograd.Function):
    """φ(x) = elu(x) + 1 without cancellation below zero; φ' = min(φ, 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = torch.exp(x.clamp(max=0)).add_(x.clamp(min=0))
        ctx.save_for_backward(positive)
        return positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.saved_tensors[0].clamp(max=1)
