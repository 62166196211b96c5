"""From the records to where memory lies, sentences and verdicts: nothing here is measured or drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from ssmemory.experiments.primacy.config import Config
from ssmemory.experiments.primacy.model import STARTS
from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record

MARGIN = 0.03  # of memory: about three standard errors of what is estimated


class Condition(NamedTuple):
    """What is added to one linear layer that has run long on white input, and what theory says of primacy there."""

    name: str
    model: str
    state: str
    foreseen: str


CONDITIONS = (
    Condition("nothing", "one layer", "running", "impossible: memory never rises with the lag"),
    Condition("horizon", "one layer", "empty", "both ends at most: the first position is never above the last"),
    Condition("correlated input", "correlated input", "running", "open"),
    Condition("depth", "deep, linear", "running", "possible for the last layer's state"),
    Condition("horizon, correlated input", "correlated input", "empty", "open"),
    Condition("horizon, depth", "deep, linear", "empty", "possible for the last layer's state"),
    Condition("horizon, depth, nonlinearity", "deep, nonlinear", "empty", "possible"),
    Condition("backbone", "backbone", "empty", "possible"),
)


def tenths(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean memory of the first, the middle and the last tenth of the positions."""
    n, length = len(values) // 10, len(values)
    begin = (length - n) // 2
    return statistics.mean(values[:n]), statistics.mean(values[begin : begin + n]), statistics.mean(values[-n:])


def pattern(over_middle: Sequence[float], over_last: Sequence[float]) -> str:
    """Return "primacy" where the first tenth is above both others in every seed, "both ends" above the middle alone."""
    if min(over_middle) <= MARGIN:
        return "none"
    return "primacy" if min(over_last) > MARGIN else "both ends"


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings, the verdict, and the indices of every condition.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims" and "cases", a row for every condition, start and task.
    """
    cases = [
        _case(runs, condition, start, task) for condition in CONDITIONS for start in STARTS for task in config.tasks
    ]
    trained = [case for case in cases if case["task"] == "all"]
    measured, verdict = _claim(trained)
    return {
        "findings": [_theory(runs), _balanced(trained), _made(trained), _recalled(runs, config)]
        + ([_allowed(cases)] if "first" in config.tasks else []),
        "claims": {"P1": {"measured": measured, "verdict": verdict}},
        "cases": cases,
    }


def of(runs: list[Record], **wanted: Any) -> list[Record]:
    """Return the records in which every named entry has the wanted value."""
    return [run for run in runs if all(run[name] == value for name, value in wanted.items())]


def _case(runs: list[Record], condition: Condition, start: str, task: str) -> Record:
    own = of(runs, model=condition.model, start=start, task=task)
    case: Record = {"condition": condition.name, "start": start, "task": task}
    for when in ("before", "after"):
        parts = [tenths(run[when][condition.state]) for run in own]
        over_middle, over_last = [a - b for a, b, _ in parts], [a - c for a, _, c in parts]
        case[when] = {
            "over_middle": over_middle, "over_last": over_last, "pattern": pattern(over_middle, over_last),
        }  # fmt: skip
    return case


def _ends(runs: list[Record], state: str) -> float:
    """Return the largest excess of the very first position over the very last one, before and after training."""
    return max(run[when][state][0] - run[when][state][-1] for run in runs for when in ("before", "after"))


def _theory(runs: list[Record]) -> str:
    one, deep = of(runs, model="one layer"), of(runs, model="deep, linear")
    return (
        "One linear layer on white input cannot remember its first input better than its last, even from an empty "
        "state, as 1 − MF(last) = Π|λ|² · (1 − MF(first)): the largest excess measured is "
        f"{_ends(one, 'empty'):.2g}, and {_ends(deep, 'together'):.2g} for the states of two layers together; "
        f"for the last layer's state alone it is {_ends(deep, 'empty'):.2g}."
    )


def _named(case: Record) -> str:
    return f"{case['condition']} from {case['start']}"


def _balanced(trained: list[Record]) -> str:
    found = [case for case in trained if case["after"]["pattern"] == "primacy"]
    ends = [case for case in trained if case["after"]["pattern"] == "both ends"]
    told = "; ".join(f"{_named(case)} ({spread(case['after']['over_last'])} above the last tenth)" for case in found)
    return (
        f"After training to recall all positions the first tenth is remembered best in {len(found)} of {len(trained)} "
        f"cases: {told or 'none'}. First and last above the middle: {', '.join(map(_named, ends)) or 'none'}."
    )


def _made(trained: list[Record]) -> str:
    before, after = ([c for c in trained if c[when]["pattern"] == "primacy"] for when in ("before", "after"))
    kept = [c for c in before if c in after]
    change = [
        statistics.mean(c["after"]["over_last"]) - statistics.mean(c["before"]["over_last"])
        for c in trained
        if c["condition"] not in ("nothing",)
    ]
    return (
        f"Before training it was so in {len(before)} ({', '.join(map(_named, before)) or 'none'}); training on all "
        f"positions kept {len(kept)} of them, made {len(after) - len(kept)}, and moved the first tenth "
        f"against the last by {min(change):+.2g} to {max(change):+.2g}, {statistics.mean(change):+.2g} on average."
    )


def _recalled(runs: list[Record], config: Config) -> str:
    own = of(runs, model="one layer", start=STARTS[1], task="all")
    predicted = [run["after"]["rank"] / config.length for run in own]
    measured = [statistics.mean(run["recall"]) for run in own]
    every = of(runs, task="all")
    gap = [a - b for a, b in ((tenths(r["recall"])[0] - tenths(r["recall"])[2], _over_last(r)) for r in every)]
    return (
        "Recalling all of white input from a linear state does not care where memory lies, as memory sums to the rank: "
        f"mean recall {spread(measured)} against {spread(predicted)} foreseen (one layer, zero real part). What the "
        f"models answer leans to the first tenth as their states do, within {max(map(abs, gap)):.2g}."
    )


def _over_last(run: Record) -> float:
    first, _, last = tenths(run["after"]["empty"])
    return first - last


def _allowed(cases: list[Record]) -> str:
    asked = [case for case in cases if case["task"] == "first"]
    by = {
        name: [case["after"]["pattern"] for case in asked if case["condition"] == name]
        for name in dict.fromkeys(case["condition"] for case in asked)
    }
    told = "; ".join(f"{name}: {', '.join(patterns)}" for name, patterns in by.items())
    return f"Trained to recall the first tenth alone ({' and '.join(STARTS)}): {told}."


def _claim(trained: list[Record]) -> tuple[str, str]:
    """Return what was measured and the verdict, over what begins with an empty state, as the source's models do."""
    empty = {condition.name for condition in CONDITIONS if condition.state == "empty"}
    own = [case for case in trained if case["condition"] in empty]
    shown = [case for case in own if case["after"]["pattern"] == "primacy"]
    others = [case for case in own if case["after"]["pattern"] != "primacy"]
    told = "; ".join(
        f"{_named(c)}: {spread(c['after']['over_last'])}, before {spread(c['before']['over_last'])}" for c in own
    )
    measured = f"memory of the first tenth − last tenth, trained on all positions: {told}"
    if not shown or not others:
        return measured, "holds here" if shown else "does not hold here"
    least, most = min(shown, key=_least), max(others, key=_least)
    return measured, (
        f"conditional: in {len(shown)} of {len(own)} cases. With {_named(least)} (the first tenth {_least(least):+.2g} "
        f"against middle and last, at least), not with {_named(most)} ({_least(most):+.2g}); the mark is {MARGIN:+g} "
        "in every seed"
    )


def _least(case: Record) -> float:
    """Return the least by which the first tenth stands above the middle or the last one, over the seeds."""
    return float(min(*case["after"]["over_middle"], *case["after"]["over_last"]))
