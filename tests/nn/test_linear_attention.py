"""Linear attention: the contract, the explicit weighted mean, and what its system says of the state."""

import pytest
import torch
from tests.nn.layer_contract import RecurrentContract, draw
from tests.one_line import assert_one_line
from torch import Tensor

from ssmemory import memory_function
from ssmemory.errors import InputError, UnstableError
from ssmemory.nn.linear_attention import LinearAttention
from ssmemory.systems import HasSystem

D_MODEL, D_STATE, HEADS = 6, 4, 2


class TestWithDecay(RecurrentContract):
    @pytest.fixture
    def make(self):
        return lambda: LinearAttention(D_MODEL, D_STATE, heads=HEADS)

    def check_trained(self, layer):
        assert bool((layer.system().eigenvalues.abs() < 1).all())


class TestWithoutDecay(RecurrentContract):
    nothing_to_freeze = {"eigenvalues"}  # noqa: RUF012

    @pytest.fixture
    def make(self):
        return lambda: LinearAttention(D_MODEL, D_STATE, heads=HEADS, decay=False)


class TestSmallest(RecurrentContract):
    """One value channel; with one key the query would not matter, so two."""

    @pytest.fixture
    def make(self):
        return lambda: LinearAttention(1, 2, heads=1)


def explicit(layer: LinearAttention, u: Tensor) -> Tensor:
    """Return y by the whole matrix of weights φ(q_t)·φ(k_j) γ^(t−j), each row divided by its sum."""
    t, y = torch.arange(u.shape[1], dtype=torch.float64), []
    for h in range(layer.heads):
        keys, values = slice(h * D_STATE, (h + 1) * D_STATE), slice(h * 3, (h + 1) * 3)
        q, k = (torch.nn.functional.elu(u @ W[keys].T) + 1 for W in (layer.query, layer.key))
        gamma = 1.0 if layer.log_rate is None else torch.exp(-layer.log_rate[h].exp())
        weights = (q @ k.mT * gamma ** (t[:, None] - t).clamp(min=0)).tril()
        y.append(weights / weights.sum(-1, keepdim=True) @ (u @ layer.value[values].T))
    return torch.cat(y, -1) @ layer.output.T


@pytest.mark.parametrize("decay", [True, False])
def test_the_explicit_weighted_mean(decay):
    layer, u = LinearAttention(D_MODEL, D_STATE, heads=HEADS, decay=decay).double(), draw(3, 150, D_MODEL)
    y, wanted = layer(u)[0], explicit(layer, u)
    torch.testing.assert_close(y, wanted)
    got = torch.autograd.grad(y.sin().sum(), list(layer.parameters()))
    for a, b in zip(got, torch.autograd.grad(wanted.sin().sum(), list(layer.parameters())), strict=True):
        torch.testing.assert_close(a, b)


def test_at_a_zero_projection_gradients_are_those_of_elu():
    """A zero input lies on elu's corner, where its derivative is 1."""
    layer, u = LinearAttention(D_MODEL, D_STATE, heads=HEADS).double(), draw(1, 5, D_MODEL)
    u[:, 2] = 0
    u.requires_grad_()
    got, wanted = (torch.autograd.grad(y.sin().sum(), u)[0] for y in (layer(u)[0], explicit(layer, u)))
    torch.testing.assert_close(got, wanted)


def test_initial_decays():
    decays = LinearAttention(8, 2, heads=4).system().eigenvalues.real.flatten()
    torch.testing.assert_close(decays, 1 - 2.0 ** -torch.arange(5, 9, dtype=torch.float64), rtol=1e-8, atol=0)


def test_the_state_keeps_its_size():
    layer = LinearAttention(D_MODEL, D_STATE, heads=HEADS)
    first = layer.initial_state(2)
    assert first.shape == (2, HEADS, D_STATE, D_MODEL // HEADS + 1)
    _, later = layer(draw(2, 70, D_MODEL, dtype=torch.float32), first)
    assert later.shape == layer.step(draw(2, D_MODEL, dtype=torch.float32), later)[1].shape == first.shape


class TestSystem:
    @pytest.mark.parametrize("decay", [True, False])
    def test_at_a_constant_key_every_entry_of_the_state_is_its_recurrence(self, decay):
        layer = LinearAttention(D_MODEL, D_STATE, heads=HEADS, decay=decay).double()
        assert isinstance(layer, HasSystem)
        with torch.no_grad():
            layer.key.zero_()  # φ(k) = 1
        u, system = draw(1, 20, D_MODEL), layer.system()
        assert system.batch_shape == (HEADS,)
        assert system.d_state == 1
        values = (u @ layer.value.mT).unflatten(-1, (HEADS, -1))[0]
        x = torch.zeros(HEADS, D_MODEL // HEADS, dtype=torch.float64)
        for u_t in values:
            x = system.eigenvalues.real * x + system.B.real[..., 0] * u_t
        state = layer(u)[1][0]
        torch.testing.assert_close(state[..., :-1], x.unsqueeze(1).expand(-1, D_STATE, -1))

    def test_its_memory_is_that_of_one_mode(self):
        system = LinearAttention(D_MODEL, D_STATE, heads=HEADS).system()
        gamma, lags = system.eigenvalues.real.detach(), torch.arange(30)
        memory = memory_function(system, 30)
        torch.testing.assert_close(memory.values.detach(), (1 - gamma**2) * gamma ** (2 * lags))
        memory.values[0, 5].backward()

    def test_without_decay_memory_has_no_end(self):
        with pytest.raises(UnstableError):
            memory_function(LinearAttention(D_MODEL, D_STATE, heads=HEADS, decay=False).system(), 10)


@pytest.mark.parametrize("scale", [30.0, 1e3])
def test_queries_far_below_zero_stay_finite(scale):
    """In float32 elu(−30) + 1 is 0, and exp(−1000) is 0 too."""
    layer, u = LinearAttention(D_MODEL, D_STATE, heads=HEADS), torch.ones(1, 10, D_MODEL)
    with torch.no_grad():
        layer.query.fill_(-scale / D_MODEL)
    y, _ = layer(u)
    wanted = explicit(layer.double(), u.double()) if scale < 100 else torch.zeros(1, 10, D_MODEL).double()
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)
    layer.float()
    gradients = torch.autograd.grad(layer(u)[0].sum(), list(layer.parameters()))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("scale", range(70, 110, 5))
def test_gradients_stay_finite_where_the_weights_underflow(scale):
    layer, u = LinearAttention(D_MODEL, D_STATE, heads=HEADS), 1 + 0.1 * draw(1, 10, D_MODEL, dtype=torch.float32)
    with torch.no_grad():
        layer.query.fill_(-scale / D_MODEL)
    gradients = torch.autograd.grad(1e3 * layer(u)[0].sum(), list(layer.parameters()))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize(
    ("options", "expected", "got", "fix"),
    [
        ({"d_model": 0}, "d_model ≥ 1", "d_model=0", "positive"),
        ({"d_state": 0}, "d_state ≥ 1", "d_state=0", "positive"),
        ({"heads": 0}, "a divisor of d_model", "heads=0, d_model=6", "d_model/heads"),
        ({"heads": 4}, "a divisor of d_model", "heads=4, d_model=6", "d_model/heads"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options, expected, got, fix):
    with pytest.raises(InputError) as caught:
        LinearAttention(**({"d_model": 6, "heads": 2} | options))
    assert_one_line(str(caught.value), expected, got, fix)
