"""Advice: the rule, the dt that was solved for, errors and condition numbers against dense references, plain words."""

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from ssmemory import init
from ssmemory.errors import InputError

NOISE = np.random.default_rng(0).standard_normal(60_000)
KINDS = {
    "white": NOISE,
    "AR": lfilter([1], [1, -0.9], NOISE),
    "oscillation": lfilter([1], [1, -2 * 0.999 * np.cos(0.2), 0.999**2], NOISE),
    "walk": NOISE.cumsum(),
}


def responses(advice: init.Advice) -> np.ndarray:
    """(modes, L) of the advised continuous system, sampled by hand with a zero-order hold; conjugates written out."""
    a, dt = advice.A.numpy(), advice.dt
    lags = np.arange(advice.length)
    B = np.where(a == 0, dt, np.expm1(dt * a) / np.where(a == 0, 1, a))
    x = B[:, None] * np.exp(dt * a[:, None] * lags)
    return np.concatenate([x, x.conj()[a.imag != 0]])


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("options", [{}, {"spectrum": "lin", "decay": 2.0}, {"spectrum": "peaks"}], ids=str)
def test_the_numbers_are_those_of_dense_matrices(kind, options):
    advice = init.from_data(KINDS[kind], 8, length=128, **options)
    R, K = toeplitz(advice.autocorrelation.values.numpy()), responses(advice)
    variances = np.einsum("nt,ts,ns->n", K[:4], R, K[:4].conj()).real
    assert variances.mean() == pytest.approx(advice.variance, rel=1e-6)
    assert advice.variance == pytest.approx(1, rel=1e-3) or advice.dt == advice.dt_rule
    Q = np.linalg.qr(K.T)[0].T
    held = np.einsum("nt,ts,ns->", Q.conj(), R, Q).real / 128
    assert advice.approximation_error == pytest.approx(1 - held, abs=1e-8)
    rates = np.linalg.eigvalsh(K @ R @ K.conj().T)
    assert advice.condition == pytest.approx(rates[-1] / rates[0], rel=1e-5)
    assert advice.dt_rule == pytest.approx(1 / np.sqrt(128 * np.linalg.eigvalsh(R)[-1]), rel=1e-5)


def test_the_rule_runs_from_one_over_root_L_to_one_over_L():
    white = init.from_data(KINDS["white"], 8, length=256)
    assert white.dt_rule == pytest.approx(1 / 16, rel=0.1)
    constant = init.from_data(np.repeat(NOISE[:300], 256).reshape(300, 256, 1), 8)
    assert constant.dt_rule == pytest.approx(1 / 256, rel=0.1)


def test_the_variance_at_the_rule_is_at_most_of_order_1():
    for kind, x in KINDS.items():
        assert init.from_data(x, 8, length=128).rule_variance < 1.1, kind


def test_frequencies_go_where_the_power_is():
    advice = init.from_data(KINDS["oscillation"], 16, length=512)
    assert advice.spectrum in ("peaks", "band")
    assert float((advice.system.log_modes.imag - 0.2).abs().median()) < 0.05
    assert advice.approximation_error < 0.1
    assert advice.separation <= 1e4
    apart = init.from_data(KINDS["oscillation"], 16, length=512, spectrum="peaks")
    assert float((apart.system.log_modes.imag - 0.2).abs().max()) < 0.1
    assert apart.separation < 1.01
    fourier = init.from_data(KINDS["walk"], 16, length=512)
    assert fourier.spectrum == "fourier"
    assert fourier.approximation_error < 0.01


def test_crowding_trades_conditioning_for_approximation():
    close = init.from_data(KINDS["oscillation"], 16, length=512, spectrum="band")
    apart = init.from_data(KINDS["oscillation"], 16, length=512, spectrum="peaks")
    assert close.approximation_error < apart.approximation_error
    assert close.separation > 100 * apart.separation


def test_zero_real_parts_are_exactly_zero_and_decay_is_what_was_asked():
    assert not init.from_data(KINDS["AR"], 8, length=64, decay=0).A.real.any()
    faded = init.from_data(KINDS["AR"], 8, length=64, decay=3.0)
    np.testing.assert_allclose(faded.system.log_modes.real * 64, -3.0, rtol=1e-12)


@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_the_system_has_the_frequencies_by_either_discretization(discretization):
    advice = init.from_data(KINDS["AR"], 8, length=64, spectrum="fourier", discretization=discretization)
    np.testing.assert_allclose(advice.system.log_modes.imag, 2 * np.pi * np.arange(4) / 64, atol=1e-12)
    memory = advice.memory()
    assert float((memory.values - 7 / 64).abs().max()) < 1e-12


def test_it_explains_itself():
    x = KINDS["AR"].copy()
    x[100:200] = np.nan
    told = init.from_data(x, 16, length=128, sampling_rate=4, unit="h").explain()
    assert "windows of 128 steps (32 h)" in told
    assert "100 numbers are missing" in told
    assert "The rule 1/√(L λ_max) gives" in told
    assert "Real parts: zero." in told
    trended = init.from_data(NOISE + np.linspace(0, 30, len(NOISE)), 8, length=64)
    assert "consider detrend=True" in trended.explain()
    changing = np.concatenate([NOISE[:20_000], lfilter([1], [1, -0.99], NOISE[:20_000])])
    assert "not alike throughout" in init.from_data(changing, 8, length=200).explain()
    assert "Real parts: −" in init.from_data(KINDS["AR"], 8, length=64, decay=2.0).explain()


def test_it_draws_and_records():
    advice = init.from_data(KINDS["AR"], 8, length=64)
    assert len(advice.plot().axes) == 4
    record = advice.to_record()
    assert record["dt"] == advice.dt
    assert len(record["candidates"]) == len(advice.candidates)
    assert torch.isfinite(torch.tensor(record["A_imag"])).all()


@pytest.mark.parametrize(
    ("x", "d_state", "options", "match"),
    [
        (NOISE, 7, {}, "d_state: expected an even number, got 7"),
        (NOISE[:20], 32, {}, "d_state: expected at most the window's 20 steps, got 32"),
        (NOISE, 8, {"length": 64, "spectrum": "forier"}, "did you mean 'fourier'"),
        (NOISE, 8, {"length": 64, "decay": -1.0}, "decay: expected a number of at least 0, got -1.0"),
        (NOISE, 8, {"length": 64, "discretization": "euler"}, "discretization: expected one of zoh, bilinear"),
        (np.ones(100), 8, {}, "expected numbers that vary, got a constant"),
    ],
)
def test_bad_input(x, d_state, options, match):
    with pytest.raises(InputError, match=match):
        init.from_data(x, d_state, **options)
