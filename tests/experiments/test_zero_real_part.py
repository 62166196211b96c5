"""Zero real parts, measured in the smallest size: what theory says of them is worked out again here."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
import torch
from tests.experiments.conftest import single_thread

from ssmemory.experiments.zero_real_part import SCHEMA, SIZES, page, run
from ssmemory.experiments.zero_real_part.findings import of, summarise
from ssmemory.experiments.zero_real_part.measure import FreeS4D, last_lag, start


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zero") / "out"
    with single_thread(), contextlib.redirect_stderr(io.StringIO()):
        run(SIZES["smoke"], folder)
    return json.loads((folder / "results.json").read_text())


def one(results, kind, **wanted):
    (record,) = of(results["runs"], kind, **wanted)
    return record


def responses(real, dt, length):
    """Real and imaginary parts of λ^τ, by their formula; the zero imaginary part of n = 0 left out."""
    a = real + 1j * np.pi * np.arange(8)
    rows = np.exp(np.outer(a * dt, np.arange(length)))
    return np.concatenate([rows.real, rows.imag[1:]])


def test_schema_and_page(results):
    assert results["schema"] == SCHEMA == "ssmemory/zero-real-part/1"
    made = page(results)
    assert len(made.figures) == 3
    assert set(results["summary"]["claims"]) == {"A2", "R7"}


@pytest.mark.parametrize("real", [0.0, -0.5])
@pytest.mark.parametrize(("name", "dt"), [("1/√L", 128**-0.5), ("2/L", 2 / 128), ("1/L", 1 / 128)])
def test_memory_is_the_projection_on_the_responses(results, real, name, dt):
    basis = np.linalg.qr(responses(real, dt, 128).T)[0]
    wanted = (basis**2).sum(1) * 128 / 15
    got = one(results, "memory", step=name, real=real)
    assert got["rank"] == 15
    assert got["worst"] == pytest.approx(wanted.min(), rel=1e-6)
    assert got["last"] == pytest.approx(wanted[-1], rel=1e-6)


@pytest.mark.parametrize("real", [0.0, -0.5])
def test_a_trained_readout_recalls_what_its_memory_holds(results, real):
    """A layer whose state, or whose C, did nothing would stay at a loss of 1 or above."""
    basis = np.linalg.qr(responses(real, 2 / 128, 128).T)[0]
    for row in one(results, "readout", step="2/L", real=real)["lags"]:
        assert row["measured"] == pytest.approx(1 - (basis[row["lag"]] ** 2).sum(), abs=2e-4)
        assert row["measured"] == pytest.approx(row["predicted"], abs=1e-5)


def test_the_variance_of_undamped_states_grows_with_the_stream(results):
    record = one(results, "variance", step="2/L", real=0.0)
    assert record["measured"] == pytest.approx(record["predicted"], rel=0.25)
    assert record["measured_later"] / record["measured"] == pytest.approx(4, rel=0.4)


def test_held_real_parts_never_grow_and_free_ones_do(results):
    growth = {held: one(results, "training", held=held)["growth"] for held in ("projected", "free", "exp", "frozen")}
    assert growth["projected"] == 0
    assert growth["frozen"] == 0
    assert growth["exp"] < 0
    assert growth["free"] > 0.1
    assert one(results, "training", held="frozen")["left"] == 0
    assert one(results, "training", held="projected")["left"] > 0.1


def test_every_training_starts_at_the_loss_of_answering_zero(results):
    assert [record["first"] for record in of(results["runs"], "training")] == pytest.approx([1.0] * 4, abs=1e-6)


def test_a_free_layer_may_grow():
    layer = FreeS4D(2, d_state=4, init=start, dt_min=0.1, dt_max=0.1)
    with torch.no_grad():
        layer.A_real.fill_(0.3)
    assert layer.system().log_modes.real.detach().numpy() == pytest.approx(0.03 * np.ones((2, 2)), rel=1e-5)


def test_the_foreseen_last_lag():
    tau = np.arange(100_000) / 100_000
    fall = np.exp(-2 * 0.63 * tau)
    assert last_lag(0.63) == pytest.approx(fall[-1] / fall.mean(), rel=1e-4)
    assert last_lag(0.0) == 1
    assert math.isclose(last_lag(0.63), 0.5, abs_tol=0.005)


@pytest.mark.parametrize("fails", ["none", "free", "past"])
def test_the_verdict_follows_the_trainings(results, fails):
    runs = json.loads(json.dumps(results["runs"]))
    for record in of(runs, "training"):
        record["final"], record["later"] = 0.9, 1.0
        if record["held"] == "free" and fails == "free":
            record["final"] = record["later"] = None
        if record["held"] == "free" and fails == "past":
            record["later"] = 1e6
    verdict = summarise(runs, SIZES["smoke"])["claims"]["R7"]["verdict"]
    assert verdict.startswith({"none": "no", "free": "conditional: yes within", "past": "conditional: yes past"}[fails])


@pytest.mark.parametrize("name", ["worst", "measured"])
def test_the_verdict_follows_memory_and_variance(results, name):
    runs = json.loads(json.dumps(results["runs"]))
    for record in of(runs, "memory" if name == "worst" else "variance"):
        record[name] = 0.01 if name == "worst" else 5.0
    assert summarise(runs, SIZES["smoke"])["claims"]["A2"]["verdict"].startswith("does not hold")
