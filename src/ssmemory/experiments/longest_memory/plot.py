"""Figures of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page

Results = dict[str, Any]


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config = results["config"]
    intro = (
        f"A readout of a fixed state of {config['d_state']} numbers is trained on white input to give back a linear "
        "teacher. The state's eigenvalues lie along a front: the same shape, stretched from an exact and short memory "
        "to a coarse and long one. Loss 1 is that of answering zero. The prediction uses the eigenvalues and the "
        "teacher alone."
    )
    figures = [
        Figure("Which memory is best for which teacher?", draw_svg(_fronts, results),
               "Loss after training by the length of memory: lines are predicted, dots measured, one a seed."),
        Figure("Predicted and measured", draw_svg(_agreement, results), "Every memory, teacher and seed."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, results["summary"]["claims"])]
    command = f"ssmemory run longest-memory --size {results['size']}"
    notes = ["White input, linear teachers, readout only: what depth and nonlinearity add is not asked here."]
    return Page("Is the longest memory best?", intro, results["summary"]["findings"], notes, figures, tables, command)


def _fronts(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    names = list(dict.fromkeys(run["teacher"] for run in results["runs"]))
    for k, name in enumerate(names):
        runs = [run for run in results["runs"] if run["teacher"] == name]
        reaches = sorted({run["reach"] for run in runs})
        line = [next(run["predicted"] for run in runs if run["reach"] == reach) for reach in reaches]
        colour = f"C{k}"
        axes.plot(reaches, line, color=colour, linewidth=1.4, label=name)
        axes.plot([r["reach"] for r in runs], [r["measured"] for r in runs], "o", color=colour, markersize=3.5)
    axes.set(xscale="log", yscale="log", xlabel="length of memory T (steps)", ylabel="loss (1: answering zero)")
    axes.legend(fontsize=8, loc="lower right")


def _agreement(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    predicted = np.array([run["predicted"] for run in results["runs"]])
    measured = np.array([run["measured"] for run in results["runs"]])
    ends = [min(predicted.min(), measured.min()), max(predicted.max(), measured.max())]
    axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.plot(predicted, measured, "o", color="#1f5fa8", markersize=3, alpha=0.6)
    axes.set(xscale="log", yscale="log", xlabel="predicted loss", ylabel="measured loss")
