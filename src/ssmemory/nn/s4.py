"""S4: a bank of dense state-space models, one a channel, held as diagonal plus low rank."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ssmemory.init.nplr import nplr
from ssmemory.nn.checks import check_sizes, check_steps
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.roles import Role
from ssmemory.nn.spectra import log_uniform
from ssmemory.ops.dense import dense_ssm
from ssmemory.ops.dplr import DiscreteDPLR, dplr_bilinear, interleaved
from ssmemory.systems import LinearSystem

LEAST_DECAY = 1e-4  # per unit of time; see S4's docstring


class S4(RecurrentLayer):
    """A state-space layer with a dense A of structure: ``x' = (Λ − P P*) x + B u`` sampled every dt, ``y = C x + D u``.

    ``d_state`` is the full real state size: everything comes in d_state/2 conjugate pairs, of which the parameters
    and the state hold one half, so that ``P P* x`` is ``P · 2 Re(P* x)`` and ``C x`` is ``2 Re(C x)`` of that half.
    Stable whatever the parameters are: ``Λ = −exp(log_A_real) + i A_imag``, so ``A + A* < 0``, and the bilinear rule
    makes of that an A_bar that shortens every vector. Step dt = exp(log_dt).

    The initial A and B are those of HiPPO in another basis, and so the impulse responses are of the same span:
    `init.hippo_legs` decays like e^{−t} in time in which 1/dt steps are one unit, `init.hippo_legt` and
    `init.hippo_fout` hold a window of one unit. These two have Re Λ = 0, which −exp cannot reach: there Λ starts at
    −1e-4, which multiplies the continuous impulse response by e^{−1e-4 t}: by 0.9999 at the window's end.

    Args:
        d_model: number of channels, in and out.
        d_state: full real state size of each channel, even.
        init: "hippo_legs" (P of rank 1), "hippo_legt" (rank 2) or "hippo_fout" (rank 1).
        dt_min: smallest initial step; steps are log-uniform between the two, one a channel.
        dt_max: largest initial step. Set equal to dt_min for one step in all channels.
        generator: source of the random steps and of C; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, d_model, d_state/2), complex.

    Raises:
        InputError: odd d_state, dt out of order, another initialiser; at a call, a wrong width, length, dtype or state.

    Numerics:
        The matrices are formed in float64 from the parameters. Rounding these to float32 moves the impulse response
        by 1e-6 of its largest tap and the memory function of LegS by 5e-8 (64 states, dt 0.02), although the
        eigenvalues of LegS move by far more.

    Source:
        Gu, Goel, Ré, Efficiently modeling long sequences with structured state spaces (2022); Gu et al., How to
        train your HiPPO (2023). The sequence runs in chunks of dense matrix products, not through a Cauchy kernel.

    Example:
        >>> layer = S4(4, d_state=16)
        >>> y, state = layer(torch.randn(2, 10, 4))
        >>> y.shape, state.shape, layer.system().d_state
        (torch.Size([2, 10, 4]), torch.Size([2, 4, 8]), 16)
    """

    roles: ClassVar[dict[str, Role]] = {
        "log_dt": "eigenvalues",
        "log_A_real": "eigenvalues",
        "A_imag": "eigenvalues",
        "P": "eigenvalues",
        "B": "input",
        "C": "readout",
        "D": "readout",
    }

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        *,
        init: str = "hippo_legs",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("S4", d_model, d_state, pairs=True)
        check_steps(dt_min, dt_max)
        self.d_model, self.d_state = d_model, d_state
        form = nplr(init, d_state)

        def in_every_channel(values: Tensor) -> nn.Parameter:
            real = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
            return nn.Parameter(real.float().expand(d_model, *real.shape).clone())

        self.log_dt = nn.Parameter(log_uniform(dt_min, dt_max, d_model, generator))
        self.log_A_real = in_every_channel((-form.eigenvalues.real).clamp(min=LEAST_DECAY).log())
        self.A_imag = in_every_channel(form.eigenvalues.imag)
        self.P = in_every_channel(form.P.mT)
        self.B = in_every_channel(form.B)
        C = torch.randn(d_model, d_state // 2, 2, generator=generator) * math.sqrt(0.5)
        self.C = nn.Parameter(C)
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _discrete(self) -> DiscreteDPLR:
        """Return the system in discrete time, in double precision."""
        A = torch.complex(-self.log_A_real.double().exp(), self.A_imag.double())
        P, B = torch.view_as_complex(self.P.double()).mT, torch.view_as_complex(self.B.double())
        return dplr_bilinear(A, P, B, self.log_dt.double().exp())

    def _row(self) -> Float[Tensor, "d_model d_state"]:
        """Return C as a real row on (Re x_0, Im x_0, Re x_1, …)."""
        return 2 * interleaved(torch.view_as_complex(self.C).conj())

    def forward(
        self,
        u: Float[Tensor, "batch length d_model"],
        state: Complex[Tensor, "batch d_model n"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_model"], Complex[Tensor, "batch d_model n"]]:
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
            A, B = self._discrete().matrices()
            y, last = dense_ssm(u, A, B, self._row(), interleaved(state), lengths)
            return y + self.D * u, torch.view_as_complex(last.unflatten(-1, (-1, 2)))

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Complex[Tensor, "batch d_model n"]
    ) -> tuple[Float[Tensor, "batch d_model"], Complex[Tensor, "batch d_model n"]]:
        """Take one step: the same as `forward` over a sequence of length 1, in O(d_model · d_state · rank).

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the state after it.
        """
        state = self._begin_step(u_t, state)
        with torch.autocast(u_t.device.type, enabled=False):
            u_t = u_t.to(self.D.dtype)
            state = self._discrete().step(u_t, state)
            return 2 * (torch.view_as_complex(self.C) * state).sum(-1).real + self.D * u_t, state

    def initial_state(self, batch_size: int) -> Complex[Tensor, "batch d_model n"]:
        """Return the zero state."""
        dtype = self.D.dtype.to_complex()
        return torch.zeros(batch_size, self.d_model, self.d_state // 2, dtype=dtype, device=self.D.device)

    def system(self) -> LinearSystem:
        """Return the linear systems inside, dense and real, batched over the channels (d_model,); differentiable."""
        A, B = self._discrete().matrices()
        return LinearSystem.from_matrices(A, B, self._row(), self.D)
