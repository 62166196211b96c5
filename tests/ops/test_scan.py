"""The diagonal scan: compiled = chunked = naive, in values and gradients; lengths, splits, precision."""

from typing import Any

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor

from ssmemory.ops import _scan_compiled as compiled
from ssmemory.ops._lanes import LANES, load, rounded, store, swapped, widened
from ssmemory.ops.scan import diagonal_scan, diagonal_scan_chunked
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
@pytest.mark.parametrize(("length", "modes"), [(23, 5), (32, 8), (23, 70), (129, 1)])
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


@pytest.mark.parametrize("lengths", [None, ENDS], ids=["full", "unequal"])
@pytest.mark.parametrize("fast", list(FAST))
def test_an_eigenvalue_may_be_zero(fast, lengths):
    v, log, state = arguments()
    zero = log.detach().index_fill(0, torch.tensor([1, 4]), complex(-torch.inf, 0)).requires_grad_()
    x, _, _, by_log, _ = got = results(FAST[fast], [v, zero, state], lengths)
    assert lengths is not None or torch.equal(x[..., [1, 4]], v[..., [1, 4]])
    assert not by_log[[1, 4]].any()
    for one, wanted in zip(got, results(diagonal_scan_naive, [v, zero, state], lengths), strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("scan", [*FAST.values(), diagonal_scan_naive], ids=[*FAST, "naive"])
def test_a_state_of_another_precision_is_taken_in_that_of_the_signal(scan):
    v, log, state = arguments()
    single = v.detach().to(torch.complex64).requires_grad_()
    x, last, by_v, by_log, by_state = results(scan, [single, log, state], ENDS)
    assert x.dtype == last.dtype == by_v.dtype == torch.complex64
    assert by_log.dtype == by_state.dtype == torch.complex128
    wanted = results(diagonal_scan_naive, [v, log, state], ENDS)[-1]
    torch.testing.assert_close(by_state, wanted, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("fast", ["compiled", "one chunk"])
def test_gradients_in_single_precision(fast):
    log = torch.tensor([-1e-3 + 0.3j, -1e-2 - 2j, -0.1 + 1j], dtype=torch.complex128, requires_grad=True)
    v, state = draw(2, 4000, 3), draw(2, 3, seed=1)
    single = [v.to(torch.complex64).requires_grad_(), log, state.to(torch.complex64).requires_grad_()]
    double = [single[0].detach().to(v.dtype).requires_grad_(), log, single[2].detach().to(v.dtype).requires_grad_()]
    for got, wanted in zip(results(FAST[fast], single, None), results(diagonal_scan, double, None), strict=True):
        assert float((got - wanted).detach().abs().max() / wanted.detach().abs().max()) < 1e-5


@pytest.mark.parametrize("batch", [1, 3])
def test_the_number_of_threads_changes_no_bit(batch):
    before = torch.get_num_threads()
    given = [draw(batch, 40, 70), logs(70), draw(batch, 70, seed=1)]
    given = [x.requires_grad_() for x in given]
    try:
        torch.set_num_threads(1)
        alone = results(diagonal_scan, given, None)
        for threads in (2, 5):
            torch.set_num_threads(threads)
            assert all(torch.equal(a, b) for a, b in zip(results(diagonal_scan, given, None), alone, strict=True))
    finally:
        torch.set_num_threads(before)


@njit
def neighbours(array, out):
    store(out, 0, rounded(swapped(widened(load(array, 0))), out))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_are_swapped_in_pairs_and_rounded(dtype):
    array, out = np.arange(LANES) + 1 / 3, np.zeros(LANES, dtype)
    neighbours(array, out)
    assert np.array_equal(out, array.reshape(-1, 2)[:, ::-1].ravel().astype(dtype))


def within(array: Any, i: int) -> slice:
    assert 0 <= i <= len(array) - LANES
    return slice(i, i + LANES)


def put(array: Any, i: int, value: Any) -> None:
    array[within(array, i)] = value


IN_NUMPY = {
    "load": lambda array, i: array[within(array, i)].copy(),
    "store": put,
    "widened": lambda value: value.astype(np.float64),
    "swapped": lambda value: value.reshape(-1, 2)[:, ::-1].ravel(),
    "rounded": lambda value, array: value.astype(array.dtype),
}
LOOPS = {name: value.py_func for name, value in vars(compiled).items() if hasattr(value, "py_func")}


@pytest.mark.parametrize(("batch", "modes"), [(3, 5), (3, 8), (1, 70)])
@pytest.mark.parametrize("ends", [[23, 1, 14], [16, 17, 32]], ids=str)
def test_the_loops_stay_within_their_arrays_and_fill_them(batch, modes, ends, monkeypatch):
    """Run them as plain Python, where an index out of bounds is an error, on arrays that start as NaN."""
    given, lengths = [draw(batch, 33, modes), logs(modes), draw(batch, modes, seed=1)], torch.tensor(ends[:batch])
    given = [x.requires_grad_() for x in given]
    wanted = results(diagonal_scan_naive, given, lengths)
    assert set(LOOPS) == {"forward", "backward"}
    for name, function in (LOOPS | IN_NUMPY).items():
        monkeypatch.setattr(compiled, name, function)
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, np.nan, dtype))
    for got, one in zip(results(diagonal_scan, given, lengths), wanted, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-11, atol=1e-12)
