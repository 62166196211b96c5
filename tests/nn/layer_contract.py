"""What every recurrent layer promises, and what one with a linear system inside promises beyond that.

A new layer inherits every check by saying how to make one::

    class TestMyLayer(LayerContract):
        @pytest.fixture
        def make(self):
            return lambda: MyLayer(5, d_state=8)
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line
from torch import Tensor, nn

from ssmemory import LinearSystem
from ssmemory.errors import InputError
from ssmemory.fit import freeze
from ssmemory.nn import named_roles
from ssmemory.systems import HasSystem

BATCH, LENGTH = 4, 21
ENDS = [21, 1, 8, 15]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def close(got: Tensor, wanted: Tensor, tolerance: float = 1e-11) -> None:
    """Compare with the largest entry as the measure."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    error = float((got - wanted).detach().abs().max() / wanted.detach().abs().max().clamp(min=1e-30))
    assert error < tolerance, f"off by {error:.1e} of the largest entry"


def impulse_response(system: LinearSystem, length: int) -> Tensor:
    """Return (length, outputs, inputs), for one system a channel or one with as many inputs as channels."""
    response = system.markov_parameters(length)
    return torch.diag_embed(response[..., 0, 0].T) if system.batch_shape else response


def dense_recurrence(system: LinearSystem, u: Tensor) -> Tensor:
    """Run ``x = A x + B u``, ``y = C x + D u`` with dense matrices, one step after the other."""
    dense = system.to_dense()
    assert dense.A is not None
    assert dense.C is not None
    u = u.unsqueeze(-1 if system.batch_shape else -2)  # (batch, length, systems, inputs)
    x = torch.zeros(len(u), u.shape[2], dense.A.shape[-1], dtype=torch.complex128)
    y = []
    for u_t in u.unbind(1):
        driven = torch.einsum(
            "...ni,b...i->b...n", dense.B.to(x.dtype), u_t.to(x.dtype).reshape(len(u), *u_t.shape[1:])
        )
        x = torch.einsum("...nm,b...m->b...n", dense.A.to(x.dtype), x) + driven
        y_t = torch.einsum("...on,b...n->b...o", dense.C.to(x.dtype), x).real
        y.append(y_t if dense.D is None else y_t + torch.einsum("...oi,b...i->b...o", dense.D, u_t))
    return torch.stack(y, 1).flatten(-2)


def step_by_step(layer: nn.Module, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    y = []
    for u_t in u.unbind(1):
        y_t, state = layer.step(u_t, state)
        y.append(y_t)
    return torch.stack(y, 1), state


def gradients(objective: Tensor, layer: nn.Module, *others: Tensor) -> list[Tensor]:
    wanted = [*layer.parameters(), *others]
    return list(torch.autograd.grad(objective, wanted, retain_graph=True, materialize_grads=True))


def refused(call: Callable[[], object], what: str, expected: str, got: object, fix: str) -> None:
    """Check that a call is refused with one line; ``expected`` is a regular expression, ``got`` is verbatim."""
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(f"{what}: ")
    assert_one_line(str(caught.value), expected, f"got {re.escape(str(got))};", fix)


class PoisonedNumpy:
    """numpy with NaN in its empty arrays, for plain Python: what numba compiles takes the real one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = np.float64) -> Any:
        array = np.zeros(shape, dtype)
        array[...] = np.nan if array.dtype.kind in "fc" else np.iinfo(array.dtype).max
        return array

    @staticmethod
    def empty_like(array: Any) -> Any:
        return PoisonedNumpy.empty(array.shape, array.dtype)


class RecurrentContract:
    """What holds for any layer with a state that is handed on. Inherit it, and override `make`."""

    nothing_to_freeze: ClassVar[set[str]] = set()  # the modes that find nothing in this layer

    def comparable(self, state: Tensor) -> Tensor:
        """Return the state in a form that is equal for equal pasts; for layers that pad theirs."""
        return state

    def check_trained(self, layer: nn.Module) -> None:
        """Check more of a layer trained at ten times the usual learning rate."""

    @pytest.fixture(autouse=True)
    def poisoned_memory(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Fill uninitialised memory with NaN."""
        for name, module in list(sys.modules.items()):
            if name.startswith("ssmemory.") and not name.endswith("_compiled") and vars(module).get("np") is np:
                monkeypatch.setattr(module, "np", PoisonedNumpy())
        before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
        torch.utils.deterministic.fill_uninitialized_memory = True
        torch.use_deterministic_algorithms(True)
        assert bool(torch.empty(3).isnan().all())
        yield
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]

    @pytest.fixture
    def make(self) -> Callable[[], nn.Module]:
        """Hand out a function that makes a new float32 layer, its parameters from torch's generator."""
        raise NotImplementedError

    @pytest.fixture
    def layer(self, make: Callable[[], nn.Module]) -> nn.Module:
        torch.manual_seed(0)
        return make().double()

    @pytest.fixture
    def u(self, layer: nn.Module) -> Tensor:
        return draw(BATCH, LENGTH, layer.d_model)

    @pytest.fixture
    def state(self, layer: nn.Module, u: Tensor) -> Tensor:
        """Hand out a state that is not zero."""
        return layer(u.flip(1))[1].detach()

    # one recurrence, whichever way it is run

    @pytest.mark.parametrize("cuts", [[1], [20], [8], [4, 12], [5, 6, 7, 20], list(range(1, LENGTH))], ids=str)
    def test_the_whole_is_any_split_with_the_state_handed_on(self, layer, u, state, cuts):
        whole, after = layer(u, state)
        pieces, handed = [], state
        for piece in u.tensor_split(cuts, 1):
            y, handed = layer(piece, handed)
            pieces.append(y)
        close(torch.cat(pieces, 1), whole)
        close(self.comparable(handed), self.comparable(after))

    def test_the_whole_is_step_by_step(self, layer, u, state):
        whole, after = layer(u, state)
        y, stepped = step_by_step(layer, u, state)
        close(y, whole)
        close(self.comparable(stepped), self.comparable(after))
        for by_steps, at_once in zip(
            gradients(y.sin().sum() + stepped.abs().sum(), layer),
            gradients(whole.sin().sum() + after.abs().sum(), layer),
            strict=True,
        ):
            close(by_steps, at_once)

    def test_no_state_is_the_initial_state(self, layer, u):
        first = layer.initial_state(BATCH)
        assert first.shape[0] == BATCH
        assert not first.any()
        y, after = layer(u)
        y_zero, after_zero = layer(u, first)
        assert torch.equal(y, y_zero)
        assert torch.equal(after, after_zero)
        assert after.dtype == first.dtype

    # gradients through the state

    def test_gradients_flow_through_the_state(self, layer, u, state):
        u.requires_grad_()
        state.requires_grad_()
        _, handed = layer(u[:, :8], state)
        second, after = layer(u[:, 8:], handed)
        whole, after_whole = layer(u, state)
        in_pieces = gradients(second.sin().sum() + after.abs().sum(), layer, u, state)
        at_once = gradients(whole[:, 8:].sin().sum() + after_whole.abs().sum(), layer, u, state)
        for got, wanted in zip(in_pieces, at_once, strict=True):
            close(got, wanted)
        assert bool((in_pieces[-2][:, :8].abs().amax((1, 2)) > 0).all())  # what came before the cut matters
        assert bool((in_pieces[-1].flatten(1).abs().amax(1) > 0).all())
        (cut,) = torch.autograd.grad(layer(u[:, 8:], handed.detach())[0].sin().sum(), u)
        assert not cut[:, :8].any()

    # lengths

    @pytest.mark.parametrize("garbage", [0.0, 1e6, float("nan")])
    def test_padding_changes_nothing(self, layer, u, state, garbage):
        for b, end in enumerate(ENDS):
            u[b, end:] = garbage
        u.requires_grad_()
        y, after = layer(u, state, torch.tensor(ENDS))
        together = gradients(y.sin().sum() + after.abs().sum(), layer, u)
        alone = [torch.zeros_like(gradient) for gradient in together]
        for b, end in enumerate(ENDS):
            y_alone, after_alone = layer(u[b : b + 1, :end], state[b : b + 1])
            close(y[b : b + 1, :end], y_alone)
            close(self.comparable(after[b : b + 1]), self.comparable(after_alone))
            assert not y[b, end:].any()
            assert not together[-1][b, end:].any()
            for total, part in zip(
                alone, gradients(y_alone.sin().sum() + after_alone.abs().sum(), layer, u), strict=True
            ):
                total += part
        for got, wanted in zip(together, alone, strict=True):
            close(got, wanted)

    def test_full_lengths_are_the_default(self, layer, u):
        for given, default in zip(layer(u, None, torch.full((BATCH,), LENGTH)), layer(u), strict=True):
            assert torch.equal(given, default)

    @pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
    def test_lengths_of_any_whole_dtype(self, layer, u, dtype):
        for given, wanted in zip(
            layer(u, None, torch.tensor(ENDS, dtype=dtype)), layer(u, None, torch.tensor(ENDS)), strict=True
        ):
            assert torch.equal(given, wanted)

    # nothing but the arguments matters

    def test_sequences_of_a_batch_do_not_see_each_other(self, layer, u, state):
        lengths, others = torch.tensor(ENDS), torch.tensor([0, 1, 3])
        changed, changed_state = u.index_add(0, others, u[others]), state.index_add(0, others, state[others])
        for given, wanted in zip(layer(changed, changed_state, lengths), layer(u, state, lengths), strict=True):
            assert torch.equal(given[2], wanted[2])
            assert bool((given != wanted).flatten(1).any(1)[others].all())

    def test_the_order_in_a_batch_does_not_matter(self, layer, u, state):
        order, lengths = torch.tensor([2, 0, 3, 1]), torch.tensor(ENDS)
        for given, wanted in zip(layer(u[order], state[order], lengths[order]), layer(u, state, lengths), strict=True):
            close(given, wanted[order], 1e-13)
        (y, after), (wanted, wanted_after) = layer(u[1:2], state[1:2], lengths[1:2]), layer(u, state, lengths)
        close(y, wanted[1:2])
        close(self.comparable(after), self.comparable(wanted_after[1:2]))

    def test_it_is_causal(self, layer, u):
        changed = u.clone()
        changed[:, 13:] += 1
        before, after = layer(u)[0], layer(changed)[0]
        assert torch.equal(before[:, :13], after[:, :13])
        assert bool((before[:, 13] != after[:, 13]).all())

    def test_the_same_call_gives_the_same_bits(self, layer, u, state):
        u.requires_grad_()
        results = []
        for _ in range(3):
            y, after = layer(u, state)
            results.append([y, after, *gradients(y.sin().sum() + after.abs().sum(), layer, u)])
        assert all(torch.equal(a, b) for again in results[1:] for a, b in zip(again, results[0], strict=True))

    def test_arguments_are_left_as_they_were(self, layer, u, state):
        u_before, state_before = u.clone(), state.clone()
        layer(u, state)[0].sum().backward()
        layer.step(u[:, 0], state)
        assert torch.equal(u, u_before)
        assert torch.equal(state, state_before)

    def test_training_and_evaluation_mode_are_the_same(self, layer, u):
        assert torch.equal(layer.train()(u)[0], layer.eval()(u)[0])

    # parameters

    def test_state_dict_round_trip(self, make, u):
        torch.manual_seed(1)
        layer = make()
        other, u = make(), u.float()
        assert not torch.equal(layer(u)[0], other(u)[0])
        assert other.load_state_dict(layer.state_dict()) == nn.modules.module._IncompatibleKeys([], [])
        assert torch.equal(layer(u)[0], other(u)[0])

    def test_the_seed_decides(self, make):
        def parameters(seed: int) -> Iterator[Tensor]:
            torch.manual_seed(seed)
            return make().parameters()

        assert all(torch.equal(a, b) for a, b in zip(parameters(3), parameters(3), strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(parameters(3), parameters(4), strict=True))

    def test_every_parameter_has_a_role(self, layer):
        roles = {role for _, _, role in named_roles(layer)}
        assert roles <= {"eigenvalues", "input", "gate", "readout"}
        assert all(hasattr(layer, name) for name in layer.roles)

    @pytest.mark.parametrize("mode", ["eigenvalues", "recurrence"])
    def test_what_is_frozen_keeps_its_bits_while_the_rest_moves(self, layer, u, state, mode):
        if mode in self.nothing_to_freeze:
            with pytest.raises(InputError) as caught:
                freeze(layer, mode)
            assert_one_line(str(caught.value), f"parameters to freeze in mode '{mode}'", "none", "ssmemory.nn")
            return
        record = freeze(layer, mode)
        before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(2):
            optimiser.zero_grad()
            y, after = layer(u, state)
            (y.sin().sum() + layer.step(u[:, 0], after)[0].cos().sum()).backward()
            optimiser.step()
        record.check(layer)
        kept = {name for name, p in layer.named_parameters() if torch.equal(p.detach(), before[name])}
        assert kept == set(record.initial) != set(before)

    # precision

    def test_float32(self, make, layer, u):
        single = make()
        single.load_state_dict(layer.state_dict())
        assert {parameter.dtype for parameter in single.parameters()} == {torch.float32}
        y, after = single(u.float())
        wanted, wanted_after = layer(u.float().double())
        assert y.dtype == torch.float32
        assert after.dtype in (torch.float32, torch.complex64)
        close(y.double(), wanted, 1e-5)
        close(after.to(wanted_after.dtype), wanted_after, 1e-5)
        y_t, after = single.step(u[:, 0].float(), after)
        assert y_t.dtype == torch.float32
        assert after.dtype in (torch.float32, torch.complex64)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_autocast_leaves_the_recurrence_in_float32(self, make, layer, u, dtype):
        single = make()
        single.load_state_dict(layer.state_dict())
        u = u.to(dtype)
        results = []
        for context in (torch.autocast("cpu", dtype=torch.bfloat16), nullcontext()):
            with context:
                y, after = single(u if isinstance(context, torch.autocast) else u.float())
                y_t, stepped = single.step(u[:, 0] if isinstance(context, torch.autocast) else u[:, 0].float(), after)
            results.append([y, after, y_t, stepped, *gradients(y.sin().sum() + y_t.sin().sum(), single)])
        for under, without in zip(*results, strict=True):
            assert under.dtype == without.dtype
            assert torch.equal(under, without)
        assert results[0][0].dtype == results[0][2].dtype == torch.float32

    # training

    def test_ten_times_the_learning_rate_leaves_it_finite_and_stable(self, make):
        torch.manual_seed(0)
        layer = make()
        optimiser = torch.optim.Adam(layer.parameters(), lr=1e-1)
        for step in range(200):
            u = draw(4, 32, layer.d_model, seed=2 * step, dtype=torch.float32)
            target = draw(4, 32, layer.d_model, seed=2 * step + 1, dtype=torch.float32)
            loss = (layer(u)[0] - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            assert bool(loss.isfinite()), step
            optimiser.step()
        for name, parameter in layer.named_parameters():
            assert bool(parameter.isfinite().all()), name
            assert bool(parameter.grad.isfinite().all()), name
        self.check_trained(layer)
        assert bool(layer(draw(1, 5000, layer.d_model, dtype=torch.float32))[0].isfinite().all())

    # bad input

    @pytest.mark.parametrize("kind", ["wrong width", "no batch", "one axis more", "empty", "no sequence"])
    def test_input_of_another_shape_is_refused(self, layer, u, state, kind):
        bad = {
            "wrong width": torch.cat([u, u], -1),
            "no batch": u[0],
            "one axis more": u.unsqueeze(1),
            "empty": u[:, :0],
            "no sequence": u[:0],
        }[kind]
        refused(lambda: layer(bad), "u", f"d_model = {layer.d_model}", tuple(bad.shape), "channels last")

    @pytest.mark.parametrize("kind", ["wrong width", "no batch", "a length", "no sequence"])
    def test_a_step_of_another_shape_is_refused(self, layer, u, state, kind):
        u_t = u[:, 0]
        bad = {"wrong width": torch.cat([u_t, u_t], -1), "no batch": u_t[0], "a length": u, "no sequence": u_t[:0]}[
            kind
        ]
        refused(lambda: layer.step(bad, state), "u", f"d_model = {layer.d_model}", tuple(bad.shape), "channels last")

    @pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
    def test_input_that_is_not_floating_point_is_refused(self, layer, u, state, dtype):
        got = str(dtype).removeprefix("torch.")
        refused(lambda: layer(u.to(dtype)), "u", "a real floating-point input", got, "embed or cast it")
        refused(lambda: layer.step(u[:, 0].to(dtype), state), "u", "real floating-point", got, "embed or cast it")

    @pytest.mark.parametrize("kind", ["another batch", "another size", "one axis less", "another dtype", "integers"])
    def test_the_state_of_another_layer_or_batch_is_refused(self, layer, u, state, kind):
        bad = {
            "another batch": state[:1],
            "another size": torch.cat([state, state], -1),
            "one axis less": state[0],
            "another dtype": state.real if state.is_complex() else state + 0j,
            "integers": state.real.long(),
        }[kind]
        got = f"{tuple(bad.shape)} {str(bad.dtype).removeprefix('torch.')}"
        expected = f"a {'complex' if state.is_complex() else 'real'} .*{state.shape[-1]}"
        refused(lambda: layer(u, bad), "state", expected, got, "this layer returned for this batch")
        refused(lambda: layer.step(u[:, 0], bad), "state", expected, got, "this layer returned for this batch")

    @pytest.mark.parametrize(
        "lengths",
        [[22, 1, 8, 15], [21, 0, 8, 15], [21, -1, 8, 15], [21.0, 1.0, 8.0, 15.0], [21, 1, 8], [ENDS]],
        ids=str,
    )
    def test_lengths_that_do_not_fit_are_refused(self, layer, u, lengths):
        def call() -> object:
            return layer(u, None, torch.tensor(lengths))

        refused(call, "lengths", f"{BATCH} whole numbers in 1 … {LENGTH}", lengths, "real steps of each sequence")


class LayerContract(RecurrentContract):
    """What holds beyond that for a layer with a linear system inside. Inherit it, and override `make`."""

    def check_trained(self, layer: nn.Module) -> None:
        assert bool((layer.system().eigenvalues.abs() < 1).all())

    def test_the_state_keeps_its_size(self, layer, u, state):
        first = layer.initial_state(BATCH)
        for after in (state, layer(u, state)[1], layer.step(u[:, 0], first)[1]):
            assert after.shape == first.shape

    def test_it_has_eigenvalues_to_freeze(self, layer):
        assert "eigenvalues" in layer.roles.values()

    def test_it_has_a_system(self, layer):
        assert isinstance(layer, HasSystem)
        system = layer.system()
        assert system.batch_shape in ((), (layer.d_model,))
        assert system.d_state == layer.d_state

    def test_the_impulse_response_is_that_of_the_system(self, layer):
        impulses = torch.zeros(layer.d_model, LENGTH, layer.d_model, dtype=torch.float64)
        impulses[:, 0] = torch.eye(layer.d_model)
        close(layer(impulses)[0].permute(1, 2, 0), impulse_response(layer.system(), LENGTH))

    def test_it_is_the_dense_recurrence_of_the_system(self, layer, u):
        close(layer(u)[0], dense_recurrence(layer.system(), u))

    def test_the_system_is_differentiable_in_all_parameters(self, layer):
        through_system = gradients(impulse_response(layer.system(), LENGTH).square().sum(), layer)
        impulses = torch.zeros(layer.d_model, LENGTH, layer.d_model, dtype=torch.float64)
        impulses[:, 0] = torch.eye(layer.d_model)
        for name, got, wanted in zip(
            dict(layer.named_parameters()),
            through_system,
            gradients(layer(impulses)[0].square().sum(), layer),
            strict=True,
        ):
            assert bool(got.abs().max() > 0), name
            close(got, wanted)
