"""What S5 and LRU share: one diagonal system whose inputs and outputs are all the channels."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.ops.diagonal_mimo import diagonal_mimo_ssm
from ssmemory.systems import LinearSystem


class DiagonalMIMO(RecurrentLayer):
    """``x[t] = λ x[t−1] + B u[t]``, ``y = 2 Re(C x) + D u``; a layer says how it holds λ and B.

    Attributes:
        d_state: full real state size of the layer.
        C: (d_model, d_state/2, 2), real view of complex numbers.
        D: (d_model,).
    """

    d_state: int
    C: Tensor
    D: Tensor

    @abstractmethod
    def _discrete(self) -> tuple[Complex[Tensor, " n"], Complex[Tensor, "n d_model"]]:
        """Return log λ in double precision, and B in discrete time."""

    def forward(
        self,
        u: Float[Tensor, "batch length d_model"],
        state: Complex[Tensor, "batch n"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_model"], Complex[Tensor, "batch n"]]:
        """Run over a sequence, from ``state`` (zero if left out), and hand back the state after its end.

        Args:
            u: the input; under autocast the recurrence stays in float32.
            state: from `initial_state`, an earlier call, or `step`.
            lengths: real steps of each sequence, 1 … length; what lies beyond changes nothing, and y is zero there.

        Returns:
            y, and the state after the last real step.
        """
        u, state, lengths = self._begin(u, state, lengths)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.D.dtype)
            log_eigenvalues, B = self._discrete()
            C = torch.view_as_complex(self.C)
            return diagonal_mimo_ssm(u, log_eigenvalues, B, C, self.D, state, lengths)

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Complex[Tensor, "batch n"]
    ) -> tuple[Float[Tensor, "batch d_model"], Complex[Tensor, "batch n"]]:
        """Take one step: the same as `forward` over a sequence of length 1, in O(d_model · d_state).

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the state after it.
        """
        state = self._begin_step(u_t, state)
        with torch.autocast(u_t.device.type, enabled=False):
            u_t = u_t.to(self.D.dtype)
            log_eigenvalues, B = self._discrete()
            state = torch.exp(log_eigenvalues).to(B.dtype) * state + u_t.to(B.dtype) @ B.mT
            return 2 * (state @ torch.view_as_complex(self.C).mT).real + self.D * u_t, state

    def initial_state(self, batch_size: int) -> Complex[Tensor, "batch n"]:
        """Return the zero state."""
        return torch.zeros(batch_size, self.d_state // 2, dtype=self.D.dtype.to_complex(), device=self.D.device)

    def system(self) -> LinearSystem:
        """Return the linear system inside, with d_model inputs and outputs; differentiable."""
        log_eigenvalues, B = self._discrete()
        C, D = torch.view_as_complex(self.C), torch.diag(self.D)
        return LinearSystem.from_log_eigenvalues(log_eigenvalues, B, C, D, conj_sym=True)
