"""Figures and table of the study, from its saved results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

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
    config, data = results["config"], results["data"]
    intro = (
        f"One layer of S4D with S4D-Lin's frequencies, zero real parts and frozen eigenvalues reads {data['name']} "
        "images one pixel a step and answers from the last step, at every dt: pixels as they are, decorrelated, and "
        "those filtered to be autoregressive. "
        f"{config['n_train']:,} training images, {config['epochs']} epochs, {len(config['seeds'])} seeds."
    )
    caption = "Test accuracy by dt, mean over the seeds, with dots for each; dashed: the rule, solid: unit variance."
    figures = [Figure("Where is the best step?", draw_svg(_curves, results), caption)]
    summary = results["summary"]
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["rows"])]
    command = f"ssmemory run step-rule --size {results['size']}"
    notes = [*([data["note"]] if data["note"] else []), "One learning rate for all steps, not tuned a step."]
    return Page("Does the rule find the step?", intro, summary["findings"], notes, figures, tables, command)


def _curves(canvas: Any, results: Results) -> None:
    rows = results["summary"]["rows"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    panels = canvas.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for k, row in enumerate(row for row in rows if row["kind"] == kind):
            runs = [r for r in results["runs"] if (r["side"], r["kind"]) == (row["side"], kind)]
            steps = sorted({r["dt"] for r in runs})
            mean = [100 * statistics.mean(r["test_accuracy"] for r in runs if r["dt"] == dt) for dt in steps]
            axes.plot(steps, mean, color=f"C{k}", linewidth=1.4, label=f"L = {row['length']}")
            axes.plot(
                [r["dt"] for r in runs], [100 * r["test_accuracy"] for r in runs], ".", color=f"C{k}", markersize=3
            )
            axes.axvline(row["dt_rule"], color=f"C{k}", linewidth=0.9, linestyle="--")
            axes.axvline(row["dt_unit"], color=f"C{k}", linewidth=0.9)
        axes.set(title=kind, xscale="log", xlabel="dt")
        axes.legend(fontsize=8)
    panels[0].set_ylabel("test accuracy (%)")


def _table(rows: list[dict[str, Any]]) -> Table:
    head = ["data", "L", "λ_max", "best dt", "rule", "unit variance", "best (%)", "at the rule", "at unit variance"]
    body = [
        [
            row["kind"], str(row["length"]),
            *(f"{row[name]:.3g}" for name in ("lambda_max", "best_dt", "dt_rule", "dt_unit")),
            *(f"{100 * row[name]:.1f}" for name in ("best", "at_rule", "at_unit")),
        ]
        for row in rows
    ]  # fmt: skip
    return Table("Steps", head, body, "Test accuracy, mean over the seeds. Best: of the grid of multiples of 1/L.")
