"""A layer with fewer states: against simulation, the dense balanced system, and the theorem's bound."""

import math

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line
from torch import nn

from ssmemory.errors import DataError, InputError, UnstableError
from ssmemory.nn import (
    LRU,
    S4D,
    S5,
    Backbone,
    BackboneConfig,
    Bidirectional,
    load_model,
    reduce_layer,
    reduce_model,
    save_model,
)
from ssmemory.systems import balanced_truncation

D_MODEL, LENGTH = 3, 3000
MAKE = {
    "s4d": lambda: S4D(D_MODEL, 16, dt_min=0.05, dt_max=0.2),
    "s4d bilinear": lambda: S4D(D_MODEL, 16, dt_min=0.05, dt_max=0.2, discretization="bilinear", init="s4d_inv"),
    "s4d projected": lambda: S4D(D_MODEL, 16, dt_min=0.05, dt_max=0.2, decay="projected"),
    "lru": lambda: LRU(D_MODEL, 16, r_min=0.5, r_max=0.97),
}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def one(make, seed=0):
    torch.manual_seed(seed)
    return make().double()


def impulse(layer):
    """(length, out, in) by running the layer on an impulse in every channel; of S4D (length, channels)."""
    with torch.no_grad():
        dtype = layer.D.dtype
        if isinstance(layer, S4D):
            u = torch.zeros(1, LENGTH, D_MODEL, dtype=dtype)
            u[0, 0] = 1
            return layer(u)[0][0].numpy()
        u = torch.zeros(D_MODEL, LENGTH, D_MODEL, dtype=dtype)
        u[torch.arange(D_MODEL), 0, torch.arange(D_MODEL)] = 1
        return layer(u)[0].permute(1, 2, 0).numpy()


def gain(difference):
    """The largest gain over the frequencies, by FFT, of each channel of S4D or of the whole of LRU."""
    response = np.fft.fft(difference, 16384, axis=0)
    return np.abs(response).max(0) if difference.ndim == 2 else np.linalg.norm(response, 2, (1, 2)).max()


class TestTheReducedLayer:
    @every
    @pytest.mark.parametrize("d_state", [2, 6, 10, 14])
    def test_no_frequency_changes_by_more_than_the_bound(self, make, d_state):
        layer = one(make)
        before = impulse(layer)
        done = reduce_layer(layer, d_state)
        error = gain(impulse(layer) - before)
        assert bool((error <= done.bound.numpy() * (1 + 1e-9)).all())
        assert bool((error > 0.01 * done.bound.numpy()).all())  # the bound is of this error and not of another
        np.testing.assert_allclose(done.error_measured(), error, rtol=0.02)
        assert done.after.d_state == layer.d_state == d_state
        assert done.before.d_state == 16

    @every
    @pytest.mark.parametrize("d_state", [4, 8])
    def test_its_impulse_response_is_that_of_the_dense_balanced_system(self, make, d_state):
        layer = one(make)
        whole = layer.system()
        done = reduce_layer(layer, d_state)
        got = impulse(layer)
        for k, order in enumerate(done.order.reshape(-1).tolist()):
            wanted = balanced_truncation(whole, order).system.markov_parameters(LENGTH).detach().numpy()
            if isinstance(layer, S4D):
                np.testing.assert_allclose(got[:, k], wanted[k, :, 0, 0], atol=1e-9)
            else:
                np.testing.assert_allclose(got, wanted, atol=1e-9)
            assert d_state / 2 <= order <= d_state
        assert d_state in done.order.tolist() if done.order.ndim else True

    @every
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
    def test_redundant_modes_go_without_a_trace(self, make, dtype, tolerance):
        layer = one(make)
        with torch.no_grad():
            layer.C[:, :2] = 0  # two that nobody sees; one that stands twice
            for name in ("log_A_real", "A_real", "A_imag", "nu", "theta"):
                if getattr(layer, name, None) is not None:
                    getattr(layer, name)[..., 3] = getattr(layer, name)[..., 2]
            if isinstance(layer, LRU):
                layer.B[3] = layer.B[2]
        layer = layer.to(dtype)
        u = torch.randn(2, 100, D_MODEL, dtype=dtype)
        wanted = layer(u)[0].detach()
        done = reduce_layer(layer, 10)
        assert layer.d_state == 10
        assert float(done.bound.max()) < 1e-9 if dtype == torch.float64 else 1e-4
        assert layer.C.dtype == dtype
        assert float((layer(u)[0].detach() - wanted).abs().max()) <= tolerance * max(1.0, float(wanted.abs().max()))

    @every
    def test_step_and_forward_still_agree(self, make):
        layer = one(make)
        reduce_layer(layer, 6)
        u = torch.randn(2, 12, D_MODEL, dtype=torch.float64)
        y, _ = layer(u)
        state = layer.initial_state(2)
        assert state.shape[-1] == 3
        for t in range(12):
            y_t, state = layer.step(u[:, t], state)
            torch.testing.assert_close(y_t, y[:, t])

    @every
    def test_tolerance_is_met_by_the_smallest_size(self, make):
        def fading():
            layer = one(make)
            layer.C.data *= 10 ** torch.linspace(0, -3, 8).double().unsqueeze(-1)
            return layer

        layer = fading()
        done = reduce_layer(layer, tolerance=0.3)
        allowed = 0.3 * done.singular_values[..., 0]
        assert bool((done.bound <= allowed).all())
        assert 2 < layer.d_state < 16
        less = reduce_layer(fading(), layer.d_state - 2)
        assert bool((less.bound > allowed).any())

    @every
    def test_the_whole_size_touches_nothing(self, make):
        layer = one(make)
        before = dict(layer.named_parameters())
        done = reduce_layer(layer, 16)
        assert all(before[name] is parameter for name, parameter in layer.named_parameters())
        assert done.replaced == ()
        assert float(done.error_measured().max()) == float(done.bound.max()) == 0


def real_poles():
    """Poles 0.9, 0.3 and −0.5, and a pair, seen by all; two modes more that nobody sees."""
    layer = one(lambda: LRU(D_MODEL, 12))
    with torch.no_grad():
        size = torch.tensor([0.9, 0.3, 0.5, 0.95, 0.7, 0.6], dtype=torch.float64)
        layer.nu.copy_((-size.log()).log())
        layer.theta.copy_(torch.tensor([0.0, 0.0, math.pi, 0.5, 1.0, 2.0]))
        layer.theta[2] = math.pi
        layer.B[:3, :, 1] = 0
        layer.C[:, :3, 1] = 0
        layer.C[:, 4:] = 0
    return layer


class TestRealEigenvalues:
    def test_an_odd_number_and_a_negative_one_are_held_exactly(self):
        layer = real_poles()
        before = impulse(layer)
        done = reduce_layer(layer, 8)
        assert int(done.order) == 5
        np.testing.assert_allclose(impulse(layer), before, atol=1e-12)
        found = layer.system().log_modes.exp()[layer.system().log_modes.real.argsort()].detach()
        np.testing.assert_allclose(found[:3].real.sort()[0], [-0.5, 0.3, 0.9], atol=1e-10)

    def test_in_continuous_time_its_frequency_is_pi_over_dt(self):
        layer = one(lambda: S4D(1, 6, dt_min=0.1, dt_max=0.1))
        with torch.no_grad():
            layer.log_A_real.copy_((-torch.tensor([[0.5, 0.8, 0.9]]).double().log() / 0.1).log())
            layer.A_imag.copy_(torch.tensor([[math.pi, 0.0, 0.3]]).double() / layer.log_dt.exp())
            layer.C[0, 0] = torch.view_as_real(layer.system().B[0, 0, 0].conj().resolve_conj())  # C B_bar is real
            layer.C[0, 1, 1] = 0
            layer.C[0, 2] = 0
        response = lambda: layer.system().markov_parameters(60).detach().numpy()[0, :, 0, 0]  # noqa: E731
        before = response()
        done = reduce_layer(layer, 4)
        assert int(done.order) == 2
        np.testing.assert_allclose(response(), before, atol=1e-12)
        assert float(layer.A_imag.detach().max()) == pytest.approx(math.pi / 0.1, rel=1e-6)

    def test_less_is_kept_where_real_poles_take_the_room(self):
        layer = real_poles()
        done = reduce_layer(layer, 4)
        poles = balanced_truncation(real_poles().system(), 4).system.eigenvalues
        assert int((poles.imag.abs() < 1e-12).sum()) > 0  # four directions would not fit
        assert int(done.order) < 4
        assert float(done.error_measured()) <= float(done.bound)


class TestWhatStays:
    @every
    def test_only_what_must_is_replaced(self, make):
        layer = one(make)
        before = dict(layer.named_parameters())
        done = reduce_layer(layer, 8)
        kept = {name for name, parameter in layer.named_parameters() if before[name] is parameter}
        assert kept == {"D", "log_dt"} if isinstance(layer, S4D) else {"D"}
        assert {id(old) for old, _ in done.replaced} == {id(before[name]) for name in set(before) - kept}
        assert list(before) == [name for name, _ in layer.named_parameters()]

    @every
    def test_frozen_parameters_stay_frozen(self, make):
        layer = one(make)
        frozen = {name for name in ("A_imag", "nu", "B") if name in dict(layer.named_parameters())}
        for name in frozen:
            getattr(layer, name).requires_grad_(False)
        reduce_layer(layer, 8)
        assert {name for name, parameter in layer.named_parameters() if not parameter.requires_grad} == frozen

    @every
    def test_gradients_flow_to_every_parameter(self, make):
        layer = one(make)
        reduce_layer(layer, 6)
        u = torch.randn(2, 30, D_MODEL, dtype=torch.float64)

        def loss():
            return layer(u)[0].square().mean()

        loss().backward()
        for name, parameter in layer.named_parameters():
            assert float(parameter.grad.abs().min()) > 0 or name == "B", name
            with torch.no_grad():
                parameter.view(-1)[0] += 1e-6
                up = loss()
                parameter.view(-1)[0] -= 2e-6
                slope = float(up - loss()) / 2e-6
                parameter.view(-1)[0] += 1e-6
            assert slope == pytest.approx(float(parameter.grad.view(-1)[0]), rel=1e-4, abs=1e-8), name

    @every
    def test_b_keeps_its_size(self, make):
        layer = one(make)
        size = float(layer.B.detach().square().mean())
        reduce_layer(layer, 8)
        assert float(layer.B.detach().square().mean()) == pytest.approx(size)

    def test_room_that_a_channel_does_not_need_can_be_trained(self):
        layer = one(MAKE["s4d"])
        with torch.no_grad():
            layer.C[0, 2:] = 0
        before = impulse(layer)
        done = reduce_layer(layer, 12)
        assert done.order.tolist()[0] <= 4
        empty = (layer.C.detach() == 0).all(-1)
        assert int(empty[0].sum()) >= 3
        assert not bool(empty[1:].any())
        np.testing.assert_allclose(impulse(layer)[:, 0], before[:, 0], atol=1e-10)
        layer(torch.randn(2, 30, D_MODEL, dtype=torch.float64))[0].square().mean().backward()
        assert bool((layer.C.grad.abs().sum(-1) > 0).all())

    def test_an_optimiser_is_told(self):
        layer = one(MAKE["lru"])
        optimizer = torch.optim.AdamW([{"params": [layer.D, layer.B]}, {"params": [layer.nu, layer.C], "lr": 0.1}])
        u = torch.randn(2, 30, D_MODEL, dtype=torch.float64)
        layer(u)[0].square().mean().backward()
        optimizer.step()
        average = optimizer.state[layer.D]["exp_avg"].clone()
        reduce_layer(layer, 8).tell(optimizer)
        groups = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        assert groups == [[id(layer.D), id(layer.B)], [id(layer.nu), id(layer.C)]]
        assert set(optimizer.state) == {layer.D}
        assert torch.equal(optimizer.state[layer.D]["exp_avg"], average)
        before = layer.C.detach().clone()
        optimizer.zero_grad()
        layer(u)[0].square().mean().backward()
        optimizer.step()
        assert not torch.equal(layer.C, before)


def backbone(**changes):
    torch.manual_seed(0)
    options = {"d_input": 2, "d_output": 3, "d_model": 4, "d_state": 12, "layer": "lru"} | changes
    return Backbone(BackboneConfig(**options))


class TestModels:
    def test_every_layer_and_the_configuration(self):
        model = backbone()
        assert list(reduce_model(model, 8)) == ["blocks.0.layer", "blocks.1.layer"]
        assert model.config.d_state == 8
        assert [block.layer.d_state for block in model.blocks] == [8, 8]

    @pytest.mark.parametrize("layer", ["lru", "s4d"])
    @pytest.mark.parametrize("given", [12, None])
    def test_layers_of_different_size_come_back_from_a_folder(self, layer, given, tmp_path):
        model = backbone(layer=layer, d_state=given).eval()
        reduce_layer(model.blocks[1].layer, 6)  # the model itself is not told
        loaded = load_model(save_model(model, tmp_path))
        assert loaded.config.d_state == (given or 64, 6)
        u = torch.randn(2, 20, 2)
        assert torch.equal(loaded(u)[0], model(u)[0])

    def test_an_unreduced_model_is_saved_as_it_was_asked_for(self, tmp_path):
        assert load_model(save_model(backbone(d_state=None), tmp_path)).config.d_state is None

    def test_both_directions_keep_one_size(self, tmp_path):
        model = backbone(bidirectional=True, layer="s4d", n_layers=1).eval()
        done = reduce_model(model, tolerance=0.5)
        assert len(done) == 2
        assert len({reduction.after.d_state for reduction in done.values()}) == 1
        u = torch.randn(2, 20, 2)
        assert torch.equal(load_model(save_model(model, tmp_path))(u)[0], model(u)[0])

    def test_two_sizes_in_one_block_cannot_be_saved(self, tmp_path):
        model = backbone(bidirectional=True)
        reduce_layer(model.blocks[1].layer.back, 6)
        with pytest.raises(InputError) as caught:
            save_model(model, tmp_path)
        assert_one_line(str(caught.value), "one d_state in both directions", "12 and 6", "reduce_model")
        assert not list(tmp_path.iterdir())

    def test_a_wrong_number_of_sizes(self, tmp_path):
        with pytest.raises(InputError) as caught:
            BackboneConfig(d_state=(4, 6), n_layers=3)
        assert_one_line(str(caught.value), "3 sizes", "2", "one a block")
        folder = save_model(backbone(d_state=(4, 6)), tmp_path)
        path = folder / "model.json"
        path.write_text(path.read_text().replace('"n_layers": 2', '"n_layers": 3'))
        with pytest.raises(DataError, match="3 sizes"):
            load_model(folder)


class TestRefusals:
    @pytest.mark.parametrize("d_state", [0, 3, 18, -2])
    def test_sizes(self, d_state):
        with pytest.raises(InputError) as caught:
            reduce_layer(one(MAKE["lru"]), d_state)
        assert_one_line(str(caught.value), "an even number from 2 to 16", str(d_state), "in pairs")

    @pytest.mark.parametrize(("both", "got"), [((None, None), "neither"), ((4, 0.1), "both")])
    def test_one_of_the_two(self, both, got):
        with pytest.raises(InputError) as caught:
            reduce_layer(one(MAKE["lru"]), *both)
        assert_one_line(str(caught.value), "one of the two", got, "leave the other one out")

    @pytest.mark.parametrize("tolerance", [0.0, 1.0, -1.0, math.nan])
    def test_tolerances(self, tolerance):
        with pytest.raises(InputError) as caught:
            reduce_layer(one(MAKE["lru"]), tolerance=tolerance)
        assert_one_line(str(caught.value), "below 1", str(tolerance), ".")

    @pytest.mark.parametrize("layer", [S5(2, 4), nn.Linear(2, 2), Bidirectional(S4D(2, 4), S4D(2, 4))])
    def test_other_layers(self, layer):
        with pytest.raises(InputError) as caught:
            reduce_layer(layer, 2)
        assert_one_line(str(caught.value), "an S4D or LRU", type(layer).__name__, "free eigenvalues")

    def test_a_model_without_any(self):
        with pytest.raises(InputError) as caught:
            reduce_model(nn.Linear(2, 2), 2)
        assert_one_line(str(caught.value), "an S4D or LRU inside", "none", "only these")

    def test_zero_real_parts(self):
        layer = one(MAKE["s4d projected"])
        with torch.no_grad():
            layer.A_real[0, 0] = 0
        with pytest.raises(UnstableError, match="as a Gramian needs"):
            reduce_layer(layer, 4)

    def test_eigenvectors_that_are_nearly_parallel_change_nothing(self, monkeypatch):
        layer = one(MAKE["s4d"])
        before = {name: value.clone() for name, value in layer.state_dict().items()}
        monkeypatch.setattr("ssmemory.systems.reduction._EIGENVECTORS", 1.0)
        with pytest.raises(InputError) as caught:
            reduce_layer(layer, 4)
        assert_one_line(str(caught.value), "condition number below 1e8", r"e\+", "one state more or fewer")
        assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_nearly_a_jordan_block_comes_through():
    """``τ λ^τ`` from two modes 1e-9 apart: rounding splits the double eigenvalue, to the root of what is lost."""
    layer = one(lambda: LRU(1, 6))
    with torch.no_grad():
        layer.nu.fill_(-2.0)
        layer.theta.copy_(torch.tensor([1.0, 1.0, 2.0]))
        layer.theta[1] += 1e-9
        layer.B.copy_(torch.tensor([1.0, 0.0]).expand(3, 1, 2))
        layer.log_gamma.zero_()
        layer.C.copy_(torch.tensor([[[1e9, 0.0], [-1e9, 0.0], [0.0, 0.0]]]))
        tau = np.arange(LENGTH)
        wanted = 2 * (-1j * tau * np.exp(tau * (-math.exp(-2.0) + 1j))).real
        done = reduce_layer(layer, 4)
        assert int(done.order) == 4
        got = layer.system().markov_parameters(LENGTH).numpy()[:, 0, 0]
    got[0] -= float(layer.D.detach())
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())
