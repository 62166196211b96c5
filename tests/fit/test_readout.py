"""The closed-form readout: against scikit-learn; processes, a kill, a full disk; a Backbone's decoder; bad input."""

import copy
import os
import sys
import types

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from tests.one_line import assert_one_line
from torch import nn

from ssmemory.errors import DataError, InputError, SSMemoryError
from ssmemory.fit import _arrays, readout, ridge
from ssmemory.nn import Backbone, BackboneConfig

N, LENGTH = 300, 20


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def last_steps(u: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """The last seven steps of every sequence."""
    if lengths is None:
        return u[:, -7:, 0]
    return torch.stack([row[n - 7 : n, 0] for row, n in zip(u, lengths, strict=True)])


def backbone(pooling: str = "last", d_output: int = 3) -> Backbone:
    torch.manual_seed(0)
    return Backbone(BackboneConfig(d_model=16, d_state=8, d_output=d_output, pooling=pooling)).eval()


def fit(features, u, y, **options):
    return readout(features, u, y, **({"progress": False} | options))


def test_regression_is_scikit_learns():
    u, noise = draw(N, LENGTH, 1), draw(N, 2, seed=1)
    y = u[:, -3:-1, 0] + noise
    found = fit(last_steps, u, y, task="regression", penalty=0.1, batch_size=37)
    x = last_steps(u).double().numpy()
    theirs = Ridge(alpha=N * 0.1).fit(x / x.std(0), y)
    np.testing.assert_allclose(found.weights, (theirs.coef_ / x.std(0)).T, rtol=1e-9)
    np.testing.assert_allclose(found.intercept, theirs.intercept_, rtol=1e-9)


def test_classes_are_regressed_on_as_signs():
    u = draw(N, LENGTH, 1)
    y = u[:, -4:-1, 0].argmax(-1)
    found = fit(last_steps, u, y, penalty=0.1)
    signs = np.where(np.arange(3) == y.numpy()[:, None], 1.0, -1.0)
    wanted = fit(last_steps, u, signs, task="regression", penalty=0.1)
    np.testing.assert_array_equal(found.weights, wanted.weights)
    assert (found(last_steps(u).numpy()).argmax(-1) == y.numpy()).mean() > 0.8


def test_a_backbone_gets_its_decoder_and_nothing_else_moves():
    model, u = backbone(), draw(N, LENGTH, 1)
    y = u[:, -4:-1, 0].argmax(-1)
    before = copy.deepcopy(model.state_dict())
    found = fit(model, u, y)
    h, _ = model.features(u)
    scores = found(h.detach().double().numpy())
    np.testing.assert_allclose(model(u)[0].detach(), scores, rtol=1e-3, atol=1e-4)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"decoder.weight", "decoder.bias"}
    assert (scores.argmax(-1) == y.numpy()).mean() > 0.4  # a third by chance


def test_step_by_step_with_lengths_is_a_row_a_real_step():
    model, u = backbone("none", 1), draw(40, LENGTH, 1)
    y, lengths = u.roll(1, 1).double(), torch.arange(40) % 19 + 2
    found = fit(model, u, y, task="regression", penalty=1e-3, lengths=lengths, batch_size=7)
    h = model.features(u, None, lengths)[0].detach().double()
    real = torch.arange(LENGTH) < lengths[:, None]
    x = h[real].numpy()
    theirs = Ridge(alpha=len(x) * 1e-3).fit(x / x.std(0), y[real])
    np.testing.assert_allclose(found.weights, (theirs.coef_ / x.std(0)).reshape(-1, 1), rtol=1e-6, atol=1e-9)
    assert found.n_samples == int(lengths.sum())


def test_what_lies_beyond_the_lengths_changes_nothing():
    u, lengths = draw(N, LENGTH, 1), torch.arange(N) % 13 + 8
    y = draw(N, 1, seed=1).double()
    a = fit(last_steps, u, y, task="regression", lengths=lengths)
    spoiled = u.masked_fill((torch.arange(LENGTH) >= lengths[:, None]).unsqueeze(-1), torch.nan)
    b = fit(last_steps, spoiled, y, task="regression", lengths=lengths)
    np.testing.assert_array_equal(a.weights, b.weights)


def test_processes_change_rounding_only(monkeypatch):
    u = draw(N, LENGTH, 1)
    y = (u[:, -2, 0] > 0).long()
    alone = fit(last_steps, u, y, batch_size=10)
    with joblib.parallel_config("threading"):
        shared = fit(last_steps, u, y, batch_size=10, processes=2)
    np.testing.assert_allclose(shared.weights, alone.weights, rtol=1e-9, atol=1e-12)
    assert (shared.penalty, shared.n_samples) == (alone.penalty, N)


def test_an_array_on_disk_is_read_batch_by_batch(tmp_path):
    u, y = draw(N, LENGTH, 1), draw(N, 1, seed=1).double()
    np.save(tmp_path / "u.npy", u.numpy())
    found = fit(last_steps, np.load(tmp_path / "u.npy", mmap_mode="r"), y, task="regression")
    np.testing.assert_array_equal(found.weights, fit(last_steps, u, y, task="regression").weights)


def test_after_a_kill_it_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["ssmemory.fit.readout"], "_SAVED_EVERY", 0.0)
    u, y = draw(N, LENGTH, 1), draw(N, 1, seed=1).double()
    seen = []

    def features(batch: torch.Tensor) -> torch.Tensor:
        if len(seen) == limit:
            raise KeyboardInterrupt
        seen.append(len(batch))
        return last_steps(batch)

    limit = 4
    with pytest.raises(KeyboardInterrupt):
        fit(features, u, y, task="regression", folder=tmp_path, batch_size=30)
    limit = 100
    found = fit(features, u, y, task="regression", folder=tmp_path, batch_size=30)
    assert sum(seen) == N
    wanted = fit(last_steps, u, y, task="regression")
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-10)
    with pytest.raises(InputError, match="the work begun there"):
        fit(features, u, 2 * y, task="regression", folder=tmp_path, batch_size=30)


def test_a_disk_that_fills_leaves_what_was_there(tmp_path, monkeypatch):
    sums = ridge.RidgeSums(3, 1).add(np.eye(3), np.ones((3, 1)))
    path = sums.save(tmp_path / "sums.safetensors")
    whole = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_arrays, "save_file", full)
    with pytest.raises(DataError) as caught:
        sums.add(np.eye(3), np.zeros((3, 1))).save(path)
    assert_one_line(str(caught.value), "room for", "No space left", "make room")
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["sums.safetensors"]


def test_saved_sums_are_the_same_and_a_damaged_file_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ridge, "_MOST", 64)
    x = draw(200, 3).double().numpy()
    for n in (50, 200):
        sums = ridge.RidgeSums(3, 1, seed=5).add(x[:n], x[:n, :1])
        again = ridge.RidgeSums.load(sums.save(tmp_path / "a"))
        np.testing.assert_array_equal(again.solve().weights, sums.solve().weights)
        more = again.add(x[:20] + 1, x[:20, :1]).solve(0.1)
        np.testing.assert_array_equal(more.weights, sums.add(x[:20] + 1, x[:20, :1]).solve(0.1).weights)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:100])
    with pytest.raises(DataError) as caught:
        ridge.RidgeSums.load(tmp_path / "a")
    assert_one_line(str(caught.value), "RidgeSums wrote", ".", "begin anew")


def test_a_process_that_dies_is_one_line():
    def die(u: torch.Tensor) -> torch.Tensor:  # in here, so that it is sent whole
        os._exit(1)

    with pytest.raises(SSMemoryError) as caught:
        fit(die, draw(40, LENGTH, 1), draw(40, 1), task="regression", processes=2, batch_size=10)
    assert_one_line(str(caught.value), "2 that finish", "one that died", "fewer processes")


def test_features_that_other_processes_cannot_import_are_one_line(monkeypatch):
    here_only = types.ModuleType("here_only")
    exec("def first(u):\n    return u[:, 0]", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    with pytest.raises(SSMemoryError) as caught:
        fit(here_only.first, draw(40, LENGTH, 1), draw(40, 1), task="regression", processes=2, batch_size=10)
    assert_one_line(str(caught.value), "2 that finish", "one that died", "can import")


U = draw(6, LENGTH, 1)
BAD = [
    (lambda: fit(last_steps, U, torch.zeros(5).long()), "as many as inputs", "6 inputs and 5", "cut"),
    (lambda: fit(last_steps, U, torch.zeros(6).long()), "two classes", "one", "others"),
    (lambda: fit(last_steps, U, torch.zeros(6)), "class numbers from 0", "float32", "number"),
    (lambda: fit(last_steps, U, torch.arange(6) - 1), "from 0", "-1 … 4", "number"),
    (lambda: fit(backbone(), U, torch.arange(6)), "from 0 to 2", "0 … 5", "number"),
    (lambda: fit(last_steps, U, torch.zeros(6), task="regression"), r"\(n, n_outputs\)", r"\(6,\)", "column"),
    (lambda: fit(last_steps, U, torch.full((6, 1), torch.nan), task="regression"), "finite", "6 NaN", "drop"),
    (lambda: fit(last_steps, U * torch.nan, torch.arange(6)), "finite", "42 NaN", "drop"),
    (lambda: fit(lambda u: u, U, torch.arange(6)), r"\(6, n_features\)", r"\(6, 20, 1\)", "a row a step"),
    (lambda: fit(backbone().train(), U, torch.arange(3)), "evaluation", "training", "eval"),
    (lambda: fit(nn.Flatten().eval(), U, torch.arange(6), processes=0), "at least 1", "256, 0", "defaults"),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def test_an_unknown_task_names_a_near_one():
    with pytest.raises(InputError, match="regression"):
        fit(last_steps, U, torch.arange(6), task="regresion")
