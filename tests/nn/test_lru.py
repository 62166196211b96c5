"""LRU: the layer contract, the ring it starts from, and its normalisation."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from tests.nn.layer_contract import LayerContract
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, init
from ssmemory.errors import InputError
from ssmemory.nn import LRU


class TestContract(LayerContract):
    @pytest.fixture
    def make(self):
        return lambda: LRU(5, 8)


class TestNarrow(LayerContract):
    """One channel of one pair, the least there is."""

    @pytest.fixture
    def make(self):
        return lambda: LRU(1, 2, r_min=0.3, r_max=0.5)


def test_it_starts_uniform_on_the_ring():
    torch.manual_seed(0)
    modes = LRU(2, 4000, r_min=0.6, r_max=0.9, max_phase=1.0).system().log_modes.exp().detach().numpy()
    area = (np.abs(modes) ** 2 - 0.36) / (0.81 - 0.36)
    assert stats.kstest(area, "uniform").pvalue > 0.01
    assert stats.kstest(np.angle(modes), "uniform").pvalue > 0.01


def test_the_normalisation_makes_states_white():
    torch.manual_seed(0)
    layer = LRU(32, 64, r_min=0.5, r_max=0.95)
    modes = layer.system().log_modes.exp()
    torch.testing.assert_close(layer.log_gamma.exp().double() ** 2, 1 - modes.abs() ** 2, rtol=1e-4, atol=1e-5)
    _, state = layer(torch.randn(400, 400, 32))
    assert float(state.detach().abs().square().mean()) == pytest.approx(1, rel=0.15)


def test_weights_start_as_the_papers():
    """Its parts are normal with variance 1/(2 d_model) for B and 1/N for C, N modes, read by Re(C x) without the 2."""
    layer = LRU(50, 400, generator=torch.Generator().manual_seed(0))
    for weights, variance in ((layer.B, 1 / (2 * 50)), (2 * layer.C, 1 / 200)):
        for part in weights.detach().double().unbind(-1):
            assert stats.kstest(part.flatten().numpy(), stats.norm(scale=math.sqrt(variance)).cdf).pvalue > 0.01


def test_all_that_is_random_comes_from_the_generator():
    def parameters(seed: int) -> dict[str, torch.Tensor]:
        before = torch.get_rng_state()
        layer = LRU(3, 8, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(torch.get_rng_state(), before)
        return dict(layer.named_parameters())

    first, again, other = parameters(1), parameters(1), parameters(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_system_is_its_start():
    system = init.s4d_lin(8, 0.1)
    torch.testing.assert_close(LRU(3, 8, init=system).system().log_modes, system.log_modes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "expected", "got", "fix"),
    [
        ({"d_state": 7}, "even d_state", "d_state=7", "conjugate pair"),
        ({"r_max": 1.5}, "1", r"1\.5", "below 1|moduli|between"),
        ({"r_min": 0.9, "r_max": 0.8}, "r_min < r_max", r"0\.9", "moduli"),
        ({"max_phase": 7.0}, "2π", r"7\.0", "radians"),
        ({"init": init.ring(6, seed=0)}, "d_state 8", "d_state=6", "ssmemory.init"),
        ({"init": LinearSystem.from_eigenvalues([0.5] * 8)}, "conj_sym", "LinearSystem", "ssmemory.init"),
        ({"init": init.fourier(8, 20)}, r"0 < \|λ\| < 1", "= 1", "reaches neither"),
    ],
)
def test_bad_input(options, expected, got, fix):
    with pytest.raises(InputError) as caught:
        LRU(3, **({"d_state": 8} | options))
    assert_one_line(str(caught.value), expected, got, fix)


def test_the_slowest_mode_may_be_as_slow_as_wanted():
    torch.manual_seed(0)
    layer = LRU(2, 64, r_min=0.999, r_max=1 - 1e-7, max_phase=math.pi / 10)
    assert bool((layer.system().eigenvalues.abs() < 1).all())
