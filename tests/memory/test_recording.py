"""States recorded from a model: which layer, which tensor, what is left behind, what is refused."""

import dataclasses
from collections import OrderedDict

import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.memory.recording import record_layers, record_states

INPUTS = torch.randn(2, 7, 1, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    """A recurrent layer between two linear ones, read at the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, 4)
        self.cell = nn.Sequential(nn.GRU(4, 5, batch_first=True))
        self.decoder = nn.Linear(5, 2)
        self.idle = nn.Linear(1, 1)

    def forward(self, u: Tensor) -> Tensor:
        x, _ = self.cell(self.encoder(u))
        return self.decoder(self.decoder(x[:, -1]) @ self.decoder.weight)


def model() -> Model:
    torch.manual_seed(0)
    return Model().eval()


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


def test_a_layer_by_its_dotted_name_and_the_first_tensor_of_a_tuple():
    this = model()
    states = record_states(this, INPUTS, layer="cell.0")
    assert torch.equal(states, this.cell[0](this.encoder(INPUTS))[0])
    assert not states.requires_grad
    assert torch.equal(record_states(this, INPUTS, layer="encoder"), this.encoder(INPUTS))


def test_the_output_of_a_model_and_of_a_function():
    this = model().cell
    inputs = torch.randn(2, 7, 4)
    assert torch.equal(record_states(this, inputs), this(inputs)[0])
    assert torch.equal(record_states(torch.tanh, INPUTS), torch.tanh(INPUTS))


def test_what_is_recorded_is_not_the_tensor_that_a_later_layer_changes():
    this = nn.Sequential(nn.Linear(1, 3), nn.ReLU(inplace=True)).eval()
    assert torch.equal(record_states(this, INPUTS, layer="0"), this[0](INPUTS))


class Output(OrderedDict):
    """What libraries of language models put out: a dict whose entries are attributes too."""


@dataclasses.dataclass
class Plain:
    """Another way."""

    loss: Tensor | None
    logits: Tensor


def test_the_tensor_in_a_dict_or_a_dataclass():
    found = record_states(lambda u: Output(cache=u[:, -1], last_hidden_state=u + 1), INPUTS)
    assert torch.equal(found, INPUTS + 1)
    assert torch.equal(record_states(lambda u: Output(logits=u + 2), INPUTS), INPUTS + 2)
    assert torch.equal(record_states(lambda u: Plain(None, u + 3), INPUTS), INPUTS + 3)
    ids = torch.arange(14).reshape(2, 7)
    assert torch.equal(record_states(lambda v: v.unsqueeze(-1).double(), ids)[..., 0], ids.double())


def test_several_layers_from_a_single_run():
    this, runs = model(), []
    this.register_forward_hook(lambda *_: runs.append(1))
    found = record_layers(this, INPUTS)
    assert list(found) == ["encoder", "cell", "cell.0"]  # idle and decoder do not run once, nor over time
    assert runs == [1]
    for name, states in found.items():
        assert torch.equal(states, record_states(this, INPUTS, layer=name))
    assert list(record_layers(this, INPUTS, ["cell.0", "encoder"])) == ["cell.0", "encoder"]
    assert hooks(this) == 1


def test_a_few_sequences_at_a_time():
    this, seen = model(), []
    inputs = torch.randn(5, 7, 1, generator=torch.Generator().manual_seed(1))
    this.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    parts = record_states(this, inputs, layer="cell.0", at_once=2)
    assert seen == [2, 2, 1]
    assert torch.allclose(parts, record_states(this, inputs, layer="cell.0"), atol=1e-6)
    assert torch.equal(record_states(torch.tanh, inputs, at_once=2), inputs.tanh())


def test_the_model_is_left_as_it_was():
    this = model()
    before = {name: value.clone() for name, value in this.state_dict().items()}
    random = torch.get_rng_state()
    record_states(this, INPUTS, layer="encoder")
    assert hooks(this) == 0
    assert all(torch.equal(value, before[name]) for name, value in this.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in this.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert not any(part.training for part in this.modules())


def test_hooks_go_also_when_the_model_raises():
    this = model()
    with pytest.raises(RuntimeError):
        record_states(this, torch.zeros(2, 7, 3), layer="encoder")
    with pytest.raises(InputError):
        record_states(this, INPUTS, layer="idle")
    assert hooks(this) == 0


def training() -> Model:
    this = model()
    this.decoder.train()
    return this


@pytest.mark.parametrize(
    ("call", "expected", "got", "fix"),
    [
        (lambda: record_states(training(), INPUTS), "evaluation mode", "training mode", "eval"),
        (lambda: record_states(model(), INPUTS, layer="encodr"), "one of .*encoder", "'encodr'", "'encoder'"),
        (lambda: record_states(nn.Identity().eval(), INPUTS, layer="a"), "no layers inside", "'a'", "choose"),
        (lambda: record_states(model(), INPUTS, layer="decoder"), "once a pass", "2 runs", "sees the whole sequence"),
        (lambda: record_states(model(), INPUTS, layer="idle"), "once a pass", "0 runs", "name the layer"),
        (lambda: record_states(model(), INPUTS), r"shape \(2, 7, features\)", r"\(2, 2\)", "before the pooling"),
        (lambda: record_states(lambda u: u[:, 1:], INPUTS), "every step", r"\(2, 6, 1\)", "pooling"),
        (lambda: record_states(lambda u: {"x": 3}, INPUTS), "a tensor", "dict without one", "name a layer"),
        (lambda: record_states(lambda u: (None, 1), INPUTS), "a tensor", "tuple without one", "name a layer"),
        (lambda: record_states(lambda u: None, INPUTS), "a tensor", "NoneType without one", "name a layer"),
        (lambda: record_states(model(), INPUTS, at_once=0), "at least one sequence", "0", "leave it out"),
        (lambda: record_layers(training(), INPUTS), "evaluation mode", "training mode", "eval"),
        (lambda: record_layers(model(), INPUTS, ["cell.0", "cel"]), "one of .*cell", "'cel'", "'cell'"),
        (lambda: record_layers(model(), INPUTS, ["encoder", "idle"]), "'idle' to run once", "0 runs", "name the layer"),
        (lambda: record_layers(nn.Identity().eval(), INPUTS), "puts out .batch", "none", "own output"),
        (lambda: record_states(3, INPUTS), "a module or a function", "int", "recorded states"),
        (lambda: record_states(torch.tanh, INPUTS, layer="a"), "none for a function", "'a'", "leave layer out"),
    ],
)
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
