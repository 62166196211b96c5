"""Figures and tables of the study, from its saved results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table
from ssmemory.experiments.zero_real_part.findings import of
from ssmemory.experiments.zero_real_part.measure import HELD, STEPS

Results = dict[str, Any]
_COLOURS = dict(zip(HELD, ("#0b6e4f", "#c46210", "#1f5fa8", "#777777"), strict=True))
_CEILING = 1.25  # where a loss is drawn that is larger, or not finite


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, summary = results["config"], results["summary"]
    intro = (
        "S4D-Lin's frequencies with real parts from 0 to −1/2, at the step of the rule for white input (1/√L), at 2/L "
        "and 1/L: memory over a window, variance of the states, readouts trained to recall two lags. Then trainings "
        f"that start from exactly zero real parts: give back the first {config['copied']} inputs of a white window at "
        f"its end, {config['steps']} steps of Adam, {len(config['seeds'])} seeds. Real parts are projected onto ≤ 0, "
        "free, −exp(·) from −1e-4, or frozen. Loss 1 is that of answering zero, and of the start."
    )
    figures = [
        Figure("What is remembered of the window?", draw_svg(_memory, results),
               "Memory by lag in units of its mean N/L, longest window, smaller state. 1: flat. Right: all alike."),
        Figure("Foreseen and trained", draw_svg(_readouts, results),
               "What readouts recall of the lags L/2 and L−1, 1 − loss: every window, step, real part and seed."),
        Figure("Does it have to be held?", draw_svg(_training, results),
               "Top: loss at the end (at most 1.25 drawn); line: mean, dots: seeds; dashed: foreseen for a readout. "
               "Bottom: largest Re log λ · L on the way, over the seeds. Grey: frozen."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["trainings"])]
    notes = [
        "White input and linear targets. Growing modes help where the start of the window is what is asked for.",
        "No clipping, no weight decay, no schedule: what they would hold back is not asked here.",
    ]
    command = f"ssmemory run zero-real-part --size {results['size']}"
    return Page("Do zero real parts last?", intro, summary["findings"], notes, figures, tables, command)


def _memory(canvas: Any, results: Results) -> None:
    config = results["config"]
    panels = canvas.subplots(1, len(STEPS), sharey=True)
    for axes, step in zip(panels, STEPS, strict=True):
        where = {"length": max(config["lengths"]), "d_state": config["d_states"][0], "step": step}
        for k, run in enumerate(of(results["runs"], "memory", **where)):
            if run["refused"] is None:
                label = f"Re a = {run['real']:.3g}"
                axes.plot(run["lags"], [max(v, 1e-9) for v in run["curve"]], color=f"C{k}", linewidth=1.3, label=label)
        axes.set(title=f"dt = {step}", xlabel="lag (steps)", yscale="log", ylim=(1e-4, 60))
    panels[0].set_ylabel("memory / mean")
    panels[-1].legend(fontsize=8, loc="lower center")


def _readouts(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for k, step in enumerate(STEPS):
        rows = [row for run in of(results["runs"], "readout", step=step) for row in run["lags"]]
        recalled = [(1 - row["predicted"], 1 - row["measured"]) for row in rows]
        shown = [pair for pair in recalled if min(pair) > 1e-6]
        axes.plot(*zip(*shown, strict=True), "o", color=f"C{k}", markersize=4, alpha=0.6, label=f"dt = {step}")
    ends = axes.get_xlim()
    axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="foreseen 1 − loss", ylabel="trained 1 − loss")
    axes.legend(fontsize=8)


def _training(canvas: Any, results: Results) -> None:
    runs = of(results["runs"], "training")
    cases = list(dict.fromkeys((run["model"], run["length"]) for run in runs))
    top, bottom = canvas.subplots(2, len(cases), sharex=True, sharey="row", squeeze=False)
    for loss, growth, (model, length) in zip(top, bottom, cases, strict=True):
        mine = [run for run in runs if (run["model"], run["length"]) == (model, length)]
        for held in HELD[:3]:
            own = [run for run in mine if run["held"] == held]
            rates = sorted({run["lr"] for run in own})
            ends = [[_capped(run["final"]) for run in own if run["lr"] == lr] for lr in rates]
            colour = {"color": _COLOURS[held]}
            loss.plot(rates, [statistics.mean(values) for values in ends], linewidth=1.3, label=held, **colour)
            for lr, values in zip(rates, ends, strict=True):
                loss.plot([lr] * len(values), values, ".", markersize=4, **colour)
            growth.plot(
                rates, [max(r["growth"] for r in own if r["lr"] == lr) for lr in rates], "o-", markersize=3, **colour
            )
        frozen = [_capped(run["final"]) for run in mine if run["held"] == "frozen"]
        loss.axhline(statistics.mean(frozen), color=_COLOURS["frozen"], linewidth=1.1, label="frozen")
        loss.axhline(mine[0]["frozen_predicted"], color=_COLOURS["frozen"], linewidth=0.9, linestyle="--")
        loss.set(title=f"{model}, L = {length}", xscale="log")
        growth.set(xlabel="learning rate of λ", yscale="symlog")
    top[0].set_ylabel("loss at the end")
    bottom[0].set_ylabel("max Re log λ · L")
    top[0].legend(fontsize=7)


def _capped(loss: float | None) -> float:
    return _CEILING if loss is None else min(loss, _CEILING)


def _table(rows: list[dict[str, Any]]) -> Table:
    head = [
        "model",
        "L",
        "real parts",
        "lr",
        "loss",
        "loss at 4 L",
        "above start",
        "exploded",
        "growth",
        "left 0",
        "decay",
    ]
    body = [
        [
            row["model"], str(row["length"]), row["held"], f"{row['lr']:g}", row["final"], _short(row["later"]),
            f"{row['above_start']} of {row['runs']}", f"{row['exploded']} of {row['runs']}", f"{row['growth']:.2g}",
            "–" if row["left"] is None else f"{100 * row['left']:.0f} %", _short(row["decay"]),
        ]
        for row in rows
    ]  # fmt: skip
    caption = (
        "Loss: mean ± deviation over the seeds. At 4 L: median, the same model at the end of a stream of four windows. "
        "Growth: largest Re log λ · L on the way. Left 0: by more than 0.01 over the window. Decay: median "
        "−Re log λ · L at the end."
    )
    return Table("Trainings", head, body, caption)


def _short(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"
