"""What of a teacher a state can see: against regression, the memory function, and its own complement."""

import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, init, memory_function
from ssmemory.errors import InputError, UnstableError
from ssmemory.learning import reachable_loss, visible_fraction
from ssmemory.memory import horizon_memory

SYSTEMS = {
    "s4d": init.s4d_lin(12, 0.1),
    "ring": init.ring(16, seed=0),
    "complex": LinearSystem.from_eigenvalues([0.9 + 0.1j, -0.5j, 0.3]),
    "dense": init.random_dense(7, 0.9, seed=1),
    "real": init.geometric(6, 40),
    "shift": LinearSystem.from_matrices(np.eye(4, k=-1), [1.0, 0, 0, 0]),
}


def kernel(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def responses(system: LinearSystem, length: int) -> np.ndarray:
    dense = system.to_dense()
    A, state = dense.A.to(torch.complex128).numpy(), dense.B.squeeze(-1).to(torch.complex128).numpy()
    rows = []
    for _ in range(length):
        rows.append(state)
        state = A @ state
    return np.stack(rows, -1)


def regressed(system: LinearSystem, teacher: np.ndarray, length: int, weights: np.ndarray | None = None) -> float:
    """1 − the relative residual of a regression of the teacher on the responses, over so many lags."""
    root = np.eye(length) if weights is None else np.linalg.cholesky(weights).T
    target = root @ np.pad(teacher, (0, length - len(teacher)))
    K = root @ responses(system, length).T
    K = K / np.linalg.norm(K, axis=0)
    left = target - K @ np.linalg.lstsq(K, target, rcond=1e-13)[0]
    return 1 - np.linalg.norm(left) ** 2 / np.linalg.norm(target) ** 2


@pytest.mark.parametrize("name", list(SYSTEMS))
@pytest.mark.parametrize("length", [1, 37, 600])
def test_it_is_what_a_regression_finds(name, length):
    teacher = kernel(length)
    found = float(visible_fraction(SYSTEMS[name], teacher))
    assert found == pytest.approx(regressed(SYSTEMS[name], teacher.numpy(), max(1500, length)), abs=1e-9)
    total = float(teacher.square().sum())
    assert float(reachable_loss(SYSTEMS[name], teacher)) == pytest.approx((1 - found) * total / 2, rel=1e-9)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_of_one_lag_it_is_the_memory_function(name):
    memory = memory_function(SYSTEMS[name], 30).values
    for lag in (0, 3, 29):
        teacher = torch.nn.functional.one_hot(torch.tensor(lag), 30).double()
        assert float(visible_fraction(SYSTEMS[name], teacher)) == pytest.approx(
            float(memory[lag]), rel=1e-11, abs=1e-15
        )


def test_small_shares_and_small_losses_keep_their_digits():
    system = LinearSystem.from_eigenvalues([0.1])
    far = [0.0] * 20 + [1.0]
    assert float(visible_fraction(system, far)) == pytest.approx(0.99 * 0.01**20, rel=1e-12)
    own = 0.1 ** torch.arange(30, dtype=torch.float64)  # lacks what lies beyond: 0.1**60
    assert float(reachable_loss(system, own)) == pytest.approx(0.5 * 0.99 * 1e-60 * 1 / 0.99**2, rel=1e-6) or (
        float(reachable_loss(system, own)) < 1e-30
    )
    nearly = own.clone()
    nearly[0] += 1e-6
    exact = 1e-12 * (1 - 0.99)  # what a mode does not see of lag 0
    assert 2 * float(reachable_loss(system, nearly)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("name", ["s4d", "ring", "dense", "complex"])
def test_over_a_horizon(name):
    teacher = kernel(25)
    found = float(visible_fraction(SYSTEMS[name], teacher, horizon=40))
    assert found == pytest.approx(regressed(SYSTEMS[name], teacher.numpy(), 40), abs=1e-9)
    one = torch.nn.functional.one_hot(torch.tensor(11), 40).double()
    wanted = horizon_memory(SYSTEMS[name], 40).values[11]
    assert float(visible_fraction(SYSTEMS[name], one, horizon=40)) == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.parametrize("horizon", [None, 60])
@pytest.mark.parametrize("name", ["s4d", "ring", "dense"])
def test_correlated_input(name, horizon):
    length = horizon or 1500
    r = 0.8 ** np.arange(200) * np.cos(0.3 * np.arange(200))
    R = np.array([[r[abs(s - t)] if abs(s - t) < 200 else 0.0 for t in range(length)] for s in range(length)])
    teacher = kernel(20)
    found = float(visible_fraction(SYSTEMS[name], teacher, horizon=horizon, input_autocovariance=r))
    assert found == pytest.approx(regressed(SYSTEMS[name], teacher.numpy(), length, R), abs=1e-8)


def test_white_is_a_special_autocovariance():
    white = visible_fraction(SYSTEMS["s4d"], kernel(30))
    assert float(visible_fraction(SYSTEMS["s4d"], kernel(30), input_autocovariance=[2.0])) == pytest.approx(
        float(white)
    )


def test_batches():
    system = init.ring(8, seed=0, channels=3)
    found = visible_fraction(system, kernel(20))
    one = LinearSystem.from_log_eigenvalues(system.log_modes[2], conj_sym=True)
    assert found.shape == (3,)
    assert float(found[2]) == pytest.approx(float(visible_fraction(one, kernel(20))), rel=1e-12)
    assert reachable_loss(system, kernel(20)).shape == (3,)


@pytest.mark.parametrize(
    ("system", "teacher", "options", "match"),
    [
        (SYSTEMS["s4d"], [], {}, r"teacher: expected one vector, a weight a lag, got shape \(0,\)"),
        (SYSTEMS["s4d"], [0.0, 0.0], {}, "teacher: expected a weight that is not zero, got zeros only"),
        (SYSTEMS["s4d"], [1.0, np.nan], {}, "teacher: expected finite weights, got 1 NaN or infinite"),
        (SYSTEMS["s4d"], "far", {}, "teacher: expected"),
        (SYSTEMS["s4d"], [1.0] * 5, {"horizon": 4}, "teacher: expected at most horizon = 4 lags, got 5"),
        (SYSTEMS["s4d"], [1.0], {"input_autocovariance": [1.0, 2.0]}, "expected one that is positive definite"),
        (SYSTEMS["s4d"], [1.0], {"input_autocovariance": [0.0]}, r"expected r\(0\) > 0, got 0"),
        (LinearSystem.from_eigenvalues([0.5], B=[[1.0, 2.0]]), [1.0], {}, "expected one input channel, got 2"),
        (LinearSystem.from_eigenvalues([1 - 1e-7]), [1.0], {"input_autocovariance": [1.0]}, "give horizon="),
        ([0.5], [1.0], {}, "system: expected a LinearSystem, got list"),
    ],
)
def test_bad_input(system, teacher, options, match):
    with pytest.raises(InputError, match=match):
        visible_fraction(system, teacher, **options)


def test_the_unit_circle_needs_a_horizon():
    with pytest.raises(UnstableError, match=r"max \|λ\| = 1"):
        visible_fraction(init.fourier(4, 20), [1.0])
    assert float(visible_fraction(init.fourier(4, 20), [1.0], horizon=20)) == pytest.approx(3 / 20)
