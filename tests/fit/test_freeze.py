"""Each mode freezes exactly the parameters it names, unfreezes the others, and the proof catches what moved."""

import pytest
import torch
from torch import nn

from ssmemory.errors import InputError, SSMemoryError
from ssmemory.fit import Frozen, freeze
from ssmemory.nn import S4D

LAYERS = ["blocks.0.layer.", "blocks.1.layer."]
EIGENVALUES = {layer + name for layer in LAYERS for name in ("log_dt", "log_A_real", "A_imag")}
RECURRENCE = EIGENVALUES | {layer + "B" for layer in LAYERS}
READOUT = {"decoder.weight", "decoder.bias"}


def names(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_parameters()}


@pytest.fixture
def model(make_model):
    return make_model(n_layers=2)


@pytest.mark.parametrize(
    ("mode", "frozen"), [("none", set()), ("eigenvalues", EIGENVALUES), ("recurrence", RECURRENCE)]
)
def test_exactly_these_are_frozen(model, mode, frozen):
    record = freeze(model, mode)
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == frozen
    assert set(record.initial) == frozen
    assert record.mode == mode


def test_all_but_readout_keeps_the_decoder_alone(model):
    assert set(freeze(model, "all-but-readout").initial) == names(model) - READOUT
    assert {name for name, p in model.named_parameters() if p.requires_grad} == READOUT


@pytest.mark.parametrize("before", ["eigenvalues", "recurrence", "all-but-readout"])
def test_none_unfreezes_everything(model, before):
    freeze(model, before)
    assert freeze(model, "none").initial == {}
    assert all(p.requires_grad for p in model.parameters())


def test_a_later_mode_replaces_an_earlier_one(model):
    freeze(model, "all-but-readout")
    freeze(model, "eigenvalues")
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == EIGENVALUES


def test_an_embedding_is_frozen_with_all_but_the_readout(make_model):
    model = make_model(embed=True, d_input=5)
    freeze(model, "all-but-readout")
    assert not model.encoder.weight.requires_grad


def test_a_bare_layer_has_roles_of_its_own():
    assert set(freeze(S4D(2, 4), "recurrence").initial) == {"log_dt", "log_A_real", "A_imag", "B"}


def test_a_plain_model_may_be_left_unfrozen():
    assert freeze(nn.Linear(2, 2), "none").initial == {}


def test_unknown_mode_names_the_nearest_and_changes_nothing(model):
    freeze(model, "eigenvalues")
    with pytest.raises(InputError, match=r"got 'eigenvalue'; did you mean 'eigenvalues'\?$"):
        freeze(model, "eigenvalue")
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == EIGENVALUES


@pytest.mark.parametrize("mode", ["eigenvalues", "recurrence"])
def test_a_model_without_recurrence_is_refused(mode):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    with pytest.raises(InputError, match=f"expected parameters to freeze in mode '{mode}', got none"):
        freeze(model, mode)


def test_nothing_to_freeze_beside_the_readout_is_refused():
    with pytest.raises(InputError, match="got none"):
        freeze(nn.Linear(2, 2), "all-but-readout")


@pytest.mark.parametrize("mode", ["eigenvalues", "recurrence", "all-but-readout"])
def test_check_passes_until_a_frozen_number_moves(model, mode):
    record = freeze(model, mode)
    record.check(model)
    with torch.no_grad():
        model.decoder.weight.add_(1)  # learned in every mode
        record.check(model)
        log_dt = model.blocks[1].layer.log_dt
        log_dt[0] = torch.nextafter(log_dt[0], torch.tensor(torch.inf))
    with pytest.raises(SSMemoryError, match=r"got 1 changed, first blocks\.1\.layer\.log_dt;") as caught:
        record.check(model)
    assert "\n" not in str(caught.value)


def test_the_record_is_a_copy(model):
    record = freeze(model, "eigenvalues")
    for name, parameter in model.named_parameters():
        if name in record.initial:
            assert record.initial[name].data_ptr() != parameter.data_ptr()
            assert not record.initial[name].requires_grad


def test_a_record_of_nothing_checks_anything(model):
    Frozen("none", {}).check(model)
