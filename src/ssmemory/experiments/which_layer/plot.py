"""Figures and tables of the comparison, from its saved results alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table
from ssmemory.experiments.sweep import percent

COLOURS = ("#0b6e4f", "#1f5fa8", "#5fa8d3", "#7a5195", "#c46210", "#b5322a", "#8a8d2f", "#555555")
STYLES = ("-", (0, (5, 2)))

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
    config, data = results["config"], results["data"]
    seeds = len(config["seeds"])
    intro = (
        f"{config['n_layers']} blocks of each layer ({config['d_model']} channels) read {data['name']} images as "
        f"{data['length']} pixels, one a step, and answer from the last step, all with the same encoder, mixing, "
        f"images and training ({data['training']:,} images, {config['epochs']} epochs, "
        f"{seeds} seed{'s' if seeds > 1 else ''}). Test scores are on {data['test']:,} images seen once, after "
        "training. Memory functions are exact, each of the layer's own input, taken as white."
    )
    drawings: list[tuple[str, Callable[[Any, Results], None], str]] = [
        ("How well does each layer do?", _scores, "Test accuracy: the mean over the seeds, and a dot for each seed."),
        ("How far back does each layer remember?", _memory, "Memory function before training, median over layers, "
         "channels and seeds. For layers whose state is shared by all channels (S5, LRU, linear RNN) it is that of "
         "one input channel while all the others are driven too; for linear attention that of its decay, at a "
         "constant key. Softmax attention has no state that compresses, and no curve."),
        ("How fast does each layer learn?", _curves, "Accuracy on the validation images by epoch, mean over the "
         "seeds."),
    ]  # fmt: skip
    figures = [Figure(title, draw_svg(draw, results), caption) for title, draw, caption in drawings]
    size = results["size"]
    command = f"ssmemory run which-layer --size {size}" if size != "custom" else "run(Config(…), folder)"
    title = "Which layer when?"
    summary = results["summary"]
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["rows"])]
    return Page(title, intro, summary["findings"], _notes(results), figures, tables, command)


def _notes(results: Results) -> list[str]:
    config, data = results["config"], results["data"]
    options = "; ".join(
        f"{c['name']}: {', '.join(f'{k} {_shown(v)}' for k, v in c['options'].items()) or 'as the layer chooses'}"
        for c in config["contestants"]
    )
    return [
        *([data["note"]] if data["note"] else []),
        f"One learning rate for all ({config['lr']:g}; {config['ssm_lr']:g} for the recurrence), not tuned a layer; "
        "a short training on few images. The order of layers is that of this setting.",
        f"Starts: {options}. The state size is one of every channel for S4D and S4, one of all channels together for "
        "S5, LRU and the linear RNN.",
        f"Licence of the data: {data['licence']}",
    ]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _named(results: Results) -> list[tuple[str, Any, Any]]:
    """Every layer with its colour and line."""
    names = [row["name"] for row in results["summary"]["rows"]]
    return [(name, COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)]) for i, name in enumerate(names)]


def _scores(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for i, (name, colour, _) in enumerate(_named(results)):
        scores = [100 * run["test_accuracy"] for run in results["runs"] if run["name"] == name]
        axes.barh(i, statistics.mean(scores), color=colour, alpha=0.35, height=0.6)
        axes.plot(scores, [i] * len(scores), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(results["summary"]["rows"])), [name for name, _, _ in _named(results)])
    axes.invert_yaxis()
    axes.set(xlabel="test accuracy (%)", xlim=(0, 100))
    axes.grid(visible=False, axis="y")


def _memory(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for name, colour, style in _named(results):
        layers = [layer for run in results["runs"] if run["name"] == name for layer in run["before"]]
        if layers:
            steps = [lag + 1 for lag in layers[0]["lags"]]
            median = [
                max(1e-9, statistics.median(values)) for values in zip(*(la["median"] for la in layers), strict=True)
            ]
            axes.plot(steps, median, color=colour, linestyle=style, linewidth=1.7, label=name)
    axes.set(xscale="log", yscale="log", xlabel="steps back (lag + 1)", ylabel="memory function", ylim=(1e-5, 1.5))
    axes.legend(loc="lower left", fontsize=8)


def _curves(canvas: Any, results: Results) -> None:
    axes = canvas.subplots()
    for name, colour, style in _named(results):
        rows = [run["rows"][1:] for run in results["runs"] if run["name"] == name]
        mean = [100 * statistics.mean(row["validation_accuracy"] for row in at) for at in zip(*rows, strict=True)]
        epochs = [row["epoch"] for row in rows[0]]
        axes.plot(epochs, mean, color=colour, linestyle=style, linewidth=1.6, marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="best", fontsize=8)


def _table(rows: list[dict[str, Any]]) -> Table:
    def change(row: dict[str, Any], name: str, form: str) -> str:
        before, after = row[f"{name}_before"], row[f"{name}_after"]
        return "–" if before is None else f"{before:{form}} → {after:{form}}"

    head = ["layer", "test accuracy", "capacity", "reach before → after", "first pixel before → after"]
    head += ["trained numbers"]
    body = [
        [
            row["name"], percent(row), "–" if row["rank"] is None else f"{row['rank']:.0f}",
            change(row, "reach", ".0f"), change(row, "first_input", ".2g"),
            f"{row['trained_parameters']:,}",
        ]
        for row in rows
    ]  # fmt: skip
    caption = (
        "Test accuracy: mean ± standard deviation over the seeds. Capacity: the state directions of one system. Reach: "
        "steps read back with a memory function of at least 0.1, at most the sequence length. First pixel: memory "
        "function at the largest lag. Medians over channels, layers and seeds; – where a layer has no linear system."
    )
    return Table("All layers", head, body, caption)
