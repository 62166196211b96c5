"""Real input: long standardised series, their autocorrelation, and a linear encoder in front of a layer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

import ssmemory.data as data_floor
from ssmemory.errors import UnreachableError
from ssmemory.experiments.architectures.config import Config
from ssmemory.memory import sample_autocovariance


@dataclass(frozen=True, eq=False)
class Input:
    """One real input.

    Attributes:
        series: (steps,) standardised.
        autocorrelation: r(0) = 1, r(1), …
        about: what it is.
    """

    series: Float64[Tensor, " steps"]
    autocorrelation: Float64[Tensor, " lags"]
    about: str


def load_inputs(config: Config, *, cache: Path | None, source: Path | None) -> dict[str, Input]:
    """Return the inputs that can be had; one that cannot be reached is left out, with a line that says so.

    Args:
        config: which inputs.
        cache: where fetched data are kept.
        source: a folder with the user's own IDX files, for the pixels.

    Returns:
        The inputs by name.

    Raises:
        DataError: data are there but damaged.
    """
    found = {}
    for name in config.inputs:
        try:
            series, about = _power(cache) if name == "power" else _pixels(name, cache, source)
        except UnreachableError as error:
            print(f"{name} could not be had ({error}); it is left out", file=sys.stderr)
            continue
        series = (series - series.mean()) / series.std()
        found[name] = Input(series, sample_autocovariance(series.unsqueeze(-1), 2 * config.lags), about)
    return found


def _pixels(name: str, cache: Path | None, source: Path | None) -> tuple[Tensor, str]:
    found = data_floor.load_images(name, cache=cache, source=source)
    images = found.train_images[:100]
    pixels = data_floor.pixel_sequences(images, side=images.shape[-1], pixel_max=found.pixel_max)
    return pixels.double().flatten(), f"{found.name} pixels, one a step, image after image"


def _power(cache: Path | None) -> tuple[Tensor, str]:
    minutes = data_floor.load_household_power(cache=cache).values[:, 0]
    hours = minutes[: len(minutes) // 60 * 60].reshape(-1, 60)
    there = np.isfinite(hours).any(1)
    mean = np.full(len(hours), np.nan)
    mean[there] = np.nanmean(hours[there], 1)
    at = np.arange(len(mean))
    return torch.from_numpy(np.interp(at, at[there], mean[there])), "household power, hour by hour"


def encoded(series: Tensor, d_model: int, seed: int) -> Float64[Tensor, "steps d_model"]:
    """Return the series as a random linear encoder feeds it to a layer: a weight and an offset a channel."""
    weights = torch.randn(2, d_model, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return series.unsqueeze(-1) * weights[0] + weights[1]
