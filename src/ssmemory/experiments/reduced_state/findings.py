"""What the runs say of the claim: differences by seed, with Student's interval, size by size."""

from __future__ import annotations

import statistics
from typing import Any

from scipy import stats

from ssmemory.experiments.reduced_state.config import Config
from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings and verdict.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "rows" by state size, "predicted" and "measured" sizes of the truncated models, "findings" and "claims".
    """
    score = {(run["way"], run["d_state"], run["seed"]): run["test_accuracy"] for run in runs}
    large = [run for run in runs if run["way"] == "large"]
    best = [run["test_accuracy"] for run in large]
    rows: list[dict[str, Any]] = []
    for size in config.d_states:
        early, small = ([score[way, size, seed] for seed in config.seeds] for way in ("early", "small"))
        after = [next(p["test_accuracy"] for p in run["truncated"] if p["d_state"] == size) for run in large]
        rows.append({
            "d_state": size, "after": after, "early": early, "small": small, "over_small": _interval(early, small),
            "over_large": _interval(early, best), "small_over_large": _interval(small, best),
        })  # fmt: skip
    predicted = [run["predicted"] for run in large]
    measured = [_smallest_kept(run, config.margin) for run in large]
    safe = sum(m <= p for m, p in zip(measured, predicted, strict=True))
    tight = [max(p["error"] / p["bound"] for p in run["truncated"] if p["bound"] > 0) for run in large]
    gains = ", ".join(f"{row['d_state']}: {_points(row['over_small'])}" for row in rows)
    losses = ", ".join(f"{row['d_state']}: {_points(row['over_large'])}" for row in rows)
    findings = [
        f"The large model, d_state {config.large}, has {spread([100 * a for a in best])} % right. Reduced after "
        f"training, it loses at most {100 * config.margin:.3g} point(s) down to d_state {_each(measured)} by seed; "
        f"{100 * config.level:.3g} % of the Hankel singular values foretold {_each(predicted)}, a safe size for {safe} "
        f"of {len(large)}. The error of any size is at most {max(tight):.2g} of its bound.",
        f"Reduced after {config.reduce_after} of {config.epochs} epochs and trained on, minus small from the start, in "
        f"points by d_state: {gains}.",
        f"Reduced early minus large: {losses}.",
    ]
    claims = {
        "S1": {
            "measured": f"early − small by d_state: {gains}; early − large: {losses}",
            "verdict": _verdict(rows, config),
        }
    }
    return {"rows": rows, "predicted": predicted, "measured": measured, "findings": findings, "claims": claims}


def _smallest_kept(run: Record, margin: float) -> int:
    """Return the smallest size from which on truncation loses no more than the margin."""
    kept = run["truncated"][-1]["d_state"]
    for point in reversed(run["truncated"]):
        if point["test_accuracy"] < run["test_accuracy"] - margin:
            break
        kept = point["d_state"]
    return int(kept)


def _interval(first: list[float], second: list[float]) -> dict[str, float | None]:
    """Return the mean of the differences, their spread, and a 95 % interval by Student's t."""
    pairs = [a - b for a, b in zip(first, second, strict=True)]
    if len(pairs) < 2:
        return {"mean": pairs[0], "sd": None, "low": None, "high": None}
    mean, sd = statistics.mean(pairs), statistics.stdev(pairs)
    half = float(stats.t.ppf(0.975, len(pairs) - 1)) * sd / len(pairs) ** 0.5
    return {"mean": mean, "sd": sd, "low": mean - half, "high": mean + half}


def _verdict(rows: list[dict[str, Any]], config: Config) -> str:
    """Return the verdict: at which sizes the accuracy is kept, and at which it beats training small."""
    if len(config.seeds) < 2:
        return "undecided: one seed says nothing about chance"
    kept = [row["d_state"] for row in rows if row["over_large"]["mean"] >= -config.margin]
    better = [row["d_state"] for row in rows if row["over_small"]["low"] > 0]
    worse = [row["d_state"] for row in rows if row["over_small"]["high"] < 0]
    both = [size for size in kept if size in better]
    told = f"better than small at d_state {_each(better)}, worse at {_each(worse)}, as good as large at {_each(kept)}"
    if both and len(better) == len(rows):
        return f"holds: {told}"
    if both:
        return f"conditional on the size: {told}"
    if better:
        return f"conditional: {told}, but never both"
    if not worse:
        return f"undecided: no difference from small that {len(config.seeds)} seeds can tell from chance; {told}"
    return f"does not hold here: {told}"


def _each(sizes: list[int]) -> str:
    return ", ".join(str(size) for size in sizes) or "none"


def _points(difference: dict[str, float | None]) -> str:
    """Return a difference in points with its spread."""
    mean, sd = difference["mean"], difference["sd"]
    assert mean is not None
    return f"{100 * mean:+.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")
