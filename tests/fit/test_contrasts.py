"""Contrasts: the state against the recurrence step by step, what it loses, which pairs are drawn; bad input."""

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.fit import FrozenContrasts


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("length", "window", "d_state"), [(20, 20, 20), (50, 20, 12), (13, 20, 20), (21, 21, 20), (1, 2, 2)]
)
def test_state_is_that_of_the_recurrence(length, window, d_state):
    contrasts, u = FrozenContrasts(2, 3, window=window, d_state=d_state), draw(9, length, 2)
    lengths = torch.randint(1, length + 1, (9,), generator=torch.Generator().manual_seed(1))
    rate = np.exp(1j * np.pi * (2 * np.arange(d_state // 2) + 1) / window)
    spoiled = u.masked_fill((torch.arange(length) >= lengths[:, None]).unsqueeze(-1), torch.nan)
    for row, sequence, n in zip(contrasts.state(spoiled, lengths), u.numpy(), lengths, strict=True):
        x = np.zeros((2, d_state // 2), complex)
        for step in sequence[:n]:
            x = rate * x + step[:, None]
        wanted = np.concatenate([x.real, x.imag], 1).ravel() * np.sqrt(2 / window)
        np.testing.assert_allclose(row, wanted, atol=1e-5)
    running = contrasts.advance(torch.zeros(9, 2, d_state // 2, dtype=torch.complex128), u)
    torch.testing.assert_close(contrasts.state_of(running), contrasts.state(u), rtol=0, atol=1e-5)


def test_nothing_is_lost_within_the_window():
    """With as many numbers as steps all angles and lengths stay: only the basis is another."""
    u = draw(12, 64, 1)
    s = FrozenContrasts(1, 2, window=64).state(u)
    torch.testing.assert_close(s @ s.mT, u[..., 0] @ u[..., 0].mT, rtol=1e-4, atol=1e-4)


def test_a_unit_is_the_angle_to_a_difference():
    u, y = draw(30, 16, 1), torch.arange(30) % 3
    contrasts = FrozenContrasts(1, 40, window=16).calibrate(u, y)
    flat, s = u[..., 0], contrasts.state(u)
    pairs = [(a, b) for a in range(30) for b in range(30) if y[a] != y[b]]
    differences = torch.stack([(s[a] - s[b]) / (s[a] - s[b]).norm() for a, b in pairs])
    nearest = (contrasts.W @ differences.mT).max(1)
    assert nearest.values.min() > 1 - 1e-5
    a, b = np.array(pairs)[nearest.indices].T
    w = flat[a] - flat[b]
    torch.testing.assert_close(contrasts(u), (flat @ (w / w.norm(dim=1, keepdim=True)).mT).relu(), rtol=0, atol=1e-4)
    assert len(set(nearest.indices.tolist())) > 30


def test_pairs_where_all_targets_are_alike_and_seeds():
    u = draw(5, 8, 2)
    one, same, other = (FrozenContrasts(2, 6, window=8, seed=s).calibrate(u, torch.zeros(5, 2)) for s in (0, 0, 1))
    assert one(u).abs().sum() > 0
    assert torch.equal(one.W, same.W)
    assert not torch.equal(one.W, other.W)
    assert not list(one.parameters())


U = draw(3, 10, 2)
BAD = [
    (lambda: FrozenContrasts(0, window=9), "at least 1", "0", "larger"),
    (lambda: FrozenContrasts(1, window=1), "at least 2", "1", "larger"),
    (lambda: FrozenContrasts(1, window=9, d_state=10), "even number in 2 … 9", "10", "leave"),
    (lambda: FrozenContrasts(1, window=9, d_state=3), "even number in 2 … 9", "3", "leave"),
    (lambda: FrozenContrasts(2, window=9)(U), "from data", "none yet", "calibrate"),
    (lambda: FrozenContrasts(2, window=9).calibrate(U, torch.zeros(2)), "a target each", "3 sequences and 2", "more"),
    (lambda: FrozenContrasts(2, window=9).calibrate(U[:1], torch.zeros(1)), "two sequences", "1 sequences", "more"),
    (lambda: FrozenContrasts(1, window=9).state(U), r"\(batch, length, 1\)", r"\(3, 10, 2\)", "channels last"),
    (lambda: FrozenContrasts(2, window=9).state(U, torch.tensor([1, 2, 11])), "10", "11", "."),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
