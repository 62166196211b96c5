"""Learning curves in closed form against training: the layer's own C by torch's optimiser, in double precision."""

import math

import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, init, nn
from ssmemory.errors import InputError
from ssmemory.learning import readout_modes, visible_fraction


def kernel(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) / length**0.5


def trained(features, teacher, steps: int, lr: float, momentum: float, weights=None) -> list[float]:
    """The losses of torch's SGD on the weights of given responses (features, lags)."""
    w = torch.zeros(len(features), dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.SGD([w], lr=lr, momentum=momentum)
    losses = []
    for _ in range(steps + 1):
        residual = w @ features - teacher
        weighted = residual if weights is None else weights.to(residual.dtype) @ residual
        loss = 0.5 * (residual.conj() * weighted).real.sum()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return losses


def features_of(system: LinearSystem, length: int) -> torch.Tensor:
    """(features, lags): what a readout of the state weighs."""
    if system.conj_sym:
        x = torch.stack([system.B.squeeze(-1) * torch.exp(system.log_modes * t) for t in range(length)], -1)
        return torch.cat([2 * x.real, -2 * x.imag])
    dense = system.to_dense()
    state, rows = dense.B.squeeze(-1), []
    for _ in range(length):
        rows.append(state)
        state = dense.A @ state.to(dense.A.dtype)
    return torch.stack([row.to(dense.A.dtype) for row in rows], -1)


CASES = {
    "conjugate pairs": init.ring(8, 0.3, 0.9, seed=0),
    "real mode merged": init.s4d_lin(8, 0.3),
    "complex": LinearSystem.from_eigenvalues([0.8 + 0.2j, 0.5, -0.3j], B=[1.0, 2.0, 0.5j]),
    "dense": init.random_dense(5, 0.8, seed=2),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", list(CASES))
def test_descent_is_training(name, momentum):
    system, teacher, length = CASES[name], kernel(20), 700
    target = torch.nn.functional.pad(teacher, (0, length - 20))
    features = features_of(system, length)
    modes = readout_modes(system, teacher)
    lr = 0.9 * modes.largest_lr
    losses = trained(features, target.to(features.dtype), 200, lr, momentum)
    predicted = modes.descent(range(201), lr=lr, momentum=momentum)
    assert np.abs(predicted.numpy() - losses).max() < 1e-9
    assert predicted[-1] < 0.9 * predicted[0]


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("correlated", [False, True])
def test_descent_over_a_horizon(name, correlated):
    system, teacher, length = CASES[name], kernel(20), 40
    r = 0.7 ** np.arange(40)
    R = torch.from_numpy(np.array([[r[abs(s - t)] for t in range(40)] for s in range(40)]))
    options = {"horizon": length, "input_autocovariance": r if correlated else None}
    modes = readout_modes(system, teacher, **options)
    features = features_of(system, length)
    target = torch.nn.functional.pad(teacher, (0, length - 20)).to(features.dtype)
    losses = trained(features, target, 100, 0.5 * modes.largest_lr, 0.0, R if correlated else None)
    predicted = modes.descent(range(101), lr=0.5 * modes.largest_lr)
    assert np.abs(predicted.numpy() - losses).max() < 1e-9


def test_it_is_how_a_layer_learns_its_C():
    """S4D driven by an impulse has its kernel as output: population loss of white input, from its own C."""
    layer = nn.S4D(1, 8, dt_min=0.2, dt_max=0.2, generator=torch.Generator().manual_seed(0)).double()
    layer.requires_grad_(False)
    layer.C.requires_grad_(True)
    layer.D.zero_()
    length, teacher = 60, kernel(30, seed=3)
    impulse = torch.nn.functional.one_hot(torch.tensor(0), length).double().reshape(1, length, 1)
    target = torch.nn.functional.pad(teacher, (0, length - 30))
    s = layer.system()
    one = LinearSystem.from_log_eigenvalues(s.log_modes[0], s.B[0], s.C[0], conj_sym=True)
    modes = readout_modes(one, teacher, horizon=length, from_readout=True)
    optimiser, losses = torch.optim.SGD([layer.C], lr=0.8 * modes.largest_lr, momentum=0.5), []
    for _ in range(300):
        loss = 0.5 * (layer(impulse)[0].flatten() - target).square().sum()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    predicted = modes.descent(range(300), lr=0.8 * modes.largest_lr, momentum=0.5)
    assert np.abs(predicted.numpy() / losses - 1).max() < 1e-6


def test_flow_is_the_limit_of_small_steps():
    modes = readout_modes(CASES["conjugate pairs"], kernel(20))
    fine = modes.descent([0, 10_000, 40_000], lr=1e-4)
    torch.testing.assert_close(modes.flow([0.0, 1.0, 4.0]), fine, rtol=1e-3, atol=0)


def test_it_ends_at_the_reachable_loss_and_begins_at_the_teacher():
    teacher = kernel(20)
    modes = readout_modes(CASES["conjugate pairs"], teacher)
    assert float(modes.flow([0.0])) == pytest.approx(0.5 * float(teacher.square().sum()), rel=1e-12)
    assert float(modes.flow([1e12])) == pytest.approx(modes.floor, rel=1e-9)
    assert modes.visible_fraction == pytest.approx(float(visible_fraction(CASES["conjugate pairs"], teacher)), rel=1e-9)


def test_a_whitened_state_learns_all_it_sees_at_one_rate():
    modes = readout_modes(CASES["conjugate pairs"], kernel(20), whitened=True)
    torch.testing.assert_close(modes.rates, torch.ones(8, dtype=torch.float64))
    raw = readout_modes(CASES["conjugate pairs"], kernel(20))
    assert modes.floor == raw.floor
    assert modes.conditioning < 1 + 1e-12 < raw.conditioning


def test_the_double_root_of_momentum():
    """lr σ² = (1 − √μ)², where both roots are √μ."""
    system = LinearSystem.from_eigenvalues([0.5])
    modes = readout_modes(system, [1.0])
    rate, mu = float(modes.rates), 0.25
    lr = (1 - math.sqrt(mu)) ** 2 / rate
    losses = trained(
        features_of(system, 80), torch.nn.functional.pad(torch.ones(1, dtype=torch.complex128), (0, 79)), 30, lr, mu
    )
    assert np.abs(modes.descent(range(31), lr=lr, momentum=mu).numpy() - losses).max() < 1e-12


def test_time_to():
    modes = readout_modes(LinearSystem.from_eigenvalues([0.5]), [1.0])
    assert modes.time_to(0.9) == pytest.approx(math.log(10) / 2 / float(modes.rates), rel=1e-9)
    with pytest.raises(InputError, match="share"):
        modes.time_to(1.0)


@pytest.mark.parametrize(
    ("steps", "options", "match"),
    [
        ([1], {"lr": 0.0}, "lr > 0"),
        ([1], {"lr": 1.0, "momentum": 1.0}, "momentum < 1"),
        ([-1], {"lr": 1.0}, "at least 0"),
    ],
)
def test_bad_descent(steps, options, match):
    with pytest.raises(InputError, match=match):
        readout_modes(LinearSystem.from_eigenvalues([0.5]), [1.0]).descent(steps, **options)


def test_a_start_needs_a_readout():
    with pytest.raises(InputError, match="C: expected one row, to start from, got none"):
        readout_modes(LinearSystem.from_eigenvalues([0.5]), [1.0], from_readout=True)
    with pytest.raises(InputError, match=r"expected one system, got a batch \(3,\)"):
        readout_modes(init.ring(8, seed=0, channels=3), [1.0])
