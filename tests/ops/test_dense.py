"""The chunked dense recurrence against its naive loop, scipy's filter and finite differences; S4's Cauchy kernel."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from torch import Tensor

from ssmemory.ops import dense
from ssmemory.ops.dense import dense_ssm
from ssmemory.ops.dense_chunk import dense_chunk
from ssmemory.ops.dense_naive import dense_ssm_naive, dplr_convolution_naive, dplr_kernel_naive

NAMES = ["u", "A", "B", "C", "state"]
LENGTHS = [1, 2, 3, 15, 16, 17, 37, 48]  # around, and not, a multiple of a chunk of 16
Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def problem(batch: int, length: int, channels: int, n: int = 4) -> Problem:
    """Draw systems that are neither normal nor symmetric, their spectral radius 0.95."""
    A = normal(channels, n, n, seed=0)
    A = 0.95 * A / torch.linalg.eigvals(A).abs().amax(-1)[:, None, None]
    u, B, C = normal(batch, length, channels, seed=1), normal(channels, n, seed=2), normal(channels, n, seed=3)
    return u, A, B, C, normal(batch, channels, n, seed=4)


def outcome(op: Callable[..., Any], arguments: Problem, *lengths: Tensor, **options: int) -> dict[str, Tensor]:
    """Return y, the last state, and the gradient of a random functional of both in every argument."""
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    y, last = op(*leaves, *lengths, **options)
    functional = (y * normal(*y.shape, seed=5)).sum() + (last * normal(*last.shape, seed=6)).sum()
    grads = torch.autograd.grad(functional, leaves)
    named = {f"gradient in {name}": grad for name, grad in zip(NAMES, grads, strict=True)}
    return {"y": y.detach(), "last state": last.detach(), **named}


def agree(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-12) -> None:
    for name, value in wanted.items():
        assert got[name].shape == value.shape
        error = float((got[name].double() - value).abs().max() / value.abs().max().clamp(min=1e-300))
        assert error < tolerance, f"{name} is off by {error:.1e} of its largest entry"


class TestAgainstTheLoop:
    @pytest.mark.parametrize("channels", [1, 5])
    @pytest.mark.parametrize("length", LENGTHS)
    def test_values_and_gradients(self, length, channels):
        arguments = problem(3, length, channels)
        agree(outcome(dense_ssm, arguments, chunk=16), outcome(dense_ssm_naive, arguments))

    @pytest.mark.parametrize("chunk", [1, 2, 64, dense.CHUNK])
    def test_any_chunk(self, chunk):
        arguments = problem(2, 150, 3)
        agree(outcome(dense_ssm, arguments, chunk=chunk), outcome(dense_ssm_naive, arguments))

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_any_group_of_channels(self, size, monkeypatch):
        """As many sequences do, on the CPU; the last group may be smaller."""
        arguments = problem(2, 37, 7)
        monkeypatch.setattr(dense, "_groups", lambda u: [slice(k, k + size) for k in range(0, u.shape[2], size)])
        agree(outcome(dense_ssm, arguments, chunk=16), outcome(dense_ssm_naive, arguments))

    def test_groups_cover_the_channels_once(self):
        u = torch.empty(16, 2**15, 40)
        assert [k for group in dense._groups(u) for k in range(40)[group]] == list(range(40))
        assert len(dense._groups(u)) > 1

    def test_arguments_of_any_layout(self):
        wanted = problem(3, 37, 5)
        u, A, B, C, state = wanted
        strided = u.permute(2, 0, 1).contiguous().permute(1, 2, 0), A.mT.contiguous().mT, B, C, state.mT.contiguous().mT
        agree(outcome(dense_ssm, strided, chunk=16), outcome(dense_ssm_naive, wanted))
        summed = [x.clone().requires_grad_() for x in wanted]
        dense_ssm(*summed, chunk=16)[0].sum().backward()  # its gradient comes expanded from one number
        looped = [x.clone().requires_grad_() for x in wanted]
        dense_ssm_naive(*looped)[0].sum().backward()
        agree(*(dict(zip(NAMES, [x.grad for x in leaves], strict=True)) for leaves in (summed, looped)))


class TestLengths:
    @pytest.mark.parametrize("ends", [[1, 37, 16], [32, 15, 17], [2, 5, 31]], ids=str)
    def test_values_and_gradients(self, ends):
        arguments, lengths = problem(3, 37, 5), torch.tensor(ends)
        got = outcome(dense_ssm, arguments, lengths, chunk=16)
        agree(got, outcome(dense_ssm_naive, arguments, lengths))
        for b, end in enumerate(ends):
            assert not got["y"][b, end:].any()
            assert not got["gradient in u"][b, end:].any()

    def test_every_length_of_a_short_sequence(self):
        arguments, lengths = problem(20, 20, 3), torch.arange(1, 21)
        agree(outcome(dense_ssm, arguments, lengths, chunk=8), outcome(dense_ssm_naive, arguments, lengths))

    @pytest.mark.parametrize("garbage", [1e30, float("inf"), float("nan")])
    def test_what_lies_beyond_changes_nothing(self, garbage):
        (u, *others), lengths = problem(3, 37, 5), torch.tensor([5, 37, 31])
        beyond = (torch.arange(37) >= lengths.unsqueeze(-1)).unsqueeze(-1)
        dirty, clean = (
            outcome(dense_ssm, (u.masked_fill(beyond, filling), *others), lengths, chunk=16) for filling in (garbage, 0)
        )
        assert all(torch.equal(dirty[name], clean[name]) for name in clean)

    def test_full_lengths_are_the_default(self):
        arguments = problem(2, 37, 3)
        given, default = outcome(dense_ssm, arguments, torch.tensor([37, 37])), outcome(dense_ssm, arguments)
        assert all(torch.equal(given[name], default[name]) for name in default)


@pytest.mark.parametrize("cuts", [[1], [16], [36], [5, 20, 21]], ids=str)
def test_the_whole_is_any_split_with_the_state_handed_on(cuts):
    def in_pieces(u, A, B, C, state):
        y = []
        for piece in u.tensor_split(cuts, 1):
            out, state = dense_ssm(piece, A, B, C, state, chunk=16)
            y.append(out)
        return torch.cat(y, 1), state

    arguments = problem(2, 37, 3)
    agree(outcome(in_pieces, arguments), outcome(dense_ssm, arguments, chunk=16))


@pytest.mark.parametrize("channels", [1, 3])
def test_overwriting_the_input_does_not_spoil_its_gradients(channels):
    u, A, *others = problem(2, 32, channels)
    A.requires_grad_()
    results = []
    for overwrite in (False, True):
        given = u.clone()
        y, _ = dense_ssm(given, A, *others, chunk=16)
        if overwrite:
            given.fill_(7)
        results.append(torch.autograd.grad(y.sum(), A)[0])
    assert torch.equal(*results)


def test_finite_differences():
    leaves = [argument.requires_grad_() for argument in problem(2, 11, 2, n=2)]
    lengths = torch.tensor([11, 6])
    assert torch.autograd.gradcheck(lambda *x: dense_ssm(*x, lengths, chunk=4), leaves)


def test_the_filter_of_scipy():
    u, A, B, C, state = problem(1, 200, 3)
    y = dense_ssm(u, A, B, C, torch.zeros_like(state))[0]
    for h in range(3):
        advanced = (C[h] @ A[h])[None].numpy(), (C[h] @ B[h])[None, None].numpy()  # scipy's y reads x before the step
        _, wanted, _ = scipy.signal.dlsim((A[h].numpy(), B[h, :, None].numpy(), *advanced, 1), u[0, :, h].numpy())
        np.testing.assert_allclose(y[0, :, h].numpy(), wanted[:, 0], rtol=0, atol=1e-11)


def test_the_matrices_of_a_chunk_are_powers():
    _, A, B, C, _ = problem(1, 1, 3)
    chunk = dense_chunk(A, B, C, 4, torch.float64)
    for h in range(3):
        power = [np.linalg.matrix_power(A[h].numpy(), k) for k in range(17)]
        b, c = B[h].numpy(), C[h].numpy()
        np.testing.assert_allclose(chunk.taps[h], [c @ power[k] @ b for k in range(16)], atol=1e-13)
        np.testing.assert_allclose(chunk.drive[h].mT, [power[15 - k] @ b for k in range(16)], atol=1e-13)
        np.testing.assert_allclose(chunk.read[h], [c @ power[k + 1] for k in range(16)], atol=1e-13)
        np.testing.assert_allclose([p[h].numpy() for p in chunk.powers], [power[2**k] for k in range(5)], atol=1e-13)


@pytest.mark.parametrize("slowest", [1e-2, 1e-4])
def test_float32(slowest):
    """Rotations that decay, in a random orthonormal basis: contractions, as S4's are."""
    angles, decay = (
        3 * normal(8, 3, seed=0).abs(),
        slowest ** torch.rand(8, 3, generator=torch.Generator().manual_seed(2)).double(),
    )
    z = torch.polar(torch.exp(-decay), angles)
    blocks = torch.stack([torch.stack([z.real, -z.imag], -1), torch.stack([z.imag, z.real], -1)], -2)
    Q = torch.linalg.qr(normal(8, 6, 6, seed=1))[0]
    A = Q @ torch.stack([torch.block_diag(*pairs) for pairs in blocks]) @ Q.mT
    u, _, B, C, state = problem(2, 3000, 8, n=6)
    u, B, C, state = (x.float() for x in (u, B, C, state))
    got = outcome(dense_ssm, (u, A, B, C, state))
    assert got["y"].dtype == got["last state"].dtype == torch.float32
    assert got["gradient in A"].dtype == torch.float64
    wanted = outcome(dense_ssm_naive, (u.double(), A, B.double(), C.double(), state.double()))
    agree(got, wanted, 5e-6)


def test_nothing_is_kept_where_no_gradient_is_wanted(monkeypatch):
    contexts, forward = [], dense._Chunked.forward

    def spied(ctx, *arguments):
        contexts.append(ctx)
        return forward(ctx, *arguments)

    monkeypatch.setattr(dense._Chunked, "forward", staticmethod(spied))
    dense_ssm(*problem(2, 37, 3))
    dense_ssm(*(x.requires_grad_() for x in problem(2, 37, 3)))
    assert [len(ctx.kept) for ctx in contexts] == [0, 1]


# S4's own way


def drawn_dplr(channels: int, modes: int, rank: int) -> tuple[Tensor, ...]:
    real, imag = normal(channels, modes, seed=0).abs() + 0.1, 5 * normal(channels, modes, seed=1)
    P = normal(channels, modes, rank, seed=2, dtype=torch.complex128)
    B, C = (normal(channels, modes, seed=seed, dtype=torch.complex128) for seed in (3, 4))
    return torch.complex(-real, imag), P, B, C, torch.tensor([0.02, 0.1, 0.3], dtype=torch.float64)[:channels]


def dense_kernel(eigenvalues: Tensor, P: Tensor, B: Tensor, C: Tensor, dt: Tensor, length: int) -> np.ndarray:
    """Return ``C A_bar^k B_bar`` by scipy's bilinear rule and a loop, both halves written out."""
    kernels = []
    for *channel, step in zip(eigenvalues.numpy(), P.numpy(), B.numpy(), C.numpy(), dt.numpy(), strict=True):
        a, p, b, c = (np.concatenate([x, x.conj()]) for x in channel)
        A_bar, B_bar, *_ = scipy.signal.cont2discrete(
            (np.diag(a) - p @ p.conj().T, b[:, None], c[None], 0), step, "bilinear"
        )
        x, taps = B_bar[:, 0], []
        for _ in range(length):
            taps.append(c @ x)
            x = A_bar @ x
        kernels.append(taps)
    assert np.abs(np.imag(kernels)).max() < 1e-12 * np.abs(kernels).max()
    return np.real(kernels)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 31, 64])
@pytest.mark.parametrize("pairwise", [False, True])
def test_the_cauchy_kernel_is_the_dense_one(length, rank, pairwise):
    arguments = drawn_dplr(3, 4, rank)
    wanted = dense_kernel(*arguments, length)
    got = dplr_kernel_naive(*arguments, length, pairwise=pairwise).numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_the_convolution_is_that_with_the_kernel():
    arguments, u = drawn_dplr(3, 4, 1), normal(2, 50, 3, seed=5)
    kernel = dense_kernel(*arguments, 50)
    y = dplr_convolution_naive(u, *arguments).numpy()
    for h in range(3):
        wanted = u[:, :, h].numpy() @ scipy.linalg.toeplitz(kernel[h], np.zeros(50)).T
        np.testing.assert_allclose(y[:, :, h], wanted, atol=1e-11 * np.abs(wanted).max())
