"""Frozen features: against the recurrence step by step; lengths, batches, seeds; nothing to train; bad input."""

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory.errors import InputError
from ssmemory.fit import FrozenFeatures, readout
from ssmemory.ops.pooled_units import read_groups


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(u: torch.Tensor, **options) -> FrozenFeatures:
    return FrozenFeatures(u.shape[-1], n_units=12, d_state=32, longest=20.0, **options).calibrate(u)


def by_steps(features: FrozenFeatures, u: np.ndarray) -> np.ndarray:
    """The features of one sequence (length, channels), by the definition."""
    found, h = [], u.astype(complex)
    parts = np.arange(len(u)) * features.segments // len(u)
    for layer in features.layers:
        rate, B, C = np.exp(layer.log_eigenvalues.numpy()), layer.B.numpy(), layer.C.numpy()
        x, y, group = np.zeros(len(rate), complex), [], np.arange(len(C)) * (len(rate) // 8) // len(C)
        for step in h:
            x = rate * x + B @ step
            read = x.reshape(-1, 8)[group]
            y.append((C[..., 0] * read.real + C[..., 1] * read.imag).sum(1))
        over = (np.array(y) - layer.threshold.numpy()) / layer.scale.numpy()
        h = np.maximum(over, 0)
        for part in range(features.segments):
            found.append((over[parts == part] > 0 if features.nonlinearity == "step" else h[parts == part]).mean(0))
    return np.concatenate(found)


@pytest.mark.parametrize("options", [{}, {"segments": 3}, {"n_layers": 2, "nonlinearity": "relu"}], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_recurrence_step_by_step(options, channels):
    u = draw(4, 50, channels)
    features = made(u, **options)
    found = features(u)
    assert found.shape == (4, features.n_features)
    for row, sequence in zip(found, u.numpy(), strict=True):
        np.testing.assert_allclose(row, by_steps(features, sequence), rtol=1e-4, atol=1e-4)


def test_a_threshold_is_the_quantile_of_one_sequence():
    u = draw(8, 200, 1) * torch.logspace(-3, 3, 8)[:, None, None]
    features = made(u)
    above = 1 - features(u)
    nearest = (above - features.layers[0].quantile).abs().min(0).values
    assert nearest.max() < 0.01


def test_three_units_in_four_do_not_see_a_constant():
    u = torch.ones(1, 300, 2) * torch.tensor([3.0, -2.0])
    layer = made(draw(4, 40, 2)).layers[0]
    y = read_groups(layer.modes(u)[0], layer.C)[0, -1]
    assert y.abs()[1::4].max() < 1e-4 * y.abs().max()
    assert y.abs()[::4].min() > 1e-2 * y.abs().max()


@pytest.mark.parametrize("segments", [1, 4])
def test_what_lies_beyond_the_lengths_changes_nothing(segments):
    u, lengths = draw(5, 60, 2), torch.tensor([60, 41, 8, 23, 4])
    features = made(u, segments=segments, n_layers=2)
    spoiled = u.masked_fill((torch.arange(60) >= lengths[:, None]).unsqueeze(-1), torch.nan)
    found = features(spoiled, lengths)
    for row, sequence, length in zip(found, u, lengths, strict=True):
        torch.testing.assert_close(row, features(sequence[None, :length])[0], rtol=1e-5, atol=1e-6)


def test_batches_and_seeds():
    u = draw(6, 40, 1)
    features = made(u)
    torch.testing.assert_close(torch.cat([features(u[:2]), features(u[2:])]), features(u), rtol=0, atol=0)
    assert torch.equal(made(u)(u), features(u))
    assert not torch.equal(made(u, seed=1)(u), features(u))


def test_nothing_can_be_trained_and_everything_is_saved():
    u = draw(6, 40, 1)
    features = made(u)
    assert list(features.parameters()) == []
    other = made(draw(6, 40, 1, seed=3), seed=7)
    other.load_state_dict(features.state_dict())
    assert torch.equal(other(u), features(u))


def test_a_readout_of_them_tells_frequencies_apart():
    t, phase = torch.arange(80.0), 6.28 * torch.rand(200, 1, generator=torch.Generator().manual_seed(1))
    y = torch.arange(200) % 2
    u = (torch.sin((0.3 + 0.1 * y[:, None]) * t + phase) + 0.5 * draw(200, 80)).unsqueeze(-1)
    features = FrozenFeatures(1, n_units=64, d_state=64, longest=40.0).calibrate(u[:100]).eval()
    found = readout(features, u[:100], y[:100], progress=False)
    assert (found(features(u[100:]).numpy()).argmax(-1) == y[100:].numpy()).mean() > 0.95


U = draw(3, 20, 2)
BAD = [
    (lambda: FrozenFeatures(0, longest=9.0), "at least 1", "0", "positive"),
    (lambda: FrozenFeatures(1, d_state=20, longest=9.0), "multiple of 16", "20", "256"),
    (lambda: FrozenFeatures(1, longest=1.0), "more than one step", "1.0", "half"),
    (lambda: FrozenFeatures(1, longest=9.0, nonlinearity="tanh"), "step, relu", "tanh", "choose one"),
    (lambda: FrozenFeatures(2, longest=9.0)(U), "from data", "none yet", "calibrate"),
    (lambda: made(U)(U[..., :1]), r"\(batch, length, 2\)", r"\(3, 20, 1\)", "channels last"),
    (lambda: made(U)(U.long()), "floats", "int64", "channels last"),
    (lambda: made(U)(U, torch.tensor([1, 2, 21])), "20", "21", "."),
]


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)
