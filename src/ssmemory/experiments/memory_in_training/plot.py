"""Figures and tables of the study, from its saved results alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.memory_in_training.findings import MEASURES, chosen, measured, of
from ssmemory.experiments.memory_in_training.measure import lag_bins
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
STYLES = {"learned": "-", "frozen": (0, (5, 2))}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, data, summary = results["config"], results["data"], results["summary"]
    intro = (
        f"{config['n_layers']} blocks of S4D ({config['d_model']} channels, state size {config['d_state']} each) learn "
        f"{data['name']} images, one of {data['length']} pixels a step, from {len(config['dts'])} starts, with learned "
        "and with frozen eigenvalues. Before, midway and after, the memory of the network's own input in what every "
        "block puts out at the last step is estimated: of white noise of the images' shape, and of test images, each "
        "pixel as its deviation from the mean image."
    )
    figures = [
        Figure("What is left of white noise at the end?", draw_svg(_curves, results),
               "Memory of the network's input in each block's output at the last step, mean over the seeds: before "
               "(dashed) and after training with learned recurrence (solid), averaged over lags in bins that grow with "
               "the lag. A value below about 0.005 is noise."),
        Figure("Which memory goes with the score?", draw_svg(_scatter, results),
               "Test accuracy by six measures of memory; dots: learned, circles: frozen; one a seed."),
        Figure("When does memory change?", draw_svg(_epochs, results),
               "Last block, mean over the seeds: learned recurrence solid, frozen dashed."),
    ]  # fmt: skip
    head = ["dt", "recurrence", "test accuracy (%)", "capacity", "first half", "share of the image",
            "exact memory of the first input, a layer's own"]  # fmt: skip
    rows = [
        [f"{row['dt']:g}", row["mode"], row["accuracy"]]
        + [" → ".join(row[name]) for name in ("capacity", "far", "image", "exact_first")]
        for row in summary["rows"]
    ]
    caption = "Before → after training, mean ± standard deviation over the seeds, of the last block."
    notes = [data["note"]] if data.get("note") else []
    notes += [
        f"A seed's rank correlation is over {2 * len(config['dts'])} networks from {len(config['dts'])} starts, "
        "learned and frozen ones nearly alike: one below 0.9 may be chance.",
        f"{config['epochs']} epochs of {data['training']} images: far from the best that such networks reach.",
        "Memory is linear: what a block keeps in a form that only a nonlinear readout could use is not counted. The "
        "outputs of a block are read, not the states inside it, which hold more.",
    ]
    tables = [
        claims_table(Path(__file__).parent, summary["claims"]), Table("All starts", head, rows, caption)
    ]  # fmt: skip
    command = f"ssmemory run memory-in-training --size {results['size']}"
    title = "What does a deep network remember, and does it score by that?"
    return Page(title, intro, summary["findings"], notes, figures, tables, command)


def _colours(results: Results) -> dict[float, str]:
    return {dt: f"C{k}" for k, dt in enumerate(results["config"]["dts"])}


def _curves(canvas: Any, results: Results) -> None:
    names = [layer["layer"] for layer in results["runs"][0]["looks"][0]["layers"]]
    panels = canvas.subplots(1, len(names), sharey=True, squeeze=False)[0]
    bins = lag_bins(results["data"]["length"])
    steps = [math.sqrt((first + 1) * last) for first, last in bins]
    for k, (axes, name) in enumerate(zip(panels, names, strict=True)):
        for dt, colour in _colours(results).items():
            runs = chosen(results["runs"], dt, "learned")
            for when, style, width in ((0, (0, (4, 3)), 1.0), (-1, "-", 1.6)):
                curve = np.mean([run["looks"][when]["layers"][k]["noise"] for run in runs], 0)
                label = f"dt = {dt:g}" if when else None
                axes.plot(steps, curve.clip(1e-4), linestyle=style, color=colour, linewidth=width, label=label)
        axes.set(title=name, xscale="log", yscale="log", xlabel="steps back (lag + 1)", ylim=(4e-3, 1.3))
    panels[0].set_ylabel("memory function")
    panels[-1].legend(fontsize=8, loc="upper right")


def _scatter(canvas: Any, results: Results) -> None:
    canvas.set_size_inches(7.2, 5.0)
    panels = canvas.subplots(2, 3, sharey=True).flatten()
    for axes, (name, text) in zip(panels, MEASURES.items(), strict=True):
        for dt, colour in _colours(results).items():
            for mode in STYLES:
                runs = chosen(results["runs"], dt, mode)
                x, y = [measured(run, name) for run in runs], [100 * run["looks"][-1]["accuracy"] for run in runs]
                fill = colour if mode == "learned" else "none"
                axes.scatter(x, y, s=22, edgecolors=colour, facecolors=fill, label=f"dt = {dt:g}")
        axes.set_xlabel(text, fontsize=8)
    for axes in (panels[0], panels[3]):
        axes.set_ylabel("test accuracy (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles[::2], labels[::2], loc="outside lower center", ncols=len(handles) // 2, fontsize=9)


def _epochs(canvas: Any, results: Results) -> None:
    canvas.set_size_inches(7.2, 3.2)
    panels = canvas.subplots(1, 3)
    shown = {"capacity": "capacity (white noise)", "image": "share of the image", "accuracy": "test accuracy"}
    for axes, (name, text) in zip(panels, shown.items(), strict=True):
        for dt, colour in _colours(results).items():
            for mode, style in STYLES.items():
                looks = [run["looks"] for run in chosen(results["runs"], dt, mode)]
                values = [[at["accuracy"] if name == "accuracy" else of(at, name) for at in run] for run in looks]
                epochs, label = [at["epoch"] for at in looks[0]], f"dt = {dt:g}" if mode == "learned" else None
                axes.plot(epochs, np.mean(values, 0), linestyle=style, color=colour, marker=".", label=label)
        axes.set(xlabel="epoch", ylabel=text)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[-1].legend(fontsize=7)
