"""Units that read a bank of modes and are pooled over time, without a signal that is ever written down."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.nn import functional

from ssmemory.ops._jobs import Array, over_jobs
from ssmemory.ops.scan import diagonal_scan

GROUP = 8  # modes of a group


def pooled_units(
    u: Float[Tensor, "batch length d_input"],
    log_eigenvalues: Complex[Tensor, " modes"],
    B: Float[Tensor, "modes d_input"],
    C: Float[Tensor, "units 8 2"],
    threshold: Float[Tensor, " units"],
    lengths: Int[Tensor, " batch"] | None = None,
    segments: int = 1,
    *,
    with_signal: bool = False,
) -> tuple[Float[Tensor, "batch segments 2 units"], Float[Tensor, "batch length units"] | None]:
    """Return, of every unit and part of the time, the share of steps above zero, and the mean of what is above.

    ``x[t] = λ x[t−1] + B u[t]``, and ``y[t] = Σ C₀ Re x[t] + C₁ Im x[t] − θ`` over the eight modes of one group: unit
    i of n reads group ``⌊i groups/n⌋``. Step t of n lies in segment ``⌊t segments/n⌋``. Not differentiable. On the CPU
    one compiled loop runs, whose memory does not depend on the length; elsewhere `pooled_units_naive`.

    Args:
        u: the input; computed in float32, states in double precision.
        log_eigenvalues: log λ in discrete time, complex128; a multiple of 8 of them.
        B: input weights.
        C: what a unit reads.
        threshold: θ.
        lengths: real steps of every sequence; all of them if left out.
        segments: equal parts of the real steps; one without a step gives zeros.
        with_signal: also return ``max(y, 0)`` step by step.

    Returns:
        Share and mean, and the signal, zero beyond the lengths, or None.

    Numerics:
        1e-6 of the largest ``|y|``; a step whose y is that near to zero may be counted on either side.

    Example:
        >>> log = torch.full((8,), 0.5, dtype=torch.complex128).log()
        >>> u, C = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1), torch.zeros(1, 8, 2)
        >>> C[0, 0, 0] = 1
        >>> shares, _ = pooled_units(u, log, torch.ones(8, 1), C, torch.tensor([0.25]))
        >>> [round(value, 4) for value in shares.flatten().tolist()]
        [0.6667, 0.3333]
    """
    if u.device.type != "cpu":
        return pooled_units_naive(u, log_eigenvalues, B, C, threshold, lengths, segments, with_signal=with_signal)
    from ssmemory.ops._pooled_units_compiled import pool

    (batch, length, width), units, groups = u.shape, len(C), len(log_eigenvalues) // GROUP
    ends = torch.full((batch,), length) if lengths is None else lengths
    place, blocks = _places(units, groups)
    poles = log_eigenvalues.exp().reshape(groups, GROUP)
    packed = torch.zeros(int(blocks[-1]) * GROUP, 2 * GROUP + 1)
    packed[place] = torch.cat([C[..., 0], C[..., 1], threshold[:, None]], 1).float()
    by_block = packed.unflatten(0, (-1, GROUP)).mT
    sums = np.zeros((batch, segments, 2, len(packed)))
    h = np.zeros((batch, length, len(packed)) if with_signal else 0, np.float32)
    over_jobs(
        batch * groups, pool, _flat(u.float()), (length, width, segments), ends.numpy().astype(np.int64),
        _flat(torch.stack([poles.real, poles.imag], 1)), _flat(B.double().unflatten(0, (groups, GROUP)).mT),
        _flat(by_block[:, :-1]), _flat(by_block[:, -1]), blocks, sums.ravel(), h.ravel(),
    )  # fmt: skip
    pooled = torch.from_numpy(sums)[..., place] / _steps(ends, segments)[..., None, None].clamp(min=1)
    return pooled.float(), torch.from_numpy(h)[..., place] if with_signal else None


def pooled_units_naive(
    u: Float[Tensor, "batch length d_input"],
    log_eigenvalues: Complex[Tensor, " modes"],
    B: Float[Tensor, "modes d_input"],
    C: Float[Tensor, "units 8 2"],
    threshold: Float[Tensor, " units"],
    lengths: Int[Tensor, " batch"] | None = None,
    segments: int = 1,
    *,
    with_signal: bool = False,
) -> tuple[Float[Tensor, "batch segments 2 units"], Float[Tensor, "batch length units"] | None]:
    """Return what `pooled_units` returns, all signals written down, on any device and in the precision of u.

    Args:
        u: as there.
        log_eigenvalues: as there.
        B: as there.
        C: as there.
        threshold: as there.
        lengths: as there.
        segments: as there.
        with_signal: as there.

    Returns:
        As there.
    """
    batch, length, _ = u.shape
    ends = torch.full((batch,), length, device=u.device) if lengths is None else lengths.to(u.device)
    drive = u @ B.mT
    drive = torch.complex(drive, torch.zeros_like(drive))
    x, _ = diagonal_scan(drive, log_eigenvalues, drive.new_zeros(batch, drive.shape[-1]))
    y = read_groups(x, C) - threshold
    t = torch.arange(length, device=u.device)
    parts = (t * segments // ends[:, None]).unsqueeze(1) == torch.arange(segments, device=u.device)[:, None]
    inside = (parts & (t < ends[:, None]).unsqueeze(1)).to(y.dtype)
    pooled = inside / inside.sum(-1, keepdim=True).clamp(min=1)  # (batch, segments, length): a mean by a product
    h = y.relu() * (t < ends[:, None]).unsqueeze(-1)
    shares = torch.stack([pooled @ (y > 0).to(y.dtype), pooled @ h], 2)
    return shares, h if with_signal else None


def read_groups(
    x: Complex[Tensor, "... modes"], C: Float[Tensor, "units 8 2"], units: Int[Tensor, " some"] | None = None
) -> Float[Tensor, "... some"]:
    """Return ``Σ C₀ Re x + C₁ Im x`` over the eight modes of a group: y of `pooled_units` without its threshold.

    Args:
        x: states of the modes.
        C: what a unit reads.
        units: which of the units; all if left out.

    Returns:
        What they read, in the precision of C.
    """
    groups = x.shape[-1] // GROUP
    if units is not None:
        read = x.unflatten(-1, (groups, GROUP))[..., group_of(len(C), groups).to(x.device)[units], :]
        return (torch.view_as_real(read).to(C.dtype) * C[units]).sum((-1, -2))
    wide = functional.one_hot(group_of(len(C), groups).to(C.device), groups)[..., None, None].to(C.dtype)
    return torch.view_as_real(x).flatten(-2).to(C.dtype) @ (wide * C.unsqueeze(1)).flatten(1).mT


def group_of(units: int, groups: int) -> Int[Tensor, " units"]:
    """Return the group that each unit reads.

    Args:
        units: how many there are.
        groups: how many of those.

    Returns:
        Numbers from 0, rising.
    """
    return torch.arange(units) * groups // units


def _places(units: int, groups: int) -> tuple[Array, Array]:
    """Return where each unit lies when every group is filled up to whole blocks of 8, and where its blocks begin."""
    group = group_of(units, groups).numpy()
    sizes = np.bincount(group, minlength=groups)
    blocks = np.concatenate([[0], np.cumsum(-(-sizes // GROUP))])
    before = np.cumsum(sizes) - sizes
    return GROUP * blocks[group] + np.arange(units) - before[group], blocks


def _steps(ends: Tensor, segments: int) -> Tensor:
    """Return (batch, segments) steps."""
    edges = -(-ends[:, None] * torch.arange(segments + 1) // segments)
    return edges.diff(dim=1)


def _flat(values: Tensor) -> Array:
    return values.detach().contiguous().numpy().reshape(-1)
