"""The command line: what it prints, its exit codes, and one line for whatever is wrong."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from ssmemory import cli, init, memory_function
from ssmemory.cli import main
from ssmemory.experiments.frozen_vs_learned import SIZES
from ssmemory.nn import LAYERS, S4D, Backbone, BackboneConfig, load_model, save_model

RING = ["measure", "ring", "--d-state", "8", "--seed", "0", "--lags", "12"]
TINY = [
    *("train", "--data", "digits", "--side", "4", "--n-train", "60", "--d-model", "4", "--d-state", "4"),
    *("--n-layers", "1", "--epochs", "2", "--batch-size", "30"),
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(scope="module")
def ring():
    return memory_function(init.ring(8, seed=0), 12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A saved model of two layers, three channels each with a step of its own."""
    torch.manual_seed(0)
    model = Backbone(BackboneConfig(d_model=3, d_state=6, n_layers=2, init="s4d_inv", dt_min=0.01, dt_max=0.3))
    return save_model(model, tmp_path_factory.mktemp("model"))


def table(text: str) -> dict[str, list[float]]:
    """Return the rows of the table by their label."""
    rows = {}
    for line in text.splitlines():
        if found := re.fullmatch(r" *(\d+|capacity|rank|reach [\d.]+)((?: +[\d.e+-]+)+)", line):
            rows[found[1]] = [float(word) for word in found[2].split()]
    return rows


# measuring


def test_measure_prints_the_memory_function(ring, capsys):
    assert main(RING) == 0
    out = capsys.readouterr().out
    rows = table(out)
    lags = [label for label in rows if label.isdigit()]
    assert lags == ["0", "1", "2", "5", "10", "11"]
    for lag in lags:
        assert rows[lag] == [pytest.approx(float(ring.values[int(lag)]), rel=5e-4)]
    assert rows["capacity"] == [pytest.approx(float(ring.capacity), rel=1e-9)]
    assert rows["rank"] == [8]
    for level in (0.5, 0.1, 0.01):
        assert rows[f"reach {level}"] == [int(ring.reach(level))]
    assert out.splitlines()[0].split() == ["lag", "ring"]
    assert f"ring: {ring.describe()}" in out.splitlines()


def test_measure_as_json_is_the_memory_function_to_the_bit(ring, capsys):
    assert main([*RING, "--json", "--level", "0.25"]) == 0
    record = json.loads(capsys.readouterr().out)["ring"]
    assert record["lags"] == list(range(12))
    assert record["memory"] == ring.values.tolist()
    assert record["capacity"] == float(ring.capacity)
    assert record["tail"] == float(ring.tail)
    assert record["rank"] == 8
    assert record["level"] == 0.25
    assert record["reach"] == int(ring.reach(0.25))


def test_options_of_the_initialiser_and_of_measuring(capsys):
    words = ["--dt", "0.5", "--discretization", "bilinear", "--lags", "30", "--sequence", "20", "--level", "0.2"]
    assert main(["measure", "s4d-legs", "--d-state", "6", *words]) == 0
    memory = memory_function(init.s4d_legs(6, dt=0.5, discretization="bilinear"), 30)
    assert f"s4d_legs: {memory.describe(20, 0.2)}" in capsys.readouterr().out.splitlines()


def test_merged_modes_are_told(capsys):
    assert main(["measure", "s4d-lin", "--d-state", "8", "--dt", "0.1", "--lags", "5"]) == 0
    assert re.search(r"^s4d_lin: 1 of its modes equal another .*merged", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in cli.MEASURE if name not in ("layer", "model", "fourier", "step")])
def test_every_initialiser_is_measured(name, capsys):
    words = {"--d-state": "4", "--dt": "0.1", "--seed": "1", "--length": "20", "--lag": "20"}
    with pytest.raises(SystemExit) as ending:
        main(["measure", name, "--help"])
    assert ending.value.code == 0
    options = capsys.readouterr().out
    given = [word for option, value in words.items() if f"{option} " in options for word in (option, value)]
    code = main(["measure", name, *given, "--lags", "6", "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert len(json.loads(said.out)[name.replace("-", "_")]["memory"]) == 6


@pytest.mark.parametrize("as_json", [False, True])
def test_a_picture_is_a_png(tmp_path, capsys, as_json):
    assert main([*RING, "--plot", "--out", str(tmp_path / "deep" / "out"), *(["--json"] if as_json else [])]) == 0
    path = tmp_path / "deep" / "out" / "measure.png"
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.rstrip().endswith(b"IEND\xaeB`\x82")
    said = capsys.readouterr()
    line = f"picture: {path}\n"
    if as_json:
        assert json.loads(said.out)
        assert said.err == line
    else:
        assert said.out.endswith(line)


@pytest.mark.parametrize("words", [["layer", "--layer", "s4d"], ["--layer", "s4d"], ["--layer=s4d"]], ids=" ".join)
def test_a_new_layer_is_measured(words, capsys):
    options = ["--d-model", "3", "--d-state", "6", "--dt-min", "0.1", "--seed", "5", "--lags", "9", "--json"]
    assert main(["measure", *words, *options]) == 0
    torch.manual_seed(5)
    wanted = memory_function(S4D(3, 6, dt_min=0.1).requires_grad_(False).system(), 9)
    assert json.loads(capsys.readouterr().out)["s4d"]["memory"] == wanted.values.tolist()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--layer", "s4dd"], r"layer: expected one of s4d.*, got 's4dd'; did you mean 's4d'\?"),
        (["--layer", "s4d", "--heads", "2"], "heads: expected None, as layer 's4d' takes no heads, got 2; leave it"),
        (["--layer", "s4d", "--d-state", "7"], "S4D: expected .* an even d_state .*d_state=7; d_state counts"),
        (["--layer"], "Missing value for argument '--layer'"),
    ],
    ids=" ".join,
)
def test_a_layer_that_cannot_be_made_is_one_line(words, told, capsys):
    assert main(["measure", *words]) == 2
    said = capsys.readouterr().err
    assert re.match(f"ssmemory: {told}", said)
    assert said.count("\n") == 1


def test_a_saved_model_is_measured_layer_by_layer(saved, capsys):
    assert main(["measure", "model", str(saved), "--lags", "40"]) == 0
    rows = table(capsys.readouterr().out)
    model = load_model(saved).requires_grad_(False)
    memories = [memory_function(block.layer.system(), 40) for block in model.blocks]
    for lag in (0, 5, 39):
        wanted = [float(memory.values[:, lag].median()) for memory in memories]
        assert rows[str(lag)] == pytest.approx(wanted, rel=5e-4)
    assert rows["reach 0.1"] == [float(memory.reach(0.1).median()) for memory in memories]


def test_a_saved_model_as_json_has_every_channel(saved, capsys):
    assert main(["measure", "model", str(saved), "--lags", "4", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert list(record) == ["blocks.0.layer", "blocks.1.layer"]
    assert [len(layer["memory"]) for layer in record.values()] == [3, 3]


# the other commands


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in init.INITIALISERS:
        assert name.replace("_", "-") in out
    for name in (*LAYERS, *SIZES, "mnist", "fashion-mnist", "digits", "frozen-vs-learned"):
        assert name in out


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["measure", "--help"], ["train", "--help"], ["run", "--help"]])
def test_help_is_no_error(words, capsys):
    with pytest.raises(SystemExit) as ending:
        main(words)
    assert ending.value.code in (0, None)
    said = capsys.readouterr()
    assert "usage: ssmemory" in said.out
    assert said.err == ""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    """A model trained by the command: its folder, and what was printed."""
    folder, said = tmp_path_factory.mktemp("train") / "out", io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        assert main([*TINY, "--freeze", "eigenvalues", "--out", str(folder)]) == 0
    return folder, said.getvalue()


def findings(said: str) -> list[str]:
    """Return what follows the progress bar."""
    lines = [line.strip() for line in said.splitlines()]
    (start,) = [i for i, line in enumerate(lines) if line.startswith("validation accuracy ")]
    return lines[start:]


def test_train_writes_a_model_and_says_how_it_went(trained):
    folder, said = trained
    accuracy, layer, where = findings(said)
    assert re.fullmatch(r"validation accuracy \d+\.\d\d % after 2 epochs", accuracy)
    reach, rank = r"reads back (\d+) → \1 of 16 steps at level 0\.1", r"capacity (\d+) → \2"
    assert re.fullmatch(rf"blocks\.0\.layer: {reach}, {rank}", layer), "frozen: the same before and after"
    assert where == f"model, metrics.csv and memory.json: {folder}"
    assert {"model.safetensors", "model.json", "metrics.csv", "memory.json", "train.json", "last.ckpt"} == {
        path.name for path in folder.iterdir()
    }


def test_train_again_trains_no_further(trained, capsys):
    folder, said = trained
    before = (folder / "model.safetensors").read_bytes()
    assert main([*TINY, "--freeze", "eigenvalues", "--out", str(folder)]) == 0
    assert findings(capsys.readouterr().out) == findings(said)
    assert (folder / "model.safetensors").read_bytes() == before


def test_what_was_trained_can_be_measured(trained, capsys):
    assert main(["measure", "model", str(trained[0]), "--lags", "16"]) == 0
    assert "blocks.0.layer" in capsys.readouterr().out


def test_train_with_other_settings_is_refused(trained, capsys):
    assert main([*TINY, "--freeze", "recurrence", "--out", str(trained[0])]) == 2
    assert "got freeze=eigenvalues there, recurrence now;" in capsys.readouterr().err


def test_as_a_module(capsys):
    """Another process prints the same."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ssmemory.cli", *RING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert main(RING) == 0
    assert (done.returncode, done.stdout, done.stderr) == (0, capsys.readouterr().out, "")


# wrong input


class Row(NamedTuple):
    name: str
    words: str
    told: str


ROWS = [
    Row("no command", "", "Expected one of .*measure, compare, advise, design, probe, train"),
    Row("command misspelt", "lst", r"expected one of measure, compare, .*, got 'lst'; did you mean 'list'\?"),
    Row("command unknown", "xyzzy", "expected one of measure, compare, .*, report, data, got 'xyzzy'; choose"),
    Row("nothing to measure", "measure", "Expected one of .*ring.*see ssmemory measure --help"),
    Row("initialiser misspelt", "measure rnig", r"got 'rnig'; did you mean 'ring'\?"),
    Row("initialiser as in Python", "measure s4d_lin --d-state 4 --dt 1", r"got 's4d_lin'; did you mean 's4d-lin'\?"),
    Row("option misspelt", "measure ring --d-state 4 --sed 0", "--sed.*see ssmemory measure ring --help"),
    Row("option missing", "measure ring --d-state 4", "--seed.*see ssmemory measure ring --help"),
    Row("no number", "measure ring --d-state x --seed 0", "--d-state.*see ssmemory measure ring --help"),
    Row("odd state", "measure ring --d-state 3 --seed 0", "d_state: expected an even number, got 3"),
    Row("step NaN", "measure s4d-lin --d-state 4 --dt nan", "dt: expected finite numbers"),
    Row("unstable", "measure fourier --d-state 4 --length 10", r"every \|λ\| < 1"),
    Row("no lags", "measure ring --d-state 4 --seed 0 --lags 0", "lags: expected n ≥ 1"),
    Row("level in JSON", "measure ring --d-state 4 --seed 0 --level 3 --json", r"level: expected a number in \(0, 1\]"),
    Row("level", "measure ring --d-state 4 --seed 0 --level 3", "level: expected"),
    Row("no such model", "measure model nowhere", "nowhere: expected a folder with model.json"),
    Row("a file in the way", "measure ring --d-state 4 --seed 0 --plot --out file", "file"),
    Row("experiment misspelt", "run frozen-v-learned", "did you mean 'frozen-vs-learned'"),
    Row("no experiment", "run", "see ssmemory run --help"),
    Row("size misspelt", "run frozen-vs-learned --size smok", "quick, cpu, paper, got 'smok'; did you mean 'smoke'"),
    Row("a file for a folder", "run frozen-vs-learned --size smoke --out file", "file"),
    Row("no results", "report nowhere", "nowhere: expected a results.json, got no such file"),
    Row("data misspelt", "data fetch mnis", r"did you mean 'mnist'\?"),
    Row("data not fetched", "data fetch digits", "bundled with scikit-learn"),
    Row("no tool", "data fetch mnist --cache cache", "expected the command 'npm'"),
    Row("action unknown", "data get mnist", "see ssmemory data --help"),
    Row("data set misspelt", "train --data digit", r"did you mean 'digits'\?"),
    Row("freeze misspelt", "train --freeze eigenvalue", r"did you mean 'eigenvalues'\?"),
    Row("init misspelt", "train --init s4d_line", r"did you mean 's4d_lin'\?"),
    Row("init of another form", "train --init ring", r"of the form f\(d_state, dt\), got 'ring'"),
    Row("layer misspelt", "train --layer s4dd", r"did you mean 's4d'\?"),
    Row("pooling unknown", "train --pooling none", "see ssmemory train --help"),
    Row("no epochs", "train --epochs 0", "expected ≥ 1"),
    Row("side no divisor", "train --side 3", "divisor of the image side 8, got 3; choose one of 1, 2, 4, 8"),
    Row("too many images", "train --n-train 99999", "n_train: expected 1 … 1198, got 99999"),
    Row("no images", "train --n-train 0", "n_train: expected 1 … 1198, got 0"),
    Row("rate NaN", "train --lr nan", "nan"),
    Row("a file for the run", "train --out file", "file"),
    Row("a word too many", "list more", "see ssmemory list --help"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_wrong_input_is_one_line_and_exit_code_2(row, monkeypatch, tmp_path, capsys):
    Path("file").write_text("in the way")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(row.words.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" or "--plot" in row.words  # the table comes before the picture
    lines = [line for line in said.err.splitlines() if not line.startswith("mnist: fetching ")]
    assert len(lines) == 1, said.err
    assert re.match(r"ssmemory: \S.*; \S", lines[0])
    assert re.search(row.told, lines[0]), lines[0]
    assert Path("file").read_text() == "in the way"


@pytest.mark.parametrize("words", [row.words for row in ROWS if row.told.startswith("--")])
def test_a_complaint_does_not_depend_on_the_terminal(words):
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        assert main(words.split()) == 2
    assert re.match(r"ssmemory: .*--\w+.*; see ssmemory", said.getvalue())


# interruption


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_is_130_and_one_line(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "list", stop)
    assert main(["list"]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"ssmemory: interrupted; run the same command again [^\n]+\n", said.err)


def test_an_interruption_while_training_is_130(monkeypatch, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Backbone, "forward", stop)
    try:
        assert main([*TINY, "--out", str(tmp_path / "out")]) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
