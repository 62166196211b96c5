"""What goes wrong, said in one line: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import NoReturn


class SSMemoryError(Exception):
    """Base class of every error that this package raises on purpose."""


class InputError(SSMemoryError, ValueError):
    """An argument is outside what the function accepts."""


class UnstableError(InputError):
    """A system has an eigenvalue on or outside the unit circle where a stable one is needed."""


class DataError(SSMemoryError, OSError):
    """A data set could not be fetched, verified or read."""


class UnreachableError(DataError):
    """A data set is not in the cache, and what would fetch it is missing or cannot reach its source."""


class MissingExtraError(SSMemoryError, ImportError):
    """An optional dependency is not installed."""


def reject(what: str, *, expected: object, got: object, fix: str, error: type[SSMemoryError] = InputError) -> NoReturn:
    """Raise ``error`` with the one line that every message of this package follows.

    Args:
        what: the argument or file that is wrong.
        expected: what would have been accepted.
        got: what came instead.
        fix: what the reader should do now.
        error: the exception class.

    Raises:
        SSMemoryError: always.

    Example:
        >>> reject("lags", expected="at least one lag", got="none", fix="pass n for lags 0..n-1")
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: lags: expected at least one lag, got none; pass n for lags 0..n-1
    """
    raise error(f"{what}: expected {expected}, got {got}; {fix}")


def reject_unknown(what: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise `InputError` for a name that is not known, naming the nearest one that is.

    Args:
        what: what kind of thing the name was meant to be.
        name: the name given.
        known: the names that exist.

    Raises:
        InputError: always.

    Example:
        >>> reject_unknown("initialiser", "s4d_line", ["s4d_lin", "ring"])
        Traceback (most recent call last):
        ...
        ssmemory.errors.InputError: initialiser: expected one of s4d_lin, ring, got 's4d_line'; did you mean 's4d_lin'?
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else "choose one of these"
    reject(what, expected=f"one of {', '.join(names)}", got=repr(name), fix=fix)


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say in one line which extra brings it.

    Args:
        module: the module's import name.
        extra: the extra of this package that installs it.
        purpose: what it is needed for.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: the module is not installed.

    Example:
        >>> require("math", extra="plot", purpose="drawing").pi > 3
        True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        message = f"{purpose}: expected the package {module!r}, got none installed; pip install 'ssmemory[{extra}]'"
        raise MissingExtraError(message) from None
