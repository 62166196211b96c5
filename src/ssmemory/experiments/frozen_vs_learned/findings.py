"""From runs to the numbers and the three sentences of the report: nothing here is trained or drawn."""

from __future__ import annotations

import statistics
from typing import Any

from scipy import stats

from ssmemory.experiments.sweep import percent, score

Run = dict[str, Any]


def summarise(runs: list[Run], length: int) -> dict[str, Any]:
    """Return the named starts, their scores with spread, and the findings in plain words.

    The starts are named by rules fixed beforehand. *Long*: the dt whose layers remember the first input best, by the
    exact memory before training; no score is looked at. *Short, tuned*: of the steps larger than that one, whose
    memory is shorter, the best by validation accuracy with learned recurrence. *Hopeless*: the largest dt.

    Args:
        runs: the records of all runs.
        length: steps of the sequences.

    Returns:
        What goes into ``results.json`` under "summary".
    """
    dts = sorted({run["dt"] for run in runs})
    curve = [_point(runs, dt, mode) for dt in dts for mode in ("learned", "frozen")]
    long = max(dts, key=lambda dt: _at(curve, dt, "learned")["first_input_before"])
    shorter = [dt for dt in dts[:-1] if dt > long] or [dt for dt in dts if dt != long]
    short = max(shorter, key=lambda dt: _at(curve, dt, "learned")["validation_accuracy"])
    hopeless = dts[-1]
    starts = {"long": long, "short": short, "hopeless": hopeless}
    difference = _difference(runs, long)
    findings = _findings(curve, starts, difference, length)
    claims = _claims(curve, starts, difference)
    return {"curve": curve, "starts": starts, "difference": difference, "claims": claims, "findings": findings}


def _select(runs: list[Run], dt: float, mode: str) -> list[Run]:
    return [run for run in runs if run["dt"] == dt and run["mode"] == mode]


def _at(curve: list[dict[str, Any]], dt: float, mode: str) -> dict[str, Any]:
    return next(point for point in curve if point["dt"] == dt and point["mode"] == mode)


def _point(runs: list[Run], dt: float, mode: str) -> dict[str, Any]:
    """Return mean and spread over the seeds for one dt and mode; memory is the median over layers and seeds."""
    chosen = _select(runs, dt, mode)
    last = [run["rows"][-1] for run in chosen]
    rising = [
        run["rows"][-1]["validation_accuracy"] - run["rows"][-2]["validation_accuracy"]
        for run in chosen
        if len(run["rows"]) > 2  # row 0 is before training
    ]

    def memory(when: str, name: str) -> float:
        return statistics.median(layer[name] for run in chosen for layer in run[when])

    return {
        "dt": dt,
        "mode": mode,
        **score(chosen),
        "validation_accuracy": statistics.mean(row["validation_accuracy"] for row in last),
        "train_accuracy": statistics.mean(row["train_accuracy"] for row in last),
        "rise_in_last_epoch": statistics.mean(rising) if rising else None,
        "seconds_per_epoch": statistics.median(row["seconds"] for run in chosen for row in run["rows"][1:]),
        "trained_parameters": chosen[0]["trained_parameters"],
        "rank_before": memory("before", "rank"),
        "reach_before": memory("before", "reach"),
        "reach_after": memory("after", "reach"),
        "first_input_before": memory("before", "first_input"),
        "first_input_after": memory("after", "first_input"),
    }


def _difference(runs: list[Run], dt: float) -> dict[str, Any]:
    """Return frozen minus learned test accuracy, paired by seed, with its 95 % interval (Student's t)."""
    pairs = [
        _by_seed(_select(runs, dt, "frozen"), seed) - _by_seed(_select(runs, dt, "learned"), seed)
        for seed in sorted({run["seed"] for run in runs})
    ]
    mean = statistics.mean(pairs)
    if len(pairs) < 2:
        return {"mean": mean, "low": None, "high": None, "pairs": pairs}
    half = float(stats.t.ppf(0.975, len(pairs) - 1)) * statistics.stdev(pairs) / len(pairs) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "pairs": pairs}


def _by_seed(runs: list[Run], seed: int) -> float:
    return next(float(run["test_accuracy"]) for run in runs if run["seed"] == seed)


def _findings(
    curve: list[dict[str, Any]], starts: dict[str, float], difference: dict[str, Any], length: int
) -> list[str]:
    """Return three sentences, whichever way it came out."""
    long = {mode: _at(curve, starts["long"], mode) for mode in ("learned", "frozen")}
    short = {mode: _at(curve, starts["short"], mode) for mode in ("learned", "frozen")}
    hopeless = {mode: _at(curve, starts["hopeless"], mode) for mode in ("learned", "frozen")}
    before, after = long["learned"]["first_input_before"], long["learned"]["first_input_after"]
    bound = min(1.0, long["learned"]["rank_before"] / length)
    memory = (
        f"How far back: started at dt = {starts['long']:g}, each layer still holds the first of {length} steps at "
        f"their end with a memory function of {before:.2g}, {100 * before / bound:.0f} % of the most that its "
        f"{long['learned']['rank_before']:.0f} state directions could keep so far back; learning left it at "
        f"{after:.2g}, and the frozen one is bit for bit what it was."
    )
    gain = 100 * difference["mean"]
    direction = "ahead of" if gain > 0 else "behind" if gain < 0 else "apart from"
    if difference["low"] is None:
        verdict = "with one seed, which says nothing about chance"
    elif difference["low"] <= 0 <= difference["high"]:
        verdict = "no difference that these seeds could tell from chance"
    else:
        verdict = "a difference that the seeds agree on"
    interval = "" if difference["low"] is None else (
        f", 95 % interval {100 * difference['low']:+.1f} to {100 * difference['high']:+.1f}"
    )  # fmt: skip
    frozen = (
        f"Frozen or learned: from that start frozen recurrence scores {percent(long['frozen'])} and learned "
        f"{percent(long['learned'])} on the test images, frozen {abs(gain):.1f} points {direction} learned{interval}: "
        f"{verdict}."
    )
    worst = (
        "" if starts["hopeless"] == starts["short"] else
        f"; the hopeless start (dt = {starts['hopeless']:g}) scores {percent(hopeless['learned'])} learned and "
        f"{percent(hopeless['frozen'])} frozen"
    )  # fmt: skip
    start = (
        f"Was it set up right: the best shorter memory (dt = {starts['short']:g}) scores {percent(short['learned'])} "
        f"learned and {percent(short['frozen'])} frozen{worst}, and learning took the reach of the latter "
        f"from {hopeless['learned']['reach_before']:.0f} to {hopeless['learned']['reach_after']:.0f} steps."
    )
    return [memory, frozen, start]


def _claims(curve: list[dict[str, Any]], starts: dict[str, float], difference: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured for each claim of ``expected.toml``, and the verdict for this setting."""
    long, short, hopeless = ([_at(curve, starts[name], mode) for mode in ("learned", "frozen")] for name in starts)
    low, high = difference["low"], difference["high"]
    if low is None:
        equal = "undecided: one seed"
    elif low <= 0 <= high:
        equal = "comparable: no difference within the interval"
    else:
        equal = "holds: frozen is ahead" if low > 0 else "does not hold here: learned is ahead"
    apart = min(p["test_accuracy_min"] for p in long) - max(p["test_accuracy_max"] for p in hopeless)
    wanted, grown = long[0]["first_input_before"], short[0]["first_input_after"]
    return {
        "G10": {"measured": f"frozen − learned = {100 * difference['mean']:+.1f} points", "verdict": equal},
        "G13": {
            "measured": f"hopeless {percent(hopeless[0])} learned, {percent(hopeless[1])} frozen; "
            f"long {percent(long[0])}, {percent(long[1])}",
            "verdict": "holds: every seed lies below" if apart > 0 else "does not hold here: the scores overlap",
        },
        "G9": {
            "measured": f"memory of the first input from the shorter start: {short[0]['first_input_before']:.2g} → "
            f"{grown:.2g}; the long start has {wanted:.2g}",
            "verdict": "holds: far below" if grown < wanted / 2 else "does not hold here",
        },
    }
