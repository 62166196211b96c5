"""The order of the batches: a permutation each epoch, the same for the same seed and epoch."""

import pytest
import torch

from ssmemory.fit.batches import EpochBatches, epoch_seed, loader


def order(seed: int | None, epoch: int, n: int = 23, batch_size: int = 5) -> list[int]:
    batches = EpochBatches(n, batch_size, seed)
    batches.set_epoch(epoch)
    return torch.cat(list(batches)).tolist()


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_each_epoch_is_a_permutation(seed, epoch):
    assert sorted(order(seed, epoch)) == list(range(23))


def test_same_seed_and_epoch_same_order():
    assert order(3, 2) == order(3, 2)


def test_orders_differ_by_epoch_and_by_seed():
    orders = [tuple(order(seed, epoch)) for seed in range(3) for epoch in range(4)]
    assert len(set(orders)) == len(orders)
    assert tuple(range(23)) not in orders


def test_order_does_not_depend_on_the_epochs_before():
    batches = EpochBatches(23, 5, 0)
    for epoch in range(3):
        batches.set_epoch(epoch)
        last = torch.cat(list(batches)).tolist()
    assert last == order(0, 2)


def test_order_neither_reads_nor_moves_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = order(0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert order(0, 0) == first


def test_without_a_seed_the_order_is_kept():
    assert order(None, 4) == list(range(23))


@pytest.mark.parametrize(("n", "batch_size", "sizes"), [(23, 5, [5, 5, 5, 5, 3]), (20, 5, [5] * 4), (3, 5, [3])])
def test_the_last_batch_may_be_smaller(n, batch_size, sizes):
    batches = EpochBatches(n, batch_size, 0)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == len(sizes)


def test_seeds_of_epochs_do_not_collide():
    seeds = {epoch_seed(seed, epoch) for seed in range(10) for epoch in range(1000)}
    assert len(seeds) == 10 * 1000


def test_loader_keeps_each_input_with_its_target():
    u = torch.randn(23, 4, 1)
    batches = list(loader(u, torch.arange(23), 5, 0))
    assert torch.cat([y for _, y in batches]).tolist() == order(0, 0)
    for part, y in batches:
        assert torch.equal(part, u[y])


def test_loader_leaves_the_global_generator_alone():
    batches = loader(torch.randn(23, 4, 1), torch.arange(23), 5, 0)
    before = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), before)
