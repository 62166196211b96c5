import inspect
import re

import pytest

from ssmemory import LinearSystem, init
from ssmemory.errors import InputError

NEEDED = {"d_state": 6, "dt": 0.1, "length": 20, "lag": 20, "seed": 0}
PUBLIC = [getattr(init, name) for name in init.__all__ if inspect.isfunction(getattr(init, name))]


@pytest.mark.parametrize("name", init.INITIALISERS)
def test_every_name_gives_a_system_of_the_size_asked_for(name):
    make = init.initialiser(name)
    parameters = inspect.signature(make).parameters
    required = [p.name for p in parameters.values() if p.default is p.empty]
    system = make(**{key: NEEDED[key] for key in required})
    assert make is getattr(init, name)
    assert next(iter(parameters)) == "d_state"
    assert isinstance(system, LinearSystem)
    assert system.d_state == 6
    assert int(system.rank) == (5 if name in {"s4d_lin", "fourier", "hippo_fout"} else 6)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"initialiser: expected one of s4d_lin, .*; did you mean 's4d_inv'\?"):
        init.initialiser("s4d-inv")


@pytest.mark.parametrize("function", PUBLIC, ids=lambda f: f.__name__)
def test_every_argument_is_documented_and_annotated(function):
    arguments = function.__doc__.split("Args:")[1].split("Returns:")[0]
    documented = re.findall(r"^        (\w+): ", arguments, re.MULTILINE)
    assert documented == list(inspect.signature(function).parameters)
    assert all(p.annotation is not p.empty for p in inspect.signature(function).parameters.values())
    assert all(section in function.__doc__ for section in ("Returns:", "Raises:", "Example:"))
