"""`ssmemory advise` and `ssmemory design` as their user meets them."""

import json
import re

import numpy as np
import pytest

from ssmemory.cli import main


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    values = np.stack([rng.standard_normal(400).cumsum(), np.sin(np.arange(400) / 9)], 1)
    rows = "".join(f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{a},{b}\n" for k, (a, b) in enumerate(values))
    path = tmp_path / "power.csv"
    path.write_text("time,walk,wave\n" + rows)
    return path


def test_advice_in_words_and_as_a_picture(table, tmp_path, capsys):
    assert main(["advise", str(table), "--length", "96", "--d-state", "8", "--plot", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{table}: walk, wave\nData: 800 numbers, windows of 96 steps (3.46e+05 s).")
    assert "Real parts: " in said
    assert "init=init.from_data(x, 8, length=96)" in said
    assert (tmp_path / "advice.png").read_bytes().startswith(b"\x89PNG")


def test_advice_for_machines(table, capsys):
    words = ["--columns", "wave", "--length", "64", "--d-state", "8", "--json", "--decay", "1"]
    assert main(["advise", str(table), *words]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["length"] == 64
    assert record["decay"] == 1.0
    assert {candidate["spectrum"] for candidate in record["candidates"]} <= {"fourier", "peaks", "lin", "inv", "band"}


def test_design_in_words_as_a_picture_and_for_machines(tmp_path, capsys):
    words = ["design", "--d-state", "4", "--lags", "20", "--starts", "1"]
    assert main([*words, "--plot", "--out", str(tmp_path)]) == 0
    assert "MF at lag 20" in capsys.readouterr().out
    assert (tmp_path / "design.png").read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["share"] == pytest.approx(record["value"] / record["bound"])
    assert record["share"] > 0.6


def test_a_teacher_from_a_file(tmp_path, capsys):
    np.save(tmp_path / "teacher.npy", np.exp(-np.arange(30) / 6))
    assert main(["design", "--d-state", "2", "--teacher", str(tmp_path / "teacher.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] > 0.999


BAD = {
    "constant": ("x\n" + "1\n" * 50, [], "x, channel 0: expected numbers that vary, got a constant"),
    "one step": ("x\n1\n", [], "x: expected at least 2 steps, got 1"),
    "text": ("x\n1\ntall\n", [], "expected .*got 'tall'"),
    "gaps only": ("x,y\n1,\n2,\n", [], "y"),
    "window too long": (
        "x\n" + "".join(f"{k % 7}\n" for k in range(50)),
        ["--length", "51"],
        "length: expected 2 … 50",
    ),
    "odd state": (
        "x\n" + "".join(f"{k % 7}\n" for k in range(50)),
        ["--d-state", "7"],
        "d_state: expected an even number",
    ),
    "column": ("load\n1\n2\n", ["--columns", "laod"], "did you mean 'load'"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_data_is_one_line_and_exit_code_2(name, tmp_path, capsys):
    text, words, told = BAD[name]
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert main(["advise", str(path), *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("ssmemory: ")
    assert re.search(told, line), line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["advise", "nowhere.csv"], "nowhere.csv"),
        (["design"], "expected"),
        (["design", "--window", "5", "--lags", "3"], "expected"),
        (["design", "--lags", "-1"], "lags"),
    ],
)
def test_bad_words(words, told, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
