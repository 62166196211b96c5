"""A tiny backbone and a toy task."""

import pytest
import torch

from ssmemory.fit import TrainConfig, TrainResult, train
from ssmemory.nn import Backbone, BackboneConfig

TINY = {"d_model": 8, "d_state": 8, "n_layers": 1, "d_output": 4, "dt_min": 0.05, "dt_max": 0.3}
LENGTH, CLASSES = 16, 4


@pytest.fixture(scope="session")
def make_model():
    """Return a function that makes the same tiny backbone for the same seed."""

    def make(seed: int = 0, **changes: object) -> Backbone:
        torch.manual_seed(seed)
        return Backbone(BackboneConfig(**(TINY | changes)))

    return make


@pytest.fixture(scope="session")
def spikes():
    """Return a function that makes noise with a spike at one of the first four steps: the class is which."""

    def make(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        y = torch.randint(0, CLASSES, (n,), generator=generator)
        u = 0.1 * torch.randn(n, LENGTH, 1, generator=generator)
        u[torch.arange(n), y, 0] += 2
        return u, y

    return make


@pytest.fixture(scope="session")
def fit(spikes):
    """Return a function that trains a model on a few spikes: train's arguments beyond the model are defaults."""

    def run(model: Backbone, folder: object, *, data: tuple | None = None, **changes: object) -> TrainResult:
        training, validation = data or (spikes(60, 1), spikes(20, 2))
        options = {"epochs": 2, "batch_size": 20, "lr": 1e-2, "ssm_lr": 1e-2} | changes
        return train(model, training, validation, TrainConfig(**options), folder=folder, progress=False)

    return run
