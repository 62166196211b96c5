"""A run that was cut off ends as if it had not been, and what cannot be taken up is refused in one line."""

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ssmemory.errors import DataError, InputError
from ssmemory.fit import TrainResult

EPOCHS, STEPS = 3, 3  # steps of an epoch: 60 samples in batches of 20


class Cut(BaseException):
    """Stands for whatever ends a process."""


def cut_after(model: torch.nn.Module, steps: int, error: type[BaseException] = Cut) -> None:
    """Let the training step after ``steps`` others raise; validation does not count."""
    seen = []

    def count(module: torch.nn.Module, _: object) -> None:
        if module.training:
            seen.append(1)
            if len(seen) > steps:
                raise error

    model.register_forward_pre_hook(count)


def metrics(result: TrainResult) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.rows]


def assert_same_end(result: TrainResult, whole: TrainResult) -> None:
    assert metrics(result) == metrics(whole)
    assert (result.before, result.after) == (whole.before, whole.after)
    for name in ("model.safetensors", "memory.json", "model.json", "train.json"):
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(make_model, fit, tmp_path_factory):
    """Uninterrupted runs, by dropout and mode, each trained once."""
    runs: dict[tuple[float, str], TrainResult] = {}

    def run(dropout: float, freeze: str) -> TrainResult:
        if (dropout, freeze) not in runs:
            folder = tmp_path_factory.mktemp("whole")
            runs[dropout, freeze] = fit(make_model(dropout=dropout), folder, epochs=EPOCHS, freeze=freeze)
        return runs[dropout, freeze]

    return run


@pytest.mark.parametrize("freeze", ["none", "eigenvalues"])
@pytest.mark.parametrize(
    ("dropout", "steps"),
    [
        (0.0, 1),
        (0.0, STEPS + 1),
        (0.0, 2 * STEPS + 2),
        (0.3, 1),
        pytest.param(0.3, STEPS + 1),
        pytest.param(0.3, 2 * STEPS + 2),
    ],
)
def test_interrupted_and_resumed(make_model, fit, whole, tmp_path, dropout, freeze, steps):
    model = make_model(dropout=dropout)
    cut_after(model, steps)
    with pytest.raises(Cut):
        fit(model, tmp_path, epochs=EPOCHS, freeze=freeze)
    assert (tmp_path / "last.ckpt").is_file() == (steps >= STEPS)
    assert not (tmp_path / "model.safetensors").exists()
    torch.manual_seed(999)  # another process begins with another generator
    result = fit(make_model(dropout=dropout), tmp_path, epochs=EPOCHS, freeze=freeze)
    assert_same_end(result, whole(dropout, freeze))


def test_cut_off_again_and_again(make_model, fit, whole, tmp_path):
    for _ in range(EPOCHS - 1):
        model = make_model()
        cut_after(model, STEPS + 1)
        with pytest.raises(Cut):
            fit(model, tmp_path, epochs=EPOCHS)
    assert_same_end(fit(make_model(), tmp_path, epochs=EPOCHS), whole(0.0, "none"))


CHILD = """
import sys, time, torch
torch.set_num_threads(1)
from ssmemory.fit import TrainConfig, train
from ssmemory.nn import Backbone, BackboneConfig
saved = torch.load(sys.argv[1], weights_only=True)
torch.manual_seed(0)
model = Backbone(BackboneConfig(**saved["model"]))
model.register_forward_pre_hook(lambda *_: time.sleep(0.05))
train(model, saved["training"], saved["validation"], TrainConfig(**saved["train"]), folder=sys.argv[2], progress=False)
"""


def test_killed_and_resumed(make_model, fit, spikes, tmp_path):
    """SIGKILL after the second checkpoint, in another process; here it is taken up."""
    epochs, dropout = 5, 0.3
    whole = fit(make_model(dropout=dropout), tmp_path / "whole", epochs=epochs)
    record = json.loads((tmp_path / "whole" / "train.json").read_text())
    saved = record | {"training": spikes(60, 1), "validation": spikes(20, 2)}
    torch.save(saved, tmp_path / "saved.pt")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", CHILD, str(tmp_path / "saved.pt"), str(folder)]
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as child:
        seen, deadline = set(), time.monotonic() + 120
        while len(seen) < 2 and child.poll() is None and time.monotonic() < deadline:
            if (folder / "last.ckpt").is_file():
                seen.add((folder / "last.ckpt").stat().st_mtime_ns)
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert len(lines) in (4, 5)  # head, before, two epochs; a third if killed between the table and its checkpoint
    assert not (folder / "model.safetensors").exists()
    assert_same_end(fit(make_model(dropout=dropout), folder, epochs=epochs), whole)


def test_a_finished_run_is_not_trained_further(make_model, fit, whole):
    done = whole(0.3, "eigenvalues")
    before = contents(done.folder)
    model = make_model(dropout=0.3)
    cut_after(model, 0)  # any step would raise
    again = fit(model, done.folder, epochs=EPOCHS, freeze="eigenvalues")
    assert_same_end(again, done)
    assert again.rows == done.rows  # its seconds too: they were not measured anew
    assert {name: value for name, value in contents(done.folder).items() if name != "last.ckpt"} == {
        name: value for name, value in before.items() if name != "last.ckpt"
    }


@pytest.mark.parametrize(
    ("changes", "model", "told"),
    [
        ({"lr": 0.5}, {}, r"lr=0\.01 there, 0\.5 now"),
        ({"epochs": 9}, {}, "epochs=3 there, 9 now"),
        ({"freeze": "recurrence"}, {}, "freeze=none there, recurrence now"),
        ({"seed": 7, "batch_size": 30}, {}, "batch_size=20 there, 30 now; seed=0 there, 7 now"),
        ({}, {"d_state": 4}, "d_state=8 there, 4 now"),
    ],
)
def test_another_configuration_is_refused(make_model, fit, whole, changes, model, told):
    folder = whole(0.0, "none").folder
    before = contents(folder)
    with pytest.raises(InputError, match=told) as caught:
        fit(make_model(**model), folder, **({"epochs": EPOCHS} | changes))
    assert re.fullmatch(r"\S+: expected the work begun there, got [^\n]+; choose another[^\n]+", str(caught.value))
    assert contents(folder) == before


def test_other_sizes_of_data_are_refused(make_model, fit, spikes, whole):
    with pytest.raises(InputError, match=r"samples=\[60, 20\] there, \[50, 20\] now"):
        fit(make_model(), whole(0.0, "none").folder, data=(spikes(50, 1), spikes(20, 2)), epochs=EPOCHS)


def test_other_data_of_the_same_size_are_refused(make_model, fit, spikes, begun):
    with pytest.raises(InputError):
        fit(make_model(), begun, data=(spikes(60, 5), spikes(20, 2)), epochs=EPOCHS)


def test_other_initial_values_are_refused(make_model, fit, begun):
    with pytest.raises(InputError):
        fit(make_model(seed=1), begun, epochs=EPOCHS)


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.mark,)


@pytest.fixture
def begun(make_model, fit, tmp_path) -> Path:
    """The folder of a run cut off in its second epoch."""
    model = make_model()
    cut_after(model, STEPS + 1)
    with pytest.raises(Cut):
        fit(model, tmp_path / "begun", epochs=EPOCHS)
    return tmp_path / "begun"


def damage(kind: str, path: Path, mark: Path) -> None:
    good = path.read_bytes()
    if kind == "evil archive":
        torch.save(torch.load(path, weights_only=True) | {"more": Evil(mark)}, path)
    else:
        path.write_bytes(
            {
                "half": good[: len(good) // 2],
                "without its end": good[:-20],
                "empty": b"",
                "text": b"not a checkpoint\n" * 9,
                "evil pickle": pickle.dumps(Evil(mark)),
            }[kind]
        )


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "kind",
    [
        "half",
        "without its end",
        *(kind for kind in ("empty", "text", "evil archive", "evil pickle")),
    ],
)
def test_a_damaged_checkpoint_is_one_line_and_stays(make_model, fit, begun, tmp_path, kind):
    damage(kind, begun / "last.ckpt", tmp_path / "mark")
    before = contents(begun)
    with pytest.raises(DataError) as caught:
        fit(make_model(), begun, epochs=EPOCHS)
    assert re.fullmatch(
        r"\S+last\.ckpt: expected a checkpoint of this run, got [^\n]+; delete it [^\n]+", str(caught.value)
    )
    assert contents(begun) == before


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["evil archive", "evil pickle"])
def test_nothing_in_a_checkpoint_is_run(make_model, fit, begun, tmp_path, kind):
    damage(kind, begun / "last.ckpt", tmp_path / "mark")
    with pytest.raises(Exception, match=r"(?i)weights.only|checkpoint"):
        fit(make_model(), begun, epochs=EPOCHS)
    assert not (tmp_path / "mark").exists()
    with contextlib.suppress(RuntimeError):
        torch.load(begun / "last.ckpt", weights_only=False)
    assert (tmp_path / "mark").exists(), "the trap was none: loading it unsafely must run it"


def test_deleting_a_damaged_checkpoint_starts_anew(make_model, fit, begun, whole):
    (begun / "last.ckpt").unlink()
    assert_same_end(fit(make_model(), begun, epochs=EPOCHS), whole(0.0, "none"))


def test_an_interruption_from_the_keyboard_stays_one(make_model, fit, tmp_path):
    model, handler = make_model(), signal.getsignal(signal.SIGINT)
    cut_after(model, STEPS + 1, KeyboardInterrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(model, tmp_path, epochs=EPOCHS)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_mistake_in_training_is_not_taken_for_a_damaged_checkpoint(make_model, fit, begun):
    model = make_model()
    cut_after(model, 0, RuntimeError)
    with pytest.raises(RuntimeError) as caught:
        fit(model, begun, epochs=EPOCHS)
    assert not isinstance(caught.value, DataError)
