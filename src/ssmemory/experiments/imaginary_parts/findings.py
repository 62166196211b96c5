"""What the measurements say of the two claims."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from ssmemory.experiments.imaginary_parts.config import Config
from ssmemory.experiments.sweep import Record

ALL, OWN = "all directions", "its own readout"
INPUTS = ("white", "slow", "oscillating")
NEAR = 0.1  # errors and steps within ten per cent count as equal

Table = dict[tuple[Any, ...], Record]


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings and verdicts.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims", and what they rest on: "steps", "errors", "wins".
    """
    steps, errors = _steps(runs), _errors(runs)
    wins = _wins(errors, config)
    speed, trade = _conditioning(steps, _misses(runs, config), config), _trade_off(errors, wins, config)
    return {
        "findings": [*speed["findings"], *trade["findings"]],
        "steps": steps,
        "errors": errors,
        "wins": wins,
        "claims": {"A3": speed["claim"], "A4": trade["claim"]},
    }


def _steps(runs: list[Record]) -> list[Record]:
    """Return the medians over targets and seeds; None: more than the longest training."""
    rows = [row | {"spacing": run["spacing"]} for run in runs for row in run["training"]]
    found = []
    for key in dict.fromkeys((row["input"], row["target"], row["spacing"]) for row in rows):
        of = [row for row in rows if (row["input"], row["target"], row["spacing"]) == key]
        medians = {name: _median([row[name] for row in of]) for name in ("predicted", "descent", "adam", "whitened")}
        about = dict(zip(("input", "target", "spacing"), key, strict=True))
        found.append(about | {"conditioning": of[0]["conditioning"]} | medians)
    return found


def _median(values: Sequence[float | None]) -> float | None:
    middle = statistics.median_high([math.inf if value is None else value for value in values])
    return middle if math.isfinite(middle) else None


def _errors(runs: list[Record]) -> list[Record]:
    """Return the means over seeds, with every seed's error beside them."""
    rows = [row | {"spacing": run["spacing"]} for run in runs for row in run["estimates"]]
    names = ("band", "n", "method", "spacing")
    found = []
    for key in dict.fromkeys(tuple(row[name] for name in names) for row in rows):
        of = [row for row in rows if tuple(row[name] for name in names) == key]
        means = {name: statistics.fmean(row[name] for row in of) for name in ("floor", "predicted", "measured")}
        found.append(dict(zip(names, key, strict=True)) | means | {"seeds": [row["measured"] for row in of]})
    return found


def _misses(runs: list[Record], config: Config) -> list[float]:
    """Return how far measured steps are from predicted ones, of trainings neither trivial nor about to be given up."""
    return [
        abs((row["descent"] or math.inf) / row["predicted"] - 1)
        for run in runs
        for row in run["training"]
        if 10 <= row["predicted"] <= config.longest / 2
    ]


def _conditioning(steps: list[Record], misses: list[float], config: Config) -> Record:
    table = {(row["input"], row["target"], row["spacing"]): row for row in steps}
    tight, wide = min(config.spacings), max(config.spacings)
    closer, half = max(s for s in config.spacings if s < 1), min(config.spacings, key=lambda s: abs(s - 0.5))

    def told(name: str, target: str, spacing: float, key: str = "descent") -> str:
        value = table[name, target, spacing][key]
        return f"over {config.longest}" if value is None else f"{value:.0f}"

    def white(target: str, key: str = "descent") -> str:
        return (
            f"{told('white', target, half, key)} (spacing {half:g}) and {told('white', target, 1.0, key)} (spacing 1)"
        )

    fits = f"within {100 * statistics.median(misses):.2g} % in the median" if misses else "not tested"
    grown = {name: table[name, ALL, wide]["conditioning"] / table[name, ALL, 1.0]["conditioning"] for name in INPUTS}
    numbers = [f"{table['white', ALL, s]['conditioning']:.3g} at {s:g}" for s in (tight, half, closer, 1.0, wide)]
    findings = [
        f"On white input the condition number is {', '.join(dict.fromkeys(numbers))} (spacings in units of 2π/L). "
        f"Median steps of descent are {white(ALL)} for targets of all directions, {white(OWN)} for those of its own "
        f"readout; predicted steps are {fits}.",
        f"From spacing 1 to {wide:g} the condition number grows "
        + ", ".join(f"{grown[name]:.2g}-fold on {name} input" for name in INPUTS)
        + f". Steps of Adam are {white(ALL, 'adam')}, of descent on a whitened state {white(ALL, 'whitened')}.",
    ]
    helps = {
        target: all(_falls([table[name, target, s]["descent"] for s in config.spacings if s <= 1]) for name in INPUTS)
        for target in (ALL, OWN)
    }
    costs = [name for name in INPUTS if grown[name] > 1 + NEAR]
    path = (closer, 1.0, wide)
    measured = "; ".join(f"{name} {' → '.join(told(name, ALL, s) for s in path)}" for name in INPUTS)
    return {
        "findings": findings,
        "claim": {
            "measured": f"median steps at spacing {' → '.join(f'{s:g}' for s in path)}: {measured}; predicted {fits}",
            "verdict": _speed_verdict(helps, costs, f"white input, {ALL}: {white(ALL)}; {OWN}: {white(OWN)}"),
        },
    }


def _speed_verdict(helps: dict[str, bool], costs: list[str], cases: str) -> str:
    if not helps[ALL]:
        return "does not hold"
    if helps[OWN] and not costs:
        return "holds"
    limits = ["up to a spacing of 1"]
    limits += [f"beyond it {' and '.join(costs)} input is worse conditioned"] if costs else []
    limits += [] if helps[OWN] else ["not for targets that the large directions give"]
    return f"conditional: {', '.join(limits)} (steps: {cases})"


def _falls(values: Sequence[float | None]) -> bool:
    """Whether no value is more than ten per cent above the one before it, and the last is below the first."""
    known = [math.inf if value is None else value for value in values]
    return all(b <= a * (1 + NEAR) for a, b in itertools.pairwise(known)) and known[-1] < known[0]


def _wins(errors: list[Record], config: Config) -> list[Record]:
    table = {(row["band"], row["n"], row["method"], row["spacing"]): row for row in errors}
    keys = dict.fromkeys((row["band"], row["n"], row["method"]) for row in errors)
    return [_win({s: table[(*key, s)] for s in config.spacings}, *key) for key in keys]


def _win(of: dict[float, Record], band: float, n: int, method: str) -> Record:
    """Return which side has the smaller error, in every seed by more than a tenth, and where the best one lies."""
    best, foreseen = (min(of, key=lambda s: of[s][key]) for key in ("measured", "predicted"))
    ratios = [
        min(of[s]["seeds"][k] for s in of if s >= 1) / min(of[s]["seeds"][k] for s in of if s < 1)
        for k in range(len(of[best]["seeds"]))
    ]
    winner = "crowded" if min(ratios) > 1 + NEAR else "separated" if max(ratios) < 1 / (1 + NEAR) else "neither"
    return {
        "band": band, "n": n, "method": method, "winner": winner, "ratio": statistics.geometric_mean(ratios),
        "best": best, "foreseen": foreseen,
        "as_foreseen": of[foreseen]["measured"] <= (1 + NEAR) * of[best]["measured"],
    }  # fmt: skip


def _trade_off(errors: list[Record], wins: list[Record], config: Config) -> Record:
    crowded, apart = _always(wins, "crowded"), _always(wins, "separated")
    gains = [win["ratio"] for win in wins if win["band"] in crowded]
    off = statistics.median(abs(row["measured"] / row["predicted"] - 1) for row in errors)
    hits = sum(win["as_foreseen"] for win in wins)
    said = f"below spacing 1 for bands of {_list(crowded)}, at 1 or more for {_list(apart)} (of 2π/L)"
    told = f"; there crowding divides it by {min(gains):.2g} to {max(gains):.2g}" if gains else ""
    findings = [
        f"At every n and for every estimate the test error is least {said}{told}. Predicted errors are within "
        f"{100 * off:.2g} % in the median, and the predicted best spacing is as good as the best one measured in "
        f"{hits} of {len(wins)} cases.",
        _estimation(errors, wins, config),
    ]
    return {"findings": findings, "claim": {"measured": f"least error {said}", "verdict": _verdict(wins, config)}}


def _estimation(errors: list[Record], wins: list[Record], config: Config) -> str:
    """Return what crowding does to the part of the error that few samples make."""
    table = {(row["band"], row["n"], row["method"], row["spacing"]): row for row in errors}
    few, many, tight, p = min(config.samples), max(config.samples), min(config.spacings), config.d_state
    narrow, short = min(config.bands, key=lambda band: abs(band - 2)), f"{min(config.budgets)} steps"

    def factor(spacing: float) -> float:
        of = [table[band, few, "least squares", spacing] for band in config.bands]
        excess = [(row["measured"] - row["floor"]) / (config.noise + row["floor"]) for row in of]
        return statistics.fmean(excess) * (few - p - 1) / p

    factors = {spacing: factor(spacing) for spacing in config.spacings}
    pairs = {n: [table[narrow, n, name, tight]["measured"] for name in (short, "least squares")] for n in (few, many)}
    then = ", ".join(f"{a:.2g} at n {n} (least squares {b:.2g})" for n, (a, b) in pairs.items())
    best = {win["n"]: win["best"] for win in wins if (win["band"], win["method"]) == (narrow, short)}
    return (
        f"The excess of least squares at n {few} is {min(factors.values()):.2f} to {max(factors.values()):.2f} times "
        f"what the count of directions says, {factors[tight]:.2f} at spacing {tight:g}. With {short} of descent at "
        f"that spacing the error on a band of {narrow:g} is {then}; the best spacing is then "
        + ", ".join(f"{spacing:g} at n {n}" for n, spacing in best.items())
        + "."
    )


def _verdict(wins: list[Record], config: Config) -> str:
    crowded, apart = _always(wins, "crowded"), _always(wins, "separated")
    few, many = min(config.samples), max(config.samples)
    winner = {(win["band"], win["method"], win["n"]): win["winner"] for win in wins}
    turned = [
        f"band {band:g}, {method}"
        for band, method in dict.fromkeys((win["band"], win["method"]) for win in wins)
        if (winner[band, method, few], winner[band, method, many]) == ("separated", "crowded")
    ]
    if turned:
        return f"holds: separation wins at n {few}, crowding at n {many} ({'; '.join(turned)})"
    if crowded and apart:
        return (
            f"conditional, on the band and not on n: crowding wins for bands of {_list(crowded)}, separation for "
            f"{_list(apart)}; n turns none of them"
        )
    return "does not hold: neither band nor n turns the winner"


def _always(wins: list[Record], side: str) -> list[float]:
    """Return the bands where this side wins at every n and for every estimate."""
    bands = dict.fromkeys(win["band"] for win in wins)
    return [band for band in bands if all(win["winner"] == side for win in wins if win["band"] == band)]


def _list(bands: Sequence[float]) -> str:
    return ", ".join(f"{band:g}" for band in bands) or "none"
