"""Layers, spectra and gates side by side, in the smallest size; what they rest on, against responses and scipy."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from ssmemory import init
from ssmemory.errors import InputError, UnreachableError
from ssmemory.experiments.architectures import SIZES, Config, findings, inputs, page, run
from ssmemory.experiments.architectures.gates import _inner, _mamba, gates
from ssmemory.experiments.architectures.inputs import Input, encoded, load_inputs
from ssmemory.experiments.architectures.spectra import all_spectra, leverages, responses
from ssmemory.memory import gated_memory


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(SIZES["smoke"], tmp_path_factory.mktemp("architectures"))


def of(results, part):
    return [run for run in results["runs"] if run["part"] == part]


def test_capacity_per_kib_by_count(results):
    """Two channels, eight states, 64 bytes: a float32 number of state holds one input, or none."""
    rows = {(row["by"], row["name"], row["how"]): row for row in results["summary"]["table"]}
    for name in ("S4D:s4d_inv", "S4", "S5", "LRU", "LinearRNN"):
        assert rows["bytes", name, "exact"]["per_kib"] == pytest.approx(256, rel=1e-9)
        assert rows["bytes", name, "exact"]["bytes"] == 64
    assert rows["bytes", "S4D", "exact"]["per_kib"] == pytest.approx(256 * 7 / 8, rel=1e-9)
    assert rows["bytes", "LinearAttention", "given its keys"]["per_kib"] == pytest.approx(128, rel=1e-9)
    assert rows["state", "LinearAttention", "one eigenvalue"]["capacity"] == pytest.approx(2)
    assert rows["state", "Attention", "all it keeps"]["per_kib"] == pytest.approx(256 * 2 / 5, rel=1e-9)


def test_bound_and_rank(results):
    (record,) = of(results, "spectra")
    for row in record["rows"]:
        assert row["capacity"] == pytest.approx(row["rank"], abs=1e-9)
        assert row["share"] <= 1 + 1e-9
        assert row["rank"] == (7 if row["name"] == "S4D-Lin" else 8)
    assert {row["name"] for row in record["rows"]} >= {"S4D-Inv", "random", "linear", "step", "recall"}


def test_bases_and_twins(results):
    (basis,), (twins,) = of(results, "basis"), of(results, "twins")
    assert max(basis["one"].values()) < 1e-8
    assert max(basis["two"].values()) > 0.01
    assert twins["by_responses"] < 1e-8
    assert twins["layer"] < 1e-6
    for row in twins["rows"]:
        assert row["apart"]["S4D-Real"] < 1e-12
        assert row["apart"]["S4D-Inv"] > 0.1


def test_verdicts(results):
    verdicts = {name: claim["verdict"] for name, claim in results["summary"]["claims"].items()}
    assert verdicts["G1"].startswith("conditional: holds with one input")
    assert verdicts["G2"] == "holds"
    assert verdicts["G3"].startswith("holds for white input")
    assert verdicts["G4"].startswith("conditional: equal at the same eigenvalues")
    assert verdicts["G5"].startswith("conditional: longer below dt 0.03")
    assert verdicts["G6"].startswith("holds: for some")
    assert verdicts["G14"].startswith("does not hold against the linear RNN")
    assert verdicts["G18"].startswith("holds given the gates: rank at most N")


def test_leverages_are_the_memory_of_a_gramian():
    """At a state of three the Gramian of scipy's Stein equation is well conditioned, and says the same."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 3))
    A *= 0.8 / np.abs(np.linalg.eigvals(A)).max()
    B = rng.standard_normal((3, 2))
    K = responses(A, B, 400)
    P = solve_discrete_lyapunov(A, B @ B.T)
    wanted = np.einsum("tni,nm,tmi->ti", K, np.linalg.inv(P), K)
    assert np.abs(leverages(K) - wanted).max() < 1e-11
    assert np.abs(K[2] - A @ A @ B).max() < 1e-14


def test_every_spectrum_has_a_name_and_its_size():
    made = all_spectra(8, 0.01, 0)
    assert len(made) == 9
    assert {system.d_state for system in made.values()} == {8}


def test_constant_gates_are_s4d_real_from_an_empty_state():
    dt = torch.full((1, 1, 60), 0.2, dtype=torch.float64)
    B = torch.randn(1, 60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    name, real, mean, still = _mamba(dt, B)
    assert name == "Mamba"
    system = init.s4d_real(3, 0.2)
    K = responses(np.diag(system.eigenvalues.real.numpy()), np.ones((3, 1)), 60)
    assert np.abs(gated_memory(still).values.numpy()[0, 0, 0] - leverages(K)[:, 0]).max() < 1e-10
    assert torch.allclose(gated_memory(real).values, gated_memory(mean).values, atol=1e-12)  # a constant dt is its mean
    x = torch.zeros(3, dtype=torch.float64)
    kicked = []
    for t in range(60):  # by hand: an impulse at step 40
        x = torch.exp(0.2 * -torch.arange(1, 4, dtype=torch.float64)) * x + 0.2 * B[0, t] * (t == 40)
        kicked.append(x)
    assert torch.allclose(real.responses(59)[0, 0, :, 19], kicked[-1], atol=1e-15)


def test_the_convolution_sees_no_future():
    windows = torch.randn(1, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    changed = windows.clone()
    changed[0, 10] += 1
    first, second = (_inner(w, torch.Generator().manual_seed(1)) for w in (windows, changed))
    assert torch.equal(first[0, :7], second[0, :7])  # step t sees t … t + 3 of the window, the last its own
    assert not torch.equal(first[0, 7], second[0, 7])


def test_gates_differ_with_the_series():
    config = SIZES["smoke"]
    series = torch.randn(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = gates(config, "noise", series, 0)
    assert [row["kind"] for row in rows] == ["Mamba", "Mamba-2", "gated delta rule"]
    assert all(row["rank_most"] <= config.gate_state for row in rows)
    assert gates(config, "noise", series.flip(0), 0)[0]["mean"] != rows[0]["mean"]


def test_a_crossing_lies_between_grid_points():
    assert findings._crossing([(0.01, 100), (0.1, 10)], 10**1.5) == pytest.approx(10**-1.5)
    assert findings._crossing([(0.01, 100), (0.1, 10)], 5) is None
    assert findings._crossing([(0.01, 100), (0.1, 10)], 200) == 0.01


@pytest.mark.parametrize(
    ("one", "two", "verdict"),
    [(1e-12, 0.3, "conditional"), (1e-12, 1e-12, "holds"), (0.1, 0.3, "does not hold")],
)
def test_the_verdict_on_bases_follows_the_numbers(one, two, verdict):
    assert findings._eigenvalues([{"one": {"a": one}, "two": {"a": two}}])["verdict"].startswith(verdict)


def test_what_cannot_be_had_is_left_out(monkeypatch, capsys):
    def unreachable(*_, **__):
        raise UnreachableError("no network")

    monkeypatch.setattr(inputs.data_floor, "load_images", unreachable)
    assert load_inputs(SIZES["smoke"], cache=None, source=None) == {}
    assert "it is left out" in capsys.readouterr().err


def test_inputs_are_standardised():
    (found,) = load_inputs(SIZES["smoke"], cache=None, source=None).values()
    assert isinstance(found, Input)
    assert float(found.series.mean()) == pytest.approx(0, abs=1e-9)
    assert float(found.series.std()) == pytest.approx(1)
    assert encoded(found.series, 3, 0).shape == (len(found.series), 3)


def test_the_page(results):
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 1
    assert len(made.tables) == 2
    assert "--size smoke" in made.command


def test_a_configuration_without_seeds_is_refused():
    with pytest.raises(InputError, match="a seed"):
        Config(seeds=())
