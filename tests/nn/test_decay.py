"""Zero real parts: held exactly, trained without ever leaving the stable side, saved and read back."""

import numpy as np
import pytest
import torch

from ssmemory import init, nn
from ssmemory.errors import InputError
from ssmemory.nn.decay import not_above_zero

DATA = np.random.default_rng(0).standard_normal((40, 64)).cumsum(1)


@pytest.fixture(scope="module")
def advice() -> init.Advice:
    return init.from_data(list(DATA), 8)


def test_the_gradient_is_projected():
    x = torch.tensor([0.0, 0.0, -1.0, 0.5, 0.5], requires_grad=True, dtype=torch.float64)
    not_above_zero(x).backward(torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0]))
    assert x.grad.tolist() == [1.0, 0.0, -1.0, 1.0, 0.0]
    assert not_above_zero(x).tolist() == [0.0, 0.0, -1.0, 0.0, 0.0]


def test_a_layer_starts_where_the_advice_says(advice):
    layer = nn.S4D(3, 8, init=advice)
    system = layer.system()
    assert advice.decay == 0
    assert not system.log_modes.real.any()  # exactly on the circle
    torch.testing.assert_close(system.log_modes[0].imag, advice.system.log_modes.imag, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(layer.log_dt.exp(), torch.full((3,), advice.dt), rtol=1e-6, atol=0)


def test_with_decay_too():
    advice = init.from_data(list(DATA), 8, decay=2.0, discretization="bilinear")
    system = nn.S4D(2, 8, init=advice).system()
    torch.testing.assert_close(
        system.log_modes[1].real, torch.full((4,), -2.0 / 64, dtype=torch.float64), rtol=1e-5, atol=0
    )
    with pytest.raises(InputError, match="discretization: expected 'bilinear', got 'zoh'"):
        nn.S4D(2, 8, init=advice, discretization="zoh")


def test_training_moves_zero_real_parts_and_never_makes_them_positive(advice):
    """Ten times the usual rate, on noise: real parts leave zero inwards only, and some do leave."""
    torch.manual_seed(0)
    layer = nn.S4D(4, 8, init=advice)
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2)
    u, target = torch.randn(2, 8, 64, 4)
    for _ in range(60):
        optimiser.zero_grad()
        (layer(u)[0] - target).square().mean().backward()
        optimiser.step()
        assert bool((layer.system().log_modes.real <= 0).all())
    assert bool((layer.system().log_modes.real < 0).any())
    assert bool(torch.isfinite(layer(u)[0]).all())


def test_a_whole_is_its_steps_on_the_circle(advice):
    layer = nn.S4D(2, 8, init=advice).double().requires_grad_(False)
    u = torch.randn(3, 200, 2, dtype=torch.float64)
    whole, state = layer(u)
    stepped, now = [], layer.initial_state(3)
    for u_t in u.unbind(1):
        y_t, now = layer.step(u_t, now)
        stepped.append(y_t)
    torch.testing.assert_close(torch.stack(stepped, 1), whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(now, state, rtol=1e-9, atol=1e-9)


def test_a_backbone_from_an_advice_is_saved_and_read_back(advice, tmp_path):
    torch.manual_seed(0)
    model = nn.Backbone(nn.BackboneConfig(d_model=4, n_layers=2), init=advice).eval()
    assert model.config.decay == "projected"
    assert model.config.d_state == 8
    nn.save_model(model, tmp_path)
    again = nn.load_model(tmp_path)
    u = torch.randn(2, 30, 1)
    assert torch.equal(again(u)[0], model(u)[0])


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (nn.BackboneConfig(init="s4d_inv"), "init: expected one start, got another in the configuration, 's4d_inv'"),
        (nn.BackboneConfig(layer="attention"), "takes no init"),
        (nn.BackboneConfig(layer="s5"), "expected a layer 's4d' for an advice, got 's5'"),
    ],
)
def test_bad_starts(config, match, advice):
    with pytest.raises(InputError, match=match):
        nn.Backbone(config, init=advice)


def test_bad_decay():
    with pytest.raises(InputError, match="decay: expected one of exp, projected, got 'softplus'"):
        nn.S4D(2, 4, decay="softplus")
    with pytest.raises(InputError, match="expected None, as layer 's5' takes no decay"):
        nn.BackboneConfig(layer="s5", decay="exp")
