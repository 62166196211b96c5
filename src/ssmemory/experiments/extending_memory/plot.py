"""Figures of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
_LOOKS = {
    "readout": ("readout, predicted", "#999999", "-"),
    "frozen": ("readout, trained", "#555555", ":"),
    "s4d": ("all trained, S4D", "#1f5fa8", "-"),
    "lru": ("all trained, LRU", "#3a9a5b", "-"),
    "raw": ("all trained, real part", "#b8860b", "-"),
    "solved": ("readout solved for", "#b03a2e", "-"),
}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, summary = results["config"], results["summary"]
    intro = (
        f"One linear layer with a state of {config['d_state']} numbers learns to recall a single lag of white input, "
        "by Adam on the exact loss. It starts from equally spaced modes, stretched from a short to a long memory. "
        "Trained are the readout alone, or eigenvalues, B and C together, or the eigenvalues with the best readout at "
        "every step. A start succeeds where it ends with at least half of what the best start recalls."
    )
    figures = [
        Figure("From which memory does training succeed?", draw_svg(_recalled, results),
               "Share of the bound N/(τ+1) that is recalled, 1 − loss, after training; bars: lowest and highest "
               "seed. Grey: the best readout of the start, known before. Dashed: what one step can reach; it has "
               "twice the directions, and may pass the bound."),
        Figure("Memory before and after", draw_svg(_memories, results),
               "Memory functions of a start too short and one too long, before training (grey) and after it; dashed "
               "upright: the lag; dotted: the bound."),
        Figure("One step, and many", draw_svg(_agreement, results),
               "What one step can reach, before training, against what is recalled after it, as shares of the "
               "bound: the best parametrisation of every start. On the line, many steps would do what one can."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _rates(results)]
    command = f"ssmemory run extending-memory --size {results['size']}"
    notes = [
        "One layer, white input, one lag: what depth, several channels and real data add is not asked here.",
        "Every method is shown at its best learning rate, start by start; often that is the largest.",
        f"Training takes {config['steps']} steps, {config['solved_steps']} where the readout is solved for.",
    ]
    return Page("Is extending memory hard?", intro, summary["findings"], notes, figures, tables, command)


def _bound(results: Results, lag: int) -> float:
    return float(min(1, results["config"]["d_state"] / (lag + 1)))


def _recalled(canvas: Any, results: Results) -> None:
    lags = results["config"]["lags"]
    panels = canvas.subplots(1, len(lags), sharey=True, squeeze=False)[0]
    for axes, lag in zip(panels, lags, strict=True):
        for method, (label, colour, dash) in _LOOKS.items():
            found = [o for o in results["summary"]["outcomes"] if (o["method"], o["lag"]) == (method, lag)]
            T, mean, low, high = (np.array([o[name] for o in found]) for name in ("reach", "recalled", "low", "high"))
            bars, bound = [mean - low, high - mean], _bound(results, lag)
            shown = {"color": colour, "linestyle": dash, "linewidth": 1.3, "elinewidth": 0.7, "label": label}
            axes.errorbar(T, np.maximum(mean, 0) / bound, np.maximum(bars, 0) / bound, **shown)
            if method == "readout":
                doubled = np.array([o["doubled"] for o in found]) / bound
                axes.plot(T, doubled, "--", color="#999999", linewidth=1, label="one step, predicted")
        axes.axvline(lag, color="#cccccc", linewidth=0.8)
        axes.set(xscale="log", xlabel="length of the start T", title=f"lag {lag}", ylim=(-0.03, 1.3))
    panels[0].set_ylabel("recalled / bound")
    canvas.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=4)


def _memories(canvas: Any, results: Results) -> None:
    config = results["config"]
    lag = sorted(config["lags"])[len(config["lags"]) // 2]
    panels = canvas.subplots(1, len(config["shown"]), sharey=True, squeeze=False)[0]
    at = np.array(sorted({round(x) for x in np.geomspace(1, config["horizon"] / 2, 48)}))
    for axes, reach in zip(panels, config["shown"], strict=True):
        kept = [r for r in results["runs"] if "curve_after" in r and (r["lag"], r["reach"]) == (lag, reach)]
        axes.plot(at, kept[0]["curve_before"], color="#999999", linewidth=1.4, label="before")
        for method in ("s4d", "solved"):
            run = min((r for r in kept if r["method"] == method), key=lambda r: r["loss"])
            axes.plot(at, run["curve_after"], color=_LOOKS[method][1], linewidth=1.4, label=_LOOKS[method][0])
        axes.plot(at, np.minimum(1, config["d_state"] / (at + 1)), ":", color="#333333", linewidth=0.9)
        axes.axvline(lag, color="#333333", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel="lag (steps)", title=f"start T = {reach}, lag {lag}", ylim=(-0.02, 1.03))
    panels[0].set_ylabel("memory function")
    panels[-1].legend(fontsize=8, loc="center right")


def _agreement(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    found = [o for o in results["summary"]["outcomes"] if o["method"] in ("s4d", "lru", "raw")]
    for k, lag in enumerate(results["config"]["lags"]):
        bound = _bound(results, lag)
        for reach in results["config"]["reaches"]:
            best = max((o for o in found if (o["lag"], o["reach"]) == (lag, reach)), key=lambda o: o["recalled"])
            label = f"lag {lag}" if reach == results["config"]["reaches"][0] else None
            axes.plot(best["doubled"] / bound, max(best["recalled"], 0) / bound, "o", color=f"C{k}", label=label)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    axes.set(xlabel="one step, predicted / bound", ylabel="recalled after training / bound")
    axes.legend(fontsize=8)


def _rates(results: Results) -> Table:
    lrs = results["config"]["lrs"]
    rows = []
    for method, (label, *_) in _LOOKS.items():
        cells = [r for r in results["summary"]["rates"] if r["method"] == method]
        if cells:
            rows.append([label, *(f"{cell['succeed']} of {cell['of']}" for cell in cells)])
    head = ["trained", *(f"rate {lr:g}" for lr in lrs)]
    return Table("Starts that succeed, by learning rate", head, rows, "All starts, lags and seeds.")
