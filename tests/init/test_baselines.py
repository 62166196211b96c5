import numpy as np
import pytest

from ssmemory import init, memory_capacity


@pytest.mark.parametrize("d_state", [1, 2, 7, 64])
def test_linear_is_equally_spaced_up_to_the_largest(d_state):
    system = init.linear(d_state, 0.96)
    values = system.eigenvalues.numpy()
    np.testing.assert_allclose(values, np.linspace(0, 0.96, d_state + 1)[1:], rtol=1e-14)
    assert int(system.rank) == system.d_state == d_state


@pytest.mark.parametrize("d_state", [4, 6, 64])
def test_step_has_two_moduli_slow_oscillations_long_and_full_rank(d_state):
    system = init.step(d_state, 0.3, 0.95)
    values = system.log_modes.exp().numpy()
    long = (d_state // 2 + 1) // 2
    np.testing.assert_allclose(abs(values), [0.95] * long + [0.3] * (d_state // 2 - long), rtol=1e-14)
    np.testing.assert_allclose((values / abs(values)) ** d_state, -1, atol=1e-12)
    assert int(system.rank) == system.d_state == d_state


def test_capacity_is_the_state_size():
    assert float(memory_capacity(init.step(16))) == pytest.approx(16, abs=1e-9)
    assert float(memory_capacity(init.linear(16))) == pytest.approx(16, abs=1e-9)
