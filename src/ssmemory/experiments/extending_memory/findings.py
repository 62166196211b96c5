"""What came out: which starts succeed, how much further training reaches than a readout, and the verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssmemory.experiments.extending_memory.config import Config
from ssmemory.experiments.extending_memory.layer import METHODS
from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record

LEARNED = ("s4d", "lru", "raw")
_SUCCESS, _POOR, _APART = 0.5, 0.1, 0.05  # shares of what the best start recalls: success, poor, a difference

Edges = dict[int, int | None]


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings and verdicts.

    Args:
        runs: one record a method, lag, seed, start and learning rate.
        config: the configuration.

    Returns:
        "findings", "claims", the "outcomes" at the best learning rate, and how often every learning rate succeeds.
    """
    found = outcomes(runs, config)
    best = {lag: max(o["recalled"] for o in found if o["lag"] == lag) for lag in config.lags}
    for outcome in found:
        outcome["best"] = best[outcome["lag"]]
        outcome["succeeds"] = outcome["recalled"] >= _SUCCESS * outcome["best"]
    readout, learned, solved = _only(found, "readout"), _best_of(found), _only(found, "solved")
    return {
        "findings": [_extension(readout, learned, config), _prediction(learned), _further(found, learned, config)],
        "claims": {"G9": _hard(readout, learned), "G13": _poor(readout, learned), "G17": _efficient(solved, learned)},
        "outcomes": found,
        "rates": _rates(runs, best, config),
    }


def outcomes(runs: list[Record], config: Config) -> list[Record]:
    """Return what every method makes of every start and lag at its best learning rate, the mean over the seeds.

    The method "readout" is not trained: it is the least loss of any readout of the start, known before.
    """
    made = []
    for lag in config.lags:
        for reach in config.reaches:
            here = [run for run in runs if (run["lag"], run["reach"]) == (lag, reach)]
            known = [run for run in here if (run["method"], run["lr"]) == ("frozen", config.lrs[0])]
            made.append(_outcome("readout", lag, reach, known, [1 - run["reachable"] for run in known], config))
            for method in METHODS:
                tried = [[r for r in here if (r["method"], r["lr"]) == (method, lr)] for lr in config.lrs]
                kept = min(tried, key=lambda rows: float(np.mean([row["loss"] for row in rows])))
                made.append(_outcome(method, lag, reach, kept, [1 - row["loss"] for row in kept], config))
    return made


def _outcome(method: str, lag: int, reach: int, rows: list[Record], recalled: list[float], config: Config) -> Record:
    trained = method != "readout"
    held = trained and config.d_state / (lag + 1) > config.level  # else no reach at the level could get to the lag
    growth = [row["steps_after"] / row["steps_before"] for row in rows if held and row["steps_before"] > 0]
    halves = [row["half_after"] / row["half_before"] for row in rows]
    return {
        "method": method, "lag": lag, "reach": reach, "lr": rows[0]["lr"] if trained else None,
        "recalled": float(np.mean(recalled)), "low": min(recalled), "high": max(recalled),
        "memory": float(np.mean([row["memory_after" if trained else "memory_before"] for row in rows])),
        "growth": float(np.mean(growth)) if growth else None,
        "half_growth": float(np.mean(halves)) if trained else None,
        "doubled": float(np.mean([row["doubled"] for row in rows])),
    }  # fmt: skip


def _only(found: list[Record], method: str) -> list[Record]:
    return [outcome for outcome in found if outcome["method"] == method]


def _best_of(found: list[Record]) -> list[Record]:
    """Return the best parametrisation of every start and lag."""
    tried = [outcome for outcome in found if outcome["method"] in LEARNED]
    places = dict.fromkeys(_place(o) for o in tried)
    return [max((o for o in tried if _place(o) == at), key=lambda o: o["recalled"]) for at in places]


def _place(outcome: Record) -> tuple[int, int]:
    return outcome["lag"], outcome["reach"]


def _shortest(found: list[Record]) -> Edges:
    """Return the shortest start that succeeds, by lag."""
    ends = {o["lag"]: [p["reach"] for p in found if p["lag"] == o["lag"] and p["succeeds"]] for o in found}
    return {lag: min(reaches) if reaches else None for lag, reaches in ends.items()}


def _told(edges: Edges) -> str:
    """Return the shortest T/τ at every lag, in words."""
    return ", ".join(f"{'none' if reach is None else f'{reach / lag:.2g}'} (lag {lag})" for lag, reach in edges.items())


def _shorter(edges: Edges, other: Edges) -> dict[int, float]:
    """Return how many times shorter the shortest start is than another's, at the lags where both succeed at all."""
    pairs = {lag: (edges[lag], other[lag]) for lag in edges}
    return {lag: theirs / ours for lag, (ours, theirs) in pairs.items() if ours is not None and theirs is not None}


def _growth(found: list[Record], *, succeeds: bool) -> str:
    """Return by how much the reach grows from starts shorter than their lag."""
    values = [
        o["growth"] for o in found if o["growth"] is not None and o["reach"] < o["lag"] and o["succeeds"] == succeeds
    ]
    return f"{spread(values)} times (at most {max(values):.2g})" if values else "– (no such start)"


def _extension(readout: list[Record], learned: list[Record], config: Config) -> str:
    factors = _shorter(_shortest(learned), _shortest(readout))
    times = ", ".join(f"{factor:.2g} (lag {lag})" for lag, factor in factors.items()) or "no lag has both"
    return (
        f"Training all succeeds from starts of T/τ = {_told(_shortest(learned))}, the best readout alone from "
        f"{_told(_shortest(readout))}: starts may be shorter by a factor of {times}. In {config.steps} steps the reach "
        f"at level {config.level:g} of starts shorter than a lag that can be held at it becomes "
        f"{_growth(learned, succeeds=True)} as long where they succeed, {_growth(learned, succeeds=False)} where they "
        "fail."
    )


def _prediction(learned: list[Record]) -> str:
    hits = [(o["reach"] < o["lag"], (o["doubled"] >= _SUCCESS * o["best"]) == o["succeeds"]) for o in learned]
    short, others = ([right for below, right in hits if below == side] for side in (True, False))
    beyond = sum(o["recalled"] > o["doubled"] for o in learned)
    return (
        f"What one step can reach, the memory of the doubled spectrum, foresees success or failure of {sum(short)} "
        f"of {len(short)} starts shorter than the lag and of {sum(others)} of {len(others)} others; "
        f"many steps recall more than it from {beyond} of {len(learned)}."
    )


def _further(found: list[Record], learned: list[Record], config: Config) -> str:
    shares = {name: [o["succeeds"] for o in _only(found, name)] for name in LEARNED}
    counts = ", ".join(f"{name} {sum(worked)} of {len(worked)}" for name, worked in shares.items())
    solved = _only(found, "solved")
    most = {lag: max(o["recalled"] for o in solved if o["lag"] == lag) for lag in config.lags}
    other = {lag: max(o["recalled"] for o in learned if o["lag"] == lag) for lag in config.lags}
    told = ", ".join(f"{most[lag]:.3g} and {other[lag]:.3g} (lag {lag})" for lag in config.lags)
    return (
        f"With the readout solved for at each of {config.solved_steps} steps, success begins at T/τ = "
        f"{_told(_shortest(solved))}; the most that it recalls and the most of training all together: {told}. Starts "
        f"that succeed, by parametrisation: {counts}."
    )


def _hard(readout: list[Record], learned: list[Record]) -> Record:
    fixed = {_place(o): o["succeeds"] for o in readout}
    short = [o for o in learned if o["reach"] < o["lag"] and not fixed[_place(o)]]
    saved = sum(o["succeeds"] for o in short)
    measured = (
        f"of {len(short)} starts shorter than the lag, too poor for a readout, training makes {saved} succeed; the "
        f"reach of the others becomes {_growth(learned, succeeds=False)} as long"
    )
    return {"measured": measured, "verdict": _either_side(short, none="holds", all_="does not hold")}


def _either_side(found: list[Record], *, none: str, all_: str) -> str:
    """Return the verdict: the largest T/τ that fails and the smallest that succeeds, which may overlap."""
    fails = [o["reach"] / o["lag"] for o in found if not o["succeeds"]]
    works = [o["reach"] / o["lag"] for o in found if o["succeeds"]]
    if not fails or not works:
        return "not asked: there is no such start" if not found else none if fails else all_
    return (
        f"conditional: {none} for {len(fails)} starts, T/τ from {min(fails):.2g} to {max(fails):.2g}; {all_} for "
        f"{len(works)}, from {min(works):.2g} to {max(works):.2g}"
    )


def _poor(readout: list[Record], learned: list[Record]) -> Record:
    poor = {_place(o) for o in readout if o["recalled"] < _POOR * o["best"]}
    trained = [o for o in learned if _place(o) in poor]
    saved = sum(o["succeeds"] for o in trained)
    told = f"of {len(trained)} starts whose best readout recalls less than {_POOR:g} of the best"
    measured = f"{told}, training makes {saved} succeed"
    return {"measured": measured, "verdict": _either_side(trained, none="holds", all_="does not hold")}


def _efficient(solved: list[Record], learned: list[Record]) -> Record:
    pairs = [
        (a["reach"] / a["lag"], (a["recalled"] - b["recalled"]) / a["best"])
        for a, b in zip(solved, learned, strict=True)
    ]
    more, less = [at for at, gap in pairs if gap > _APART], [at for at, gap in pairs if gap < -_APART]
    measured = (
        f"the solved readout recalls more, by over {_APART:g} of the best, from {len(more)} of {len(pairs)} starts, "
        f"less from {len(less)}; success from T/τ = {_told(_shortest(solved))}, against {_told(_shortest(learned))}"
    )
    if not more:
        verdict = "not by solving for the readout"
    elif not less:
        verdict = f"yes, by solving for the readout: more from {_ends(more)}"
    else:
        verdict = f"conditional: more by solving for the readout from {_ends(more)}; less from {_ends(less)}"
    return {"measured": measured, "verdict": verdict}


def _ends(ratios: list[float]) -> str:
    return f"{len(ratios)} starts, T/τ from {min(ratios):.2g} to {max(ratios):.2g} (median {np.median(ratios):.2g})"


def _rates(runs: list[Record], best: dict[int, float], config: Config) -> list[Record]:
    """Return how many starts succeed by method and learning rate, all seeds and lags together."""
    counted = []
    for method in METHODS:
        for lr in config.lrs:
            rows = [run for run in runs if (run["method"], run["lr"]) == (method, lr)]
            worked = sum(1 - row["loss"] >= _SUCCESS * best[row["lag"]] for row in rows)
            counted.append({"method": method, "lr": lr, "succeed": worked, "of": len(rows)})
    return counted
