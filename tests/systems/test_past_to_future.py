"""The past-to-future map: against blocks of the whole matrix, known ranks, linear systems; bad input."""

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor

from ssmemory.errors import InputError
from ssmemory.systems import LinearSystem, TimeVaryingSystem, effective_state_size, past_to_future

T, N, BATCH = 17, 4, (2, 3)


def draw(*shape: int, seed: int, complex_: bool = False) -> Tensor:
    dtype = torch.complex128 if complex_ else torch.float64
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def made(structure: str, complex_: bool = False) -> TimeVaryingSystem:
    B, C = (draw(*BATCH, T, N, seed=seed, complex_=complex_) for seed in (1, 2))
    if structure == "diagonal":
        return TimeVaryingSystem.diagonal(0.9 * draw(*BATCH, T, N, seed=3, complex_=complex_).tanh(), B, C=C)
    if structure == "logarithmic":
        return TimeVaryingSystem.diagonal(log_decay=-draw(*BATCH, T, N, seed=3).abs(), B=B, C=C)
    if structure == "scalar":
        return TimeVaryingSystem.scalar(draw(*BATCH, T, seed=3, complex_=complex_).tanh(), B, C=C)
    if structure == "delta":
        k = torch.nn.functional.normalize(draw(*BATCH, T, N, seed=4, complex_=complex_), dim=-1)
        return TimeVaryingSystem.delta(draw(*BATCH, T, seed=5).sigmoid(), k, draw(*BATCH, T, seed=6).sigmoid(), B, C=C)
    return TimeVaryingSystem.dense(draw(*BATCH, T, N, N, seed=3, complex_=complex_) / 2, B, C=C)


def step_matrix(system: TimeVaryingSystem, t: int) -> Tensor:
    gates = system.gates.exp() if system.logarithmic else system.gates
    if system.structure == "diagonal":
        return torch.diag_embed(gates[..., t, :])
    if system.structure == "dense":
        return gates[..., t, :, :]
    eye = torch.eye(N, dtype=system.B.dtype)
    if system.structure == "scalar":
        return gates[..., t, None, None] * eye
    k, beta = system.k[..., t, :, None], system.beta[..., t, None, None]
    return gates[..., t, None, None] * (eye - beta * (k @ k.mH))


def whole_matrix(system: TimeVaryingSystem) -> Tensor:
    """Row t, column j: ``C_t A_t … A_{j+1} B_j``, by running the recurrence on impulses."""
    matrix = torch.zeros(*BATCH, T, T, dtype=system.B.dtype)
    for j in range(T):
        x = torch.zeros(*BATCH, N, 1, dtype=system.B.dtype)
        for t in range(T):
            x = step_matrix(system, t) @ x
            if t == j:
                x = x + system.B[..., t, :, None]
            matrix[..., t, j] = (system.C[..., t, None, :] @ x).squeeze(-1).squeeze(-1)
    return matrix


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("structure", ["diagonal", "logarithmic", "scalar", "delta", "dense"])
def test_singular_values_are_those_of_the_block_of_the_whole_matrix(structure, complex_):
    system = made(structure, complex_)
    matrix, found = whole_matrix(system).numpy(), past_to_future(system)
    assert found.positions.tolist() == list(range(T - 1))
    for p in range(T - 1):
        wanted = np.linalg.svd(matrix[..., p + 1 :, : p + 1], compute_uv=False)[..., :N]
        values = found.singular_values[..., p, : wanted.shape[-1]].numpy()
        np.testing.assert_allclose(values, wanted, rtol=1e-9, atol=1e-12 * wanted.max())
        assert not found.singular_values[..., p, wanted.shape[-1] :].any()
    same = past_to_future(torch.from_numpy(matrix))
    assert torch.equal(same.rank(1e-9), found.rank(1e-9))
    torch.testing.assert_close(same.effective, found.effective, rtol=1e-9, atol=1e-9)


def test_random_keys_and_queries_use_all_there_is():
    system = TimeVaryingSystem.scalar(torch.ones(T), draw(T, N, seed=1), C=draw(T, N, seed=2))
    assert past_to_future(system).rank().tolist() == [min(p + 1, N, T - 1 - p) for p in range(T - 1)]


def test_softmax_attention_has_no_state_to_bound_it():
    scores = draw(T, T, seed=1).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
    assert past_to_future(scores.softmax(-1)).rank().tolist() == [min(p + 1, T - 1 - p) for p in range(T - 1)]


def test_what_a_delta_rule_has_overwritten_is_not_used():
    key = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    system = TimeVaryingSystem.delta(None, key, torch.ones(6), C=key)
    assert past_to_future(system).rank().tolist() == [0] * 5  # every step overwrites all
    assert past_to_future(system).effective.tolist() == [0.0] * 5


def test_a_long_constant_system_has_its_hankel_rank():
    lti = LinearSystem.from_eigenvalues([0.9, 0.5, -0.3], B=[1.0, 1.0, 0.0], C=[1.0, 1.0, 1.0])
    length = 60
    system = TimeVaryingSystem.diagonal(
        lti.eigenvalues.real.expand(length, 3), lti.B[:, 0].real.expand(length, 3), C=lti.C[0].real.expand(length, 3)
    )
    found = past_to_future(system, 30)
    assert found.rank().tolist() == [2]
    assert int(effective_state_size(lti, 1.0)) == 2


def test_a_constant_system_in_the_middle_has_its_hankel_singular_values():
    from ssmemory.systems import hankel_singular_values

    lti = LinearSystem.from_eigenvalues([0.9, 0.5], C=[1.0, 2.0])
    length = 800
    system = TimeVaryingSystem.diagonal(
        lti.eigenvalues.real.expand(length, 2), torch.ones(length, 2), C=lti.C[0].real.expand(length, 2)
    )
    wanted = LinearSystem.from_eigenvalues([0.9, 0.5], B=[0.9, 0.5], C=[1.0, 2.0])  # the future begins a step later
    found = past_to_future(system, [400]).singular_values[0]
    torch.testing.assert_close(found, hankel_singular_values(wanted), rtol=1e-10, atol=0)


def test_effective_is_between_one_and_the_rank():
    found = past_to_future(made("dense"))
    assert bool((found.effective >= 1 - 1e-12).all())
    assert bool((found.effective <= found.rank() + 1e-12).all())
    equal = past_to_future(
        TimeVaryingSystem.scalar(torch.ones(4), torch.eye(2).repeat(2, 1), C=torch.eye(2).repeat(2, 1))
    )
    torch.testing.assert_close(equal.effective[1], torch.tensor(2.0).double())


SYSTEM = TimeVaryingSystem.scalar([1.0] * 4, [[1.0]] * 4, C=[[1.0]] * 4)
BAD = [
    (lambda: past_to_future(TimeVaryingSystem.scalar([1.0], [[1.0]], C=[[1.0]])), "two steps", "1", "no past"),
    (lambda: past_to_future(TimeVaryingSystem.scalar([1.0] * 3, [[1.0]] * 3)), "read-out C", "none", "give C"),
    (lambda: past_to_future(SYSTEM, 3), "0 … 2", "3", "no future"),
    (lambda: past_to_future(SYSTEM, []), "0 … 2", r"\[\]", "no future"),
    (lambda: past_to_future(SYSTEM, [0, 1.5]), "0 … 2", "1.5", "no future"),
    (lambda: past_to_future(torch.ones(4, 4)), "later input", "1 above", "mask"),
    (lambda: past_to_future(torch.ones(4, 3)), "matrix", r"\(4, 3\)", "one row an output"),
    (lambda: past_to_future(SYSTEM).rank(0.0), "1e-15", "0.0", "default"),
    (lambda: TimeVaryingSystem.scalar([1.0] * 4, [[1.0]] * 4, C=[[1.0]] * 3), "4 steps", "3", "cut both"),
    (lambda: TimeVaryingSystem.scalar([1.0] * 4, [[1.0]] * 4, C=[[1.0, 2.0]] * 4), "size 1", "2", "last dimension"),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
