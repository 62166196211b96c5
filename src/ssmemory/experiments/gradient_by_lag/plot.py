"""Figures and tables of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, data, summary = results["config"], results["data"], results["summary"]
    intro = (
        f"Two questions. Linear readouts recall the input of {config['lag']} steps ago from four spectra: is it the "
        "size of what reaches back, |λ|^τ, that decides, or the memory function? And a network "
        f"({config['n_layers']} blocks of S4D) trained on {data['name']} images, {data['length']} steps: the gradient "
        "of its loss with respect to every layer's kernel, lag by lag and exact, beside the layer's memory."
    )
    figures = [
        Figure("The gradient by lag", draw_svg(_gradients, results),
               "Root mean square over the channels of the gradient of the kernel (blue: before, orange: after) "
               "and the memory over the window before training (grey), of the first layer, seed by seed."),
    ]  # fmt: skip
    head = [
        "spectrum",
        "directions",
        "|λ|^τ",
        "raw weight of the lag",
        "MF(τ)",
        "predicted loss",
        "measured",
    ]
    body = [
        [
            row["name"], str(row["rank"]),
            *(f"{row[key]:.2g}" for key in ("reaching_back", "gradient_share", "memory", "predicted")), row["spread"],
        ]
        for row in summary["cases"]
    ]  # fmt: skip
    tables = [
        claims_table(Path(__file__).parent, summary["claims"]),
        Table(
            "Linear cases", head, body, "Loss 1 is that of answering zero. Mean ± standard deviation over the seeds."
        ),
    ]
    notes = [*([data["note"]] if data["note"] else []), f"Licence of the data: {data['licence']}"]
    command = f"ssmemory run gradient-by-lag --size {results['size']}"
    return Page("What can the gradient see?", intro, summary["findings"], notes, figures, tables, command)


def _gradients(canvas: Any, results: Results) -> None:
    steps = results["config"]["steps"]
    panels = canvas.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    for axes, dt in zip(panels, steps, strict=True):
        for run in [run for run in results["runs"] if run["kind"] == "deep" and run["dt"] == dt]:
            lags = np.arange(len(run["before"][0]["gradient"])) + 1
            for when, colour in (("before", "#1f5fa8"), ("after", "#c46210")):
                gradient = np.array(run[when][0]["gradient"])
                axes.plot(lags, gradient / gradient.max(), color=colour, linewidth=0.9, alpha=0.8)
            axes.plot(lags, np.maximum(run["before"][0]["memory"], 1e-6), color="#888888", linewidth=1.4)
        axes.set(xscale="log", yscale="log", title=f"dt {dt:g}", xlabel="steps back (lag + 1)", ylim=(1e-5, 1.5))
    panels[0].set_ylabel("gradient / its largest; memory")
