"""What may be given as lags, and in what order values come back."""

import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, memory_function

SYSTEM = LinearSystem.from_eigenvalues([0.5, -0.3])
PLAIN = memory_function(SYSTEM, 10).values.tolist()

COUNTS = {"int": 4, "numpy scalar": np.int32(4), "tensor scalar": torch.tensor(4), "0-d array": np.array(4)}
SEQUENCES = {
    "list": [5, 0],
    "tuple": (3, 3, 9),
    "range": range(2, 8, 3),
    "array": np.array([7, 1], np.int16),
    "unsigned array": np.array([7, 1], np.uint64),
    "tensor": torch.tensor([2, 6]),
    "bytes of a tensor": torch.tensor([2, 6], dtype=torch.uint8),
    "array of one": np.array([5]),
    "tensor of one": torch.tensor([5]),
    "list of one": [5],
    "tensor of lag 0": torch.tensor([0]),
    "all in order": [0, 1, 2],
    "all in reverse": [2, 1, 0],
}


@pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)
def test_a_number_asks_for_so_many_lags(count):
    memory = memory_function(SYSTEM, count)
    assert memory.lags.tolist() == [0, 1, 2, 3]
    assert memory.values.tolist() == PLAIN[:4]


@pytest.mark.parametrize("lags", SEQUENCES.values(), ids=SEQUENCES)
def test_a_sequence_asks_for_its_members(lags):
    memory, wanted = memory_function(SYSTEM, lags), [int(lag) for lag in lags]
    assert memory.lags.tolist() == wanted
    assert memory.lags.dtype == torch.int64
    np.testing.assert_allclose(memory.values, [PLAIN[lag] for lag in wanted], rtol=1e-13)


def test_a_lag_beyond_any_sequence_length():
    memory = memory_function(SYSTEM, [10**18, 0])
    assert memory.values.tolist() == [0, pytest.approx(PLAIN[0])]
    assert float(memory.tail) == 0
