import mpmath
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssmemory.ops import log_from_eigenvalues, one_minus_abs2, power

mpmath.mp.dps = 60
HAIR = 1e-15  # 1 − |λ| of the eigenvalues nearest to the circle

POINTS = {
    "near 1": 1 - HAIR,
    "near −1": HAIR - 1,
    "near i": 1j * (1 - HAIR),
    "near the circle": (1 - HAIR) * np.exp(2.0j),
    "just outside": (1 + HAIR) * np.exp(0.7j),
    "on it, by rounding": 0.6 + 0.8j,
    "half": 0.5 + 0j,
    "either side of the switch": 0.3 + 0.4000000001j,
    "tiny": 1e-200 - 3e-201j,
    "smallest normal": 2.3e-308 + 0j,
    "far outside": 3 - 4j,
}


def exact(value: complex) -> mpmath.mpc:
    return mpmath.mpc(complex(value).real, complex(value).imag)


def tensor(*values: complex) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.complex128)


@pytest.mark.parametrize("value", POINTS.values(), ids=POINTS)
def test_one_minus_abs2_of_a_point(value):
    wanted = 1 - exact(value).real ** 2 - exact(value).imag ** 2
    got = float(one_minus_abs2(tensor(value))[0])
    assert abs(got - wanted) <= 1e-15 * abs(wanted)


def test_one_minus_abs2_of_many_points_near_the_circle():
    rng = np.random.default_rng(0)
    values = (1 - 10 ** rng.uniform(-15.5, -1, 500)) * np.exp(1j * rng.uniform(-np.pi, np.pi, 500))
    wanted = [1 - exact(value).real ** 2 - exact(value).imag ** 2 for value in values]
    got = one_minus_abs2(torch.from_numpy(values)).tolist()
    assert max(float(abs((g - w) / w)) for g, w in zip(got, wanted, strict=True)) < 1e-15


@pytest.mark.parametrize(("value", "wanted"), [(0, 1), (1, 0), (-1j, 0), (2, -3)])
def test_one_minus_abs2_where_it_is_a_whole_number(value, wanted):
    assert float(one_minus_abs2(tensor(value))[0]) == wanted


@pytest.mark.parametrize("value", POINTS.values(), ids=POINTS)
def test_log_of_a_point(value):
    got, wanted = complex(log_from_eigenvalues(tensor(value))[0]), mpmath.log(exact(value))
    assert abs(got.real - wanted.real) <= 2e-15 * abs(wanted.real)
    assert abs(got.imag - wanted.imag) <= 1e-15 * abs(wanted.imag)


def test_log_of_zero_is_minus_infinity():
    logs = log_from_eigenvalues(tensor(0, 0.5))
    assert logs.real.tolist() == [-np.inf, pytest.approx(np.log(0.5))]
    assert logs.imag.tolist() == [0, 0]


@pytest.mark.parametrize("function", [one_minus_abs2, lambda z: torch.view_as_real(log_from_eigenvalues(z))])
def test_gradients(function):
    points = tensor(0.3, -0.2 + 0.1j, 0.6j, 0.7 - 0.7j, 1 - 1e-9, (1 - 1e-12) * np.exp(1.0j), 1.5)
    assert gradcheck(function, points.requires_grad_())


def test_gradient_at_the_circle_is_that_of_the_formula():
    z = tensor((1 - HAIR) * np.exp(1.0j)).requires_grad_()
    one_minus_abs2(z).sum().backward()
    assert z.grad is not None
    assert complex(z.grad[0]) == pytest.approx(-2 * complex(z.detach()[0]), rel=1e-14)


@pytest.mark.parametrize("exponent", [1, 2, 1000, 10**6, 10**12])
@pytest.mark.parametrize("log", [-1e-9 + 0j, -1e-13 + 1e-5j, -1e-3 + 2j, -300 + 1j])
def test_power_is_the_exponential_of_the_multiple(log, exponent):
    got, wanted = complex(power(tensor(log), exponent)[0]), mpmath.exp(exponent * exact(log))
    assert abs(got - wanted) <= (1e-15 + 3e-16 * exponent * abs(log)) * abs(wanted) + mpmath.mpf(10) ** -320


def test_powers_of_zero():
    logs = log_from_eigenvalues(tensor(0))
    assert [complex(power(logs, k)[0]) for k in (0, 1, 5)] == [1, 0, 0]
