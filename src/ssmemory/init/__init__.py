"""Where do the eigenvalues come from? Initialisers: each function returns a `LinearSystem`."""

from ssmemory.init.advice import Advice, Candidate
from ssmemory.init.autocorrelation import Autocorrelation, autocorrelation, largest_eigenvalue
from ssmemory.init.baselines import linear, step
from ssmemory.init.dense import random_dense
from ssmemory.init.design import Design, design
from ssmemory.init.disk import random_disk, ring
from ssmemory.init.from_data import from_data
from ssmemory.init.hippo import hippo_legs, hippo_legs_matrices
from ssmemory.init.hippo_window import hippo_fout, hippo_fout_matrices, hippo_legt, hippo_legt_matrices
from ssmemory.init.horizon import fourier, geometric
from ssmemory.init.names import INITIALISERS, initialiser
from ssmemory.init.nplr import nplr
from ssmemory.init.recall import recall
from ssmemory.init.s4d import s4d_inv, s4d_legs, s4d_lin, s4d_real

__all__ = [
    "INITIALISERS",
    "Advice",
    "Autocorrelation",
    "Candidate",
    "Design",
    "autocorrelation",
    "design",
    "fourier",
    "from_data",
    "geometric",
    "hippo_fout",
    "hippo_fout_matrices",
    "hippo_legs",
    "hippo_legs_matrices",
    "hippo_legt",
    "hippo_legt_matrices",
    "initialiser",
    "largest_eigenvalue",
    "linear",
    "nplr",
    "random_dense",
    "random_disk",
    "recall",
    "ring",
    "s4d_inv",
    "s4d_legs",
    "s4d_lin",
    "s4d_real",
    "step",
]
