"""Bidirectional: both halves against one layer run on what was turned round by hand; unequal lengths; refusals."""

import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.fit import freeze
from ssmemory.nn import S4D, Bidirectional, named_systems

ENDS = torch.tensor([13, 1, 8])


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return Bidirectional(S4D(4, 8, dt_min=0.01, dt_max=0.5), S4D(4, 8, dt_min=0.01, dt_max=0.5)).double()


@pytest.fixture
def u():
    return torch.randn(3, 13, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_hand(layer, u):
    ahead, back = layer.ahead, layer.back
    return ahead(u)[0] + back(u.flip(1))[0].flip(1), ahead(u)[1]


def test_it_is_the_sum_of_both_directions(layer, u):
    for got, wanted in zip(layer(u), by_hand(layer, u), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_every_output_sees_every_input(layer, u):
    u.requires_grad_()
    for t in (0, 6, 12):
        (seen,) = torch.autograd.grad(layer(u)[0][0, t].sum(), u)
        assert bool((seen[0].abs() > 0).all())
        assert not seen[1:].any()


@pytest.mark.parametrize("garbage", [0.0, 1e6, float("nan")])
def test_each_sequence_turns_round_at_its_own_end(layer, u, garbage):
    for b, end in enumerate(ENDS):
        u[b, end:] = garbage
    u.requires_grad_()
    y, after = layer(u, lengths=ENDS)
    (together,) = torch.autograd.grad(y.sin().sum(), u)
    for b, end in enumerate(ENDS):
        alone = u.detach()[b : b + 1, :end].requires_grad_()
        wanted, wanted_after = by_hand(layer, alone)
        torch.testing.assert_close(y[b : b + 1, :end], wanted, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(after[b : b + 1], wanted_after, rtol=1e-11, atol=1e-12)
        (gradient,) = torch.autograd.grad(wanted.sin().sum(), alone)
        torch.testing.assert_close(together[b : b + 1, :end], gradient, rtol=1e-11, atol=1e-12)
        assert not y[b, end:].any()
        assert not together[b, end:].any()


def test_both_layers_are_measured_and_frozen(layer):
    assert [name for name, _ in named_systems(layer)] == ["ahead", "back"]
    names = {f"{half}.{name}" for half in ("ahead", "back") for name in ("log_dt", "log_A_real", "A_imag")}
    assert set(freeze(layer, "eigenvalues").initial) == names


@pytest.mark.parametrize(
    ("call", "got"),
    [
        (lambda layer, u: layer(u, torch.zeros(3, 4, 4)), "a state"),
        (lambda layer, u: layer.step(u[:, 0], torch.zeros(3, 4, 4)), "a single step"),
        (lambda layer, u: layer.initial_state(3), "a single step"),
    ],
    ids=["state", "step", "initial state"],
)
def test_there_is_no_stream_to_carry_on(layer, u, call, got):
    with pytest.raises(InputError) as caught:
        call(layer, u)
    assert_one_line(str(caught.value), "a whole sequence and no state", got, "pass the sequence at once")


def test_layers_of_different_width_are_refused():
    with pytest.raises(InputError) as caught:
        Bidirectional(S4D(4, 8), S4D(5, 8))
    assert_one_line(str(caught.value), "one d_model", "4 and 5", "alike")
