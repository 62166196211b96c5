"""From the records to numbers, sentences and verdicts: nothing here is measured or drawn."""

from __future__ import annotations

import statistics
from typing import Any

from ssmemory.experiments.estimators.config import Config
from ssmemory.experiments.sweep import Record

WANTED = 0.93  # least share of intervals that hold the exact value, by family
CARRIED = 0.995  # of the exact capacity: states that hold less are told apart
APART = 0.02  # of the exact capacity: two estimates from the same states that differ by more
SLACK = 1.001  # of N: rounding and sampling below it break no bound


def of(runs: list[Record], kind: str, **wanted: Any) -> list[Record]:
    """Return the records of a kind in which every named entry has the wanted value."""
    return [run for run in runs if run["kind"] == kind and all(run[name] == value for name, value in wanted.items())]


def held(run: Record) -> bool:
    """Return whether our interval of the capacity holds the exact one."""
    return bool(run["ours"]["low"] <= run["exact"] <= run["ours"]["high"])


def carried(run: Record) -> bool:
    """Return whether the states, as recorded, have as many directions above rounding as theory gives them."""
    return bool(run["ours"]["resolved"] >= run["rank"])


def reported(run: Record) -> dict[str, float]:
    """Return the capacity by every recipe, and ours where there were steps enough."""
    return run["found"] | ({"ours": run["ours"]["capacity"]} if run["ours"] else {})


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings, verdicts and a table of the intervals by family.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims" and "coverage", a row for every family.
    """
    rows = _coverage(of(runs, "coverage"), config)
    capacities = of(runs, "capacity")
    systems = [run for run in capacities if run["exact"] > 0]
    above, bound = _bound(systems)
    unstable, verdict = _instability([run for run in of(runs, "coverage") if run["ours"] and run["exact"] > 0])
    noise = [run for run in capacities if run["exact"] == 0]
    return {
        "findings": [told for told in (_intervals(rows), _recipes(systems), _noise(noise), _rounding(systems)) if told],
        "claims": {
            "G2": {"measured": above, "verdict": bound},
            "G6": {"measured": unstable, "verdict": verdict},
        },
        "coverage": rows,
    }


def _coverage(runs: list[Record], config: Config) -> list[Record]:
    rows = []
    for family in config.families:
        every = [run for run in runs if run["name"] == family and run["ours"]]
        good = [run for run in every if carried(run)]
        if good:
            half = [(run["ours"]["high"] - run["ours"]["capacity"]) for run in good if run["d_state"] <= 32]
            exact = [run["exact"] or 1.0 for run in good if run["d_state"] <= 32]
            rows.append({
                "family": family, "systems": len(good), "left_out": len(every) - len(good),
                "lags": statistics.mean(run["ours"]["lags_held"] for run in good),
                "capacity": statistics.mean(held(run) for run in good),
                "half_width": statistics.median(h / e for h, e in zip(half, exact, strict=True)) if half else None,
                "bias": statistics.mean((r["ours"]["capacity"] - r["exact"]) / (r["exact"] or 1.0) for r in good),
            })  # fmt: skip
    return rows


def _intervals(rows: list[Record]) -> str:
    told = ", ".join(
        f"{row['family']} {100 * row['lags']:.1f} and {100 * row['capacity']:.1f} % of {row['systems']}" for row in rows
    )
    least = min((min(row["lags"], row["capacity"]) for row in rows), default=0.0)
    widths = [row["half_width"] for row in rows if row["family"] != "noise" and row["half_width"] is not None]
    out = sum(row["left_out"] for row in rows)
    return (
        f"95 % intervals hold the exact value, of single lags and of the capacity, in: {told} systems; "
        f"{'every family reaches' if least >= WANTED else 'not every family reaches'} {100 * WANTED:.0f} %. Half of an "
        f"interval of the capacity is at most {100 * max(widths, default=0.0):.2g} % in a family's median (N ≤ 32)."
        + (f" Left out: {out} systems of which float64 states do not carry every direction." if out else "")
    )


def _cases(runs: list[Record], *, whole: bool) -> list[list[Record]]:
    """Return the runs of every case whose states carry the exact capacity, or of those whose states do not."""
    names = list(dict.fromkeys((run["name"], run["d_state"]) for run in runs))
    cases = [[run for run in runs if (run["name"], run["d_state"]) == name] for name in names]
    return [case for case in cases if whole == all(r["predicted"]["ours"] >= CARRIED * r["exact"] for r in case)]


def _ends(case: list[Record]) -> str:
    """Return what every recipe says of a case with the fewest and with the most steps."""
    ends = min(run["steps"] for run in case), max(run["steps"] for run in case)

    def mean(name: str, steps: int) -> str:
        told = [reported(run)[name] for run in case if run["steps"] == steps and name in reported(run)]
        return f"{statistics.mean(told):.3g}" if told else "refused"

    return ", ".join(
        f"{name} {' / '.join(mean(name, steps) for steps in ends)}" for name in ["ours", *case[0]["found"]]
    )


def _recipes(runs: list[Record]) -> str:
    told = [f"{_title(case)}, with {_steps(case)} steps: {_ends(case)}." for case in _cases(runs, whole=True)]
    gaps = [abs(reported(run)[name] / run["predicted"][name] - 1) for run in runs for name in reported(run)]
    if gaps:
        told.append(
            f"What each recipe reports was foreseen within {100 * statistics.median(gaps):.2g} % in the median, "
            f"{100 * max(gaps):.2g} % at most, over all cases."
        )
    return " ".join(told)


def _noise(runs: list[Record]) -> str:
    if not runs:
        return ""
    fewest = min(run["steps"] for run in runs)
    few = [run for run in runs if run["steps"] == fewest]
    told = "; ".join(f"{name}: {statistics.mean(run['found'][name] for run in few):.2g}" for name in few[0]["found"])
    inside = [run for run in runs if run["ours"]]
    return (
        f"Of states that never saw the input, {fewest} steps, inputs are remembered according to {told}. Our interval "
        f"holds 0 in {sum(held(run) for run in inside)} of {len(inside)} runs of all sample sizes."
    )


def _rounding(runs: list[Record]) -> str:
    """Return what is said of the case whose states, rounded to float64, lose most."""
    cases = [case for case in _cases(runs, whole=False) if any(run["ours"] for run in case)]
    if not cases:
        return ""
    case = min(cases, key=lambda runs: min(run["predicted"]["ours"] / run["exact"] for run in runs))
    resolved = statistics.mean(run["ours"]["resolved"] for run in case if run["ours"])
    return (
        f"{_title(case)}, but float64 states carry {statistics.mean(run['predicted']['ours'] for run in case):.3g} "
        f"(foreseen), in {resolved:.3g} directions above rounding. With {_steps(case)} steps: {_ends(case)}."
    )


def _title(case: list[Record]) -> str:
    return f"{case[0]['name']} {case[0]['d_state']}, exact {case[0]['exact']:.3g}"


def _steps(case: list[Record]) -> str:
    return f"{min(run['steps'] for run in case)} / {max(run['steps'] for run in case)}"


def _bound(runs: list[Record]) -> tuple[str, str]:
    """Return by how much estimates pass N, and which do so as foreseen."""
    names = list(runs[0]["found"]) if runs else []
    over = {name: max(run["found"][name] / run["d_state"] - 1 for run in runs) for name in names}
    ours = max((run["ours"]["low"] / run["d_state"] - 1 for run in runs if run["ours"]), default=0.0)
    told = "; ".join(f"{name}: {100 * share:+.2g} %" for name, share in over.items())
    measured = f"at most above N: {told}; lower end of our interval: {100 * ours:+.2g} %"
    if ours > SLACK - 1:
        return measured, "does not hold of our estimate"
    past = [
        name
        for name in names
        if any(min(run["found"][name], run["predicted"][name]) > SLACK * run["d_state"] for run in runs)
    ]
    return measured, f"holds; estimates pass N as foreseen: {'; '.join(past)}" if past else "holds, of estimates too"


def _instability(runs: list[Record]) -> tuple[str, str]:
    """Return from which condition of the states on the inverse of their covariance loses what they carry."""
    apart = [(run["ours"]["condition"], abs(run["naive"] - run["ours"]["capacity"]) / run["exact"]) for run in runs]
    lost = [condition for condition, share in apart if share > APART]
    kept = [condition for condition, share in apart if share <= APART]
    if not lost or not kept:
        told = f"apart by over {100 * APART:.0f} % in {len(lost)} of {len(runs)} systems"
        return told, "holds of every system here" if lost else "does not show here"
    below = max((value for value in kept if value < min(lost)), default=min(kept))
    every = min((value for value in lost if value > max(kept)), default=None)
    on = f"from {min(lost):.1e} on" if every is None else f"every system from {every:.1e} on"
    most = 100 * max(share for _, share in apart)
    measured = (
        f"inverse of the states' covariance and ours apart by over {100 * APART:.0f} % in {len(lost)} of {len(runs)} "
        f"systems, the first at a condition of {min(lost):.1e}; by {most:.2g} % at most"
    )
    return measured, f"conditional: none up to a condition of {below:.1e}, {on}"
