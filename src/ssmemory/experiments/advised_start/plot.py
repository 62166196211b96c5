"""Figure and tables of the study, from its saved results alone."""

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
    config, summary = results["config"], results["summary"]
    intro = (
        f"{config['n_layers']} block(s) of S4D ({config['d_model']} channels, state size {config['d_state']}), trained "
        f"in the same way from several starts: {'; '.join(results['data'].values())}. {config['n_train']:,} training "
        f"sequences, {config['epochs']} epochs, {len(config['seeds'])} seed(s)."
    )
    caption = "Test accuracy, or the share of the variance explained, in percent; bars are means, dots the seeds."
    figures = [Figure("Which start does best?", draw_svg(_scores, results), caption)]
    head = ["task", "best start", *config["starts"]]
    body = [[row["task"], row["best"], *(row[start] for start in config["starts"])] for row in summary["rows"]]
    tables = [
        claims_table(Path(__file__).parent, summary["claims"]),
        Table("Scores", head, body, f"{caption} Mean ± standard deviation."),
    ]
    notes = [f"Advice for {task}: {found['explained']}" for task, found in summary["advice"].items()]
    notes.append("One learning rate for all starts, a short training, few data: the order is that of this setting.")
    command = f"ssmemory run advised-start --size {results['size']}"
    return Page("Does a start from the data help?", intro, summary["findings"], notes, figures, tables, command)


def _scores(canvas: Any, results: Results) -> None:
    config = results["config"]
    panels = canvas.subplots(1, len(config["tasks"]), squeeze=False)[0]
    for axes, task in zip(panels, config["tasks"], strict=True):
        for k, start in enumerate(config["starts"]):
            runs = [run for run in results["runs"] if (run["task"], run["start"]) == (task, start)]
            scores = [100 * run["score"] for run in runs]
            axes.bar(k, statistics.mean(scores), color=f"C{k}", alpha=0.35, width=0.7)
            axes.plot([k] * len(scores), scores, "o", color=f"C{k}", markersize=4)
        axes.set_xticks(range(len(config["starts"])), config["starts"], rotation=45)
        axes.set_title(task)
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("score (%)")
