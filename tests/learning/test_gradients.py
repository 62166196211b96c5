"""Gradients in closed form against automatic differentiation of a kernel written out anew, and against differences."""

import math

import numpy as np
import pytest
import torch
from tests.reference.stein import memory_of_matrices

from ssmemory import LinearSystem, init, memory_function, nn
from ssmemory.errors import InputError, UnstableError
from ssmemory.learning.gradients import kernel_gradients, step_reach

HORIZON = 60


def teacher(length: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def values(n: int, seed: int, *, real: bool = False) -> torch.Tensor:
    dtype = torch.float64 if real else torch.complex128
    return torch.randn(n, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def loss_of(parts: dict[str, torch.Tensor], target: torch.Tensor, paired: bool, dt_of: str | None) -> torch.Tensor:
    """½ Σ|α − α*|² from leaves C, B, D and one of: eigenvalues, log_eigenvalues, or A with dt."""
    B = parts["B"].to(torch.complex128)
    if dt_of is None:
        poles = parts["eigenvalues"] if "eigenvalues" in parts else parts["log_eigenvalues"].exp()
    else:
        A, dt = parts["A"], parts["dt"]
        if dt_of == "zoh":
            poles = torch.exp(dt * A)
            B = B * (poles - 1) / A
        else:
            poles, B = (1 + dt * A / 2) / (1 - dt * A / 2), B * dt / (1 - dt * A / 2)
    powers = torch.stack([poles**t for t in range(HORIZON)], -1)
    kernel = (parts["C"].to(torch.complex128) * B) @ powers
    kernel = 2 * kernel.real if paired else kernel
    kernel = torch.cat([kernel[:1] + parts["D"], kernel[1:]])
    residual = kernel - torch.nn.functional.pad(target, (0, HORIZON - len(target)))
    return 0.5 * residual.abs().square().sum()


def leaves(**parts: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: part.clone().requires_grad_() for name, part in parts.items()}


def agrees(found, leaf: torch.Tensor) -> None:
    torch.testing.assert_close(found.total, leaf.grad.reshape(found.total.shape), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.by_lag.sum(-1), found.total, rtol=0, atol=0)
    assert found.by_lag.shape == (len(found.total), HORIZON)


POLES = torch.tensor([0.9 + 0.2j, 0.5, -0.3 + 0.6j, 0.99j], dtype=torch.complex128)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("held", ["eigenvalues", "log_eigenvalues"])
def test_in_discrete_time(paired, held, real):
    B, C, D = values(4, 1, real=real), values(4, 2, real=real), values(1, 3, real=True)
    parts = leaves(C=C, B=B, D=D, **{held: POLES if held == "eigenvalues" else POLES.log()})
    loss = loss_of(parts, teacher(), paired, None)
    loss.backward()
    system = LinearSystem.from_eigenvalues(POLES, B, C, float(D), conj_sym=paired)
    found = kernel_gradients(system, teacher(), horizon=HORIZON)
    assert found.loss == pytest.approx(loss.item(), rel=1e-12)
    for name, leaf in parts.items():
        agrees(getattr(found, name), leaf)
    assert not bool(found.D.by_lag[:, 1:].any())
    assert found.A is None
    assert found.dt is None


def test_a_complex_teacher_and_a_complex_feedthrough():
    target, D = torch.complex(teacher(), teacher(seed=9)), values(1, 3)
    parts = leaves(C=values(4, 2), B=values(4, 1), D=D, eigenvalues=POLES)
    loss_of(parts, target, False, None).backward()
    system = LinearSystem.from_eigenvalues(POLES, values(4, 1), values(4, 2), complex(D))
    found = kernel_gradients(system, target, horizon=HORIZON)
    for name, leaf in parts.items():
        agrees(getattr(found, name), leaf)


CONTINUOUS = torch.tensor([-0.5 + 3j, -1.0, -0.2 - 7j, -4 + 1j], dtype=torch.complex128)


@pytest.mark.parametrize("step", ["one", "tiny", "one a mode"])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("rule", ["zoh", "bilinear"])
def test_in_continuous_time(rule, paired, step):
    dt = {"one": 0.1, "tiny": 1e-4, "one a mode": [0.1, 0.02, 0.3, 0.5]}[step]
    dt = torch.tensor(dt, dtype=torch.float64)
    A = CONTINUOUS if step != "tiny" else CONTINUOUS * 1e3
    B, C, D = values(4, 1), values(4, 2), values(1, 3, real=True)
    parts = leaves(C=C, B=B, D=D, A=A, dt=dt)
    loss_of(parts, teacher(), paired, rule).backward()
    if step == "one a mode":
        logs, bars = zip(
            *(
                (one.log_modes, one.B.squeeze(-1))
                for one in (
                    LinearSystem.from_continuous(A[k : k + 1], B[k : k + 1], dt=dt[k], discretization=rule)
                    for k in range(4)
                )
            ),
            strict=True,
        )
        system = LinearSystem.from_log_eigenvalues(torch.cat(logs), torch.cat(bars), C, float(D), conj_sym=paired)
    else:
        system = LinearSystem.from_continuous(A, B, C, float(D), dt=dt, discretization=rule, conj_sym=paired)
    found = kernel_gradients(system, teacher(), horizon=HORIZON, dt=dt, discretization=rule)
    agrees(found.C, parts["C"])
    agrees(found.B_continuous, parts["B"])
    agrees(found.A, parts["A"])
    agrees(found.dt, parts["dt"])


@pytest.mark.parametrize("rule", ["zoh", "bilinear"])
def test_it_is_the_gradient_of_a_layer(rule):
    """Every parameter of S4D, driven by an impulse, whose output is its kernel."""
    generator = torch.Generator().manual_seed(0)
    layer = nn.S4D(1, 8, dt_min=0.1, dt_max=0.1, discretization=rule, generator=generator).double()
    impulse = torch.nn.functional.one_hot(torch.tensor(0), HORIZON).double().reshape(1, HORIZON, 1)
    target = torch.nn.functional.pad(teacher(), (0, HORIZON - 40))
    (0.5 * (layer(impulse)[0].flatten() - target).square().sum()).backward()
    all_of, dt = layer.system(), layer.log_dt.detach().exp()[0]
    one = LinearSystem.from_log_eigenvalues(
        all_of.log_modes[0], all_of.B[0], all_of.C[0], all_of.D[0].squeeze(), conj_sym=True
    )
    found = kernel_gradients(one, teacher(), horizon=HORIZON, dt=dt, discretization=rule)
    A = -layer.log_A_real.detach().exp()[0]
    close = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(torch.view_as_real(found.C.total), layer.C.grad[0], **close)
    torch.testing.assert_close(torch.view_as_real(found.B_continuous.total), layer.B.grad[0], **close)
    torch.testing.assert_close(found.D.total, layer.D.grad, **close)
    torch.testing.assert_close(found.A.total.real * A, layer.log_A_real.grad[0], **close)
    torch.testing.assert_close(found.A.total.imag, layer.A_imag.grad[0], **close)
    torch.testing.assert_close(found.dt.total * dt, layer.log_dt.grad, **close)


@pytest.mark.parametrize("paired", [False, True])
def test_differences(paired):
    """A real and an imaginary step of λ, both ways."""
    B, C, h = values(4, 1), values(4, 2), 1e-6

    def loss(poles):
        system = LinearSystem.from_eigenvalues(poles, B, C, conj_sym=paired)
        return kernel_gradients(system, teacher(), horizon=HORIZON).loss

    found = kernel_gradients(
        LinearSystem.from_eigenvalues(POLES, B, C, conj_sym=paired), teacher(), horizon=HORIZON
    ).eigenvalues.total
    for k in range(4):
        shift = torch.nn.functional.one_hot(torch.tensor(k), 4) * h
        real = (loss(POLES + shift) - loss(POLES - shift)) / (2 * h)
        imaginary = (loss(POLES + 1j * shift) - loss(POLES - 1j * shift)) / (2 * h)
        assert complex(found[k]) == pytest.approx(complex(real, imaginary), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("start", [1, 3, 50])
def test_what_is_left_out_is_told(paired, start):
    """What a short horizon says lies beyond is what a long one finds there."""
    parts = {"B": values(5, 1), "C": values(5, 2), "dt": 0.1, "conj_sym": paired}
    A = torch.cat([CONTINUOUS, torch.tensor([-9.0 + 0j])])
    system = LinearSystem.from_continuous(A, **parts)
    short = kernel_gradients(system, teacher(1), horizon=start, dt=0.1)
    long = kernel_gradients(system, teacher(1), dt=0.1)
    assert short.left_out + short.loss == pytest.approx(long.loss, rel=1e-11)
    for name in ("C", "B", "eigenvalues", "log_eigenvalues", "A", "B_continuous", "dt"):
        less, more = getattr(short, name), getattr(long, name)
        scale = float(more.norm.sum())
        torch.testing.assert_close(less.total + less.beyond, more.total, rtol=1e-10, atol=1e-13 * scale)
        torch.testing.assert_close(less.by_lag, more.by_lag[:, :start], rtol=1e-12, atol=1e-14 * scale)
        assert float(more.beyond.abs().max()) < 1e-14 * scale
    assert long.left_out < 1e-15 * long.loss


def test_an_eigenvalue_of_zero():
    """A shift register of one step: λ = 0 is moved by lag 1 alone."""
    system = LinearSystem.from_eigenvalues([0.0, 0.5], C=[1.0, 1.0])
    found = kernel_gradients(system, [0.0, 2.0, 3.0], horizon=6)
    assert found.eigenvalues.by_lag[0].real.tolist() == [0.0, -1.5, 0.0, 0.0, 0.0, 0.0]
    assert found.log_eigenvalues.total[0] == 0
    short, long = (kernel_gradients(system, [1.0], horizon=h).eigenvalues for h in (1, 40))
    torch.testing.assert_close(short.total + short.beyond, long.total, rtol=1e-12, atol=1e-12)
    moved = kernel_gradients(LinearSystem.from_eigenvalues([1e-7, 0.5], C=[1.0, 1.0]), [0.0, 2.0, 3.0], horizon=6)
    back = kernel_gradients(LinearSystem.from_eigenvalues([-1e-7, 0.5], C=[1.0, 1.0]), [0.0, 2.0, 3.0], horizon=6)
    assert (moved.loss - back.loss) / 2e-7 == pytest.approx(float(found.eigenvalues.total[0].real), rel=1e-6)
    by_bilinear = kernel_gradients(system, [0.0, 2.0], horizon=6, dt=0.1, discretization="bilinear")
    assert bool(torch.isfinite(torch.view_as_real(by_bilinear.A.total)).all())
    with pytest.raises(InputError, match="dt: expected λ ≠ 0, as by zoh, got λ = 0"):
        kernel_gradients(system, [1.0], dt=0.1)


def test_the_unit_circle_over_a_horizon():
    system = LinearSystem.from_eigenvalues([1.0], C=[1.0])
    found = kernel_gradients(system, [1.0], horizon=4)
    assert found.eigenvalues.by_lag.real.tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert found.eigenvalues.beyond is None
    assert math.isnan(found.left_out)
    with pytest.raises(UnstableError, match=r"got max \|λ\| = 1; give horizon="):
        kernel_gradients(system, [1.0])


ONE = LinearSystem.from_eigenvalues([0.5], C=[1.0])


@pytest.mark.parametrize(
    ("system", "target", "options", "match"),
    [
        (ONE, [0.0], {}, "a weight that is not zero"),
        (ONE, [1.0] * 5, {"horizon": 4}, "at most horizon = 4 lags, got 5"),
        (ONE, [1.0], {"dt": -1.0}, "dt: expected positive steps, got -1.0"),
        (ONE, [1.0], {"dt": [0.1, 0.1]}, r"dt: expected a number, or one a mode \(1,\), got \(2,\)"),
        (ONE, [1.0], {"dt": "short"}, "dt: expected a number"),
        (ONE, [1.0], {"dt": 0.1, "discretization": "bilinaer"}, "did you mean 'bilinear'"),
        (ONE, [1.0], {"horizon": 2**23}, "horizon: expected at most 4194304 modes × lags"),
        (LinearSystem.from_eigenvalues([0.5]), [1.0], {}, "C: expected one output, got none"),
        (LinearSystem.from_eigenvalues([0.5], C=[[1.0], [2.0]]), [1.0], {}, "C: expected one output, got 2 outputs"),
        (LinearSystem.from_eigenvalues([0.5], B=[[1.0, 2.0]]), [1.0], {}, "one input channel, got 2"),
        (init.random_dense(3, 0.9, seed=0), [1.0], {}, "system: expected a diagonal one, got LinearSystem"),
        (init.ring(4, seed=0, channels=2), [1.0], {}, "expected one system, got a batch"),
        ("s4d", [1.0], {}, "expected a LinearSystem, got str"),
    ],
)
def test_bad_input(system, target, options, match):
    with pytest.raises(InputError, match=match) as caught:
        kernel_gradients(system, target, **options)
    assert "\n" not in str(caught.value)


DOUBLED = {
    "complex": [0.9 + 0.1j, -0.5j, 0.3],
    "pairs": [0.95 + 0.2j, 0.95 - 0.2j, 0.4],
    "zero": [0.0, 0.7],
    "crowded": [0.8, 0.80001],
}


@pytest.mark.parametrize("name", list(DOUBLED))
def test_the_reach_of_a_step_is_the_memory_of_jordan_blocks(name):
    """Against Gramians of the doubled system in ball arithmetic."""
    poles = np.array(DOUBLED[name], complex)
    n, lags = len(poles), [0, 1, 5, 20, 60]
    jordan = np.kron(np.diag(poles), np.eye(2)) + np.kron(np.eye(n), [[0, 0], [1, 0]])
    wanted = memory_of_matrices(jordan, np.tile([1.0, 0.0], n), lags)
    system = LinearSystem.from_eigenvalues(poles)
    close = {"rtol": 1e-11, "atol": 1e-300}
    np.testing.assert_allclose(step_reach(system, 61).values[lags].numpy(), wanted, **close)
    np.testing.assert_allclose(step_reach(system, lags).values.numpy(), wanted, **close)


def test_the_reach_of_a_step_is_a_projection_on_the_derivatives():
    """By QR of λ^τ and τ λ^(τ−1), real and imaginary parts, of conjugate pairs and a real mode."""
    system, length = init.s4d_lin(6, 0.3), 400
    poles, t = np.unique(system.eigenvalues.numpy().round(13)), np.arange(length)[:, None]
    columns = np.concatenate([poles**t, t * poles ** np.maximum(t - 1, 0)], 1)
    Q = np.linalg.qr(columns / np.linalg.norm(columns, axis=0))[0]
    found = step_reach(system, length)
    np.testing.assert_allclose(found.values.numpy(), (np.abs(Q) ** 2).sum(1), atol=1e-9)
    assert int(found.rank) == 2 * int(system.rank)


def test_a_step_reaches_further_than_the_state():
    system = init.ring(8, 0.3, 0.9, seed=0, channels=3)
    reached, held = step_reach(system, 50), memory_function(system, 50)
    assert reached.values.shape == (3, 50)
    assert bool((reached.values >= held.values).all())
    torch.testing.assert_close(reached.capacity, 2 * held.capacity)
    assert bool((reached.reach(0.1) > held.reach(0.1)).all())


def test_the_reach_of_a_step_on_a_dense_system():
    dense = init.random_dense(5, 0.9, seed=1)
    diagonal = LinearSystem.from_eigenvalues(torch.linalg.eigvals(dense.A))
    torch.testing.assert_close(step_reach(dense, 40).values, step_reach(diagonal, 40).values, rtol=1e-9, atol=1e-15)


def test_the_reach_of_a_step_has_gradients():
    poles = torch.tensor([0.5 + 0.3j, 0.2], dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: step_reach(LinearSystem.from_eigenvalues(z), 6).values, (poles,))


def test_the_reach_of_a_step_needs_one_input_and_decay():
    with pytest.raises(InputError, match="one input channel, got 2"):
        step_reach(LinearSystem.from_eigenvalues([0.5], B=[[1.0, 2.0]]), 3)
    with pytest.raises(UnstableError, match="max"):
        step_reach(LinearSystem.from_eigenvalues([1.0]), 3)
    with pytest.raises(InputError, match="lags"):
        step_reach(ONE, [-1])
