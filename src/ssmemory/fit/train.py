"""Gradient training on Lightning: frozen or not, resumable, with the memory of every layer on record."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from ssmemory.errors import DataError, reject, reject_unknown
from ssmemory.files import claim_folder, write_json
from ssmemory.fit.batches import loader
from ssmemory.fit.freeze import FreezeMode, freeze
from ssmemory.fit.history import History
from ssmemory.fit.layer_memory import LayerMemory, layer_memory
from ssmemory.fit.reduce_state import Reducer, ReduceState
from ssmemory.nn import Backbone, param_groups, save_model
from ssmemory.nn.reduce import take_shapes

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: passes over the training data.
        batch_size: sequences in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B, without weight decay.
        weight_decay: decay of ordinary weight matrices (AdamW).
        warmup: share of all steps over which the rate rises linearly; it then falls along a cosine to zero.
        gradient_clip: largest norm of the gradient.
        freeze: which parameters stay as initialised; see `freeze`.
        task: "classification" (cross-entropy on class numbers) or "regression" (mean squared error).
        seed: seeds the order of the batches and dropout. The model brings its own initial values.
    """

    epochs: int = 10
    batch_size: int = 64
    lr: float = 4e-3
    ssm_lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    gradient_clip: float = 1.0
    freeze: FreezeMode = "none"
    task: Literal["classification", "regression"] = "classification"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.freeze not in get_args(FreezeMode):
            reject_unknown("freeze", self.freeze, get_args(FreezeMode))
        if self.task not in ("classification", "regression"):
            reject_unknown("task", self.task, ["classification", "regression"])
        rates = (self.lr, self.ssm_lr, self.weight_decay)
        if not all(0 <= rate < math.inf for rate in rates):
            got = f"lr={self.lr}, ssm_lr={self.ssm_lr}, weight_decay={self.weight_decay}"
            reject("config", expected="finite rates ≥ 0", got=got, fix="give each as a number such as 0.001")
        if self.epochs < 1 or self.batch_size < 1 or not 0 <= self.warmup < 1 or self.gradient_clip <= 0:
            got = f"{self.epochs}, {self.batch_size}, {self.warmup}, {self.gradient_clip}"
            what = "epochs, batch_size, warmup, gradient_clip"
            reject(what, expected="≥ 1, ≥ 1, in [0, 1), > 0", got=got, fix="mend the one out of range")


@dataclass(frozen=True)
class TrainResult:
    """What a run left behind.

    Attributes:
        rows: one row an epoch as in ``metrics.csv``; row 0 is before training.
        before: the memory of every layer before training.
        after: the memory of every layer after training.
        trained_parameters: how many numbers were trained.
        frozen_parameters: how many were frozen; checked to be bit-identical.
        folder: where model, metrics and checkpoint lie.
        reductions: one row a layer and epoch after which its state was reduced: "epoch", "layer", "d_state_before",
            "d_state", and "bound_share", the error bound as a share of the largest Hankel singular value.
    """

    rows: list[dict[str, float]]
    before: list[LayerMemory]
    after: list[LayerMemory]
    trained_parameters: int
    frozen_parameters: int
    folder: Path
    reductions: list[dict[str, Any]] = field(default_factory=list)

    def final(self, name: str) -> float:
        """Return a metric after the last epoch, such as "validation_accuracy"."""
        return self.rows[-1][name]


class _Module(LightningModule):
    def __init__(self, model: nn.Module, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.model, self.config, self.steps = model, config, steps

    def _evaluate(self, batch: tuple[Tensor, Tensor], name: str) -> Tensor:
        u, target = batch
        output = self.model(u)[0]
        if self.config.task == "classification":
            loss = nn.functional.cross_entropy(output, target)
            accuracy = (output.argmax(-1) == target).double().mean()
            self.log(f"{name}_accuracy", accuracy, on_step=False, on_epoch=True, batch_size=len(u), prog_bar=True)
        else:
            loss = nn.functional.mse_loss(output, target)
        self.log(f"{name}_loss", loss, on_step=False, on_epoch=True, batch_size=len(u), prog_bar=True)
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return self._evaluate(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self._evaluate(batch, "validation")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        take_shapes(self, checkpoint["state_dict"])  # of layers that were reduced before the checkpoint

    def configure_optimizers(self) -> Any:
        config = self.config
        optimiser = torch.optim.AdamW(param_groups(self.model, config.lr, config.ssm_lr, config.weight_decay))
        warm = max(1, round(config.warmup * self.steps))

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, self.steps - warm))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    model: Backbone,
    training: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    config: TrainConfig | None = None,
    *,
    folder: Path | str,
    progress: bool = True,
    reduce: ReduceState | None = None,
) -> TrainResult:
    """Train a model, or take up a run where it was cut off.

    AdamW with `param_groups`, gradient clipping, linear warm-up and a cosine to zero. After every epoch the folder
    holds a checkpoint and ``metrics.csv``; called again with the same model, data and configuration, training goes
    on after the last finished epoch and ends with the same metrics as if it had never stopped. Frozen parameters
    are checked to be bit-identical at the end.

    Args:
        model: the model, trained in place.
        training: inputs (n, length, channels) or symbols (n, length), and targets, (n,) classes or numbers.
        validation: the same, for validation after every epoch.
        config: how to train; `TrainConfig` with its defaults if left out.
        folder: where everything is written; holds one run.
        progress: show a progress bar.
        reduce: when and how far the layers' states are reduced during training; never if left out. The optimiser's
            state of all other parameters is kept, the learning rates go on.

    Returns:
        Metrics by epoch, and memory before and after. The folder holds them too, and the model (`load_model`).

    Raises:
        InputError: data that do not fit each other, NaN in the input, a folder that holds another run, or a
            reduction with frozen parameters or after the last epoch.
        DataError: a checkpoint that cannot be read.
    """
    config, folder = config or TrainConfig(), Path(folder)
    _check_data(model, training, validation, config)
    record: dict[str, Any] = {"train": dataclasses.asdict(config), "model": dataclasses.asdict(model.config)}
    record |= {"samples": [len(training[0]), len(validation[0])], "length": training[0].shape[1]}
    record |= {"data": _fingerprint(*training, *validation), "initial_values": _fingerprint(*model.parameters())}
    reducers = _reducers(reduce, config)
    if reduce is not None:
        record["reduce"] = dataclasses.asdict(reduce)
    length = training[0].shape[1]
    frozen = freeze(model, config.freeze)
    advice = {"initial_values": "make the model anew from its seed, or choose another folder"}
    claim_folder(folder, record, "train.json", advice=advice)
    before = layer_memory(model, length)
    history = History(folder / "metrics.csv", length, config.seed)
    train_loader = loader(*training, config.batch_size, config.seed)
    module = _Module(model, config, config.epochs * len(train_loader))
    checkpoint = folder / CHECKPOINT
    resume = _readable(checkpoint) if checkpoint.is_file() else None
    model.train()
    with _quiet():
        trainer = Trainer(
            max_epochs=config.epochs,
            callbacks=[history, *reducers, _last_checkpoint(folder)],
            gradient_clip_val=config.gradient_clip,
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=str(folder),
        )
        try:
            trainer.fit(module, train_loader, loader(*validation, 256, None), ckpt_path=resume, weights_only=True)
        except SystemExit:  # how the trainer ends on Ctrl-C
            raise KeyboardInterrupt from None
    if trainer.interrupted:
        raise KeyboardInterrupt
    frozen.check(model)
    model.eval()
    save_model(model, folder)
    frozen_count = sum(parameter.numel() for parameter in frozen.initial.values())
    trained = sum(p.numel() for p in model.parameters()) - frozen_count
    done = [row for reducer in reducers for row in reducer.rows]
    result = TrainResult(history.rows, before, layer_memory(model, length), trained, frozen_count, folder, done)
    _write_memory(result)
    return result


def _check_data(
    model: Backbone, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], config: TrainConfig
) -> None:
    if not isinstance(model, Backbone):
        fix = "wrap your layers in nn.Backbone, or write your own loop with fit.freeze and nn.param_groups"
        reject("model", expected="an nn.Backbone", got=type(model).__name__, fix=fix)
    for name, (u, y) in (("training", training), ("validation", validation)):
        if len(u) != len(y) or len(u) == 0:
            got = f"{len(u)} inputs and {len(y)} targets"
            reject(name, expected="as many targets as inputs, at least one", got=got, fix="cut them to match")
        if u.ndim > 1 and u.shape[1] == 0:
            reject(name, expected="at least one step", got="length 0", fix="drop empty sequences")
        if u.is_floating_point() and not bool(torch.isfinite(u).all()):
            bad = int((~torch.isfinite(u)).sum())
            reject(name, expected="finite inputs", got=f"{bad} NaN or infinite", fix="fill or drop them first")
        dtype = model.decoder.weight.dtype
        if u.is_floating_point() and u.dtype != dtype:
            reject(name, expected=f"{dtype} inputs, as the model", got=u.dtype, fix="cast the inputs or the model")
        _check_targets(name, y, config, model.config.d_output)


def _check_targets(name: str, y: Tensor, config: TrainConfig, d_output: int) -> None:
    if config.task == "regression":
        if y.ndim < 2 or y.shape[-1] != d_output:
            reject(name, expected=f"targets (n, {d_output})", got=tuple(y.shape), fix="give one column an output")
        if not bool(torch.isfinite(y).all()):
            bad = int((~torch.isfinite(y)).sum())
            reject(name, expected="finite targets", got=f"{bad} NaN or infinite", fix="fill or drop them first")
    elif y.is_floating_point() or y.is_complex():
        reject(name, expected="whole class numbers", got=y.dtype, fix="cast them to int64")
    elif int(y.min()) < 0 or int(y.max()) >= d_output:
        got = f"{int(y.min())} … {int(y.max())}"
        reject(name, expected=f"classes 0 … {d_output - 1}", got=got, fix="number them from 0, or raise d_output")


def _reducers(reduce: ReduceState | None, config: TrainConfig) -> list[Reducer]:
    """Return what reduces the layers, if anything is to."""
    if reduce is None:
        return []
    if config.freeze != "none":
        fix = "train with freeze='none', or call nn.reduce_model before training"
        reject("reduce", expected="nothing frozen, as a reduction makes new parameters", got=config.freeze, fix=fix)
    if max(reduce.epochs) >= config.epochs:
        fix = "give an earlier one, or call nn.reduce_model after training"
        reject("reduce", expected=f"epochs before the last, {config.epochs}", got=max(reduce.epochs), fix=fix)
    return [Reducer(reduce)]


def _fingerprint(*tensors: Tensor) -> str:
    """Return a sha256 of the tensors' bytes, which tells this run from another of the same shape."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _readable(checkpoint: Path) -> str:
    """Return the checkpoint's path if it can be read without running anything in it."""
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'nothing in it'}"[:120]
        fix = "delete it to start this run anew"
        reject(str(checkpoint), expected="a checkpoint of this run", got=got, fix=fix, error=DataError)
    return str(checkpoint)


def _last_checkpoint(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename=CHECKPOINT.removesuffix(".ckpt"),
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _write_memory(result: TrainResult) -> None:
    value = {k: [dataclasses.asdict(m) for m in getattr(result, k)] for k in ("before", "after")}
    write_json(result.folder / "memory.json", value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the trainer's advice; its errors and progress bar stay."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", module="torch.optim.lr_scheduler")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
