"""Wrong input to the fit floor, in the table style of tests/test_bad_input.py; and to the floors above it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tests.one_line import assert_one_line
from torch import nn

from ssmemory.errors import DataError, InputError, SSMemoryError
from ssmemory.experiments import experiment, read_results
from ssmemory.experiments.frozen_vs_learned import SCHEMA, Config
from ssmemory.files import claim_folder
from ssmemory.fit import Frozen, TrainConfig, freeze, train
from ssmemory.nn import S4D, Backbone, BackboneConfig

NAN, INF = float("nan"), float("inf")
U, Y = torch.zeros(6, 5, 1), torch.tensor([0, 1, 0, 1, 0, 1])
GOOD = (U, Y)


def fit(training: tuple = GOOD, validation: tuple = GOOD, config: dict | None = None, **model: object):
    """Return a call that trains in a folder made for it."""
    shape = BackboneConfig(**({"d_model": 4, "d_state": 4, "n_layers": 1, "d_output": 2} | model))

    def call(folder: Path) -> object:
        how = TrainConfig(**(config or {}))
        return train(Backbone(shape), training, validation, how, folder=folder, progress=False)

    return call


def at(values: torch.Tensor, value: float) -> torch.Tensor:
    """Return a copy with one element put wrong."""
    values = values.clone().to(torch.float32)
    values.view(-1)[2] = value
    return values


def moved(folder: Path) -> None:
    layer = S4D(2, 4)
    Frozen("eigenvalues", {"log_dt": layer.log_dt.detach() + 1}).check(layer)


def written(text: str, call: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a call that finds ``text`` in results.json and train.json."""

    def wrapped(folder: Path) -> object:
        for name in ("results.json", "train.json"):
            (folder / name).write_text(text)
        return call(folder)

    return wrapped


class Row(NamedTuple):
    name: str
    call: Callable[[Path], object]
    error: type[SSMemoryError]
    expected: str
    got: str
    fix: str


ROWS = [
    # freezing
    Row(
        "mode misspelt",
        lambda _: freeze(S4D(2, 4), "recurrent"),
        InputError, "one of none, e", "'recurrent'", "'recurrence'",
    ),
    Row("mode unknown", lambda _: freeze(S4D(2, 4), "xyz"), InputError, "one of none", "'xyz'", "choose one"),
    Row(
        "nothing recurrent",
        lambda _: freeze(nn.Linear(2, 2), "eigenvalues"),
        InputError, "to freeze", "none", "layers",
    ),
    Row(
        "no linear map",
        lambda _: freeze(S4D(2, 4), "all-but-readout"),
        InputError, "nn.Linear", "none", "another mode",
    ),
    Row("moved", moved, SSMemoryError, "bit-identical", "1 changed, first log_dt", "report it"),
    # how to train
    Row("no epochs", lambda _: TrainConfig(epochs=0), InputError, "≥ 1, ≥ 1", "got 0, 64", "out of range"),
    Row("no batch", lambda _: TrainConfig(batch_size=0), InputError, "≥ 1, ≥ 1", "got 10, 0", "out of range"),
    Row("warmup 1", lambda _: TrainConfig(warmup=1.0), InputError, r"in \[0, 1\)", "1.0, 1.0", "out of range"),
    Row("warmup below 0", lambda _: TrainConfig(warmup=-0.1), InputError, r"in \[0, 1\)", "-0.1", "out of range"),
    Row("no clip", lambda _: TrainConfig(gradient_clip=0), InputError, "> 0", "0.1, 0;", "out of range"),
    Row("rate below 0", fit(config={"lr": -1.0}), InputError, "rates ≥ 0", "lr=-1.0", "such as 0.001"),
    Row("decay below 0", fit(config={"weight_decay": -1.0}), InputError, "rates ≥ 0", "decay=-1.0", "such as"),
    Row(
        "rate NaN",
        fit(config={"lr": NAN}),
        InputError, "rates|finite", "nan", "",
    ),
    Row(
        "task misspelt",
        lambda _: TrainConfig(task="regresion"),
        InputError, "classification, regression", "'regresion'", "'regression'",
    ),
    Row(
        "freeze misspelt in the configuration",
        lambda _: TrainConfig(freeze="eigenvalue"),
        InputError, "one of none", "'eigenvalue'", "'eigenvalues'",
    ),
    # data
    Row("NaN", fit((at(U, NAN), Y)), InputError, "finite inputs", "1 NaN or infinite", "fill or drop"),
    Row("infinite", fit(validation=(at(U, -INF), Y)), InputError, "finite inputs", "1 NaN or inf", "fill or drop"),
    Row("too few targets", fit((U, Y[:5])), InputError, "as many targets", "6 inputs and 5 targets", "cut them"),
    Row("too many targets", fit(validation=(U[:2], Y)), InputError, "as many", "2 inputs and 6 targets", "cut them"),
    Row("no validation", fit(validation=(U[:0], Y[:0])), InputError, "at least one", "0 inputs and 0 targets", "cut"),
    Row("too wide", fit((U.expand(6, 5, 2), Y)), InputError, r"\(batch, length, 1\)", r"5, 2\)", "channels last"),
    Row("no channels", fit((U[..., 0], Y)), InputError, r"\(batch, length, 1\)", r"\(6, 5\)", "channels last"),
    Row("integers", fit((U.long(), Y)), InputError, "floats", "int64", "channels last"),
    Row(
        "symbols unknown",
        fit((U[..., 0].long() + 9, Y), embed=True, d_input=3),
        InputError, "0 … 2", "int64", "integer",
    ),
    Row("NaN target", fit((U, at(Y, NAN)[:, None]), d_output=1, config={"task": "regression"}),
        InputError, "finite targets", "1 NaN", ""),
    Row("class too large", fit((U, Y + 1)), InputError, r"0 … 1", "2", ""),
    Row("classes as floats", fit((U, Y.float())), InputError, "whole|integer", "float32", ""),
    Row("flat numbers for a column", fit((U, Y.float()), d_output=1, config={"task": "regression"}),
        InputError, r"\(n, 1\)", r"\(6,\)", ""),
    Row("double precision", fit((U.double(), Y)), InputError, "float32", "float64", ""),
    Row("no steps", fit((U[:, :0], Y)), InputError, "step|length", "0", ""),
    Row(
        "no model of ours",
        lambda f: train(nn.Linear(1, 2), GOOD, GOOD, folder=f),
        InputError, "Backbone", "Linear", "",
    ),
    # folders
    Row(
        "another run there",
        lambda f: [fit(config={"epochs": n})(f) for n in (1, 2)],
        InputError, "begun there", "epochs=1 there, 2 now", "choose another",
    ),
    Row("claim damaged", written("{", fit()), DataError, "JSON", "damaged", "delete its folder"),
    Row(
        "claim of something else",
        written("[]", fit()),
        InputError, "begun there", "epochs=None there, 10 now", "choose",
    ),
    Row(
        "other record",
        lambda f: [claim_folder(f, {"a": n}, "x") for n in (1, 2)],
        InputError, "begun", "a=1 th", "del",
    ),
    # experiments
    Row(
        "experiment misspelt",
        lambda _: experiment("frozen"),
        InputError, "frozen-vs-learned", "'frozen'", "'frozen-vs",
    ),
    Row(
        "one start",
        lambda _: Config(dts=(0.1, 0.1)),
        InputError, "two different dts", r"dts=\(0\.1, 0\.1\)", "add some",
    ),
    Row("no seed", lambda _: Config(seeds=()), InputError, "one seed", r"seeds=\(\)", "add some"),
    Row("no results", lambda f: read_results(f, [SCHEMA]), DataError, "results.json", "no such file", "ssmemory run"),
    Row(
        "half of the results",
        written("{", lambda f: read_results(f, [SCHEMA])),
        DataError, "JSON", "damaged", "again",
    ),
    Row(
        "results of others",
        written('{"schema": "x/1"}', lambda f: read_results(f, [SCHEMA])),
        DataError, SCHEMA, "x/1", "name",
    ),
    Row("a list for results", written("[]", lambda f: read_results(f, [SCHEMA])), DataError, SCHEMA, "None", "name"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_message(row: Row, tmp_path: Path):
    with pytest.raises(SSMemoryError) as caught:
        row.call(tmp_path)
    assert type(caught.value) is row.error
    assert_one_line(str(caught.value), row.expected, row.got, row.fix)


def test_names_of_rows_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_wrong_data_leave_the_folder_free(tmp_path):
    with pytest.raises(InputError):
        fit((U, Y[:5]))(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_misspelt_mode_leaves_the_folder_free(tmp_path):
    with pytest.raises(InputError):
        fit(config={"freeze": "eigenvalue"})(tmp_path)
    fit(config={"freeze": "eigenvalues", "epochs": 1})(tmp_path)
