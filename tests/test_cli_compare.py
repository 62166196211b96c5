"""`ssmemory compare` as its user meets it."""

import json
import re

import numpy as np
import pytest

from ssmemory.cli import main

SMALL = ["--d-model", "4", "--d-state", "8", "--lags", "40"]


def test_a_table_in_words(tmp_path, capsys):
    words = ["compare", "S4D", "S5", "LRU", "LinearRNN", "LinearAttention", "Attention", *SMALL]
    assert main([*words, "--plot", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["layer", "d_state", "bytes", "capacity"]
    assert lines[1].split()[:8] == ["S4D", "exact", "8", "128", "28", "7", "224", lines[1].split()[7]]
    assert [line.split()[0] for line in lines[1:8]] == [
        "S4D", "S5", "LRU", "LinearRNN", "LinearAttention", "LinearAttention", "Attention",
    ]  # fmt: skip
    assert lines[8].startswith("White input.")
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_as_many_bytes_for_machines(capsys):
    words = ["compare", "S4D", "LRU", "Attention", "--by", "bytes", "--bytes", "300", "--d-model", "4", "--lags", "20"]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["d_state"], row["bytes"]) for row in record["rows"]] == [
        ("S4D", 18, 288), ("LRU", 74, 296), ("Attention", 8, 288),
    ]  # fmt: skip
    assert record["rows"][2]["per_kib"] == pytest.approx(32 * 1024 / 288)
    assert main(words) == 0
    assert "at most 300 bytes" in capsys.readouterr().out


def test_the_sequence_is_what_attention_keeps(capsys):
    assert main(["compare", "Attention", *SMALL, "--sequence", "7", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["d_state"], row["bytes"], row["capacity"]) == (7, 4 * 7 * 9, pytest.approx(28))
    assert [value > 0.5 for value in row["median"]] == [lag < 7 for lag in row["lags"]]


def test_data_change_the_memory(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "walk.npy", np.convolve(rng.standard_normal(500), np.ones(20))[:500])
    found = []
    for words in ([], ["--data", str(tmp_path / "walk.npy")]):
        assert main(["compare", "S4D", "LinearAttention", *SMALL, "--json", *words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    white, walk = (record["rows"] for record in found)
    assert walk[0]["median"][10] > 2 * white[0]["median"][10]
    assert walk[1]["how"] == "given its keys"
    assert walk[1]["median"] != white[1]["median"]
    assert [row["capacity"] for row in walk] != []
    assert walk[0]["capacity"] == white[0]["capacity"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "layers: expected one or more"),
        (["S4F"], "did you mean 'S4'"),
        (["S4D", "S4D"], "none twice"),
        (["S4D:s4d_line"], "did you mean 's4d_lin'"),
        (["LRU:ring"], "takes none by name"),
        (["S4D", "--d-state", "3"], "even d_state"),
        (["S4D", "--d-state", "100000"], "at most 2048"),
        (["S5", "--d-state", "600"], "at most 512 with several inputs"),
        (["S4D", "--by", "bytes", "--bytes", "10"], "at least 64"),
        (["Attention", "--by", "bytes", "--bytes", "10"], "at least 68"),
        (["S4D", "--by", "size"], "by"),
        (["S4D", "--lags", "0"], "lags: expected at least 1"),
        (["Attention", "--sequence", "0"], "sequence: expected at least 1"),
        (["S4D", "--data", "nowhere.csv"], "nowhere.csv"),
        (["S4D", "--columns", "a"], "none without --data"),
    ],
)
def test_bad_words_are_one_line_and_exit_code_2(words, told, capsys):
    assert main(["compare", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("ssmemory: ")
    assert re.search(told, line), line
