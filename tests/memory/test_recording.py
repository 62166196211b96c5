"""States recorded from a model: which layer, which tensor, what is left behind, what is refused."""

import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.memory.recording import record_states

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
        (lambda: record_states(lambda u: {"x": u}, INPUTS), "a tensor", "dict", "name a layer"),
        (lambda: record_states(lambda u: (None, 1), INPUTS), "a tensor", "NoneType", "name a layer"),
        (lambda: record_states(3, INPUTS), "a module or a function", "int", "recorded states"),
        (lambda: record_states(torch.tanh, INPUTS, layer="a"), "none for a function", "'a'", "leave layer out"),
    ],
)
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
