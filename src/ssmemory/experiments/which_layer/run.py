"""Train every layer over the same seeds, and sum up score and memory; for speed see the benchmarks."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from pathlib import Path
from typing import Any

from ssmemory import files
from ssmemory.experiments.pixels import Images, load_sequences
from ssmemory.experiments.sweep import Record, percent, results_of, score, sweep, train_and_score
from ssmemory.experiments.which_layer.config import SIZES, Config, Contestant
from ssmemory.fit import TrainConfig
from ssmemory.nn import BackboneConfig

SCHEMA = "ssmemory/which-layer/1"
BASELINES = ("linear RNN", "linear attention")  # what the claim sets the SSMs against


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
    images = load_sequences(config, cache=cache, source=source)
    fixed = dataclasses.asdict(dataclasses.replace(config, seeds=(0,), processes=1))  # may grow: a run has its own
    files.claim_folder(folder / "runs", {"config": fixed, "read": images.name}, "sweep.json")
    jobs = [(contestant, seed) for seed in config.seeds for contestant in config.contestants]
    runs = sweep(functools.partial(_one_run, config, images, folder / "runs"), jobs, processes=config.processes)
    names = [contestant.name for contestant in config.contestants]
    runs.sort(key=lambda r: (r["seed"], names.index(r["name"])))
    size = next((name for name, known in SIZES.items() if known == config), "custom")
    summary = summarise(runs, names, images.length)
    results = results_of(runs, summary, images, schema=SCHEMA, size=size, config=dataclasses.asdict(config))
    files.write_json(folder / "results.json", results)
    return results


def _one_run(config: Config, images: Images, folder: Path, threads: int, contestant: Contestant, seed: int) -> Record:
    shape = BackboneConfig(
        layer=contestant.layer, d_model=config.d_model, n_layers=config.n_layers, dropout=config.dropout,
        pooling="last", **contestant.options,
    )  # fmt: skip
    how = TrainConfig(
        epochs=config.epochs, batch_size=config.batch_size, lr=config.lr, ssm_lr=config.ssm_lr,
        weight_decay=config.weight_decay, seed=seed,
    )  # fmt: skip
    about = {"name": contestant.name, "seed": seed}
    name = contestant.name.lower().replace(" ", "-")
    return train_and_score(shape, how, images, folder / f"{name}-seed{seed}", threads, about)


def summarise(runs: list[Record], names: list[str], length: int) -> dict[str, Any]:
    """Return one row a layer, and what came out in plain words.

    Args:
        runs: the records of all runs.
        names: the layers, in the order of the table.
        length: steps of the sequences.

    Returns:
        What goes into ``results.json`` under "summary".
    """
    rows = [_row([run for run in runs if run["name"] == name]) for name in names]
    return {"rows": rows, "claims": _claims(rows), "findings": _findings(rows, length)}


def _row(runs: list[Record]) -> dict[str, Any]:
    """Return mean and spread over the seeds; memory is the median over layers and seeds, None where there is none."""

    def memory(when: str, name: str) -> float | None:
        found = [layer[name] for run in runs for layer in run[when]]
        return statistics.median(found) if found else None

    return {
        "name": runs[0]["name"],
        **score(runs),
        "trained_parameters": runs[0]["trained_parameters"],
        "rank": memory("before", "rank"),
        "reach_before": memory("before", "reach"),
        "reach_after": memory("after", "reach"),
        "first_input_before": memory("before", "first_input"),
        "first_input_after": memory("after", "first_input"),
    }


def _findings(rows: list[dict[str, Any]], length: int) -> list[str]:
    ordered = sorted(rows, key=lambda row: row["test_accuracy"], reverse=True)
    best, worst = ordered[0], ordered[-1]
    within = [row["name"] for row in ordered[1:] if row["test_accuracy_max"] >= best["test_accuracy_min"]]
    tied = f"; within its seeds' range: {', '.join(within)}" if within else ""
    scored = (
        f"Scores: {best['name']} names {percent(best)} of the test images right{tied}; {worst['name']} does least "
        f"well with {percent(worst)}."
    )
    known = [row for row in rows if row["first_input_before"] is not None]
    if not known:
        return [scored]
    far = max(known, key=lambda row: row["first_input_before"])
    near = min(known, key=lambda row: row["first_input_before"])
    memory = (
        f"Memory: a layer of {far['name']} starts with a memory function of {far['first_input_before']:.2g} for the "
        f"first of {length} steps, one of {near['name']} with {near['first_input_before']:.2g}; after training "
        f"{far['first_input_after']:.2g} and {near['first_input_after']:.2g}."
    )
    return [scored, memory]


def _claims(rows: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return what was measured for the claim of ``expected.toml``: the SSMs against the two others, before training."""
    known = [row for row in rows if row["first_input_before"] is not None]
    others = [row for row in known if row["name"] in BASELINES]
    ssms = [row for row in known if row["name"] not in BASELINES]
    if not ssms or not others:
        return {"G14": {"measured": "not both kinds were run", "verdict": "undecided"}}
    told = ", ".join(f"{row['name']} {row['first_input_before']:.2g}" for row in ssms + others)
    ranks = ", ".join(f"{row['name']} {row['rank']:.0f}" for row in ssms + others)
    longest = max(row["first_input_before"] for row in others)
    below = [row["name"] for row in ssms if row["first_input_before"] <= longest]
    verdict = "holds for the first input: every SSM is above" if not below else f"does not hold for {', '.join(below)}"
    return {"G14": {"measured": f"first input: {told}; capacity: {ranks}", "verdict": verdict}}
