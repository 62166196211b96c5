"""The gradient of a network by lag, as it is offered and as the layer can see it, through training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssmemory.experiments.gradient_by_lag.config import Config
from ssmemory.experiments.pixels import Images
from ssmemory.experiments.sweep import accuracy
from ssmemory.fit import TrainConfig, train
from ssmemory.learning import gradient_by_lag
from ssmemory.memory import horizon_memory
from ssmemory.memory.horizon import horizon_bases
from ssmemory.nn import Backbone, BackboneConfig, named_roles, named_systems


def measure_network(config: Config, images: Images, dt: float, seed: int, folder: Path) -> dict[str, Any]:
    """Return the gradient of every layer by lag at the start and the end, its visible share, and the test score."""
    torch.manual_seed(seed)
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=config.n_layers, dt_min=dt, dt_max=dt, pooling="last",
    )  # fmt: skip
    model = Backbone(shape)
    before = _look(model, images)
    how = TrainConfig(epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=1e-3, seed=seed)
    train(model, images.training, images.validation, how, folder=folder, progress=False)
    (folder / "last.ckpt").unlink(missing_ok=True)
    return {
        "kind": "deep", "dt": dt, "seed": seed, "before": before, "after": _look(model, images),
        "test_accuracy": accuracy(model, *images.test),
    }  # fmt: skip


def _look(model: Backbone, images: Images) -> list[dict[str, Any]]:
    u, y = (part[:200] for part in images.training)
    found = gradient_by_lag(model, (u, y), torch.nn.functional.cross_entropy)
    systems = dict(named_systems(model))
    products = _weights(model, u, y)
    layers = []
    for name, gradient in found.items():
        system, values = systems[name], gradient.values.double()
        length = values.shape[-1]
        seen, total = 0.0, float(values.square().sum())
        for basis, channel in zip(horizon_bases(system, length), values, strict=True):
            seen += float((basis.rows.conj() @ channel.to(torch.complex128)).abs().square().sum())
        memory = horizon_memory(system, length).values.median(0).values
        norm = values.square().mean(0).sqrt()
        layers.append(
            {
                "layer": name, "visible_share": seen / total, "gradient": [float(f"{v:.4g}") for v in norm.tolist()],
                "memory": [float(f"{v:.4g}") for v in memory.tolist()], "input_against_readout": products[name],
            }
        )  # fmt: skip
    return layers


def _weights(model: Backbone, u: Tensor, y: Tensor) -> dict[str, float]:
    """Return, by layer, how far ``b ∂ℓ/∂b`` is from ``c ∂ℓ/∂c``, mode by mode, relative to the largest."""
    parameters = {name: parameter for name, parameter, _ in named_roles(model)}
    wanted = {name: p for name, p in parameters.items() if name.endswith((".B", ".C"))}
    loss = torch.nn.functional.cross_entropy(model(u)[0], y)
    gradients = dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))
    result = {}
    for name, _ in named_systems(model):
        b, c = (torch.view_as_complex(wanted[f"{name}.{letter}"].detach()) for letter in "BC")
        by_b, by_c = (torch.view_as_complex(gradients[f"{name}.{letter}"]) for letter in "BC")
        left, right = b * by_b.conj(), c * by_c.conj()
        result[name] = float((left - right).abs().max() / right.abs().max())
    return result
