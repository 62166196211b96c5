"""Images as the experiments read them: one pixel a step, standardised, in three parts."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

import ssmemory.data as data_floor
from ssmemory.errors import UnreachableError


class Wanted(Protocol):
    """What a configuration says of its images."""

    @property
    def data(self) -> str:
        """The set's name."""

    @property
    def side(self) -> int:
        """Pixels a side after averaging."""

    @property
    def n_train(self) -> int:
        """Training images, the first ones of the set's training part."""

    @property
    def n_validation(self) -> int:
        """Images after those."""

    @property
    def n_test(self) -> int:
        """Images of the set's test part."""


@dataclass(frozen=True)
class Parts:
    """Which images, where the configuration does not say it by itself.

    Attributes:
        data: the set's name.
        side: pixels a side after averaging.
        n_train: training images.
        n_validation: images after those.
        n_test: images of the set's test part.
    """

    data: str
    side: int
    n_train: int
    n_validation: int
    n_test: int


@dataclass(frozen=True)
class Images:
    """Pixel sequences, standardised by the training part, and their classes."""

    training: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    name: str
    note: str
    licence: str

    @property
    def length(self) -> int:
        """Steps of every sequence."""
        return self.training[0].shape[1]

    def described(self) -> dict[str, str | int]:
        """Return what ``results.json`` says of the data."""
        told: dict[str, str | int] = {"name": self.name, "note": self.note, "licence": self.licence}
        parts = {part: len(getattr(self, part)[0]) for part in ("training", "validation", "test")}
        return told | {"length": self.length} | parts


def load_sequences(wanted: Wanted, *, cache: Path | None = None, source: Path | None = None) -> Images:
    """Return the pixel sequences; scikit-learn's digits, with a line saying so, where the set cannot be had.

    Args:
        wanted: a configuration with data, side, n_train, n_validation and n_test.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files, which the digits never replace.

    Returns:
        The three parts.

    Raises:
        DataError: the data are there but damaged, or ``source`` lacks them.
    """
    note, name, side = "", wanted.data, wanted.side
    try:
        found = data_floor.load_images(name, cache=cache, source=source)
    except UnreachableError as error:
        if source is not None:
            raise
        note = f"{name} could not be had ({error}); these are scikit-learn's digits, 64 steps, instead"
        print(note, file=sys.stderr)
        found, side = data_floor.load_images("digits"), 8
    sequences = functools.partial(data_floor.pixel_sequences, side=side, pixel_max=found.pixel_max)
    n, n_images = min(wanted.n_train, int(len(found.train_images) * 0.75)), len(found.train_images)
    kept = sequences(found.train_images[: min(n + wanted.n_validation, n_images)])
    test = sequences(found.test_images[: wanted.n_test])
    u, rest = data_floor.standardise(kept[:n], torch.cat([kept[n:], test]))
    y, y_test = torch.as_tensor(found.train_labels), torch.as_tensor(found.test_labels)
    validation = rest[: len(kept) - n], y[n : len(kept)]
    test_pair = rest[len(kept) - n :], y_test[: len(test)]
    return Images((u, y[:n]), validation, test_pair, found.name, note, found.licence)
