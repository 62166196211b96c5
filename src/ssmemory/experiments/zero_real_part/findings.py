"""From the records to numbers, sentences and verdicts: nothing here is measured or drawn."""

from __future__ import annotations

import statistics
from typing import Any

from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record
from ssmemory.experiments.zero_real_part.config import Config
from ssmemory.experiments.zero_real_part.measure import HELD, STEPS

FLAT = 0.5  # least memory of the window, in units of its mean, that still counts as kept
BOUND_SLACK = 1.1  # sampling error allowed above the rule's bound
EXPLODED = 2.0  # loss within the window, in units of answering zero
BLOWN = 10.0  # the same, after four windows


def of(runs: list[Record], kind: str, **wanted: Any) -> list[Record]:
    """Return the records of a kind in which every named entry has the wanted value."""
    return [run for run in runs if run["kind"] == kind and all(run[name] == value for name, value in wanted.items())]


def exploded(run: Record) -> bool:
    """Return whether a training ended with a loss that is not finite, or twice that of answering zero."""
    return run["final"] is None or bool(run["final"] > EXPLODED)


def blown(run: Record) -> bool:
    """Return whether the trained model fails on a stream of four windows."""
    return run["later"] is None or bool(run["later"] > BLOWN)


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings, verdicts and a table of the trainings.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims" and "trainings", a row for every model, window, constraint and learning rate.
    """
    rows = _trainings(runs)
    memory_told, crowded_told, flat = _memory(runs)
    variance_told, highest, later = _variance(runs)
    free_told, verdict = _constraint(runs)
    left = _left(rows, config)
    return {
        "findings": [
            f"{memory_told} {crowded_told}",
            f"{variance_told} {_decay(runs)} {_readouts(runs)}",
            f"{free_told} {left[0].upper()}{left[1:]}",
        ],
        "claims": {
            "A2": {"measured": f"{memory_told} {variance_told}", "verdict": _stability(flat, highest, later)},
            "R7": {"measured": left, "verdict": verdict},
        },
        "trainings": rows,
    }


def _stability(flat: bool, highest: float, later: float) -> str:
    if not flat or highest > BOUND_SLACK:
        return f"does not hold: {'variance' if flat else 'memory'} fails at dt = 1/√L"
    if later < EXPLODED:
        return "holds"
    return f"conditional: over a window L (variance at most {highest:.2g}), not past it unreset ({later:.2g} at 4 L)"


def _memory(runs: list[Record]) -> tuple[str, str, bool]:
    """Return what zero real parts keep at the white rule's step, what crowding does, and whether they keep enough."""
    zero = of(runs, "memory", step=STEPS[0], real=0.0)
    least = min(run["worst"] if run["refused"] is None else 0.0 for run in zero)
    damped = [run["last"] for run in of(runs, "memory", step=STEPS[0], real=-0.5) if run["refused"] is None]
    told = (
        f"At dt = 1/√L zero real parts keep at least {least:.2g} of the mean memory N/L at every lag of the window; "
        f"real parts of −1/2 keep at most {max(damped, default=0.0):.2g} of it at the last lag."
    )
    crowded = of(runs, "memory", step=STEPS[2], real=0.0)
    refused = sorted({run["d_state"] for run in crowded if run["refused"] is not None})
    shown = [run for run in crowded if run["refused"] is None]
    more = ""
    if shown:
        more = (
            f"At dt = 1/L frequencies lie half as far apart: memory bunches at the ends of the window (least "
            f"{min(r['worst'] for r in shown):.2g}, last lag up to {max(r['last'] for r in shown):.2g} times the "
            f"mean) at a condition of {max(r['condition'] for r in shown):.2g} with a state of {shown[0]['d_state']}"
        )
        more += f"; with {refused[0]} it passes 1e9, and no memory is given." if refused else "."
    return told, more, least >= FLAT


def _decay(runs: list[Record]) -> str:
    apart = [
        run for run in of(runs, "memory") if run["refused"] is None and run["step"] != STEPS[2] and run["apart"] > 0.99
    ]
    kept = [run["decay"] for run in apart if run["last"] >= FLAT]
    lost = [run["decay"] for run in apart if run["last"] < FLAT]
    if not kept or not lost:
        return "No decay lies on the other side of a half."
    error = statistics.median(abs(run["last"] - run["predicted"]) for run in apart)
    return (
        "Half of the last lag's memory should go with 0.63 e-folds of decay over the window: it is kept up to "
        f"{_below(kept, lost):.2g} and lost from {min(lost):.2g} on (median error of that formula {error:.2g})."
    )


def _below(kept: list[float], lost: list[float]) -> float:
    return max((value for value in kept if value < min(lost)), default=0.0)


def _variance(runs: list[Record]) -> tuple[str, float, float]:
    """Return what the states' variance is, the largest over the windows, and that after four of them."""
    zero = of(runs, "variance", step=STEPS[0], real=0.0)
    damped = [run["measured"] for run in of(runs, "variance", step=STEPS[0], real=-0.5)]
    later = statistics.mean(run["measured_later"] for run in zero)
    told = (
        f"The states' variance there is {spread([run['measured'] for run in zero])} (bound 1), {later:.2g} after four "
        f"windows{f', and {spread(damped)} with −1/2' if damped else ''}."
    )
    return told, max(_by_length(zero, "measured")), later


def _by_length(runs: list[Record], name: str) -> list[float]:
    return [
        statistics.mean(run[name] for run in runs if run["length"] == length) for length in {r["length"] for r in runs}
    ]


def _readouts(runs: list[Record]) -> str:
    rows = [row for run in of(runs, "readout") for row in run["lags"]]
    apart = max(abs(row["measured"] - row["predicted"]) for row in rows)
    slow = max(row["measured"] - (1 - row["memory"]) for row in rows)
    frozen = of(runs, "training", held="frozen", model="layer")
    told = f"Trained readouts end within {apart:.1g} of the foreseen loss ({slow:.2g} above 1 − MF where modes crowd)"
    for length in sorted({run["length"] for run in frozen}):
        same = [run for run in frozen if run["length"] == length]
        finals = spread([run["final"] for run in same if run["final"] is not None] or [EXPLODED])
        told += (
            f"; frozen layers trained by Adam at L {length} end at {finals} ({same[0]['frozen_predicted']:.3g} at best)"
        )
    return told + "."


def _trainings(runs: list[Record]) -> list[Record]:
    rows = []
    cases = dict.fromkeys((r["model"], r["length"], r["held"], r["lr"]) for r in of(runs, "training"))
    for model, length, held, lr in cases:
        same = of(runs, "training", model=model, length=length, held=held, lr=lr)
        finals = [run["final"] for run in same if run["final"] is not None]
        laters = [run["later"] for run in same if run["later"] is not None]
        rows.append({
            "model": model, "length": length, "held": held, "lr": lr, "runs": len(same),
            "exploded": sum(map(exploded, same)), "above_start": sum(run["above_start"] for run in same),
            "blown": sum(map(blown, same)), "final": spread(finals) if finals else "–",
            "later": statistics.median(laters) if laters else None, "growth": max(run["growth"] for run in same),
            "left": statistics.mean(run["left"] for run in same if run["left"] is not None) if finals else None,
            "decay": statistics.mean(run["decay"] for run in same if run["decay"] is not None) if finals else None,
        })  # fmt: skip
    return rows


def _constraint(runs: list[Record]) -> tuple[str, str]:
    """Return how free real parts fare against held ones, as a sentence and as a verdict."""
    free, held = of(runs, "training", held="free"), of(runs, "training", held="projected")
    within = [sum(map(exploded, group)) for group in (free, held)]
    above = [sum(run["above_start"] for run in group) for group in (free, held)]
    past = [sum(map(blown, group)) for group in (free, held)]
    means = []
    for name in HELD:
        same = of(runs, "training", held=name)
        means.append(f"{name} {statistics.mean(EXPLODED if exploded(run) else run['final'] for run in same):.3g}")
    told = (
        f"Free real parts grew by up to {max(run['growth'] for run in free):.2g} e-folds over the window; {within[0]} "
        f"of {len(free)} trainings exploded ({within[1]} of {len(held)} projected) where "
        f"{sum(run['folds_a_step'] >= 1 for run in free)} were foreseen to, {above[0]} and {above[1]} ended above "
        f"their start; on a stream of four windows {past[0]} free and {past[1]} projected ones fail. Mean loss: "
        f"{', '.join(means)}."
    )
    parts = []
    if within[0] > within[1]:
        bad = min(run["folds_a_step"] for run in free if exploded(run))
        near = [run for run in free if run["folds_a_step"] >= bad]
        rest = [run["folds_a_step"] for run in free if run["folds_a_step"] < bad]
        parts.append(
            f"within the window from lr·dt·L = {bad:.2g} on ({sum(map(exploded, near))} of {len(near)} exploded"
        )
        parts[-1] += f", 0 of {len(rest)} up to {max(rest):.2g})" if rest else ")"
    if past[0] > past[1]:
        parts.append(f"past it where modes are left growing ({_growths(free)})")
    if not parts:
        return told, "no: free real parts fail no more often than projected ones here"
    return told, f"conditional: yes {', and '.join(parts)}{'' if within[0] > within[1] else '; not within the window'}"


def _growths(free: list[Record]) -> str:
    """Return up to which growth a window at the end streams stay sound, and from which on they fail, by model."""
    told = []
    for model in dict.fromkeys(run["model"] for run in free):
        growth: dict[bool, list[float]] = {True: [], False: []}
        for run in free:
            if run["model"] == model and run["decay_range"] is not None:
                growth[blown(run)].append(-run["decay_range"][0])
        if growth[True]:
            sound = f"sound up to {_below(growth[False], growth[True]):.2g}, " if growth[False] else ""
            told.append(f"{model}: {sound}first failure at {min(growth[True]):.2g} e-folds a window")
    return "; ".join(told)


def _left(rows: list[Record], config: Config) -> str:
    """Return what became of the zeros: how many left, and how far."""
    told = []
    for held in HELD[:3]:
        parts = []
        for lr in config.eigenvalue_lrs:
            same = [row for row in rows if (row["held"], row["lr"]) == (held, lr) and row["left"] is not None]
            if same:
                left, decay = (statistics.mean(row[name] for row in same) for name in ("left", "decay"))
                parts.append(f"{100 * left:.0f} % ({decay:.2g})")
        told.append(f"{held} {', '.join(parts)}")
    rates = ", ".join(f"{lr:g}" for lr in config.eigenvalue_lrs)
    return f"share of zeros that left (median decay, e-folds a window) at lr {rates}: {'; '.join(told)}."
