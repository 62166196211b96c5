"""A model as a folder: weights in safetensors, the configuration in JSON. Nothing in it can run code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from ssmemory.errors import DataError, InputError, reject
from ssmemory.files import replacing, write_json
from ssmemory.nn.backbone import Backbone, BackboneConfig, described

WEIGHTS, CONFIG = "model.safetensors", "model.json"


def save_model(model: Backbone, folder: Path | str) -> Path:
    """Write a backbone to a folder, atomically file by file.

    Args:
        model: the backbone.
        folder: where to; made if need be.

    Returns:
        The folder.

    Raises:
        InputError: the two directions of a block were reduced to different state sizes.
    """
    folder, config = Path(folder), described(model)
    with replacing(folder / WEIGHTS) as part:
        safetensors.torch.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, part)
    write_json(folder / CONFIG, dataclasses.asdict(config))
    return folder


def load_model(folder: Path | str) -> Backbone:
    """Read a backbone from a folder that `save_model` wrote.

    Args:
        folder: the folder, or either file in it.

    Returns:
        The backbone, in evaluation mode.

    Raises:
        DataError: a file is missing or cannot be read, or the weights are of another shape than the configuration.
    """
    folder = Path(folder)
    folder = folder.parent if folder.suffix in (".safetensors", ".json") else folder
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            fix = "name a folder that save_model or `ssmemory train` wrote"
            reject(
                str(folder),
                expected=f"a folder with {CONFIG} and {WEIGHTS}",
                got=f"no {name}",
                fix=fix,
                error=DataError,
            )
    try:
        model = Backbone(BackboneConfig(**json.loads((folder / CONFIG).read_text(encoding="utf-8"))))
    except (ValueError, TypeError) as error:
        got = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        fix = "save the model again"
        reject(str(folder / CONFIG), expected="a model's configuration", got=got, fix=fix, error=DataError)
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        fix = "the file is damaged; save the model again"
        reject(str(folder / WEIGHTS), expected="safetensors", got=str(error), fix=fix, error=DataError)
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        shapes = [tuple(d[name].shape) if name in d else "nothing" for d in (wanted, weights)]
        if shapes[0] != shapes[1]:
            fix = f"the weights belong to another {CONFIG}"
            reject(
                f"{folder / WEIGHTS}: {name}", expected=f"shape {shapes[0]}", got=shapes[1], fix=fix, error=DataError
            )
    model.load_state_dict(weights)
    return model.eval()
