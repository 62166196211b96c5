"""Gradients of the memory function against finite differences: of itself, and of the multiprecision solve."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.reference import spectra
from tests.reference.stein import gradient_of_memory
from torch import Tensor
from torch.autograd import gradcheck

from ssmemory import LinearSystem, memory_capacity, memory_function
from ssmemory.errors import InputError


def modes(*values: complex) -> Tensor:
    return torch.tensor(values, dtype=torch.complex128, requires_grad=True)


def real(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("lags", [5, [0], [3, 0, 40], [1, 100]], ids=str)
@pytest.mark.parametrize("conj_sym", [False, True])
def test_in_complex_eigenvalues(conj_sym, lags):
    given = modes(0.9 * np.exp(0.5j), -0.3 + 0.4j, 0.95 * np.exp(2j), 0.2j)
    assert gradcheck(
        lambda z: memory_function(LinearSystem.from_eigenvalues(z, conj_sym=conj_sym), lags).values, given, atol=1e-8
    )


@pytest.mark.parametrize("lags", [5, [3, 30]], ids=str)
def test_in_real_modes_of_conjugate_pairs(lags):
    def memory(radii: Tensor) -> Tensor:
        return memory_function(LinearSystem.from_eigenvalues(radii, conj_sym=True), lags).values

    assert gradcheck(memory, real([0.9, -0.5]))


@pytest.mark.parametrize("lags", [4, [2, 25]], ids=str)
@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_through_the_discretisation_to_A_and_dt(discretization, lags):
    def memory(decay: Tensor, frequency: Tensor, log_dt: Tensor) -> Tensor:
        options = {"dt": log_dt.exp(), "discretization": discretization, "conj_sym": True}
        return memory_function(LinearSystem.from_continuous(torch.complex(-decay, frequency), **options), lags).values

    assert gradcheck(memory, (real([0.5, 0.1, 0.4]), real([1.0, 3.0, 7.0]), real(-2.0)))


@pytest.mark.parametrize("form", ["full", "lower triangular", "upper triangular"])
@pytest.mark.parametrize("lags", [4, [2, 8]], ids=str)
def test_in_a_dense_matrix(form, lags):
    A = 0.3 * np.random.default_rng(0).standard_normal((4, 4)) + np.diag([0.5, -0.4, 0.1, 0.3])
    A = {"full": A, "lower triangular": np.tril(A), "upper triangular": np.triu(A)}[form]
    b = np.array([1.0, -2.0, 0.5, 1.5])
    assert gradcheck(lambda A: memory_function(LinearSystem.from_matrices(A, b), lags).values, real(A))


@pytest.mark.parametrize("lags", [3, [1, 3]], ids=str)
def test_in_an_eigenvalue_that_is_zero_is_refused(lags):
    system = LinearSystem.from_eigenvalues(modes(0.5, 0.0, 0.3j))
    with pytest.raises(InputError, match=r"expected λ ≠ 0 where gradients are wanted, got λ = 0; start from"):
        memory_function(system, lags)
    with torch.no_grad():
        assert memory_function(system, lags).values[0] > 0


def test_of_a_batch_is_that_of_each_system():
    rows = [spectra.disk(3, np.random.default_rng(k)) for k in range(3)]
    batch = torch.from_numpy(np.stack(rows)).requires_grad_()
    memory_function(LinearSystem.from_eigenvalues(batch), 20).values.sum().backward()
    for k, row in enumerate(rows):
        one = modes(*row)
        memory_function(LinearSystem.from_eigenvalues(one), 20).values.sum().backward()
        np.testing.assert_allclose(batch.grad[k], one.grad, rtol=1e-12)


def leading(system: LinearSystem, lag: int) -> Tensor:
    return memory_function(system, lag + 1).values[lag]


def single(system: LinearSystem, lag: int) -> Tensor:
    return memory_function(system, [lag]).values[0]


@pytest.mark.parametrize("way", [leading, single])
@pytest.mark.parametrize("lag", [0, 10, 255, 256, 600, 3000])
@pytest.mark.parametrize("family", [spectra.ring, spectra.s4d])
def test_against_differences_of_the_exact_solution(family, lag, way: Callable[[LinearSystem, int], Tensor]):
    eigenvalues = family(6, np.random.default_rng(1))
    given = torch.from_numpy(eigenvalues).requires_grad_()
    way(LinearSystem.from_eigenvalues(given), lag).backward()
    wanted = gradient_of_memory(eigenvalues, lag)
    np.testing.assert_allclose(given.grad.numpy(), wanted, atol=1e-10 * np.abs(wanted).max(), rtol=0)


def test_the_capacity_is_flat():
    given = modes(0.9, 0.5j, -0.3 + 0.1j)
    (gradient,) = torch.autograd.grad(memory_capacity(LinearSystem.from_eigenvalues(given)), given)
    assert gradient.abs().max() < 1e-10


def test_the_best_single_mode_for_one_lag():
    """MF(τ) = (1 − r) rᵗ is largest at r = |λ|² = τ/(τ+1)."""
    lag = 50
    given = modes(np.sqrt(lag / (lag + 1)) * np.exp(0.3j))
    value = single(LinearSystem.from_eigenvalues(given), lag)
    value.backward()
    assert float(value.detach()) == pytest.approx((lag / (lag + 1)) ** lag / (lag + 1), rel=1e-13)
    assert given.grad.abs().item() < 1e-13


class TestWhetherValuesCarryGradients:
    @pytest.mark.parametrize("lags", [5, [4, 1]], ids=str)
    def test_they_do_when_asked(self, lags):
        assert memory_function(LinearSystem.from_eigenvalues(modes(0.5)), lags).values.requires_grad

    @pytest.mark.parametrize("lags", [5, [4, 1]], ids=str)
    def test_they_do_not_otherwise(self, lags):
        with torch.no_grad():
            assert not memory_function(LinearSystem.from_eigenvalues(modes(0.5)), lags).values.requires_grad
        assert not memory_function(LinearSystem.from_eigenvalues(modes(0.5).detach()), lags).values.requires_grad
