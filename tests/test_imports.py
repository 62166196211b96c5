"""What an import costs, what works without the extras, and that every public argument is documented."""

import dataclasses
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

import ssmemory

FLOORS = ["data", "experiments", "fit", "init", "learning", "memory", "nn", "ops", "systems"]
PUBLIC = [(floor, name) for floor in FLOORS for name in sorted(importlib.import_module(f"ssmemory.{floor}").__all__)]


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


IMPORT = """
import sys
import ssmemory
heavy = ("torch", "numpy", "numba", "matplotlib", "lightning", "pandas", "sklearn", "jinja2", "joblib", "tyro")
print([name for name in heavy if name in sys.modules])
from ssmemory import LinearSystem, memory_function
print([name for name in heavy if name in sys.modules])
memory_function(LinearSystem.from_eigenvalues([0.5, 0.9]), 5).describe()
print([name for name in heavy[3:] if name in sys.modules])
"""


def test_import_is_light_and_silent():
    done = python(IMPORT)
    at_once, with_the_function, in_use = done.stdout.splitlines()
    assert at_once == "[]"
    assert with_the_function == "['torch', 'numpy']"
    assert in_use == "[]"
    assert done.stderr == ""


EXTRAS = {"lightning": "fit", "joblib": "fit", "sklearn": "fit", "tqdm": "fit"} | {
    "matplotlib": "plot",
    "pandas": "plot",
    "jinja2": "plot",
}
BARE = """
import contextlib, io, json, sys
class Absent:
    def find_spec(self, name, *_):
        if name in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import ssmemory.ops, ssmemory.systems, ssmemory.memory, ssmemory.init, ssmemory.nn, ssmemory.data, ssmemory.cli
from ssmemory.errors import SSMemoryError
from ssmemory import LinearSystem, memory_function

def attempt(call):
    try:
        call()
    except SSMemoryError as error:
        return [type(error).__name__, str(error)]
    return "worked"

def command(*words):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = ssmemory.cli.main(list(words))
    return [code, said.getvalue()]

memory = memory_function(LinearSystem.from_eigenvalues([0.5, 0.9]), 5)
ring = ("measure", "ring", "--d-state", "4", "--seed", "0", "--lags", "3")
print(json.dumps({{
    "fit": attempt(lambda: __import__("ssmemory.fit")),
    "experiments": attempt(lambda: __import__("ssmemory.experiments")),
    "frame": attempt(memory.to_frame),
    "plot": attempt(memory.plot),
    "digits": attempt(lambda: ssmemory.data.load_images("digits")),
    "measure": command(*ring),
    "measure --plot": command(*ring, "--plot"),
    "train": command("train"),
    "run": command("run", "frozen-vs-learned"),
    "list": command("list"),
}}))
"""


@pytest.fixture(scope="module")
def bare() -> dict:
    """What happens where none of the extras is installed."""
    return json.loads(python(BARE.format(blocked=list(EXTRAS))).stdout)


def test_the_lower_floors_and_measure_need_no_extra(bare):
    code, said = bare["measure"]
    assert code == 0
    assert "capacity" in said


@pytest.mark.parametrize(
    ("what", "extra"), [("fit", "fit"), ("experiments", "fit"), ("frame", "plot"), ("plot", "plot"), ("digits", "fit")]
)
def test_what_needs_an_extra_names_it_in_one_line(bare, what, extra):
    name, message = bare[what]
    assert name == "MissingExtraError"
    assert re.fullmatch(
        rf"[^\n]+: expected the package '\w+[.\w]*', got none installed; pip install 'ssmemory\[{extra}\]'", message
    )


@pytest.mark.parametrize(("command", "extra"), [("train", "fit"), ("run", "fit"), ("measure --plot", "plot")])
def test_a_command_that_needs_an_extra_names_it_in_one_line(bare, command, extra):
    code, said = bare[command]
    assert code == 2
    assert said.splitlines()[-1].endswith(f"pip install 'ssmemory[{extra}]'")


def test_listing_needs_no_extra(bare):
    assert bare["list"][0] == 0


def test_floors_are_the_floors():
    assert set(FLOORS) - {"experiments"} <= set(ssmemory.__all__)


@pytest.mark.parametrize("name", ssmemory.__all__)
def test_every_name_at_the_top_exists(name):
    assert getattr(ssmemory, name) is not None
    assert name in dir(ssmemory)


@pytest.mark.parametrize(("floor", "name"), PUBLIC)
def test_every_public_name_exists(floor, name):
    assert hasattr(importlib.import_module(f"ssmemory.{floor}"), name)


def documented(text: str | None, section: str) -> set[str]:
    """Return the names that a section of a docstring explains: ``name: …`` or ``one, other: …``, four spaces in."""
    body = re.search(rf"^{section}:\n((?:    .*\n|\n)*)", inspect.cleandoc(text or "") + "\n", re.MULTILINE)
    heads = re.findall(r"^    ([\w, ]+):", body[1], re.MULTILINE) if body else []
    return {name for head in heads for name in re.split(r",\s*", head)}


def arguments(function: Callable) -> set[str]:
    parameters = inspect.signature(function).parameters
    return {name for name in parameters if name not in ("self", "cls") and not name.startswith("_")}


def missing(thing: object) -> dict[str, set[str]]:
    """Return what of a public function or class is not documented, by where it should be.

    A method may do without "Args:", but where it has them they are complete.
    """
    if inspect.isfunction(thing):
        return {thing.__name__: arguments(thing) - documented(thing.__doc__, "Args")}
    if not inspect.isclass(thing):
        return {}
    if dataclasses.is_dataclass(thing):
        fields = {field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")}
        told = [documented(vars(base).get("__doc__"), "Attributes") for base in thing.__mro__]
        found = {thing.__name__: fields.difference(*told)}
    elif "__init__" in vars(thing) and not getattr(thing, "_is_protocol", False):
        found = {thing.__name__: arguments(thing) - documented(thing.__doc__, "Args")}
    else:
        found = {}
    ours = [base for base in thing.__mro__ if base is thing or base.__module__.startswith("ssmemory.")]
    for name, member in [item for base in reversed(ours) for item in vars(base).items()]:
        member = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if inspect.isfunction(member) and not name.startswith("_") and "\n    Args:" in (member.__doc__ or ""):
            found[f"{thing.__name__}.{name}"] = arguments(member) - documented(member.__doc__, "Args")
    return found


@pytest.mark.parametrize(("floor", "name"), PUBLIC)
def test_every_public_argument_is_documented(floor, name):
    thing = getattr(importlib.import_module(f"ssmemory.{floor}"), name)
    if inspect.isfunction(thing) or inspect.isclass(thing):
        assert inspect.getdoc(thing)
    assert {where: names for where, names in missing(thing).items() if names} == {}


def test_the_documentation_test_sees_what_is_missing():
    def function(one: int, two: int) -> None:
        """Do.

        Args:
            one: the first; see also
                two: not a head, for it is indented further.
        """

    assert missing(function) == {"function": {"two"}}
