"""S5: the layer contract, its initial spectrum and steps, and its discretisation against scipy's."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from scipy import stats
from tests.nn.layer_contract import LayerContract
from tests.one_line import assert_one_line

from ssmemory import init, memory_function
from ssmemory.errors import InputError
from ssmemory.nn import S5


@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
class TestContract(LayerContract):
    @pytest.fixture
    def make(self, discretization):
        return lambda: S5(5, 8, dt_min=0.01, dt_max=0.5, discretization=discretization)


class TestMoreModesThanABlock(LayerContract):
    """More modes than one block of the compiled loop."""

    @pytest.fixture
    def make(self):
        return lambda: S5(3, 72, blocks=3, dt_min=0.05, dt_max=0.5)


@pytest.mark.parametrize("blocks", [1, 4])
def test_the_initial_spectrum_is_that_of_hippos_normal_part_in_blocks(blocks):
    layer = S5(3, 16, blocks=blocks)
    p = np.sqrt(np.arange(16 // blocks) + 0.5)
    legs = -np.tril(2 * np.outer(p, p), -1) - np.diag(np.arange(16 // blocks) + 1.0)
    wanted = np.linalg.eigvals(legs + np.outer(p, p))
    wanted = np.sort_complex(np.tile(wanted[wanted.imag > 0], blocks))
    got = torch.complex(-layer.log_A_real.exp(), layer.A_imag.abs()).detach().numpy()
    order = np.argsort(got.imag)
    np.testing.assert_allclose(got[order], wanted[np.argsort(wanted.imag)], rtol=1e-5)


def test_steps_are_drawn_for_every_mode_within_bounds():
    dt = S5(3, 400, dt_min=0.002, dt_max=0.3).log_dt.detach().exp()
    assert dt.shape == (200,)
    assert len(dt.unique()) > 150
    assert 0.002 * 0.999 <= float(dt.min()) < 0.003
    assert 0.2 < float(dt.max()) <= 0.3 * 1.001


def test_weights_start_as_normal_numbers_of_the_stated_variance():
    layer = S5(50, 400, generator=torch.Generator().manual_seed(0))
    for weights, variance in ((layer.B, 1 / 50), (layer.C, 2 / 400)):
        for part in weights.detach().double().unbind(-1):
            assert stats.kstest(part.flatten().numpy(), stats.norm(scale=np.sqrt(variance / 2)).cdf).pvalue > 0.01


def test_all_that_is_random_comes_from_the_generator():
    def parameters(seed: int) -> dict[str, torch.Tensor]:
        before = torch.get_rng_state()
        layer = S5(3, 8, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(torch.get_rng_state(), before)
        return dict(layer.named_parameters())

    first, again, other = parameters(1), parameters(1), parameters(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert {name for name in first if torch.equal(first[name], other[name])} == {"log_A_real", "A_imag"}


@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_sampled_as_scipy_does(discretization):
    torch.manual_seed(0)
    layer = S5(3, 6, dt_min=0.2, dt_max=0.2, discretization=discretization).double()
    A = np.diag(torch.complex(-layer.log_A_real.exp(), layer.A_imag).detach().numpy())
    B = torch.view_as_complex(layer.B).detach().numpy()
    dt = float(layer.log_dt[0].detach().exp())
    wanted = scipy.signal.cont2discrete((A, B, np.eye(3), np.zeros((3, 3))), dt, discretization)
    system = layer.system()
    np.testing.assert_allclose(system.log_modes.exp().detach().numpy(), np.diag(wanted[0]), rtol=1e-12)
    np.testing.assert_allclose(system.B.detach().numpy(), wanted[1], rtol=1e-12)


def test_a_system_is_met_step_for_step():
    system = init.ring(8, seed=3)
    layer = S5(3, 8, init=system)
    torch.testing.assert_close(layer.system().log_modes, system.log_modes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_a_function_is_asked_for_the_steps_of_the_modes(blocks, discretization):
    asked = []

    def spectrum(d_state, dt):
        asked.append((d_state, dt))
        return init.s4d_lin(d_state, 0.1 * dt.sqrt())

    layer = S5(3, 8, blocks=blocks, init=spectrum, dt_min=0.01, dt_max=0.1, discretization=discretization)
    ((d_state, dt),) = asked
    assert d_state == 8 // blocks
    torch.testing.assert_close(dt, layer.log_dt.detach().double().exp())
    frequencies = math.pi * torch.arange(4 // blocks, dtype=torch.float64).repeat(blocks)
    wanted = torch.complex(torch.full_like(dt, -0.5), frequencies) * 0.1 * dt.sqrt()
    torch.testing.assert_close(layer.system().log_modes, wanted, rtol=1e-5, atol=1e-7)


def test_a_function_may_make_one_system_for_all_steps():
    system = init.ring(4, seed=3)
    layer = S5(3, 8, blocks=2, init=lambda d_state, dt: system)
    torch.testing.assert_close(layer.system().log_modes, system.log_modes.repeat(2), rtol=1e-5, atol=1e-7)


def test_white_input_gives_states_and_outputs_of_order_one():
    torch.manual_seed(0)
    y, state = S5(64, 64, dt_min=0.1, dt_max=0.5)(torch.randn(8, 500, 64))
    assert 0.3 < float(y.detach().std()) < 5
    assert float(state.detach().abs().mean()) < 5


def test_its_memory_is_shared_by_the_channels():
    memory = memory_function(S5(6, 8, dt_min=0.05, dt_max=0.5).requires_grad_(False).system(), 400)
    assert memory.values.shape == (400, 6)
    assert float(memory.capacity) == pytest.approx(8, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "expected", "got", "fix"),
    [
        ({"d_state": 7}, "even d_state", "d_state=7", "conjugate pair"),
        ({"blocks": 3}, "a divisor of d_state/2 = 4", "3", "whole conjugate pairs"),
        ({"blocks": 0}, "a divisor", "0", "whole"),
        ({"dt_min": 1.0}, "dt_min ≤ dt_max", r"1\.0, 0\.1", "swap"),
        ({"init": "s4d_lgs"}, "one of", "s4d_lgs", "s4d_legs"),
        ({"init": "ring"}, r"f\(d_state, dt\)", "'ring'", "make the system yourself"),
        ({"init": 3}, "d_state 8", "3", "ssmemory.init"),
        ({"init": lambda n, dt: init.ring(n - 2, seed=0)}, "d_state 8", "d_state=6", "ssmemory.init"),
        ({"init": init.ring(8, seed=0, channels=4)}, r"batch \(\)", r"batch=\(4,\)", "ssmemory.init"),
        ({"d_state": 12, "blocks": 4}, "a divisor of d_state/2 = 6", "4", "whole conjugate pairs"),
        ({"init": init.ring(6, seed=0)}, "d_state 8", "d_state=6", "ssmemory.init"),
        ({"init": init.fourier(8, 20)}, r"0 < \|λ\| < 1", "= 1", "reaches neither"),
        ({"discretization": "euler"}, "one of zoh, bilinear", "'euler'", "choose"),
    ],
)
def test_bad_input(options, expected, got, fix):
    with pytest.raises(InputError) as caught:
        S5(3, **({"d_state": 8} | options))
    assert_one_line(str(caught.value), expected, got, fix)
