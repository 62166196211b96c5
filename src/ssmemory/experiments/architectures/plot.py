"""Figure and tables of the study, from its saved results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssmemory.experiments.claims import claims_table
from ssmemory.experiments.drawing import draw_svg
from ssmemory.experiments.page import Figure, Page, Table

Results = dict[str, Any]
_STYLES = {"exact": "-", "given its keys": "--", "one eigenvalue": ":", "all it keeps": "-"}


def page(results: Results) -> Page:
    """Return the report page of ``results.json``.

    Args:
        results: what `run` returned or `read_results` read.

    Returns:
        The page.
    """
    config, summary = results["config"], results["summary"]
    intro = (
        f"Layers of {config['d_model']} channels as they start, each with the largest state of at most "
        f"{config['bytes']} bytes, and all with one d_state of {config['d_state']}: how well is the input of so many "
        "steps ago read, linearly, off the state? Exact, but for linear attention, whose memory is that of its values "
        "given its keys. Beside them what eigenvalues, Gram matrices and gates decide."
    )
    caption = (
        "Memory function, median over the channels, mean over the seeds; dashed: linear attention given its keys, "
        "dotted: its one eigenvalue."
    )
    figures = [Figure(f"What {config['bytes']} bytes of state remember", draw_svg(_memories, results), caption)]
    tables = [claims_table(Path(__file__).parent, summary["claims"]), _table(summary["table"])]
    command = f"ssmemory run architectures --size {results['size']}"
    notes = [
        "As initialised: training may move all of this.",
        "Channels are independent of each other; d_state is each layer's own: of every channel in S4D and S4, of all "
        "together in S5, LRU and LinearRNN.",
        "A KiB holds 256·H/(H + heads) for linear attention, whose normaliser is a column a head, and 256·H/(2H + 1) "
        "for softmax attention, which keeps a key beside every value, H the channels.",
        "Under gates a direction counts above 1e-10 of the largest; values count as white given the gates.",
        *(f"{name}: {about}." for name, about in results["data"].get("inputs", {}).items()),
    ]
    return Page("Which architecture remembers how much?", intro, summary["findings"], notes, figures, tables, command)


def _memories(canvas: Any, results: Results) -> None:
    rows = [row for row in results["summary"]["table"] if row["by"] == "bytes"]
    names = list(rows[0]["curves"])
    panels = canvas.subplots(1, len(names), sharey=True, squeeze=False)[0]
    layers = list(dict.fromkeys(row["name"] for row in rows))
    for axes, name in zip(panels, names, strict=True):
        for row in rows:
            label = row["name"] if row["how"] != "one eigenvalue" else None
            axes.plot(
                [lag + 1 for lag in row["lags"]], row["curves"][name], _STYLES[row["how"]],
                color=f"C{layers.index(row['name'])}", linewidth=1.3, label=label,
            )  # fmt: skip
        axes.set(title=f"{name} input", xscale="log", yscale="log", ylim=(1e-4, 1.3), xlabel="steps back (lag + 1)")
    panels[0].set_ylabel("memory function")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)


def _table(rows: list[dict[str, Any]]) -> Table:
    lags = rows[0]["lags"]
    names = list(rows[0]["curves"])
    marks = [min(range(len(lags)), key=lambda k: abs(lags[k] - lag)) for lag in (10, 100)]
    head = ["compared by", "layer", "", "d_state", "bytes", "capacity", "a KiB"]
    head += [f"MF({lags[k]}) {name}" for name in names for k in marks]
    body = [
        [
            row["by"], row["name"], row["how"], str(row["d_state"]), str(row["bytes"]), f"{row['capacity']:.4g}",
            f"{row['per_kib']:.4g}", *(f"{row['curves'][name][k]:.2g}" for name in names for k in marks),
        ]
        for row in rows
    ]  # fmt: skip
    caption = "Capacity of all channels, for white input; of attention d_state is the steps that it keeps."
    return Table("Capacity and memory", head, body, caption)
