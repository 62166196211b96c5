"""What is a linear system? The noun of the project, its discretisation, spectrum and input-normal form."""

from ssmemory.systems.discretization import Discretization, discretize_diagonal
from ssmemory.systems.input_normal import InputNormalForm, input_normal_form
from ssmemory.systems.linear_system import HasSystem, LinearSystem
from ssmemory.systems.spectrum import MERGE_TOLERANCE, Spectrum, is_triangular

__all__ = [
    "MERGE_TOLERANCE",
    "Discretization",
    "HasSystem",
    "InputNormalForm",
    "LinearSystem",
    "Spectrum",
    "discretize_diagonal",
    "input_normal_form",
    "is_triangular",
]
