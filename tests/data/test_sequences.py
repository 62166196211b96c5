from __future__ import annotations

import numpy as np
import pytest
import torch

from ssmemory.data import pixel_sequences, standardise
from ssmemory.errors import InputError


@pytest.fixture
def images():
    return np.random.default_rng(2).integers(0, 256, (5, 28, 28), dtype=np.uint8)


def test_reads_row_by_row_and_scales(images):
    u = pixel_sequences(images)
    assert u.shape == (5, 784, 1)
    assert u.dtype == torch.float32
    np.testing.assert_allclose(u[3, 28 * 2 + 5, 0].item(), images[3, 2, 5] / 255, rtol=1e-6)
    np.testing.assert_allclose(u.numpy().reshape(5, 28, 28), images / 255, rtol=1e-6)


@pytest.mark.parametrize("side", [1, 2, 4, 7, 14, 28])
def test_smaller_images_are_block_means(images, side):
    u = pixel_sequences(images, side=side)
    assert u.shape == (5, side * side, 1)
    block = 28 // side
    for i, row, column in [(0, 0, 0), (4, side - 1, side // 2)]:
        patch = images[i, row * block : (row + 1) * block, column * block : (column + 1) * block]
        np.testing.assert_allclose(u[i, row * side + column, 0].item(), patch.mean() / 255, rtol=1e-6)
    np.testing.assert_allclose(u.mean().item(), images.mean() / 255, rtol=1e-6)


def test_permutation_is_fixed_by_its_seed_and_shared_by_all_images(images):
    plain, mixed = pixel_sequences(images), pixel_sequences(images, permutation_seed=1)
    assert torch.equal(mixed, pixel_sequences(images, permutation_seed=1))
    assert not torch.equal(mixed, pixel_sequences(images, permutation_seed=2))
    assert torch.equal(mixed.sort(dim=1).values, plain.sort(dim=1).values)
    assert torch.equal(mixed[2:3], pixel_sequences(images[2:3], permutation_seed=1))
    small = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    order = (pixel_sequences(small, permutation_seed=0, pixel_max=8) * 8).round().int().flatten().tolist()
    assert order == [7, 2, 1, 4, 8, 6, 3, 0, 5]


def test_full_pixels_are_one_and_input_is_untouched():
    images = np.full((2, 4, 4), 16, dtype=np.uint8)
    u = pixel_sequences(images, pixel_max=16, side=2)
    assert torch.equal(u, torch.ones(2, 4, 1))
    u.zero_()
    assert images.min() == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 5}, "side: expected a divisor of the image side 28, got 5; choose one of 1, 2, 4, 7, 14, 28"),
        ({"side": 0}, "side: expected a divisor"),
        ({"side": 56}, "side: expected a divisor"),
        ({"side": -7}, "side: expected a divisor"),
        ({"permutation_seed": -1}, r"permutation_seed: expected 0..2\*\*32 - 1, got -1; choose"),
        ({"pixel_max": 16}, r"images: expected values 0..16, got a value 25\d; pass the pixel_max"),
    ],
)
def test_refuses_options_out_of_range(images, options, message):
    with pytest.raises(InputError, match=message):
        pixel_sequences(images, **options)


@pytest.mark.parametrize("shape", [(28, 28), (2, 28, 27), (0, 28, 28), (2, 0, 0), (2, 28, 28, 1)])
def test_refuses_other_shapes(shape):
    with pytest.raises(InputError, match=r"images: expected uint8 of shape \(n, side, side\).*, got uint8 of shape"):
        pixel_sequences(np.zeros(shape, dtype=np.uint8))


def test_refuses_other_types(images):
    with pytest.raises(InputError, match="got float64 of shape"):
        pixel_sequences(images / 255)


def test_standardises_with_the_training_part_only(images):
    train, test = pixel_sequences(images[:3]), pixel_sequences(images[3:])
    a, b = standardise(train, test)
    assert a.dtype == b.dtype == torch.float32
    assert abs(a.double().mean().item()) < 1e-6
    assert abs(a.double().std(correction=0).item() - 1) < 1e-6
    assert torch.equal(standardise(train, test * 0 + 5)[0], a)
    np.testing.assert_allclose(b.numpy(), (test.numpy() - train.numpy().mean()) / train.numpy().std(), atol=1e-5)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (torch.full((3, 4, 1), 0.1), "train: expected at least two different values, got only 0.1; constant data"),
        (torch.zeros(0), "train: expected at least two different values, got none; pass training data"),
        (torch.tensor([1.0, float("nan")]), "train: expected finite values, got mean nan.*; remove NaN"),
        (torch.tensor([1.0, float("inf")]), "train: expected finite values"),
    ],
)
def test_refuses_training_data_without_a_scale(train, message):
    with pytest.raises(InputError, match=message):
        standardise(train, torch.ones(2))
