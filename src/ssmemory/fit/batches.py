"""Batches in an order that depends on seed and epoch alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset


class EpochBatches(Sampler[Tensor]):
    """Index tensors of batches; shuffled by ``(seed, epoch)``, or in order without a seed.

    Args:
        n: number of samples.
        batch_size: samples in a batch; the last one may be smaller.
        seed: seeds the order; None keeps it.
    """

    def __init__(self, n: int, batch_size: int, seed: int | None) -> None:
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the trainer calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the indices of one batch after another."""
        if self.seed is None:
            order = torch.arange(self.n)
        else:
            generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
            order = torch.randperm(self.n, generator=generator)
        yield from order.split(self.batch_size)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return a seed for one epoch of a run."""
    return seed * 1_000_003 + epoch


def loader(u: Tensor, y: Tensor, batch_size: int, seed: int | None) -> DataLoader[tuple[Tensor, ...]]:
    """Return a loader of (u, y) batches sliced from tensors in memory, without worker processes."""
    own = torch.Generator()  # the loader draws a seed that nothing here uses: not from the generator of dropout
    return DataLoader(
        TensorDataset(u, y), sampler=EpochBatches(len(u), batch_size, seed), batch_size=None, generator=own
    )
