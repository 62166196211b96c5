"""S4D: the layer contract, and its initial spectra, steps and discretisations."""

import math

import pytest
import torch
from tests.nn.layer_contract import LayerContract

from ssmemory import LinearSystem, init, memory_capacity, memory_function
from ssmemory.errors import InputError
from ssmemory.nn import S4D

D_MODEL, D_STATE = 5, 8
NAMES = ["s4d_lin", "s4d_inv", "s4d_legs"]
DISCRETIZATIONS = ["zoh", "bilinear"]


@pytest.mark.parametrize("discretization", DISCRETIZATIONS)
class TestContract(LayerContract):
    @pytest.fixture
    def make(self, discretization):
        return lambda: S4D(D_MODEL, D_STATE, dt_min=0.01, dt_max=0.5, discretization=discretization)


class TestSmallAndWide(LayerContract):
    """One channel of one pair, the least there is, slow enough to reach beyond any test."""

    @pytest.fixture
    def make(self):
        return lambda: S4D(1, 2, init="s4d_legs")


class TestManyChannels(LayerContract):
    """More channels than the compiled loop has lanes."""

    @pytest.fixture
    def make(self):
        return lambda: S4D(19, 4, init=init.ring(4, seed=0, channels=19))


def steps(layer: S4D) -> torch.Tensor:
    return layer.log_dt.detach().double().exp()


def same_eigenvalues(got: LinearSystem, wanted: LinearSystem) -> None:
    """Compare −log|λ|, the rate of decay, relatively, and λ itself: both to about float32's precision."""
    assert got.batch_shape == (D_MODEL,)
    got_logs, logs = got.log_modes.detach(), wanted.log_modes.expand(D_MODEL, -1)
    assert float((got_logs.real / logs.real - 1).abs().max()) < 1e-5
    assert float((got_logs.exp() - logs.exp()).abs().max()) < 1e-5 * max(1.0, float(logs.imag.abs().max()))


@pytest.mark.parametrize("discretization", DISCRETIZATIONS)
class TestInitialSpectrum:
    @pytest.mark.parametrize("d_state", [2, D_STATE, 64])
    @pytest.mark.parametrize("name", NAMES)
    def test_by_name(self, name, d_state, discretization):
        layer = S4D(D_MODEL, d_state, init=name, discretization=discretization)
        wanted = init.initialiser(name)(d_state, steps(layer), discretization=discretization)
        same_eigenvalues(layer.system(), wanted)
        assert layer.system().d_state == d_state

    @pytest.mark.parametrize("channels", [None, 1, D_MODEL])
    def test_by_system(self, channels, discretization):
        wanted = init.ring(D_STATE, seed=0, channels=channels)
        layer = S4D(D_MODEL, D_STATE, init=wanted, discretization=discretization)
        same_eigenvalues(layer.system(), wanted)
        assert float(steps(layer).min()) < 0.9 * float(steps(layer).max())  # whatever the steps are

    @pytest.mark.parametrize("modulus", [0.01, 0.5, 0.999999])
    def test_by_system_near_the_rim_and_the_centre(self, modulus, discretization):
        angles = torch.tensor([0.0, 0.5, math.pi / 2, 3.1])
        logs = torch.complex(torch.full((4,), math.log(modulus)), angles).to(torch.complex128)
        wanted = LinearSystem.from_log_eigenvalues(logs, conj_sym=True)
        same_eigenvalues(S4D(D_MODEL, D_STATE, init=wanted, discretization=discretization).system(), wanted)

    def test_by_function(self, discretization):
        seen = []

        def spectrum(d_state: int, dt: torch.Tensor) -> LinearSystem:
            seen.append((d_state, dt))
            return init.s4d_inv(d_state, dt, discretization=discretization)

        layer = S4D(D_MODEL, D_STATE, init=spectrum, discretization=discretization)
        ((d_state, dt),) = seen
        assert d_state == D_STATE
        assert dt.shape == (D_MODEL,)
        torch.testing.assert_close(dt, steps(layer))
        same_eigenvalues(layer.system(), init.s4d_inv(D_STATE, dt, discretization=discretization))
        by_name = S4D(D_MODEL, D_STATE, init="s4d_inv", discretization=discretization)
        torch.testing.assert_close(layer.A_imag, by_name.A_imag)
        torch.testing.assert_close(layer.log_A_real, by_name.log_A_real)

    def test_the_system_is_sampled_as_the_discretisation_says(self, discretization):
        layer = S4D(D_MODEL, D_STATE, discretization=discretization).double()
        A = torch.complex(-layer.log_A_real.exp(), layer.A_imag)
        C, B = torch.view_as_complex(layer.C), torch.view_as_complex(layer.B)
        wanted = LinearSystem.from_continuous(
            A, B, C, layer.D, dt=layer.log_dt.exp(), discretization=discretization, conj_sym=True
        )
        torch.testing.assert_close(layer.system().markov_parameters(50), wanted.markov_parameters(50))

    @pytest.mark.parametrize("name", NAMES)
    def test_memory_of_every_channel(self, name, discretization):
        system = S4D(D_MODEL, D_STATE, init=name, dt_min=0.05, dt_max=0.2, discretization=discretization).system()
        memory = memory_function(system, 200)
        assert memory.values.shape == (D_MODEL, 200)
        rank = D_STATE - 1 if name == "s4d_lin" else D_STATE  # its slowest mode is real, and so counts once
        assert memory.rank.tolist() == [rank] * D_MODEL
        torch.testing.assert_close(memory_capacity(system), torch.full((D_MODEL,), float(rank)).double())
        memory.values[:, 100].sum().backward()

    def test_memory_of_the_given_system(self, discretization):
        wanted = init.ring(D_STATE, seed=0, channels=D_MODEL)
        got = memory_function(S4D(D_MODEL, D_STATE, init=wanted, discretization=discretization).system(), 100)
        torch.testing.assert_close(got.values.detach(), memory_function(wanted, 100).values, atol=1e-4, rtol=0)


class TestSteps:
    def test_log_uniform_between_the_two(self):
        layer = S4D(10_000, 2, dt_min=0.01, dt_max=1.0, generator=torch.Generator().manual_seed(0))
        place = (layer.log_dt.detach() - math.log(0.01)) / math.log(100)
        assert 0 <= float(place.min()) < 0.001
        assert 0.999 < float(place.max()) <= 1.000001
        counts = torch.histc(place, 10, 0, 1)
        assert float((counts - 1000).abs().max()) < 120  # four standard deviations

    def test_one_step_for_all_channels(self):
        torch.testing.assert_close(steps(S4D(7, 2, dt_min=0.03, dt_max=0.03)), torch.full((7,), 0.03).double())

    def test_the_generator_and_nothing_else_decides(self):
        def parameters(seed: int) -> list[torch.Tensor]:
            return list(S4D(4, 8, generator=torch.Generator().manual_seed(seed)).parameters())

        torch.manual_seed(0)
        before = torch.get_rng_state()
        first, again, other = parameters(1), parameters(1), parameters(2)
        assert torch.equal(before, torch.get_rng_state())
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


class TestParameters:
    def test_shapes(self):
        shapes = {name: tuple(p.shape) for name, p in S4D(D_MODEL, D_STATE).named_parameters()}
        pairs = (D_MODEL, D_STATE // 2)
        assert shapes == {
            "log_dt": (D_MODEL,),
            "log_A_real": pairs,
            "A_imag": pairs,
            "B": (*pairs, 2),
            "C": (*pairs, 2),
            "D": (D_MODEL,),
        }

    @pytest.mark.parametrize("value", [-1e3, -30.0, 30.0, 1e2])
    def test_no_parameter_takes_the_system_out_of_the_circle(self, value):
        """Decay so slow or so fast that exp overflows: λ lies inside, or rounds to the rim or the centre."""
        layer = S4D(D_MODEL, D_STATE)
        with torch.no_grad():
            layer.log_A_real.fill_(value)
        y, state = layer(torch.randn(2, 300, D_MODEL, generator=torch.Generator().manual_seed(0)))
        assert bool((layer.system().eigenvalues.abs() <= 1).all())
        assert bool(y.isfinite().all())
        assert bool(state.isfinite().all())

    def test_a_frozen_parameter_keeps_its_value_and_the_others_their_gradient(self):
        layer, u = S4D(D_MODEL, D_STATE), torch.randn(2, 9, D_MODEL)
        layer(u)[0].square().sum().backward()
        wanted = {name: parameter.grad for name, parameter in layer.named_parameters()}
        for frozen, role in layer.roles.items():
            layer.zero_grad()
            for name, parameter in layer.named_parameters():
                parameter.requires_grad_(layer.roles[name] != role)
            layer(u)[0].square().sum().backward()
            for name, parameter in layer.named_parameters():
                if layer.roles[name] == role:
                    assert parameter.grad is None, (frozen, name)
                else:
                    torch.testing.assert_close(parameter.grad, wanted[name])


def test_a_system_for_another_number_of_channels():
    with pytest.raises(InputError, match=r"^init: "):
        S4D(4, 8, init=init.ring(8, seed=0, channels=3))
