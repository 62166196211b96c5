"""S4D: a bank of diagonal state-space models, one a channel, with every spectrum."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.init import initialiser
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.nn.roles import Role
from ssmemory.ops import diagonal_ssm
from ssmemory.systems import Discretization, LinearSystem, discretize_diagonal
from ssmemory.systems.discretization import check_discretization

SpectrumInit = str | LinearSystem | Callable[[int, Tensor], LinearSystem]


class S4D(nn.Module):
    """A diagonal state-space layer: ``x' = A x + B u`` sampled every dt, ``y = 2 Re(C x) + D u``, for each channel.

    ``d_state`` is the full real state size: d_state/2 conjugate pairs a channel (others' N may count pairs).
    A has negative real parts by construction, ``A = −exp(log_A_real) + i A_imag``. Step dt = exp(log_dt).

    Args:
        d_model: number of channels, in and out.
        d_state: full real state size of each channel, even.
        init: an initialiser's name (`ssmemory.init.INITIALISERS`, those of the form f(d_state, dt)), such a
            function, or a `LinearSystem` with ``conj_sym``, one for all channels or batched (d_model,).
        dt_min: smallest initial step; steps are log-uniform between the two, one a channel.
        dt_max: largest initial step. Set equal to dt_min for one step in all channels.
        discretization: "zoh" or "bilinear".
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
        discretization: Discretization = "zoh",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if d_model < 1 or d_state < 2 or d_state % 2:
            fix = "d_state counts both halves of every conjugate pair"
            expected = "d_model ≥ 1 and an even d_state ≥ 2"
            reject("S4D", expected=expected, got=f"d_model={d_model}, d_state={d_state}", fix=fix)
        check_discretization(discretization)
        if not 0 < dt_min <= dt_max < math.inf:
            got = f"{dt_min}, {dt_max}"
            reject("dt_min, dt_max", expected="0 < dt_min ≤ dt_max < ∞", got=got, fix="swap or mend them")
        self.d_model, self.d_state, self.discretization = d_model, d_state, discretization
        low, high = math.log(dt_min), math.log(dt_max)
        log_dt = low + (high - low) * torch.rand(d_model, generator=generator)
        A = _continuous_modes(init, d_model, d_state, log_dt, discretization)
        self.log_dt = nn.Parameter(log_dt)
        self.log_A_real = nn.Parameter((-A.real).log().float())
        self.A_imag = nn.Parameter(A.imag.float())
        self.B = nn.Parameter(torch.view_as_real(torch.ones(d_model, d_state // 2, dtype=torch.complex64)).clone())
        C = torch.randn(d_model, d_state // 2, 2, generator=generator) * math.sqrt(0.5)
        self.C = nn.Parameter(C)
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _discrete(self) -> tuple[Complex[Tensor, "d_model n"], Complex[Tensor, "d_model n"]]:
        """Return log λ in double precision, and B_bar."""
        A = torch.complex(-self.log_A_real.double().exp(), self.A_imag.double())
        dt = self.log_dt.double().exp().unsqueeze(-1)
        log_eigenvalues, scale = discretize_diagonal(A, dt, self.discretization)
        return log_eigenvalues, torch.view_as_complex(self.B) * scale.to(self.B.dtype.to_complex())

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
        self._check_input(u, 3)
        state = self.initial_state(len(u)) if state is None else self._check_state(state, len(u))
        if lengths is not None:
            lengths = check_lengths(lengths, u)
            u = u.masked_fill(beyond(lengths, u), 0)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.D.dtype)
            log_eigenvalues, B = self._discrete()
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
        self._check_input(u_t, 2)
        state = self._check_state(state, len(u_t))
        log_eigenvalues, B = self._discrete()
        u_t = u_t.to(self.D.dtype)
        state = torch.exp(log_eigenvalues).to(B.dtype) * state + B * u_t.unsqueeze(-1)
        return 2 * (torch.view_as_complex(self.C) * state).sum(-1).real + self.D * u_t, state

    def initial_state(self, batch_size: int) -> Complex[Tensor, "batch d_model n"]:
        """Return the zero state."""
        dtype = self.D.dtype.to_complex()
        return torch.zeros(batch_size, self.d_model, self.d_state // 2, dtype=dtype, device=self.D.device)

    def system(self) -> LinearSystem:
        """Return the linear systems inside, batched over the channels (d_model,); differentiable."""
        log_eigenvalues, B = self._discrete()
        C = torch.view_as_complex(self.C)
        return LinearSystem.from_log_eigenvalues(log_eigenvalues, B, C, self.D, conj_sym=True)

    def _check_input(self, u: Tensor, ndim: int) -> None:
        shape = "(batch, length, d_model)" if ndim == 3 else "(batch, d_model)"
        if u.ndim != ndim or u.shape[-1] != self.d_model or 0 in u.shape:
            expected = f"shape {shape} with d_model = {self.d_model} and nothing empty"
            reject("u", expected=expected, got=tuple(u.shape), fix="put channels last, as everywhere here")
        if not u.is_floating_point():
            got = str(u.dtype).removeprefix("torch.")
            reject("u", expected="a real floating-point input", got=got, fix="embed or cast it")

    def _check_state(self, state: Tensor, batch: int) -> Tensor:
        expected = (batch, self.d_model, self.d_state // 2)
        if tuple(state.shape) != expected or not state.is_complex():
            fix = "pass the state that this layer returned for this batch"
            got = f"{tuple(state.shape)} {str(state.dtype).removeprefix('torch.')}"
            reject("state", expected=f"a complex {expected}", got=got, fix=fix)
        return state.to(self.D.dtype.to_complex())


def _continuous_modes(
    init: SpectrumInit, d_model: int, d_state: int, log_dt: Tensor, discretization: Discretization
) -> Tensor:
    """Return A of the wanted spectrum, per unit of time, (d_model, d_state/2)."""
    dt = log_dt.double().exp()
    if isinstance(init, str):
        make = initialiser(init)
        if "dt" not in inspect.signature(make).parameters:
            fix = f"make the system yourself: init=ssmemory.init.{init}(…)"
            reject("init", expected="the name of an initialiser of the form f(d_state, dt)", got=repr(init), fix=fix)
        system = make(d_state, torch.ones_like(dt))
        modes = system.log_modes
    else:
        system, modes = init(d_state, dt) if callable(init) else init, None
    fits = isinstance(system, LinearSystem) and system.conj_sym and system.d_state == d_state
    if not fits or system.batch_shape not in ((), (1,), (d_model,)):
        expected = f"a diagonal system of conjugate pairs (conj_sym) with d_state {d_state}, batch () or ({d_model},)"
        reject("init", expected=expected, got=repr(system), fix="see ssmemory.init for the ones that fit")
    assert system.log_modes is not None
    logs = system.log_modes.detach().expand(d_model, -1)
    steps = logs if discretization == "zoh" else 2 * torch.tanh(logs / 2)  # dt·A of the given λ
    A = steps / dt.unsqueeze(-1) if modes is None else modes.detach()
    if bool((A.real >= 0).any()) or not bool(torch.isfinite(A.real).all()):
        fix = "S4D keeps A = −exp(…) + i…, which reaches neither"
        reject("init", expected="0 < |λ| < 1", got=f"max |λ| = {float(logs.real.max().exp()):.6g}", fix=fix)
    return A
