"""Labelled images as arrays: MNIST, Fashion-MNIST, and the small digits that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssmemory.data.catalogue import IMAGES, ImageDataset
from ssmemory.data.fetching import fetch, print_status
from ssmemory.data.idx import find_idx_files, read_idx
from ssmemory.errors import DataError, reject, reject_unknown, require


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled grey images, divided into a training and a test part.

    Attributes:
        name: the data set's name.
        train_images: ``(n_train, side, side)`` uint8, 0..``pixel_max``.
        train_labels: ``(n_train,)`` int64, 0..9.
        test_images: ``(n_test, side, side)`` uint8.
        test_labels: ``(n_test,)`` int64.
        pixel_max: the value of a full pixel: 255, or 16 for ``"digits"``; pass it to `pixel_sequences`.
        licence: under which terms, and who says so.
        citation: what to cite.
    """

    name: str
    train_images: npt.NDArray[np.uint8] = field(repr=False)
    train_labels: npt.NDArray[np.int64] = field(repr=False)
    test_images: npt.NDArray[np.uint8] = field(repr=False)
    test_labels: npt.NDArray[np.int64] = field(repr=False)
    pixel_max: int
    licence: str
    citation: str


def load_images(
    name: str,
    *,
    cache: Path | str | None = None,
    source: Path | str | None = None,
    status: Callable[[str], None] = print_status,
) -> ImageSet:
    """Load a data set of labelled images, fetching it first if the cache lacks it.

    ``"mnist"`` and ``"fashion-mnist"`` have their published division into 60,000 and 10,000 images of 28 x 28.
    ``"digits"`` (1,797 images of 8 x 8 with values 0..16) needs no network; it is divided here into 1,437 and 360 by
    scikit-learn's ``train_test_split`` with ``random_state=0``, stratified by label. The same people wrote both parts,
    so its test error is that of known writers.

    Args:
        name: ``"mnist"``, ``"fashion-mnist"`` or ``"digits"``.
        cache: the folder to keep data in, see `fetch`; not needed by ``"digits"``.
        source: a folder of yours that holds the four IDX files; they are read as they are.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        The images and labels.

    Raises:
        InputError: the name is unknown, or ``source`` is given for ``"digits"``.
        DataError: as `fetch` and `read_idx`, or images and labels do not fit together.
        MissingExtraError: ``"digits"`` without scikit-learn.

    Example:
        >>> digits = load_images("digits")
        >>> digits.train_images.shape, digits.test_images.shape
        ((1437, 8, 8), (360, 8, 8))
    """
    if name not in IMAGES:
        reject_unknown("data set", name, IMAGES)
    if name == "digits":
        if source is not None:
            reject("source", expected="none for 'digits'", got=repr(str(source)), fix="leave it out")
        return _load_digits(IMAGES[name])
    files = find_idx_files(fetch(name, cache=cache, source=source, status=status).folder)
    train_images, train_labels = _read_pair(files.train_images, files.train_labels)
    test_images, test_labels = _read_pair(files.test_images, files.test_labels)
    if train_images.shape[1:] != test_images.shape[1:]:
        expected = f"images of shape {train_images.shape[1:]}, as in training"
        fix = "name a folder whose files belong together"
        reject(str(files.test_images), expected=expected, got=test_images.shape[1:], fix=fix, error=DataError)
    return _image_set(IMAGES[name], train_images, train_labels, test_images, test_labels)


def _image_set(
    dataset: ImageDataset,
    train_images: npt.NDArray[np.uint8],
    train_labels: npt.NDArray[np.uint8],
    test_images: npt.NDArray[np.uint8],
    test_labels: npt.NDArray[np.uint8],
) -> ImageSet:
    return ImageSet(
        name=dataset.name,
        train_images=train_images,
        train_labels=train_labels.astype(np.int64),
        test_images=test_images,
        test_labels=test_labels.astype(np.int64),
        pixel_max=dataset.pixel_max,
        licence=dataset.licence,
        citation=dataset.citation,
    )


def _read_pair(images_path: Path, labels_path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Read images and their labels, and check each against the other."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    fix = "name a folder whose files belong together, or delete them and fetch again"
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.size == 0:
        expected = "square images, shape (n, side, side)"
        reject(str(images_path), expected=expected, got=f"shape {images.shape}", fix=fix, error=DataError)
    if labels.shape != images.shape[:1]:
        expected = f"{len(images)} labels, one an image"
        reject(str(labels_path), expected=expected, got=f"shape {labels.shape}", fix=fix, error=DataError)
    if labels.max() > 9:
        reject(str(labels_path), expected="labels 0..9", got=f"a label {labels.max()}", fix=fix, error=DataError)
    return images, labels


def _load_digits(dataset: ImageDataset) -> ImageSet:
    purpose = "the data set 'digits'"
    bunch = require("sklearn.datasets", extra="fit", purpose=purpose).load_digits()
    split = require("sklearn.model_selection", extra="fit", purpose=purpose).train_test_split
    images, labels = bunch.images.astype(np.uint8), bunch.target
    train, test = split(np.arange(len(labels)), test_size=dataset.n_test, stratify=labels, random_state=0)
    return _image_set(dataset, images[train], labels[train], images[test], labels[test])
