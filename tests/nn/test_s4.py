"""S4: the layer contract, and that its impulse response and its memory are those of HiPPO itself."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from tests.nn.layer_contract import LayerContract

from ssmemory import init as initialisers
from ssmemory import memory_function
from ssmemory.errors import InputError
from ssmemory.init.nplr import nplr
from ssmemory.nn.s4 import LEAST_DECAY, S4

INITS = ["hippo_legs", "hippo_legt", "hippo_fout"]
D_MODEL, D_STATE = 3, 16


@pytest.mark.parametrize("init", INITS)
class TestContract(LayerContract):
    @pytest.fixture
    def make(self, init):
        return lambda: S4(5, 8, init=init, dt_min=0.01, dt_max=0.5)


class TestSmallAndSlow(LayerContract):
    """One channel of one pair, the least there is."""

    @pytest.fixture
    def make(self):
        return lambda: S4(1, 2, init="hippo_legt")


def double(init: str, d_state: int = D_STATE, **options: float) -> S4:
    """Return a float64 layer whose A and B are HiPPO's to float64's precision, not rounded to float32 on the way."""
    layer, form = (
        S4(D_MODEL, d_state, init=init, generator=torch.Generator().manual_seed(0), **options).double(),
        nplr(init, d_state),
    )
    exact = {
        "log_A_real": (-form.eigenvalues.real).clamp(min=LEAST_DECAY).log(),
        "A_imag": form.eigenvalues.imag,
        "P": torch.view_as_real(form.P.mT.resolve_conj()),
        "B": torch.view_as_real(form.B),
    }
    with torch.no_grad():
        for name, value in exact.items():
            torch.testing.assert_close(
                getattr(layer, name), value.expand_as(getattr(layer, name)), rtol=1e-6, atol=1e-6
            )
            getattr(layer, name).copy_(value)
    return layer


def hippo_response(layer: S4, init: str, length: int, shift: float) -> np.ndarray:
    """Return each channel's impulse response from the untransformed HiPPO matrix, less ``shift``, by scipy."""
    A, B = (matrix.numpy() for matrix in getattr(initialisers, f"{init}_matrices")(layer.d_state))
    V = nplr(init, layer.d_state).V.numpy()
    C = 2 * (torch.view_as_complex(layer.C.detach()).numpy() @ V.conj().T).real
    responses = []
    for h, dt in enumerate(layer.log_dt.exp().tolist()):
        continuous = A - shift * np.eye(layer.d_state), B[:, None], C[h : h + 1], 0.0
        A_bar, B_bar, *_ = scipy.signal.cont2discrete(continuous, dt, "bilinear")
        x, response = B_bar[:, 0], []
        for _ in range(length):
            response.append(C[h] @ x)
            x = A_bar @ x
        responses.append(response)
    return np.array(responses)


def response(layer: S4, length: int) -> np.ndarray:
    """Return what the layer answers to an impulse, D left out."""
    impulse = torch.zeros(1, length, D_MODEL, dtype=layer.D.dtype)
    impulse[:, 0] = 1
    y = layer(impulse)[0].detach()[0]
    y[0] -= layer.D.detach()
    return y.T.double().numpy()


def off(got: np.ndarray, wanted: np.ndarray) -> float:
    return float((np.abs(got - wanted).max(-1) / np.abs(wanted).max(-1)).max())


class TestItIsHiPPO:
    @pytest.mark.parametrize("d_state", [2, D_STATE, 64])
    @pytest.mark.parametrize(
        ("init", "shift"), [("hippo_legs", 0), ("hippo_legt", LEAST_DECAY), ("hippo_fout", LEAST_DECAY)]
    )
    def test_impulse_response(self, init, shift, d_state):
        layer = double(init, d_state)
        assert off(response(layer, 300), hippo_response(layer, init, 300, shift)) < 1e-11

    @pytest.mark.parametrize("init", ["hippo_legt", "hippo_fout"])
    def test_what_the_least_decay_changes(self, init):
        """Over a window and a half: e^{−1e-4 t} there is 1 − 1.5e-4."""
        layer = double(init, dt_min=0.005, dt_max=0.005)
        assert 1e-6 < off(response(layer, 300), hippo_response(layer, init, 300, 0)) < 1.5e-4

    @pytest.mark.parametrize("init", INITS)
    def test_impulse_response_in_float32(self, init):
        layer = S4(D_MODEL, 64, init=init)
        shift = 0 if init == "hippo_legs" else LEAST_DECAY
        got = response(layer, 300)
        assert off(got, hippo_response(layer.double(), init, 300, shift)) < 2e-5

    @pytest.mark.parametrize("d_state", [D_STATE, 64])
    def test_memory_of_legs_is_that_of_s4d_real(self, d_state):
        """Equal eigenvalues, −1 … −d_state, equal memory; float32's parameters lose half of the digits of it."""
        for layer, tolerance in ((double("hippo_legs", d_state), 1e-13), (S4(D_MODEL, d_state), 1e-6)):
            wanted = initialisers.s4d_real(d_state, layer.log_dt.detach().double().exp(), discretization="bilinear")
            with torch.no_grad():
                got = memory_function(layer.system(), 300).values
            torch.testing.assert_close(got, memory_function(wanted, 300).values, rtol=0, atol=tolerance)

    @pytest.mark.parametrize("init", ["hippo_legs", "hippo_legt"])
    def test_memory_is_differentiable(self, init):
        layer = S4(D_MODEL, 4, init=init)
        memory_function(layer.system(), 50).values[:, 20].sum().backward()
        for name in ("log_dt", "log_A_real", "A_imag", "P"):
            assert bool(getattr(layer, name).grad.abs().max() > 0), name

    @pytest.mark.parametrize("init", INITS)
    def test_outputs_are_of_order_one(self, init):
        generator = torch.Generator().manual_seed(0)
        layer = S4(64, 64, init=init, generator=generator)
        with torch.no_grad():
            y = layer(torch.randn(2, 2000, 64, generator=generator))[0][:, 1000:]
            constant = layer(torch.ones(1, 2000, 64))[0][:, -1]
        assert 0.5 < float(y.square().mean().sqrt()) < 3
        assert 0.5 < float(constant.square().mean().sqrt()) < 3


class TestParameters:
    @pytest.mark.parametrize(("init", "rank"), [("hippo_legs", 1), ("hippo_legt", 2), ("hippo_fout", 1)])
    def test_shapes(self, init, rank):
        shapes = {name: tuple(p.shape) for name, p in S4(D_MODEL, D_STATE, init=init).named_parameters()}
        pairs = (D_MODEL, D_STATE // 2)
        assert shapes == {
            "log_dt": (D_MODEL,),
            "log_A_real": pairs,
            "A_imag": pairs,
            "P": (D_MODEL, rank, D_STATE // 2, 2),
            "B": (*pairs, 2),
            "C": (*pairs, 2),
            "D": (D_MODEL,),
        }

    def test_steps_are_log_uniform_between_the_two(self):
        layer = S4(10_000, 2, dt_min=0.01, dt_max=1.0, generator=torch.Generator().manual_seed(0))
        place = (layer.log_dt.detach() - math.log(0.01)) / math.log(100)
        assert float((torch.histc(place, 10, 0, 1) - 1000).abs().max()) < 120  # four standard deviations
        assert int(torch.histc(place, 10, 0, 1).sum()) >= 9_999

    def test_the_generator_and_nothing_else_decides(self):
        def parameters(seed: int) -> list[torch.Tensor]:
            return list(S4(4, 8, generator=torch.Generator().manual_seed(seed)).parameters())

        before = torch.get_rng_state()
        first, again, other = parameters(1), parameters(1), parameters(2)
        assert torch.equal(before, torch.get_rng_state())
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))

    @pytest.mark.parametrize("name", ["log_A_real", "P"])
    @pytest.mark.parametrize("value", [-1e3, -30.0, 30.0, 1e2])
    def test_no_parameter_takes_the_system_out_of_the_circle(self, name, value):
        """Decay so slow or so fast that λ rounds to the rim, and a low-rank part of any size."""
        layer = S4(D_MODEL, D_STATE)
        with torch.no_grad():
            getattr(layer, name).fill_(value)
        y, state = layer(torch.randn(2, 300, D_MODEL, generator=torch.Generator().manual_seed(0)))
        norms = torch.linalg.matrix_norm(layer.system().A, 2)
        assert float(norms.detach().max()) < 1 + 1e-12
        assert bool(y.isfinite().all())
        assert bool(state.isfinite().all())

    def test_step_follows_the_parameters(self):
        """Nothing is kept from one step to the next but the state."""
        layer = S4(D_MODEL, D_STATE).double()
        u, state = torch.ones(1, D_MODEL, dtype=torch.float64), layer.initial_state(1)
        _, state = layer.step(u, state)
        with torch.no_grad():
            layer.log_dt += 1
        torch.testing.assert_close(layer.step(u, state)[0], layer(u.unsqueeze(1), state)[0][:, 0])


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: S4(3, 7), r"^S4: expected d_model ≥ 1 and an even d_state ≥ 2, got d_model=3, d_state=7; "),
            (lambda: S4(0, 4), r"^S4: .*got d_model=0"),
            (lambda: S4(3, 4, dt_min=1.0), r"^dt_min, dt_max: expected 0 < dt_min ≤ dt_max < ∞, got 1\.0, 0\.1; "),
            (
                lambda: S4(3, 4, init="s4d_lin"),
                r"^initialiser: expected one of hippo_legs, hippo_legt, hippo_fout, got",
            ),
            (lambda: S4(3, 4)(torch.ones(2, 5, 4)), r"^u: expected shape \(batch, length, d_model\) with d_model = 3"),
            (lambda: S4(3, 4).step(torch.ones(2, 5, 3), None), r"^u: expected shape \(batch, d_model\)"),
            (lambda: S4(3, 4)(torch.ones(2, 5, 3, dtype=torch.int64)), r"^u: expected a real floating-point input"),
            (
                lambda: S4(3, 4)(torch.ones(2, 5, 3), torch.zeros(2, 3, 4)),
                r"^state: expected a complex \(2, 3, 2\), got",
            ),
            (lambda: S4(3, 4)(torch.ones(2, 5, 3), None, torch.tensor([6, 1])), r"^lengths: expected 2 whole numbers"),
        ],
    )
    def test_one_line(self, call, message):
        with pytest.raises(InputError, match=message) as refused:
            call()
        assert "\n" not in str(refused.value)
