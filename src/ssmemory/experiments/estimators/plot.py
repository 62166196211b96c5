"""Figures and tables of the study, from its saved results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.estimators.findings import WANTED, carried, of
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
_OURS = "#0b6e4f"
_COLOURS = ("#1f5fa8", "#8a3fa0", "#c46210", "#d9a13b", "#b02a30")
_DASHES = ("-", "--", "-", "--", "-")  # recipes that may coincide


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, summary = results["config"], results["summary"]
    intro = (
        "Linear systems are driven by white input, their states recorded, and every recipe reads the same rows: ours "
        "(`estimate_memory`), the squared correlation of least squares with its own data, the inverse of the states' "
        "covariance, ridge readouts scored on the last fifth, and ten principal components with ridge 1. Lags 0 to "
        "2 N − 1, where the exact value is known. What each recipe has to report was computed beforehand from the "
        "system alone. Then the intervals: random systems of every family, lags 0 to 4 N − 1."
    )
    figures = [
        Figure("Capacity by sample size", draw_svg(_capacity, results),
               "Means over seeds; band: our 95 % interval; dashed black: exact. Dotted: what float64 states carry, "
               "foreseen. Dots: foreseen for the recipe of that colour. Ours begins at 20 steps a direction."),
        Figure("What is found where nothing is", draw_svg(_floor, results),
               "States that never saw the input: the true value is 0. Dots: foreseen. Band: our 95 % interval."),
        Figure("Intervals that hold the exact value", draw_svg(_coverage, results),
               "By family, with twice the standard error of a share. Small: by state size. Dashed: 95 % and 93 %."),
        Figure("Through the inverse of the covariance", draw_svg(_condition, results),
               "Relative error of the capacity by the condition number of the states. Hollow: float64 states do not "
               "carry every direction."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["coverage"])]
    notes = [
        f"Intervals: {config['steps']} steps a system, {config['systems']} systems of every family and size.",
        "Linear systems and white input alone: where else is the exact value known?",
        "Least squares in sample is numpy's: it drops directions below 2e-16 times the number of steps, so that more "
        "steps lose more of an ill-conditioned state.",
    ]
    command = f"ssmemory run estimators --size {results['size']}"
    return Page("Do estimates of memory meet the truth?", intro, summary["findings"], notes, figures, tables, command)


def _capacity(canvas: Any, results: Results) -> None:
    runs = [run for run in of(results["runs"], "capacity") if run["exact"] > 0]
    cases = list(dict.fromkeys((run["name"], run["d_state"]) for run in runs))
    for axes, (name, d_state) in zip(canvas.subplots(1, len(cases), squeeze=False)[0], cases, strict=True):
        mine = [run for run in runs if (run["name"], run["d_state"]) == (name, d_state)]
        exact = statistics.mean(run["exact"] for run in mine)
        axes.axhline(exact, color="black", linewidth=1, linestyle="--")
        bare = statistics.mean(run["predicted"]["ours"] for run in mine)
        if bare < 0.999 * exact:
            axes.axhline(bare, color=_OURS, linewidth=1, linestyle=":")
        _lines(axes, mine)
        axes.set(title=f"{name}, N = {d_state}", xlabel="steps", xscale="log", ylim=(0, 1.25 * exact))
    canvas.axes[0].set_ylabel("capacity (inputs)")
    handles, labels = canvas.axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)


def _floor(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    _lines(axes, of(results["runs"], "capacity", name="noise"))
    axes.axhline(0, color="black", linewidth=1, linestyle="--")
    axes.set(xlabel="steps", xscale="log", ylabel="capacity of noise (inputs)")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.legend(fontsize=8)


def _lines(axes: Any, runs: list[dict[str, Any]]) -> None:
    """Draw every recipe over the steps: mean over the seeds, and what was foreseen."""
    steps = sorted({run["steps"] for run in runs})

    def mean(at: int, kind: str, name: str) -> float:
        return statistics.mean(float(run[kind][name]) for run in runs if run["steps"] == at)

    for name, colour, dash in zip(runs[0]["found"] if runs else (), _COLOURS, _DASHES, strict=False):
        axes.plot(steps, [mean(at, "found", name) for at in steps], dash, color=colour, linewidth=1.3, label=name)
        axes.plot(steps, [mean(at, "predicted", name) for at in steps], ".", color=colour, markersize=6)
    known = [at for at in steps if all(run["ours"] for run in runs if run["steps"] == at)]
    low, high = ([mean(at, "ours", end) for at in known] for end in ("low", "high"))
    axes.fill_between(known, low, high, color=_OURS, alpha=0.25, linewidth=0)
    axes.plot(known, [mean(at, "ours", "capacity") for at in known], color=_OURS, linewidth=2, label="ours")


def _coverage(canvas: Any, results: Results) -> None:
    config, rows = results["config"], results["summary"]["coverage"]
    for axes, key, title in zip(
        canvas.subplots(1, 2, sharey=True), ("lags", "capacity"), ("lags", "capacity"), strict=True
    ):
        for k, row in enumerate(rows):
            share = row[key]
            axes.plot(k, 100 * share, "o", color=_OURS, markersize=7)
            if key == "capacity":
                error = 200 * (max(share * (1 - share), 0.02) / row["systems"]) ** 0.5
                axes.errorbar(k, 100 * share, error, color=_OURS, linewidth=1)
            for j, n in enumerate(config["d_states"]):
                own = [r for r in of(results["runs"], "coverage", name=row["family"], d_state=n) if r["ours"]]
                own = [run for run in own if carried(run)]
                if own:
                    x = k + 0.16 * (j + 1)
                    axes.plot(x, 100 * statistics.mean(_share(run, key) for run in own), ".", color=f"C{j}",
                              label=f"N = {n}" if k == 0 else None)  # fmt: skip
        for level in (0.95, WANTED):
            axes.axhline(100 * level, color="#777777", linewidth=0.9, linestyle="--")
        axes.set(title=title, xticks=range(len(rows)), xticklabels=[row["family"] for row in rows])
    lowest = min((min(row["lags"], row["capacity"]) for row in rows), default=1.0)
    canvas.axes[0].set(ylabel="intervals that hold the exact value (%)", ylim=(100 * lowest - 6, 101))
    canvas.axes[0].legend(fontsize=8, loc="lower right")


def _share(run: dict[str, Any], key: str) -> float:
    ours = run["ours"]
    return float(ours["lags_held"] if key == "lags" else ours["low"] <= run["exact"] <= ours["high"])


def _condition(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    runs = [run for run in of(results["runs"], "coverage") if run["ours"] and run["exact"] > 0]
    for name, colour in (("naive", _COLOURS[1]), ("ours", _OURS)):
        for whole in (True, False):
            own = [run for run in runs if carried(run) == whole]
            values = [run["naive"] if name == "naive" else run["ours"]["capacity"] for run in own]
            error = [max(abs(value / run["exact"] - 1), 1e-5) for value, run in zip(values, own, strict=True)]
            label = {"naive": "inverse covariance", "ours": "ours"}[name] if whole else None
            axes.plot([run["ours"]["condition"] for run in own], error, "o", color=colour, markersize=4, label=label,
                      markerfacecolor=colour if whole else "none", alpha=0.7)  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="condition number of the states", ylabel="relative error of the capacity"
    )
    axes.legend(fontsize=8)


def _table(rows: list[dict[str, Any]]) -> Table:
    head = ["family", "systems", "left out", "lags %", "capacity %", "half-width", "bias"]
    body = [
        [
            row["family"], str(row["systems"]), str(row["left_out"]), f"{100 * row['lags']:.1f}",
            f"{100 * row['capacity']:.1f}", _size(row["half_width"], row["family"]), _size(row["bias"], row["family"]),
        ]
        for row in rows
    ]  # fmt: skip
    caption = (
        "Half-width: median of half the capacity's interval, N ≤ 32; bias: mean of estimate − exact. Both in per cent "
        "of the exact capacity, for noise in inputs. Left out: states that do not carry every direction in float64."
    )
    return Table("Intervals", head, body, caption)


def _size(value: float | None, family: str) -> str:
    if value is None:
        return "–"
    return f"{value:.2g}" if family == "noise" else f"{100 * value:.2g} %"
