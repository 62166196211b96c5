"""Gated recurrences, given their gates: responses against a simulation, structures against the dense one, refusals."""

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.systems.time_varying import TimeVaryingSystem

T, N = 23, 4
BATCH = (3, 2)
RNG = np.random.default_rng(0)


def numbers(*shape: int, complex_values: bool = False) -> np.ndarray:
    real = RNG.standard_normal(shape)
    return real + 1j * RNG.standard_normal(shape) if complex_values else real


def made(structure: str, complex_values: bool) -> tuple[TimeVaryingSystem, np.ndarray, np.ndarray]:
    """A system, and its A and B written out by hand."""
    B = numbers(*BATCH, T, N, complex_values=complex_values)
    if structure == "diagonal":
        a = 0.8 * numbers(*BATCH, T, N, complex_values=complex_values)
        return TimeVaryingSystem.diagonal(a, B), a[..., None] * np.eye(N), B
    if structure == "scalar":
        a = 0.8 * numbers(*BATCH, T, complex_values=complex_values)
        return TimeVaryingSystem.scalar(a, B), a[..., None, None] * np.eye(N), B
    if structure == "dense":
        A = 0.5 * numbers(*BATCH, T, N, N, complex_values=complex_values)
        return TimeVaryingSystem.dense(A, B), A, B
    k = numbers(*BATCH, T, N, complex_values=complex_values)
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    decay, beta = RNG.uniform(0.5, 1, (*BATCH, T)), RNG.uniform(0, 2, (*BATCH, T))
    outer = k[..., :, None] * k[..., None, :].conj()
    A = decay[..., None, None] * (np.eye(N) - beta[..., None, None] * outer)
    return TimeVaryingSystem.delta(decay, k, beta, B), A, B


@pytest.mark.parametrize("complex_values", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("structure", ["diagonal", "scalar", "delta", "dense"])
def test_responses_are_those_of_a_run(structure, complex_values):
    system, A, B = made(structure, complex_values)
    assert (system.length, system.d_state, system.batch_shape) == (T, N, BATCH)
    position = 17
    u = numbers(*BATCH, T)
    x = np.zeros((*BATCH, N))
    for t in range(position + 1):
        x = np.einsum("...nm,...m->...n", A[..., t, :, :], x) + B[..., t, :] * u[..., t, None]
    K = system.responses(position).numpy()
    assert K.shape == (*BATCH, N, position + 1)
    assert K.dtype == (np.complex128 if complex_values else np.float64)
    got = np.einsum("...nt,...t->...n", K, u[..., position::-1])
    assert np.abs(got - x).max() < 1e-13 * np.abs(x).max()
    dense = TimeVaryingSystem.dense(A, B).responses(position).numpy()
    assert np.abs(K - dense).max() < 1e-13 * np.abs(dense).max()


def test_logarithms_keep_decays_next_to_one():
    length, rate = 20_001, 1e-12
    logs = np.full((length, 1), -rate)
    K = TimeVaryingSystem.diagonal(B=np.ones((length, 1)), log_decay=logs).responses(length - 1)
    lost = -torch.special.expm1(-rate * torch.arange(length, dtype=torch.float64))
    assert float((1 - K[0] - lost).abs().max()) < 2e-16


def test_strong_decay_neither_overflows_nor_divides():
    length = 3000
    logs = RNG.uniform(-40, 0, (length, N))
    K = TimeVaryingSystem.diagonal(B=np.ones((length, N)), log_decay=logs).responses(length - 1)
    plain = TimeVaryingSystem.diagonal(np.exp(logs), np.ones((length, N))).responses(length - 1)
    assert bool(torch.isfinite(K).all())
    assert torch.allclose(K, plain, rtol=1e-11, atol=1e-290)
    assert float(K[:, -1].abs().max()) == 0


def test_a_zero_gate_forgets_all():
    K = TimeVaryingSystem.scalar([1.0, 1.0, 0.0, 1.0], np.ones((4, 1))).responses(3)
    assert K.tolist() == [[1, 1, 0, 0]]


def test_batches_broadcast_and_come_in_blocks():
    A, B = RNG.uniform(0, 1, (3, 2, T, N)), numbers(1, 2, T, N)
    system = TimeVaryingSystem.diagonal(A, B)
    whole = system.responses(5).reshape(6, N, 6)
    pieces = torch.cat([block.responses(5) for block in system.blocks(4)])
    assert torch.equal(pieces, whole)
    assert repr(system) == "TimeVaryingSystem(diagonal, batch=(3, 2), length=23, d_state=4)"
    assert [block.batch_shape for block in TimeVaryingSystem.diagonal(A[0, 0], B[0, 0]).blocks(4)] == [(1,)]


def test_the_delta_rule_writes_its_own_input():
    k, beta = numbers(T, N), RNG.uniform(0, 1, T)
    own = TimeVaryingSystem.delta(None, k, beta)
    assert torch.equal(own.B, TimeVaryingSystem.delta(None, k, beta, beta[:, None] * k).B)


diagonal, scalar, delta, dense = (
    TimeVaryingSystem.diagonal,
    TimeVaryingSystem.scalar,
    TimeVaryingSystem.delta,
    TimeVaryingSystem.dense,
)
ONE = np.ones((T, N))
ROWS = [
    ("no gates", lambda: diagonal(B=ONE), "A or log_decay", "neither", "logarithm"),
    ("both", lambda: scalar([1.0], [[1.0]], log_decay=[0.0]), "a or log_decay", "both", "logarithm"),
    ("NaN", lambda: diagonal(ONE * np.nan, ONE), "finite", "92 NaN", "check"),
    ("NaN in B", lambda: scalar(np.ones(T), ONE * np.nan), "finite", "92 NaN", "check"),
    ("no B", lambda: scalar(np.ones(T)), "array of numbers", "None", "give"),
    ("words", lambda: diagonal("abc", ONE), "array of numbers", "abc", "give"),
    ("empty", lambda: diagonal(ONE[:0], ONE[:0]), "none of them 0", r"\(0, 4\)", "at least one step"),
    ("no step axis", lambda: diagonal([1.0], ONE), r"\(\*batch, T, N\)", r"\(1,\)", "a step"),
    ("lengths", lambda: scalar(np.ones(5), ONE), "5 steps, as a has", "23", "cut"),
    ("states", lambda: diagonal(ONE[:, :3], ONE), "size 3", "4", "last dimension"),
    ("batches", lambda: diagonal(np.ones((3, T, N)), np.ones((2, T, N))), r"\(3,\)", r"\(2,\)", "same batch"),
    ("not square", lambda: dense(np.ones((T, N, 3)), ONE), r"T, N, N", r"\(23, 4, 3\)", "square"),
    ("dense, states", lambda: dense(np.ones((T, N, N)), ONE[:, :2]), "size 4", "2", "last dimension"),
    ("delta, lengths", lambda: delta(None, ONE, np.ones(5)), "23 steps, as k has", "5", "cut"),
    ("delta, batches", lambda: delta(None, np.ones((2, T, N)), np.ones((3, T))), r"\(2,\)", r"\(3,\)", "same"),
    ("position", lambda: diagonal(ONE, ONE).responses(T), r"0 … 22", "23", "first step"),
    ("negative", lambda: diagonal(ONE, ONE).responses(-1), r"0 … 22", "-1", "first step"),
    ("fraction", lambda: diagonal(ONE, ONE).responses(1.5), r"0 … 22", "1.5", "first step"),
    ("overflow", lambda: diagonal(1e20 * ONE, ONE).responses(22), "1e308", "position 22", "earlier"),
    ("overflow, log", lambda: scalar(log_decay=50 * np.ones(T), B=ONE).responses(22), "1e308", "22", "earlier"),
    ("overflow, dense", lambda: dense(1e20 * np.ones((T, N, N)), ONE).responses(22), "1e308", "22", "earlier"),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_refusals(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def test_growth_within_range_is_allowed():
    K = diagonal(1.5 * ONE, ONE).responses(T - 1)
    assert float(K[0, -1]) == pytest.approx(1.5 ** (T - 1), rel=1e-14)
