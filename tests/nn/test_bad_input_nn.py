"""Wrong input to layers and models, in one line each.

To add a row: a name, a call, and what the line must say after "expected", after "got" and after the semicolon, as
regular expressions. Every row is an `InputError`; broken folders are in test_storage.py.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory import LinearSystem, init
from ssmemory.errors import InputError
from ssmemory.nn import S4D, Backbone, BackboneConfig, param_groups

CONFIG = BackboneConfig(d_input=2, d_model=3, d_state=4)
LAYER, MODEL, SYMBOLS = S4D(3, 4), Backbone(CONFIG), Backbone(dataclasses.replace(CONFIG, embed=True))
MEAN = Backbone(dataclasses.replace(CONFIG, pooling="mean"))
U, U_T, STATE = torch.ones(2, 5, 3), torch.ones(2, 3), LAYER.initial_state(2)
X, X_T, STATES = torch.ones(2, 5, 2), torch.ones(2, 2), MODEL.initial_state(2)
INF, NAN = float("inf"), float("nan")


class Row(NamedTuple):
    name: str
    call: Callable[[], object]
    expected: str
    got: str
    fix: str


def run(lengths: object) -> object:
    return LAYER(U, None, torch.tensor(lengths))


def config(**options: object) -> BackboneConfig:
    return dataclasses.replace(CONFIG, **options)


def symbols(*values: int, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor([values], dtype=dtype)


PAIRS = "both halves of every conjugate pair"
LENGTHS = r"2 whole numbers in 1 … 5"
FITS = "see ssmemory.init"
BAD_INPUT = [
    # making a layer
    Row("odd d_state", lambda: S4D(3, 7), "even d_state", "d_state=7", PAIRS),
    Row("no state", lambda: S4D(3, 0), "d_state ≥ 2", "d_state=0", PAIRS),
    Row("negative d_state", lambda: S4D(3, -4), "d_state ≥ 2", "d_state=-4", PAIRS),
    Row("no channel", lambda: S4D(0, 4), "d_model ≥ 1", "d_model=0", PAIRS),
    Row("dt swapped", lambda: S4D(3, 4, dt_min=1, dt_max=0.1), "dt_min ≤ dt_max", r"1, 0\.1", "swap"),
    Row("dt 0", lambda: S4D(3, 4, dt_min=0.0), "0 < dt_min", r"0\.0, 0\.1", "mend"),
    Row("dt below 0", lambda: S4D(3, 4, dt_min=-1.0, dt_max=-0.1), "0 < dt_min", r"-1\.0", "mend"),
    Row("dt NaN", lambda: S4D(3, 4, dt_min=NAN), "0 < dt_min", "nan", "mend"),
    Row("dt infinite", lambda: S4D(3, 4, dt_max=INF), "dt_max", "inf", "mend"),
    Row(
        "discretization misspelt",
        lambda: S4D(3, 4, discretization="bilinaer"),
        "one of zoh, bilinear", "'bilinaer'", r"did you mean 'bilinear'\?",
    ),
    # its initialiser
    Row("init misspelt", lambda: S4D(3, 4, init="s4d_line"), "one of s4d_lin, ", "'s4d_line'", r"mean 's4d_lin'\?"),
    Row("init in capitals", lambda: S4D(3, 4, init="S4D-LegS"), "s4d_legs", "'S4D-LegS'", "choose|did you mean"),
    Row("init unknown", lambda: S4D(3, 4, init="xyz"), "one of s4d_lin, ", "'xyz'", "choose one of these"),
    Row("init without dt", lambda: S4D(3, 4, init="ring"), r"f\(d_state, dt\)", "'ring'", r"=ssmemory\.init\.ring\("),
    Row("init without dt, step", lambda: S4D(3, 4, init="step"), "dt", "'step'", r"=ssmemory\.init\.step\("),
    Row("init of real modes", lambda: S4D(3, 4, init="s4d_real"), "conj_sym", r"LinearSystem\(diagonal, ", FITS),
    Row("init dense", lambda: S4D(3, 4, init="hippo_legs"), "diagonal", r"LinearSystem\(dense", FITS),
    Row("init of another size", lambda: S4D(3, 4, init=init.ring(6, seed=0)), "d_state 4", "d_state=6", FITS),
    Row(
        "init of another number of channels",
        lambda: S4D(3, 4, init=init.ring(4, seed=0, channels=2)),
        r"\(3,\)", r"batch=\(2,\)", FITS,
    ),
    Row(
        "init of too many batch dimensions",
        lambda: S4D(3, 4, init=LinearSystem.from_eigenvalues(torch.full((2, 3, 2), 0.5), conj_sym=True)),
        r"\(3,\)", r"batch=\(2, 3\)", FITS,
    ),
    Row(
        "init on the circle",
        lambda: S4D(3, 4, init=init.fourier(4, 9), decay="exp"),
        r"\|λ\| < 1", r"= 1;", "reaches neither",
    ),
    Row(
        "init outside the circle",
        lambda: S4D(3, 4, init=LinearSystem.from_eigenvalues([0.5, 1.5], conj_sym=True)),
        r"\|λ\| ≤ 1", r"= 1\.5;", "holds no others",
    ),
    Row(
        "init at 0",
        lambda: S4D(3, 4, init=LinearSystem.from_eigenvalues([0.5, 0], conj_sym=True)),
        r"0 < \|λ\|", "λ", "holds no others",
    ),
    Row("init a number", lambda: S4D(3, 4, init=3), "conj_sym", "got 3;", FITS),
    Row("init a function of nothing", lambda: S4D(3, 4, init=lambda d_state, dt: None), "conj_sym", "None", FITS),
    # what a layer is given
    Row("wrong width", lambda: LAYER(torch.ones(2, 5, 4)), "d_model = 3", r"\(2, 5, 4\)", "channels last"),
    Row("channels in the middle", lambda: LAYER(torch.ones(2, 3, 5)), "d_model = 3", r"\(2, 3, 5\)", "channels last"),
    Row("no batch", lambda: LAYER(torch.ones(5, 3)), r"\(batch, length, d_model\)", r"\(5, 3\)", "channels last"),
    Row("empty sequence", lambda: LAYER(torch.ones(2, 0, 3)), "nothing empty", r"\(2, 0, 3\)", "channels last"),
    Row("empty batch", lambda: LAYER(torch.ones(0, 5, 3)), "nothing empty", r"\(0, 5, 3\)", "channels last"),
    Row("integers", lambda: LAYER(U.long()), "real floating-point", "int64", "embed or cast"),
    Row("yes or no", lambda: LAYER(U.bool()), "real floating-point", "bool", "embed or cast"),
    Row("complex", lambda: LAYER(U + 0j), "real floating-point", "complex64", "cast"),
    Row("a step with a length", lambda: LAYER.step(U, STATE), r"\(batch, d_model\)", r"\(2, 5, 3\)", "channels last"),
    Row("a step of wrong width", lambda: LAYER.step(torch.ones(2, 4), STATE), "d_model = 3", r"\(2, 4\)", "channels"),
    Row("a step of integers", lambda: LAYER.step(U_T.long(), STATE), "floating-point", "int64", "embed or cast"),
    Row("a step of complex numbers", lambda: LAYER.step(U_T + 0j, STATE), "floating-point", "complex64", "cast"),
    Row("an empty step", lambda: LAYER.step(torch.ones(0, 3), STATE), "nothing empty", r"\(0, 3\)", "channels last"),
    # its state
    Row("state of other modes", lambda: LAYER(U, STATE[..., :1]), r"\(2, 3, 2\)", r"\(2, 3, 1\) comp", "this batch"),
    Row("state of other channels", lambda: LAYER(U, STATE[:, :2]), r"\(2, 3, 2\)", r"\(2, 2, 2\)", "this layer"),
    Row("state of another batch", lambda: LAYER(U, STATE[:1]), r"\(2, 3, 2\)", r"\(1, 3, 2\)", "for this batch"),
    Row("state real", lambda: LAYER(U, STATE.real), "a complex", "float32", "this layer returned"),
    Row("state flat", lambda: LAYER(U, STATE[0]), r"\(2, 3, 2\)", r"\(3, 2\)", "this layer returned"),
    Row("state of a step", lambda: LAYER.step(U_T, STATE[:1]), r"\(2, 3, 2\)", r"\(1, 3, 2\)", "for this batch"),
    # lengths
    Row("length 0", lambda: run([5, 0]), LENGTHS, r"\[5, 0\]", "real steps"),
    Row("length below 0", lambda: run([5, -1]), LENGTHS, r"\[5, -1\]", "real steps"),
    Row("length too long", lambda: run([6, 5]), LENGTHS, r"\[6, 5\]", "real steps"),
    Row("length fractional", lambda: run([2.5, 5]), LENGTHS, r"\[2\.5, 5\.0\]", "real steps"),
    Row("length a whole float", lambda: run([2.0, 5.0]), LENGTHS, r"\[2\.0, 5\.0\]", "real steps"),
    Row("length complex", lambda: run([2j, 5]), LENGTHS, r"2j", "real steps"),
    Row("lengths of another batch", lambda: run([5, 5, 5]), LENGTHS, r"\[5, 5, 5\]", "each sequence"),
    Row("one length", lambda: run(5), LENGTHS, "got 5;", "each sequence"),
    Row("lengths as column", lambda: run([[5], [5]]), LENGTHS, r"\[\[5\], \[5\]\]", "each sequence"),
    Row("lengths of a model", lambda: MODEL(X, lengths=torch.tensor([5, 6])), LENGTHS, r"\[5, 6\]", "each sequence"),
    Row("lengths of a mean", lambda: MEAN(X, lengths=torch.tensor([0, 5])), LENGTHS, r"\[0, 5\]", "each sequence"),
    Row("fractional lengths, mean", lambda: MEAN(X, lengths=torch.tensor([0.5, 5])), LENGTHS, r"0\.5", "real steps"),
    Row("lengths of too many", lambda: MEAN(X, lengths=torch.tensor([5])), LENGTHS, r"\[5\]", "each sequence"),
    # configuring a model
    Row("unknown layer", lambda: config(layer="s4e"), "one of s4d, s4, ", "'s4e'", r"did you mean 's4'\?"),
    Row("unknown pooling", lambda: config(pooling="maen"), "one of mean, last, none", "'maen'", r"mean 'mean'\?"),
    Row("no pooling", lambda: config(pooling=None), "one of mean, last, none", "None", "choose|mean"),
    Row("dropout 1", lambda: config(dropout=1.0), r"dropout in \[0, 1\)", r"dropout=1\.0", "out of range"),
    Row("dropout below 0", lambda: config(dropout=-0.1), r"dropout in \[0, 1\)", r"dropout=-0\.1", "out of range"),
    Row("dropout NaN", lambda: config(dropout=NAN), r"dropout in \[0, 1\)", "dropout=nan", "out of range"),
    Row("no block", lambda: config(n_layers=0), "positive sizes", "n_layers=0", "out of range"),
    Row("no input", lambda: config(d_input=0), "positive sizes", "d_input=0", "out of range"),
    Row("no output", lambda: config(d_output=-1), "positive sizes", "d_output=-1", "out of range"),
    Row("no width", lambda: Backbone(config(d_model=0)), "positive sizes|d_model", "d_model=0", "."),
    Row("negative width", lambda: Backbone(config(d_model=-3)), "positive sizes|d_model", "d_model=-3", "."),
    Row("odd d_state in a model", lambda: Backbone(config(d_state=7)), "even d_state", "d_state=7", PAIRS),
    Row("init misspelt in a model", lambda: Backbone(config(init="s4d_leg")), "one of", "'s4d_leg'", r"'s4d_legs'\?"),
    Row("discretization in a model", lambda: Backbone(config(discretization="x")), "one of zoh", "'x'", "choose"),
    # what a model is given
    Row("model, wrong width", lambda: MODEL(U), r"\(batch, length, 2\)", r"\(2, 5, 3\)", "channels last"),
    Row("model, no batch", lambda: MODEL(X[0]), r"\(batch, length, 2\)", r"\(5, 2\)", "channels last"),
    Row("model, integers", lambda: MODEL(X.long()), "floats", "int64", "channels last"),
    Row("model, complex", lambda: MODEL(X + 0j), "floats", "complex64", "channels last"),
    Row("model, empty", lambda: MODEL(torch.ones(2, 0, 2)), "empty", r"\(2, 0, \d\)", "channels last"),
    Row("model, empty batch", lambda: MODEL(torch.ones(0, 5, 2)), "empty", r"\(0, 5, \d\)", "channels last"),
    Row("model, a step of wrong width", lambda: MODEL.step(U_T, STATES), r"2", r"\(2, 3\)", "channels last"),
    Row("model, a step of integers", lambda: MODEL.step(X_T.long(), STATES), "floats", "int64", "channels last"),
    Row("model, a step with a length", lambda: MODEL.step(X, STATES), r"\(batch, 2\)", r"\(2, 5, 2\)", "channels last"),
    Row("model, state of another batch", lambda: MODEL(X[:1], STATES), r"\(1, 3, 2\)", r"\(2, 3, 2\)", "this batch"),
    Row("model, too few states", lambda: MODEL(X, STATES[:1]), "2, one a block", "got 1;", "this backbone returned"),
    Row("model, too many states", lambda: MODEL(X, STATES * 2), "2, one a block", "got 4;", "this backbone returned"),
    Row("model, no states", lambda: MODEL(X, []), "2, one a block", "got 0;", "this backbone returned"),
    Row("model, states of a step", lambda: MODEL.step(X_T, STATES[:1]), "2, one a block", "got 1;", "this backbone"),
    Row("model, a step of a mean", lambda: MEAN.step(X_T, STATES), "'last' or 'none'", "'mean'", "whole sequence"),
    # symbols
    Row("symbol too high", lambda: SYMBOLS(symbols(0, 2)), "symbols 0 … 1", "0 … 2", "integer symbols"),
    Row("symbol below 0", lambda: SYMBOLS(symbols(0, -1)), "symbols 0 … 1", "-1 … 0", "integer symbols"),
    Row("symbols as floats", lambda: SYMBOLS(torch.ones(2, 5)), "symbols 0 … 1", "float32", "integer symbols"),
    Row("symbols as complex numbers", lambda: SYMBOLS(torch.ones(2, 5) + 0j), "symbols", "complex64", "integer"),
    Row("symbols as yes or no", lambda: SYMBOLS(torch.ones(2, 5).bool()), "symbols", "bool", "integer symbols"),
    Row("symbols in bytes", lambda: SYMBOLS(symbols(0, 1, dtype=torch.uint8)), "symbols", "uint8", "integer symbols"),
    Row("symbols in channels", lambda: SYMBOLS(symbols(0, 1).unsqueeze(-1)), "symbols", r"\(1, 2, 1\)", "integer"),
    Row("no symbol", lambda: SYMBOLS(symbols()), "symbols 0 … 1", r"\(1, 0\)", "integer symbols"),
    Row("a step of a symbol too high", lambda: SYMBOLS.step(symbols(0, 2)[0], STATES), "0 … 1", "0 … 2", "integer"),
    Row("a step of floats", lambda: SYMBOLS.step(torch.ones(2), STATES), "symbols", "float32", "integer symbols"),
    # groups
    Row("negative rate", lambda: param_groups(LAYER, lr=-1e-3), "rates ≥ 0", r"lr=-0\.001", "such as"),
    Row("rate NaN", lambda: param_groups(LAYER, lr=NAN), "rates ≥ 0", "lr=nan", "such as"),
    Row("nothing to train", lambda: param_groups(nn.ReLU(), lr=1e-3), "one parameter to train", "none", "unfreeze"),
]  # fmt: skip


@pytest.mark.parametrize("row", BAD_INPUT, ids=[row.name for row in BAD_INPUT])
def test_message(row: Row):
    with pytest.raises(InputError) as caught:
        row.call()
    assert_one_line(str(caught.value), row.expected, row.got, row.fix)


def test_names_of_rows_are_unique():
    assert len({row.name for row in BAD_INPUT}) == len(BAD_INPUT)
