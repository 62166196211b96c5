import math

import pytest
import torch

from ssmemory import init
from ssmemory.errors import InputError

PAIRS = "d_state: expected an even number, got 7; modes come in conjugate pairs: use 6 or 8"
WHOLE = "a whole number of at least"
CASES = [
    (lambda: init.s4d_lin(7, 0.1), PAIRS),
    (lambda: init.s4d_inv(7, 0.1), PAIRS),
    (lambda: init.s4d_legs(7, 0.1), PAIRS),
    (lambda: init.ring(7, seed=0), PAIRS),
    (lambda: init.random_disk(7, seed=0), PAIRS),
    (lambda: init.fourier(7, 100), PAIRS),
    (lambda: init.step(7), PAIRS),
    (lambda: init.s4d_lin(0, 0.1), f"d_state: expected {WHOLE} 2, got 0; it counts both halves"),
    (lambda: init.s4d_lin(8.0, 0.1), f"d_state: expected {WHOLE} 2, got 8.0;"),
    (lambda: init.s4d_lin("8", 0.1), f"d_state: expected {WHOLE} 2, got '8';"),
    (lambda: init.s4d_real(0, 0.1), f"d_state: expected {WHOLE} 1, got 0; it is the full real state size"),
    (lambda: init.hippo_legs(-1, 0.1), f"d_state: expected {WHOLE} 1, got -1;"),
    (lambda: init.hippo_legs(True, 0.1), f"d_state: expected {WHOLE} 1, got True;"),
    (lambda: init.hippo_legs_matrices(None), f"d_state: expected {WHOLE} 1, got None;"),
    (lambda: init.linear(0), f"d_state: expected {WHOLE} 1, got 0;"),
    (lambda: init.step(2), f"d_state: expected {WHOLE} 4, got 2;"),
    (lambda: init.s4d_lin(8, 0.0), "dt: expected positive steps, got 0.0;"),
    (lambda: init.s4d_real(8, torch.tensor([0.1, -0.1])), "dt: expected positive steps, got -0.1"),
    (lambda: init.hippo_legs(8, math.nan), "dt: expected finite numbers, got 1 NaN or infinite;"),
    (lambda: init.s4d_inv(8, 0.1, discretization="zho"), "discretization: expected one of zoh, bilinear, got 'zho'"),
    (lambda: init.hippo_legs(8, 0.1, discretization="euler"), "discretization: expected one of zoh, bilinear"),
    (lambda: init.ring(8, 0.9, 1.0, seed=0), "r_max: expected 0 < r_max < 1, got 1.0; a modulus below 1"),
    (lambda: init.ring(8, 0.9, 0.8, seed=0), "r_min: expected 0 <= r_min < r_max = 0.8, got 0.9; r_min and r_max"),
    (lambda: init.ring(8, 0.9, 0.9, seed=0), "r_min: expected 0 <= r_min < r_max = 0.9, got 0.9;"),
    (lambda: init.ring(8, -0.1, seed=0), "r_min: expected 0 <= r_min < r_max = 0.999, got -0.1;"),
    (lambda: init.ring(8, math.nan, seed=0), "r_min: expected 0 <= r_min < r_max = 0.999, got nan;"),
    (lambda: init.ring(8, max_phase=7.0, seed=0), "max_phase: expected 0 < max_phase <= 2π, got 7.0; it is an angle"),
    (lambda: init.ring(8, max_phase=0, seed=0), "max_phase: expected 0 < max_phase <= 2π, got 0;"),
    (lambda: init.ring(8, seed=None), f"seed: expected {WHOLE} 0, got None; the same seed draws the same system"),
    (lambda: init.ring(8, seed=-1), f"seed: expected {WHOLE} 0, got -1;"),
    (lambda: init.ring(8, seed=2**64), "seed: expected a whole number below 2**64, got 18446744073709551616;"),
    (lambda: init.ring(8, seed=0, channels=0), f"channels: expected {WHOLE} 1, got 0; leave it out for one system"),
    (lambda: init.random_disk(8, 1.5, seed=0), "radius: expected 0 < radius < 1, got 1.5;"),
    (lambda: init.random_disk(8, "big", seed=0), "radius: expected 0 < radius < 1, got 'big';"),
    (lambda: init.fourier(8, 1), f"length: expected {WHOLE} 2, got 1; it is the number of steps to remember"),
    (lambda: init.fourier(12, 10), "d_state: expected at most length + 1 = 11, got 12; a window of"),
    (lambda: init.geometric(8, 1), f"length: expected {WHOLE} 2, got 1;"),
    (lambda: init.geometric(8, 10.5), f"length: expected {WHOLE} 2, got 10.5;"),
    (lambda: init.linear(8, 0.0), "r_max: expected 0 < r_max < 1, got 0.0;"),
    (lambda: init.step(8, 0.0), "r_min: expected 0 < r_min < 1, got 0.0;"),
    (lambda: init.step(8, 0.9, 0.5), "r_max: expected 0.9 < r_max < 1, got 0.5;"),
]


@pytest.mark.parametrize(("call", "message"), CASES, ids=range(len(CASES)))
def test_bad_arguments_get_one_clear_line(call, message):
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert line.startswith(message)
    assert "\n" not in line
    assert "; " in line


@pytest.mark.parametrize("make", [init.ring, init.random_disk])
def test_nothing_is_random_without_a_seed(make):
    with pytest.raises(TypeError, match="seed"):
        make(8)
