"""LRU: a diagonal linear recurrence in discrete time, with all channels in and out."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.init import ring
from ssmemory.nn.checks import check_input, check_sizes, check_state
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.nn.roles import Role
from ssmemory.ops.scan import diagonal_mimo_ssm
from ssmemory.systems import LinearSystem


class LRU(nn.Module):
    """The linear recurrent unit: ``x[t] = λ x[t−1] + γ B u[t]``, ``y = 2 Re(C x) + D u``, in discrete time: no dt.

    ``λ = exp(−exp(nu) + i theta)``, stable whatever nu is, and ``γ = exp(log_gamma)``, which starts at sqrt(1 − |λ|²)
    so that white input gives states of about its own variance. ``d_state`` is the full real state size, shared by all
    channels; the paper's N counts the d_state/2 complex modes, and outputs Re(C x): twice that is the same class.

    Args:
        d_model: number of channels, in and out.
        d_state: full real state size of the layer, even.
        init: a diagonal `LinearSystem` with ``conj_sym`` and no batch, whose eigenvalues it starts from; the paper's
            ring if left out.
        r_min: smallest modulus of the ring.
        r_max: largest modulus of the ring, below 1.
        max_phase: largest phase of the ring in radians a step; small for long sequences.
        generator: source of the ring, B, C and D; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, d_state/2), complex.

    Raises:
        InputError: odd d_state, radii or phase out of range, an unsuitable system; at a call, a wrong width, length,
            dtype or state.

    Source:
        Orvieto et al., Resurrecting recurrent neural networks for long sequences (2023); B and C are Glorot-normal.

    Example:
        >>> layer = LRU(4, d_state=16)
        >>> y, state = layer(torch.randn(2, 10, 4))
        >>> y.shape, state.shape, bool((layer.system().eigenvalues.abs() > 0.9).all())
        (torch.Size([2, 10, 4]), torch.Size([2, 8]), True)
    """

    roles: ClassVar[dict[str, Role]] = {
        "nu": "eigenvalues",
        "theta": "eigenvalues",
        "log_gamma": "input",
        "B": "input",
        "C": "readout",
        "D": "readout",
    }

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        *,
        init: LinearSystem | None = None,
        r_min: float = 0.9,
        r_max: float = 0.999,
        max_phase: float = math.pi,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("LRU", d_model, d_state, pairs=True)
        self.d_model, self.d_state = d_model, d_state
        if init is None:
            seed = int(torch.randint(2**62, (), generator=generator))
            init = ring(d_state, r_min, r_max, max_phase, seed=seed)
        logs = _logarithms(init, d_state)
        n = d_state // 2
        self.nu = nn.Parameter((-logs.real).log().float())
        self.theta = nn.Parameter(logs.imag.float())
        self.log_gamma = nn.Parameter((-torch.expm1(2 * logs.real)).log().mul(0.5).float())
        self.B = nn.Parameter(torch.randn(n, d_model, 2, generator=generator) * math.sqrt(0.5 / d_model))
        self.C = nn.Parameter(torch.randn(d_model, n, 2, generator=generator) * math.sqrt(0.25 / n))
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _discrete(self) -> tuple[Complex[Tensor, " n"], Complex[Tensor, "n d_model"]]:
        """Return log λ in double precision, and γ B."""
        logs = torch.complex(-self.nu.double().exp(), self.theta.double())
        return logs, torch.view_as_complex(self.B) * self.log_gamma.exp().unsqueeze(-1)

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


def _logarithms(init: LinearSystem, d_state: int) -> Complex[Tensor, " n"]:
    """Return log λ of the initial system."""
    fits = isinstance(init, LinearSystem) and init.conj_sym and init.d_state == d_state and not init.batch_shape
    if not fits:
        expected = f"a diagonal system of conjugate pairs (conj_sym) with d_state {d_state} and no batch"
        reject("init", expected=expected, got=repr(init), fix="see ssmemory.init for the ones that fit")
    assert init.log_modes is not None
    logs = init.log_modes.detach()
    if not bool(((logs.real < 0) & torch.isfinite(logs.real)).all()):
        fix = "LRU keeps |λ| = exp(−exp(…)), which reaches neither"
        reject("init", expected="0 < |λ| < 1", got=f"max |λ| = {float(logs.real.max().exp()):.6g}", fix=fix)
    return logs
