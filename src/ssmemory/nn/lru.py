"""LRU: a diagonal linear recurrence in discrete time, with all channels in and out."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.init import ring
from ssmemory.nn.checks import check_sizes
from ssmemory.nn.diagonal_mimo import DiagonalMIMO
from ssmemory.nn.roles import Role
from ssmemory.systems import LinearSystem


class LRU(DiagonalMIMO):
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
