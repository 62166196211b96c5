"""Figures of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.imaginary_parts.findings import ALL, INPUTS, OWN
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
SPACING = "spacing of frequencies (2π/L)"


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config = results["config"]
    intro = (
        f"An undamped S4D of state size {config['d_state']} sees windows of L = {config['length']} steps. Its "
        "frequencies lie at equal distances around a centre. Its C is trained, first to the end, on targets that it "
        f"can give exactly, then from few noisy windows, on sums of {config['tones']} sinusoids whose frequencies are "
        "drawn from a band around the same centre. Predictions use eigenvalues, target and the input's autocovariance."
    )
    figures = [
        Figure("How well conditioned is training?", draw_svg(_conditioning, results),
               "Condition number of what C weighs: lines predicted (K R K*), dots of the layer's states, one a seed."),
        Figure("How many steps does descent take?", draw_svg(_steps, results),
               "Steps to lose 95 % of the learnable loss at the best learning rate: lines are predicted medians, dots "
               "measured, one a target and seed; triangles were given up."),
        Figure("Do Adam and whitening help?", draw_svg(_controls, results),
               "White input, targets of all directions: every target, medians as lines; triangles were given up."),
        Figure("Which spacing learns best from few samples?", draw_svg(_errors, results),
               "Test error on a target of unit energy, from n windows: lines predicted, dots measured, one a seed."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, results["summary"]["claims"]), _best(results)]
    notes = [
        "Readout only, of frozen eigenvalues without decay, one layer, linear targets, Gaussian input.",
        "Steps to 95 % jump where a slow mode holds about 5 % of a target: single targets may miss the prediction far.",
        "The estimates from few samples have white input.",
        "The prediction for few steps takes the covariance of the states for that of the population.",
    ]
    command = f"ssmemory run imaginary-parts --size {results['size']}"
    title = "How far apart should frequencies lie?"
    return Page(title, intro, results["summary"]["findings"], notes, figures, tables, command)


def _best(results: Results) -> Table:
    config, wins = results["config"], results["summary"]["wins"]
    methods = list(dict.fromkeys(win["method"] for win in wins))
    rows = [
        [f"{band:g}", method, *(_cell(wins, band, method, n) for n in config["samples"])]
        for band in config["bands"]
        for method in methods
    ]
    caption = "Spacing of least test error, measured (predicted in brackets). The band is in units of 2π/L."
    return Table("Best spacing", ["band", "estimate", *(f"n {n}" for n in config["samples"])], rows, caption)


def _cell(wins: list[Results], band: float, method: str, n: int) -> str:
    win = next(win for win in wins if (win["band"], win["method"], win["n"]) == (band, method, n))
    return f"{win['best']:g} ({win['foreseen']:g})"


def _conditioning(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for k, name in enumerate(INPUTS):
        rows = [row for row in results["summary"]["steps"] if (row["input"], row["target"]) == (name, ALL)]
        axes.plot([row["spacing"] for row in rows], [row["conditioning"] for row in rows], color=f"C{k}", label=name)
        for run in results["runs"]:
            row = next(row for row in run["training"] if row["input"] == name)
            axes.plot(run["spacing"], row["measured_conditioning"], "o", color=f"C{k}", markersize=3.5)
    axes.set(xscale="log", yscale="log", xlabel=SPACING, ylabel="condition number")
    _ticks(axes, results)
    axes.legend(title="input")


def _steps(canvas: Any, results: Results) -> None:
    panels = canvas.subplots(1, 2, sharey=True)
    for axes, target in zip(panels, (ALL, OWN), strict=True):
        for k, name in enumerate(INPUTS):
            rows = [row for row in results["summary"]["steps"] if (row["input"], row["target"]) == (name, target)]
            axes.plot([row["spacing"] for row in rows], [row["predicted"] for row in rows], color=f"C{k}", label=name)
            _dots(axes, results, name, target, "descent", f"C{k}", shift=1 + 0.06 * (k - 1))
        axes.set(xscale="log", yscale="log", xlabel=SPACING, title=f"target of {target}")
        _ticks(axes, results)
    panels[0].set(ylabel="steps to 95 %")
    panels[1].legend(title="input")


def _controls(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    rows = [row for row in results["summary"]["steps"] if (row["input"], row["target"]) == ("white", ALL)]
    for k, (name, label) in enumerate((("descent", "descent"), ("adam", "Adam"), ("whitened", "descent, whitened"))):
        known = [row for row in rows if row[name] is not None]
        line = [row[name] for row in known]
        axes.plot([row["spacing"] for row in known], line, color=f"C{k}", linewidth=1.2, label=label)
        _dots(axes, results, "white", ALL, name, f"C{k}", shift=1 + 0.06 * (k - 1))
    axes.set(xscale="log", yscale="log", xlabel=SPACING, ylabel="steps to 95 %")
    _ticks(axes, results)
    axes.legend()


def _errors(canvas: Any, results: Results) -> None:
    config, errors = results["config"], results["summary"]["errors"]
    bands = [min(config["bands"], key=lambda band: abs(band - wanted)) for wanted in (2, 8)]
    methods = ["least squares", f"{config['budgets'][0]} steps"]
    canvas.set_size_inches(7.2, 5.6)
    panels = canvas.subplots(2, 2, sharex=True, sharey="row")
    for line, band in zip(panels, bands, strict=True):
        for axes, method in zip(line, methods, strict=True):
            for k, n in enumerate(config["samples"]):
                rows = [row for row in errors if (row["band"], row["method"], row["n"]) == (band, method, n)]
                at = [row["spacing"] for row in rows]
                axes.plot(at, [row["predicted"] for row in rows], color=f"C{k}", linewidth=1.2, label=f"n {n}")
                for row in rows:
                    dots = row["seeds"]
                    axes.plot([row["spacing"]] * len(dots), dots, "o", color=f"C{k}", markersize=3)
            axes.set(xscale="log", yscale="log", title=f"band {band:g}: {method}")
            _ticks(axes, results)
        line[0].set(ylabel="test error")
    for axes in panels[1]:
        axes.set(xlabel=SPACING)
    panels[0, 0].legend(fontsize=8)


def _dots(axes: Any, results: Results, name: str, target: str, key: str, colour: str, *, shift: float) -> None:
    """Draw every run; one that was given up as a triangle at the longest training."""
    for run in results["runs"]:
        for row in run["training"]:
            if (row["input"], row["target"]) != (name, target):
                continue
            at = run["spacing"] * shift  # beside each other, not on each other
            if row[key] is None:
                axes.plot(at, results["config"]["longest"], "^", color=colour, markerfacecolor="none", markersize=5)
            else:
                axes.plot(at, row[key], "o", color=colour, markersize=3, alpha=0.7)


def _ticks(axes: Any, results: Results) -> None:
    spacings = results["config"]["spacings"]
    axes.set_xticks(spacings, [f"{spacing:g}" for spacing in spacings], fontsize=8)
    axes.minorticks_off()
