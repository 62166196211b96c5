"""Pooled units: the compiled loop against the naive twin and against the definition, step by step."""

import numpy as np
import pytest
import torch

from ssmemory.ops import pooled_units, pooled_units_naive
from ssmemory.ops.pooled_units import group_of, read_groups


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bank(units: int, d_input: int, groups: int = 4) -> tuple[torch.Tensor, ...]:
    decay = 1 / torch.logspace(0, 2, groups, dtype=torch.float64).repeat_interleave(8)
    log_eigenvalues = torch.complex(-decay, draw(8 * groups, seed=1).double().abs().clamp(max=3))
    return log_eigenvalues, draw(8 * groups, d_input, seed=2), draw(units, 8, 2, seed=3), draw(units, seed=4)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("units", "d_input", "length", "segments"), [(33, 1, 200, 1), (3, 2, 70, 5), (100, 3, 9, 4), (8, 1, 1, 1)]
)
def test_compiled_is_naive(units, d_input, length, segments, threads):
    u, lengths = (
        draw(7, length, d_input),
        torch.randint(1, length + 1, (7,), generator=torch.Generator().manual_seed(5)),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, signal = pooled_units(u, *bank(units, d_input), lengths, segments, with_signal=True)
        alone, nothing = pooled_units(u, *bank(units, d_input), lengths, segments)
    finally:
        torch.set_num_threads(before)
    log, B, C, threshold = bank(units, d_input)
    exact = [part.double() for part in (B, C, threshold)]
    wanted, wanted_signal = pooled_units_naive(u.double(), log, *exact, lengths, segments, with_signal=True)
    assert found.shape == (7, segments, 2, units)
    assert nothing is None
    assert torch.equal(found, alone)
    scale = float(wanted_signal.max())
    torch.testing.assert_close(found[:, :, 1].double(), wanted[:, :, 1], rtol=0, atol=1e-5 * scale)
    torch.testing.assert_close(signal.double(), wanted_signal, rtol=0, atol=1e-5 * scale)
    torch.testing.assert_close(found[:, :, 0].double(), wanted[:, :, 0], rtol=0, atol=1e-6)


def test_naive_is_the_definition_step_by_step():
    units, segments, length, n = 10, 3, 40, 31
    log, B, C, threshold = bank(units, 2)
    u = draw(1, length, 2)
    found, signal = pooled_units_naive(u, log, B, C, threshold, torch.tensor([n]), segments, with_signal=True)
    x, above = np.zeros(len(log), complex), np.zeros((n, units))
    for t in range(n):
        x = np.exp(log.numpy()) * x + B.numpy() @ u[0, t].numpy()
        for i in range(units):
            some = x[8 * (i * 4 // units) :][:8]
            above[t, i] = C[i, :, 0].numpy() @ some.real + C[i, :, 1].numpy() @ some.imag - threshold[i]
    part = np.arange(n) * segments // n
    for s in range(segments):
        np.testing.assert_allclose(found[0, s, 0], (above[part == s] > 0).mean(0), atol=1e-6)
        np.testing.assert_allclose(found[0, s, 1], np.maximum(above[part == s], 0).mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(signal[0, :n], np.maximum(above, 0), rtol=1e-4, atol=1e-4)
    assert not signal[0, n:].any()


def test_the_batch_changes_no_bit():
    u = draw(6, 90, 2)
    whole, _ = pooled_units(u, *bank(20, 2), segments=2)
    apart = torch.cat([pooled_units(row[None], *bank(20, 2), segments=2)[0] for row in u])
    assert torch.equal(whole, apart)


def test_a_long_share_loses_no_steps():
    """A hundred thousand steps, all above: counted exactly, and the mean in double precision."""
    u, (log, B, C, _) = torch.ones(1, 100_000, 1), bank(8, 1, groups=1)
    C[:] = 0
    pooled, _ = pooled_units(u, log, B, C, torch.full((8,), -0.1))
    torch.testing.assert_close(pooled[0, 0], torch.tensor([[1.0], [0.1]]).expand(2, 8), rtol=1e-6, atol=0)


def test_some_of_the_units_read_what_they_read_among_all():
    x = torch.complex(draw(5, 32), draw(5, 32, seed=9))
    C, some = draw(11, 8, 2), torch.tensor([10, 0, 4])
    torch.testing.assert_close(read_groups(x, C, some), read_groups(x, C)[:, some])
    assert group_of(11, 4).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
