"""Training: frozen parameters do not move by a bit, learned ones do, toy tasks are learned, and all is on record."""

import csv
import dataclasses
import json
import math

import pytest
import torch

from ssmemory.fit import layer_memory
from ssmemory.nn import load_model

EIGENVALUES = {"blocks.0.layer.log_dt", "blocks.0.layer.log_A_real", "blocks.0.layer.A_imag"}
FROZEN = {"none": set(), "eigenvalues": EIGENVALUES, "recurrence": EIGENVALUES | {"blocks.0.layer.B"}}


def copies(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.fixture(scope="module")
def learned(make_model, fit, tmp_path_factory):
    """A run with everything learned: the model, the copies the test took before it, and the result."""
    model = make_model()
    before = copies(model)
    return model, before, fit(model, tmp_path_factory.mktemp("learned"))


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("mode", ["eigenvalues", "recurrence", "all-but-readout"])
def test_frozen_parameters_are_bit_identical(make_model, fit, tmp_path, mode, weight_decay):
    model = make_model(dropout=0.1)
    before, memory = copies(model), layer_memory(model, 16)
    frozen = FROZEN.get(mode) or set(before) - {"decoder.weight", "decoder.bias"}
    result = fit(model, tmp_path, freeze=mode, weight_decay=weight_decay, epochs=1)
    assert moved(model, before) == set(before) - frozen
    assert result.frozen_parameters == sum(before[name].numel() for name in frozen)
    assert result.trained_parameters == sum(before[name].numel() for name in set(before) - frozen)
    assert memory == result.before == result.after == layer_memory(model, 16)
    assert moved(load_model(tmp_path), before) == set(before) - frozen


def test_learned_parameters_all_move(learned):
    model, before, result = learned
    assert moved(model, before) == set(before)
    assert result.frozen_parameters == 0


def test_learned_memory_differs(learned):
    model, _, result = learned
    assert result.before != result.after
    assert result.after == layer_memory(model, 16)
    assert result.before[0].first_input != result.after[0].first_input


def test_metrics_have_a_row_before_training_and_one_an_epoch(learned):
    _, _, result = learned
    with (result.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    memory = {"blocks.0.layer/reach", "blocks.0.layer/first_input"}
    scores = {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"}
    assert set(rows[0]) == {"epoch"} | memory | scores
    assert {name for name, value in rows[0].items() if value} == {"epoch"} | memory
    for row in rows[1:]:
        assert all(math.isfinite(float(value)) for value in row.values())
    written = [{name: float(value) for name, value in row.items() if value} for row in rows]
    assert written == result.rows
    assert float(rows[0]["blocks.0.layer/first_input"]) == result.before[0].first_input
    assert float(rows[-1]["blocks.0.layer/first_input"]) == result.after[0].first_input
    assert result.final("validation_loss") == float(rows[-1]["validation_loss"])


def test_the_folder_holds_what_the_result_holds(learned):
    model, _, result = learned
    memory = json.loads((result.folder / "memory.json").read_text())
    assert memory["before"] == [dataclasses.asdict(record) for record in result.before]
    assert memory["after"] == [dataclasses.asdict(record) for record in result.after]
    assert not moved(load_model(result.folder), copies(model))
    assert not list(result.folder.glob("*.part"))
    assert not list(result.folder.glob(".*"))


def test_validation_scores_are_those_of_the_model(learned, spikes):
    model, _, result = learned
    u, y = spikes(20, 2)
    with torch.no_grad():
        output = model(u)[0]
    assert result.final("validation_accuracy") == float((output.argmax(-1) == y).double().mean())
    assert result.final("validation_loss") == pytest.approx(float(torch.nn.functional.cross_entropy(output, y)))


def test_the_same_seed_trains_the_same_model(make_model, fit, tmp_path):
    results = []
    for name in ("a", "b"):
        model = make_model(dropout=0.2)
        torch.manual_seed(ord(name))  # what the global generator holds must not matter
        fit(model, tmp_path / name, epochs=1)
        results.append(copies(model))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_another_seed_trains_another_model(make_model, fit, tmp_path):
    first, second = make_model(), make_model()
    fit(first, tmp_path / "a", epochs=1, seed=0)
    fit(second, tmp_path / "b", epochs=1, seed=1)
    assert moved(first, copies(second)) == set(copies(first))


@pytest.mark.parametrize("mode", ["none", "eigenvalues"])
def test_which_step_held_the_spike_is_learned(make_model, fit, spikes, tmp_path, mode):
    data = spikes(160, 1), spikes(80, 2)
    result = fit(make_model(), tmp_path, data=data, epochs=12, lr=4e-2, freeze=mode)
    assert result.rows[-1]["train_loss"] < 0.5 * result.rows[1]["train_loss"]
    assert result.final("validation_accuracy") > 0.8  # chance is 0.25


def test_the_input_before_the_last_is_learned_as_a_number(make_model, fit, tmp_path):
    u = torch.randn(240, 16, 1, generator=torch.Generator().manual_seed(0))
    y = u[:, -2]
    data = (u[:160], y[:160]), (u[160:], y[160:])
    result = fit(make_model(d_output=1), tmp_path, data=data, epochs=12, lr=4e-2, task="regression")
    assert "train_accuracy" not in result.rows[-1]
    assert result.final("validation_loss") < 0.5 * float(y[160:].var())


def test_symbols_are_trained_on_too(make_model, fit, tmp_path):
    u = torch.randint(0, 5, (40, 16), generator=torch.Generator().manual_seed(0))
    data = (u[:30], u[:30, -1] % 4), (u[30:], u[30:, -1] % 4)
    model = make_model(embed=True, d_input=5)
    before = copies(model)
    fit(model, tmp_path, data=data, epochs=1)
    assert "encoder.weight" in moved(model, before)


def test_the_trained_model_is_handed_back_ready_for_use(learned):
    assert not learned[0].training


def test_dropout_works_on_a_model_in_evaluation_mode(make_model, fit, tmp_path):
    first = fit(make_model(dropout=0.5), tmp_path / "a", epochs=1)
    second = fit(make_model(dropout=0.5).eval(), tmp_path / "b", epochs=1)
    assert first.final("train_loss") == second.final("train_loss")


def test_ordinary_weights_are_decayed_and_recurrent_ones_are_not(make_model, fit, tmp_path):
    """Three steps at a rate of 0.01 with a decay of 5 take away a tenth; what else they do differs far less."""
    plain, decayed = make_model(), make_model()
    fit(plain, tmp_path / "a", epochs=1, weight_decay=0.0)
    fit(decayed, tmp_path / "b", epochs=1, weight_decay=5.0)
    weight = "blocks.0.mix.weight"
    assert copies(decayed)[weight].norm() < 0.93 * copies(plain)[weight].norm()
    for name in EIGENVALUES | {"blocks.0.layer.B"}:
        assert copies(decayed)[name].norm() == pytest.approx(float(copies(plain)[name].norm()), rel=0.02)
