"""Compose a report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssmemory.errors import DataError, reject, require
from ssmemory.experiments.page import Page
from ssmemory.files import write_text


def write_report(page: Page, path: Path | str) -> Path:
    """Write a page as one self-contained HTML file, atomically.

    Args:
        page: what an experiment's ``page`` made of its results.
        path: the file.

    Returns:
        The path.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = require("jinja2", extra="plot", purpose="the report")
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return write_text(path, environment.get_template("report.html").render(page=page))


def read_results(path: Path | str, schemas: list[str]) -> dict[str, Any]:
    """Read a ``results.json`` that an experiment wrote.

    Args:
        path: the file, or the folder it lies in.
        schemas: the schema names that are understood.

    Returns:
        The results.

    Raises:
        DataError: no such file, not JSON, or another schema.
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    fix = "name a folder that `ssmemory run` wrote"
    if not path.is_file():
        reject(str(path), expected="a results.json", got="no such file", fix=fix, error=DataError)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        reject(str(path), expected="JSON", got="a damaged file", fix="run the experiment again", error=DataError)
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema not in schemas:
        reject(str(path), expected=f"schema {' or '.join(schemas)}", got=schema, fix=fix, error=DataError)
    return dict(results)
