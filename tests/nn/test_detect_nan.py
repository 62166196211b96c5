"""The debug mode names module, step and sequence of the first value that is not finite, and leaves nothing behind."""

import pytest
import torch

from ssmemory.errors import InputError
from ssmemory.nn import Backbone, BackboneConfig, detect_nan


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Backbone(BackboneConfig(d_input=2, d_model=6, d_state=4, n_layers=3)).eval()


@pytest.fixture
def u():
    return torch.randn(3, 12, 2, generator=torch.Generator().manual_seed(1))


def complaint(model, u) -> str:
    with pytest.raises(InputError) as caught, detect_nan(model):
        model(u)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("value", "told"), [(float("nan"), "nan"), (float("-inf"), "-inf")])
def test_an_input_is_named_with_its_first_step(model, u, value, told):
    u[2, 5:, 1] = value
    u[0, 7, 0] = value  # later in time, though earlier in the batch
    expected = f"input of Backbone: expected finite values, got {told} at step 5 of sequence 2; "
    assert complaint(model, u).startswith(expected)


def test_the_layer_where_it_arises_is_named(model, u):
    with torch.no_grad():
        model.blocks[1].layer.C[3, 1, 0] = torch.nan
    told = complaint(model, u)
    assert told.startswith("output of blocks.1.layer: expected finite values, got nan at step 0 of sequence 0; ")
    assert told.endswith("its parameter C is not finite")


def test_a_layer_that_overflows_is_named(model, u):
    with torch.no_grad():
        model.blocks[2].mix.weight.fill_(3e38)
    told = complaint(model, u)
    assert told.startswith("output of blocks.2.mix: ")
    assert "its parameters are" in told


def test_finite_values_pass_and_no_hook_stays(model, u):
    before = model(u)[0]
    with detect_nan(model):
        assert torch.equal(model(u)[0], before)
    u[0, 3, 0] = torch.nan
    assert not bool(torch.isfinite(model(u)[0]).all())  # outside the block nothing is raised


def test_no_hook_stays_after_an_error(model, u):
    complaint(model, torch.full_like(u, torch.nan))
    assert torch.isnan(model(torch.full_like(u, torch.nan))[0]).all()
