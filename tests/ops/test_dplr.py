"""The sampled diagonal-plus-low-rank system against scipy's bilinear rule on the dense complex matrix."""

import numpy as np
import pytest
import scipy.signal
import torch
from tests.ops.test_dense import drawn_dplr, normal

from ssmemory.ops.dense import dense_ssm
from ssmemory.ops.dense_naive import dplr_convolution_naive
from ssmemory.ops.dplr import dplr_bilinear, interleaved


def sampled_by_scipy(eigenvalues, P, B, dt):
    """Return A_bar and B_bar on (Re x_0, Im x_0, …) of ``x' = Λ x − P · 2 Re(P* x) + B u``, written out in reals."""
    n = len(eigenvalues)
    A = np.zeros((2 * n, 2 * n))
    for column in range(2 * n):
        x = np.zeros(n, complex)
        x[column // 2] = 1 if column % 2 == 0 else 1j
        slope = eigenvalues * x - P @ (2 * (P.conj().T @ x).real)
        A[::2, column], A[1::2, column] = slope.real, slope.imag
    b = np.stack([B.real, B.imag], -1).reshape(-1, 1)
    A_bar, B_bar, *_ = scipy.signal.cont2discrete((A, b, np.eye(2 * n), 0), dt, "bilinear")
    return A_bar, B_bar[:, 0]


@pytest.mark.parametrize("rank", [1, 2])
class TestSampling:
    def test_matrices(self, rank):
        eigenvalues, P, B, _, dt = drawn_dplr(3, 4, rank)
        A_bar, B_bar = dplr_bilinear(eigenvalues, P, B, dt).matrices()
        for h in range(3):
            A, b = sampled_by_scipy(eigenvalues[h].numpy(), P[h].numpy(), B[h].numpy(), float(dt[h]))
            np.testing.assert_allclose(A_bar[h], A, atol=1e-13)
            np.testing.assert_allclose(B_bar[h], b, atol=1e-13)

    def test_a_step_is_that_of_the_matrices(self, rank):
        eigenvalues, P, B, _, dt = drawn_dplr(3, 4, rank)
        sampled = dplr_bilinear(eigenvalues, P, B, dt)
        state, u_t = normal(2, 3, 4, seed=6, dtype=torch.complex128), normal(2, 3, seed=7)
        A_bar, B_bar = sampled.matrices()
        wanted = torch.einsum("hij,bhj->bhi", A_bar, interleaved(state)) + B_bar * u_t.unsqueeze(-1)
        torch.testing.assert_close(interleaved(sampled.step(u_t, state)), wanted, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
    def test_it_shortens_every_vector(self, rank, scale):
        eigenvalues, P, B, _, dt = drawn_dplr(3, 4, rank)
        A_bar, _ = dplr_bilinear(eigenvalues, scale * P, B, dt).matrices()
        assert float(torch.linalg.matrix_norm(A_bar, 2).max()) < 1

    def test_values_and_gradients_equal_the_field_s_own_way(self, rank):
        *parameters, dt = drawn_dplr(3, 4, rank)

        def fast(u, eigenvalues, P, B, C, dt):
            A_bar, B_bar = dplr_bilinear(eigenvalues, P, B, dt).matrices()
            return dense_ssm(u, A_bar, B_bar, 2 * interleaved(C.conj()), u.new_zeros(2, 3, 8), chunk=16)[0]

        results = []
        for way in (fast, dplr_convolution_naive):
            leaves = [x.clone().requires_grad_() for x in (normal(2, 50, 3, seed=5), *parameters, dt)]
            y = way(*leaves)
            results.append([y.detach(), *torch.autograd.grad((y * normal(2, 50, 3, seed=6)).sum(), leaves)])
        for got, wanted in zip(*results, strict=True):
            assert float((got - wanted).abs().max() / wanted.abs().max()) < 1e-11

    def test_finite_differences(self, rank):
        leaves = [x[:2].clone().requires_grad_() for x in drawn_dplr(3, 2, rank)]
        del leaves[3]
        assert torch.autograd.gradcheck(lambda *x: dplr_bilinear(*x).matrices(), leaves)
