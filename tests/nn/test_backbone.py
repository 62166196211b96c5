"""The backbone: whole and step by step, lengths and pooling, symbols, and its configuration."""

import dataclasses
import inspect

import pytest
import torch
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.nn import LAYERS, Backbone, BackboneConfig

BATCH, LENGTH = 3, 13
ENDS = torch.tensor([13, 1, 8])
SMALL = BackboneConfig(d_input=2, d_output=4, d_model=6, d_state=4, n_layers=3, dt_min=0.01, dt_max=0.5)
POOLINGS = ["mean", "last", "none"]


def make(seed: int = 0, **options: object) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(dataclasses.replace(SMALL, **options)).double().eval()


def draw(config: BackboneConfig, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if config.embed:
        return torch.randint(config.d_input, (BATCH, length), generator=generator)
    return torch.randn(BATCH, length, config.d_input, dtype=torch.float64, generator=generator)


def close(got: Tensor | list[Tensor], wanted: Tensor | list[Tensor]) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-11)


def gradients(objective: Tensor, model: Backbone) -> list[Tensor]:
    return list(torch.autograd.grad(objective, list(model.parameters()), retain_graph=True))


@pytest.mark.parametrize("embed", [False, True], ids=["channels", "symbols"])
class TestForward:
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_shapes(self, pooling, embed):
        model = make(pooling=pooling, embed=embed)
        y, states = model(draw(model.config))
        assert y.shape == ((BATCH, LENGTH, 4) if pooling == "none" else (BATCH, 4))
        assert [state.shape for state in states] == [(BATCH, 6, 2)] * 3

    @pytest.mark.parametrize("pooling", ["last", "none"])
    def test_step_by_step(self, pooling, embed):
        model = make(pooling=pooling, embed=embed)
        u, states, steps = draw(model.config), model.initial_state(BATCH), []
        for u_t in u.unbind(1):
            y_t, states = model.step(u_t, states)
            steps.append(y_t)
        every, after = make(pooling="none", embed=embed)(u)
        close(torch.stack(steps, 1), every)
        close(states, after)
        close(model(u)[0], every if pooling == "none" else every[:, -1])

    @pytest.mark.parametrize("cut", [1, 8, 12])
    def test_states_are_handed_on(self, cut, embed):
        model = make(pooling="none", embed=embed)
        u = draw(model.config)
        whole, after = model(u)
        first, states = model(u[:, :cut])
        second, handed = model(u[:, cut:], states)
        close(torch.cat([first, second], 1), whole)
        close(handed, after)
        assert all(state.requires_grad for state in states)

    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("garbage", [0.0, 1e3, float("nan")])
    def test_padding_changes_nothing(self, garbage, pooling, embed):
        """Every sequence alone gives what it gives in a padded batch: outputs, states and gradients."""
        model = make(pooling=pooling, embed=embed)
        u = draw(model.config)
        for b, end in enumerate(ENDS):
            u[b, end:] = int(garbage > 0) if embed else garbage
        y, states = model(u, lengths=ENDS)
        real = torch.arange(LENGTH) < ENDS.unsqueeze(-1)
        together = gradients((y[real] if pooling == "none" else y).sin().sum(), model)
        total = [torch.zeros_like(gradient) for gradient in together]
        for b, end in enumerate(ENDS.tolist()):
            y_alone, states_alone = model(u[b : b + 1, :end])
            close(y[b : b + 1, :end] if pooling == "none" else y[b : b + 1], y_alone)
            close([state[b : b + 1] for state in states], states_alone)
            total = [a + b for a, b in zip(total, gradients(y_alone.sin().sum(), model), strict=True)]
        close(together, total)

    def test_pooling_reads_the_steps(self, embed):
        u = draw(make(embed=embed).config)
        last, mean, none = (make(pooling=pooling, embed=embed) for pooling in ("last", "mean", "none"))
        every = none(u)[0]
        close(last(u)[0], every[:, -1])
        close(mean(u)[0], every.mean(1))  # the decoder is affine
        close(last(u, lengths=ENDS)[0], every[torch.arange(BATCH), ENDS - 1])
        wanted = torch.stack([every[b, :end].mean(0) for b, end in enumerate(ENDS)])
        close(mean(u, lengths=ENDS)[0], wanted)

    def test_it_is_causal(self, embed):
        model = make(pooling="none", embed=embed)
        u = draw(model.config)
        changed = u.clone()
        changed[:, 7:] = 1 - changed[:, 7:]
        before, after = model(u)[0], model(changed)[0]
        close(before[:, :7], after[:, :7])
        assert bool((before[:, 7:] != after[:, 7:]).any())

    def test_sequences_of_a_batch_do_not_see_each_other(self, embed):
        model, order = make(embed=embed), torch.tensor([2, 0, 1])
        u = draw(model.config)
        close(model(u[order], lengths=ENDS[order])[0], model(u, lengths=ENDS)[0][order])


class TestTraining:
    def test_every_parameter_has_a_gradient(self):
        model = make().train()
        model(draw(SMALL))[0].square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool((parameter.grad != 0).any()), name

    def test_dropout_in_training_only(self):
        model, u = make(dropout=0.5), draw(SMALL)
        close(model(u)[0], make()(u)[0])
        torch.manual_seed(0)
        first = model.train()(u)[0]
        assert not torch.equal(first, model(u)[0])
        torch.manual_seed(0)
        assert torch.equal(first, model(u)[0])

    def test_dropout_drops_the_given_share(self):
        """Of what a block adds to its input, once after gelu and once after the mixing."""
        block = make(dropout=0.25, d_model=64).blocks[0].train()
        with torch.no_grad():
            block.mix.weight.zero_()
            block.mix.bias.fill_(1.0)
            torch.manual_seed(0)
            added = block(torch.zeros(1, 2000, 64, dtype=torch.float64))[0]
        assert abs(float((added == 0).double().mean()) - 0.25) < 0.006  # five standard deviations

    def test_the_seed_decides(self):
        u = draw(SMALL)
        assert torch.equal(make(3)(u)[0], make(3)(u)[0])
        assert not torch.equal(make(3)(u)[0], make(4)(u)[0])


class TestConfig:
    def test_defaults(self):
        config = BackboneConfig()
        assert (config.d_input, config.d_output, config.layer, config.pooling) == (1, 10, "s4d", "last")
        assert Backbone(config).config is config

    def test_it_is_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            SMALL.d_model = 3

    @pytest.mark.parametrize("layer", LAYERS)
    def test_every_layer_is_built_and_runs_step_by_step(self, layer):
        torch.manual_seed(0)
        model = Backbone(BackboneConfig(d_input=2, d_output=4, d_model=8, layer=layer, pooling="none")).double().eval()
        assert all(isinstance(block.layer, LAYERS[layer]) for block in model.blocks)
        u, states, steps = draw(SMALL), model.initial_state(BATCH), []
        whole, after = model(u)
        for u_t in u.unbind(1):
            y_t, states = model.step(u_t, states)
            steps.append(y_t)
        close(torch.stack(steps, 1), whole)
        close(states, after)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_every_layer_may_read_from_both_ends(self, layer):
        torch.manual_seed(0)
        config = BackboneConfig(d_input=2, d_output=4, d_model=8, layer=layer, bidirectional=True, pooling="mean")
        model = Backbone(config).double().eval()
        u = draw(config)
        together = model(u, lengths=ENDS)[0]
        for b, end in enumerate(ENDS):
            close(together[b : b + 1], model(u[b : b + 1, :end])[0])
        with pytest.raises(InputError, match="a whole sequence"):
            model.initial_state(BATCH)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_what_a_layer_does_not_take_is_refused(self, layer):
        taken = inspect.signature(LAYERS[layer]).parameters
        given = {"d_state": 8, "dt_min": 0.01, "discretization": "zoh", "heads": 2, "init": "s4d_lin"}
        for name, value in given.items():
            if name not in taken:
                told = f"^{name}: expected None, as layer '{layer}' takes no {name}, got {value!r}; leave it out"
                with pytest.raises(InputError, match=told):
                    BackboneConfig(layer=layer, **{name: value})

    def test_options_reach_the_layers(self):
        model = make(discretization="bilinear", init="s4d_legs", dt_min=0.2, dt_max=0.2)
        assert len(model.blocks) == 3
        for block in model.blocks:
            assert block.layer.discretization == "bilinear"
            assert block.layer.d_state == 4
            torch.testing.assert_close(block.layer.log_dt.exp(), torch.full((6,), 0.2).double())
            torch.testing.assert_close(
                block.layer.A_imag[0].detach(), torch.tensor([0.5565, 4.6033]).double(), atol=1e-4, rtol=0
            )

    @pytest.mark.parametrize("embed", [False, True])
    @pytest.mark.parametrize("n_layers", [1, 4])
    def test_number_of_parameters(self, n_layers, embed):
        model = Backbone(BackboneConfig(d_input=3, d_output=5, d_model=8, d_state=6, n_layers=n_layers, embed=embed))
        encoder = 3 * 8 + (0 if embed else 8)
        layer = 8 + 8 + 4 * 8 * 6 // 2 + 2 * 8 * 6 // 2  # dt and D; B and C, complex; Re A and Im A
        block = layer + 2 * 8 + (8 * 16 + 16)  # and its norm, and the mixing
        decoder = 8 * 5 + 5
        assert sum(p.numel() for p in model.parameters()) == encoder + n_layers * block + 2 * 8 + decoder
        assert isinstance(model.encoder, nn.Embedding if embed else nn.Linear)

    def test_a_mean_cannot_be_stepped(self):
        model = make(pooling="mean")
        with pytest.raises(InputError, match=r"^pooling: expected 'last' or 'none', got 'mean'"):
            model.step(draw(SMALL)[:, 0], model.initial_state(BATCH))
