"""Train one network and look, before, midway and after, at what its layers hold of the input at the last step."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssmemory.experiments.memory_in_training.config import Config
from ssmemory.experiments.pixels import Images
from ssmemory.experiments.sweep import Record, accuracy
from ssmemory.fit import freeze
from ssmemory.fit.batches import EpochBatches
from ssmemory.fit.model_memory import model_memory
from ssmemory.memory import MemoryEstimate
from ssmemory.nn import Backbone, BackboneConfig, param_groups

VARIES = 0.1  # a pixel that fewer of the images change is not asked for: too few have anything to remember


def measure(config: Config, dt: float, mode: str, seed: int, *, images: Images) -> Record:
    """Return what was seen of one training: a look at epochs 0, half and all."""
    torch.manual_seed(seed)
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=config.n_layers, dt_min=dt, dt_max=dt, pooling="last",
    )  # fmt: skip
    model = Backbone(shape)
    frozen = freeze(model, "eigenvalues" if mode == "frozen" else "none")
    looks = [look(model, config, images, seed) | {"epoch": 0}]
    u, y = images.training
    batches = EpochBatches(len(u), config.batch_size, seed)
    optimiser = torch.optim.AdamW(param_groups(model, config.lr, config.ssm_lr, 0.01))
    base, total = [group["lr"] for group in optimiser.param_groups], config.epochs * len(batches)
    step = 0
    for epoch in range(config.epochs):
        model.train()
        batches.set_epoch(epoch)
        for rows in batches:
            for group, lr in zip(optimiser.param_groups, base, strict=True):
                group["lr"] = lr * min(1.0, (step + 1) / (0.1 * total), 0.5 + 0.5 * math.cos(math.pi * step / total))
            loss = torch.nn.functional.cross_entropy(model(u[rows])[0], y[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
        if epoch + 1 in config.looks:
            looks.append(look(model, config, images, seed) | {"epoch": epoch + 1})
    frozen.check(model)
    return {"dt": dt, "mode": mode, "seed": seed, "looks": looks}


def look(model: Backbone, config: Config, images: Images, seed: int) -> dict[str, Any]:
    """Return the test accuracy, and for every block the memory at the last step: of noise, of images, and exact."""
    model.eval()
    u, length = images.test[0], images.length
    generator = torch.Generator().manual_seed(1000 + seed)
    white = model_memory(model, torch.randn(config.n_noise, length, 1, generator=generator), length, seed=seed)
    deviation = u[..., 0].double() - u[..., 0].double().mean(0)
    power = deviation.square().mean(0)
    varies = (u != u.median(0).values)[..., 0].double().mean(0) >= VARIES
    blank = power.mean().sqrt() * torch.randn(len(u), length, generator=generator, dtype=torch.float64)
    target = torch.where(varies, deviation, blank)  # surrogates read everywhere; the blank pixels are not asked for
    lags = length - 1 - varies.nonzero().flatten()
    own = model_memory(model, u, lags.tolist(), target=target, washout=length - 1, seed=seed)  # at the last step alone
    layers = []
    for name, exact in zip(white.layers, white.exact, strict=True):
        layers.append(
            {
                "layer": name, "capacity": _short(white.layers[name].capacity),
                "far": _short(white.layers[name].values[length // 2 :].sum()), "noise": _binned(white.layers[name]),
                "image": _short((own.layers[name].values * power[varies]).sum() / power[varies].sum()),
                "exact_first": _short(exact.first_input), "exact_reach": exact.reach, "exact_rank": exact.rank,
            }
        )  # fmt: skip
    return {"accuracy": accuracy(model, *images.test), "layers": layers}


def lag_bins(length: int) -> list[tuple[int, int]]:
    """Return bins of lags, first and one past the last, that grow with the lag; lag 0 is alone."""
    edges = np.unique(np.geomspace(1, length + 1, 28).round().astype(int)) - 1
    return list(itertools.pairwise(edges.tolist()))


def _binned(found: MemoryEstimate) -> list[float]:
    """Return the mean of a memory function over every bin of lags."""
    return [_short(found.values[first:last].mean()) for first, last in lag_bins(len(found.lags))]


def _short(value: float | Tensor) -> float:
    return float(f"{float(value):.4g}")
