"""Layers side by side: what each holds, against dense responses, regressions, and counts by hand."""

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.nn.alike import layers_alike
from ssmemory.nn.comparison import compare_layers

NAMES = ["S4D", "S4", "S5", "LRU", "LinearRNN", "LinearAttention", "Attention"]


def rows(found):
    return {(row.name, row.how): row for row in found.rows}


@pytest.fixture(scope="module")
def white():
    return rows(compare_layers(layers_alike(NAMES, d_model=4, d_state=8, steps=20), 60))


def test_capacity_is_the_numbers_held(white):
    wanted = {
        ("S4D", "exact"): 4 * 7, ("S4", "exact"): 4 * 8, ("S5", "exact"): 8, ("LRU", "exact"): 8,
        ("LinearRNN", "exact"): 8, ("LinearAttention", "given its keys"): 4 * 8,
        ("LinearAttention", "one eigenvalue"): 4, ("Attention", "all it keeps"): 4 * 20,
    }  # fmt: skip
    assert set(white) == set(wanted)
    for key, capacity in wanted.items():
        assert white[key].capacity == pytest.approx(capacity, rel=1e-9), key
        assert white[key].per_channel == pytest.approx(capacity / 4)
        assert white[key].per_kib == pytest.approx(capacity * 1024 / white[key].bytes)
        assert white[key].per_kib <= 256 * (1 + 1e-9), "no number of a state holds more than one"


def test_memory_is_that_of_the_responses(white):
    """Leverage of every input among all, from the responses of the layer's own dense matrices, 4000 steps long."""
    (sized,) = layers_alike(["LRU"], d_model=4, d_state=8)
    dense = sized.layer.system().to_dense()
    A, column = dense.A.numpy(), dense.B.numpy()
    K = [column]
    for _ in range(12_000):
        K.append(A @ K[-1])
    K = np.stack(K)  # lags, states, inputs
    Q = np.linalg.qr(K.transpose(0, 2, 1).reshape(-1, 8))[0].reshape(len(K), 4, 8)
    memory = (np.abs(Q) ** 2).sum(-1)
    row = white["LRU", "exact"]
    assert np.allclose(row.median, np.median(memory, 1)[row.lags], atol=1e-9)
    assert np.allclose(row.high, np.quantile(memory, 0.9, 1)[row.lags], atol=1e-9)


def test_keys_are_those_of_the_sequence():
    """The state of linear attention by hand: a decayed sum of keys; its memory is a leverage."""
    (sized,) = layers_alike(["LinearAttention"], d_model=2, d_state=3)
    u = torch.randn(40, 2, generator=torch.Generator().manual_seed(5))
    row = rows(compare_layers([sized], 10, sequence=u))["LinearAttention", "given its keys"]
    layer, curves = sized.layer, []
    for head in range(2):
        k = (u @ layer.key[3 * head : 3 * head + 3].T).double().numpy()
        phi = np.where(k > 0, k + 1, np.exp(k))
        for p in (20, 26, 32, 39):
            K = (phi[: p + 1] * ((1 - 2.0 ** -(5 + head)) ** np.arange(p, -1, -1))[:, None])[::-1]
            curves.append((np.linalg.qr(K)[0] ** 2).sum(1)[:10])
    assert np.allclose(row.median, np.median(curves, 0)[row.lags], atol=1e-6)
    assert row.capacity == pytest.approx(2 * 3)


def test_correlated_input_beyond_attentions_window_is_predicted_from_it():
    r = 0.9 ** np.arange(80) * np.cos(0.3 * np.arange(80))
    row = compare_layers(layers_alike(["Attention"], d_model=4, d_state=1, steps=5), 40, input_autocovariance=r).rows[0]
    R = toeplitz(r)
    for lag, value in zip(row.lags, row.median, strict=True):
        cross = R[:5, lag]
        assert value == pytest.approx(cross @ np.linalg.solve(R[:5, :5], cross), abs=1e-9)


def test_correlated_input_is_remembered_better_and_counts_no_more():
    r = 0.9 ** np.arange(200)
    found = compare_layers(layers_alike(["S4D"], d_model=2, d_state=8), 30, input_autocovariance=r)
    plain = compare_layers(layers_alike(["S4D"], d_model=2, d_state=8), 30)
    assert found.correlated
    assert all(a >= b for a, b in zip(found.rows[0].median, plain.rows[0].median, strict=True))
    assert found.rows[0].capacity == plain.rows[0].capacity


def test_as_many_bytes():
    for sized in layers_alike(NAMES, d_model=4, most_bytes=301):
        assert sized.bytes <= 301
        larger = sized.steps or sized.layer.d_state
        assert sized.bytes * (larger + (1 if sized.name in ("LinearRNN", "LinearAttention", "Attention") else 2)) > (
            301 * larger
        ), f"{sized.name} could be larger"


def test_table_and_picture():
    pytest.importorskip("matplotlib")
    found = compare_layers(layers_alike(["S4D:s4d_inv", "Attention"], d_model=4, d_state=8), 50)
    head, first, second = found.table().splitlines()
    assert head.split()[:3] == ["layer", "d_state", "bytes"]
    assert first.split()[:5] == ["S4D:s4d_inv", "exact", "8", "128", "32"]
    assert second.startswith("Attention    all it keeps")
    axes = found.plot()
    assert len(axes.lines) == 2
    row, line, band = found.rows[0], axes.lines[0], axes.collections[0].get_paths()[0].vertices
    assert list(line.get_xdata()) == [lag + 1 for lag in row.lags]
    assert np.allclose(line.get_ydata(), row.median)
    first = band[band[:, 0] == 1, 1]
    assert (first.min(), first.max()) == (row.low[0], row.high[0])


def test_bad_input_is_one_line():
    lru = layers_alike(["LRU"], d_model=2, d_state=4)
    attention = layers_alike(["LinearAttention"], d_model=2, d_state=4)
    for call, what in (
        (lambda: layers_alike([], d_model=2, d_state=4), "one or more"),
        (lambda: layers_alike(["LRU", "LRU"], d_model=2, d_state=4), "none twice"),
        (lambda: layers_alike(["LRU"], d_model=2), "it, or a number of bytes"),
        (lambda: layers_alike(["LRU"], d_model=2, d_state=4, most_bytes=9), "it, or a number of bytes"),
        (lambda: layers_alike(["LRU:ring"], d_model=2, d_state=4), "takes none by name"),
        (lambda: layers_alike(["S4D"], d_model=2, d_state=4000), "at most 2048"),
        (lambda: layers_alike(["Attention"], d_model=2, most_bytes=19), "at least 20"),
        (lambda: compare_layers([], 5), "a layer and a lag"),
        (lambda: compare_layers(lru, 0), "a layer and a lag"),
        (lambda: compare_layers(layers_alike(["S5"], d_model=2, d_state=514), 5), "at most 512"),
        (lambda: compare_layers(attention, 5, sequence=torch.zeros(9, 2)), "at least 10"),
        (lambda: compare_layers(attention, 5, sequence=torch.zeros(10, 3)), r"\(length, 2\)"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert_one_line(str(caught.value), what, "got ", "")
    with pytest.raises(InputError, match="did you mean 'LinearRNN'"):
        layers_alike(["LinearRN"], d_model=2, d_state=4)
