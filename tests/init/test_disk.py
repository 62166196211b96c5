import math

import pytest
import scipy.stats
import torch

from ssmemory import init


def looks_like(samples, cdf):
    """A Kolmogorov–Smirnov test that a wrong law fails by far: tens of thousands of samples."""
    return scipy.stats.kstest(samples.flatten().numpy(), cdf).pvalue > 0.01


def test_ring_is_uniform_in_squared_modulus_and_in_phase():
    modes = init.ring(64, 0.5, 0.9, 2.0, seed=1, channels=500).log_modes.exp()
    assert looks_like(modes.abs().square(), scipy.stats.uniform(0.25, 0.81 - 0.25).cdf)
    assert not looks_like(modes.abs(), scipy.stats.uniform(0.5, 0.4).cdf)
    assert looks_like(modes.angle(), scipy.stats.uniform(0, 2.0).cdf)


def test_modulus_and_phase_are_independent():
    modes = init.ring(64, 0.5, 0.9, 2.0, seed=2, channels=500).log_modes.flatten().numpy()
    assert scipy.stats.spearmanr(modes.real, modes.imag).pvalue > 0.01


def test_disk_projects_onto_a_semicircle():
    """The real part of a point uniform in a disk follows Wigner's semicircle law, and so does the imaginary part."""
    system = init.random_disk(64, 0.8, seed=3, channels=500)
    wigner = scipy.stats.semicircular(scale=0.8).cdf
    assert looks_like(system.log_modes.exp().real, wigner)
    assert looks_like(system.eigenvalues[..., :32].imag.abs(), lambda y: 2 * wigner(y) - 1)


def test_defaults_are_those_of_the_paper():
    system = init.ring(256, seed=0)
    size, phase = system.eigenvalues.abs(), system.log_modes.imag
    assert system.batch_shape == ()
    assert 0.9 <= float(size.min()) < 0.91
    assert 0.99 < float(size.max()) <= 0.999
    assert 0 <= float(phase.min()) < 0.1
    assert 3.0 < float(phase.max()) <= math.pi


@pytest.mark.parametrize("make", [init.ring, init.random_disk])
def test_the_seed_and_nothing_else_decides(make):
    torch.manual_seed(0)
    first = make(8, seed=5).log_modes
    before = torch.random.get_rng_state()
    again, other = make(8, seed=5).log_modes, make(8, seed=6).log_modes
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("make", [init.ring, init.random_disk])
def test_channels_make_a_batch_of_full_rank(make):
    system = make(16, seed=0, channels=5)
    assert system.batch_shape == (5,)
    assert system.d_state == 16
    assert system.rank.tolist() == [16] * 5
    assert len(set(system.log_modes.real.flatten().tolist())) == 40


def test_margins_keep_their_digits_near_the_circle():
    r_min, r_max = 1 - 2e-12, 1 - 1e-12
    margins = init.ring(64, r_min, r_max, seed=0, channels=100).spectrum().margins[..., :32]
    width = 1 - r_min - (1 - r_max)
    assert looks_like((margins / 2 - (1 - r_max)) / width, scipy.stats.uniform.cdf)
