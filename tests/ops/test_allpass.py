from time import perf_counter

import numpy as np
import pytest
from tests.reference import spectra
from tests.reference.stein import memory_of_eigenvalues

from ssmemory.ops import allpass_cascade, allpass_cascade_naive


def gains(poles: np.ndarray) -> np.ndarray:
    return np.sqrt(1 - np.abs(poles) ** 2)


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    visible = wanted > 1e-290
    return float(np.max(np.abs(got - wanted)[visible] / wanted[visible]))


@pytest.mark.parametrize("length", [1, 2, 2047, 2048, 2049, 4096, 4097])
class TestBlockBoundaries:
    def test_against_the_naive_twin(self, length):
        poles = np.stack([spectra.ring(5, np.random.default_rng(seed)) for seed in range(3)])
        fast, naive = allpass_cascade(poles, gains(poles), length), allpass_cascade_naive(poles, gains(poles), length)
        assert fast.shape == (3, length)
        assert relative_error(fast, naive) < 1e-11

    def test_against_the_gramian(self, length):
        poles = spectra.ring(6, np.random.default_rng(7))
        lags = sorted({0, length // 2, max(length - 2, 0), length - 1})
        got = allpass_cascade(poles[None], gains(poles)[None], length)[0, lags]
        assert relative_error(got, memory_of_eigenvalues(poles, lags)) < 1e-11


@pytest.mark.parametrize("cascade", [allpass_cascade, allpass_cascade_naive])
class TestBothTwins:
    def test_one_pole_is_a_geometric_series(self, cascade):
        got = cascade(np.array([[0.3 + 0.4j]]), np.array([[0.75**0.5]]), 400)[0]
        assert relative_error(got, 0.75 * 0.25 ** np.arange(400.0)) < 1e-12

    @pytest.mark.parametrize("out", [[0], [2], [4], [0, 3], [0, 1, 2, 3]])
    def test_a_section_of_gain_0_is_left_out(self, cascade, out):
        poles = spectra.disk(5, np.random.default_rng(1))[None]
        gain = gains(poles)
        gain[0, out] = 0
        kept = np.delete(poles, out, 1)
        np.testing.assert_array_equal(cascade(poles, gain, 300), cascade(kept, gains(kept), 300))

    def test_no_section_remembers_nothing(self, cascade):
        np.testing.assert_array_equal(cascade(np.full((2, 3), 0.5 + 0j), np.zeros((2, 3)), 10), np.zeros((2, 10)))

    def test_zero_poles_are_a_shift_register(self, cascade):
        wanted = [1.0] * 4 + [0.0] * 6
        np.testing.assert_array_equal(cascade(np.zeros((1, 4), complex), np.ones((1, 4)), 10), [wanted])

    def test_the_order_of_the_sections_does_not_matter(self, cascade):
        poles = spectra.ring(8, np.random.default_rng(2))
        both = np.stack([poles, poles[::-1]])
        forward, backward = cascade(both, gains(both), 3000)
        assert relative_error(forward, backward) < 1e-11


def test_a_shift_register_longer_than_a_block():
    memory = allpass_cascade(np.zeros((1, 3000), complex), np.ones((1, 3000)), 5000)[0]
    np.testing.assert_array_equal(memory, np.arange(5000) < 3000)


def test_exactly_0_after_underflow():
    poles = np.array([[0.5, -0.5j, 0.4]])
    memory = allpass_cascade(poles, gains(poles), 20_000)[0]
    last = np.flatnonzero(memory)[-1]
    assert 530 < last < 545  # 0.5^(2·540) is 1e-325
    np.testing.assert_array_equal(memory[last + 1 :], 0)


def test_decayed_states_are_not_slower_than_live_ones():
    decayed, alive = np.full((1, 4), 0.9 + 0j), np.full((1, 4), 1 - 1e-9 + 0j)  # 0.9 × the last denormal rounds to it
    seconds = {}
    for name, poles in {"compile": decayed, "decayed": decayed, "alive": alive}.items():
        start = perf_counter()
        allpass_cascade(poles, gains(poles), 1_000_000)
        seconds[name] = perf_counter() - start
    assert seconds["decayed"] < seconds["alive"] / 2  # 0.02 of it; without a flush more than all of it
