"""States that are reduced while training: what is trained on, what is on record, and a kill in between."""

import json

import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.fit import ReduceState, TrainConfig, train
from ssmemory.nn import load_model

EPOCHS, STEPS = 4, 3


class Cut(BaseException):
    """Stands for whatever ends a process."""


@pytest.fixture
def reduced(make_model, spikes):
    """Return a function that trains a small backbone and reduces it on the way; it is cut off after some steps."""

    def run(folder, plan=None, cut=None, layer="lru", size=8, **changes):
        options = {"epochs": EPOCHS, "batch_size": 20, "lr": 1e-2, "ssm_lr": 1e-2} | changes
        model = make_model(layer=layer, d_state=size, dt_min=None, dt_max=None) if layer == "lru" else make_model()
        seen = []

        def count(module, _):
            seen.append(1) if module.training else None
            if cut is not None and len(seen) > cut:
                raise Cut

        model.register_forward_pre_hook(count)
        how = TrainConfig(**options)
        plan = plan or ReduceState((1, 3), tolerance=0.9)
        return model, train(model, spikes(60, 1), spikes(20, 2), how, folder=folder, progress=False, reduce=plan)

    return run


@pytest.mark.parametrize("layer", ["lru", "s4d"])
def test_the_state_is_smaller_and_training_goes_on(reduced, tmp_path, layer):
    model, result = reduced(tmp_path, ReduceState((1,), d_state=4), layer=layer)
    assert model.blocks[0].layer.d_state == model.config.d_state == 4
    assert [(row["epoch"], row["d_state_before"], row["d_state"]) for row in result.reductions] == [(1, 8, 4)]
    assert len(result.rows) == EPOCHS + 1
    assert result.trained_parameters == sum(parameter.numel() for parameter in model.parameters())
    u = torch.randn(3, 16, 1)
    assert torch.equal(load_model(tmp_path)(u)[0], model(u)[0])


def test_new_parameters_are_trained_and_the_optimiser_knows_no_others(reduced, tmp_path):
    model, _ = reduced(tmp_path / "a", ReduceState((1,), d_state=4))
    one, _ = reduced(tmp_path / "b", ReduceState((1,), d_state=4), epochs=2)
    saved = torch.load(tmp_path / "a" / "last.ckpt", weights_only=True)["optimizer_states"][0]
    parameters = dict(model.named_parameters())
    assert sum(len(group["params"]) for group in saved["param_groups"]) == len(parameters)
    steps = sorted({int(state["step"]) for state in saved["state"].values()})
    assert steps == [(EPOCHS - 1) * STEPS, EPOCHS * STEPS]  # the replaced ones began anew after the first epoch
    for name in ("nu", "theta", "B", "C"):
        assert not torch.equal(getattr(one.blocks[0].layer, name), getattr(model.blocks[0].layer, name)), name


@pytest.mark.parametrize("cut", [1, STEPS + 1, 2 * STEPS + 1, 3 * STEPS + 1])
def test_a_run_cut_off_ends_as_if_it_had_not_been(reduced, tmp_path, cut):
    _, whole = reduced(tmp_path / "whole", size=48)
    assert [row["epoch"] for row in whole.reductions] == [1, 3]
    assert whole.reductions[1]["d_state"] < whole.reductions[0]["d_state"] < 48
    with pytest.raises(Cut):
        reduced(tmp_path / "cut", cut=cut, size=48)
    torch.manual_seed(999)
    _, result = reduced(tmp_path / "cut", size=48)
    seconds = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.rows] for r in (result, whole)]
    assert seconds[0] == seconds[1]
    assert result.reductions == whole.reductions
    for name in ("model.safetensors", "memory.json", "model.json", "train.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_run_is_read_back(reduced, tmp_path):
    _, first = reduced(tmp_path)
    model, again = reduced(tmp_path, cut=0)
    assert again.reductions == first.reductions
    assert model.config.d_state == first.reductions[-1]["d_state"]


def test_another_plan_is_another_run(reduced, tmp_path):
    reduced(tmp_path, ReduceState((1,), d_state=4))
    assert json.loads((tmp_path / "train.json").read_text())["reduce"]["d_state"] == 4
    with pytest.raises(InputError, match="the work begun there"):
        reduced(tmp_path, ReduceState((1,), d_state=6))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"freeze": "eigenvalues"}, ("nothing frozen", "eigenvalues", "before training")),
        ({"epochs": 3}, ("before the last, 3", "3", "earlier")),
    ],
)
def test_what_cannot_be_done_is_one_line(reduced, tmp_path, changes, told):
    with pytest.raises(InputError) as caught:
        reduced(tmp_path, **changes)
    assert_one_line(str(caught.value), *told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"epochs": (), "d_state": 4}, ("counted from 1", r"\(\)", "after the first")),
        ({"epochs": (0,), "d_state": 4}, ("counted from 1", "0", "after the first")),
        ({"epochs": (1,)}, ("one of the two", "neither", "leave the other")),
        ({"epochs": (1,), "d_state": 4, "tolerance": 0.1}, ("one of the two", "both", "leave the other")),
    ],
)
def test_bad_plans(arguments, told):
    with pytest.raises(InputError) as caught:
        ReduceState(**arguments)
    assert_one_line(str(caught.value), *told)
