"""Memory functions solved in multiprecision by others, lag for lag."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, memory_capacity, memory_function

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "memory_function.json").read_text())


@dataclass(frozen=True)
class Case:
    record: dict

    @property
    def name(self) -> str:
        return f"{self.record['name']}-{len(self.record['eigenvalues_re'])}"

    @property
    def rank(self) -> int:
        return self.record["rank"]

    @property
    def lags(self) -> list[int]:
        return self.record["lags"]

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        real, imag = (np.array([float(x) for x in self.record[f"eigenvalues_{part}"]]) for part in ("re", "im"))
        return real + 1j * imag

    @cached_property
    def memory(self) -> np.ndarray:
        return np.array([float(x) for x in self.record["memory"]])


def all_lags(case: Case) -> torch.Tensor:
    return memory_function(LinearSystem.from_eigenvalues(case.eigenvalues), max(case.lags) + 1).values[case.lags]


def single_lags(case: Case) -> torch.Tensor:
    return memory_function(LinearSystem.from_eigenvalues(case.eigenvalues), case.lags).values


def all_lags_with_gradients(case: Case) -> torch.Tensor:
    eigenvalues = torch.from_numpy(case.eigenvalues).requires_grad_()
    memory = memory_function(LinearSystem.from_eigenvalues(eigenvalues), max(case.lags) + 1)
    assert memory.values.requires_grad
    return memory.values.detach()[case.lags]


CASES = [pytest.param(case, id=case.name) for case in map(Case, GOLDEN)]


@pytest.mark.parametrize("compute", [all_lags, single_lags, all_lags_with_gradients])
@pytest.mark.parametrize("case", CASES)
def test_every_lag(case, compute):
    got, wanted = compute(case).numpy(), case.memory
    visible = wanted >= 1e-290
    assert visible.sum() >= 10
    np.testing.assert_allclose(got[visible], wanted[visible], rtol=1e-11)
    np.testing.assert_array_equal(got[wanted == 0], 0)


def test_some_value_is_below_the_range_of_float64():
    assert any((case.memory == 0).any() for case in map(Case, GOLDEN))


@pytest.mark.parametrize("case", CASES)
def test_capacity_is_the_rank(case):
    system = LinearSystem.from_eigenvalues(case.eigenvalues)
    assert int(system.rank) == case.rank
    assert float(memory_capacity(system)) == pytest.approx(case.rank, abs=1e-9)
    for lags in (1, 37, 3000, [5, 4000]):
        assert float(memory_function(system, lags).capacity) == pytest.approx(case.rank, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_tail_is_what_the_leading_lags_leave(case):
    memory = memory_function(LinearSystem.from_eigenvalues(case.eigenvalues), 20)
    assert float(memory.values.sum() + memory.tail) == pytest.approx(case.rank, abs=1e-11)
    longer = memory_function(LinearSystem.from_eigenvalues(case.eigenvalues), 6000)
    assert float(memory.tail) == pytest.approx(float(longer.values[20:].sum() + longer.tail), rel=1e-11)
