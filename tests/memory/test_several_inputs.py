"""Several input channels: golden and drawn multiprecision values, the theorem with its equality, and what counts."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.one_line import assert_one_line
from tests.reference import spectra
from tests.reference.hippo import legs
from tests.reference.stein import memory_of_inputs, memory_of_matrices_and_inputs

from ssmemory import LinearSystem, init, memory_capacity, memory_function
from ssmemory.errors import InputError
from ssmemory.memory import perturbation_spread
from ssmemory.systems import input_normal_form

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "several_inputs.json").read_text())
LAGS = [0, 1, 5, 20, 100, 300]
diagonal, dense = LinearSystem.from_eigenvalues, LinearSystem.from_matrices


def complex_of(pairs) -> np.ndarray:
    values = np.array(pairs, dtype=float)
    return values[..., 0] + 1j * values[..., 1]


def drawn(n: int, m: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([n, m, seed])
    return rng.standard_normal((n, m)) + 1j * rng.standard_normal((n, m))


def jordan(pole: float, size: int) -> np.ndarray:
    return pole * np.eye(size) + np.eye(size, k=1)


def check(system: LinearSystem, wanted: np.ndarray, lags: list[int], tolerance: float = 1e-10) -> None:
    """Compare single lags and all lags with the reference, and both sums with the rank."""
    visible = wanted >= 1e-290
    single, every = memory_function(system, lags), memory_function(system, max(lags) + 1)
    for got in (single.values.numpy(), every.values.numpy()[lags]):
        np.testing.assert_allclose(got[visible], wanted[visible], rtol=tolerance)
        np.testing.assert_allclose(got[~visible], wanted[~visible], atol=1e-280)
    for memory in (single, every):
        assert float(memory.capacity) == pytest.approx(float(system.rank), abs=1e-9)


@pytest.mark.parametrize("record", GOLDEN, ids=lambda record: f"{len(record['B'][0])} inputs")
def test_golden(record):
    system = diagonal(complex_of(record["eigenvalues"]), complex_of(record["B"]))
    assert int(system.rank) == record["rank"]
    check(system, np.array(record["memory"], dtype=float), record["lags"], 1e-11)


@pytest.mark.parametrize("m", [2, 8])
@pytest.mark.parametrize(("family", "n"), [("ring", 8), ("disk", 32), ("ginibre", 24), ("s4d", 16)])
def test_drawn_diagonal(family, n, m):
    eigenvalues, B = getattr(spectra, family)(n, np.random.default_rng([n, m])), drawn(n, m)
    check(diagonal(eigenvalues, B), memory_of_inputs(eigenvalues, B, LAGS), LAGS)


@pytest.mark.parametrize("m", [2, 3, 20])
def test_conjugate_pairs(m):
    half, B = spectra.ring(16, np.random.default_rng(m))[:8], drawn(8, m)
    wanted = memory_of_inputs(np.r_[half, half.conj()], np.r_[B, B.conj()], LAGS)
    check(diagonal(half, B, conj_sym=True), wanted, LAGS)


@cache
def matrices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    gauss = rng.standard_normal((24, 24))
    A, _ = legs(16)
    eye, turn = np.eye(16), np.linalg.qr(rng.standard_normal((5, 5)))[0]
    return {
        "gauss": 0.95 * gauss / np.abs(np.linalg.eigvals(gauss)).max(),
        "lower": np.tril(gauss, -1) / 5 + np.diag(rng.uniform(-0.9, 0.9, 24)),
        "upper": (np.tril(gauss, -1) / 5 + np.diag(rng.uniform(-0.9, 0.9, 24))).T,
        "legs": np.linalg.solve(eye - 0.05 * A, eye + 0.05 * A),
        "jordan": jordan(0.6, 4),
        "two blocks": scipy.linalg.block_diag(jordan(0.6, 3), jordan(0.6, 2)),
        "four blocks": scipy.linalg.block_diag(jordan(0.6, 3), jordan(0.6, 2), jordan(-0.4, 2)),
        "shift": np.eye(12, k=-1),
        "turned blocks": turn @ scipy.linalg.block_diag(jordan(0.6, 3), jordan(0.6, 2)) @ turn.T,
    }


@pytest.mark.parametrize("name", list(matrices()))
def test_dense(name):
    A = matrices()[name]
    B = drawn(len(A), 3).real
    lags = [lag for lag in LAGS if name != "shift" or lag < 12]
    check(dense(A, B), memory_of_matrices_and_inputs(A, B, lags), lags, 1e-9)


def test_a_batch_is_its_systems():
    eigenvalues = np.stack([spectra.ring(8, np.random.default_rng(k)) for k in range(3)])
    B = np.stack([drawn(8, 2, k) for k in range(3)])
    memory = memory_function(diagonal(eigenvalues, B), LAGS)
    assert memory.values.shape == (3, len(LAGS), 2)
    assert memory.reach(0.1).shape == (3, 2)
    for k in range(3):
        alone = memory_function(diagonal(eigenvalues[k], B[k]), LAGS)
        torch.testing.assert_close(memory.values[k], alone.values, rtol=1e-12, atol=1e-300)
        assert torch.equal(memory.reach(0.1)[k], alone.reach(0.1))


class TestTheorem:
    @pytest.fixture
    def eigenvalues(self):
        return spectra.disk(16, np.random.default_rng(5))

    def test_no_input_is_remembered_better_later(self, eigenvalues):
        values = memory_function(diagonal(eigenvalues, drawn(16, 3)), 400).values
        assert bool((values.diff(dim=0) <= 1e-15).all())
        assert bool((values >= 0).all())
        assert bool((values <= 1 + 1e-14).all())

    def test_a_unitary_mix_of_the_inputs_keeps_their_sum(self, eigenvalues):
        B, mix = drawn(16, 3), np.linalg.qr(drawn(3, 3))[0]
        one, other = (memory_function(diagonal(eigenvalues, matrix), LAGS).values for matrix in (B, B @ mix))
        torch.testing.assert_close(one.sum(-1), other.sum(-1), rtol=1e-11, atol=0)
        assert bool((one - other).abs().max() > 0.01)

    def test_the_size_of_a_row_changes_nothing(self, eigenvalues):
        B = drawn(16, 3)
        scaled = B * np.geomspace(1e-80, 1e80, 16)[:, None]
        one, other = (memory_function(diagonal(eigenvalues, matrix), LAGS).values for matrix in (B, scaled))
        torch.testing.assert_close(one, other, rtol=1e-11, atol=0)

    def test_it_depends_on_the_rows(self, eigenvalues):
        one, other = (memory_function(diagonal(eigenvalues, drawn(16, 3, s)), [0]).values.sum() for s in (0, 1))
        assert abs(float(one - other)) > 1e-3

    def test_the_same_input_twice_is_one_input_shared(self, eigenvalues):
        b = drawn(16, 1)
        alone = memory_function(diagonal(eigenvalues, b[:, 0]), LAGS).values
        twice = memory_function(diagonal(eigenvalues, np.c_[b, b]), LAGS).values
        torch.testing.assert_close(twice, (alone / 2).unsqueeze(-1).expand(-1, 2), rtol=1e-10, atol=1e-300)

    def test_a_silent_input_is_not_remembered_and_takes_nothing(self, eigenvalues):
        b = drawn(16, 1)
        values = memory_function(diagonal(eigenvalues, np.c_[b, 0 * b]), LAGS).values
        assert not values[:, 1].any()
        alone = memory_function(diagonal(eigenvalues, b[:, 0]), LAGS).values
        torch.testing.assert_close(values[:, 0], alone, rtol=1e-10, atol=1e-300)

    def test_two_inputs_to_two_halves_are_two_systems(self):
        halves = [spectra.ring(8, np.random.default_rng(k)) for k in (0, 1)]
        B = scipy.linalg.block_diag(np.ones((8, 1)), np.ones((8, 1)))
        values = memory_function(diagonal(np.concatenate(halves), B), LAGS).values
        for k in (0, 1):
            alone = memory_function(diagonal(halves[k]), LAGS).values
            torch.testing.assert_close(values[:, k], alone, rtol=1e-11, atol=1e-300)

    @pytest.mark.parametrize("m", [2, 5])
    def test_the_states_of_the_normal_form_are_white(self, eigenvalues, m):
        for system in (diagonal(eigenvalues, drawn(16, m)), dense(matrices()["gauss"], drawn(24, m).real)):
            form = input_normal_form(system)
            gram = form.A @ form.A.mH + form.B @ form.B.mH
            torch.testing.assert_close(gram, torch.eye(len(gram), dtype=gram.dtype), rtol=0, atol=1e-13)


class TestWhatCounts:
    @pytest.mark.parametrize(
        ("B", "rank"),
        [
            ([[1, 0], [0, 1], [1, 1]], 2),  # three equal eigenvalues, two inputs
            ([[1, 2], [2, 4], [-1, -2]], 1),
            ([[1, 2], [1, 2], [0, 1]], 2),
            ([[0, 0], [1, 2], [0, 0]], 1),
        ],
    )
    def test_an_eigenvalue_counts_as_often_as_its_rows_are_independent(self, B, rank):
        system = diagonal([0.5, 0.5, 0.5], B)
        assert int(system.rank) == rank
        assert float(memory_capacity(system)) == pytest.approx(rank, abs=1e-12)
        spectrum = system.spectrum()
        assert int(spectrum.rank + spectrum.merged + spectrum.unreached) == 3

    def test_the_dense_system_counts_alike(self):
        assert int(dense(0.5 * np.eye(3), drawn(3, 2).real).rank) == 2
        blocks = matrices()["two blocks"]
        one_block = np.zeros((5, 2))
        one_block[:3] = drawn(3, 2).real
        assert [int(dense(blocks, B).rank) for B in (drawn(5, 1).real, drawn(5, 2).real, one_block)] == [3, 5, 3]

    def test_aliased_pairs_of_a_real_layer(self):
        """S4D-Lin at dt 0.1 has 20 distinct eigenvalues; with two inputs each counts twice, with one once."""
        logs = init.s4d_lin(64, 0.1).log_modes
        ranks = [int(LinearSystem.from_log_eigenvalues(logs, drawn(32, m), conj_sym=True).rank) for m in (1, 2, 3)]
        assert ranks == [20, 40, 60]

    def test_modes_out_of_reach(self):
        B = drawn(4, 2)
        B[2] = 0
        system = diagonal([0.9, 0.5j, 0.7, -0.3], B)
        assert int(system.rank) == 3
        kept = diagonal([0.9, 0.5j, -0.3], B[[0, 1, 3]])
        torch.testing.assert_close(
            memory_function(system, 50).values, memory_function(kept, 50).values, rtol=1e-12, atol=1e-300
        )


class TestReading:
    @pytest.fixture
    def memory(self):
        return memory_function(diagonal(spectra.ring(16, np.random.default_rng(2)), drawn(16, 3)), 600)

    def test_shapes(self, memory):
        assert memory.values.shape == (600, 3)
        assert memory.capacity.shape == memory.tail.shape == memory.rank.shape == memory.quantile(0.5).shape == ()
        assert memory.reach(0.2).shape == (3,)

    def test_reach_and_quantile_are_read_off_the_values(self, memory):
        for level in (0.5, 0.1, 0.01):
            assert torch.equal(memory.reach(level), (memory.values >= level).sum(0))
        held = memory.values.sum(-1).cumsum(0)
        assert int(memory.quantile(0.5)) == int((held < 0.5 * 16).sum()) + 1

    def test_tail(self, memory):
        short = memory_function(diagonal(spectra.ring(16, np.random.default_rng(2)), drawn(16, 3)), 100)
        assert float(short.tail) == pytest.approx(float(memory.values[100:].sum() + memory.tail), rel=1e-11)

    def test_table(self, memory):
        frame = memory.to_frame()
        assert list(frame.columns) == ["lag", "input", "memory"]
        row = frame[(frame.lag == 7) & (frame.input == 2)]
        assert float(row.memory.iloc[0]) == float(memory.values[7, 2])

    def test_words_count_inputs_as_channels(self, memory):
        assert "median of 3 channels" in memory.describe(100)

    def test_picture(self, memory):
        axes = memory.plot(label="three inputs")
        (line,) = [line for line in axes.lines if line.get_label() == "three inputs"]
        np.testing.assert_allclose(line.get_ydata(), memory.values.quantile(0.5, -1).clamp(min=1e-12))


class TestGradients:
    def test_diagonal(self):
        eigenvalues = torch.from_numpy(spectra.disk(5, np.random.default_rng(1)) * 0.9).requires_grad_()
        B = torch.from_numpy(drawn(5, 2)).requires_grad_()

        def objective(eigenvalues, B):
            return memory_function(diagonal(eigenvalues, B), [0, 3, 9]).values

        assert torch.autograd.gradcheck(objective, (eigenvalues, B))

    def test_dense(self):
        A = torch.from_numpy(matrices()["gauss"][:6, :6] * 0.9).requires_grad_()
        B = torch.from_numpy(drawn(6, 2).real.copy()).requires_grad_()

        def objective(A, B):
            return memory_function(dense(A, B), [0, 3, 9]).values

        assert torch.autograd.gradcheck(objective, (A, B))

    def test_what_carries_no_gradient_is_refused(self):
        A = torch.from_numpy(matrices()["two blocks"].copy()).requires_grad_()
        with pytest.raises(InputError) as caught:
            memory_function(dense(A, drawn(5, 2).real), 3)
        assert_one_line(str(caught.value), "distinct eigenvalues", "condition", "take no gradient")


def test_one_column_is_one_input():
    eigenvalues = spectra.ring(12, np.random.default_rng(0))
    column = memory_function(diagonal(eigenvalues, drawn(12, 1)), 50).values
    assert torch.equal(column, memory_function(diagonal(eigenvalues), 50).values)


def test_perturbation_spread():
    spread = perturbation_spread(dense(matrices()["gauss"], drawn(24, 2).real), [0, 10], seed=0)
    assert spread.shape == (2, 2)
    assert 0 < float(spread.max()) < 1e-10
