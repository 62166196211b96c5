"""A linear recurrent network with a dense real state matrix, kept stable by its spectral radius."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown
from ssmemory.init import random_dense
from ssmemory.nn.checks import check_sizes
from ssmemory.nn.recurrent import RecurrentLayer
from ssmemory.nn.roles import Role
from ssmemory.ops.matrix_scan import matrix_scan
from ssmemory.systems import LinearSystem

DenseInit = str | LinearSystem | Callable[[int], LinearSystem]


class LinearRNN(RecurrentLayer):
    """A recurrent network without its nonlinearity: ``x[t] = A x[t−1] + B u[t]``, ``y = C x + D u``, A dense and real.

    One system for all channels: d_model inputs, d_state states, d_model outputs; D is diagonal. It is the form to
    compare the structured ones with, at d_state² products a step. Stable by construction: the parameter W gives
    ``A = W · min(1, r_max/ρ(W))`` with the spectral radius ρ, so that no |λ| exceeds r_max whatever W is.

    Args:
        d_model: number of channels, in and out.
        d_state: real state size.
        init: "random_dense", or a `LinearSystem` with a dense real A, or a function of d_state that gives one; only
            its A is taken.
        radius: ρ(A) of "random_dense", at most r_max; 0.99 if left out. Only with "random_dense".
        r_max: bound on ρ(A), below 1.
        generator: source of the parameters; torch's own if left out.

    Shape:
        u, y: (batch, length, d_model). State: (batch, d_state).

    Raises:
        InputError: a size below 1, r_max or radius out of range, an unsuitable initialiser or one beyond r_max; at a
            call, a wrong width, length, dtype or state.

    Numerics:
        ρ comes from all eigenvalues in float64 at every call, in O(d_state³), unless ``‖W^1024‖`` shows that the bound
        is far. Where the bound binds, its gradient is exact, and does not exist for a defective W. Rounding A to
        float32 moves its eigenvalues by 1e-7 times their condition. B starts at the scale at which white input drives
        the states of a large "random_dense" to variance 1.

    Source:
        Jaeger, The "echo state" approach (2001), for the scaled Gaussian matrix.

    Example:
        >>> layer = LinearRNN(4, d_state=16)
        >>> y, state = layer(torch.randn(2, 10, 4))
        >>> y.shape, state.shape, layer.system()
        (torch.Size([2, 10, 4]), torch.Size([2, 16]), LinearSystem(dense, d_state=16, inputs=4))
    """

    roles: ClassVar[dict[str, Role]] = {"A": "eigenvalues", "B": "input", "C": "readout", "D": "readout"}

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        *,
        init: DenseInit = "random_dense",
        radius: float | None = None,
        r_max: float = 0.9999,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("LinearRNN", d_model, d_state, pairs=False)
        if not 0 < r_max < 1:
            reject("r_max", expected="0 < r_max < 1", got=r_max, fix="a radius below 1 keeps the layer stable")
        self.d_model, self.d_state, self.r_max = d_model, d_state, r_max
        A = _state_matrix(init, d_state, radius, generator)
        largest = float(_spectral_radius(A))
        if largest > r_max:
            fix = "scale it down, or raise r_max"
            reject("init", expected=f"a spectral radius of at most r_max = {r_max:g}", got=f"{largest:.6g}", fix=fix)
        self.A = nn.Parameter(A.float())
        scale = math.sqrt((1 - largest**2) / d_model)
        self.B = nn.Parameter(scale * torch.randn(d_state, d_model, generator=generator))
        self.C = nn.Parameter(torch.randn(d_model, d_state, generator=generator) / math.sqrt(d_state))
        self.D = nn.Parameter(torch.randn(d_model, generator=generator))

    def _stable(self) -> Float64[Tensor, "n n"]:
        """Return A, its spectral radius at most r_max."""
        W = self.A.double()
        if _surely_within(W.detach(), self.r_max) or not bool(W.isfinite().all()):
            return W
        if bool(_spectral_radius(W.detach()) <= self.r_max):
            return W
        return W * (self.r_max / _spectral_radius(W))

    def forward(
        self,
        u: Float[Tensor, "batch length d_model"],
        state: Float[Tensor, "batch d_state"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_model"], Float[Tensor, "batch d_state"]]:
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
            x, state = matrix_scan(u @ self.B.mT, self._stable().to(u.dtype), state, lengths)
            return x @ self.C.mT + self.D * u, state

    def step(
        self, u_t: Float[Tensor, "batch d_model"], state: Float[Tensor, "batch d_state"]
    ) -> tuple[Float[Tensor, "batch d_model"], Float[Tensor, "batch d_state"]]:
        """Take one step: the same as `forward` over a sequence of length 1.

        Args:
            u_t: the input of one step.
            state: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y of this step and the state after it.
        """
        state = self._begin_step(u_t, state)
        with torch.autocast(u_t.device.type, enabled=False):
            u_t = u_t.to(self.D.dtype)
            state = state @ self._stable().to(u_t.dtype).mT + u_t @ self.B.mT
            return state @ self.C.mT + self.D * u_t, state

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch d_state"]:
        """Return the zero state."""
        return torch.zeros(batch_size, self.d_state, dtype=self.D.dtype, device=self.D.device)

    def system(self) -> LinearSystem:
        """Return the linear system inside, one with d_model inputs and outputs; differentiable."""
        return LinearSystem.from_matrices(self._stable(), self.B, self.C, torch.diag(self.D))


def _spectral_radius(W: Float64[Tensor, "n n"]) -> Float64[Tensor, ""]:
    return torch.linalg.eigvals(W).abs().amax()


def _surely_within(W: Float64[Tensor, "n n"], bound: float) -> bool:
    """Return whether ``‖W^1024‖ < bound^1024``, which bounds ρ(W) and costs a quarter of the eigenvalues."""
    return bool(torch.linalg.matrix_norm(torch.linalg.matrix_power(W, 1024)) < bound**1024)


def _state_matrix(
    init: DenseInit, d_state: int, radius: float | None, generator: torch.Generator | None
) -> Float64[Tensor, "n n"]:
    if isinstance(init, str):
        if init != "random_dense":
            reject_unknown("init", init, ["random_dense"])
        seed = int(torch.randint(2**62, (), generator=generator))
        system = random_dense(d_state, 0.99 if radius is None else radius, seed=seed)
    else:
        if radius is not None:
            fix = "leave it out, or scale the system yourself"
            reject("radius", expected="None beside an init with eigenvalues of its own", got=repr(radius), fix=fix)
        system = init(d_state) if callable(init) else init
    A = system.A if isinstance(system, LinearSystem) else None
    if A is None or A.is_complex() or tuple(A.shape) != (d_state, d_state):
        expected = f"a dense real system with d_state {d_state} and no batch"
        reject("init", expected=expected, got=repr(system), fix="such as ssmemory.init.random_dense")
    return A.detach()
