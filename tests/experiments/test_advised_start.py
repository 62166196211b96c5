"""Starts on small data, and the tasks made of texts and of a household's power."""

import dataclasses

import numpy as np
import pytest
import torch

from ssmemory.data import Series, TextSet
from ssmemory.experiments.advised_start import SIZES, page, run
from ssmemory.experiments.advised_start.tasks import load_task


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    config = dataclasses.replace(SIZES["smoke"], starts=("usual", "rule", "advised", "fourier", "recall"))
    return run(config, tmp_path_factory.mktemp("starts"))


def test_a_start_from_the_data_does_better_in_a_short_training(results):
    scores = {record["start"]: record["score"] for record in results["runs"]}
    assert scores["advised"] > scores["usual"] + 0.1
    assert len(scores) == 5
    assert results["summary"]["advice"]["pixels"]["length"] == 64


def test_the_page(results):
    made = page(results)
    assert made.tables[1].head[:2] == ["task", "best start"]
    assert any(note.startswith("Advice for pixels: Data:") for note in made.notes)


def test_power_is_cut_into_windows_and_the_day_after(monkeypatch):
    """Hours that count up: the target is the mean of the day after the window, exactly."""
    hours = np.repeat(np.arange(1000.0), 60)
    hours[30:90] = np.nan
    series = Series(hours[:, None], ("a",), 1 / 60, "1 min", "here")
    monkeypatch.setattr("ssmemory.data.load_household_power", lambda **_: series)
    config = dataclasses.replace(SIZES["cpu"], hours=48, n_train=20, n_test=10)
    task = load_task("power", config, cache=None, source=None)
    u, y = task.training
    assert u.shape == (20, 48, 1)
    assert bool(torch.isfinite(u).all())
    ahead = (u[:, -1, 0] + (u[:, 1, 0] - u[:, 0, 0]) * 12.5)[5:]
    slope = torch.linalg.lstsq(torch.stack([ahead, torch.ones(15)], 1), y[5:]).residuals
    assert float(slope.sum()) < 1e-6
    assert float(task.test[0].min()) > float(u[:, 0].max())  # later in time


def test_texts_end_with_the_last_step(monkeypatch):
    texts = [b"ab", b"abc" * 10, b"x"] * 4
    found = TextSet("imdb", texts, np.arange(12) % 2, texts, np.arange(12) % 2, "", "")
    monkeypatch.setattr("ssmemory.data.load_imdb", lambda **_: found)
    config = dataclasses.replace(SIZES["cpu"], bytes=8, n_train=12, n_test=6)
    task = load_task("text", config, cache=None, source=None)
    u, y = task.training
    assert u.shape == (12, 8, 8)
    assert task.test[0].shape == (6, 8, 8)
    rows = {tuple(row.flatten().tolist()) for row in u}
    assert len(rows) == 3
    assert y.dtype == torch.int64
    padded = [row for row in u if torch.equal(row[0], row[5])]
    assert len(padded) == 8
