"""What is a linear system? The noun of the project, its discretisation, spectrum, normal form and reduction."""

from ssmemory.systems.discretization import Discretization, discretize_diagonal
from ssmemory.systems.gramians import controllability_gramian, observability_gramian
from ssmemory.systems.input_normal import InputNormalForm, input_normal_form
from ssmemory.systems.linear_system import HasSystem, LinearSystem
from ssmemory.systems.past_to_future import PastToFuture, past_to_future
from ssmemory.systems.reduction import Reduction, balanced_truncation, effective_state_size, hankel_singular_values
from ssmemory.systems.spectrum import MERGE_TOLERANCE, Spectrum, is_triangular
from ssmemory.systems.time_varying import TimeVaryingSystem

__all__ = [
    "MERGE_TOLERANCE",
    "Discretization",
    "HasSystem",
    "InputNormalForm",
    "LinearSystem",
    "PastToFuture",
    "Reduction",
    "Spectrum",
    "TimeVaryingSystem",
    "balanced_truncation",
    "controllability_gramian",
    "discretize_diagonal",
    "effective_state_size",
    "hankel_singular_values",
    "input_normal_form",
    "is_triangular",
    "observability_gramian",
    "past_to_future",
]
