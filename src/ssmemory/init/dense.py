"""A random dense state matrix: the reservoir's, and a plain recurrent network's."""

from __future__ import annotations

import torch

from ssmemory.init.arguments import batch_shape, modulus, random_generator, state_size
from ssmemory.systems import LinearSystem


def random_dense(d_state: int, radius: float = 0.9, *, seed: int, channels: int | None = None) -> LinearSystem:
    """Return a Gaussian state matrix scaled to a spectral radius of exactly ``radius``, driven by Gaussian weights.

    ``A = radius · G / ρ(G)`` with independent standard normal entries in G, and B standard normal. The eigenvalues
    fill the disk about evenly (the circular law), but repel each other, and the matrix is far from normal: states may
    grow for a while before they decay, which those of `random_disk` never do.

    Args:
        d_state: real state size, at least 1.
        radius: the largest eigenvalue modulus, between 0 and 1.
        seed: seeds the draw, 0 … 2**64 − 1.
        channels: how many independent systems; left out: one system without a batch.

    Returns:
        The dense system with one input, batch shape (channels,) or ().

    Raises:
        InputError: d_state below 1, radius, seed or channels out of range.

    Numerics:
        The radius is met to float64's precision times the condition of the leading eigenvalue, about 1e-13.

    Source:
        Jaeger, The "echo state" approach to analysing and training recurrent neural networks (2001).

    Example:
        >>> system = random_dense(64, 0.9, seed=0)
        >>> system, round(float(system.eigenvalues.abs().max()), 12)
        (LinearSystem(dense, d_state=64, inputs=1), 0.9)
    """
    n, radius, generator = state_size(d_state), modulus("radius", radius), random_generator(seed)
    drawn = torch.randn(*batch_shape(channels), n, n + 1, generator=generator, dtype=torch.float64)
    G, B = drawn[..., :n], drawn[..., n]
    largest = torch.linalg.eigvals(G).abs().amax(-1)
    return LinearSystem.from_matrices(radius * G / largest[..., None, None], B)
