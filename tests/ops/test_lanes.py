"""Eight numbers as one value, against numpy."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from ssmemory.ops._lanes import LANES, load, store, widened, zeros

VALUES = np.random.default_rng(0).standard_normal(4 * LANES)


@njit
def combined(array, out, wide):
    """Loads at odd places, every operator in a loop that carries a value, and stores at odd places."""
    total = zeros(array)
    for i in range(3):
        total = total + load(array, i) * load(array, LANES + 2 * i + 1) - load(array, 2 * LANES)
    store(out, 3, total)
    store(wide, 1, widened(total))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_numpy(dtype):
    array, out, wide = VALUES.astype(dtype), np.full(LANES + 5, 7, dtype), np.full(LANES + 2, 7.0)
    combined(array, out, wide)
    exact = array.astype(np.float64)
    terms = [exact[i : i + 8] * exact[2 * i + 9 : 2 * i + 17] - exact[16:24] for i in range(3)]
    assert np.allclose(out[3:-2], sum(terms), rtol=0, atol=30 * np.finfo(dtype).eps)
    assert np.array_equal(wide[1:-1], out[3:-2])
    assert {*out[:3], *out[-2:], wide[0], wide[-1]} == {7.0}


@pytest.mark.parametrize("array", [np.zeros((2, 16)), np.zeros(32)[::2]], ids=["two dimensions", "every other one"])
def test_what_is_not_flat_is_refused(array):
    with pytest.raises(TypingError, match="flat, contiguous"):
        combined(array, np.zeros(16), np.zeros(16))
