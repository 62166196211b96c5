"""Extending memory: the exact loss and the doubled spectrum against sums written out, and a small run."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ssmemory.experiments.extending_memory import SCHEMA, SIZES, page, run
from ssmemory.experiments.extending_memory.layer import METHODS, recall_loss, to_logs, to_parameters
from ssmemory.experiments.extending_memory.run import doubled_memory, starts

SMOKE = SIZES["smoke"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    threads = torch.get_num_threads()
    made = run(SMOKE, tmp_path_factory.mktemp("extending") / "out")
    torch.set_num_threads(threads)
    return made


def row(results, method, reach):
    (found,) = [r for r in results["runs"] if (r["method"], r["reach"]) == (method, reach)]
    return found


def test_the_loss_is_that_of_the_kernel_written_out():
    logs, c = starts(SMOKE, 0)
    t = np.arange(512)
    for modes, weights, loss in zip(logs.numpy(), c.numpy(), recall_loss(logs, c, 40, 512), strict=True):
        kernel = 2 * (weights @ np.exp(np.outer(modes, t))).real
        assert float(loss) == pytest.approx(np.sum((kernel - (t == 40)) ** 2), rel=1e-10)


def test_the_loss_is_finite_next_to_the_circle():
    logs = torch.tensor([[-1e-9 + 0.3j, -1e-9 + 0j]], dtype=torch.complex128)
    c, t = torch.ones(1, 2, dtype=torch.complex128), np.arange(512)
    wanted = np.sum((2 * np.cos(0.3 * t) + 2 - (t == 40)) ** 2)
    assert float(recall_loss(logs, c, 40, 512)) == pytest.approx(wanted, rel=1e-6)


def test_the_doubled_spectrum_is_the_span_of_one_step():
    """Least squares on λ^t and t λ^(t−1), written out: the share of lag 40 that they give back."""
    logs = starts(SMOKE, 0)[0][1]
    t = np.arange(1024)
    powers = np.exp(np.outer(logs.numpy(), t))
    columns = np.concatenate([powers.real, powers.imag, t * powers.real, t * powers.imag])
    Q = np.linalg.qr((columns / np.linalg.norm(columns, axis=1, keepdims=True)).T)[0]
    assert doubled_memory(logs[None], 40)[0] == pytest.approx(np.sum(Q[40] ** 2), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_parameters_hold_the_start(method):
    logs = starts(SMOKE, 0)[0]
    held = to_logs(to_parameters(logs, torch.tensor(SMOKE.reaches).double(), method), method)
    assert torch.allclose(held, logs, atol=2e-9)


def test_seeds_move_the_phases_alone():
    (one, C), (two, D) = starts(SMOKE, 0), starts(SMOKE, 1)
    assert torch.equal(one.real, two.real)
    assert (one.imag - two.imag).abs().max() > 1e-3
    assert not torch.equal(C, D)


def test_every_start_is_trained_in_every_way(results):
    assert results["schema"] == SCHEMA
    assert results["size"] == "smoke"
    assert results["config"] == dataclasses.asdict(SMOKE)
    assert {(r["method"], r["reach"]) for r in results["runs"]} == {(m, T) for m in METHODS for T in SMOKE.reaches}
    assert set(results["summary"]["claims"]) == {"G9", "G13", "G17"}
    assert all(math.isfinite(r["loss"]) for r in results["runs"])


@pytest.mark.parametrize("reach", SMOKE.reaches)
def test_frozen_memory_stays_and_training_ends_no_lower_than_the_readout_can(results, reach):
    frozen = row(results, "frozen", reach)
    assert frozen["memory_after"] == pytest.approx(frozen["memory_before"], rel=1e-4, abs=1e-12)
    assert frozen["loss"] > frozen["reachable"] - 1e-5
    assert frozen["reachable"] == pytest.approx(1 - frozen["memory_before"], abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reach", SMOKE.reaches)
def test_nothing_is_recalled_that_the_memory_does_not_hold(results, method, reach):
    """The loss of a layer cannot fall below 1 − MF of its own eigenvalues, nor MF rise above N/(τ+1)."""
    found = row(results, method, reach)
    assert found["loss"] > 1 - found["memory_after"] - 1e-5
    assert found["memory_after"] <= SMOKE.d_state / 41


def test_the_middle_start_learns_and_the_short_one_does_not(results):
    """A broken gradient of the eigenvalues would leave the middle start at its readout's 0.03."""
    for method in ("s4d", "lru", "raw"):
        assert row(results, method, 32)["memory_after"] > 3 * row(results, method, 32)["memory_before"]
        assert row(results, method, 8)["loss"] > 0.95


def test_the_page_has_its_figures(results):
    made = page(results)
    assert [figure.svg.count("<svg") for figure in made.figures] == [1, 1, 1]
    assert len(made.findings) == 3
