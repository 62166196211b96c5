"""The documentation: pages in Markdown, the API from the docstrings, a gallery that runs."""

from __future__ import annotations

import importlib
import json
import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

project = "ssmemory"
author = "The ssmemory authors"
copyright = author  # noqa: A001
version = release = installed("ssmemory")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["gallery", "_generated", "sg_execution_times.rst"]
html_theme = "furo"
html_title = "ssmemory"
html_static_path: list[str] = []
html_show_sourcelink = False
templates_path: list[str] = []

default_role = "py:obj"  # `name` in a docstring links where there is such an object
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # "*batch" in a shape is not an emphasis
napoleon_custom_sections = ["Shape", "Numerics", "Source"]
myst_heading_anchors = 2
suppress_warnings = [
    "config.cache",  # the gallery's settings hold functions, which cannot be kept between builds
    "ref.python",  # `rank` in a docstring may be an attribute of several classes
]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}

FLOORS = ("memory", "learning", "systems", "init", "nn", "fit", "data", "experiments", "ops", "errors", "files")
BY_HAND = {
    "errors": [
        "SSMemoryError", "InputError", "UnstableError", "DataError", "UnreachableError", "MissingExtraError",
        "reject", "reject_unknown", "require",
    ],
    "files": ["cache_folder", "replacing", "write_text", "write_json", "claim_folder"],
}  # fmt: skip


def _escaped(text: str) -> str:
    """Return a line whose ``*``, ``|`` and trailing ``_`` outside of literals mean themselves."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts)


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    literal = -1  # the indentation that opened a literal block or a table
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal >= 0 and line.strip() and indent <= literal:
            literal = -1
        if literal < 0 and not line.lstrip().startswith((">>>", "...")):
            lines[i] = _escaped(line)
        if line.rstrip().endswith("::"):
            literal = indent


def _api_pages() -> None:
    """Write one page a floor, from its public names."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    for floor in FLOORS:
        module = importlib.import_module(f"ssmemory.{floor}")
        names = BY_HAND.get(floor) or module.__all__
        about = (module.__doc__ or "").strip().splitlines()[0]
        text = [f"# `ssmemory.{floor}`", "", about, "", "```{eval-rst}", f".. currentmodule:: ssmemory.{floor}", ""]
        for name in names:
            thing = getattr(module, name)
            if isinstance(thing, type):
                inherited = ["   :inherited-members: Module"] if floor == "nn" else []
                text += [f".. autoclass:: {name}", "   :members:", *inherited, ""]
            elif callable(thing) and hasattr(thing, "__code__"):
                text += [f".. autofunction:: {name}", ""]
            elif hasattr(thing, "__path__"):
                continue  # an experiment's package
            else:
                text += [f".. py:data:: {name}", "", f"   ``{_shown(thing)}``", ""]
        _write(folder / f"{floor}.md", "\n".join([*text, "```", ""]))
    toctree = "\n".join(["# API", "", "```{toctree}", *FLOORS, "```", ""])
    _write(folder / "index.md", toctree)


def _shown(thing: Any) -> str:
    return ", ".join(thing) if isinstance(thing, dict) else str(thing).removeprefix("typing.")


def _which_layer() -> None:
    """Write what `ssmemory run which-layer` found, from its committed results."""
    from ssmemory.experiments import EXPERIMENTS

    page = EXPERIMENTS["which-layer"].page(
        json.loads((HERE / "results" / "which-layer-cpu.json").read_text(encoding="utf-8"))
    )
    text = [page.intro, "", *(f"{sentence}\n" for sentence in page.findings)]
    for table in page.tables:
        rows = [table.head, ["---"] * len(table.head), *table.rows]
        text += [f"**{table.title}**", "", *("| " + " | ".join(row) + " |" for row in rows), "", table.caption, ""]
    for figure in page.figures:
        svg = re.sub(r"\n\s*\n", "\n", figure.svg)
        text += [f"**{figure.title}**", "", "```{raw} html", svg, "```", "", figure.caption, ""]
    text += ["What limits these findings:", "", *(f"- {note}" for note in page.notes), ""]
    text += [f"Command: `{page.command}`.", ""]
    (HERE / "_generated").mkdir(exist_ok=True)
    _write(HERE / "_generated" / "which-layer.md", "\n".join(text))


def _claims() -> None:
    """Write the page of claims anew from the committed results; it is committed too, and a test compares it."""
    from ssmemory.experiments import EXPERIMENTS
    from ssmemory.experiments.ledger import claims_document

    _write(HERE / "claims.md", claims_document(HERE / "results", EXPERIMENTS))


def _write(path: Path, text: str) -> None:
    """Leave a file alone that says the same, so that a second build has nothing to do."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _skip(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn makes for its estimators, such as set_score_request: its own pages explain it."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> None:
    """Write the generated pages, and read the docstrings as they are written."""
    _api_pages()
    _which_layer()
    _claims()
    app.connect("autodoc-process-docstring", _process, priority=100)  # before napoleon
    app.connect("autodoc-skip-member", _skip)
