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


@pytest.mark.parametrize("length", [24, 160])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_what_is_held_and_never_asked_for_is_not_used(complex_, length):
    basis = torch.linalg.qr(draw(N, N, seed=1, complex_=complex_)).Q  # else zeros are exact, and nothing is shown
    keys = draw(length, 1, seed=2, complex_=complex_) * basis[:1].conj()
    queries = draw(length, N - 1, seed=3, complex_=complex_) @ basis[1:]
    found = past_to_future(TimeVaryingSystem.scalar(torch.ones(length), keys, C=queries))
    assert not found.rank().any()
    assert not found.effective.any()
    queries = queries + basis[:1]
    assert bool((past_to_future(TimeVaryingSystem.scalar(torch.ones(length), keys, C=queries)).rank() == 1).all())


@pytest.mark.parametrize("structure", ["delta", "dense"])
def test_what_is_overwritten_in_any_basis_is_not_used(structure):
    k = torch.linalg.qr(draw(N, N, seed=1)).Q.repeat(6, 1)  # every step reads the key that it has just written
    if structure == "delta":
        system = TimeVaryingSystem.delta(None, k, torch.ones(len(k)), C=k)
    else:
        system = TimeVaryingSystem.dense(torch.eye(N).double() - k[:, :, None] * k[:, None, :], k, C=k)
    assert not past_to_future(system).rank().any()
    late = k.roll(1, 0)  # every step reads the key of the step before
    reads = TimeVaryingSystem(system.structure, system.gates, False, system.B, system.k, system.beta, late)
    assert past_to_future(reads).rank().tolist() == [1] * (len(k) - 1)


def test_strong_forgetting_is_not_taken_for_rounding():
    gates = torch.full((6, 1), -200.0)
    found = past_to_future(TimeVaryingSystem.diagonal(log_decay=gates, B=torch.ones(6, 1), C=torch.ones(6, 1)))
    assert found.rank().tolist() == [1] * 5
    np.testing.assert_allclose(found.singular_values[:, 0], np.exp(-200.0), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_the_size_of_the_state_is_no_matter(size):
    B, C = size * draw(T, N, seed=1), draw(T, N, seed=2) / size
    found = past_to_future(TimeVaryingSystem.scalar(torch.ones(T), B, C=C))
    plain = past_to_future(TimeVaryingSystem.scalar(torch.ones(T), B / size, C=C * size))
    torch.testing.assert_close(found.singular_values, plain.singular_values, rtol=1e-9, atol=1e-12)
    assert found.rank().tolist() == [min(p + 1, N, T - 1 - p) for p in range(T - 1)]
    matrix = 1e200 * (draw(T, N, seed=2) @ draw(T, N, seed=1).mT).tril()
    assert torch.equal(past_to_future(matrix).rank(), found.rank())


def test_a_matrix_in_single_precision_has_the_rank_of_its_factors():
    keys, queries = draw(64, N, seed=1).float(), draw(64, N, seed=2).float()
    operator = (queries @ keys.mT).tril()
    for given in (operator, operator.numpy()):
        assert past_to_future(given).rank().tolist() == [min(p + 1, N, 63 - p) for p in range(63)]


@pytest.mark.parametrize("structure", ["diagonal", "logarithmic", "scalar", "delta", "dense"])
def test_observations_are_what_outputs_show_of_a_state(structure):
    system, p = made(structure, structure != "logarithmic"), 5
    x = draw(*BATCH, N, 1, seed=9).to(system.B.dtype)
    seen, start = system.observations(p), x
    assert seen.shape == (*BATCH, T - 1 - p, N)
    for i, t in enumerate(range(p + 1, T)):
        x = step_matrix(system, t) @ x
        y = system.C[..., t, None, :] @ x
        torch.testing.assert_close(seen[..., i, None, :] @ start, y, rtol=1e-11, atol=1e-13)
    assert system.observations(T - 1).shape == (*BATCH, 0, N)
    back = system.adjoint().adjoint()
    assert torch.equal(back.gates, system.gates)
    assert torch.equal(back.B, system.B)
    assert torch.equal(back.C, system.C)


def test_the_read_out_is_shown_and_goes_with_its_block():
    system = made("delta")
    assert repr(system) == "TimeVaryingSystem(delta, batch=(2, 3), length=17, d_state=4, with C)"
    pieces = torch.cat([past_to_future(block, [7]).singular_values for block in system.blocks(4)])
    torch.testing.assert_close(pieces.reshape(*BATCH, 1, N), past_to_future(system, 7).singular_values)


@pytest.mark.parametrize("positions", [np.int64(2), np.array([2]), torch.tensor(2), range(2, 3)])
def test_positions_come_in_any_integer_form(positions):
    assert past_to_future(SYSTEM, positions).positions.tolist() == [2]


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


def growing(gate: float) -> TimeVaryingSystem:
    return TimeVaryingSystem.scalar([gate] * 25, [[1.0, 1.0]] * 25, C=[[1.0, -1.0]] * 25)


BAD = [
    (lambda: past_to_future(TimeVaryingSystem.scalar([1.0], [[1.0]], C=[[1.0]])), "two steps", "1", "no past"),
    (lambda: past_to_future(TimeVaryingSystem.scalar([1.0] * 3, [[1.0]] * 3)), "read-out C", "none", "give C"),
    (lambda: past_to_future(SYSTEM, 3), "0 … 2", "3", "no future"),
    (lambda: past_to_future(SYSTEM, -1), "0 … 2", "-1", "no future"),
    (lambda: past_to_future(SYSTEM, []), "whole number", r"\[\]", "no future"),
    (lambda: past_to_future(SYSTEM, 1.5), "whole number", "1.5", "no future"),
    (lambda: past_to_future(SYSTEM, True), "whole number", "True", "no future"),
    (lambda: past_to_future(growing(1e20), 22), "responses below 1e308", "at position 22", "earlier"),
    (lambda: past_to_future(growing(1e20), 0), "observations below 1e308", "after position 0", "later"),
    (lambda: past_to_future(growing(1e20), 12), "map below 1e308", "at position 12", "cut"),
    (lambda: past_to_future(LinearSystem.from_eigenvalues([0.5])), "matrix", "LinearSystem", "effective_state_size"),
    (lambda: past_to_future(torch.ones(0, 0)), "matrix", r"\(0, 0\)", "one row an output"),
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
