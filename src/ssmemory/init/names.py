"""The initialisers by name, for layers and the command line."""

from __future__ import annotations

from collections.abc import Callable

from ssmemory.errors import reject_unknown
from ssmemory.init.baselines import linear, step
from ssmemory.init.dense import random_dense
from ssmemory.init.disk import random_disk, ring
from ssmemory.init.hippo import hippo_legs
from ssmemory.init.hippo_window import hippo_fout, hippo_legt
from ssmemory.init.horizon import fourier, geometric
from ssmemory.init.recall import recall
from ssmemory.init.s4d import s4d_inv, s4d_legs, s4d_lin, s4d_real
from ssmemory.systems import LinearSystem

Initialiser = Callable[..., LinearSystem]

INITIALISERS: dict[str, Initialiser] = {
    function.__name__: function
    for function in (
        s4d_lin, s4d_inv, s4d_legs, s4d_real, hippo_legs, hippo_legt, hippo_fout,
        ring, random_disk, random_dense, fourier, geometric, recall, linear, step,
    )
}  # fmt: skip


def initialiser(name: str) -> Initialiser:
    """Return the initialiser of that name; each takes ``d_state`` first.

    Args:
        name: a key of `INITIALISERS`.

    Returns:
        The function.

    Raises:
        InputError: no such name; the nearest one is named.

    Example:
        >>> initialiser("s4d_real")(2, dt=0.1).d_state
        2
    """
    if name not in INITIALISERS:
        reject_unknown("initialiser", name, INITIALISERS)
    return INITIALISERS[name]
