"""What the measurements say of the claims."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from ssmemory.experiments.architectures.config import Config
from ssmemory.experiments.study import spread
from ssmemory.experiments.sweep import Record

NEAR = 1e-9  # what counts as equal: rounding, at the condition numbers of these responses
NEAR_MEMORY = 0.05  # a memory function within this is given by another
WRONG = 0.01  # error of a memory function that counts as unstable
RADIUS = 0.99  # of the baselines that HiPPO's spectra are judged by
BASELINES = ("random", "random dense", "linear", "step")
SSMS = ("S4D-Lin", "S4D-Inv", "S4D-LegS", "S4-LegS", "ring")

Claim = dict[str, str]


def summarise(runs: list[Record], config: Config) -> dict[str, Any]:
    """Return findings and verdicts.

    Args:
        runs: the records.
        config: the configuration.

    Returns:
        "findings", "claims" and "table", a row a layer.
    """
    parts: dict[str, list[Record]] = {}
    for run in runs:
        parts.setdefault(run["part"], []).append(run)
    table = _table(parts["layers"])
    claims = {
        "G1": _eigenvalues(parts["basis"]), "G2": _capacity(parts["spectra"]), "G3": _bound(parts["spectra"]),
        "G4": _twins(parts["twins"][0]), "G5": _length(parts["spectra"], config), "G6": _gram(parts["gram"]),
        "G14": _architectures(parts["rounding"], table), "G18": _gates(parts.get("gates", [])),
    }  # fmt: skip
    return {"findings": _findings(table, parts, config), "claims": claims, "table": table}


def _table(layers: list[Record]) -> list[Record]:
    """Return one row a layer, way of measuring and comparison, with the mean over seeds and MF by input."""
    rows: dict[tuple[str, str, str], Record] = {}
    for run in layers:
        for row in run["rows"]:
            at = rows.setdefault(
                (run["by"], row["name"], row["how"]),
                {
                    "by": run["by"],
                    **{k: row[k] for k in ("name", "how", "d_state", "bytes", "lags")},
                    "capacity": [],
                    "curves": {},
                },
            )
            at["capacity"] += [row["capacity"]] if run["input"] == "white" else []
            at.setdefault("capacities", []).append(row["capacity"])
            at["curves"].setdefault(run["input"], []).append(row["median"])
    for row in rows.values():
        row["capacity"] = statistics.fmean(row["capacity"])
        row["least_capacity"] = min(row.pop("capacities"))  # over inputs too, which keys depend on
        row["per_kib"] = row["capacity"] * 1024 / row["bytes"]
        row["curves"] = {
            name: [statistics.fmean(at) for at in zip(*of, strict=True)] for name, of in row["curves"].items()
        }
    return list(rows.values())


def _findings(table: list[Record], parts: dict[str, list[Record]], config: Config) -> list[str]:
    of = [row for row in table if row["by"] == "bytes"]
    best = max(row["per_kib"] for row in of)
    full = [row["name"] for row in of if row["per_kib"] > 0.999 * best]
    short = ", ".join(
        f"{row['name']} ({row['how']}) {row['per_kib']:.0f}" for row in of if row["per_kib"] <= 0.999 * best
    )
    near, far = min(10, config.lags - 1), config.lags - 1

    def told(lag: int) -> str:
        at = [(row, _at(row, "white", lag)) for row in of]
        (first, high), (last, low) = max(at, key=lambda p: p[1]), min(at, key=lambda p: p[1])
        return f"{first['name']} {high:.2g} and {last['name']} ({last['how']}) {low:.2g} at lag {lag}"

    found = [
        f"A KiB of float32 state holds at most {best:.0f} inputs: {', '.join(full)} reach that; {short}.",
        f"What {config.bytes} bytes are spent on differs: of white input the most and the least is {told(near)}, "
        f"{told(far)}.",
    ]
    real = [name for name in of[0]["curves"] if name != "white"]
    if real:
        grown = []
        for row in of:
            if row["how"] == "exact":
                grown += [_at(row, name, near) / _at(row, "white", near) for name in real]
        found.append(
            f"On real input ({', '.join(real)}) linear layers remember lag {near} {min(grown):.2g} to "
            f"{max(grown):.2g} times as well as white input."
        )
    gram = [row for run in parts["gram"] for row in run["rows"]]
    found.append(
        f"With the Gram matrix in float64, {sum(row['error'] > WRONG for row in gram)} of {len(gram)} memory functions "
        f"are wrong by more than {WRONG:g}, by up to {max(row['error'] for row in gram):.2g}; all-pass sums are off "
        f"by {max(abs(r['capacity'] - r['rank']) for run in parts['spectra'] for r in run['rows']):.1g} at most."
    )
    return found


def _at(row: Record, name: str, lag: int) -> float:
    where = min(range(len(row["lags"])), key=lambda k: abs(row["lags"][k] - lag))
    value: float = row["curves"][name][where]
    return value


def _eigenvalues(basis: list[Record]) -> Claim:
    one = {name: max(run["one"][name] for run in basis) for name in basis[0]["one"]}
    two = [value for run in basis for value in run["two"].values()]
    worst = max(one, key=lambda name: one[name])
    same = one[worst] < 1e-6
    return {
        "measured": f"one input: at most {one[worst]:.1g} ({worst}) over {len(one) * len(basis)} random bases and B; "
        f"two inputs: two B differ by {statistics.median(two):.2g} in the median, {max(two):.2g} at most",
        "verdict": (
            "conditional: holds with one input; with two, B changes it"
            if same and max(two) > WRONG
            else "holds" if same else "does not hold"
        ),
    }  # fmt: skip


def _rows(runs: list[Record]) -> list[Record]:
    return [row for run in runs for row in run["rows"]]


def _capacity(runs: list[Record]) -> Claim:
    rows = _rows(runs)
    off = max(abs(row["capacity"] - row["rank"]) for row in rows)
    least = min(rows, key=lambda row: row["rank"])
    most = max(row["rank"] for row in rows)
    below = sorted({row["name"] for row in rows if row["rank"] < most})
    return {
        "measured": f"|sum − rank| at most {off:.1g} over {len(rows)} spectra; rank {least['rank']} to {most}, below N "
        f"for {', '.join(below) or 'none'} ({least['name']} at dt {least['at']:g}: {least['rank']})",
        "verdict": "holds" if off < NEAR * most else "does not hold",
    }


def _bound(runs: list[Record]) -> Claim:
    rows = _rows(runs)
    top = max(rows, key=lambda row: row["share"])
    shares = {
        name: max(row["share_at"] for row in rows if row["name"] == name)
        for name in dict.fromkeys(r["name"] for r in rows)
    }
    told = ", ".join(f"{name} {value:.2f}" for name, value in sorted(shares.items(), key=lambda pair: -pair[1]))
    lin = sorted((row["at"], row["first"], row["length"]) for row in rows if row["name"] == "S4D-Lin")
    trade = all(a[1] <= b[1] and a[2] >= b[2] for a, b in itertools.pairwise(lin))
    real = [value for run in runs for of in run["correlated"].values() for value in of.values()]
    holds = top["share"] <= 1 + NEAR
    beyond = f"; correlated input reaches {max(real):.2g}" if real else ""
    verdict = "holds for white input, pointwise" if holds else "does not hold"
    if holds and real and max(real) > 1:
        verdict = "conditional: holds for white input, pointwise; correlated input exceeds the bound"
    return {
        "measured": f"largest share of rank/(lag+1): {top['share']:.3g} ({top['name']}); best shares at a tenth of "
        f"the lags: {told}{beyond}; along dt S4D-Lin's MF(0) and length "
        f"{'move opposite ways' if trade else 'do not oppose'}",
        "verdict": verdict if trade else f"{verdict}; no trade-off along dt",
    }  # fmt: skip


def _twins(run: Record) -> Claim:
    def of(name: str) -> list[float]:
        return [row["apart"][name] for row in run["rows"]]

    same = max(*of("S4D-Real"), run["by_responses"])
    others = {name: max(of(name)) for name in ("S4D-LegS", "S4D-Inv", "S4D-Lin")}
    equal, differ = same < 1e-7, min(others.values()) > WRONG
    told = ", ".join(f"{name} {value:.2g}" for name, value in others.items())
    return {
        "measured": f"S4-LegS against S4D-Real {max(of('S4D-Real')):.1g} by eigenvalues, {run['by_responses']:.1g} by "
        f"responses, {run['layer']:.1g} as a float32 layer, {max(of('S4D-Real (zoh)')):.2g} if sampled otherwise; "
        f"against {told}",
        "verdict": (
            "conditional: equal at the same eigenvalues (S4D-Real), not to S4D-LegS, -Inv or -Lin"
            if equal and differ
            else "holds" if equal else "does not hold"
        ),
    }  # fmt: skip


def _length(runs: list[Record], config: Config) -> Claim:
    rows = _rows(runs)
    radius = min(config.radii, key=lambda r: abs(r - RADIUS))

    def longest(radius: float) -> tuple[float, str]:
        of = {
            name: statistics.median(row["length"] for row in rows if (row["name"], row["at"]) == (name, radius))
            for name in BASELINES
        }
        return max((value, name) for name, value in of.items())

    told, thresholds = [], {}
    for r in config.radii:
        length, name = longest(r)
        for family in ("S4D-Lin", "S4D-Inv"):
            at = _crossing(sorted((row["at"], row["length"]) for row in rows if row["name"] == family), length)
            thresholds[family, r] = at
            told.append(f"{family} {_step(at)} against {name} at radius {r:g} (predicted {-2 * math.log(r):.2g})")
    above, below = max(config.steps), min(config.steps)
    length, name = longest(radius)
    cases = {
        dt: next(row["length"] for row in rows if (row["name"], row["at"]) == ("S4D-Lin", dt)) for dt in (below, above)
    }
    dts = [thresholds[family, radius] for family in ("S4D-Lin", "S4D-Inv")]
    mixed = all(at is not None and below < at < above for at in dts)
    verdict = (
        f"conditional: longer below dt {_step(dts[0])} (S4D-Lin) and {_step(dts[1])} (S4D-Inv), shorter above: S4D-Lin "
        f"holds nine tenths in {cases[below]} steps at dt {below:g} and {cases[above]} at {above:g}, {name} of radius "
        f"{radius:g} in {length:g}"
        if mixed
        else "holds at every step tried" if all(at is None for at in dts) else "does not hold"
    )  # fmt: skip
    return {"measured": f"longer than every baseline up to dt: {'; '.join(told)}", "verdict": verdict}


def _step(value: float | None) -> str:
    return "every one tried" if value is None else f"{value:.2g}"


def _crossing(curve: Sequence[tuple[float, float]], level: float) -> float | None:
    """Return the first dt where the length falls to the level, between grid points on logarithmic axes; None: never."""
    if curve[0][1] <= level:
        return curve[0][0]
    for (a, high), (b, low) in itertools.pairwise(curve):
        if low <= level:
            share = math.log(high / level) / math.log(high / low)
            return math.exp(math.log(a) + share * math.log(b / a))
    return None


def _gram(runs: list[Record]) -> Claim:
    rows = _rows(runs)
    names = list(dict.fromkeys(row["name"] for row in rows))
    worst = {name: max(row["error"] for row in rows if row["name"] == name) for name in names}
    first = {
        name: min((row["d_state"] for row in rows if row["name"] == name and row["error"] > WRONG), default=None)
        for name in names
    }
    broken = ", ".join(f"{name} from N {n}" for name, n in first.items() if n is not None)
    sound = ", ".join(f"{name} ({worst[name]:.1g})" for name, n in first.items() if n is None)
    eps = 2.2e-16
    hits = sum((row["error"] > WRONG) == (eps * row["condition"] > WRONG) for row in rows)
    top = max(row["d_state"] for row in rows)
    return {
        "measured": f"error above {WRONG:g}: {broken or 'none'}; up to N {top} sound: {sound or 'none'}; eps·cond(P) "
        f"says which in {hits} of {len(rows)} cases",
        "verdict": (
            "holds: for some spectra and not for others"
            if broken and sound
            else "holds for all" if broken else "does not hold here"
        ),
    }  # fmt: skip


def _architectures(runs: list[Record], table: list[Record]) -> Claim:
    rows = _rows(runs)

    def of(name: str, key: str) -> float:
        return statistics.median(row[key] for row in rows if row["name"] == name)

    names = [*SSMS, "random dense"]
    ranks = ", ".join(f"{name} {of(name, 'rank'):.0f} ({of(name, 'resolved'):.0f})" for name in names)
    far = ", ".join(f"{name} {of(name, 'far'):.1g}" for name in names)
    attention = {row["how"]: row for row in table if (row["by"], row["name"]) == ("state", "LinearAttention")}
    counted = " and ".join(f"{row['capacity']:.3g} {how}" for how, row in attention.items())
    heads = next(row for row in table if (row["by"], row["name"]) == ("state", "LinearAttention"))
    channels = attention["one eigenvalue"]["capacity"]  # one each
    keyed = attention["given its keys"]["capacity"] / channels
    return {
        "measured": f"capacity (above float32 rounding) of one channel: {ranks}; MF at the last lag: {far}; linear "
        f"attention holds {counted} in all its {channels:.0f} value channels (at least "
        f"{attention['given its keys']['least_capacity']:.4g} on real input)",
        "verdict": _against_the_rnn(of) + f"; more than linear attention only as long as its key is constant (1 a "
        f"channel): given its keys it holds {keyed:.3g} a channel of the same N = {heads['d_state']}",
    }  # fmt: skip


def _against_the_rnn(of: Callable[[str, str], float]) -> str:
    def above(key: str) -> str:
        return ", ".join(name for name in SSMS if of(name, key) > of("random dense", key)) or "none"

    if above("rank") == "none":
        said = "does not hold against the linear RNN: the capacity is the rank, at most N for both"
    else:
        said = f"conditional: more than the linear RNN for {above('rank')}"
    return f"{said} (above float32 rounding more for {above('resolved')}; longer for {above('far')})"


def _gates(runs: list[Record]) -> Claim:
    rows = _rows(runs)
    if not rows:
        return {"measured": "no data could be had", "verdict": "undecided"}
    told = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of = [row for row in rows if row["kind"] == kind]
        least, most = min(r["rank_least"] for r in of), max(r["rank_most"] for r in of)
        still = [rank for r in of for rank in r["constant_rank"]]
        told.append(
            f"{kind}: rank {least} to {most} of {of[0]['d_state']} on {sum(r['states'] for r in of)} states, with "
            f"constant gates {min(still)} to {max(still)} (above 1e-10); MF off by {spread([r['apart'] for r in of])} "
            f"from those, by {spread([r['apart_averaged'] for r in of])} from mean decays with the real inputs"
        )
    within = all(row["rank_most"] <= row["d_state"] and row["off"] < NEAR * row["d_state"] for row in rows)
    still, varied = ([row[key] for row in rows] for key in ("apart", "apart_averaged"))
    mean = f"constant gates give its memory within {max(still):.2g}"
    if max(still) >= NEAR_MEMORY:
        nearer = sum(b < a for a, b in zip(still, varied, strict=True))
        mean = (
            f"constant gates do not give its memory (off by {min(still):.2g} to {max(still):.2g}); mean decays with "
            f"the inputs' own B_t come closer in {nearer} of {len(rows)} cases (off by {min(varied):.2g} to "
            f"{max(varied):.2g})"
        )
    return {
        "measured": "; ".join(told),
        "verdict": f"{'holds given the gates: rank at most N on every one' if within else 'does not hold'}; {mean}",
    }
