"""`ssmemory run`, `report`, `list` and `data`: what is known, and what has been measured?"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssmemory import nn
from ssmemory.errors import MissingExtraError, reject_unknown, require
from ssmemory.init import INITIALISERS


def run(
    name: Annotated[str, tyro.conf.Positional],
    *,
    size: str = "quick",
    out: Path | None = None,
    cache: Path | None = None,
    source: Path | None = None,
) -> None:
    """Run an experiment and write its report; run again to take it up where it was cut off.

    Args:
        name: an experiment, such as frozen-vs-learned; `ssmemory list` names them.
        size: smoke (seconds), quick (minutes), cpu (tens of minutes on two cores) or paper (a GPU).
        out: folder for results.json and index.html; out/NAME-SIZE if left out.
        cache: folder of fetched data.
        source: folder with your own IDX files.
    """
    from ssmemory.experiments import experiment

    chosen = experiment(name)
    for module in ("matplotlib", "jinja2"):  # now, and not after an hour of training
        require(module, extra="plot", purpose="the report")
    if size not in chosen.SIZES:
        reject_unknown("size", size, chosen.SIZES)
    folder = out or Path("out") / f"{name}-{size}"
    results = chosen.run(chosen.SIZES[size], folder, cache=cache, source=source)
    for sentence in results["summary"]["findings"]:
        print(sentence)
    report(folder)


def report(folder: Annotated[Path, tyro.conf.Positional]) -> None:
    """Write index.html anew from the results.json of a folder.

    Args:
        folder: where `ssmemory run` wrote.
    """
    from ssmemory.experiments import EXPERIMENTS, read_results, write_report

    by_schema = {experiment.SCHEMA: experiment for experiment in EXPERIMENTS.values()}
    results = read_results(folder, list(by_schema))
    folder = folder if folder.is_dir() else folder.parent
    path = write_report(by_schema[results["schema"]].page(results), folder / "index.html")
    print(f"report: {path}")


def list_names() -> None:
    """List the initialisers, layers, data sets and experiments."""
    from ssmemory.data import list_datasets

    print("initialisers:", ", ".join(name.replace("_", "-") for name in INITIALISERS))
    print("layers:", ", ".join(nn.LAYERS))
    for known in list_datasets():
        print(f"data: {known.name}: {known.about}; {known.origin}; {known.licence}")
    try:
        from ssmemory.experiments import EXPERIMENTS
    except MissingExtraError as error:
        print(f"experiments: {error}")
        return
    for name, experiment in EXPERIMENTS.items():
        print(f"experiment: {name} ({', '.join(experiment.SIZES)}): {inspect.getdoc(experiment)}")


def data(
    action: Annotated[Literal["fetch"], tyro.conf.Positional],
    name: Annotated[str, tyro.conf.Positional],
    *,
    cache: Path | None = None,
) -> None:
    """Fetch a data set into the cache, checked by sha256.

    Args:
        action: fetch.
        name: such as mnist, imdb, merra2 or plaid; `ssmemory list` names them all.
        cache: folder to keep it in; $SSMEMORY_CACHE or the user's cache folder if left out.
    """
    from ssmemory.data import fetch

    found = fetch(name, cache=cache)
    print(f"{found.dataset.name}: {found.folder}{' (was there)' if found.from_cache else ''}")
