"""The scan with a dense matrix against its loop, scipy's simulation of a system, and finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from ssmemory.ops.matrix_scan import matrix_scan
from ssmemory.ops.matrix_scan_naive import matrix_scan_naive

LENGTHS = [1, 2, 3, 4, 15, 16, 17, 26, 80]  # squares and beside them
Problem = tuple[Tensor, Tensor, Tensor]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def problem(batch: int, length: int, n: int = 4, radius: float = 0.95) -> Problem:
    """Draw a matrix that is neither normal nor symmetric."""
    A = normal(n, n, seed=0)
    A = radius * A / torch.linalg.eigvals(A).abs().max()
    return normal(batch, length, n, seed=1), A, normal(batch, n, seed=2)


def outcome(op: Callable[..., Any], arguments: Problem, *lengths: Tensor) -> list[Tensor]:
    """Return x, the last state, and the gradient of a random functional of both in every argument."""
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    x, last = op(*leaves, *lengths)
    functional = (x * normal(*x.shape, seed=5)).sum() + (last * normal(*last.shape, seed=6)).sum()
    return [x.detach(), last.detach(), *torch.autograd.grad(functional, leaves)]


def agree(got: list[Tensor], wanted: list[Tensor], tolerance: float = 1e-13) -> None:
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("length", LENGTHS)
def test_values_and_gradients_of_the_loop(length, n):
    arguments = problem(3, length, n)
    agree(outcome(matrix_scan, arguments), outcome(matrix_scan_naive, arguments))


@pytest.mark.parametrize("ends", [[1, 26, 16], [25, 15, 17], [2, 5, 6]], ids=str)
@pytest.mark.parametrize("garbage", [0.0, 1e30, float("inf"), float("nan")])
def test_lengths(ends, garbage):
    v, A, state = problem(3, 26)
    lengths = torch.tensor(ends)
    v = v.masked_fill((torch.arange(26) >= lengths.unsqueeze(-1)).unsqueeze(-1), garbage)
    got = outcome(matrix_scan, (v, A, state), lengths)
    agree(got, outcome(matrix_scan_naive, (v, A, state), lengths))
    for b, end in enumerate(ends):
        alone = matrix_scan_naive(v[b : b + 1, :end], A, state[b : b + 1])
        agree([got[0][b : b + 1, :end], got[1][b : b + 1]], list(alone))
        assert not got[0][b, end:].any()
        assert not got[2][b, end:].any()


@pytest.mark.parametrize("op", [matrix_scan, matrix_scan_naive])
def test_against_scipy(op):
    v, A, _ = problem(1, 50)
    eye = np.eye(4)
    _, _, states = scipy.signal.dlsim((A.numpy(), eye, eye, 0 * eye, 1.0), np.vstack([v[0].numpy(), np.zeros((1, 4))]))
    x, last = op(v, A, torch.zeros(1, 4, dtype=torch.float64))
    np.testing.assert_allclose(x[0], states[1:], rtol=0, atol=1e-13 * np.abs(states).max())
    assert torch.equal(last, x[:, -1])


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 11])], ids=["full", "lengths"])
def test_against_finite_differences(lengths):
    v, A, state = (argument.requires_grad_() for argument in problem(2, 11, 3))
    assert torch.autograd.gradcheck(lambda *arguments: matrix_scan(*arguments, lengths), (v, A, state))


def test_a_defective_matrix():
    """A Jordan block, which has no basis of eigenvectors: the free response is that of the binomial coefficients."""
    A = torch.tensor([[0.5, 1.0], [0.0, 0.5]], dtype=torch.float64)
    start = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    t = torch.arange(1, 31, dtype=torch.float64)
    wanted = torch.stack([t * 0.5 ** (t - 1), 0.5**t], -1)
    torch.testing.assert_close(matrix_scan(torch.zeros(1, 30, 2).double(), A, start)[0][0], wanted)


def test_arguments_of_any_layout_are_left_as_they_were():
    v, A, state = problem(3, 20)
    wanted = outcome(matrix_scan, (v, A, state))
    strided = v.permute(2, 0, 1).contiguous().permute(1, 2, 0), A.mT.contiguous().mT, state.mT.contiguous().mT
    before = [argument.clone() for argument in strided]
    agree([*matrix_scan(*strided)], wanted[:2])
    assert all(torch.equal(a, b) for a, b in zip(strided, before, strict=True))


def test_float32_is_as_good_as_the_loop():
    arguments = problem(2, 2000, 16, radius=0.999)
    x, _ = matrix_scan_naive(*arguments)
    single = [argument.float() for argument in arguments]
    rounded, _ = matrix_scan_naive(*(argument.double() for argument in single))  # apart from rounding the arguments
    error, loop = ((op(*single)[0].double() - rounded).abs().max() for op in (matrix_scan, matrix_scan_naive))
    assert x.abs().max() > 10
    assert float(error) < 3 * float(loop)
    assert float(error) < 1e-5 * float(rounded.abs().max())


def test_a_nan_spoils_no_earlier_step():
    v, A, state = problem(2, 50)
    v[0, 20] = float("nan")
    x, _ = matrix_scan(v, A, state)
    assert bool(x[0, :20].isfinite().all())
    assert bool(x[0, 20:].isnan().all())
    assert bool(x[1].isfinite().all())
