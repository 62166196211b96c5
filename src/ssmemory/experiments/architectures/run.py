"""Measure layers, spectra, bases, Gram matrices and gates, and sum them up."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ssmemory.experiments.architectures import spectra
from ssmemory.experiments.architectures.config import LAYERS, SIZES, Config
from ssmemory.experiments.architectures.findings import summarise
from ssmemory.experiments.architectures.gates import gates
from ssmemory.experiments.architectures.inputs import Input, encoded, load_inputs
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record
from ssmemory.nn.alike import layers_alike
from ssmemory.nn.comparison import compare_layers

SCHEMA = "ssmemory/architectures/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files, for the pixels.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: data are there but damaged. An input that cannot be reached is left out, and the findings say so.
    """
    inputs = load_inputs(config, cache=cache, source=source)
    jobs: list[tuple[Any, ...]] = []
    for seed in config.seeds:
        jobs += [("layers", by, name, seed) for by in ("state", "bytes") for name in ("white", *inputs)]
        jobs += [(part, "", "", seed) for part in ("basis", "spectra", "gram", "rounding")]
        jobs += [("gates", "", name, seed) for name in inputs]
    jobs.append(("twins", "", "", 0))
    runs = study(functools.partial(measure, inputs=inputs), jobs, config, folder)
    told = {name: given.about for name, given in inputs.items()}
    missing = [name for name in config.inputs if name not in inputs]
    summary = summarise(runs, config)
    if missing:
        summary["findings"].append(f"Left out, for the data could not be had: {', '.join(missing)}.")
    return keep_results(runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data={"inputs": told})


def measure(config: Config, part: str, by: str, name: str, seed: int, *, inputs: dict[str, Input]) -> Record:
    """Return the record of one job."""
    if part == "layers":
        return _layers(config, by, name, seed, inputs.get(name))
    if part == "gates":
        return {"part": part, "rows": gates(config, name, inputs[name].series, seed)}
    if part == "spectra":
        return spectra.spectra(config, seed, inputs)
    if part == "twins":
        return spectra.twins(config)
    return {"basis": spectra.basis, "gram": spectra.gram, "rounding": spectra.rounding}[part](config, seed)


def _layers(config: Config, by: str, name: str, seed: int, given: Input | None) -> Record:
    size = {"d_state": config.d_state} if by == "state" else {"most_bytes": config.bytes}
    made = layers_alike(LAYERS, d_model=config.d_model, steps=config.window, seed=seed, **size)
    real = {
        "input_autocovariance": given.autocorrelation,
        "sequence": encoded(given.series[: 2 * config.lags], config.d_model, seed),
    } if given else {}  # fmt: skip
    found = compare_layers(made, config.lags, seed=seed, **real)
    kept = ("name", "how", "d_state", "bytes", "capacity", "lags")
    rows = [
        {key: getattr(row, key) for key in kept} | {"median": [float(f"{value:.5g}") for value in row.median]}
        for row in found.rows
    ]
    return {"part": "layers", "by": by, "input": name, "seed": seed, "rows": rows}
