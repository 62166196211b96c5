from typing import get_args

import pytest
from torch import nn

from ssmemory.nn import LAYERS, S4D, Backbone, BackboneConfig, Role, named_roles

ROLES = {name: role for name, role in S4D.roles.items() if name != "A_real"}  # held where real parts are projected


def test_names_and_order_are_torchs():
    model = Backbone(BackboneConfig(d_model=4, d_state=4, n_layers=2))
    found = [(name, parameter) for name, parameter, _ in named_roles(model)]
    for (name, parameter), (wanted, expected) in zip(found, model.named_parameters(), strict=True):
        assert name == wanted
        assert parameter is expected


def test_of_a_layer():
    assert {name: role for name, _, role in named_roles(S4D(2, 4))} == ROLES


def test_of_a_layer_deep_inside():
    model = Backbone(BackboneConfig(d_model=4, d_state=4, n_layers=2))
    roles = {name: role for name, _, role in named_roles(model)}
    for block in range(2):
        for name, role in ROLES.items():
            assert roles.pop(f"blocks.{block}.layer.{name}") == role
    assert set(roles.values()) == {None}
    assert {"encoder.weight", "blocks.0.mix.weight", "norm.bias", "decoder.bias"} <= set(roles)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer_uses_the_four_words(layer):
    assert set(layer.roles.values()) <= set(get_args(Role))


def test_shared_parameters_and_modules_come_once():
    layer = S4D(2, 4)
    model = nn.ModuleDict({"a": layer, "b": layer, "c": nn.Linear(2, 2, bias=False)})
    names = [name for name, _, _ in named_roles(model)]
    assert names == [*(f"a.{name}" for name in ROLES), "c.weight"]


def test_a_parameter_of_the_same_name_elsewhere_has_no_role():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.C = nn.Parameter(nn.Linear(1, 1).weight.detach())

    assert next(role for _, _, role in named_roles(nn.Sequential(Other(), S4D(1, 2)))) is None


def test_frozen_parameters_are_listed_too():
    layer = S4D(2, 4).requires_grad_(False)
    assert len(list(named_roles(layer))) == len(ROLES)
