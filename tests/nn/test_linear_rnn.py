"""The dense recurrence: the layer contract, the bound on its radius at rest and at work, and its start."""

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.nn.layer_contract import LayerContract, draw
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, init, memory_capacity
from ssmemory.errors import InputError
from ssmemory.nn.linear_rnn import LinearRNN


class TestContract(LayerContract):
    @pytest.fixture
    def make(self):
        return lambda: LinearRNN(5, 8)


class TestBoundAtWork(LayerContract):
    """Every parameter matrix has a spectral radius beyond r_max."""

    @pytest.fixture
    def make(self):
        def layer() -> LinearRNN:
            made = LinearRNN(5, 8, radius=0.9, r_max=0.95)
            made.A.data.mul_(1.5)
            return made

        return layer


class TestSmallest(LayerContract):
    @pytest.fixture
    def make(self):
        return lambda: LinearRNN(1, 1)


def radius(matrix: torch.Tensor) -> float:
    return float(np.abs(scipy.linalg.eigvals(matrix.detach().numpy())).max())


@pytest.mark.parametrize("scale", [1.1, 10.0, 1e4])
def test_the_radius_is_exactly_the_bound_beyond_it(scale):
    layer = LinearRNN(3, 16, radius=0.9, r_max=0.95).double()
    inside = layer.system().A
    assert torch.equal(inside, layer.A)
    with torch.no_grad():
        layer.A.mul_(scale)
    bounded = layer.system().A
    assert abs(radius(bounded) - min(0.95, 0.9 * scale)) < 1e-7
    torch.testing.assert_close(bounded / torch.linalg.matrix_norm(bounded), inside / torch.linalg.matrix_norm(inside))


def test_gradient_of_the_bound_is_that_of_finite_differences():
    layer = LinearRNN(2, 4, radius=0.4, r_max=0.5, generator=torch.Generator().manual_seed(0)).double()
    W = 3 * layer.A.detach()

    def bounded(W: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"A": W}, (draw(2, 6, 2),))[0]

    assert torch.autograd.gradcheck(bounded, W.requires_grad_())


def test_a_nan_in_the_matrix_comes_out_as_nan():
    """Eigenvalue routines raise on it, which would hide the step that made it."""
    layer = LinearRNN(3, 4)
    with torch.no_grad():
        layer.A[0, 0] = float("nan")
    assert bool(layer(torch.ones(1, 3, 3))[0].isnan().any())


class TestStart:
    def test_the_default_radius(self):
        assert abs(radius(LinearRNN(3, 32).A) - 0.99) < 1e-5

    def test_by_system(self):
        wanted = init.random_dense(8, 0.7, seed=3)
        assert torch.equal(LinearRNN(3, 8, init=wanted).A, wanted.A.float())

    def test_by_function(self):
        layer = LinearRNN(3, 8, init=lambda d_state: init.hippo_legs(d_state, dt=0.1))
        assert torch.equal(layer.A, init.hippo_legs(8, dt=0.1).A.float())

    def test_white_input_drives_the_states_to_variance_one(self):
        layer = LinearRNN(8, 64, radius=0.9, generator=torch.Generator().manual_seed(0))
        _, state = layer(draw(500, 100, 8, dtype=torch.float32))
        assert 0.7 < float(state.detach().var()) < 1.4

    def test_memory_of_several_inputs(self):
        """All inputs together reach every state once: the capacity is d_state."""
        capacity = memory_capacity(LinearRNN(3, 8, radius=0.9).system())
        torch.testing.assert_close(capacity.detach().sum(), torch.tensor(8.0, dtype=torch.float64))

    def test_the_generator_decides(self):
        first, again = (LinearRNN(3, 8, generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


FITS = "such as ssmemory.init.random_dense"


@pytest.mark.parametrize(
    ("options", "expected", "got", "fix"),
    [
        ({"d_model": 0}, "d_model ≥ 1", "d_model=0", "positive"),
        ({"d_state": 0}, "d_state ≥ 1", "d_state=0", "positive"),
        ({"r_max": 1.0}, "0 < r_max < 1", r"got 1\.0", "stable"),
        ({"r_max": float("nan")}, "0 < r_max < 1", "nan", "stable"),
        ({"radius": 1.0}, "0 < radius < 1", r"1\.0", "stable"),
        ({"radius": 0.99, "r_max": 0.9}, r"at most r_max = 0\.9", r"0\.99", "raise r_max"),
        ({"init": "random_dens"}, "one of random_dense", "'random_dens'", "did you mean 'random_dense'"),
        ({"init": "ring"}, "one of random_dense", "'ring'", "choose|did you mean"),
        ({"init": init.random_dense(4, seed=0), "radius": 0.9}, "None beside an init", r"0\.9", "leave it out"),
        ({"init": init.random_dense(6, seed=0)}, "d_state 4", "d_state=6", FITS),
        ({"init": init.random_dense(4, seed=0, channels=2)}, "no batch", r"batch=\(2,\)", FITS),
        ({"init": init.ring(4, seed=0)}, "dense real", "diagonal", FITS),
        ({"init": LinearSystem.from_matrices(torch.eye(4) * 0.5j, torch.ones(4))}, "real", "dense", FITS),
        ({"init": LinearSystem.from_matrices(torch.eye(4), torch.ones(4))}, "r_max", "got 1;", "scale it down"),
        ({"init": 3}, "dense real", "got 3;", FITS),
        ({"init": lambda d_state: None}, "dense real", "None", FITS),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options, expected, got, fix):
    with pytest.raises(InputError) as caught:
        LinearRNN(**({"d_model": 3, "d_state": 4} | options))
    assert_one_line(str(caught.value), expected, got, fix)
