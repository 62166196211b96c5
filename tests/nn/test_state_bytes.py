"""Bytes of state, by closed formula for every layer, and the d_state that a number of bytes allows."""

import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.nn import LRU, S4, S4D, S5, Attention, Bidirectional, LinearAttention, LinearRNN
from ssmemory.nn.state_bytes import largest_d_state, state_bytes

CONSTANT = {
    "S4D": (lambda: S4D(6, 8), 4 * 6 * 8),
    "S4": (lambda: S4(6, 8), 4 * 6 * 8),
    "S5": (lambda: S5(6, 8), 4 * 8),
    "LRU": (lambda: LRU(6, 8), 4 * 8),
    "LinearRNN": (lambda: LinearRNN(6, 7), 4 * 7),
    "LinearAttention": (lambda: LinearAttention(6, 5, heads=3), 4 * 5 * (6 + 3)),
}


@pytest.mark.parametrize("length", [1, 2, 37])
@pytest.mark.parametrize("name", list(CONSTANT))
def test_a_constant_state(name, length):
    make, wanted = CONSTANT[name]
    assert state_bytes(make(), length) == wanted
    assert state_bytes(make().double(), length) == 2 * wanted


@pytest.mark.parametrize("length", [1, 2, 37])
def test_attention_keeps_a_key_a_value_and_a_mark_a_step(length):
    layer = Attention(6, heads=3)
    assert state_bytes(layer, length) == 4 * length * (2 * 6 + 1)
    state = layer(torch.randn(1, length, 6))[1]
    assert state_bytes(layer, length) == state.numel() * 4


@pytest.mark.parametrize(
    ("make", "most", "wanted"),
    [
        (lambda n: S4D(6, n), 4 * 6 * 8, 8),
        (lambda n: S4D(6, n), 4 * 6 * 10 - 1, 8),
        (lambda n: LRU(6, n), 43, 10),
        (lambda n: LinearRNN(6, n), 47, 11),
        (lambda n: LinearAttention(6, n, heads=3), 4 * 9 * 3 + 35, 3),
    ],
)
def test_the_largest_that_fits(make, most, wanted):
    assert largest_d_state(make, most) == wanted
    assert state_bytes(make(wanted), 1) <= most


def test_bad_input_is_one_line():
    for call, what in (
        (lambda: state_bytes(S4D(2, 2), 0), "at least 1 step"),
        (lambda: state_bytes(Bidirectional(S4D(2, 2), S4D(2, 2)), 5), "hands on a state"),
        (lambda: state_bytes(torch.nn.Linear(2, 2), 5), "hands on a state"),
        (lambda: largest_d_state(lambda n: S4D(6, n), 47), "at least 48, the state of S4D at d_state 2"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert_one_line(str(caught.value), what, "got ", "")
