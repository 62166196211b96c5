"""The data of the three tasks as sequences with targets, standardised by the training part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import ssmemory.data as data_floor
from ssmemory.experiments.advised_start.config import Config
from ssmemory.experiments.pixels import Parts, load_sequences


@dataclass(frozen=True)
class Task:
    """Sequences (n, length, channels), targets, and what they are.

    Attributes:
        training: sequences and targets.
        test: as many again, seen once.
        classes: how many; 0 for numbers to be met.
        about: what it is, in a few words, with its origin.
    """

    training: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int
    about: str


def load_task(name: str, config: Config, *, cache: Path | None, source: Path | None) -> Task:
    """Return a task by its name.

    Args:
        name: "pixels", "text" or "power".
        config: sizes.
        cache: where fetched data are kept.
        source: a folder with the user's own IDX files, for the pixels.

    Returns:
        The task.

    Raises:
        DataError: the data cannot be had, or are damaged.
    """
    load: dict[str, Callable[[], Task]] = {
        "pixels": lambda: _pixels(config, cache, source),
        "text": lambda: _text(config, cache),
        "power": lambda: _power(config, cache),
    }
    return load[name]()


def _pixels(config: Config, cache: Path | None, source: Path | None) -> Task:
    wanted = Parts(config.data, config.side, config.n_train, 50, config.n_test)
    images = load_sequences(wanted, cache=cache, source=source)
    return Task(images.training, images.test, 10, f"{images.name}, {images.length} pixels, one a step")


def _text(config: Config, cache: Path | None) -> Task:
    """Return the first bytes as eight random features of a byte each; a class a review, negative or positive."""
    texts = data_floor.load_imdb(cache=cache)
    features = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))

    def part(texts: list[bytes], labels: object, count: int) -> tuple[Tensor, Tensor]:
        order = np.random.default_rng(0).permutation(len(texts))[:count]
        y = torch.as_tensor(np.asarray(labels)[order]).long()
        u = torch.zeros(len(order), config.bytes, dtype=torch.long)
        for row, k in enumerate(order):
            given = torch.frombuffer(bytearray(texts[k][: config.bytes]), dtype=torch.uint8).long()
            u[row, config.bytes - len(given) :] = given
        return features[u], y

    training = part(texts.train_texts, texts.train_labels, config.n_train)
    test = part(texts.test_texts, texts.test_labels, config.n_test)
    return Task(training, test, 2, f"IMDb reviews, {config.bytes} bytes")


def _power(config: Config, cache: Path | None) -> Task:
    """Return hours of a household's mean power, and the mean of the day after them; test windows come later in time."""
    series = data_floor.load_household_power(cache=cache)
    minutes = series.values[:, 0]
    hours = minutes[: len(minutes) // 60 * 60].reshape(-1, 60)
    there = np.logical_not(np.isnan(hours).all(1))
    mean = np.where(there, np.nanmean(np.where(there[:, None], hours, 0), 1), np.nan)
    at = np.arange(len(mean))
    mean = np.interp(at, at[there], mean[there])
    split = int(0.7 * len(mean))
    centre, scale = mean[:split].mean(), mean[:split].std()
    values = (mean - centre) / scale

    def part(begin: int, end: int, count: int) -> tuple[Tensor, Tensor]:
        starts = np.linspace(begin, end - config.hours - 24, count).astype(int)
        u = np.stack([values[s : s + config.hours] for s in starts])
        y = np.stack([values[s + config.hours : s + config.hours + 24].mean() for s in starts])
        return torch.from_numpy(u).float().unsqueeze(-1), torch.from_numpy(y).float().unsqueeze(-1)

    task = Task(
        part(0, split, config.n_train), part(split, len(values), config.n_test), 0,
        f"household power, {config.hours} hours, the mean of the next day",
    )  # fmt: skip
    y = task.training[1]
    scaled = [(u, (target - y.mean()) / y.std()) for u, target in (task.training, task.test)]
    return dataclasses.replace(task, training=scaled[0], test=scaled[1])
