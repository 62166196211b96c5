"""The closed-form readout of windows cut from a series on disk: the same as of windows copied out of it one by one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from ssmemory.fit import readout
from ssmemory.fit._views import packed, unpacked

LENGTH, N, CHANNELS = 16, 500, 2


def features() -> nn.Module:
    """Ten numbers of a window, by a module that other processes can import."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(LENGTH * CHANNELS, 10, bias=False)).eval()


@pytest.fixture
def series(tmp_path) -> np.ndarray:
    """(N + LENGTH − 1, CHANNELS) read-only, behind a header on disk."""
    values = np.random.default_rng(0).standard_normal((N + LENGTH - 1, CHANNELS)).astype(np.float32)
    np.save(tmp_path / "series.npy", values)
    return np.load(tmp_path / "series.npy", mmap_mode="r")


def windows(series: np.ndarray) -> np.ndarray:
    return sliding_window_view(series, LENGTH, axis=0).swapaxes(1, 2)


CUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "all": lambda w: w,
    "every third, later": lambda w: w[7::3],
    "backwards in time": lambda w: w[:, ::-1],
}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_windows_of_a_file_are_those_copied(series, cut, processes):
    lazy = cut(windows(series))
    assert lazy.nbytes > 1.5 * series.nbytes
    copied = cut(np.stack([np.array(series[k : k + LENGTH]) for k in range(N)]))
    y = copied[:, :3].sum((1, 2))[:, None] + copied[:, -2]
    options = {"task": "regression", "batch_size": 40, "progress": False}
    wanted = readout(features(), torch.from_numpy(copied.copy()), y, **options)
    found = readout(features(), lazy, y, processes=processes, **options)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.error, wanted.error, rtol=1e-9)
    assert (found.penalty, found.n_samples) == (wanted.penalty, len(lazy))


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_view_is_sent_as_the_numbers_that_it_covers(series, cut):
    for whole in (windows(series), windows(np.array(series))):
        view = cut(whole)
        parts = packed(view)
        assert parts is not None
        assert parts[0].nbytes <= series.nbytes
        np.testing.assert_array_equal(unpacked(parts), view)
    assert packed(np.array(series)) is None
    assert packed(np.array(series).T) is None
