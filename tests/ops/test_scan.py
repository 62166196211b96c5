"""The diagonal scan: compiled = chunked = naive, in values and gradients; lengths, splits, precision."""

import pytest
import torch
from torch import Tensor

from ssmemory.ops.scan import diagonal_mimo_ssm, diagonal_scan, diagonal_scan_chunked
from ssmemory.ops.scan_naive import diagonal_scan_naive

FAST = {
    "compiled": diagonal_scan,
    "chunks of 1": lambda *a: diagonal_scan_chunked(*a, chunk=1),
    "chunks of 7": lambda *a: diagonal_scan_chunked(*a, chunk=7),
    "one chunk": diagonal_scan_chunked,
}
ENDS = torch.tensor([23, 1, 14])


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def logs(modes: int) -> Tensor:
    return torch.complex(-draw(modes, seed=3).abs() * 0.3, 3 * draw(modes, seed=4).real)


def arguments(length: int = 23, modes: int = 5) -> list[Tensor]:
    return [x.requires_grad_() for x in (draw(3, length, modes), logs(modes), draw(3, modes, seed=1))]


def results(scan, given: list[Tensor], lengths: Tensor | None) -> list[Tensor]:
    x, last = scan(*given, lengths)
    objective = (x * draw(*x.shape, seed=5).conj()).real.sum() + (last * draw(*last.shape, seed=6)).abs().sum()
    return [x, last, *torch.autograd.grad(objective, given)]


@pytest.mark.parametrize("lengths", [None, ENDS], ids=["full", "unequal"])
@pytest.mark.parametrize(("length", "modes"), [(23, 5), (23, 70), (129, 1)])
@pytest.mark.parametrize("fast", list(FAST))
def test_values_and_gradients_are_those_of_the_naive_twin(fast, length, modes, lengths):
    given = arguments(length, modes)
    for got, wanted in zip(
        results(FAST[fast], given, lengths), results(diagonal_scan_naive, given, lengths), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("fast", list(FAST))
def test_gradients_are_differences(fast):
    given = arguments(6, 2)
    assert torch.autograd.gradcheck(lambda *a: FAST[fast](*a, torch.tensor([6, 1, 4])), given)


@pytest.mark.parametrize("fast", list(FAST))
def test_what_lies_beyond_changes_nothing(fast):
    v, *others = arguments()
    clean = results(FAST[fast], [v, *others], ENDS)
    padded = v.detach().clone()
    for b, end in enumerate(ENDS):
        padded[b, end:] = torch.nan
    for got, wanted in zip(results(FAST[fast], [padded.requires_grad_(), *others], ENDS), clean, strict=True):
        assert torch.equal(got, wanted)
    assert not clean[0][1, 1:].any()


@pytest.mark.parametrize("fast", list(FAST))
def test_a_split_is_the_whole(fast):
    v, log, state = (x.detach() for x in arguments())
    whole, after = FAST[fast](v, log, state)
    first, handed = FAST[fast](v[:, :9], log, state)
    second, last = FAST[fast](v[:, 9:], log, handed)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(last, after, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("fast", ["compiled", "one chunk"])
def test_an_eigenvalue_may_be_zero(fast):
    log = torch.tensor([0.0], dtype=torch.complex128).log()
    v = draw(2, 9, 1)
    assert torch.equal(FAST[fast](v, log, draw(2, 1))[0], v)


@pytest.mark.parametrize(("fast", "bound"), [("compiled", 3e-7), ("one chunk", 1e-5)])
def test_single_precision_keeps_slow_modes(fast, bound):
    """Powers of λ are not those of λ rounded to complex64, which would be off by 1e-3 here."""
    log = torch.tensor([-1e-5 + 0.3j, -1e-4 - 2j, -0.1 + 1j], dtype=torch.complex128)
    v, state = draw(1, 20_000, 3), draw(1, 3, seed=1)
    exact = diagonal_scan(v, log, state)[0]
    got = FAST[fast](v.to(torch.complex64), log, state.to(torch.complex64))[0]
    assert got.dtype == torch.complex64
    error = (got - exact).abs().amax(1) / exact.abs().amax(1)
    assert float(error.max()) < bound


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(threads):
    before = torch.get_num_threads()
    given = [x.detach() for x in arguments(40, 70)]
    alone = diagonal_scan(*given)[0]
    torch.set_num_threads(threads)
    try:
        assert torch.equal(diagonal_scan(*given)[0], alone)
    finally:
        torch.set_num_threads(before)


def test_many_inputs_and_outputs():
    u = draw(3, 23, 4).real
    log, B, C, state = logs(5), draw(5, 4, seed=7), draw(4, 5, seed=8), draw(3, 5, seed=1)
    y, last = diagonal_mimo_ssm(u, log, B, C, state, ENDS)
    x, wanted = diagonal_scan_naive(u.to(B.dtype) @ B.mT, log, state, ENDS)
    torch.testing.assert_close(y, 2 * (x @ C.mT).real, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, wanted, rtol=1e-12, atol=1e-12)
