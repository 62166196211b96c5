"""From looks to the numbers, sentences and verdicts of the report."""

from __future__ import annotations

import statistics
from typing import Any

import scipy.stats

from ssmemory.experiments.memory_in_training.config import Config
from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record

MEASURES = {
    "exact": "exact capacity of the layers after training",
    "exact_first": "exact memory of the first input before",
    "image_before": "share of the image before",
    "capacity": "end-to-end capacity after",
    "far": "end-to-end memory of the first half after",
    "image": "share of the image after",
}
RANKS = 0.5  # a measure ranks the scores where its rank correlation is above that in every seed


def summarise(runs: list[Record], config: Config, length: int) -> dict[str, Any]:
    """Return rows, rank correlations, findings and verdicts.

    Args:
        runs: the records.
        config: the configuration.
        length: steps of a sequence.

    Returns:
        "rows" (one a start and mode), "correlations", "long", "findings" and "claims".
    """
    rows = [_row(runs, dt, mode) for dt in config.dts for mode in ("learned", "frozen")]
    long = max(config.dts, key=lambda dt: statistics.mean(_values(runs, dt, "learned", 0, "exact_first")))
    ranked = {name: [_correlation(runs, seed, name) for seed in config.seeds] for name in MEASURES}
    low, apart = max(config.dts), min(_scores(runs, long)) - max(_scores(runs, max(config.dts)))
    gaps = {dt: _gap(runs, dt, long) for dt in config.dts if dt > long}
    closed = max(statistics.mean(gap["closed"]) for gap in gaps.values()) if gaps else 0.0
    told = "; ".join(
        f"dt {dt:g}: {spread(gap['began'])} → {spread(gap['learned'])} learned, {spread(gap['frozen'])} frozen"
        for dt, gap in gaps.items()
    )
    moved = {mode: _changes(runs, long, mode, "capacity") for mode in ("learned", "frozen")}
    shares = {mode: _changes(runs, long, mode, "image") for mode in ("learned", "frozen")}
    start = _values(runs, long, "learned", 0, "capacity")
    whole = _values(runs, long, "learned", 0, "image")
    findings = [
        f"From the long start (dt = {long:g}) the last block holds {spread(start)} of {length} white inputs at the "
        f"last step before training, of at most {config.d_model}, its width; training changed that by "
        f"{spread(moved['learned'])} with learned recurrence and by {spread(moved['frozen'])} with frozen, whose exact "
        "memory is bit for bit what it was: what surrounds the recurrence decides how much of it gets through.",
        f"Of the variance of the image itself the last block can give back {spread(whole)} before; the change by "
        f"training is {spread(shares['learned'])} learned, {spread(shares['frozen'])} frozen.",
        "Rank correlation with test accuracy over all starts, learned and frozen: "
        + "; ".join(f"{text} {spread(ranked[name])}" for name, text in MEASURES.items())
        + ".",
        f"Beyond what training with frozen eigenvalues does, learned ones close at most {100 * max(0.0, closed):.0f} % "
        "of the gap between a shorter start and the long one (a comparison chosen after the results were seen).",
    ]  # fmt: skip
    ranking = [name for name in MEASURES if min(ranked[name]) > RANKS]
    others = [name for name in MEASURES if name not in ranking]
    return {
        "rows": rows, "correlations": ranked, "long": long, "findings": findings, "closed": closed,
        "claims": {
            "G16": {
                "measured": "; ".join(f"{text}: {spread(ranked[name])}" for name, text in MEASURES.items()),
                "verdict": _ranking(ranking, others),
            },
            "G9": {
                "measured": f"{told}; long start untrained {spread(_values(runs, long, 'learned', 0, 'far'))}",
                "verdict": _extended(gaps, statistics.mean(_values(runs, long, "learned", 0, "far"))),
            },
            "G13": {
                "measured": f"dt {low:g}: {spread(_scores(runs, low))}; long: {spread(_scores(runs, long))}",
                "verdict": "holds: every run lies below" if apart > 0 else "does not hold here: the scores overlap",
            },
        },
    }  # fmt: skip


def of(look: dict[str, Any], name: str) -> float:
    """Return a measure of a look: of the last block if end to end, the median over the layers if exact."""
    key = {"exact": "exact_rank", "image_before": "image"}.get(name, name)
    values = [float(layer[key]) for layer in look["layers"]]
    return statistics.median(values) if key.startswith("exact") else values[-1]


def chosen(runs: list[Record], dt: float, mode: str) -> list[Record]:
    """Return the runs of one start and mode, one a seed."""
    return [run for run in runs if (run["dt"], run["mode"]) == (dt, mode)]


def measured(run: Record, name: str) -> float:
    """Return what stands for a run in a comparison of a measure with the score."""
    return of(run["looks"][0 if MEASURES[name].endswith("before") else -1], name)


def _values(runs: list[Record], dt: float, mode: str, when: int, name: str) -> list[float]:
    return [of(run["looks"][when], name) for run in chosen(runs, dt, mode)]


def _changes(runs: list[Record], dt: float, mode: str, name: str) -> list[float]:
    before, after = (_values(runs, dt, mode, when, name) for when in (0, -1))
    return [b - a for a, b in zip(before, after, strict=True)]


def _scores(runs: list[Record], dt: float) -> list[float]:
    return [run["looks"][-1]["accuracy"] for run in runs if run["dt"] == dt]


def _correlation(runs: list[Record], seed: int, name: str) -> float:
    """Return Spearman's correlation over the runs of a seed; 0 where the measure is the same for all."""
    own = [run for run in runs if run["seed"] == seed]
    values = [measured(run, name) for run in own]
    if len(set(values)) == 1:
        return 0.0
    return float(scipy.stats.spearmanr(values, [run["looks"][-1]["accuracy"] for run in own]).statistic)


def _gap(runs: list[Record], dt: float, long: float) -> dict[str, list[float]]:
    """Return memory of the first half of the sequence from a shorter start, and the share of the gap that is closed.

    The gap is to the untrained long start; closed is what learned eigenvalues add to what training with frozen ones
    reaches from the same start and seed.
    """
    wanted, began = _values(runs, long, "learned", 0, "far"), _values(runs, dt, "learned", 0, "far")
    learned, frozen = (_values(runs, dt, mode, -1, "far") for mode in ("learned", "frozen"))
    closed = [(a - b) / (w - o) for a, b, w, o in zip(learned, frozen, wanted, began, strict=True)]
    return {"began": began, "learned": learned, "frozen": frozen, "closed": closed}


def _extended(gaps: dict[float, dict[str, list[float]]], long: float) -> str:
    """Return which shorter starts stay below half the long start's memory of the far half, with learned eigenvalues."""
    means = {dt: (statistics.mean(gap["began"]), statistics.mean(gap["learned"])) for dt, gap in gaps.items()}
    below = [f"dt {dt:g}" for dt, (_, learned) in means.items() if learned < long / 2]
    above = [f"dt {dt:g}, which began at {began:.2f}" for dt, (began, learned) in means.items() if learned >= long / 2]
    if not above:
        return f"holds: below half of the long start's {long:.2f} from every shorter one"
    if not below:
        return f"does not hold here: at least half of the long start's {long:.2f} from every shorter one"
    return (
        f"conditional: below half of the long start's {long:.2f} from {', '.join(below)}; above from {', '.join(above)}"
    )


def _ranking(ranking: list[str], others: list[str]) -> str:
    """Return which measures rank the scores in every seed, and which do not."""
    if not ranking:
        return "none of these measures ranks the scores"
    told = f"ranked, in every seed, by {', '.join(MEASURES[name] for name in ranking)}"
    return f"conditional: {told}; not by {', '.join(MEASURES[name] for name in others)}" if others else told


def _row(runs: list[Record], dt: float, mode: str) -> dict[str, Any]:
    row: dict[str, Any] = {"dt": dt, "mode": mode}
    row["accuracy"] = spread([100 * run["looks"][-1]["accuracy"] for run in chosen(runs, dt, mode)])
    for name in ("capacity", "far", "image", "exact_first"):
        row[name] = [spread(_values(runs, dt, mode, when, name)) for when in (0, -1)]
    return row
