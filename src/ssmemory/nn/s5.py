"""S5: one diagonal state-space model whose inputs and outputs are all the channels."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.checks import check_input, check_sizes, check_state, check_steps
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.nn.roles import Role
from ssmemory.nn.spectra import SpectrumInit, continuous_modes, log_uniform
from ssmemory.ops.scan import diagonal_mimo_ssm
from ssmemory.systems import Discretization, LinearSystem, discretize_diagonal
from ssmemory.systems.discretization import check_discretization


class S5(nn.Module):
    """A state-space layer of one system: ``x' = A x + B u`` sampled every dt, ``y = 2 Re(C x) + D u``, A diagonal.

    ``d_state`` is the full real state size, shared by all channels: d_state/2 conjugate pairs. The S5 paper calls it
    P and stores P/2 with conjugate symmetry; others count the complex modes. A has negative real parts by
    construction, ``A = −exp(log_A_real) + i A_imag``, and every mode a step dt = exp(log_dt) of its own.

    Args:
        d_model: number of channels, in and out.
        d_state: full real state size of the layer, a multiple of 2 ``blocks``.
        blocks: J, the initial spectrum is J copies of the one of size d_state/J; their steps differ.
        init: an initialiser's name of the form f(d_state, dt) ("s4d_legs": S5's normal part of HiPPO-LegS); such a
            function, met with d_state/J and the d_state/2 steps; or a `LinearSystem` with ``conj_sym`` of size
            d_state/J. Of a function and a system, the eigenvalues a step are met.
        dt_min: smallest initial step; steps are log-uniform between the two, one a mode.
        dt_max: largest initial step.
        discretization: "zoh" or "bilinear".
        generator: source of the random steps, B, C and D; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, d_state/2), complex.

    Raises:
        InputError: a d_state that does not divide, dt out of order, an unknown or unsuitable initialiser; at a call, a
            wrong width, length, dtype or state.

    Numerics:
        B and C start as circular complex normal numbers of variance 1/d_model and 2/d_state, real and imaginary part
        together. The authors' code draws a real B of variance 1/d_state, a complex C of variance 2/d_state, and turns
        both by the unitary eigenvectors of HiPPO's normal part. Those are orthogonal to their conjugates, so that what
        is turned is circular and keeps its variance. Their B is ours where d_model = d_state; by 1/d_model, the drive
        of a mode does not grow with the number of channels.

    Source:
        Smith, Warrington, Linderman, Simplified state space layers for sequence modeling (2023).

    Example:
        >>> layer = S5(4, d_state=16)
        >>> y, state = layer(torch.randn(2, 10, 4))
        >>> y.shape, state.shape, layer.system()
        (torch.Size([2, 10, 4]), torch.Size([2, 8]), LinearSystem(diagonal, conjugate pairs, d_state=16, inputs=4))
    """

    roles: ClassVar[dict[str, Role]] = {
        "log_dt": "eigenvalues",
        "log_A_real": "eigenvalues",
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
        blocks: int = 1,
        init: SpectrumInit = "s4d_legs",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        discretization: Discretization = "zoh",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("S5", d_model, d_state, pairs=True)
        check_discretization(discretization)
        check_steps(dt_min, dt_max)
        if blocks < 1 or d_state % (2 * blocks):
            fix = "every block holds whole conjugate pairs"
            reject("blocks", expected=f"a divisor of d_state/2 = {d_state // 2}", got=blocks, fix=fix)
        self.d_model, self.d_state, self.discretization = d_model, d_state, discretization
        n = d_state // 2
        log_dt = log_uniform(dt_min, dt_max, n, generator)
        A = _continuous_modes(init, d_state // blocks, log_dt.double().exp(), discretization)
        self.log_dt = nn.Parameter(log_dt)
        self.log_A_real = nn.Parameter((-A.real).log().float())
        self.A_imag = nn.Parameter(A.imag.float())
        self.B = nn.Parameter(torch.randn(n, d_model, 2, generator=generator) * math.sqrt(0.5 / d_model))
        self.C = nn.Parameter(torch.randn(d_model, n, 2, generator=generator) * math.sqrt(1 / d_state))
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _discrete(self) -> tuple[Complex[Tensor, " n"], Complex[Tensor, "n d_model"]]:
        """Return log λ in double precision, and B_bar."""
        A = torch.complex(-self.log_A_real.double().exp(), self.A_imag.double())
        log_eigenvalues, scale = discretize_diagonal(A, self.log_dt.double().exp(), self.discretization)
        return log_eigenvalues, torch.view_as_complex(self.B) * scale.unsqueeze(-1).to(self.B.dtype.to_complex())

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
        check_input(u, self.d_model, 3)
        state = self.initial_state(len(u)) if state is None else self._checked(state, len(u))
        if lengths is not None:
            lengths = check_lengths(lengths, u)
            u = u.masked_fill(beyond(lengths, u), 0)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.D.dtype)
            log_eigenvalues, B = self._discrete()
            y, state = diagonal_mimo_ssm(u, log_eigenvalues, B, torch.view_as_complex(self.C), state, lengths)
            return y + self.D * u, state

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
        check_input(u_t, self.d_model, 2)
        state = self._checked(state, len(u_t))
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

    def _checked(self, state: Tensor, batch: int) -> Tensor:
        return check_state(state, (batch, self.d_state // 2), self.D.dtype.to_complex())


def _continuous_modes(
    init: SpectrumInit, size: int, dt: Float[Tensor, " n"], discretization: Discretization
) -> Complex[Tensor, " n"]:
    """Return A per unit of time, the spectrum of that size over and over, each mode with a step of its own."""
    repeats, modes = 2 * len(dt) // size, size // 2
    if callable(init):  # of the system at a mode's step, that mode
        A = continuous_modes(init, size, dt, discretization)
        return A.view(repeats, modes, modes).diagonal(dim1=1, dim2=2).flatten()
    A = continuous_modes(init, size, torch.ones_like(dt[:1]), discretization)[0].repeat(repeats)
    return A if isinstance(init, str) else A / dt
