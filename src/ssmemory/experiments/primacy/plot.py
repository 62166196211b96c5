"""Figures of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table
from ssmemory.experiments.primacy.findings import CONDITIONS, of
from ssmemory.experiments.primacy.model import MODELS, STARTS
from ssmemory.experiments.study import spread

Results = dict[str, Any]
_COLOURS = {"before": "#999999", "all": "#1f5fa8", "first": "#c2571a"}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, summary = results["config"], results["summary"]
    numbers = config["channels"] * config["d_state"]
    intro = (
        f"Sequences of {config['length']} numbers go into layers that begin with an empty state, and are recalled from "
        f"the {numbers} numbers of the last layer's last state. How well the input at every position can be read off "
        "that state, linearly, is computed where the model is linear and estimated where it is not, before and after "
        "training. Two differences say where memory lies: first tenth minus middle tenth, and first minus last."
    )
    figures = [
        Figure("What the last state holds, by position", draw_svg(_curves, results),
               "Memory of the input at every position, mean over the seeds: at the start, after training to recall all "
               "positions, and the first tenth alone. Dotted: the floor of an estimate."),
        Figure("Does the first tenth stand out?", draw_svg(_indices, results),
               "First tenth against middle and last, after training to recall all positions; open: before. A dot a "
               "seed. Right of both zero lines is primacy."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["cases"])]
    notes = [
        "The source's task is recognition of symbols among thousands, with 256 channels, over 300,000 steps; here "
        f"numbers are recalled by {config['channels']} channels after {config['steps']} steps.",
        "Memory is what a linear readout finds. Directions below the rounding of single precision are left out.",
        f"Running: after {config['run_in']} windows of input before the one measured; an estimate of the infinite "
        "horizon, which zero real parts do not have.",
    ]
    command = f"ssmemory run primacy --size {results['size']}"
    return Page("Are the earliest inputs remembered best?", intro, summary["findings"], notes, figures, tables, command)


def _curves(canvas: Any, results: Results) -> None:
    grid = canvas.subplots(len(STARTS), len(MODELS), sharex=True, sharey="col", squeeze=False)
    for row, start in zip(grid, STARTS, strict=True):
        for axes, model in zip(row, MODELS, strict=True):
            for name, colour in _COLOURS.items():
                own = of(results["runs"], model=model, start=start, task="all" if name == "before" else name)
                if own:
                    when = "before" if name == "before" else "after"
                    values = np.mean([run[when]["empty"] for run in own], 0)
                    axes.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.1, label=name)
            floors = [run["after"]["floor"] for run in of(results["runs"], model=model) if "floor" in run["after"]]
            if floors:
                axes.axhline(max(floors), color="#555555", linestyle=":", linewidth=0.8)
            axes.tick_params(labelsize=7)
        row[0].set_ylabel(start, fontsize=8)
    for axes, model in zip(grid[0], MODELS, strict=True):
        axes.set_title(model, fontsize=8)
        axes.set_ylim(bottom=0)  # of the whole column, now that it is drawn
    grid[1][2].set_xlabel("position", fontsize=8)
    grid[0][0].legend(fontsize=6)


def _indices(canvas: Any, results: Results) -> None:
    left, right = canvas.subplots(1, 2, sharey=True)
    cases = [case for case in results["summary"]["cases"] if case["task"] == "all"]
    names = [condition.name for condition in CONDITIONS]
    for axes, index, title in ((left, "over_middle", "first − middle"), (right, "over_last", "first − last")):
        for case in cases:
            colour = ("#1f5fa8", "#c2571a")[STARTS.index(case["start"])]
            y = names.index(case["condition"]) + 0.18 * (2 * STARTS.index(case["start"]) - 1)
            values = case["before"][index], case["after"][index]
            axes.plot(values[0], [y] * len(values[0]), "o", color=colour, markersize=4, fillstyle="none")
            axes.plot(values[1], [y] * len(values[1]), "o", color=colour, markersize=4)
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.set_xlabel(f"memory, {title} tenth", fontsize=8)
    left.set_yticks(range(len(names)), names, fontsize=7)
    left.invert_yaxis()
    for k, start in enumerate(STARTS):
        right.plot([], [], "o", color=("#1f5fa8", "#c2571a")[k], markersize=4, label=start)
    right.legend(fontsize=7)


def _table(cases: list[dict[str, Any]]) -> Table:
    head = ["added to one layer", "foreseen", "start", "trained on", "first − middle", "first − last", "found"]
    foreseen = {condition.name: condition.foreseen for condition in CONDITIONS}
    rows = []
    for case in cases:
        about = [case["condition"], foreseen[case["condition"]], case["start"]]
        for when in ("before", "after") if case["task"] == "all" else ("after",):
            found = case[when]
            task = "nothing yet" if when == "before" else case["task"]
            rows.append([*about, task, spread(found["over_middle"]), spread(found["over_last"]), found["pattern"]])
    caption = "Memory of the tenths of a sequence, mean ± deviation over the seeds; found: in every seed, by 0.03."
    return Table("Where memory lies", head, rows, caption)
