"""Figures and tables of the study, from its saved results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.closed_form.config import ALL, CLOSED, DECODER, FIXED, KEPT, WAYS
from ssmemory.experiments.closed_form.findings import EQUAL, TARGET, ratios, told
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
COLOURS = {CLOSED: "#111111", KEPT: "#c46210", DECODER: "#d9a13b", FIXED: "#1f5fa8", ALL: "#0b6e4f"}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    config, data, summary = results["config"], results["data"], results["summary"]
    layers = f"{config['n_layers']} block{'s' if config['n_layers'] > 1 else ''} of S4D"
    intro = (
        f"{layers}, {config['d_model']} channels, mean over the steps, reads {data['name']} images as {data['length']} "
        f"pixels, one a step: {data['training']:,} to learn from, {data['test']:,} to test. From the same initial "
        "weights its decoder is fitted in closed form (fit.readout), or trained by gradient; or all but the "
        "recurrence is; or everything. Seconds are those of one thread's work, evaluations left out."
    )
    figures = [
        Figure("Accuracy by the seconds it takes", draw_svg(_curves, results),
               "Test accuracy; lines are medians over seeds, bands smallest to largest. Black: the closed form on "
               "growing shares of the training images, each fit by itself, the star on all of them."),
        Figure("Seconds to an accuracy", draw_svg(_ladder, results),
               f"Medians over seeds, bars smallest to largest; no mark: never in half of the seeds. Target: "
               f"{100 * config['margin']:g} points below the closed form of the same seed."),
    ]  # fmt: skip
    tables = [
        claims_table(Path(__file__).parent, summary["claims"]), _times(results), _ways(results),
    ]  # fmt: skip
    command = f"ssmemory run closed-form --size {results['size']}"
    title = "How much sooner is a decoder in closed form?"
    return Page(title, intro, summary["findings"], _notes(results), figures, tables, command)


def _notes(results: Results) -> list[str]:
    data = results["data"]
    notes = [data["note"]] if data["note"] else []
    wall = told([
        run["points"][-1]["wall"] / run["points"][-1]["process"] for run in results["runs"] if run["part"] == "test"
    ])  # fmt: skip
    notes += [
        f"Seconds are process seconds of one thread; wall seconds were {wall} times as many. Ratios hold better than "
        "seconds do.",
        f"Learning rates: the soonest at the target on {data['validation']:,} validation images, from other initial "
        "weights, where the closed form sets the target too; recurrences learn at a quarter of the rate. A budget ends "
        "with a cosine to zero: a shorter one would come sooner to low accuracies and end lower.",
        "Between evaluations, twice an octave of steps, accuracy is taken as linear.",
        "The decoder's features vary little about a mean that all images share, and a gradient on them as they are "
        "crawls. The closed form standardises them, as is done where they are kept; on those a batch optimiser takes "
        "fewer seconds than AdamW's many small steps.",
        "One network for all: a gradient that trains everything may need fewer channels than a decoder alone.",
        f"Licence of the data: {data['licence']}",
    ]
    return notes


def _runs(results: Results, way: str) -> list[dict[str, Any]]:
    return [run for run in results["runs"] if run["part"] == "test" and run["way"] == way]


def _curves(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for way in WAYS:
        every = zip(*(run["points"] for run in _runs(results, way)), strict=True)
        at = [points for points in every if points[0]["process"] > 0]
        seconds = [statistics.median(point["process"] for point in points) for points in at]
        right = [[100 * point["accuracy"] for point in points] for points in at]
        middle, colour = [statistics.median(values) for values in right], COLOURS[way]
        if way == CLOSED:
            axes.plot(seconds, middle, "o:", color=colour, markersize=4, linewidth=1, zorder=4)
            axes.plot(seconds[-1], middle[-1], "*", color=colour, markersize=14, label=way, zorder=5)
        else:
            axes.plot(seconds, middle, color=colour, linewidth=1.8, label=way)
        axes.fill_between(seconds, *zip(*((min(v), max(v)) for v in right), strict=True), color=colour, alpha=0.15)
    axes.set(xscale="log", xlabel="seconds of one thread", ylabel="test accuracy (%)")
    axes.legend(loc="center left", fontsize=8)


def _ladder(canvas: Any, results: Results) -> None:
    axes, levels = canvas.subplots(), _levels(results)
    for k, way in enumerate(WAYS):
        for place, level in enumerate(levels):
            times = results["summary"]["ways"][way]["times"][level]["process"]
            found = sorted(value for value in times if value is not None)
            x, label = place + 0.14 * (k - 2), way if place == 0 else None
            axes.plot([], [], "o", color=COLOURS[way], label=label)
            if 2 * len(found) > len(times):
                every = found + [float("inf")] * (len(times) - len(found))
                axes.plot([x, x], [found[0], found[-1]], color=COLOURS[way], linewidth=2)
                axes.plot(x, statistics.median(every), "o", color=COLOURS[way], markersize=5)
    axes.set(yscale="log", ylabel="seconds of one thread", xlabel="test accuracy")
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_xticks(range(len(levels)), levels)
    axes.legend(loc="lower right", fontsize=8)


def _levels(results: Results) -> list[str]:
    return [level for level in results["summary"]["ways"][CLOSED]["times"] if level != EQUAL]


def _times(results: Results) -> Table:
    ways, levels = results["summary"]["ways"], _levels(results)
    rows = [
        [way, *(told(ways[way]["times"][level]["process"], " s") for level in levels),
         told(ratios(ways, way, TARGET, "process")), told(ratios(ways, way, TARGET, "wall"))]
        for way in WAYS
    ]  # fmt: skip
    head = ["way", *levels, "target: times the closed form's seconds", "the same by wall seconds"]
    caption = (
        "Process seconds to a test accuracy, median over seeds (smallest to largest); never: not within the budget in "
        "half of the seeds or more. The closed form takes the smallest share of the images that has the accuracy."
    )
    return Table("Seconds to an accuracy", head, rows, caption)


def _ways(results: Results) -> Table:
    ways = results["summary"]["ways"]
    rows = [
        [way, f"{row['trained']:,}", "–" if way == CLOSED else f"{row['lr']:g}",
         told([100 * value for value in row["accuracy"]], " %"),
         told([100 * value for value in row["train_accuracy"]], " %"), told(row["process"], " s"),
         told(row["wall"], " s"), "–" if way == CLOSED else f"{row['tuning_process']:.3g} s"]
        for way, row in ways.items()
    ]  # fmt: skip
    head = ["way", "numbers trained", "learning rate", "test accuracy at the end", "on the training images",
            "process seconds", "wall seconds", "choosing the rate"]  # fmt: skip
    caption = "The whole budget, to its end. A rate for the decoder alone was chosen on features that were kept."
    return Table("At the end", head, rows, caption)
