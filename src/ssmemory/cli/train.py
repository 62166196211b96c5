"""`ssmemory train`: a classifier of pixel sequences, frozen or not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from ssmemory import nn
from ssmemory.errors import reject


def train(
    *,
    data: str = "digits",
    side: int | None = None,
    n_train: int | None = None,
    layer: str = "s4d",
    d_model: int = 64,
    d_state: int | None = None,
    n_layers: int = 2,
    init: str | None = None,
    dt_min: float | None = None,
    dt_max: float | None = None,
    heads: int | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    pooling: Literal["mean", "last"] = "last",
    freeze: str = "none",
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 4e-3,
    ssm_lr: float = 1e-3,
    weight_decay: float = 0.01,
    seed: int = 0,
    out: Path = Path("out/train"),
    cache: Path | None = None,
    source: Path | None = None,
) -> None:
    """Train a classifier on pixel sequences, frozen or not; run again to take up a run that was cut off.

    Args:
        data: digits, mnist or fashion-mnist.
        side: pixels a side after averaging; sequences have side² steps. As the images are, if left out.
        n_train: training images; all but the last sixth of the training part if left out. That sixth validates.
        layer: the layer; `ssmemory list` names them.
        d_model: channels between the blocks.
        d_state: full real state size of the layer; its own choice if left out, as for the next five.
        n_layers: blocks.
        init: initialiser of the eigenvalues.
        dt_min: smallest initial step; steps are log-uniform between the two.
        dt_max: largest initial step.
        heads: heads of the layers that have some.
        bidirectional: a second layer in every block reads from the end back.
        dropout: share of activations dropped while training.
        pooling: answer from the mean over the steps, or from the last step.
        freeze: none, eigenvalues, recurrence or all-but-readout.
        epochs: passes over the training images.
        batch_size: images in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B.
        weight_decay: decay of ordinary weight matrices.
        seed: seeds initial values, order of the batches, and dropout.
        out: folder of this run: model, metrics.csv, memory.json, checkpoint.
        cache: folder of fetched data.
        source: folder with your own IDX files.
    """
    from ssmemory import fit
    from ssmemory.data import load_images, pixel_sequences, standardise

    torch.manual_seed(seed)
    config = nn.BackboneConfig(
        d_model=d_model, d_state=d_state, n_layers=n_layers, layer=layer, init=init, dt_min=dt_min, dt_max=dt_max,
        heads=heads, bidirectional=bidirectional, dropout=dropout, pooling=pooling,
    )  # fmt: skip
    model = nn.Backbone(config)
    how = fit.TrainConfig(
        epochs=epochs, batch_size=batch_size, lr=lr, ssm_lr=ssm_lr, weight_decay=weight_decay,
        freeze=freeze, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip
    images = load_images(data, cache=cache, source=source)
    u = pixel_sequences(images.train_images, side=side, pixel_max=images.pixel_max)
    y = torch.as_tensor(images.train_labels)
    most = len(u) - len(u) // 6
    if n_train is not None and not 1 <= n_train <= most:
        reject("n_train", expected=f"1 … {most}", got=n_train, fix="the last sixth is kept for validation")
    count = most if n_train is None else n_train
    u_train, u_validation = standardise(u[:count], u[most:])
    result = fit.train(model, (u_train, y[:count]), (u_validation, y[most:]), how, folder=out)
    print(f"validation accuracy {100 * result.final('validation_accuracy'):.2f} % after {epochs} epochs")
    now = {memory.layer: memory for memory in result.after}
    for before in result.before:
        if after := now.get(before.layer):  # a layer that has ceased to forget has no memory function
            change = f"{before.reach:.0f} → {after.reach:.0f} of {u.shape[1]} steps"
            print(f"{before.layer}: reads back {change} at level 0.1, capacity {before.rank:.0f} → {after.rank:.0f}")
    print(f"model, metrics.csv and memory.json: {out}")
