"""Memory for correlated input: a dense Toeplitz solve, white input, closed forms, a simulation, refusals."""

import math

import matplotlib
import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, init, memory_function
from ssmemory.errors import InputError, UnstableError
from ssmemory.memory import horizon_memory
from ssmemory.memory.correlated import correlated_memory

matplotlib.use("Agg")
MODES = np.array([0.95 * np.exp(0.4j), 0.9 * np.exp(1.5j), 0.7])


def ar1(rho: float, length: int = 600) -> np.ndarray:
    return rho ** np.arange(length)


def by_toeplitz(modes: np.ndarray, r: np.ndarray, horizon: int, n_lags: int) -> np.ndarray:
    K = modes[:, None] ** np.arange(horizon)
    R = scipy.linalg.toeplitz(np.pad(r, (0, max(0, horizon - len(r))))[:horizon])
    c = (K @ R)[:, :n_lags]
    return (c.conj() * np.linalg.solve(K @ R @ K.conj().T, c)).sum(0).real / r[0]


INPUTS = {
    "AR(1)": ar1(0.9),
    "alternating AR(1)": 3 * ar1(-0.8),
    "moving average": np.array([2.0, 1.0]),  # zero at the highest frequency
    "AR(2)": ar1(0.95) * np.cos(0.5 * np.arange(600)),
}


@pytest.mark.parametrize("r", INPUTS.values(), ids=INPUTS)
def test_dense_toeplitz_solve(r):
    memory = correlated_memory(LinearSystem.from_eigenvalues(MODES, conj_sym=True), r, 60)
    closure = np.array([*MODES[:2], *MODES[:2].conj(), MODES[2]])
    wanted = by_toeplitz(closure, r, 1000, 60)
    assert np.abs(memory.values.numpy() - wanted).max() < 1e-12
    assert int(memory.rank) == 5
    assert float(memory.values.max()) < 1 + 1e-12


def test_over_a_horizon():
    modes = np.exp(1j * np.array([0.3, 1.1, 2.5]))  # on the circle
    memory = correlated_memory(LinearSystem.from_eigenvalues(modes), ar1(0.7), [0, 5, 29], horizon=30)
    assert np.abs(memory.values.numpy() - by_toeplitz(modes, ar1(0.7), 30, 30)[[0, 5, 29]]).max() < 1e-12
    assert memory.horizon == 30


@pytest.mark.parametrize("system", [LinearSystem.from_eigenvalues(MODES), init.s4d_lin(16, dt=0.1)], ids=["3", "S4D"])
def test_white_input(system):
    memory = correlated_memory(system, [2.5], 50)
    assert float((memory.values - memory_function(system, 50).values).abs().max()) < 1e-12
    over = correlated_memory(system, [2.5], 40, horizon=40)
    assert float((over.values - horizon_memory(system, 40).values).abs().max()) < 1e-11


def test_one_mode_in_closed_form():
    a, rho, lags = 0.6, 0.9, np.arange(20)
    variance = (1 + a * rho) / ((1 - a**2) * (1 - a * rho))
    # E x[t] u[t−τ]: the inputs after it, and those up to it
    later = sum(a**s * rho ** (lags - s) * (s < lags) for s in range(20))
    c = later + a**lags / (1 - a * rho)
    memory = correlated_memory(LinearSystem.from_eigenvalues([a]), ar1(rho), 20)
    assert np.abs(memory.values.numpy() - c**2 / variance).max() < 1e-14


def test_a_shift_register_predicts_what_lies_beyond():
    A, B = np.diag(np.ones(4), -1), np.eye(5)[0]
    memory = correlated_memory(LinearSystem.from_matrices(A, B), ar1(0.8), 12)
    wanted = 0.8 ** (2 * np.maximum(np.arange(12) - 4, 0))
    assert np.abs(memory.values.numpy() - wanted).max() < 1e-12
    assert float(memory.values.sum()) > 5  # the rank is no bound


@pytest.mark.parametrize("lag", [0, 4])
def test_one_lag_of_a_register_takes_all_of_it(lag):
    A, B = np.diag(np.ones(4), -1), np.eye(5)[0]
    memory = correlated_memory(LinearSystem.from_matrices(A, B), ar1(0.8), [lag])
    assert float(memory.values) == pytest.approx(1, abs=1e-12)
    assert memory.horizon >= 5
    assert int(memory.rank) == 5


def test_jordan_blocks_forget_late():
    A, B = 0.9 * np.eye(4) + np.diag(np.ones(3), -1), np.eye(4)[0]
    K = np.stack([np.linalg.matrix_power(A, t) @ B for t in range(1500)], 1)
    root = np.linalg.cholesky(scipy.linalg.toeplitz(ar1(0.5, 1500))).T
    Q = np.linalg.qr(root @ K.T)[0]
    memory = correlated_memory(LinearSystem.from_matrices(A, B), ar1(0.5), 8)
    assert np.abs(memory.values.numpy() - ((Q.T @ root[:, :8]) ** 2).sum(0)).max() < 1e-10


def test_it_need_not_fall():
    seasonal = 0.99 ** np.arange(3000) * np.cos(math.pi * np.arange(3000) / 6)
    values = correlated_memory(LinearSystem.from_eigenvalues([0.5]), seasonal, 13).values
    assert float(values.diff().max()) > 0.1


def test_simulated_ar1():
    rng = np.random.default_rng(0)
    rho, steps, modes = 0.8, 400_000, np.array([0.9, 0.5, -0.7])
    u = scipy.signal.lfilter([1], [1, -rho], rng.standard_normal(steps))
    x = np.stack([scipy.signal.lfilter([1], [1, -a], u) for a in modes], 1)[1000:]
    past = np.stack([u[1000 - lag : steps - lag] for lag in range(12)], 1)
    left = past - x @ np.linalg.lstsq(x, past, rcond=None)[0]
    memory = correlated_memory(LinearSystem.from_eigenvalues(modes), ar1(rho), 12)
    assert np.abs(1 - left.var(0) / past.var(0) - memory.values.numpy()).max() < 2e-3


def test_a_batch_is_its_systems():
    modes = np.array([[0.9, 0.5], [0.8, -0.3], [0.99, 0.1]])
    memory = correlated_memory(LinearSystem.from_eigenvalues(modes), ar1(0.6), 10)
    assert memory.values.shape == (3, 10)
    for one, values in zip(modes, memory.values, strict=True):
        alone = correlated_memory(LinearSystem.from_eigenvalues(one), ar1(0.6), 10).values
        assert float((alone - values).abs().max()) < 1e-13
    assert memory.describe().startswith("For this input 2 state directions give memory")
    assert len(memory.plot().lines) == 1


ONE, CIRCLE = LinearSystem.from_eigenvalues([0.5]), LinearSystem.from_eigenvalues([1.0])
NAN = float("nan")
ROWS = [
    ("no lags", lambda: correlated_memory(ONE, [1.0], 0), InputError, "n ≥ 1", "0", "pass n"),
    ("negative lag", lambda: correlated_memory(ONE, [1.0], [-1]), InputError, "lags ≥ 0", "-1", "current"),
    ("late lag", lambda: correlated_memory(ONE, [1.0], [9], horizon=9), InputError, "at most 8", "9", "window"),
    ("horizon", lambda: correlated_memory(ONE, [1.0], 1, horizon=0), InputError, "at least 1", "0", "length"),
    ("complex", lambda: correlated_memory(ONE, [1.0, 0.1j], 1), InputError, "real", "complex", "stationary"),
    ("NaN", lambda: correlated_memory(ONE, [1.0, NAN], 1), InputError, "finite", "1 NaN", "stationary"),
    ("empty", lambda: correlated_memory(ONE, [], 1), InputError, "one vector", r"\(0,\)", "stationary"),
    ("words", lambda: correlated_memory(ONE, "abc", 1), InputError, "real", "abc", "stationary"),
    ("zero", lambda: correlated_memory(ONE, [0.0], 1), InputError, r"r\(0\) > 0", "0", "stationary"),
    ("indefinite", lambda: correlated_memory(ONE, [1.0, 0.9], 1), InputError, "definite", "down to -", "died away"),
    ("cut short", lambda: correlated_memory(ONE, ar1(0.99, 50), 1), InputError, "definite", "down to -", "biased"),
    ("not a system", lambda: correlated_memory(3, [1.0], 1), InputError, "LinearSystem", "int", "layer"),
    ("unstable", lambda: correlated_memory(CIRCLE, [1.0], 1), UnstableError, "< 1", "= 1", "scale"),
    (
        "slow",
        lambda: correlated_memory(LinearSystem.from_eigenvalues([0.99999]), [1.0], 1),
        InputError, r"2\*\*18", r"\d{6}", "horizon=",
    ),
    (
        "two inputs",
        lambda: correlated_memory(LinearSystem.from_eigenvalues([0.5, 0.9], B=np.ones((2, 2))), [1.0], 1),
        InputError, "one input", "2", "at a time",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "expected", "got", "fix"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_refusals(call, error, expected, got, fix):
    with pytest.raises(error) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def in_multiprecision(modes: np.ndarray, r: list[mpmath.mpf], n_lags: int) -> np.ndarray:
    n, horizon = len(modes), len(r)
    K = mpmath.matrix([[mpmath.mpf(float(x)) ** t for t in range(horizon)] for x in modes])
    c = K * mpmath.matrix([[r[abs(s - t)] for t in range(horizon)] for s in range(horizon)])
    solved = (c * K.T) ** -1 * c
    return np.array([float(sum(c[i, t] * solved[i, t] for i in range(n)) / r[0]) for t in range(n_lags)])


@pytest.mark.parametrize(("width", "sure"), [(0.8, 1e-10), (1.5, 1e-8), (2.5, 1e-5)])
def test_smooth_input_is_right_within_its_error_or_refused(width, sure):
    modes = np.array([0.9, 0.4, -0.3, -0.8])
    system = LinearSystem.from_eigenvalues(modes)
    r = np.exp(-((np.arange(40) / width) ** 2) / 2)
    with mpmath.workdps(60):
        wanted = in_multiprecision(modes, [mpmath.mpf(float(x)) for x in r], 10)
    memory = correlated_memory(system, r, 10, horizon=40)
    error = float((memory.values - torch.from_numpy(wanted)).abs().max())
    assert error <= float(memory.error) < sure


def test_an_input_without_high_frequencies_is_refused():
    r = np.exp(-((np.arange(400) / 20) ** 2) / 2)
    with pytest.raises(InputError) as caught:
        correlated_memory(LinearSystem.from_eigenvalues(np.linspace(-0.9, 0.9, 12)), r, 4)
    assert_one_line(str(caught.value), r"condition number below 1e\+09", r"\de\+", r"r\(0\)")
