"""Random eigenvalues inside the unit circle: the ring of LRU, and the disk."""

from __future__ import annotations

import math

import torch

from ssmemory.init.arguments import batch_shape, modulus, pair_count, random_generator, real_number
from ssmemory.systems import LinearSystem


def ring(
    d_state: int, r_min: float = 0.9, r_max: float = 0.999, max_phase: float = math.pi, *,
    seed: int, channels: int | None = None,
) -> LinearSystem:  # fmt: skip
    """Return LRU's ring: ``|λ|²`` uniform in [r_min², r_max²], phase uniform in [0, max_phase], and conjugates.

    Uniform by area on the sector of the ring. A small ``max_phase`` keeps slow oscillations only, which suits
    long sequences.

    Args:
        d_state: full real state size, even; the LRU paper counts the d_state/2 complex modes.
        r_min: smallest modulus, 0 ≤ r_min < r_max.
        r_max: largest modulus, below 1; the slowest decay time is about 1/(1 − r_max) steps.
        max_phase: largest phase in radians a step, above 0 and at most 2π; π already covers the whole ring, as
            the conjugates fill the lower half.
        seed: seeds the draw, 0 … 2**64 − 1.
        channels: how many independent systems; left out: one system without a batch.

    Returns:
        The diagonal system with conjugate pairs, batch shape (channels,) or (), B = 1.

    Raises:
        InputError: d_state odd or below 2, radii, phase, seed or channels out of range.

    Numerics:
        1 − |λ|² is what is drawn, so it keeps its digits however near 1 r_max is.

    Source:
        Orvieto et al., Resurrecting recurrent neural networks for long sequences (2023), lemma 3.2.

    Example:
        >>> system = ring(64, seed=0, channels=8)
        >>> system, system.rank.tolist()
        (LinearSystem(diagonal, conjugate pairs, batch=(8,), d_state=64, inputs=1), [64, 64, 64, 64, 64, 64, 64, 64])
    """
    fix = "r_min and r_max bound the moduli, such as 0.9 and 0.999"
    r_max = modulus("r_max", r_max)
    r_min = real_number("r_min", r_min, f"0 <= r_min < r_max = {r_max:g}", lambda r: 0 <= r < r_max, fix=fix)
    fix = "it is an angle in radians, such as 3.14"
    max_phase = real_number("max_phase", max_phase, "0 < max_phase <= 2π", lambda p: 0 < p <= 2 * math.pi, fix=fix)
    shape = (2, *batch_shape(channels), pair_count(d_state))
    area, turn = torch.rand(shape, generator=random_generator(seed), dtype=torch.float64)
    margin = (1 - r_max) * (1 + r_max) + (r_max - r_min) * (r_max + r_min) * area
    log_modes = torch.complex(0.5 * torch.log1p(-margin), max_phase * turn)
    return LinearSystem.from_log_eigenvalues(log_modes, conj_sym=True)


def random_disk(d_state: int, radius: float = 0.99, *, seed: int, channels: int | None = None) -> LinearSystem:
    """Return eigenvalues uniform by area in the disk ``|λ| < radius``, in conjugate pairs.

    The `ring` without a hole: r_min 0, all phases. It is the limit law of the eigenvalues of a large Gaussian
    matrix, but drawn independently: those of a matrix repel each other. Most modes lie near the rim:
    half of them have |λ| > 0.7 radius.

    Args:
        d_state: full real state size, even.
        radius: the disk's radius, between 0 and 1.
        seed: seeds the draw, 0 … 2**64 − 1.
        channels: how many independent systems; left out: one system without a batch.

    Returns:
        The diagonal system with conjugate pairs, batch shape (channels,) or (), B = 1.

    Raises:
        InputError: d_state odd or below 2, radius, seed or channels out of range.

    Source:
        Our own baseline; Girko's circular law for the comparison with Gaussian matrices.

    Example:
        >>> bool((random_disk(64, 0.9, seed=0).eigenvalues.abs() < 0.9).all())
        True
    """
    return ring(d_state, 0.0, modulus("radius", radius), seed=seed, channels=channels)
