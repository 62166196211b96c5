"""S4D: a bank of diagonal state-space models, one a channel, with every spectrum."""

from __future__ import annotations

import math
from typing import ClassVar, get_args

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject_unknown
from ssmemory.init import Advice
from ssmemory.nn.checks import check_sizes, check_steps
from ssmemory.nn.decay import Decay, not_above_zero
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.roles import Role
from ssmemory.nn.spectra import SpectrumInit, continuous_modes, log_uniform, taken
from ssmemory.ops import diagonal_ssm
from ssmemory.systems import Discretization, LinearSystem, discretize_diagonal
from ssmemory.systems.discretization import check_discretization


class S4D(RecurrentLayer):
    """A diagonal state-space layer: ``x' = A x + B u`` sampled every dt, ``y = 2 Re(C x) + D u``, for each channel.

    ``d_state`` is the full real state size: d_state/2 conjugate pairs a channel (others' N may count pairs).
    A has no positive real parts by construction: ``A = −exp(log_A_real) + i A_imag``, or with ``decay="projected"``
    ``A = min(A_real, 0) + i A_imag``, which holds zero and can be trained there. Step dt = exp(log_dt).

    Args:
        d_model: number of channels, in and out.
        d_state: full real state size of each channel, even.
        init: an initialiser's name (`ssmemory.init.INITIALISERS`, those of the form f(d_state, dt)), such a
            function, a `LinearSystem` with ``conj_sym``, one for all channels or batched (d_model,), or the `Advice` of
            `ssmemory.init.from_data`, whose step and discretization are taken too.
        dt_min: smallest initial step; steps are log-uniform between the two, one a channel.
        dt_max: largest initial step. Set equal to dt_min for one step in all channels.
        discretization: "zoh" or "bilinear"; "zoh", or the advice's, if left out.
        decay: how real parts are held: "exp" or "projected". If left out, projected where the initial ones are zero.
        generator: source of the random steps and of C; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, d_model, d_state/2), complex.

    Raises:
        InputError: odd d_state, dt out of order, an unknown or unsuitable initialiser; at a call, a wrong width,
            length, dtype or state.

    Source:
        Gu, Gupta, Goel, Ré, On the parameterization and initialization of diagonal state space models (2022).

    Example:
        >>> layer = S4D(4, d_state=16)
        >>> y, state = layer(torch.randn(2, 10, 4))
        >>> y.shape, state.shape, layer.system().d_state
        (torch.Size([2, 10, 4]), torch.Size([2, 4, 8]), 16)
    """

    roles: ClassVar[dict[str, Role]] = {
        "log_dt": "eigenvalues",
        "log_A_real": "eigenvalues",
        "A_real": "eigenvalues",
        "A_imag": "eigenvalues",
        "B": "input",
        "C": "readout",
        "D": "readout",
    }

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        *,
        init: SpectrumInit = "s4d_lin",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        discretization: Discretization | None = None,
        decay: Decay | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("S4D", d_model, d_state, pairs=True)
        if decay not in (None, *get_args(Decay)):
            reject_unknown("decay", str(decay), get_args(Decay))
        if isinstance(init, Advice):
            init, discretization, dt_min, dt_max = taken(init, discretization, dt_min, dt_max)
        discretization = "zoh" if discretization is None else discretization
        check_discretization(discretization)
        check_steps(dt_min, dt_max)
        self.d_model, self.d_state, self.discretization = d_model, d_state, discretization
        log_dt = log_uniform(dt_min, dt_max, d_model, generator)
        A = continuous_modes(init, d_state, log_dt.double().exp(), discretization, zero_allowed=decay != "exp")
        if decay is None:
            decay = "projected" if bool((A.real == 0).any()) else "exp"
        self.log_dt = nn.Parameter(log_dt)
        self.log_A_real = nn.Parameter((-A.real).log().float()) if decay == "exp" else None
        self.A_real = nn.Parameter(A.real.float()) if decay == "projected" else None
        self.A_imag = nn.Parameter(A.imag.float())
        self.B = nn.Parameter(torch.view_as_real(torch.ones(d_model, d_state // 2, dtype=torch.complex64)).clone())
        C = torch.randn(d_model, d_state // 2, 2, generator=generator) * math.sqrt(0.5)
        self.C = nn.Parameter(C)
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _discrete(
        self,
    ) -> tuple[Complex[Tensor, "d_model n"], Complex[Tensor, "d_model n"], Complex[Tensor, "d_model n"]]:
        """Return log λ in double precision, λ, and B_bar."""
        A = torch.complex(self._real_parts(), self.A_imag.double())
        dt = self.log_dt.double().exp().unsqueeze(-1)
        log_eigenvalues, scale = discretize_diagonal(A, dt, self.discretization)
        eigenvalues = 1 + A * scale  # by either discretisation, and cheaper than one more exponential
        dtype = self.B.dtype.to_complex()
        return log_eigenvalues, eigenvalues.to(dtype), torch.view_as_complex(self.B) * scale.to(dtype)

    def _real_parts(self) -> Float[Tensor, "d_model n"]:
        if self.log_A_real is not None:
            return -self.log_A_real.double().exp()
        assert self.A_real is not None
        return not_above_zero(self.A_real.double())

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
            log_eigenvalues, _, B = self._discrete()
            y, state = diagonal_ssm(u, log_eigenvalues, B, torch.view_as_complex(self.C), state, lengths)
            return y + self.D * u, state

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Complex[Tensor, "batch d_model n"]
    ) -> tuple[Float[Tensor, "batch d_model"], Complex[Tensor, "batch d_model n"]]:
        """Take one step: the same as `forward` over a sequence of length 1, in O(d_model · d_state).

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the state after it.
        """
        state = self._begin_step(u_t, state)
        _, eigenvalues, B = self._discrete()
        u_t = u_t.to(self.D.dtype)
        state = eigenvalues * state + B * u_t.unsqueeze(-1)
        return 2 * (torch.view_as_complex(self.C) * state).sum(-1).real + self.D * u_t, state

    def initial_state(self, batch_size: int) -> Complex[Tensor, "batch d_model n"]:
        """Return the zero state."""
        dtype = self.D.dtype.to_complex()
        return torch.zeros(batch_size, self.d_model, self.d_state // 2, dtype=dtype, device=self.D.device)

    def system(self) -> LinearSystem:
        """Return the linear systems inside, batched over the channels (d_model,); differentiable."""
        log_eigenvalues, _, B = self._discrete()
        C = torch.view_as_complex(self.C)
        return LinearSystem.from_log_eigenvalues(log_eigenvalues, B, C, self.D, conj_sym=True)
