"""The compiled and the chunked recurrence against the naive one, and all three against real matrices in a loop."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ssmemory.ops import _diagonal_compiled as compiled
from ssmemory.ops import diagonal, diagonal_ssm, diagonal_ssm_chunked, diagonal_ssm_naive
from ssmemory.ops._lanes import LANES

NAMES = ["u", "log_eigenvalues", "B", "C", "state"]
ALL = [diagonal_ssm, diagonal_ssm_chunked, diagonal_ssm_naive]
FAST = [diagonal_ssm, diagonal_ssm_chunked]
LENGTHS = [1, 3, 4, 127, 128, 129, 261]  # around a group of 4 steps, and a chunk of 128
CHANNELS = [1, 7, 8, 9, 17]  # around 8 lanes
Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def problem(batch: int, length: int, channels: int, modes: int = 3, slowest: float = 1e-3) -> Problem:
    """Draw arguments whose decay times spread from one step to 1/slowest."""
    spread = torch.rand(channels, modes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    angle = 3 * normal(channels, modes, seed=1, dtype=torch.float64)
    u = normal(batch, length, channels, seed=2, dtype=torch.float64)
    B, C = normal(channels, modes, seed=3), normal(channels, modes, seed=4)
    return u, torch.complex(-(slowest**spread), angle), B, C, normal(batch, channels, modes, seed=5)


def blocks(z: Tensor) -> Tensor:
    """Return the real matrix of ``x → z x`` on (Re x_0, Im x_0, Re x_1, …): 2×2 blocks on the diagonal."""
    rows = torch.stack([z.real, -z.imag, z.imag, z.real], -1).unflatten(-1, (2, 2))
    return torch.stack([torch.block_diag(*row) for row in rows])


def dense_recurrence(
    u: Tensor, log_eigenvalues: Tensor, B: Tensor, C: Tensor, state: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run ``x = A x + B u``, ``y = C x`` in real arithmetic, one dense A a channel, one step after the other."""
    A, B = blocks(torch.exp(log_eigenvalues)), torch.view_as_real(B).flatten(-2)
    C = 2 * torch.view_as_real(C.conj().resolve_conj()).flatten(-2)
    entering = torch.einsum("hi,bth->thib", B, u)
    states = [torch.view_as_real(state).flatten(-2).permute(1, 2, 0)]
    for entered in entering:
        states.append(torch.baddbmm(entered, A, states[-1]))
    y = torch.einsum("hi,thib->bth", C, torch.stack(states[1:]))
    ends = torch.full((len(u),), u.shape[1]) if lengths is None else lengths
    real = torch.arange(u.shape[1]) < ends.unsqueeze(-1)
    last = torch.stack(states)[ends, :, :, torch.arange(len(u))]
    return y * real.unsqueeze(-1), torch.view_as_complex(last.unflatten(-1, (-1, 2)))


def functional(y: Tensor, last: Tensor) -> Tensor:
    """Return a real number that depends on every entry, each with a random weight of its own."""
    by_y, by_last = normal(*y.shape, seed=6).real, normal(*last.shape, seed=7)
    return (y * by_y.to(y.dtype)).sum() + (last * by_last.to(last.dtype)).real.sum()


def outcome(op: Callable[..., Any], arguments: Problem, *lengths: Tensor) -> dict[str, Tensor]:
    """Return y, the last state, and the gradient of a random functional of both in every argument."""
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    y, last = op(*leaves, *lengths)
    grads = torch.autograd.grad(functional(y, last), leaves)
    named = {f"gradient in {name}": grad for name, grad in zip(NAMES, grads, strict=True)}
    return {"y": y.detach(), "last state": last.detach(), **named}


@functools.cache
def wanted(batch: int, length: int, channels: int) -> dict[str, Tensor]:
    return outcome(dense_recurrence, problem(batch, length, channels))


def agree(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-11) -> None:
    for name, value in wanted.items():
        error = float((got[name] - value).abs().max() / value.abs().max().clamp(min=1e-300))
        assert error < tolerance, f"{name} is off by {error:.1e} of its largest entry"


def equal(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name, value in wanted.items():
        assert torch.equal(got[name], value), name


@pytest.fixture(autouse=True)
def threads():
    """One thread, as on a busy machine more wait for each other longer than they compute; hand out how to set more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("op", ALL, ids=lambda op: op.__name__)
class TestAgainstDenseMatrices:
    def test_values_and_gradients(self, op, length, channels):
        agree(outcome(op, problem(2, length, channels)), wanted(2, length, channels))


@pytest.mark.parametrize("op", FAST, ids=lambda op: op.__name__)
class TestLengths:
    @pytest.mark.parametrize("ends", [[1, 261, 130], [261, 128, 4], [127, 129, 3], [2, 5, 64]], ids=str)
    @pytest.mark.parametrize("channels", [1, 17])
    def test_values_and_gradients(self, op, ends, channels):
        arguments, lengths = problem(3, 261, channels), torch.tensor(ends)
        got = outcome(op, arguments, lengths)
        agree(got, outcome(dense_recurrence, arguments, lengths))
        for b, end in enumerate(ends):
            assert not got["y"][b, end:].any()
            assert not got["gradient in u"][b, end:].any()

    @pytest.mark.parametrize("batch", [10, 70])  # 70: a part of the batch, whose gradients are summed, has 2 or 3
    def test_every_length_of_a_short_sequence(self, op, batch):
        arguments, lengths = problem(batch, 10, 3), torch.arange(batch) % 10 + 1
        agree(outcome(op, arguments, lengths), outcome(dense_recurrence, arguments, lengths))

    @pytest.mark.parametrize("garbage", [1e30, float("inf"), float("nan")])
    def test_what_lies_beyond_changes_nothing(self, op, garbage):
        (u, *others), lengths = problem(3, 137, 5), torch.tensor([5, 137, 131])
        beyond = (torch.arange(137) >= lengths.unsqueeze(-1)).unsqueeze(-1)
        clean, dirty = u.masked_fill(beyond, 0), u.masked_fill(beyond, garbage)
        equal(outcome(op, (dirty, *others), lengths), outcome(op, (clean, *others), lengths))

    def test_full_lengths_are_the_default(self, op):
        arguments = problem(2, 130, 3)
        equal(outcome(op, arguments, torch.tensor([130, 130])), outcome(op, arguments))


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.__name__)
class TestPieces:
    @pytest.mark.parametrize(
        "cuts", [[1], [4], [128], [137, 138, 139], [3, 7, 128, 129, 257], list(range(8, 264, 16))], ids=str
    )
    def test_whole_is_in_pieces(self, op, cuts):
        u, *system, state = problem(2, 264, 5)

        def in_pieces(u, *arguments):
            *system, state = arguments
            y = []
            for piece in u.tensor_split(cuts, 1):
                y_piece, state = op(piece, *system, state)
                y.append(y_piece)
            return torch.cat(y, 1), state

        agree(outcome(in_pieces, (u, *system, state)), wanted(2, 264, 5))


@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 5, 63, 65])
@pytest.mark.parametrize("chunk", [1, 2, 7, 16, 1000])
def test_any_chunk(chunk, length, modes):
    op, arguments = functools.partial(diagonal_ssm_chunked, chunk=chunk), problem(1, length, 2, modes)
    agree(outcome(op, arguments), outcome(dense_recurrence, arguments))


@pytest.mark.parametrize("ends", [None, [1, 6], [3, 4]], ids=str)
@pytest.mark.parametrize("op", FAST, ids=lambda op: op.__name__)
def test_gradcheck(op, ends):
    lengths = None if ends is None else torch.tensor(ends)
    arguments = [argument.requires_grad_() for argument in problem(2, 6, 2, modes=1)]
    assert gradcheck(op, (*arguments, lengths))


def test_naive_without_a_state_starts_at_zero():
    *arguments, state = problem(2, 50, 3)
    for got, expected in zip(
        diagonal_ssm_naive(*arguments), diagonal_ssm_naive(*arguments, torch.zeros_like(state)), strict=True
    ):
        assert torch.equal(got, expected)


class TestCompiled:
    @pytest.mark.parametrize(("batch", "channels"), [(1, 1), (1, 33), (2, 17), (5, 16), (35, 9)])
    def test_the_number_of_threads_changes_no_bit(self, threads, batch, channels):
        arguments, lengths = problem(batch, 261, channels), torch.arange(261, 261 - 7 * batch, -7)
        threads(1)
        alone = outcome(diagonal_ssm, arguments, lengths)
        for number in (2, 3, 4, 7):
            threads(number)
            equal(outcome(diagonal_ssm, arguments, lengths), alone)

    def test_the_same_call_gives_the_same_bits(self):
        """One call in 200 once took another way through the machine code, which added up in another order."""
        arguments, lengths = problem(5, 135, 16), torch.arange(135, 100, -7)
        first = outcome(diagonal_ssm, arguments, lengths)
        for _ in range(300):
            equal(outcome(diagonal_ssm, arguments, lengths), first)

    @pytest.mark.parametrize("name", NAMES)
    def test_gradient_in_one_argument_only(self, name):
        arguments = problem(2, 9, 3)
        arguments[NAMES.index(name)].requires_grad_()
        functional(*diagonal_ssm(*arguments)).backward()
        for argument, named in zip(arguments, NAMES, strict=True):
            if named == name:
                agree({"grad": argument.grad}, {"grad": wanted(2, 9, 3)[f"gradient in {name}"]})
            else:
                assert argument.grad is None

    @pytest.mark.parametrize("used", ["y", "last"])
    def test_gradient_of_one_result_only(self, used):
        def one(op):
            leaves = [argument.requires_grad_() for argument in problem(2, 9, 3)]
            y, last = op(*leaves)
            result = y.sin().sum() if used == "y" else last.abs().sum()
            grads = torch.autograd.grad(result, leaves, materialize_grads=True)
            return dict(zip(NAMES, grads, strict=True))

        agree(one(diagonal_ssm), one(dense_recurrence))

    def test_nothing_is_kept_where_no_gradient_is_wanted(self):
        y, last = diagonal_ssm(*problem(2, 9, 3))
        assert not y.requires_grad
        assert not last.requires_grad
        agree({"y": y, "last state": last}, {name: wanted(2, 9, 3)[name] for name in ("y", "last state")})

    @pytest.mark.parametrize("channels", [1, 16, 17])
    @pytest.mark.parametrize(
        "lay_out",
        [
            lambda u: u.transpose(1, 2).contiguous().transpose(1, 2),
            lambda u: u.repeat_interleave(2, 1)[:, ::2],
            lambda u: torch.cat([u, u], -1)[..., u.shape[-1] :],
            lambda u: u.transpose(0, 1).contiguous().transpose(0, 1),
            lambda u: u.flip(1).flip(1),
            lambda u: torch.complex(u, -u).conj().imag,  # carries torch's lazy minus sign
        ],
        ids=["channels first", "every other step", "half the channels", "time first", "flipped", "negative bit"],
    )
    @pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 12)])
    def test_layout_of_the_input_does_not_matter(self, batch, length, channels, lay_out):
        u, *others = problem(batch, length, channels)
        laid_out = outcome(lambda u, *rest: diagonal_ssm(lay_out(u), *rest), (u, *others))
        equal(laid_out, outcome(diagonal_ssm, (u, *others)))
        assert torch.equal(diagonal_ssm(lay_out(u), *others)[0], diagonal_ssm(u, *others)[0])

    def test_one_input_for_the_whole_batch(self):
        u, *others = problem(3, 12, 5)
        expanded = u[:1].expand(3, -1, -1)
        assert torch.equal(diagonal_ssm(expanded, *others)[0], diagonal_ssm(expanded.contiguous(), *others)[0])

    def test_lazily_conjugated_arguments(self):
        u, *others = problem(2, 12, 5)
        lazy = [argument.conj().resolve_conj().conj() for argument in others]
        assert all(argument.is_conj() for argument in lazy)
        assert torch.equal(diagonal_ssm(u, *lazy)[0], diagonal_ssm(u, *others)[0])

    @pytest.mark.parametrize("channels", [1, 16])
    def test_arguments_are_left_as_they_were(self, channels):
        arguments = [argument.requires_grad_() for argument in problem(1, 12, channels, modes=1)]
        before = [argument.detach().clone() for argument in arguments]
        y, last = diagonal_ssm(*arguments)
        grad_y, grad_last = torch.ones_like(y), torch.ones_like(last)
        torch.autograd.backward([y, last], [grad_y, grad_last])
        assert all(torch.equal(a.detach(), b) for a, b in zip(arguments, before, strict=True))
        assert bool((grad_y == 1).all())
        assert bool((grad_last == 1).all())

    def test_backward_twice_through_one_graph(self):
        arguments = [argument.requires_grad_() for argument in problem(2, 130, 3)]
        y, _ = diagonal_ssm(*arguments)
        first, second = (torch.autograd.grad(y.square().sum(), arguments, retain_graph=True) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    def test_overwriting_the_input_before_the_backward_pass_is_noticed(self):
        u, *others = problem(2, 12, 3)
        y, _ = diagonal_ssm(u, *[argument.requires_grad_() for argument in others])
        u.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()

    @pytest.mark.parametrize("name", NAMES)
    def test_second_derivatives_are_refused(self, name):
        arguments = [argument.requires_grad_() for argument in problem(2, 9, 3)]
        y, last = diagonal_ssm(*arguments)
        objective = y.square().sum() + last.abs().square().sum()
        (gradient,) = torch.autograd.grad(objective, arguments[NAMES.index(name)], create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.abs().sum().backward()

    def test_nan_in_the_input_is_not_hidden(self):
        u, *others = problem(2, 20, 3)
        u[0, 6, 1] = torch.nan
        y, last = diagonal_ssm(u, *others)
        assert bool(y[0, 6:, 1].isnan().all())
        assert bool(last[0, 1].isnan().all())
        y[0, 6:, 1] = last[0, 1] = 0
        assert bool(y.isfinite().all())
        assert bool(last.isfinite().all())


def poisoned_numpy() -> Any:
    """Return numpy with an `empty` that is full of NaN."""

    def empty(shape, dtype=float):
        return np.full(shape, np.nan, dtype)

    return SimpleNamespace(**{**vars(np), "empty": empty})


def store(array: Any, i: int, value: Any) -> None:
    assert i >= 0
    array[i : i + LANES] = value  # of another shape where that leaves the array


IN_NUMPY = {
    "load": lambda array, i: array[i : i + LANES].copy(),
    "store": store,
    "zeros": lambda array: np.zeros(LANES, array.dtype),
    "widened": lambda value: value.astype(np.float64),
}
LOOPS = {name: value.py_func for name, value in vars(compiled).items() if hasattr(value, "py_func")}


@pytest.mark.parametrize("ends", [[1, 2], [11, 3], [4, 8], [130, 127]], ids=str)
class TestPoisonedMemory:
    def check(self, arguments: Problem, lengths: Tensor) -> None:
        got = outcome(diagonal_ssm, arguments, lengths)
        assert all(bool(value.isfinite().all()) for value in got.values())
        for b, end in enumerate(lengths.tolist()):
            assert not got["y"][b, end:].any()
            assert not got["gradient in u"][b, end:].any()
        agree(got, outcome(dense_recurrence, arguments, lengths))

    def test_of_the_wrapper(self, ends, monkeypatch):
        monkeypatch.setattr(diagonal, "np", poisoned_numpy())
        self.check(problem(2, 131, 17), torch.tensor(ends))

    def test_of_the_loops(self, ends, monkeypatch):
        """Run them as plain Python, where an index out of bounds is an error too."""
        assert {"forward", "backward"} < set(LOOPS)
        monkeypatch.setattr(diagonal, "np", poisoned_numpy())
        monkeypatch.setattr(compiled, "np", poisoned_numpy())
        for name, function in (LOOPS | IN_NUMPY).items():
            monkeypatch.setattr(compiled, name, function)
        self.check(problem(2, max(ends), 9 if max(ends) < 20 else 1, modes=2), torch.tensor(ends))


@pytest.mark.parametrize("op", FAST, ids=lambda op: op.__name__)
class TestFloat32:
    LENGTH, SLOWEST = 16_384, 5e-4  # decay times up to 2,000 steps, the longest of S4D-Lin at dt 0.001

    @staticmethod
    def rounded(arguments: Problem) -> tuple[Problem, Problem]:
        """Return float32 arguments beside the same numbers in double; log λ stays in double in both."""
        u, log_eigenvalues, *others = arguments
        single = (u.float(), log_eigenvalues, *(argument.to(torch.complex64) for argument in others))
        return single, (single[0].double(), log_eigenvalues, *(a.to(torch.complex128) for a in single[2:]))

    def test_against_scipy(self, op):
        single, double = self.rounded(problem(1, self.LENGTH, 17, modes=4, slowest=self.SLOWEST))
        u, eigenvalues, B, C, state = (a.numpy() for a in (double[0], double[1].exp(), *double[2:]))
        y = np.zeros((self.LENGTH, 17))
        for h in range(17):
            for n in range(4):
                pole, entering = eigenvalues[h, n], [eigenvalues[h, n] * state[0, h, n]]
                x, _ = scipy.signal.lfilter([B[h, n]], [1, -pole], u[0, :, h], zi=np.array(entering))
                y[:, h] += 2 * (C[h, n] * x).real
        got, last = op(*single)
        assert got.dtype == torch.float32
        assert last.dtype == torch.complex64
        errors = np.abs(got[0].numpy() - y).max(0) / np.abs(y).max(0)
        assert errors.max() < 1e-5

    def test_gradients(self, op):
        single, double = self.rounded(problem(2, self.LENGTH, 3, modes=4, slowest=self.SLOWEST))
        agree(outcome(op, single), outcome(diagonal_ssm, double), tolerance=2e-5)
