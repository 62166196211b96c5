"""Train every start with learned and with frozen recurrence, and sum up what came out."""

from __future__ import annotations

import dataclasses
import functools
import json
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch
from torch import Tensor
from tqdm import tqdm

import ssmemory.data as data_floor
from ssmemory import files
from ssmemory.errors import UnreachableError
from ssmemory.experiments.frozen_vs_learned.config import SIZES, Config
from ssmemory.experiments.frozen_vs_learned.findings import summarise
from ssmemory.fit import FreezeMode, LayerMemory, TrainConfig, TrainResult, train
from ssmemory.nn import Backbone, BackboneConfig

SCHEMA = "ssmemory/frozen-vs-learned/1"
MODES: dict[str, FreezeMode] = {"learned": "none", "frozen": "eigenvalues"}


@dataclass(frozen=True)
class Images:
    """Pixel sequences, standardised by the training part, and their classes."""

    training: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    name: str
    note: str
    licence: str


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the sweep, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written; runs that are finished there are not repeated.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: the data are there but damaged. Where they cannot be reached, scikit-learn's digits are used.
        InputError: the folder holds runs of another configuration.
    """
    began = time.time()
    images = load(config, cache=cache, source=source)
    fixed = dataclasses.replace(config, dts=SIZES["quick"].dts, seeds=(0,), processes=1)  # may grow: a run has its own
    record = {"config": dataclasses.asdict(fixed), "read": images.name}
    files.claim_folder(folder / "runs", record, "sweep.json")
    jobs = [(dt, mode, seed) for seed in config.seeds for dt in config.dts for mode in MODES]
    pool = joblib.Parallel(n_jobs=config.processes, return_as="generator_unordered")
    threads = max(1, torch.get_num_threads() // config.processes)
    work = pool(joblib.delayed(_one_run)(config, images, folder / "runs", threads, *job) for job in jobs)
    bar = tqdm(work, total=len(jobs), desc="training runs", unit="run", file=sys.stderr, mininterval=1)
    runs = sorted(bar, key=lambda r: (r["seed"], r["dt"], r["mode"]))
    length = images.training[0].shape[1]
    results = {
        "schema": SCHEMA,
        "size": next((name for name, known in SIZES.items() if known == config), "custom"),
        "config": dataclasses.asdict(config),
        "data": {"name": images.name, "note": images.note, "licence": images.licence, "length": length}
        | {part: len(getattr(images, part)[0]) for part in ("training", "validation", "test")},
        "machine": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        },
        "seconds": round(time.time() - began, 1),
        "summary": summarise(runs, length),
        "runs": runs,
    }
    files.write_json(folder / "results.json", results)
    return results


def load(config: Config, *, cache: Path | None, source: Path | None) -> Images:
    """Return the pixel sequences; scikit-learn's digits, with a line saying so, where the set cannot be had."""
    note, name, side = "", config.data, config.side
    try:
        found = data_floor.load_images(name, cache=cache, source=source)
    except UnreachableError as error:
        if source is not None:
            raise
        note = f"{name} could not be had ({error}); these are scikit-learn's digits, 64 steps, instead"
        print(note, file=sys.stderr)
        found, side = data_floor.load_images("digits"), 8
    sequences = functools.partial(data_floor.pixel_sequences, side=side, pixel_max=found.pixel_max)
    n, n_images = min(config.n_train, int(len(found.train_images) * 0.75)), len(found.train_images)
    kept = sequences(found.train_images[: min(n + config.n_validation, n_images)])
    test = sequences(found.test_images[: config.n_test])
    u, rest = data_floor.standardise(kept[:n], torch.cat([kept[n:], test]))
    y, y_test = torch.as_tensor(found.train_labels), torch.as_tensor(found.test_labels)
    validation = rest[: len(kept) - n], y[n : len(kept)]
    test_pair = rest[len(kept) - n :], y_test[: len(test)]
    return Images((u, y[:n]), validation, test_pair, found.name, note, found.licence)


def _one_run(
    config: Config, images: Images, folder: Path, threads: int, dt: float, mode: str, seed: int
) -> dict[str, Any]:
    """Train one model and score it on the test part; a finished run is read back."""
    folder = folder / f"dt{dt:g}-{mode}-seed{seed}"
    done = folder / "run.json"
    if done.is_file():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=config.n_layers, dropout=config.dropout,
        dt_min=dt, dt_max=dt, pooling="last",
    )  # fmt: skip
    model = Backbone(shape)
    how = TrainConfig(
        epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=config.ssm_lr,
        weight_decay=config.weight_decay, freeze=MODES[mode], seed=seed,
    )  # fmt: skip
    result = train(model, images.training, images.validation, how, folder=folder, progress=False)
    record = _record(result, dt, mode, seed) | {"test_accuracy": _accuracy(model, *images.test)}
    files.write_json(done, record)
    (folder / "last.ckpt").unlink(missing_ok=True)  # finished: nothing to resume
    return record


def _record(result: TrainResult, dt: float, mode: str, seed: int) -> dict[str, Any]:
    rows = [{name: float(f"{value:.6g}") for name, value in row.items()} for row in result.rows]
    return {
        "dt": dt,
        "mode": mode,
        "seed": seed,
        "rows": rows,
        "trained_parameters": result.trained_parameters,
        "frozen_parameters": result.frozen_parameters,
        "before": [_short(record, eigenvalues=seed == 0) for record in result.before],
        "after": [_short(record, eigenvalues=seed == 0) for record in result.after],
    }


def _short(record: LayerMemory, *, eigenvalues: bool) -> dict[str, Any]:
    """A layer's memory with six digits, and its eigenvalues only where a picture needs them."""
    value = dataclasses.asdict(record)
    for name in ("median", "low", "high"):
        value[name] = [float(f"{number:.6g}") for number in value[name]]
    for name in ("eigenvalues_real", "eigenvalues_imag"):
        channels = value.pop(name)
        if eigenvalues:
            value[name] = [[float(f"{number:.6g}") for number in modes] for modes in channels]
    return value


@torch.no_grad()
def _accuracy(model: Backbone, u: Tensor, y: Tensor) -> float:
    right = sum(
        int((model(part)[0].argmax(-1) == target).sum())
        for part, target in zip(u.split(256), y.split(256), strict=True)
    )
    return right / len(y)
