"""Figures of the study, from its saved results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
WAYS = {"after": "reduced after training", "early": "reduced early, trained on", "small": "small from the start"}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, data, summary = results["config"], results["data"], results["summary"]
    intro = (
        f"{config['n_layers']} layer(s) of LRU with {config['d_model']} channels read {data['name']} images of "
        f"{data['length']} pixels one a step and answer from the last. A state of {config['large']} numbers is reduced "
        f"by balanced truncation after {config['epochs']} epochs, or after {config['reduce_after']} and trained on; or "
        f"it is small from the start. {data['training']:,} training images, {len(config['seeds'])} seed(s), one recipe."
    )
    figures = [
        Figure("How small can the state get?", draw_svg(_curves, results),
               "Test accuracy by state size, mean over the seeds, with dots for each; dashed: the large model; "
               "dotted: the predicted sizes."),
        Figure("What the Hankel singular values foretell", draw_svg(_foretold, results),
               "The large models, reduced after training, one line a seed: accuracy lost by the share of the singular "
               "values that is left out (left), and the measured error with its bound (right)."),
    ]  # fmt: skip
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["rows"])]
    command = f"ssmemory run reduced-state --size {results['size']}"
    notes = [
        *([data["note"]] if data["note"] else []),
        "One learning rate for all ways and sizes; the early reduction comes at one epoch, to the final size at once.",
    ]
    return Page("How small can a trained state get?", intro, summary["findings"], notes, figures, tables, command)


def _curves(canvas: Any, results: Results) -> None:
    axes, summary = canvas.subplots(), results["summary"]
    large = [run for run in results["runs"] if run["way"] == "large"]
    sizes = [point["d_state"] for point in large[0]["truncated"]]
    after = [[run["truncated"][k]["test_accuracy"] for run in large] for k in range(len(sizes))]
    axes.plot(sizes, [100 * statistics.mean(a) for a in after], color="C0", linewidth=1.4, label=WAYS["after"])
    axes.plot(sizes, [[100 * v for v in a] for a in after], ".", color="C0", markersize=3)
    for k, way in enumerate(("early", "small")):
        at = [row["d_state"] for row in summary["rows"]]
        scores = [[100 * v for v in row[way]] for row in summary["rows"]]
        axes.plot(at, [statistics.mean(s) for s in scores], color=f"C{k + 1}", linewidth=1.4, label=WAYS[way])
        axes.plot(at, scores, ".", color=f"C{k + 1}", markersize=4)
    axes.axhline(100 * statistics.mean(run["test_accuracy"] for run in large), color="#777777", linestyle="--")
    for size in set(summary["predicted"]):
        axes.axvline(size, color="C0", linewidth=0.9, linestyle=":")
    axes.set(xlabel="d_state", ylabel="test accuracy (%)")
    axes.legend(fontsize=8, loc="lower right")


def _foretold(canvas: Any, results: Results) -> None:
    left, right = canvas.subplots(1, 2)
    for k, run in enumerate(run for run in results["runs"] if run["way"] == "large"):
        points = run["truncated"]
        lost = [100 * (run["test_accuracy"] - point["test_accuracy"]) for point in points]
        left.plot([100 * point["discarded"] for point in points], lost, ".-", color=f"C{k}", linewidth=1, markersize=4)
        shown = [point for point in points if point["bound"] > 0]
        sizes = [point["d_state"] for point in shown]
        right.plot(sizes, [p["error"] for p in shown], ".-", color=f"C{k}", linewidth=1, markersize=4)
        right.plot(sizes, [p["bound"] for p in shown], "--", color=f"C{k}", linewidth=1)
    left.axvline(100 * (1 - results["config"]["level"]), color="#777777", linewidth=0.9, linestyle=":")
    left.axhline(100 * results["config"]["margin"], color="#777777", linewidth=0.9, linestyle="--")
    left.set(xlabel="share left out (%)", ylabel="accuracy lost (points)")
    right.set(xlabel="d_state", ylabel="error and bound (largest value: 1)", yscale="log")


def _table(rows: list[dict[str, Any]]) -> Table:
    head = ["d_state", *WAYS.values(), "early − small", "95 % interval"]
    body = []
    for row in rows:
        gain = row["over_small"]
        told = "–" if gain["low"] is None else f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}"
        means = [f"{100 * statistics.mean(row[way]):.1f}" for way in WAYS]
        body.append([str(row["d_state"]), *means, f"{100 * gain['mean']:+.1f}", told])
    return Table("Accuracy by state size", head, body, "Test accuracy in %, mean over the seeds; differences by seed.")
