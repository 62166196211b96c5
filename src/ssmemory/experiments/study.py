"""Many small measurements, each kept in a file of its own, taken up where they were cut off."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ssmemory import files
from ssmemory.experiments.sweep import Record, machine, sweep


def study(
    measure: Callable[..., Record], jobs: Sequence[tuple[Any, ...]], config: Any, folder: Path, *, processes: int = 2
) -> list[Record]:
    """Measure every job, some at a time, with a progress bar; a job that is finished is read back.

    Args:
        measure: ``measure(config, *job)`` returns a record of plain numbers and names.
        jobs: its further arguments, plain values.
        config: the configuration, a dataclass; its ``seeds`` may grow from call to call.
        folder: holds ``runs``, one JSON file a job.
        processes: jobs at a time, which share torch's threads; one where there are few jobs, as starting takes long.

    Returns:
        The records, in the order of the jobs.

    Raises:
        InputError: the folder holds runs of another configuration.
    """
    fixed = dataclasses.asdict(config)
    fixed.pop("seeds", None)
    files.claim_folder(folder / "runs", {"config": fixed}, "study.json")
    kept = functools.partial(_kept, measure, config, folder / "runs")
    found = sweep(kept, [(k, *job) for k, job in enumerate(jobs)], processes=processes if len(jobs) > 12 else 1)
    return [pair["record"] for pair in sorted(found, key=lambda pair: pair["order"])]


def keep_results(
    runs: list[Record], summary: Record, folder: Path, *, schema: str, sizes: dict[str, Any], config: Any,
    data: Record | None = None,
) -> Record:  # fmt: skip
    """Write ``results.json`` of a study, atomically.

    Args:
        runs: the records.
        summary: "findings" and "claims", and what the figures need beside the runs.
        folder: where to.
        schema: the schema's name.
        sizes: the known configurations by name; another one is "custom".
        config: the configuration.
        data: what is said of the data, if any were read.

    Returns:
        What was written.
    """
    size = next((name for name, known in sizes.items() if known == config), "custom")
    results = {
        "schema": schema, "size": size, "config": dataclasses.asdict(config), "data": data or {},
        "machine": machine(), "summary": summary, "runs": runs,
    }  # fmt: skip
    files.write_json(folder / "results.json", results)
    return results


def spread(values: Sequence[float]) -> str:
    """Return mean ± standard deviation with three digits; the mean alone of one value."""
    mean = f"{statistics.mean(values):.3g}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.2g}"


def _kept(measure: Callable[..., Record], config: Any, folder: Path, threads: int, order: int, *job: Any) -> Record:
    name = hashlib.sha256(json.dumps(job).encode()).hexdigest()[:16]
    path = folder / f"{name}.json"
    if path.is_file():
        return {"order": order, "record": json.loads(path.read_text(encoding="utf-8"))}
    torch.set_num_threads(threads)
    record = measure(config, *job)
    files.write_json(path, record)
    return {"order": order, "record": record}
