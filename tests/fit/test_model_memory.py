"""End-to-end memory, layer by layer: against the exact memory of a cascade, and layers that keep and forget."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory.errors import InputError
from ssmemory.fit.model_memory import ModelMemory, model_memory

LAGS = 12


class Linear(nn.Module):
    """``x[t] = A x[t−1] + B u[t]``, put out as it is."""

    def __init__(self, n: int, d_input: int, radius: float, rng: np.random.Generator) -> None:
        super().__init__()
        A, B = rng.standard_normal((n, n)), rng.standard_normal((n, d_input))
        self.register_buffer("A", torch.from_numpy(radius / np.abs(np.linalg.eigvals(A)).max() * A))
        self.register_buffer("B", torch.from_numpy(B))

    def forward(self, u: Tensor) -> tuple[Tensor, None]:
        x, states = torch.zeros(len(u), len(self.A), dtype=torch.float64), []
        for u_t in u.unbind(1):
            x = x @ self.A.T + u_t @ self.B.T
            states.append(x)
        return torch.stack(states, 1), None


class Stack(nn.Module):
    """Two linear layers, then one that keeps only what is there now of a sum, and one that never saw the input."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.first, self.second = Linear(3, 1, 0.8, rng), Linear(2, 3, 0.7, rng)
        self.bit, self.deaf, self.head = nn.ReLU(), Deaf(), nn.Linear(1, 1).double()

    def forward(self, u: Tensor) -> Tensor:
        self.deaf(u)
        x = self.second(self.first(u)[0])[0]
        return self.head(self.bit(x)[..., :1])[:, -1]


class Deaf(nn.Module):
    """Noise, whatever it reads."""

    def forward(self, u: Tensor) -> Tensor:
        return torch.randn(*u.shape[:2], 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def cascaded(stack: Stack) -> dict[str, np.ndarray]:
    """MF of what each layer puts out, from the Lyapunov equation of both layers together."""
    A1, B1, A2, B2 = (m.numpy() for m in (stack.first.A, stack.first.B, stack.second.A, stack.second.B))
    n1, n2 = len(A1), len(A2)
    A, B = np.block([[A1, np.zeros((n1, n2))], [B2 @ A1, A2]]), np.concatenate([B1, B2 @ B1])
    P = solve_discrete_lyapunov(A, B @ B.T)
    h = np.stack([np.linalg.matrix_power(A, lag) @ B for lag in range(LAGS)])[..., 0]
    parts = {"first": slice(0, n1), "second": slice(n1, n1 + n2)}
    return {name: np.einsum("ti,ij,tj->t", h[:, s], np.linalg.inv(P[s, s]), h[:, s]) for name, s in parts.items()}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack().eval()


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return torch.randn(4, 3000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found(stack, noise) -> ModelMemory:
    return model_memory(stack, noise, LAGS, at_once=3)


def test_end_to_end_is_the_exact_memory_of_the_cascade(found, stack):
    for name, wanted in cascaded(stack).items():
        estimate = found.layers[name]
        assert np.abs((estimate.values.numpy() - wanted) / estimate.stderr.numpy()).max() < 4.5
        assert np.abs(estimate.values.numpy() - wanted).max() < 0.02
    apart = cascaded(stack)["first"] - cascaded(stack)["second"]
    assert np.abs(apart).max() > 0.3  # the test can tell the layers apart


def test_a_layer_without_the_input_remembers_nothing(found):
    deaf = found.layers["deaf"]
    assert deaf.values.abs().max() < 0.005
    assert deaf.capacity_interval[0] < 0 < deaf.capacity_interval[1]


def test_a_nonlinear_layer_keeps_less_than_the_one_before(found):
    assert found.layers["bit"].capacity < found.layers["second"].capacity - 0.2


def test_every_layer_over_time_is_found_and_what_is_pooled_is_not(found):
    assert list(found.layers) == ["first", "second", "bit", "deaf", "head"]
    assert found.last is found.layers["head"]
    assert found.exact == []


def test_blocks_of_a_backbone_beside_its_exact_layers(make_model):
    model = make_model(n_layers=2, pooling="last").eval()
    u = torch.randn(8, 300, 1, generator=torch.Generator().manual_seed(0))
    found = model_memory(model, u, 10)
    assert list(found.layers) == ["blocks.0", "blocks.1"]
    assert [record.layer for record in found.exact] == ["blocks.0.layer", "blocks.1.layer"]
    assert found.exact[0].lags[-1] == 9
    said = found.describe().splitlines()
    assert len(said) == 4
    assert said[0].startswith("blocks.0        Remembers")
    assert "exact, of its own input: capacity 7" in said[2]  # S4D-Lin of 8: its first mode is real
    axes = found.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["blocks.0", "blocks.1", "blocks.0.layer, of its own input", "blocks.1.layer, of its own input"]


def test_another_target(stack, noise):
    delayed = noise[..., 0].roll(2, 1)
    found = model_memory(stack, noise, 3, layers=["first"], target=delayed).layers["first"]
    assert found.values[0] == pytest.approx(cascaded(stack)["first"][2], abs=0.02)


def test_the_mean_over_sequences_as_a_trap():
    """A layer that knows the step alone seems to remember data whose mean depends on the step."""
    step = torch.sin(torch.arange(60.0) / 5).expand(200, 60)
    u = step + 0.5 * torch.randn(200, 60, generator=torch.Generator().manual_seed(0))
    clock = torch.stack([torch.sin(torch.arange(60.0) / 5), torch.cos(torch.arange(60.0) / 5)], -1).expand(200, 60, 2)

    class Clock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Identity()

        def forward(self, u: Tensor) -> Tensor:
            return self.inside(clock[: len(u)])

    seeming = model_memory(Clock().eval(), u.unsqueeze(-1), 5).last.values
    true = model_memory(Clock().eval(), u.unsqueeze(-1), 5, target=u - u.mean(0)).last.values
    assert seeming.min() > 0.5
    assert true.abs().max() < 0.01


def test_token_ids(make_model):
    model = make_model(n_layers=1, embed=True, d_input=3, pooling="none").eval()
    ids = torch.randint(0, 3, (6, 300), generator=torch.Generator().manual_seed(0))
    found = model_memory(model, ids, 4)
    assert found.last.values[0] > 0.9
    assert found.last.capacity <= 8 / 2


def test_too_few_samples_names_the_layer(stack, noise):
    with pytest.raises(InputError) as caught:
        model_memory(stack, noise[:1, :70], 8)
    assert str(caught.value).startswith("layer first, states: expected at least 80 steps for 3 directions")
    assert_one_line(str(caught.value).replace("layer first, ", ""), "at least", "after the washout", "record longer")


@pytest.mark.parametrize(
    ("call", "expected", "got", "fix"),
    [
        (lambda s, u: model_memory(s, u[..., 0], 3), "channels", r"\(4, 3000\)", "target"),
        (lambda s, u: model_memory(s, u, 3, layers=["frist"]), "one of .*first", "'frist'", "'first'"),
        (lambda s, u: model_memory(nn.Linear(1, 1).double().eval(), u, 3), "layer that puts out", "none", "pooling"),
        (lambda s, u: model_memory(s, u, 3, at_once=0), "at least one", "0", "leave"),
    ],
)
def test_refusals(stack, noise, call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call(stack, noise)
    assert_one_line(str(caught.value), expected, got, fix)
