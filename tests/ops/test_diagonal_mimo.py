"""One system of many inputs and outputs: compiled = naive, in values and gradients; lengths; frozen arguments."""

import pytest
import torch
from torch import Tensor

from ssmemory import ops
from ssmemory.ops import diagonal_mimo, diagonal_mimo_ssm, diagonal_mimo_ssm_naive

ENDS = torch.tensor([23, 1, 14])


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def arguments(modes: int, d_model: int = 4, length: int = 23) -> list[Tensor]:
    log = torch.complex(-draw(modes, seed=3).abs() * 0.3, 3 * draw(modes, seed=4).real)
    given = [
        draw(3, length, d_model, seed=0).real, log, draw(modes, d_model, seed=7), draw(d_model, modes, seed=8),
        draw(d_model, seed=9).real, draw(3, modes, seed=1),
    ]  # fmt: skip
    return [x.requires_grad_() for x in given]


def results(ssm, given: list[Tensor], lengths: Tensor | None) -> list[Tensor]:
    u, *others = given
    if lengths is not None:
        u = u.masked_fill((torch.arange(u.shape[1]) >= lengths.unsqueeze(-1)).unsqueeze(-1), 0)
    y, last = ssm(u, *others, lengths)
    objective = (y * draw(*y.shape, seed=5).real).sum() + (last * draw(*last.shape, seed=6)).abs().sum()
    return [y, last, *torch.autograd.grad(objective, given)]


@pytest.mark.parametrize("lengths", [None, ENDS], ids=["full", "unequal"])
@pytest.mark.parametrize("modes", [1, 5, 8, 33])
def test_values_and_gradients_are_those_of_the_naive_twin(modes, lengths):
    given = arguments(modes)
    wanted = results(diagonal_mimo_ssm_naive, given, lengths)
    for got, one in zip(results(diagonal_mimo_ssm, given, lengths), wanted, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-11, atol=1e-11)


def test_a_signal_laid_out_channel_by_channel_is_read_as_any_other():
    given = arguments(5)
    u, *others = given
    by_channel = u.detach().mT.contiguous().mT.requires_grad_()
    assert not by_channel.is_contiguous()
    wanted = results(diagonal_mimo_ssm, given, ENDS)
    for got, one in zip(results(diagonal_mimo_ssm, [by_channel, *others], ENDS), wanted, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-11, atol=1e-11)


def test_the_naive_twin_is_the_definition():
    u, log, B, C, D, state = (x.detach() for x in arguments(5))
    x, expected = state, []
    for u_t in u.unbind(1):
        x = torch.exp(log) * x + u_t.to(B.dtype) @ B.mT
        expected.append(2 * (x @ C.mT).real + D * u_t)
    y, last = diagonal_mimo_ssm_naive(u, log, B, C, D, state)
    torch.testing.assert_close(y, torch.stack(expected, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, x, rtol=1e-12, atol=1e-12)


def test_what_other_devices_run_is_the_same():
    given = arguments(5)
    wanted = results(diagonal_mimo_ssm_naive, given, ENDS)

    def chunked(*a):
        return diagonal_mimo._of_parts(ops.diagonal_scan_chunked, *a)

    for got, one in zip(results(chunked, given, ENDS), wanted, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-11, atol=1e-11)


def test_gradients_are_differences():
    given = arguments(2, 3, length=5)
    assert torch.autograd.gradcheck(diagonal_mimo_ssm, given)


def test_y_and_its_gradient_end_with_the_sequence():
    """A gradient of y beyond the end, which the loss of a padded batch may hand down, reaches nothing."""
    given = arguments(5)
    u = given[0].detach().clone()
    u[1, 1:], u[2, 14:] = 0, 0
    given[0] = u.requires_grad_()
    y, _ = diagonal_mimo_ssm(*given, ENDS)
    assert not y[1, 1:].any()
    assert not y[2, 14:].any()
    real = (torch.arange(23) < ENDS.unsqueeze(-1)).unsqueeze(-1).double()
    weight = draw(*y.shape, seed=5).real
    whole = torch.autograd.grad((y * weight).sum(), given[1:], retain_graph=True)
    masked = torch.autograd.grad((y * weight * real).sum(), given[1:])
    for got, one in zip(whole, masked, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-12, atol=1e-12)


def test_frozen_arguments_take_no_gradient():
    u, log, B, C, D, state = arguments(5)
    frozen = [x.detach() for x in (log, B, C, D, state)]
    y, _ = diagonal_mimo_ssm(u, *frozen)
    (by_u,) = torch.autograd.grad(y.sum(), [u])
    (wanted,) = torch.autograd.grad(diagonal_mimo_ssm_naive(u, *frozen)[0].sum(), [u])
    torch.testing.assert_close(by_u, wanted, rtol=1e-11, atol=1e-11)
