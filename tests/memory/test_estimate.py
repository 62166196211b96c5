"""The estimated memory function: against the exact one, on noise, its streams, its interval, its refusals."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory import LinearSystem, memory_function
from ssmemory.errors import InputError
from ssmemory.init import random_dense, random_disk, ring, s4d_inv, s4d_lin
from ssmemory.memory import estimate as module
from ssmemory.memory.estimate import MemoryEstimate, estimate_memory

NOISE = np.random.default_rng(3).uniform(-1, 1, 20_000)


def states(system: LinearSystem, u: np.ndarray) -> np.ndarray:
    """(length, N) from a zero state; one half of conjugate pairs."""
    if system.log_modes is not None:
        return np.stack([lfilter([1.0], [1.0, -mode], u) for mode in system.log_modes.exp().numpy()], -1)
    A, b = system.A.numpy(), system.B.numpy()[:, 0]
    x = np.zeros((len(u) + 1, len(b)))
    for t, value in enumerate(u):
        x[t + 1] = A @ x[t] + b * value
    return x[1:]


SYSTEMS = {
    "ring": ring(16, 0.9, 0.99, seed=0),
    "random disk": random_disk(16, 0.99, seed=1),
    "Ginibre": random_dense(16, 0.9, seed=0),
    "S4D-Lin": s4d_lin(32, 0.03),
    "S4D-Inv": s4d_inv(8, 0.05),
    "two real modes": LinearSystem.from_eigenvalues([0.9, -0.9]),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_agrees_with_the_exact_memory_function(name):
    system, lags = SYSTEMS[name], 64
    exact = memory_function(system, lags)
    estimate = estimate_memory(states(system, NOISE), NOISE, lags)
    assert ((estimate.values - exact.values).abs() < 5 * estimate.stderr).all()
    error = estimate.capacity - float(exact.values.sum())
    width = estimate.capacity_interval[1] - estimate.capacity
    assert abs(error) < 2.5 * width
    assert width < 0.08 * estimate.capacity
    assert estimate.resolved_rank == int(exact.rank)
    assert estimate.n_samples == 18_000


@pytest.mark.parametrize("kind", ["white", "slow"])
def test_states_that_never_saw_the_input_hold_nothing(kind):
    other = np.random.default_rng(4).standard_normal((len(NOISE), 20))
    x = other if kind == "white" else lfilter([1.0], [1.0, -0.98], other, axis=0)
    estimate = estimate_memory(x, NOISE, 50)
    low, high = estimate.capacity_interval
    assert low < 0 < high
    assert (estimate.values.abs() < 5 * estimate.stderr).all()
    assert float((estimate.values > 1.5 * estimate.floor).double().mean()) < 0.3


def test_few_samples_leave_no_bias():
    """600 steps for 20 directions: without the correction every lag would hold 0.037, and 10 lags 0.37."""
    rng = np.random.default_rng(5)
    found = [estimate_memory(*rng_pair, 10).capacity for rng_pair in _pairs(rng, 40)]
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(len(found))
    assert np.std(found) < 0.1


def _pairs(rng: np.random.Generator, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rng.standard_normal((600, 20)), rng.standard_normal(600)) for _ in range(n)]


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    system = ring(8, 0.9, 0.97, seed=0)
    exact, held = memory_function(system, 24).values, []
    capacity = 0
    for seed in range(60):
        u = np.random.default_rng([seed, 1]).standard_normal(6000)
        estimate = estimate_memory(states(system, u), u, 24)
        low, high = estimate.interval.unbind(-1)
        held.append(((low <= exact) & (exact <= high)).double().mean())
        capacity += estimate.capacity_interval[0] <= float(exact.sum()) <= estimate.capacity_interval[1]
    assert np.mean(held) > 0.88  # 95 % of 60, four standard deviations allowed
    assert capacity >= 50


def equal(a: MemoryEstimate, b: MemoryEstimate, tolerance: float = 1e-9) -> bool:
    return bool(
        torch.allclose(a.values, b.values, rtol=0, atol=tolerance)
        and torch.allclose(a.stderr, b.stderr, rtol=1e-4, atol=tolerance)
        and abs(a.floor - b.floor) < tolerance
    )


def test_in_small_pieces_as_all_at_once(monkeypatch):
    x = states(SYSTEMS["ring"], NOISE)
    whole = estimate_memory(x, NOISE, 40)
    monkeypatch.setattr(module, "_CHUNK_NUMBERS", 100 * 64)
    assert equal(whole, estimate_memory(x, NOISE, 40))


def test_states_on_disk(tmp_path):
    x = states(SYSTEMS["S4D-Inv"], NOISE)
    np.save(tmp_path / "x.npy", x)
    assert equal(estimate_memory(x, NOISE, 9), estimate_memory(np.load(tmp_path / "x.npy", mmap_mode="r"), NOISE, 9))


def test_any_basis_offset_and_scale_of_the_states():
    x = states(SYSTEMS["two real modes"], NOISE).real
    mixed = 1e6 * x @ np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]) + 1e7
    a, b = estimate_memory(x, NOISE, 20), estimate_memory(mixed, 5 * NOISE + 3, 20)
    assert equal(a, b, 1e-8)
    assert (b.d_state, b.resolved_rank) == (3, 2)


def test_many_sequences_and_chosen_lags():
    system, u = SYSTEMS["two real modes"], NOISE.reshape(20, 1000)
    x = np.stack([states(system, row) for row in u])
    estimate = estimate_memory(torch.from_numpy(x), torch.from_numpy(u), [9, 0, 3], washout=100)
    exact = memory_function(system, [9, 0, 3]).values
    assert ((estimate.values - exact).abs() < 5 * estimate.stderr).all()
    assert estimate.n_samples == 20 * 900
    assert estimate.capacity == pytest.approx(float(estimate.values.sum()))


def test_a_complex_state_is_read_by_a_real_readout():
    x = states(LinearSystem.from_eigenvalues([0.9 * np.exp(0.5j)]), NOISE)
    estimate = estimate_memory(x, NOISE, 30)
    exact = memory_function(LinearSystem.from_eigenvalues([0.9 * np.exp(0.5j)], conj_sym=True), 30)
    assert ((estimate.values - exact.values).abs() < 5 * estimate.stderr).all()
    assert equal(estimate, estimate_memory(np.concatenate([x.real, x.imag], -1), NOISE, 30))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_lower_precision_is_known_by_its_own_rounding(dtype):
    """Two copies that differ by rounding are one direction, and two modes nearer than that too."""
    x = torch.from_numpy(states(SYSTEMS["two real modes"], NOISE).real).to(dtype)
    estimate = estimate_memory(torch.cat([x, 3 * x], -1), torch.from_numpy(NOISE).to(dtype), 10)
    assert (estimate.d_state, estimate.resolved_rank) == (4, 2)
    assert float(estimate.values[0]) == pytest.approx(1 - 0.9**4, abs=0.02)


def test_dead_and_rounded_parts_count_as_no_direction():
    x = states(LinearSystem.from_eigenvalues([0.5, 0.8]), NOISE).astype(np.complex128)
    dead = np.concatenate([x + 1e-17j * np.random.default_rng(0).standard_normal(x.shape), 0 * x + 7.3], -1)
    estimate = estimate_memory(dead, NOISE, 10)
    assert (estimate.d_state, estimate.resolved_rank) == (8, 2)


def test_says_where_float64_cannot_carry_the_memory():
    """Gaussian matrices of 100 rows: theory gives 100; the states as recorded hold far fewer directions."""
    system = random_dense(100, 0.9, seed=0)
    u = NOISE[:8000]
    estimate = estimate_memory(states(system, u), u, 150)
    assert estimate.resolved_rank < 85
    assert estimate.condition > 1e14
    assert estimate.capacity_interval[0] < estimate.resolved_rank + 0.5
    assert estimate.capacity < 0.9 * float(memory_function(system, 150).values.sum())
    assert f"{estimate.resolved_rank} of 100 directions" in estimate.describe()


class Delay(nn.Module):
    """Three taps, computed in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.taps = nn.Conv1d(1, 3, 3, padding=2)
        self.inner = nn.Identity()

    def forward(self, u: Tensor) -> Tensor:
        return self.inner(self.taps(u.mT)[..., : u.shape[1]].mT).mean(1)


def test_a_module_is_measured_through_its_layer_and_left_as_it_was():
    torch.manual_seed(0)
    model = Delay().eval()
    before = [p.clone() for p in model.parameters()]
    estimate = estimate_memory(model, NOISE[:4000], 6, layer="inner")
    assert estimate.values.numpy() == pytest.approx([1, 1, 1, 0, 0, 0], abs=0.01)
    assert (estimate.d_state, estimate.resolved_rank) == (3, 3)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert not model.inner._forward_hooks
    by_function = estimate_memory(lambda u: torch.cat([u, u.roll(1, 1)], -1), NOISE[:4000], 3)
    assert by_function.values.numpy() == pytest.approx([1, 1, 0], abs=0.01)


def test_the_same_seed_gives_the_same_numbers_and_words():
    x = states(SYSTEMS["two real modes"], NOISE).real
    a, b = estimate_memory(x, NOISE, 20, seed=1), estimate_memory(x, NOISE, 20, seed=1)
    assert torch.equal(a.values, b.values)
    assert a.floor == b.floor
    assert a.describe() == b.describe()
    assert "Remembers 1.9" in a.describe()
    assert "2 of 2 directions" in a.describe()


def test_a_plot_with_its_band():
    pytest.importorskip("matplotlib").use("Agg")
    estimate = estimate_memory(states(SYSTEMS["two real modes"], NOISE), NOISE, 60)
    ax = estimate.plot(label="estimate")
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert len(ax.collections) == 1
    assert len(ax.lines) == 3
    ax.figure.canvas.draw()


def test_a_wider_level_gives_a_wider_interval():
    x = states(SYSTEMS["two real modes"], NOISE)
    narrow, wide = (estimate_memory(x, NOISE, 5, level=level).interval.diff(dim=-1) for level in (0.68, 0.99))
    assert (wide > 2 * narrow).all()


X, U, NAN = np.random.default_rng(0).standard_normal((900, 3)), np.random.default_rng(1).standard_normal(900), math.nan
BAD = np.where(np.arange(900) == 500, NAN, U)


@pytest.mark.parametrize(
    ("call", "expected", "got", "fix"),
    [
        (lambda: estimate_memory(X[:70], U[:70], 5), "at least 80 steps for 3", "63", "record longer"),
        (lambda: estimate_memory(np.tile(X, 9)[:, :1], U, 880), "at least 64 steps", "21", "fewer lags"),
        (lambda: estimate_memory(X, U[:800], 5), r"shape \(1, 800, N\)", r"\(1, 900, 3\)", "same steps"),
        (lambda: estimate_memory(X[:, 0], U, 5), r"shape \(1, 900, N\)", r"\(900,\)", "same steps"),
        (lambda: estimate_memory(X, U, 1000), "below the length 900", "999", "fewer lags"),
        (lambda: estimate_memory(X, U, 0), "n ≥ 1", "0", "lags"),
        (lambda: estimate_memory(X, BAD, 5), "finite", "1 NaN", "come from"),
        (lambda: estimate_memory(X * BAD[:, None], U, 5), "finite", "3 NaN", "come from"),
        (lambda: estimate_memory(X, 0 * U + 2, 5), "varies", "the constant 2", "white noise"),
        (lambda: estimate_memory(0 * X + 0.1, U, 5), "vary in time", "3 constant", "drive"),
        (lambda: estimate_memory(X, U + 1j, 5), "real", "complex", "one real input"),
        (lambda: estimate_memory(X, U[:, None, None], 5), "numbers of shape", r"\(900, 1, 1\)", "one input"),
        (lambda: estimate_memory(X, ["a"], 5), "numbers of shape", "<U1", "one input"),
        (lambda: estimate_memory(X, U, 5, washout=900), "0 … 899", "900", "leave steps"),
        (lambda: estimate_memory(X, U, 5, blocks=4), "at least 20", "4", "interval"),
        (lambda: estimate_memory(X, U, 5, level=95), "between 0 and 1", "95", "usual"),
        (lambda: estimate_memory(X, U, 5, layer="a"), "none for recorded", "'a'", "module itself"),
        (lambda: estimate_memory(Delay(), U, 5), "evaluation mode", "training mode", "eval"),
        (lambda: estimate_memory("x", U, 5), "a module or a function", "str", "recorded states"),
    ],
)
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
