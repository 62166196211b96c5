"""One network learns in one way, with the seconds of the work alone."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from ssmemory.experiments.closed_form.config import CLOSED, DECODER, FROZEN, KEPT, Config
from ssmemory.experiments.closed_form.timed import Clock, descend
from ssmemory.experiments.pixels import Images
from ssmemory.experiments.sweep import Record, accuracy
from ssmemory.fit import freeze, readout
from ssmemory.nn import Backbone, BackboneConfig

Pair = tuple[Tensor, Tensor]


def network(config: Config, seed: int) -> Backbone:
    """Return the network as it starts in every way."""
    torch.manual_seed(seed)
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=config.n_layers, dt_min=config.dt_min,
        dt_max=config.dt_max, pooling=config.pooling,
    )  # fmt: skip
    return Backbone(shape).eval()  # no dropout: training and evaluation are alike


def measure(config: Config, part: str, way: str, lr: float, seed: int, read: str, *, images: Images) -> Record:
    """Return the accuracy of a way by the seconds it took, on one thread.

    Args:
        config: the network and the budget.
        part: "test", or "validation" where learning rates are chosen.
        way: how it learns.
        lr: learning rate.
        seed: of the initial values and the batches.
        read: name of the images, so that others are not taken for these.
        images: the images.

    Returns:
        The record: points of accuracy and seconds, and the accuracy on the training images at the end.
    """
    torch.set_num_threads(1)
    _warm(config, images)
    model, held_out = network(config, seed), getattr(images, part)
    frozen = freeze(model, FROZEN[way])
    if way == CLOSED:
        points = _fitted(config, model, images.training, held_out)
    else:
        train = functools.partial(
            descend, clock=Clock(), lr=lr, epochs=config.passes(way), batch_size=config.batch_size,
            weight_decay=config.weight_decay, seed=seed,
        )  # fmt: skip
        if FROZEN[way] == "all-but-readout":
            anew = way == DECODER and part == "test"  # for choosing a rate, seconds do not matter
            points = _decoder(train, model, images.training, held_out, anew=anew, standardised=way == KEPT)
        else:
            points = train(model, lambda u: model(u)[0], images.training, lambda: accuracy(model, *held_out))
    frozen.check(model)
    return {
        "part": part, "way": way, "lr": lr, "seed": seed, "read": read, "points": points,
        "train_accuracy": accuracy(model, *images.training),
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
    }  # fmt: skip


def _fitted(config: Config, model: Backbone, training: Pair, held_out: Pair) -> list[Record]:
    """Return a point for every share of the images, each fitted anew by a clock of its own."""
    points = []
    for share in config.shares:
        n, clock = max(2, round(share * len(training[0]))), Clock()
        with clock.running():
            found = readout(model, training[0][:n], training[1][:n], progress=False)
        points.append(clock.point(step=n, accuracy=accuracy(model, *held_out), penalty=found.penalty))
    return points


def _decoder(
    train: Any, model: Backbone, training: Pair, held_out: Pair, *, anew: bool, standardised: bool
) -> list[Record]:
    """Train the decoder alone; what it is tested on is computed once, and not counted."""
    clock: Clock = train.keywords["clock"]
    decoder, told = model.decoder, features(model, held_out[0])
    mean, scale = torch.zeros(told.shape[1]), torch.ones(told.shape[1])
    given, logits = training[0], lambda u: decoder(model.features(u)[0])
    if not anew:
        with clock.running():
            given, logits = features(model, given), decoder
            if standardised:
                mean, scale = given.mean(0), given.std(0).clamp(min=1e-12)
                given = (given - mean) / scale
    told = (told - mean) / scale
    points = train(
        decoder, logits, (given, training[1]),
        lambda: float((decoder(told).argmax(-1) == held_out[1]).double().mean()),
    )  # fmt: skip
    with torch.no_grad():  # the decoder reads features as they are
        decoder.weight.div_(scale)
        decoder.bias.sub_(decoder.weight @ mean)
    return points


@torch.no_grad()
def features(model: Backbone, u: Tensor) -> Tensor:
    """Return what the decoder reads of every sequence."""
    return torch.cat([model.features(some)[0] for some in u.split(256)])


def _warm(config: Config, images: Images) -> None:
    """Load and compile whatever a first call does, on a network that is thrown away."""
    spare: Any = network(config, config.tuning_seed)
    u, y = (part[: config.batch_size] for part in images.training)
    torch.nn.functional.cross_entropy(spare(u)[0], y).backward()
    readout(spare, u, y, progress=False)
