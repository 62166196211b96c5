"""From curves to seconds, ratios and sentences: nothing here is trained or drawn."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from ssmemory.experiments.closed_form.config import ALL, CLOSED, DECODER, FIXED, KEPT, WAYS, Config
from ssmemory.experiments.sweep import Record

TARGET, EQUAL = "target", "closed form"  # levels of a seed's own beside the ladder


def reached(run: Record, accuracy: float, axis: str) -> float:
    """Return the seconds or steps at which a run first has an accuracy.

    Between two evaluations of a descent the accuracy is taken as linear. Fits in closed form are each a run of its own:
    the first that has the accuracy counts whole.

    Args:
        run: the record.
        accuracy: the accuracy.
        axis: "process", "wall" or "step".

    Returns:
        Where on the axis; infinite where it never comes to it.
    """
    points = run["points"]
    for k, point in enumerate(points):
        if point["accuracy"] >= accuracy:
            if k == 0 or run["way"] == CLOSED:
                return float(point[axis])
            before = points[k - 1]
            part = (accuracy - before["accuracy"]) / (point["accuracy"] - before["accuracy"])
            return float(before[axis] + part * (point[axis] - before[axis]))
    return math.inf


def chosen(tuning: list[Record], config: Config) -> dict[str, float]:
    """Return the learning rate of every way: the soonest, in steps, at the target on the validation images.

    Args:
        tuning: the runs of the tuning seed; that of the closed form sets the target.
        config: the configuration.

    Returns:
        By way; where no rate comes to the target, the one with the highest accuracy at the end.
    """
    wanted = _last(next(run for run in tuning if run["way"] == CLOSED)) - config.margin
    return {
        way: min(
            (run for run in tuning if run["way"] == way), key=lambda run: (reached(run, wanted, "step"), -_last(run))
        )["lr"]
        for way in WAYS
    }


def summarise(runs: list[Record], tuning: list[Record], config: Config) -> dict[str, Any]:
    """Return findings, verdicts, and a row for every way.

    Args:
        runs: the runs on the test images.
        tuning: those that chose the learning rates.
        config: the configuration.

    Returns:
        "findings", "claims" and "ways".
    """
    closed = [_last(run) for run in _of(runs, CLOSED)]
    levels: dict[str, list[float]] = {f"{100 * level:g} %": [level] * len(closed) for level in config.ladder}
    levels |= {TARGET: [accuracy - config.margin for accuracy in closed], EQUAL: closed}
    ways = {way: _row(way, _of(runs, way), [run for run in tuning if run["way"] == way], levels) for way in WAYS}
    return {"findings": _findings(ways, config), "claims": {"G11": _sooner(ways)}, "ways": ways}


def told(values: Sequence[float | None], unit: str = "") -> str:
    """Return the median with the smallest and the largest value; None stands for never."""
    found = sorted(math.inf if value is None else value for value in values)
    middle = statistics.median(found) if math.isfinite(found[len(found) // 2]) else math.inf
    if math.isinf(middle):
        least = "" if math.isinf(found[0]) else f" (once {found[0]:.3g}{unit})"
        return f"never{least}"
    last = "never" if math.isinf(found[-1]) else f"{found[-1]:.3g}"
    return f"{middle:.3g}{unit}" + (f" ({found[0]:.3g} to {last})" if len(found) > 1 else "")


def ratios(ways: dict[str, Any], way: str, level: str, axis: str, to: str = CLOSED) -> list[float | None]:
    """Return how many times as long as another a way takes to a level, by seed; None where it never comes to it."""
    mine, others = (ways[name]["times"][level][axis] for name in (way, to))
    return [None if a is None else 0.0 if b is None else a / b for a, b in zip(mine, others, strict=True)]


def _of(runs: list[Record], way: str) -> list[Record]:
    return sorted((run for run in runs if run["way"] == way), key=lambda run: run["seed"])


def _last(run: Record) -> float:
    return float(run["points"][-1]["accuracy"])


def _row(way: str, runs: list[Record], tried: list[Record], levels: dict[str, list[float]]) -> Record:
    """Return what is said of a way: lists are by seed, None for never."""

    def times(wanted: list[float], axis: str) -> list[float | None]:
        found = [reached(run, level, axis) for run, level in zip(runs, wanted, strict=True)]
        return [value if math.isfinite(value) else None for value in found]

    return {
        "way": way, "lr": runs[0]["lr"], "trained": runs[0]["trained"],
        "accuracy": [_last(run) for run in runs], "train_accuracy": [run["train_accuracy"] for run in runs],
        "before": [run["points"][0]["process"] for run in runs],
        "process": [run["points"][-1]["process"] for run in runs],
        "wall": [run["points"][-1]["wall"] for run in runs],
        "tuning_process": 0.0 if way == CLOSED else sum(run["points"][-1]["process"] for run in tried),
        "times": {
            name: {axis: times(wanted, axis) for axis in ("process", "wall", "step")}
            for name, wanted in levels.items()
        },
    }  # fmt: skip


def _percent(values: Sequence[float]) -> str:
    return told([100 * value for value in values], " %")


def _findings(ways: dict[str, Any], config: Config) -> list[str]:
    closed, points, many = ways[CLOSED], f"{100 * config.margin:g} points", len(config.seeds)

    def takes(way: str, level: str) -> str:
        seconds = ways[way]["times"][level]["process"]
        missed = sum(value is None for value in seconds)
        if missed == many:
            return f"never within its budget of {config.passes(way)} passes, {told(ways[way]['process'], ' s')}"
        where = f" (never in {missed} of {many} seeds)" if missed else ""
        return f"{told(seconds, ' s')}, {told(ratios(ways, way, level, 'process'))} times the closed form's{where}"

    first = (
        f"The closed form has {_percent(closed['accuracy'])} of the test images right after "
        f"{told(closed['process'], ' s')} of one thread, with no learning rate to choose "
        f"({f'medians of {many} seeds, smallest to largest' if many > 1 else 'one seed'}). Seconds of a gradient to "
        f"within {points} of it: {'; '.join(f'{way}: {takes(way, TARGET)}' for way in (DECODER, FIXED, ALL))}."
    )
    kept = (
        f"With the same features computed once, standardised and kept, a gradient on the decoder: "
        f"{takes(KEPT, TARGET)}; computing them is {told(ways[KEPT]['before'], ' s')} of it."
    )
    best = max((FIXED, ALL), key=lambda way: statistics.median(ways[way]["accuracy"]))
    gain = [100 * (a - b) for a, b in zip(ways[best]["accuracy"], closed["accuracy"], strict=True)]
    end = (
        f"In the end a gradient on {best} has {_percent(ways[best]['accuracy'])} right, "
        f"{told(gain)} points {'more than' if statistics.median(gain) > 0 else 'from'} the closed form, after "
        f"{told(ways[best]['process'], ' s')}. Seconds to the closed form's own accuracy: {takes(best, EQUAL)}."
    )
    costs = ", ".join(f"{way} {ways[way]['tuning_process']:.3g} s" for way in WAYS if way != CLOSED)
    return [first, kept, end, f"Choosing the learning rates, not counted above, took: {costs}."]


def _sooner(ways: dict[str, Any]) -> dict[str, str]:
    """Return the verdict on G11: a fixed recurrence against a learned one, in steps to the target and in over-fitting.

    Steps decide, as seconds depend on what else the machine did.
    """
    fixed, learned = (
        [math.inf if step is None else step for step in ways[way]["times"][TARGET]["step"]] for way in (FIXED, ALL)
    )
    gaps = {
        way: [100 * (a - b) for a, b in zip(ways[way]["train_accuracy"], ways[way]["accuracy"], strict=True)]
        for way in (FIXED, ALL)
    }
    apart = [a - b for a, b in zip(gaps[FIXED], gaps[ALL], strict=True)]
    neither = all(math.isinf(step) for step in fixed + learned)
    soon = _agreed([a - b if a != b else 0.0 for a, b in zip(fixed, learned, strict=True)], "sooner", "later")
    soon = "neither comes to the target" if neither else soon
    fit = _agreed(apart, "over-fits less", "over-fits more")
    measured = (
        f"steps to the target, by seed, fixed / learned: {_pairs(ways, 'step')}; seconds: {_pairs(ways, 'process')}; "
        f"train − test accuracy: fixed {told(gaps[FIXED])}, learned {told(gaps[ALL])} points"
    )
    holds = (soon, fit) == ("sooner", "over-fits less")
    verdict = f"{'holds' if holds else 'not in this setting'}: {soon}; {fit}"
    return {"measured": measured, "verdict": verdict if len(fixed) > 1 else "undecided: one seed"}


def _pairs(ways: dict[str, Any], axis: str) -> str:
    both = zip(*(ways[way]["times"][TARGET][axis] for way in (FIXED, ALL)), strict=True)
    return ", ".join(" / ".join("never" if value is None else f"{value:.3g}" for value in pair) for pair in both)


def _agreed(differences: list[float], less: str, more: str) -> str:
    """Return the word that every seed agrees on."""
    if all(difference < 0 for difference in differences):
        return less
    return more if all(difference > 0 for difference in differences) else f"seeds do not agree whether {less}"
