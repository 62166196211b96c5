"""The form itself: white, triangular, similar to the system it came from, and exact where channels are shared."""

import numpy as np
import pytest
import torch
from tests.reference import spectra
from tests.reference.stein import memory_of_eigenvalues, memory_of_inputs

from ssmemory import LinearSystem, memory_function
from ssmemory.errors import InputError
from ssmemory.systems import InputNormalForm, input_normal_form

LAGS = [0, 1, 7, 60]


def drawn(n: int, m: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([n, m, seed])
    return rng.standard_normal((n, m)) + 1j * rng.standard_normal((n, m))


SYSTEMS = {
    "ring": LinearSystem.from_eigenvalues(spectra.ring(32, np.random.default_rng(0)), drawn(32, 3)),
    "pairs": LinearSystem.from_eigenvalues(spectra.ring(6, np.random.default_rng(1)), drawn(6, 2), conj_sym=True),
    "more inputs than states": LinearSystem.from_eigenvalues(spectra.disk(5, np.random.default_rng(2)), drawn(5, 9)),
    "with zeros": LinearSystem.from_eigenvalues([0, 0.5, 0, -0.3j], drawn(4, 2)),
    "a hair from the circle": LinearSystem.from_eigenvalues((1 - 1e-12) * np.exp([1j, 2j, 0]), drawn(3, 2)),
    "dense": LinearSystem.from_matrices(drawn(12, 12) / 6, drawn(12, 2)),
    "nilpotent": LinearSystem.from_matrices(np.eye(9, k=1), drawn(9, 2)),
}


def defect(form: InputNormalForm) -> float:
    gram = form.A @ form.A.mH + form.B @ form.B.mH
    return float((gram - torch.eye(len(gram))).abs().max())


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
class TestForm:
    def test_its_state_is_white(self, system):
        assert defect(input_normal_form(system)) < 1e-13

    def test_it_is_lower_triangular_with_the_same_eigenvalues(self, system):
        A = input_normal_form(system).A.numpy()
        assert not np.triu(A, 1).any()
        got, wanted = (sorted(values.tolist(), key=lambda z: (round(z.real, 6), z.imag)) for values in (
            np.diag(A), system.eigenvalues.numpy(),
        ))  # fmt: skip
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "a hair from the circle"])
def test_it_remembers_the_same_cross_products(name):
    """(A^σ b_i)* P⁻¹ (A^τ b_j), by the Gramian, where that can be inverted."""
    form, plain = input_normal_form(SYSTEMS[name]), SYSTEMS[name].to_dense()
    A, B = plain.A.to(torch.complex128), plain.B.to(torch.complex128)
    krylov, normal = (
        torch.cat([torch.linalg.matrix_power(a, k) @ b for k in range(6)], 1) for a, b in ((A, B), (form.A, form.B))
    )
    gram, power = B @ B.mH, A
    for _ in range(60):
        gram, power = gram + power @ gram @ power.mH, power @ power
    torch.testing.assert_close(normal.mH @ normal, krylov.mH @ torch.linalg.solve(gram, krylov), rtol=0, atol=1e-8)


@pytest.mark.parametrize("m", [2, 5])
def test_inputs_that_share_one_row_are_one_input(m):
    """B of rank one, exactly: crowded eigenvalues then cost no digits, as with one input."""
    eigenvalues = spectra.clustered(12, np.random.default_rng(0), 1e-4)
    shares = 2.0 ** np.arange(m)
    B = np.outer(2.0 ** np.random.default_rng(1).integers(-3, 3, 12), shares)
    got = memory_function(LinearSystem.from_eigenvalues(eigenvalues, B), LAGS).values
    wanted = np.outer(memory_of_eigenvalues(eigenvalues, LAGS), shares**2 / (shares**2).sum())
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_crowded_eigenvalues_with_rows_of_their_own():
    eigenvalues, B = spectra.clustered(8, np.random.default_rng(0), 1e-3), drawn(8, 3)
    got = memory_function(LinearSystem.from_eigenvalues(eigenvalues, B), LAGS).values
    np.testing.assert_allclose(got, memory_of_inputs(eigenvalues, B, LAGS), rtol=1e-9)


def test_rows_that_fade_below_the_smallest_float():
    """48 eigenvalues at one place, but for rounding: what the sections leave of the last row is about 1e-330."""
    eigenvalues = spectra.clustered(48, np.random.default_rng(0), 1e-6)
    B = np.outer(np.ones(48), [1.0, 2.0])
    got = memory_function(LinearSystem.from_eigenvalues(eigenvalues, B), LAGS).values
    wanted = memory_function(LinearSystem.from_eigenvalues(eigenvalues), LAGS).values
    np.testing.assert_allclose(got, np.outer(wanted, [0.2, 0.8]), rtol=1e-12)


def test_the_values_with_gradients_are_those_without():
    eigenvalues, B = spectra.ring(16, np.random.default_rng(0)), drawn(16, 20)
    plain = memory_function(LinearSystem.from_eigenvalues(eigenvalues, B), LAGS).values
    given = torch.from_numpy(eigenvalues).requires_grad_()
    got = memory_function(LinearSystem.from_eigenvalues(given, B), LAGS).values
    assert got.requires_grad
    np.testing.assert_allclose(got.detach(), plain, rtol=1e-11)


def test_one_column_is_asked_of_a_form_with_several():
    with pytest.raises(InputError, match="expected one input channel, got 3; use B"):
        _ = input_normal_form(SYSTEMS["ring"]).b
