"""A model as a folder: what comes back, and one line for whatever is wrong with it."""

import dataclasses
import json
import re
import struct

import pytest
import safetensors.torch
import torch

from ssmemory.errors import DataError
from ssmemory.nn import Backbone, BackboneConfig, load_model, save_model

SMALL = BackboneConfig(d_input=2, d_output=3, d_model=4, d_state=6, n_layers=2)
CONFIGS = {
    "default": SMALL,
    "symbols": dataclasses.replace(SMALL, d_input=9, embed=True, pooling="none"),
    "mean": dataclasses.replace(SMALL, pooling="mean", dropout=0.3, discretization="bilinear", init="s4d_inv"),
}


def make(config: BackboneConfig = SMALL) -> Backbone:
    torch.manual_seed(0)
    return Backbone(config)


def draw(config: BackboneConfig) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(config.d_input, (2, 11)) if config.embed else torch.randn(2, 11, config.d_input)


@pytest.fixture
def folder(tmp_path):
    return save_model(make(), tmp_path / "model")


@pytest.mark.parametrize("name", CONFIGS)
class TestRoundTrip:
    def test_outputs_are_identical(self, name, tmp_path):
        model = make(CONFIGS[name]).eval()
        loaded = load_model(save_model(model, tmp_path / "a" / "b"))
        assert loaded.config == model.config
        assert not loaded.training
        u = draw(model.config)
        (y, states), (wanted, wanted_states) = loaded(u), model(u)
        assert torch.equal(y, wanted)
        assert all(torch.equal(a, b) for a, b in zip(states, wanted_states, strict=True))

    def test_after_training(self, name, tmp_path):
        model = make(CONFIGS[name])
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            model(draw(model.config))[0].square().sum().backward()
            optimiser.step()
        loaded = load_model(save_model(model, tmp_path))
        for key, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key


class TestFiles:
    def test_what_is_written(self, folder):
        assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
        assert json.loads((folder / "model.json").read_text()) == dataclasses.asdict(SMALL)

    def test_the_weights_are_safetensors_and_no_pickle(self, folder):
        content = (folder / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        model = make()
        assert set(header) - {"__metadata__"} == set(model.state_dict())
        assert header["decoder.weight"]["dtype"] == "F32"
        assert header["decoder.weight"]["shape"] == [3, 4]
        assert len(content) == 8 + length + 4 * sum(p.numel() for p in model.parameters())

    @pytest.mark.parametrize("name", ["", "model.json", "model.safetensors"])
    @pytest.mark.parametrize("kind", [str, lambda path: path])
    def test_the_folder_or_either_file_names_it(self, folder, name, kind):
        assert load_model(kind(folder / name)).config == SMALL

    def test_saving_again_replaces(self, folder):
        other = dataclasses.replace(SMALL, d_model=5)
        save_model(make(other), folder)
        assert load_model(folder).config == other
        assert len(list(folder.iterdir())) == 2

    def test_loading_touches_no_random_state_of_the_weights(self, folder):
        torch.manual_seed(123)
        first = load_model(folder).state_dict()
        torch.manual_seed(456)
        second = load_model(folder).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)


def one_line(folder) -> str:
    with pytest.raises(DataError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert re.fullmatch(r"[^\n]+: expected [^\n]+, got [^\n]+; [^\n]+", message), message
    assert str(folder) in message
    return message


class TestBrokenFolders:
    @pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
    def test_a_missing_file(self, folder, name):
        (folder / name).unlink()
        assert f"got no {name};" in one_line(folder)

    def test_no_folder(self, tmp_path):
        assert "got no model.json;" in one_line(tmp_path / "nowhere")

    def damaged(self, content: bytes) -> dict[str, bytes]:
        return {
            "empty": b"",
            "truncated": content[:-1],
            "half": content[: len(content) // 2],
            "longer": content + b"\0",
            "noise": bytes(range(256)) * 8,
            "header": content[:8] + b"\n" * 20 + content[28:],
            "huge header": struct.pack("<Q", 2**60) + content[8:],
            "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94.",
            "zip": b"PK\x03\x04" + content[4:],
        }

    @pytest.mark.parametrize(
        "damage", ["empty", "truncated", "half", "longer", "noise", "header", "huge header", "pickle", "zip"]
    )
    def test_damaged_weights(self, folder, damage):
        path = folder / "model.safetensors"
        path.write_bytes(self.damaged(path.read_bytes())[damage])
        assert "expected safetensors" in one_line(folder)

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[]", "[1]", "3", "null", '"d_model"', "\udcff",
            '{"d_modle": 4}', '{"d_model": "4"}', '{"d_model": null}', '{"d_model": 4.5}', '{"d_model": -4}',
            '{"d_model": 0}', '{"d_state": 7}', '{"d_state": 0}', '{"n_layers": 0}', '{"n_layers": 1.5}',
            '{"dropout": 2}', '{"dropout": NaN}', '{"dt_min": 1, "dt_max": 0.5}', '{"dt_max": Infinity}',
            '{"layer": "s4e"}', '{"pooling": "max"}', '{"init": "s4d_line"}', '{"init": 3}', '{"init": "ring"}',
            '{"discretization": "euler"}', '{"layer": ["s4d"]}',
        ],
    )  # fmt: skip
    def test_a_configuration_that_is_none(self, folder, text):
        (folder / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert "expected a model's configuration" in one_line(folder)

    def test_an_unknown_key_is_named(self, folder):
        config = dataclasses.asdict(SMALL) | {"d_modle": 4}
        (folder / "model.json").write_text(json.dumps(config))
        assert "d_modle" in one_line(folder)

    def test_weights_of_another_shape(self, folder):
        config = dataclasses.asdict(SMALL) | {"d_output": 7}
        (folder / "model.json").write_text(json.dumps(config))
        message = one_line(folder)
        assert "decoder.bias: expected shape (7,), got (3,);" in message

    def test_fewer_weights(self, folder):
        config = dataclasses.asdict(SMALL) | {"n_layers": 3}
        (folder / "model.json").write_text(json.dumps(config))
        assert re.search(r"blocks\.2\.\S+: expected shape \([\d, ]+\), got nothing;", one_line(folder))

    def test_more_weights(self, folder):
        weights = make().state_dict() | {"extra": torch.ones(2)}
        safetensors.torch.save_file(weights, folder / "model.safetensors")
        assert "extra: expected shape nothing, got (2,);" in one_line(folder)
