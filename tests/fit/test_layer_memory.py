"""The record of each layer against `memory_function` of systems built by hand from its parameters."""

import cmath

import numpy as np
import pytest
import torch
from torch import nn

from ssmemory import LinearSystem, memory_function
from ssmemory.fit import layer_memory
from ssmemory.nn import S4D

LENGTH = 50


@pytest.fixture(scope="module")
def layer() -> S4D:
    """Five channels with steps of their own, so that medians and percentiles are of different things."""
    return S4D(5, d_state=8, init="s4d_inv", dt_min=0.01, dt_max=0.3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def curves(layer) -> np.ndarray:
    """(channels, LENGTH): MF of each channel, its eigenvalues written out with both conjugates."""
    rows = []
    for channel in range(layer.d_model):
        dt = float(np.exp(layer.log_dt[channel].item()))
        A = -np.exp(layer.log_A_real[channel].tolist()) + 1j * np.array(layer.A_imag[channel].tolist())
        half = [cmath.exp(dt * a) for a in A]
        system = LinearSystem.from_eigenvalues([*half, *(value.conjugate() for value in half)])
        rows.append(memory_function(system, LENGTH).values.numpy())
    return np.stack(rows)


@pytest.fixture(scope="module")
def record(layer):
    (record,) = layer_memory(layer, LENGTH)
    return record


def test_median_and_percentiles_over_channels(record, curves):
    for got, share in ((record.low, 10), (record.median, 50), (record.high, 90)):
        np.testing.assert_allclose(got, np.percentile(curves[:, record.lags], share, axis=0), rtol=1e-6, atol=1e-12)
    assert any(low < high for low, high in zip(record.low, record.high, strict=True))


def test_reach_and_first_input(record, curves):
    assert record.reach == np.median((curves >= 0.1).sum(1))
    assert record.first_input == pytest.approx(np.median(curves[:, LENGTH - 1]), rel=1e-6)
    assert 0 < record.reach < LENGTH


def test_lags_run_from_now_to_the_first_input(record):
    assert record.lags[0] == 0
    assert record.lags[-1] == LENGTH - 1
    assert sorted(set(record.lags)) == record.lags


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_sequences(layer, length):
    assert layer_memory(layer, length)[0].lags == list(range(length))


def test_rank_is_the_capacity(record):
    assert record.rank == 8


def test_reach_never_passes_the_length():
    assert layer_memory(S4D(2, d_state=32, dt_min=0.03, dt_max=0.03), 3)[0].reach == 3


def test_eigenvalues_are_those_of_the_layer(layer, record):
    got = np.array(record.eigenvalues_real) + 1j * np.array(record.eigenvalues_imag)
    A = torch.complex(-layer.log_A_real.double().exp(), layer.A_imag.double())
    wanted = (A * layer.log_dt.double().exp().unsqueeze(-1)).exp()
    np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-12)


def test_one_record_a_layer_by_its_name(make_model):
    model = make_model(n_layers=3)
    assert [r.layer for r in layer_memory(model, LENGTH)] == [f"blocks.{i}.layer" for i in range(3)]


def test_a_layer_alone_goes_by_its_class(record):
    assert record.layer == "S4D"


def test_nothing_recurrent_no_record():
    assert layer_memory(nn.Linear(2, 2), LENGTH) == []


def test_measuring_leaves_no_trace(make_model):
    model = make_model()
    layer_memory(model, LENGTH)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_same_parameters_same_record(make_model):
    assert layer_memory(make_model(), LENGTH) == layer_memory(make_model(), LENGTH)


class Shared(torch.nn.Module):
    """A layer whose two input channels share one state of three modes."""

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.radius = radius

    def system(self) -> LinearSystem:
        poles = [self.radius, 0.9 * self.radius, -0.5]
        return LinearSystem.from_eigenvalues(poles, B=[[1.0, 0.5], [0.3, -1.0], [1.0, 1.0]])


def test_the_channels_of_a_shared_state_are_its_inputs():
    (record,) = layer_memory(Shared(0.97), 60)
    values = memory_function(Shared(0.97).system(), 60).values
    np.testing.assert_allclose(record.median, values[record.lags].quantile(0.5, -1), rtol=1e-10)
    np.testing.assert_allclose(record.high, values[record.lags].quantile(0.9, -1), rtol=1e-10)
    assert record.rank == 3
    assert record.reach == float((values >= 0.1).sum(0).double().quantile(0.5))
    assert record.first_input == pytest.approx(float(values[59].quantile(0.5)))


def test_a_layer_that_never_forgets_has_no_record():
    assert layer_memory(Shared(1.0), 60) == []
    model = torch.nn.ModuleList([Shared(1.0), Shared(0.97)])
    assert [record.layer for record in layer_memory(model, 60)] == ["1"]
