"""Gradients by lag against automatic differentiation of a kernel of zeros that is added to the layer."""

import math

import pytest
import torch
from matplotlib import pyplot
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from ssmemory import LinearSystem, nn
from ssmemory.errors import InputError
from ssmemory.learning.by_lag import gradient_by_lag

LENGTH, WIDTH = 24, 4


class WithKernel(torch.nn.Module):
    """A layer and beside it a finite impulse response, zero, of every channel or of every pair."""

    def __init__(self, inner: torch.nn.Module, pairs: bool) -> None:
        super().__init__()
        shape = (WIDTH, WIDTH, LENGTH) if pairs else (WIDTH, LENGTH)
        self.inner, self.k = inner, torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    def forward(self, u: Tensor, state: Tensor | None = None, lengths: Tensor | None = None):
        y, after = self.inner(u, state, lengths)
        delayed = torch.stack([torch.nn.functional.pad(u, (0, 0, t, 0))[:, : u.shape[1]] for t in range(u.shape[1])])
        k = self.k[..., : u.shape[1]]
        added = torch.einsum("kbtc,ck->btc", delayed, k) if k.ndim == 2 else torch.einsum("kbti,oik->bto", delayed, k)
        return y + added, after


def backbone(layer: str, **options) -> nn.Backbone:
    torch.manual_seed(0)
    steps = {} if layer in ("lru", "linear-rnn", "linear-attention") else {"dt_min": 0.01, "dt_max": 0.5}
    config = {"d_input": 2, "d_output": 3, "d_model": WIDTH, "d_state": 8, "layer": layer} | steps | options
    return nn.Backbone(nn.BackboneConfig(**config)).double()


def batch_of(lengths: bool = True):
    torch.manual_seed(1)
    inputs = {"u": torch.randn(5, LENGTH, 2).double()}
    if lengths:
        inputs["lengths"] = torch.tensor([LENGTH, 3, 17, 1, 20])
    return inputs, torch.tensor([0, 2, 1, 1, 0])


def by_autograd(model: nn.Backbone, batch, loss, pairs: bool) -> list[Tensor]:
    for block in model.blocks:
        block.layer = WithKernel(block.layer, pairs)
    kernels = [block.layer.k for block in model.blocks]
    return list(torch.autograd.grad(loss(model(**batch[0])[0], batch[1]), kernels))


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("layer", ["s4d", "s4", "s5", "lru", "linear-rnn"])
def test_it_is_the_gradient_of_a_kernel_of_zeros(layer, lengths, pooling):
    model, batch, pairs = backbone(layer, pooling=pooling), batch_of(lengths), layer not in ("s4d", "s4")
    found = gradient_by_lag(model, batch, cross_entropy, full=True)
    wanted = by_autograd(model, batch, cross_entropy, pairs)
    assert list(found) == ["blocks.0.layer", "blocks.1.layer"]
    for one, k in zip(found.values(), wanted, strict=True):
        close = {"rtol": 1e-10, "atol": 1e-12 * float(k.abs().max())}
        if pairs:
            torch.testing.assert_close(one.taps, k, **close)
            torch.testing.assert_close(one.values, torch.linalg.vector_norm(k, dim=0), **close)
            torch.testing.assert_close(one.norm * math.sqrt(WIDTH), k.square().sum((0, 1)).sqrt(), **close)
        else:
            assert one.taps is None
            torch.testing.assert_close(one.values, k, **close)


def test_bidirectional_layers_are_found_inside_and_see_what_they_see():
    model, batch = backbone("s4d", bidirectional=True, n_layers=1), batch_of()
    found = gradient_by_lag(model, batch, cross_entropy)
    pair = model.blocks[0].layer
    pair.ahead, pair.back = WithKernel(pair.ahead, False), WithKernel(pair.back, False)
    wanted = torch.autograd.grad(cross_entropy(model(**batch[0])[0], batch[1]), [pair.ahead.k, pair.back.k])
    for name, k in zip(("ahead", "back"), wanted, strict=True):
        torch.testing.assert_close(found[f"blocks.0.layer.{name}"].values, k, rtol=1e-10, atol=1e-13)


class Twice(torch.nn.Module):
    """One layer called on the whole input and on the beginning of what came out."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, u: Tensor) -> Tensor:
        return self.inner(torch.tanh(self.inner(u)[0])[:, :9])[0]


@pytest.mark.parametrize("layer", [nn.S4D, nn.S5])
def test_two_calls_of_one_layer_are_summed(layer):
    torch.manual_seed(0)
    model, pairs = Twice(layer(WIDTH, 8, dt_min=0.01, dt_max=0.5).double()), layer is nn.S5
    batch = torch.randn(3, LENGTH, WIDTH).double(), torch.randn(3, 9, WIDTH).double()
    found = gradient_by_lag(model, batch, mse_loss, full=True)["inner"]
    model.inner = WithKernel(model.inner, pairs)
    (k,) = torch.autograd.grad(mse_loss(model(batch[0]), batch[1]), [model.inner.k])
    torch.testing.assert_close(found.taps if pairs else found.values, k, rtol=1e-10, atol=1e-13)


def test_unequal_lengths_end_the_output_too():
    """Where every step is scored: a layer's output beyond the length is zero, whatever its kernel is."""
    torch.manual_seed(0)
    layer, u = nn.S4D(WIDTH, 8).double(), torch.randn(2, LENGTH, WIDTH).double()
    found = gradient_by_lag(layer, ({"u": u, "lengths": torch.tensor([5, 9])}, u), mse_loss)
    cut = [u[:1, :5], u[1:, :9]]
    wanted = sum(
        torch.nn.functional.pad(
            gradient_by_lag(layer, (part, part), lambda y, t: (y - t).square().sum() / u.numel())["S4D"].values,
            (0, LENGTH - part.shape[1]),
        )
        for part in cut
    )
    torch.testing.assert_close(found["S4D"].values, wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("layer", ["s4d", "s5"])
def test_single_lags_are_those_of_all(layer):
    model, batch = backbone(layer), batch_of()
    every = gradient_by_lag(model, batch, cross_entropy, full=True)["blocks.1.layer"]
    some = gradient_by_lag(model, batch, cross_entropy, layers=["blocks.1.layer"], lags=[20, 3, 0], full=True)
    assert list(some) == ["blocks.1.layer"]
    torch.testing.assert_close(some["blocks.1.layer"].values, every.values[:, [20, 3, 0]], rtol=0, atol=0)
    if layer == "s5":
        torch.testing.assert_close(some["blocks.1.layer"].taps, every.taps[..., [20, 3, 0]], rtol=0, atol=0)


def test_pieces_of_channels_make_the_whole(monkeypatch):
    whole = {name: gradient_by_lag(backbone(name), batch_of(), cross_entropy, full=True) for name in ("s4d", "s5")}
    monkeypatch.setattr("ssmemory.learning.by_lag._AT_ONCE", 600)
    for name, found in whole.items():
        pieces = gradient_by_lag(backbone(name), batch_of(), cross_entropy, full=True)
        for layer, one in found.items():
            torch.testing.assert_close(pieces[layer].values, one.values, rtol=1e-11, atol=1e-15)
            assert pieces[layer].values.shape == one.values.shape


class Noisy(torch.nn.Module):
    """What a forward pass may change: statistics, the random generator, a buffer put in another's place."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.S4D(WIDTH, 8), torch.nn.BatchNorm1d(WIDTH)
        self.drop = torch.nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, u: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return self.drop(self.norm(self.layer(u)[0].mT).mT)


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_as_before(training, failing):
    torch.manual_seed(0)
    model, u = Noisy().train(training), torch.randn(3, LENGTH, WIDTH)
    model.layer.C.requires_grad_(False)
    model.layer.B.grad = torch.ones_like(model.layer.B)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in model.parameters()]
    generator = torch.get_rng_state()

    def loss(y: Tensor) -> Tensor:
        if failing:
            raise KeyError("label")
        return y.square().mean()

    if failing:
        with pytest.raises(KeyError):
            gradient_by_lag(model, u, loss)
    else:
        gradient_by_lag(model, u, loss)
    for name, part in model.state_dict().items():
        torch.testing.assert_close(part, before[name], rtol=0, atol=0)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name != "layer.B")
    assert bool((model.layer.B.grad == 1).all())
    assert all(module.training == training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_hooks_with_kwargs for module in model.modules())
    assert bool((torch.get_rng_state() == generator).all())


def test_a_frozen_model_and_a_caller_without_gradients():
    model, batch = backbone("s4d"), batch_of()
    wanted = gradient_by_lag(model, batch, cross_entropy)
    model.requires_grad_(False)
    with torch.no_grad():
        found = gradient_by_lag(model, batch, cross_entropy)
    with torch.inference_mode():
        inside = gradient_by_lag(model, batch, cross_entropy)
    for name, one in wanted.items():
        torch.testing.assert_close(found[name].values, one.values, rtol=0, atol=0)
        torch.testing.assert_close(inside[name].values, one.values, rtol=0, atol=0)


def test_the_system_is_that_of_then():
    layer = nn.S4D(2, 4).double()
    found = gradient_by_lag(layer, torch.randn(1, 5, 2).double(), torch.sum)["S4D"]
    before = found.system.D.clone()
    with torch.no_grad():
        layer.D.add_(1)
    torch.testing.assert_close(found.system.D, before, rtol=0, atol=0)


def test_a_task_shows_its_lag():
    """Recall of lag 7: of white input the gradient at zero output is −2/(steps) E at that lag, and noise elsewhere."""
    torch.manual_seed(0)
    layer, u = nn.S4D(1, 4), torch.randn(64, 200, 1)
    with torch.no_grad():
        layer.C.zero_(), layer.D.zero_()
    target = torch.nn.functional.pad(u, (0, 0, 7, 0))[:, :200]
    found = gradient_by_lag(layer, (u, target), mse_loss)["S4D"]
    assert int(found.norm.argmax()) == 7
    assert float(found.values[0, 7]) == pytest.approx(-2, rel=0.1)
    assert found.share_beyond(7) < 0.1 < found.share_beyond(6)


@pytest.mark.parametrize("layer", [nn.S4D, nn.S5])
def test_plot_and_table(layer):
    torch.manual_seed(0)
    found = gradient_by_lag(layer(3, 8), torch.randn(2, 12, 3), lambda y: y.square().mean(), lags=[8, 2, 0])
    (one,) = found.values()
    frame = one.to_frame()
    assert list(frame.columns) == ["layer", "channel", "lag", "gradient"]
    assert len(frame) == 9
    row = frame[(frame.channel == 1) & (frame.lag == 2)]
    assert float(row.gradient.iloc[0]) == float(one.values[1, 1])
    ax = one.plot(label="S")
    gradient, memory = ax.lines
    assert gradient.get_xdata().tolist() == memory.get_xdata().tolist() == [1, 3, 9]
    assert max(gradient.get_ydata()) == 1
    assert all(0 < value <= 1 for value in memory.get_ydata())
    assert one.plot(ax) is ax
    pyplot.close(ax.figure)


def test_plot_without_a_memory_function():
    class Sum(torch.nn.Module):
        def forward(self, u: Tensor) -> Tensor:
            return u.cumsum(1)

        def system(self) -> LinearSystem:
            return LinearSystem.from_eigenvalues([[1.0]], C=[1.0])

    (one,) = gradient_by_lag(Sum(), torch.randn(2, 5, 1), torch.sum).values()
    ax = one.plot()
    assert len(ax.lines) == 1
    pyplot.close(ax.figure)


def test_a_gradient_of_zero():
    (one,) = gradient_by_lag(nn.S5(2, 4), torch.randn(2, 5, 2), lambda y: 0 * y.sum()).values()
    assert not bool(one.values.any())
    assert math.isnan(one.share_beyond(0))


def test_a_layer_that_the_loss_does_not_depend_on_has_zeros():
    class Side(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.beside, self.idle = nn.S4D(2, 4), nn.S5(2, 4), nn.S4D(2, 4)

        def forward(self, u: Tensor) -> Tensor:
            self.beside(u)
            return self.used(u)[0]

    found = gradient_by_lag(Side(), torch.randn(2, 5, 2), torch.sum, full=True)
    assert list(found) == ["used", "beside"]
    assert not bool(found["beside"].values.any())
    assert found["beside"].taps.shape == (2, 2, 5)
    with pytest.raises(InputError, match="layer 'idle': expected a call in the forward pass, got none"):
        gradient_by_lag(Side(), torch.randn(2, 5, 2), torch.sum, layers=["used", "idle"])


class Hidden(torch.nn.Module):
    """A layer out of reach: under no_grad, detached, or begun from another state."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer, self.how = nn.S4D(2, 4), how

    def forward(self, u: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return self.layer(u)[0]
        if self.how == "state":
            return self.layer(u, torch.ones_like(self.layer.initial_state(len(u))))[0]
        return self.layer(u)[0].detach()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("no_grad", "layer 'layer': expected a call that gradients pass through, got one under no_grad"),
        ("detach", "loss: expected one that depends on the layers, got one that does not"),
        ("state", "layer 'layer': expected a call from a state of zero, got another state"),
    ],
)
def test_a_layer_out_of_reach(how, match):
    model = Hidden(how)
    with pytest.raises(InputError, match=match) as caught:
        gradient_by_lag(model, torch.randn(2, 5, 2), torch.sum)
    assert "\n" not in str(caught.value)
    assert not model.layer._forward_hooks


def test_a_state_of_zero_is_a_beginning():
    layer, u = nn.S4D(2, 4), torch.randn(3, 5, 2)
    (one,) = gradient_by_lag(layer, ((u, layer.initial_state(3)), u), mse_loss).values()
    (other,) = gradient_by_lag(layer, (u, u), mse_loss).values()
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=0)


U = torch.randn(2, 5, 2)


@pytest.mark.parametrize(
    ("model", "batch", "loss", "options", "match"),
    [
        ("s4d", U, torch.sum, {}, "model: expected a torch.nn.Module, got str"),
        (torch.nn.Linear(2, 2), U, torch.sum, {}, "reads its state out linearly, got none in Linear"),
        (nn.LinearAttention(2, 4, heads=2), U, torch.sum, {}, "got none in LinearAttention"),
        (nn.S4D(2, 4), (U, U, U), mse_loss, {}, r"batch: expected \(inputs, targets\), or a tensor .*, got 3 parts"),
        (nn.S4D(2, 4), "data", mse_loss, {}, "batch: expected .* got str"),
        (nn.S4D(2, 4), (1.0, U), mse_loss, {}, "inputs: expected a tensor, tuple or mapping, got float"),
        (nn.S4D(2, 4), U, lambda y: y.mean(0), {}, r"loss: expected one real number, a tensor, got shape \(5, 2\)"),
        (nn.S4D(2, 4), U, lambda y: 1.0, {}, "loss: expected one real number, a tensor, got float"),
        (nn.S4D(2, 4), U, lambda y: y.sum() * torch.nan, {}, "loss: expected a finite number, got nan"),
        (nn.S4D(2, 4), U, torch.sum, {"layers": ["S4d"]}, "layer: expected one of S4D, got 'S4d'; did you mean 'S4D'"),
        (nn.S4D(2, 4), U, torch.sum, {"layers": []}, "layers: expected at least one name, got none"),
        (nn.S4D(2, 4), U, torch.sum, {"lags": 6}, "lags: expected below the 5 steps of layer 'S4D', got 5"),
        (nn.S4D(2, 4), U, torch.sum, {"lags": [-1]}, "lags: expected lags ≥ 0, got -1"),
        (nn.S4D(2, 4), U, torch.sum, {"lags": []}, "lags: expected at least one lag"),
    ],
)
def test_bad_input(model, batch, loss, options, match):
    with pytest.raises(InputError, match=match) as caught:
        gradient_by_lag(model, batch, loss, **options)
    assert "\n" not in str(caught.value)


def test_too_many_taps_are_refused(monkeypatch):
    monkeypatch.setattr("ssmemory.learning.by_lag._LARGEST_TAPS", 19)
    with pytest.raises(InputError, match="full: expected at most 19 taps, got 2 × 2 × 5"):
        gradient_by_lag(nn.S5(2, 4), U, torch.sum, full=True)


def test_a_negative_lag_is_refused():
    with pytest.raises(InputError, match="lag: expected at least 0, got -1"):
        gradient_by_lag(nn.S4D(2, 4), U, torch.sum)["S4D"].share_beyond(-1)
