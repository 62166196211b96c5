"""Figures and tables of the sweep, from its saved results alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table
from ssmemory.experiments.sweep import percent

COLOURS = {"long": "#0b6e4f", "short": "#c46210", "hopeless": "#7a5195"}
NAMES = {"long": "long memory", "short": "shorter memory, tuned", "hopeless": "hopeless"}
STYLES = {"learned": "-", "frozen": (0, (5, 2))}

Results = dict[str, Any]


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
    seeds, dts = len(config["seeds"]), len(config["dts"])
    many = f"{seeds} seeds" if seeds > 1 else "one seed"
    intro = (
        f"{config['n_layers']} layers of S4D ({config['d_model']} channels, state size {config['d_state']} each, "
        f"S4D-Lin spectrum) read {data['name']} images as {data['length']} pixels, one a step, and answer from the "
        f"last step. Each of {dts} steps dt is trained with learned and with frozen eigenvalues from the same initial "
        f"values ({many}): {data['training']:,} images, {config['epochs']} epochs. Test scores are on "
        f"{data['test']:,} images seen once, after training. All memory functions are exact; each is of the "
        "layer's own input, taken as white."
    )
    drawings: list[tuple[str, Callable[[Any, Results], None], str]] = [
        ("How far back does each layer remember?", _memory, "Memory function of a layer (median over layers, channels "
         "and seeds) before training (dashed) and after learning (solid); dotted: the bound min(1, N/(τ+1)) that no "
         "spectrum of this state size can pass. Frozen layers stay on the dashed curve."),
        ("Which step dt was right?", _over_dt, "Test accuracy over the step dt, mean over the seeds; bars: smallest "
         "to largest. The grey line says how well a layer remembers the first pixel at the end, before training."),
        ("Was training finished?", _curves, "Loss on the training images and accuracy on the validation images by "
         "epoch, mean over the seeds: learned recurrence solid, frozen dashed."),
        ("Where did learning move the eigenvalues?", _eigenvalues, "Eigenvalues in the complex plane, upper half, "
         "of the first layer (seed 0): before training, and after learning. The line is the unit circle."),
    ]  # fmt: skip
    figures = [Figure(title, draw_svg(draw, results), caption) for title, draw, caption in drawings]
    size = results["size"]
    command = f"ssmemory run frozen-vs-learned --size {size}" if size != "custom" else "run(Config(…), folder)"
    notes = _notes(results)
    title = "Frozen or learned: what does the recurrence need?"
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["curve"], summary["starts"])]
    return Page(title, intro, summary["findings"], notes, figures, tables, command)


def _notes(results: Results) -> list[str]:
    config, data, summary = results["config"], results["data"], results["summary"]
    notes = [data["note"]] if data["note"] else []
    rises = {
        mode: next(p for p in summary["curve"] if p["dt"] == summary["starts"]["long"] and p["mode"] == mode)
        for mode in STYLES
    }
    rising = [
        f"{mode} by {100 * point['rise_in_last_epoch']:+.1f} points"
        for mode, point in rises.items()
        if point["rise_in_last_epoch"] is not None
    ]
    if rising:
        notes.append(
            f"In the last epoch validation accuracy of the long start still changed, {' and '.join(rising)}: these are "
            "scores after a short training, not the best that such models reach."
        )
    notes.append(
        f"{data['training']:,} training images, seeds {', '.join(map(str, config['seeds']))}, one spectrum family, "
        f"one learning rate for all ({config['lr']:g}; {config['ssm_lr']:g} for the recurrence)."
    )
    notes.append(f"Licence of the data: {data['licence']}")
    return notes


def _chosen(results: Results, start: str, mode: str) -> list[dict[str, Any]]:
    dt = results["summary"]["starts"][start]
    return [run for run in results["runs"] if run["dt"] == dt and run["mode"] == mode]


def _starts(results: Results) -> list[str]:
    """The named starts, each dt once."""
    seen: dict[float, str] = {}
    for name, dt in results["summary"]["starts"].items():
        seen.setdefault(dt, name)
    return list(seen.values())


def _memory(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    rank = 1.0
    for start in _starts(results):
        runs = _chosen(results, start, "learned")
        for when, style in (("before", (0, (4, 2))), ("after", "-")):
            layers = [layer for run in runs for layer in run[when]]
            steps = [lag + 1 for lag in layers[0]["lags"]]
            median = [
                max(1e-9, statistics.median(values)) for values in zip(*(la["median"] for la in layers), strict=True)
            ]
            label = f"{NAMES[start]} (dt = {results['summary']['starts'][start]:g})" if when == "after" else None
            axes.plot(steps, median, color=COLOURS[start], linestyle=style, linewidth=1.8, label=label)
            rank = max(rank, *(layer["rank"] for layer in layers))
    steps = list(range(1, results["data"]["length"] + 1))
    bound = [min(1.0, rank / step) for step in steps]
    axes.plot(steps, bound, color="#555555", linestyle=":", linewidth=1.4, label="bound N/(τ+1)")
    axes.set(xscale="log", yscale="log", xlabel="steps back (lag + 1)", ylabel="memory function", ylim=(1e-4, 1.5))
    axes.legend(loc="lower left")


def _over_dt(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    curve = results["summary"]["curve"]
    for mode, colour, marker in (("learned", "#1f5fa8", "o"), ("frozen", "#b5322a", "s")):
        points = [point for point in curve if point["mode"] == mode]
        mean = [100 * point["test_accuracy"] for point in points]
        low = [m - 100 * point["test_accuracy_min"] for m, point in zip(mean, points, strict=True)]
        high = [100 * point["test_accuracy_max"] - m for m, point in zip(mean, points, strict=True)]
        dts = [point["dt"] * (1.03 if mode == "frozen" else 0.97) for point in points]
        axes.errorbar(dts, mean, yerr=[low, high], color=colour, marker=marker, capsize=3, label=mode, linewidth=1.6)
    for start in _starts(results):
        dt = results["summary"]["starts"][start]
        axes.axvline(dt, color=COLOURS[start], linewidth=7, alpha=0.12)
        axes.annotate(start, (dt, 1.0), xycoords=("data", "axes fraction"), ha="center", color=COLOURS[start])
    axes.set(xscale="log", xlabel="step dt (short memory →)", ylabel="test accuracy (%)")
    axes.legend(loc="lower left")
    memory = axes.twinx()
    points = [point for point in curve if point["mode"] == "frozen"]
    first = [point["first_input_before"] for point in points]
    memory.plot([point["dt"] for point in points], first, color="#888888", linestyle=":", marker=".")
    memory.set_ylabel("memory of the first pixel, before training", color="#666666")
    memory.set_ylim(bottom=0)
    memory.grid(visible=False)


def _curves(canvas: Any, results: Results) -> None:
    left, right = canvas.subplots(1, 2)
    panels = ((left, "train_loss", "training loss", 1), (right, "validation_accuracy", "validation accuracy (%)", 100))
    for axes, name, label, scale in panels:
        for start in _starts(results):
            for mode, style in STYLES.items():
                rows = [run["rows"][1:] for run in _chosen(results, start, mode)]
                epochs = [row["epoch"] for row in rows[0]]
                mean = [scale * statistics.mean(row[name] for row in at) for at in zip(*rows, strict=True)]
                shown = f"{start}, {mode}"
                axes.plot(epochs, mean, color=COLOURS[start], linestyle=style, linewidth=1.6, marker=".", label=shown)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    left.set_yscale("log")
    right.legend(loc="best", fontsize=8)


def _eigenvalues(canvas: Any, results: Results) -> None:
    starts = _starts(results)
    canvas.set_size_inches(7.2, 2.6)
    panels = canvas.subplots(1, len(starts), squeeze=False)[0]
    angles = [i * pi / 400 for i in range(401)]
    for axes, start in zip(panels, starts, strict=True):
        run = min(_chosen(results, start, "learned"), key=lambda run: run["seed"])
        axes.plot([cos(a) for a in angles], [sin(a) for a in angles], color="#555555", linewidth=0.8)
        for when, colour, size in (("after", COLOURS[start], 5), ("before", "#111111", 7)):
            layer = run[when][0]
            real = [value for modes in layer["eigenvalues_real"] for value in modes]
            imag = [abs(value) for modes in layer["eigenvalues_imag"] for value in modes]
            marker = "o" if when == "after" else "x"
            axes.scatter(real, imag, s=size, marker=marker, color=colour, linewidths=0.6, alpha=0.7, label=when)
        axes.set(title=f"{start} (dt = {results['summary']['starts'][start]:g})", xlabel="Re λ", aspect="equal")
        axes.title.set_fontsize(10)
    panels[0].set_ylabel("Im λ")
    panels[0].legend(loc="lower left", bbox_to_anchor=(0.14, 0.02), fontsize=8)  # inside the half circle


def _table(curve: list[dict[str, Any]], starts: dict[str, float]) -> Table:
    head = ["dt", "start", "recurrence", "test accuracy", "reach before → after", "first pixel before → after",
            "trained numbers", "s / epoch"]  # fmt: skip
    rows = []
    for point in curve:
        names = ", ".join(name for name, dt in starts.items() if dt == point["dt"])
        rows.append([
            f"{point['dt']:g}", names, point["mode"], percent(point).replace(" ", "\u00a0"),
            f"{point['reach_before']:.0f} → {point['reach_after']:.0f}",
            f"{point['first_input_before']:.2g} → {point['first_input_after']:.2g}",
            f"{point['trained_parameters']:,}", f"{point['seconds_per_epoch']:.1f}",
        ])  # fmt: skip
    caption = (
        "Test accuracy: mean ± standard deviation over the seeds. Reach: steps read back with a memory function of at "
        "least 0.1, at most the sequence length. First pixel: memory function at the largest lag. Both are medians "
        "over channels, layers and seeds."
    )
    return Table("All starts", head, rows, caption)
