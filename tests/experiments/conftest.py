"""The main job run once in its smallest size, and a sweep smaller still for what has to be run many times."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from ssmemory.cli import main
from ssmemory.experiments.frozen_vs_learned import Config


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """OpenMP's threads wait for each other far longer than they compute here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread():
    with single_thread():
        yield


@dataclass(frozen=True)
class Job:
    """A finished run of the command: its folder, exit code, what it printed, and its results."""

    folder: Path
    code: int
    said: str
    results: dict[str, Any]


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("smoke") / "out"
    said = io.StringIO()
    with single_thread(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        code = main(["run", "frozen-vs-learned", "--size", "smoke", "--out", str(folder)])
    return Job(folder, code, said.getvalue(), json.loads((folder / "results.json").read_text()))


@pytest.fixture
def tiny() -> Config:
    """Sequences of 16 steps, models of a few numbers: a run takes a tenth of a second."""
    return Config(
        data="digits", side=4, n_train=60, n_validation=20, n_test=40, dts=(0.05, 1.37), seeds=(0,), d_model=4,
        d_state=4, n_layers=1, epochs=2, batch_size=30, processes=1,
    )  # fmt: skip
