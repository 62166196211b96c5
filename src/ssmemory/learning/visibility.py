"""What of a teacher a state can see: its projection on the responses, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float64
from torch import Tensor

from ssmemory.learning.teacher import energy, one_input_system, read_teacher
from ssmemory.memory import horizon_bases
from ssmemory.memory.circle import InputCircle, long_enough
from ssmemory.ops.allpass import allpass_response
from ssmemory.ops.precise import power
from ssmemory.systems import InputNormalForm, LinearSystem, input_normal_form

_BLOCK = 256  # lags that are projected at once


@dataclass(frozen=True, eq=False)
class Sight:
    """A teacher as a state sees it.

    Attributes:
        coordinates: (rank,) of the teacher's projection, in an orthonormal basis of what the state responds with.
        transform: (modes, rank) the responses of the state's own coordinates in that basis.
        unseen: (T,) ``α* − Π α*`` over the teacher's lags; real for a real teacher of a real system.
        unseen_energy: E|y* − Π y*|², over all lags.
        teacher_energy: E|y*|².
    """

    coordinates: Complex[Tensor, " rank"]
    transform: Complex[Tensor, "modes rank"]
    unseen: Tensor
    unseen_energy: float
    teacher_energy: float


def visible_fraction(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None
) -> Float64[Tensor, "*batch"]:
    """Return the share of a teacher's energy that a readout of the state can give, ``‖Π α*‖² / ‖α*‖²``. Exact.

    It is 1 minus twice the `reachable_loss` over the teacher's energy: what no training of the readout can change, and
    no gradient of the readout can see. For a teacher that recalls one lag it is the memory function there.

    Args:
        system: a system with one input, batched or not.
        teacher: (T,) the kernel α*: entry τ is the weight of the input of τ steps ago.
        horizon: steps since the state was zero; if left out the system has run for ever.
        input_autocovariance: r(0), r(1), … of the input, zero beyond; white if left out.

    Returns:
        (*batch,) in [0, 1].

    Raises:
        InputError: a teacher that is empty, not finite, zero or longer than the horizon; several inputs.
        UnstableError: |λ| ≥ 1 without a horizon.

    Numerics:
        White input, infinite horizon: the projection in the input-normal form, O(N T), and the unseen part by two fast
        Fourier transforms, ``T_θ* α*``; the smaller of the two decides, so that neither 1e-9 nor 1 − 1e-9 loses digits.

    Example:
        >>> from ssmemory import init
        >>> round(float(visible_fraction(init.s4d_lin(16, dt=0.1), [0.0] * 20 + [1.0])), 4)
        0.1051
    """
    system = one_input_system(system, batched=True)
    given = {"horizon": horizon, "input_autocovariance": input_autocovariance}
    found = [see(one, teacher, **given) for one in _each(system)]
    shares = []
    for sight in found:
        seen = float(sight.coordinates.abs().square().sum()) / sight.teacher_energy
        shares.append(seen if seen < 0.5 else 1 - sight.unseen_energy / sight.teacher_energy)
    return torch.tensor(shares, dtype=torch.float64).reshape(system.batch_shape)


def reachable_loss(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None
) -> Float64[Tensor, "*batch"]:
    """Return the least ``½ E|y − y*|²`` of any readout, ``½ ‖(I − Π) α*‖²``. Exact; see `visible_fraction`.

    Args:
        system: as in `visible_fraction`.
        teacher: as in `visible_fraction`.
        horizon: as in `visible_fraction`.
        input_autocovariance: as in `visible_fraction`.

    Returns:
        (*batch,) in units of the output's square.

    Raises:
        InputError: as in `visible_fraction`.
        UnstableError: as in `visible_fraction`.

    Example:
        >>> round(float(reachable_loss(LinearSystem.from_eigenvalues([0.5]), [0.0, 1.0])), 12)  # (1 − 3/16)/2
        0.40625
    """
    system = one_input_system(system, batched=True)
    given = {"horizon": horizon, "input_autocovariance": input_autocovariance}
    losses = [see(one, teacher, **given).unseen_energy / 2 for one in _each(system)]
    return torch.tensor(losses, dtype=torch.float64).reshape(system.batch_shape)


def residual_kernel(
    system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None
) -> Tensor:
    """Return ``α* − Π α*`` over the teacher's lags, of one system: what no readout gives, lag by lag.

    Args:
        system: one system with one input.
        teacher: as in `visible_fraction`.
        horizon: as in `visible_fraction`.
        input_autocovariance: as in `visible_fraction`.

    Returns:
        (T,) real for a real teacher of a real system, else complex.
    """
    given = {"horizon": horizon, "input_autocovariance": input_autocovariance}
    return see(one_input_system(system), teacher, **given).unseen


def see(system: LinearSystem, teacher: Any, *, horizon: int | None = None, input_autocovariance: Any = None) -> Sight:
    """Return a teacher as one system sees it; the arguments are those of `visible_fraction`."""
    kernel = read_teacher(teacher, horizon)
    if horizon is None and input_autocovariance is None:
        return _for_ever(system, kernel)
    if horizon is None:
        horizon = long_enough(system, len(kernel))
    (basis,) = horizon_bases(system, horizon)
    rows, own = basis.rows, _responses(system, horizon)
    transform = own @ rows.mH
    padded = torch.zeros(horizon, dtype=torch.complex128)
    padded[: len(kernel)] = kernel
    white, target = rows, padded
    if input_autocovariance is not None:
        spectrum = InputCircle(input_autocovariance, horizon)
        Q, R = torch.linalg.qr(spectrum.rows(rows).mT)
        rows, transform, target = Q.mT, transform @ R.mT, spectrum.rows(padded)
    coordinates = rows.conj() @ target
    energies = energy(target - coordinates @ rows), energy(target)
    given = coordinates if input_autocovariance is None else torch.linalg.solve(R, coordinates)  # in the white basis
    unseen = (padded - given @ white)[: len(kernel)]
    return Sight(coordinates, transform, _real_if(system, kernel, unseen), *energies)


def _for_ever(system: LinearSystem, kernel: Tensor) -> Sight:
    spectrum = system.spectrum()
    form, counted = input_normal_form(spectrum), spectrum.counted
    A, b = form.A[counted][:, counted].detach(), form.b[counted].detach()
    poles, margins = spectrum.eigenvalues[counted].detach(), spectrum.margins[counted].detach()
    response = allpass_response(poles.numpy(), margins.sqrt().numpy(), len(kernel))
    size = 2 * len(kernel)
    turned = np.fft.fft(response, size)
    hidden = np.fft.ifft(turned.conj() * np.fft.fft(kernel.numpy(), size))[: len(kernel)]
    unseen = torch.from_numpy(np.fft.ifft(turned * np.fft.fft(hidden, size))[: len(kernel)])
    total = energy(kernel)
    log = form.log_eigenvalues[counted].detach()
    coordinates = _projected(InputNormalForm(A, b.unsqueeze(-1), log), kernel.to(torch.complex128))
    transform, lost = _in_normal_form(system, A, b), float((np.abs(hidden) ** 2).sum())
    return Sight(coordinates, transform, _real_if(system, kernel, unseen), lost, total)


def _real_if(system: LinearSystem, kernel: Tensor, unseen: Tensor) -> Tensor:
    """Return the real part, of a real teacher of a real system."""
    real = system.conj_sym or (system.A is not None and not system.A.is_complex())
    return unseen.real if real and not kernel.is_complex() else unseen


def _projected(form: InputNormalForm, kernel: Tensor) -> Tensor:
    """Return ``Σ_τ α_τ conj(A^τ b)``, a block of lags at a time, the last one first."""
    columns, step = form.B, form.A
    for square in form.squarings():
        step = square
        if columns.shape[-1] >= min(_BLOCK, len(kernel)):
            break
        columns = torch.cat([columns, square @ columns], -1)
    width = columns.shape[-1]
    padded = torch.nn.functional.pad(kernel.conj(), (0, -len(kernel) % width))
    total = torch.zeros(len(form.A), dtype=torch.complex128)
    for block in reversed(padded.split(width)):
        total = step @ total + columns @ block
    return total.conj()


def _in_normal_form(system: LinearSystem, A: Tensor, b: Tensor) -> Tensor:
    """Return ``Σ_τ (A_s^τ B_s) (A^τ b)*`` of the system's own coordinates, conjugates included."""
    M, entering = A.conj(), b.conj()
    if system.A is None:
        B = _diagonal_input(system)
        poles = power(system.log_eigenvalues.detach(), 1)
        eye = torch.eye(len(b), dtype=torch.complex128)
        within = torch.linalg.solve_triangular(
            eye - poles[:, None, None] * M, entering.expand(len(poles), -1).unsqueeze(-1), upper=False
        )
        return B.unsqueeze(-1) * within.squeeze(-1)
    own, B = system.A.detach().to(torch.complex128), system.B.detach().squeeze(-1).to(torch.complex128)
    eye = torch.eye(len(B), dtype=torch.complex128)
    found = torch.zeros(len(B), len(b), dtype=torch.complex128)
    for j in range(len(b)):
        driven = B * entering[j] + own @ (found[:, :j] @ M[j, :j])
        found[:, j] = torch.linalg.solve(eye - M[j, j] * own, driven)
    return found


def _diagonal_input(system: LinearSystem) -> Tensor:
    B = system.B.detach().squeeze(-1).to(torch.complex128)
    return torch.cat([B, B.conj()]) if system.conj_sym else B


def _responses(system: LinearSystem, horizon: int) -> Tensor:
    """Return (modes, horizon) the responses of the system's own coordinates, conjugates included."""
    if system.A is None:
        lags = torch.arange(horizon, dtype=torch.float64)
        log = system.log_eigenvalues.detach().unsqueeze(-1)
        zero = torch.isneginf(log.real)
        powers = torch.where(zero, (lags == 0).to(torch.complex128), torch.exp(torch.where(zero, 0, log) * lags))
        return _diagonal_input(system).unsqueeze(-1) * powers
    own, state = system.A.detach().to(torch.complex128), system.B.detach().to(torch.complex128)
    while state.shape[-1] < horizon:
        state = torch.cat([state, own @ state], -1)
        own = own @ own
    return state[:, :horizon]


def _each(system: LinearSystem) -> list[LinearSystem]:
    """Return the systems of a batch, without read-outs."""
    if not system.batch_shape:
        return [system]
    B = system.B.reshape(-1, *system.B.shape[-2:])
    if system.A is not None:
        A = system.A.expand(*system.batch_shape, *system.A.shape[-2:]).reshape(-1, *system.A.shape[-2:])
        return [LinearSystem.from_matrices(*pair) for pair in zip(A, B, strict=True)]
    assert system.log_modes is not None
    logs = system.log_modes.reshape(-1, system.log_modes.shape[-1])
    return [LinearSystem.from_log_eigenvalues(*pair, conj_sym=system.conj_sym) for pair in zip(logs, B, strict=True)]
