"""How do I ask? Typed functions turned into commands. Wrong input gives one line and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from collections.abc import Callable
from typing import Any, cast

import tyro

from ssmemory.cli.compare import compare
from ssmemory.cli.evidence import data, list_names, report, run
from ssmemory.cli.measure import MEASURE
from ssmemory.cli.probe import probe
from ssmemory.cli.setup import advise, design
from ssmemory.cli.train import train
from ssmemory.errors import SSMemoryError, reject_unknown

COMMANDS: dict[str, Callable[..., None]] = {
    "compare": compare,
    "advise": advise,
    "design": design,
    "probe": probe,
    "train": train,
    "run": run,
    "list": list_names,
    "report": report,
    "data": data,
}


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """Return a function of the same signature that only collects its arguments."""

    @functools.wraps(command)
    def collect(*positional: Any, **options: Any) -> Callable[[], None]:
        return functools.partial(command, *positional, **options)

    return collect


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command with its arguments; a complaint of the parser is raised as one line."""
    known, program = {"measure": None} | dict(COMMANDS), "ssmemory"
    if arguments[:1] == ["measure"] and arguments[1:] and arguments[1].startswith("--layer"):
        arguments = ["measure", "layer", *arguments[1:]]
    while arguments and not arguments[0].startswith("-"):
        if arguments[0] not in known:
            reject_unknown("measure what" if program != "ssmemory" else "command", arguments[0], known)
        command = known[arguments[0]]
        program, arguments = f"{program} {arguments[0]}", arguments[1:]
        if command is not None:
            return _read(program, functools.partial(tyro.cli, _deferred(command)), arguments)
        known = dict(MEASURE)
    if program == "ssmemory":
        about = "Measure an initialiser's spectrum, a layer or a saved model. Exact; see `ssmemory measure --help`."
        known["measure"] = _described(about)
    collected = {name: _deferred(command) for name, command in known.items() if command is not None}
    parse = functools.partial(tyro.extras.subcommand_cli_from_dict, collected, description=_HELP)
    return _read(program, parse, arguments)


_HELP = "How far back does a sequence model remember? Measure it, train models that keep it, and see the evidence."


def _described(about: str) -> Callable[[], None]:
    def command() -> None:
        raise AssertionError

    command.__doc__ = about
    return command


def _read(program: str, parse: Callable[..., Any], arguments: list[str]) -> Callable[[], None]:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return cast("Callable[[], None]", parse(prog=program, args=arguments))
    except SystemExit as ending:
        if ending.code in (0, None):
            raise
        framed = complaint.getvalue().splitlines()[1:]  # after the title, in a frame or, on a plain terminal, in none
        words = " ".join(filter(None, (_unframed(line) for line in framed)))
        words, _, _ = words.partition("For full helptext")
        raise SSMemoryError(f"{words.strip().rstrip('.')}; see {program} --help") from None


def _unframed(line: str) -> str:
    words = line.strip("│╰╯ ")
    return words if words.strip("─- ") else ""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after ``ssmemory``; those of the process if left out.

    Returns:
        The exit code: 0, 2 after one line about wrong input, 130 after an interruption.
    """
    try:
        _parse(sys.argv[1:] if arguments is None else arguments)()
    except SSMemoryError as error:
        print(f"ssmemory: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "ssmemory: interrupted; run the same command again to go on after the last finished step", file=sys.stderr
        )
        return 130
    return 0
