"""`ssmemory probe` on a module that knows nothing of the package."""

import importlib
import json

import pytest
import safetensors.torch
import torch

from ssmemory.cli import main

MODELS = '''
import collections

import torch


class Shift(torch.nn.Module):
    """The last three inputs, mixed."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(3, 3, bias=False)
        self.hold = torch.nn.Identity()

    def forward(self, u):
        past = torch.cat([torch.roll(u[..., :1], k, 1) for k in range(3)], -1)
        return self.mix(self.hold(past)).sum(1)


def shift():
    torch.manual_seed(0)
    return Shift()


class Output(collections.OrderedDict):
    """As language models put out: a dict that holds the last layer's states, and none where there is no loss."""


class Reader(torch.nn.Module):
    """Token ids in, a dict out: the token before the present one, embedded, a few sequences at a time."""

    most = 0

    def __init__(self):
        super().__init__()
        self.embeddings = torch.nn.Embedding(5, 4)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4)])

    def forward(self, input_ids):
        assert input_ids.dtype == torch.int64
        Reader.most = max(Reader.most, len(input_ids))
        h = self.layers[0](self.embeddings(input_ids))
        return Output(loss=None, cache=h[:, -1], last_hidden_state=h.roll(1, 1))


def reader():
    torch.manual_seed(0)
    return Reader()


def linear():
    return torch.nn.Linear(2, 2)


def nothing():
    return 3
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "probed_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)


def test_three_inputs_are_remembered(capsys):
    words = ["probe", "probed_models:shift", "--layer", "mix", "--steps", "3000", "--lags", "8", "--json"]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["memory"][:3] == pytest.approx([1, 1, 1], abs=1e-3)
    assert max(abs(value) for value in record["memory"][3:]) < 0.01
    assert record["capacity_interval"][0] < 3 < record["capacity_interval"][1]
    assert record["resolved_rank"] == record["d_state"] == 3


def test_in_words_with_weights_and_a_picture(capsys, tmp_path):
    weights = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"mix.weight": torch.diag(torch.tensor([1.0, 1.0, 0.0]))}, weights)
    words = [
        "probe",
        "probed_models:shift",
        "--layer",
        "mix",
        "--steps",
        "3000",
        "--lags",
        "8",
        "--weights",
        str(weights),
    ]
    assert main([*words, "--plot"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("probed_models:shift, mix: Remembers 2 inputs")
    assert (tmp_path / "out" / "probe.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("tokens", "share"), [(2, 1), (5, 1)])
def test_a_model_of_token_ids_that_puts_out_a_dict(tokens, share, capsys):
    sizes = ["--steps", "1500", "--sequences", "3", "--at-once", "2", "--lags", "4", "--tokens", str(tokens)]
    assert main(["probe", "probed_models:reader", *sizes, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["memory"] == pytest.approx([0, share, 0, 0], abs=5e-3)
    assert record["tokens"] == tokens
    assert record["resolved_rank"] == min(4, tokens - 1)
    assert importlib.import_module("probed_models").Reader.most == 2
    assert main(["probe", "probed_models:reader", *sizes, "--layer", "layers.0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("probed_models:reader, layers.0: Remembers 1 inputs")
    rank = min(4, tokens - 1)
    assert f"An input is one of {tokens} tokens: {rank} directions hold at most 1 of them." in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["shift"], "factory: expected MODULE:FUNCTION, got 'shift'"),
        (["no_such_module:shift"], "expected a module 'no_such_module' to import"),
        (["probed_models:shiftt"], "expected a function 'shiftt' in 'probed_models', got none of that name"),
        (["probed_models:nothing"], "factory: expected a torch module returned, got int"),
        (["probed_models:shift", "--layer", "mixx"], "did you mean 'mix'?"),
        (["probed_models:shift"], "name a layer before the pooling over time"),
        (["probed_models:shift", "--layer", "mix", "--steps", "60"], "expected at least"),
        (["probed_models:shift", "--layer", "mix", "--sequences", "0"], "sizes: expected at least 1 each"),
        (
            ["probed_models:reader", "--tokens", "1"],
            "tokens: expected at least 2 tokens, and no channels, got 1 tokens",
        ),
        (["probed_models:reader", "--tokens", "2", "--d-input", "3"], "got 2 tokens and 3 channels"),
        (["probed_models:reader", "--tokens", "6"], "model: expected one that takes (1, 20000) int64, got IndexError"),
        (["probed_models:reader", "--tokens", "2", "--at-once", "0"], "at_once: expected at least one sequence"),
        (["probed_models:linear", "--d-input", "3"], "give the number of channels as --d-input"),
        (["probed_models:shift", "--weights", "none.safetensors"], "expected safetensors with this model's weights"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, told, capsys):
    assert main(["probe", *words, "--lags", "8"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_weights_of_another_model(capsys, tmp_path):
    safetensors.torch.save_file({"other": torch.zeros(2)}, tmp_path / "w.safetensors")
    assert main(["probe", "probed_models:shift", "--weights", "w.safetensors"]) == 2
    assert "1 missing, 1 unknown: mix.weight, other" in capsys.readouterr().err
