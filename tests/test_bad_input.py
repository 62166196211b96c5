"""Wrong input: the exception class, and one line that says what was expected, what came and what to do.

To add a row: a name, a call, the class, and what the line must say after "expected", after "got" and after the
semicolon, as regular expressions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from tests.one_line import assert_one_line

from ssmemory import LinearSystem, memory_capacity, memory_function
from ssmemory.errors import InputError, MissingExtraError, SSMemoryError, UnstableError, require
from ssmemory.memory import perturbation_spread
from ssmemory.systems import discretize_diagonal, input_normal_form

eigenvalues = LinearSystem.from_eigenvalues
logs = LinearSystem.from_log_eigenvalues
matrices = LinearSystem.from_matrices
continuous = LinearSystem.from_continuous
continuous_matrices = LinearSystem.from_continuous_matrices

GOOD = eigenvalues([0.5, 0.9j])
TWO_INPUTS = eigenvalues([0.5, 0.9], B=np.ones((2, 2)))
UNSTABLE = eigenvalues([0.5, 1.1])
NAN = float("nan")


class Row(NamedTuple):
    name: str
    call: Callable[[], object]
    error: type[SSMemoryError]
    expected: str
    got: str
    fix: str


LAGS = r"pass n for lags 0\.\.n-1, or a list"
ROWS = [
    # systems that cannot remember for ever
    Row(
        "unstable",
        lambda: memory_function(UNSTABLE, 3),
        UnstableError, r"every \|λ\| < 1", r"max \|λ\| = 1\.1", "scale",
    ),
    Row("on the circle", lambda: memory_function(eigenvalues([1j]), 3), UnstableError, r"\|λ\| < 1", "= 1;", "scale"),
    Row("far out", lambda: memory_function(eigenvalues([1e200]), 3), UnstableError, r"\|λ\| < 1", "max", "scale"),
    Row("growing", lambda: memory_function(continuous([0.1], dt=0.1), 3), UnstableError, "<", r"1\.01", "real parts"),
    Row("unstable, dense", lambda: memory_capacity(matrices([[2.0]], [1.0])), UnstableError, "< 1", "= 2", "scale"),
    Row("unstable, form", lambda: input_normal_form(UNSTABLE), UnstableError, "< 1", "1\\.1", "scale"),
    # numbers that are none
    Row("NaN", lambda: eigenvalues([0.5, NAN]), InputError, "finite", "1 NaN or infinite", "check where"),
    Row("infinite", lambda: matrices([[np.inf, NAN], [0, 0]], [1, 1]), InputError, "finite", "2 NaN", "check"),
    Row("NaN in B", lambda: eigenvalues([0.5], B=[NAN]), InputError, "finite", "1 NaN", "check"),
    Row("NaN in C", lambda: eigenvalues([0.5], C=[NAN]), InputError, "finite", "1 NaN", "check"),
    Row("NaN in D", lambda: eigenvalues([0.5], C=[1.0], D=NAN), InputError, "finite", "1 NaN", "check"),
    Row("NaN in A", lambda: continuous([NAN], dt=0.1), InputError, "finite", "1 NaN", "check"),
    Row("a word", lambda: eigenvalues("ring"), InputError, "an array of numbers", "'ring'", "give a tensor"),
    Row("words", lambda: eigenvalues(np.full((9, 9), "a")), InputError, "an array of numbers", "'a'", "give a tensor"),
    Row("ragged", lambda: eigenvalues([[0.5], [0.5, 0.2]]), InputError, "an array", r"\[\[0\.5\]", "give a tensor"),
    Row("nothing", lambda: eigenvalues(None), InputError, "an array of numbers", "None", "give a tensor"),
    # shapes
    Row("no eigenvalue", lambda: eigenvalues([]), InputError, "N ≥ 1", r"\(0,\)", "at least one"),
    Row("a number", lambda: eigenvalues(0.5), InputError, r"\(\*batch, N\)", r"\(\)", "at least one"),
    Row("no log", lambda: logs(np.ones((3, 0))), InputError, "N ≥ 1", r"\(3, 0\)", "at least one"),
    Row("not square", lambda: matrices(np.ones((2, 3)), [1, 1]), InputError, "N, N", r"\(2, 3\)", "from_eigenvalues"),
    Row("a vector for A", lambda: matrices([0.5, 0.2], [1, 1]), InputError, "N, N", r"\(2,\)", "from_eigenvalues"),
    Row("empty A", lambda: matrices(np.ones((0, 0)), []), InputError, "N ≥ 1", r"\(0, 0\)", "from_eigenvalues"),
    Row("B too long", lambda: eigenvalues([0.5], B=[1, 2]), InputError, r"\(1,\)", r"\(2,\)", "one row a state"),
    Row(
        "B as column",
        lambda: eigenvalues([0.5], B=np.ones((2, 1))),
        InputError, "inputs", r"\(2, 1\)", "one row a state",
    ),
    Row("B a number", lambda: eigenvalues([0.5], B=2.0), InputError, r"\(1,\)", r"\(\)", "one row a state"),
    Row(
        "B of another batch",
        lambda: eigenvalues(np.full((3, 2), 0.5), B=np.ones((5, 2, 1))),
        InputError, r"\(3, 2, inputs\)", r"\(5, 2, 1\)", "one row a state",
    ),
    Row("C too short", lambda: eigenvalues([0.5, 0.2], C=[1]), InputError, r"\(2,\)", r"\(1,\)", "one column a state"),
    Row(
        "C of another batch",
        lambda: eigenvalues(np.full((3, 2), 0.5), C=np.ones((5, 1, 2))),
        InputError, r"\(3, outputs, 2\)", r"\(5, 1, 2\)", "one column a state",
    ),
    Row("D alone", lambda: eigenvalues([0.5], D=1.0), InputError, "a C beside it", "D alone", "pass C"),
    Row(
        "D too large",
        lambda: eigenvalues([0.5], C=[1], D=[1, 2]),
        InputError, r"\(1, 1\)", r"\(2,\)", "one row an output",
    ),
    Row(
        "D a number",
        lambda: matrices([[0.5]], [[1, 2]], [1], 3.0),
        InputError, r"\(1, 2\)", r"\(\)", "one column an input",
    ),
    Row(
        "D of another batch",
        lambda: eigenvalues([0.5], C=[1.0], D=np.ones((5, 1, 1))),
        InputError, r"\(1, 1\)", r"\(5, 1, 1\)", "one row an output",
    ),
    # continuous time
    Row("dt 0", lambda: continuous([-1], dt=0), InputError, "positive", r"got 0\.0", "such as 0.01"),
    Row("dt below 0", lambda: continuous([-1], dt=-0.1), InputError, "positive", r"-0\.1", "such as 0.01"),
    Row("one dt wrong", lambda: continuous([[-1], [-2]], dt=[0.1, -3]), InputError, "positive", r"-3\.0", "such as"),
    Row(
        "dt dense",
        lambda: continuous_matrices([[-1]], [1], dt=0),
        InputError, "positive", r"got 0\.0", "such as 0.01",
    ),
    Row("dt complex", lambda: continuous([-1], dt=0.1j), InputError, "real", "complex", "take the real part"),
    Row(
        "dt of another batch",
        lambda: continuous([[-1]] * 3, dt=[1, 2]),
        InputError, r"\(3,\)", r"\(2,\)", "one a system",
    ),
    Row(
        "discretization misspelt",
        lambda: continuous([-1], dt=0.1, discretization="bilinaer"),
        InputError, "one of zoh, bilinear", "'bilinaer'", r"did you mean 'bilinear'\?",
    ),
    Row(
        "discretization unknown",
        lambda: continuous_matrices([[-1]], [1], dt=0.1, discretization="euler"),
        InputError, "one of zoh, bilinear", "'euler'", "choose one",
    ),
    Row(
        "discretization of two swapped letters",
        lambda: discretize_diagonal(torch.tensor([-1j]), torch.tensor([0.1]), "zho"),
        InputError, "one of zoh, bilinear", "'zho'", r"did you mean 'zoh'\?",
    ),
    Row(
        "gradient in A through a dense hold",
        lambda: continuous_matrices(torch.tensor([[-1.0]], requires_grad=True), [1], dt=0.1),
        InputError, "no gradients through a dense zero-order hold", "zoh", "use bilinear",
    ),
    Row(
        "gradient in dt through a dense hold",
        lambda: continuous_matrices([[-1.0]], [1], dt=torch.tensor(0.1, requires_grad=True)),
        InputError, "no gradients through a dense zero-order hold", "zoh", "use bilinear",
    ),
    # lags
    Row("no lags", lambda: memory_function(GOOD, []), InputError, "at least one lag", r"\(0,\)", LAGS),
    Row("zero lags", lambda: memory_function(GOOD, 0), InputError, "n ≥ 1", "got 0", LAGS),
    Row("negative count", lambda: memory_function(GOOD, -3), InputError, "n ≥ 1", "got -3", LAGS),
    Row("negative lag", lambda: memory_function(GOOD, [2, -1]), InputError, "lags ≥ 0", "got -1", "current input"),
    Row("fractional lags", lambda: memory_function(GOOD, [0.5, 1]), InputError, "whole numbers", "float", LAGS),
    Row(
        "fractional count",
        lambda: memory_function(GOOD, 2.5),
        InputError, "whole number|n ≥ 1|lag", r"2\.5|float", LAGS,
    ),
    Row("whole floats", lambda: memory_function(GOOD, np.arange(3.0)), InputError, "whole numbers", "float64", LAGS),
    Row("yes", lambda: memory_function(GOOD, True), InputError, "n ≥ 1", "True", LAGS),
    Row("mask", lambda: memory_function(GOOD, torch.tensor([True, False])), InputError, "whole numbers", "bool", LAGS),
    Row(
        "table of lags",
        lambda: memory_function(GOOD, [[1, 2]]),
        InputError, "at least one lag|flat", r"\(1, 2\)", LAGS,
    ),
    Row(
        "ragged lags",
        lambda: memory_function(GOOD, [[1], [2, 3]]),
        InputError, "lag|whole", r"\[\[1\], \[2, 3\]\]", LAGS,
    ),
    Row("no number of lags", lambda: memory_function(GOOD, None), InputError, "lag|whole", "None", LAGS),
    Row("lags in words", lambda: memory_function(GOOD, "all"), InputError, "lag|whole", "all", LAGS),
    # systems in the wrong place
    Row("two inputs", lambda: input_normal_form(TWO_INPUTS).b, InputError, "one input", "got 2", "use B"),
    Row("no system", lambda: memory_function([0.5], 3), InputError, "LinearSystem", "list", "from_eigenvalues"),
    Row(
        "spread",
        lambda: perturbation_spread(GOOD, 3, seed=0),
        InputError, "a dense one", "LinearSystem", "not computed",
    ),
    Row("logs of dense", lambda: matrices([[0.5]], [1]).log_eigenvalues, InputError, "diagonal", "dense", "spectrum"),
    Row("no read-out", lambda: GOOD.markov_parameters(3), InputError, "a read-out", "None", "with C"),
    Row("no length", lambda: eigenvalues([0.5], C=[1]).markov_parameters(0), InputError, "at least 1", "0", "ask for"),
    Row(
        "gradients where not all is reached",
        lambda: matrices(torch.zeros(2, 2, requires_grad=True), [1.0, 0]).rank,
        InputError, "every mode reached", "rank 1", "differentiate the reached part",
    ),
    # what a result is asked
    Row("level 0", lambda: memory_function(GOOD, 3).reach(0), InputError, r"\(0, 1\]", "got 0", "0.5 asks"),
    Row("level 50", lambda: memory_function(GOOD, 3).reach(50), InputError, r"\(0, 1\]", "got 50", "0.5 asks"),
    Row("level NaN", lambda: memory_function(GOOD, 3).reach(NAN), InputError, r"\(0, 1\]", "nan", "0.5 asks"),
    Row(
        "described",
        lambda: memory_function(GOOD, 3).describe(level=-1),
        InputError, r"\(0, 1\]", "got -1", "0.5 asks",
    ),
    Row("q 0", lambda: memory_function(GOOD, 3).quantile(0), InputError, "between 0 and 1", "got 0", "0.9 asks"),
    Row("q 1", lambda: memory_function(GOOD, 3).quantile(1), InputError, "between 0 and 1", "got 1", "0.9 asks"),
    Row("q 90", lambda: memory_function(GOOD, 3).quantile(90), InputError, "between 0 and 1", "got 90", "0.9 asks"),
    # optional packages
    Row(
        "missing extra",
        lambda: require("a_package_of_no_name", extra="plot", purpose="drawing"),
        MissingExtraError, "'a_package_of_no_name'", "none installed", r"pip install 'ssmemory\[plot\]'",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_message(row: Row):
    with pytest.raises(SSMemoryError) as caught:
        row.call()
    assert type(caught.value) is row.error
    assert_one_line(str(caught.value), row.expected, row.got, row.fix)


def test_names_of_rows_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("error", "builtin"), [(InputError, ValueError), (UnstableError, ValueError), (MissingExtraError, ImportError)]
)
def test_errors_are_also_what_python_would_raise(error, builtin):
    assert issubclass(error, builtin)
    assert issubclass(error, SSMemoryError)
