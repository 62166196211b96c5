"""`ssmemory probe` on a module that knows nothing of the package."""

import json

import pytest
import safetensors.torch
import torch

from ssmemory.cli import main

MODELS = """
import torch


class Shift(torch.nn.Module):
    \"\"\"The last three inputs, mixed.\"\"\"

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


def nothing():
    return 3
"""


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
