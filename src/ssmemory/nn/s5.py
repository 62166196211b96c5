"""S5: one diagonal state-space model whose inputs and outputs are all the channels."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.checks import check_sizes, check_steps
from ssmemory.nn.diagonal_mimo import DiagonalMIMO
from ssmemory.nn.roles import Role
from ssmemory.nn.spectra import SpectrumInit, continuous_modes, log_uniform
from ssmemory.systems import Discretization, discretize_diagonal
from ssmemory.systems.discretization import check_discretization


class S5(DiagonalMIMO):
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
