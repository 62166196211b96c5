"""Every parameter that learns is in one group, at the rate of its role."""

import pytest
import torch
from torch import nn

from ssmemory.errors import InputError
from ssmemory.nn import S4D, Backbone, BackboneConfig, named_roles, param_groups

LR, SSM_LR, DECAY = 1e-2, 1e-3, 0.05
MODELS = {
    "layer": lambda: S4D(3, 4),
    "backbone": lambda: Backbone(BackboneConfig(d_model=4, d_state=4, n_layers=2)),
    "symbols": lambda: Backbone(BackboneConfig(d_input=7, d_model=4, d_state=4, embed=True)),
    "no layer": lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)),
}


def groups_of(model: nn.Module) -> list[dict]:
    return param_groups(model, lr=LR, ssm_lr=SSM_LR, weight_decay=DECAY)


def ids(groups: list[dict]) -> list[int]:
    return [id(parameter) for group in groups for parameter in group["params"]]


def where(groups: list[dict], parameter: nn.Parameter) -> dict:
    (group,) = [group for group in groups if any(other is parameter for other in group["params"])]
    return group


@pytest.mark.parametrize("name", MODELS)
class TestPartition:
    def test_every_parameter_exactly_once(self, name):
        model = MODELS[name]()
        assert sorted(ids(groups_of(model))) == sorted(id(parameter) for parameter in model.parameters())

    @pytest.mark.parametrize("seed", range(3))
    def test_frozen_ones_are_left_out(self, name, seed):
        model = MODELS[name]()
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.requires_grad_(bool(torch.rand(1, generator=generator) < 0.5))
        trained = [id(parameter) for parameter in model.parameters() if parameter.requires_grad]
        assert trained
        assert sorted(ids(groups_of(model))) == sorted(trained)

    def test_rates_and_decay(self, name):
        model = MODELS[name]()
        groups = groups_of(model)
        for _, parameter, role in named_roles(model):
            group = where(groups, parameter)
            recurrent = role in ("eigenvalues", "input", "gate")
            assert group["lr"] == (SSM_LR if recurrent else LR)
            assert group["weight_decay"] == (0 if recurrent or parameter.ndim < 2 else DECAY)

    def test_torch_takes_them(self, name):
        model = MODELS[name]()
        optimiser = torch.optim.AdamW(groups_of(model), lr=123.0)
        assert all(group["lr"] in (LR, SSM_LR) for group in optimiser.param_groups)
        assert all(group["params"] for group in optimiser.param_groups)


def test_s4d_by_name():
    layer = S4D(3, 4)
    rates = {name: where(groups_of(layer), parameter)["lr"] for name, parameter in layer.named_parameters()}
    assert rates == {"log_dt": SSM_LR, "log_A_real": SSM_LR, "A_imag": SSM_LR, "B": SSM_LR, "C": LR, "D": LR}


def test_without_decay_and_rates_nothing_moves():
    model = MODELS["backbone"]()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimiser = torch.optim.AdamW(param_groups(model, lr=0.0, ssm_lr=0.0, weight_decay=0.0))
    model(torch.randn(2, 9, 1))[0].sum().backward()
    optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_decay_reaches_no_eigenvalue():
    model = MODELS["backbone"]()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = torch.optim.SGD(param_groups(model, lr=LR, ssm_lr=SSM_LR, weight_decay=DECAY))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter, role in named_roles(model):
        shrinks = role in (None, "readout") and parameter.ndim > 1
        wanted = before[name] * (1 - LR * DECAY) if shrinks else before[name]
        torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-6, atol=0)


def test_a_shared_parameter_comes_once():
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = model[0].weight
    assert sorted(ids(groups_of(model))) == sorted(id(parameter) for parameter in model.parameters())


@pytest.mark.parametrize("rates", [{"lr": -1.0}, {"lr": 1.0, "ssm_lr": -1.0}, {"lr": 1.0, "weight_decay": -1.0}])
def test_negative_rates(rates):
    with pytest.raises(InputError, match=r"^param_groups: expected rates ≥ 0, got .*-1\.0"):
        param_groups(S4D(2, 2), **rates)


def test_nothing_to_train():
    with pytest.raises(InputError, match=r"^model: expected at least one parameter to train, got none"):
        param_groups(S4D(2, 2).requires_grad_(False), lr=LR)
