"""Where memory lies, in the smallest size: closed forms, dense references, and what the theorem forbids."""

import contextlib
import copy
import importlib
import io
import json

import numpy as np
import pytest
import torch
from tests.experiments.conftest import single_thread

from ssmemory.errors import InputError
from ssmemory.experiments.primacy import SCHEMA, SIZES, Config, page, run
from ssmemory.experiments.primacy.findings import CONDITIONS, of, pattern, summarise, tenths
from ssmemory.experiments.primacy.measure import asked, drawn, remembered
from ssmemory.experiments.primacy.model import MODELS, STARTS, Recaller, Stack, kernel, memory_by_position

SMOKE = SIZES["smoke"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("primacy") / "out"
    with single_thread(), contextlib.redirect_stderr(io.StringIO()):
        run(SMOKE, folder)
    return folder


@pytest.fixture(scope="module")
def results(finished):
    return json.loads((finished / "results.json").read_text())


def recaller(model, start, *, seed=0):
    torch.manual_seed(seed)
    return Recaller(SMOKE, model, start, asked(SMOKE, "all"))


def damped(net, amount):
    """Pull every mode in, each by another amount."""
    for layer in net.inside.layers:
        with torch.no_grad():
            layer.A_real.copy_(-amount * (1 + torch.rand_like(layer.A_real)))
    return net


def eigenvalues(net):
    modes = torch.cat([layer.system().log_modes.detach().flatten() for layer in net.inside.layers]).exp().numpy()
    return np.concatenate([modes, modes.conj()])


def test_results_and_page(results):
    assert results["schema"] == SCHEMA == "ssmemory/primacy/1"
    assert {(r["model"], r["start"], r["task"]) for r in results["runs"]} == {
        (m, s, "all") for m in MODELS for s in STARTS
    }
    made = page(results)
    assert made.findings == results["summary"]["findings"]
    assert len(made.figures) == 2
    assert set(results["summary"]["claims"]) == {"P1"}


def test_zero_real_parts_begin_with_flat_memory(results):
    """16 orthogonal waves over 64 steps; the backbone's norm and gates, and a second layer, change that."""
    (flat,) = of(results["runs"], model="one layer", start="zero real part")
    assert flat["before"]["empty"] == pytest.approx([16 / 64] * 64, abs=1e-4)


def test_one_layer_never_remembers_the_first_input_better_than_the_last(results):
    for record in of(results["runs"], model="one layer"):
        for when in ("before", "after"):
            assert record[when]["empty"][0] <= record[when]["empty"][-1] + 1e-3
            assert record[when]["running"][0] <= record[when]["running"][-1] + 1e-3


def test_training_recalls(results):
    """A readout of states that held nothing would stay at zero: 16 numbers of 64 can be recalled."""
    (flat,) = of(results["runs"], model="one layer", start="zero real part")
    assert 0.15 < np.mean(flat["recall"]) < 0.27


@pytest.mark.parametrize("decay", [0.0, 0.3, 1.5])
def test_memory_of_one_layer_is_the_projection_on_its_responses(decay):
    net = damped(recaller("one layer", "zero real part"), decay)
    powers = eigenvalues(net)[:, None] ** np.arange(64)[::-1]
    basis = np.linalg.qr(powers.T)[0]
    memory = memory_by_position(kernel(net, 64)).numpy()
    assert memory == pytest.approx((abs(basis) ** 2).sum(1), abs=1e-6)
    ends = np.prod(abs(eigenvalues(net)) ** 2)  # what is lost of the last input against what is lost of the first
    assert 1 - memory[-1] == pytest.approx(ends * (1 - memory[0]), abs=1e-6)


def test_two_layers_obey_the_theorem_together_and_not_the_last_alone():
    net = damped(recaller("deep, linear", "zero real part"), 0.3)
    with torch.no_grad():
        net.inside.layers[1].A_imag.add_(8 * np.pi)  # frequencies of its own: all 32 directions far above rounding
    memory = memory_by_position(kernel(net, 64, every=True)).numpy()
    assert memory.sum() == pytest.approx(32)
    ends = np.prod(abs(eigenvalues(net)) ** 2)
    assert 1 - memory[-1] == pytest.approx(ends * (1 - memory[0]), abs=1e-5)
    alone = memory_by_position(kernel(recaller("deep, linear", "zero real part"), 64))
    assert alone[0] > alone[-1] + 0.05


def test_a_sum_of_sums_remembers_the_first_input_best():
    """λ = 1 twice: the second sum weighs an input by the steps since, MF ∝ (τ + 1)²."""
    config = Config(channels=1, d_state=2)
    net = Recaller(config, "deep, linear", "zero real part", asked(config, "all"))
    with torch.no_grad():
        for layer in net.inside.layers:
            layer.A_imag.zero_()
            layer.D.zero_()
            layer.C[..., 1].zero_()
        net.inside.mixes[0].weight.fill_(1)
    weights = np.arange(64, 0, -1.0) ** 2
    assert memory_by_position(kernel(net, 64)).numpy() == pytest.approx(weights / weights.sum(), rel=1e-6)


def test_correlated_memory_is_that_of_the_dense_covariances():
    net = damped(recaller("correlated input", "zero real part"), 0.4)
    K = kernel(net, 64).numpy()
    K = K / np.linalg.norm(K, axis=0)
    R = 0.9 ** abs(np.subtract.outer(np.arange(64), np.arange(64)))
    wanted = np.einsum("pi,ij,pj->p", R @ K, np.linalg.inv(K.T @ R @ K), R @ K)
    got = remembered(net, SMOKE, "correlated input", 0)
    assert got["empty"] == pytest.approx(wanted, abs=2e-4)
    assert got["running"][0] < got["empty"][0]


def test_correlated_input_has_its_covariance():
    u = drawn(SMOKE, "correlated input", 20_000, np.random.default_rng(0)).numpy()
    assert (u**2).mean(0) == pytest.approx(np.ones(64), abs=0.06)
    assert (u[:, 10:] * u[:, :-10]).mean() == pytest.approx(0.9**10, abs=0.02)


def test_the_estimate_finds_what_is_exact():
    """The estimate reads the last step alone: linear states, whose memory is known."""
    net = recaller("deep, linear", "zero real part")
    exact = np.array(remembered(net, SMOKE, "deep, linear", 0)["empty"])
    config = Config(samples=4000)
    found = remembered(net, config, "deep, nonlinear", 0)
    assert np.array(found["empty"]) == pytest.approx(exact, abs=0.08)
    assert np.array(tenths(found["empty"])) == pytest.approx(np.array(tenths(exact)), abs=0.03)
    assert found["rank"] == 16
    assert 0 < found["floor"] < 0.01


def test_the_kernel_is_the_response_of_the_model():
    net = recaller("deep, linear", "S4D-Lin", seed=3)
    before = copy.deepcopy(net.state_dict())
    u = torch.randn(5, 64)
    rest = net.states(torch.zeros(1, 64))
    assert torch.allclose(net.states(u), u @ kernel(net, 64).float() + rest, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_models_differ_in_one_thing():
    def linear(model):
        u = torch.randn(2, 64)
        net = Stack(SMOKE, model, "S4D-Lin")
        zero = net(torch.zeros(1, 64))[-1]
        return torch.allclose(net(2 * u)[-1] - zero, 2 * (net(u)[-1] - zero), rtol=1e-3, atol=1e-5)

    assert [linear(model) for model in MODELS[:4]] == [True, True, True, False]


def test_tasks_ask_for_tenths():
    assert asked(SMOKE, "first").tolist() == [0, 1, 2, 3, 4, 5]
    assert asked(SMOKE, "middle").tolist() == [29, 30, 31, 32, 33, 34]
    assert asked(SMOKE, "last").tolist() == [58, 59, 60, 61, 62, 63]
    assert len(asked(SMOKE, "all")) == 64
    assert tenths(list(range(64))) == (2.5, 31.5, 60.5)


def test_a_pattern_asks_every_seed():
    assert pattern([0.1, 0.2], [0.1, 0.2]) == "primacy"
    assert pattern([0.1, 0.2], [0.1, 0.0]) == "both ends"
    assert pattern([0.1, 0.02], [0.1, 0.2]) == "none"


def made_up(results, first):
    """Return the runs with the memory of the first tenth after training as given, by model; all else 0.2."""
    runs = copy.deepcopy(results["runs"])
    for record in runs:
        for state in record["after"]:
            if isinstance(record["after"][state], list):
                record["after"][state] = [first.get(record["model"], 0.2)] * 6 + [0.2] * 58
    return runs


@pytest.mark.parametrize(
    ("first", "verdict"),
    [
        ({}, "does not hold here"),
        (dict.fromkeys(MODELS, 0.4), "holds here"),
        ({"backbone": 0.4}, "conditional: in 2 of 10 cases. With backbone"),
    ],
)
def test_the_verdict_follows_the_numbers(results, first, verdict):
    summary = summarise(made_up(results, first), SMOKE)
    assert summary["claims"]["P1"]["verdict"].startswith(verdict)
    assert len(summary["cases"]) == 2 * len(CONDITIONS)


def test_a_second_run_reads_the_first(finished, results, monkeypatch):
    monkeypatch.setattr(importlib.import_module("ssmemory.experiments.primacy.measure"), "Recaller", None)
    assert run(SMOKE, finished)["runs"] == results["runs"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"length": 20}, "config: expected 30 steps"),
        ({"seeds": ()}, "config: expected 30 steps, a seed"),
        ({"channels": 16}, "below the length"),
        ({"tasks": ("first",)}, "tasks: expected 'all'"),
        ({"tasks": ("all", "second")}, "tasks: expected 'all'"),
    ],
)
def test_a_configuration_that_cannot_be_run(wrong, said):
    with pytest.raises(InputError, match=said) as caught:
        Config(**wrong)
    assert "\n" not in str(caught.value)
