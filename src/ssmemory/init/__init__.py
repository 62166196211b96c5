"""Where do the eigenvalues come from? Initialisers: each function returns a `LinearSystem`."""

from ssmemory.init.baselines import linear, step
from ssmemory.init.disk import random_disk, ring
from ssmemory.init.hippo import hippo_legs, hippo_legs_matrices
from ssmemory.init.horizon import fourier, geometric
from ssmemory.init.names import INITIALISERS, initialiser
from ssmemory.init.s4d import s4d_inv, s4d_legs, s4d_lin, s4d_real

__all__ = [
    "INITIALISERS",
    "fourier",
    "geometric",
    "hippo_legs",
    "hippo_legs_matrices",
    "initialiser",
    "linear",
    "random_disk",
    "ring",
    "s4d_inv",
    "s4d_legs",
    "s4d_lin",
    "s4d_real",
    "step",
]
