import numpy as np
import pytest
import torch
from tests.reference import spectra
from tests.reference.hippo import legs
from tests.reference.stein import memory_of_eigenvalues, power_of_matrix

from ssmemory import LinearSystem
from ssmemory.systems import InputNormalForm, input_normal_form

SPECTRA = {
    "one": np.array([0.9j]),
    "ring 96": spectra.ring(96, np.random.default_rng(0)),
    "disk 48": spectra.disk(48, np.random.default_rng(1)),
    "ginibre 32": spectra.ginibre(32, np.random.default_rng(2)),
    "s4d 64": spectra.s4d(64, np.random.default_rng(3)),
    "clustered 24": spectra.clustered(24, np.random.default_rng(4), 1e-6),
    "with a zero": np.array([0.5, 0, -0.3j]),
    "a hair from the circle": (1 - 1e-12) * np.exp([1j, 2j, 0]),
}


def defect(form: InputNormalForm) -> np.ndarray:
    gram = form.A @ form.A.mH + form.b.unsqueeze(-1) @ form.b.unsqueeze(-2).conj()
    return gram.numpy() - np.eye(gram.shape[-1])


@pytest.mark.parametrize("eigenvalues", SPECTRA.values(), ids=SPECTRA)
class TestForm:
    def test_its_state_is_white(self, eigenvalues):
        assert np.abs(defect(input_normal_form(LinearSystem.from_eigenvalues(eigenvalues)))).max() < 1e-13

    def test_it_is_lower_triangular_with_the_same_eigenvalues(self, eigenvalues):
        A = input_normal_form(LinearSystem.from_eigenvalues(eigenvalues)).A.numpy()
        assert not np.triu(A, 1).any()
        np.testing.assert_allclose(np.diag(A), eigenvalues, rtol=1e-15)

    def test_its_energies_are_the_memory(self, eigenvalues):
        form = input_normal_form(LinearSystem.from_eigenvalues(eigenvalues))
        states = [form.b.numpy()]
        for _ in range(20):
            states.append(form.A.numpy() @ states[-1])
        got = np.square(np.abs(states[::5])).sum(1)
        np.testing.assert_allclose(got, memory_of_eigenvalues(eigenvalues, range(0, 21, 5)), rtol=1e-12)


def test_it_is_similar_to_the_system_that_it_came_from():
    eigenvalues, n = spectra.disk(5, np.random.default_rng(5)), 5
    form = input_normal_form(LinearSystem.from_eigenvalues(eigenvalues))
    A, b = form.A.numpy(), form.b.numpy()
    reached = np.stack([np.linalg.matrix_power(A, k) @ b for k in range(n)], 1)
    change = reached @ np.linalg.inv(np.vander(eigenvalues, n, increasing=True))
    np.testing.assert_allclose(A @ change, change * eigenvalues, atol=1e-10)
    np.testing.assert_allclose(change.sum(1), b, atol=1e-10)


@pytest.mark.parametrize(
    ("system", "counted"),
    [
        (LinearSystem.from_eigenvalues([0.9, 0.9, 0.5]), [True, False, True]),
        (LinearSystem.from_eigenvalues([0.9, 0.4, 0.5], B=[0.0, 1.0, 1.0]), [False, True, True]),
        (LinearSystem.from_matrices(0.5 * np.eye(3), np.ones(3)), [True, False, False]),
    ],
    ids=["merged", "not reached", "dense"],
)
def test_modes_that_do_not_count_are_left_at_zero(system, counted):
    form = input_normal_form(system)
    left_out = ~np.array(counted)
    np.testing.assert_allclose(defect(form), np.diag(np.where(counted, 0.0, -1)), atol=1e-15)
    assert not form.A.numpy()[left_out].any()
    assert not form.A.numpy()[:, left_out].any()
    assert not form.b.numpy()[left_out].any()
    assert bool(torch.isneginf(form.log_eigenvalues.real[torch.from_numpy(left_out)]).all())


def test_of_a_batch_is_the_batch_of_forms():
    modes = np.stack([spectra.ring(6, np.random.default_rng(k)) for k in range(3)])
    whole = input_normal_form(LinearSystem.from_eigenvalues(modes))
    for k in range(3):
        one = input_normal_form(LinearSystem.from_eigenvalues(modes[k]))
        np.testing.assert_array_equal(whole.A[k], one.A)
        np.testing.assert_array_equal(whole.b[k], one.b)


class TestPowers:
    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, 64, 1000, 4097])
    @pytest.mark.parametrize("name", ["ring 96", "ginibre 32", "clustered 24", "with a zero"])
    def test_against_arb(self, name, exponent):
        form = input_normal_form(LinearSystem.from_eigenvalues(SPECTRA[name]))
        n = min(len(SPECTRA[name]), 12)  # the leading block of a triangular matrix has the leading block's powers
        got, wanted = form.matrix_power(exponent)[:n, :n].numpy(), power_of_matrix(form.A[:n, :n].numpy(), exponent)
        assert np.linalg.norm(got - wanted) < 1e-11 * np.linalg.norm(wanted) + 1e-300

    def test_far_powers_keep_the_digits_of_the_eigenvalues(self):
        logs = np.array([-1e-9 + 1j, -2e-9, -1.5e-9 - 2j])
        power = input_normal_form(LinearSystem.from_log_eigenvalues(logs)).matrix_power(10**9).numpy()
        np.testing.assert_allclose(np.abs(np.diag(power)), np.exp(1e9 * logs.real), rtol=1e-14)

    def test_squarings(self):
        form = input_normal_form(LinearSystem.from_eigenvalues(SPECTRA["with a zero"]))
        for k, square in zip(range(5), form.squarings(), strict=False):
            np.testing.assert_allclose(square, np.linalg.matrix_power(form.A.numpy(), 2**k), rtol=1e-12, atol=1e-16)

    def test_they_stay_triangular(self):
        A, B = legs(32)
        system = LinearSystem.from_continuous_matrices(A, B, dt=0.01, discretization="bilinear")
        assert not np.triu(input_normal_form(system).matrix_power(1023).numpy(), 1).any()


def test_gradient_of_the_form():
    def flat(modes: torch.Tensor) -> torch.Tensor:
        form = input_normal_form(LinearSystem.from_eigenvalues(modes))
        return torch.view_as_real(torch.cat([form.A, form.b.unsqueeze(-1)], -1))

    modes = torch.tensor([0.5 + 0.2j, -0.7j, 0.9], dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(flat, modes)
