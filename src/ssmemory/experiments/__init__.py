"""Is it true? One folder an experiment, each with its configuration, its run and its figures."""

from types import ModuleType

from ssmemory.errors import reject_unknown, require

for _module in ("lightning", "joblib"):
    require(_module, extra="fit", purpose="ssmemory.experiments")

from ssmemory.experiments import (  # noqa: E402
    advised_start,
    architectures,
    closed_form,
    estimators,
    extending_memory,
    frozen_vs_learned,
    gradient_by_lag,
    imaginary_parts,
    longest_memory,
    memory_in_training,
    primacy,
    reduced_state,
    step_rule,
    which_layer,
    zero_real_part,
)
from ssmemory.experiments.page import Figure, Page, Table  # noqa: E402
from ssmemory.experiments.report import read_results, write_report  # noqa: E402

EXPERIMENTS: dict[str, ModuleType] = {
    "frozen-vs-learned": frozen_vs_learned,
    "which-layer": which_layer,
    "longest-memory": longest_memory,
    "step-rule": step_rule,
    "gradient-by-lag": gradient_by_lag,
    "extending-memory": extending_memory,
    "zero-real-part": zero_real_part,
    "imaginary-parts": imaginary_parts,
    "advised-start": advised_start,
    "estimators": estimators,
    "primacy": primacy,
    "memory-in-training": memory_in_training,
    "reduced-state": reduced_state,
    "architectures": architectures,
    "closed-form": closed_form,
}


def experiment(name: str) -> ModuleType:
    """Return an experiment by its name: a package with ``SIZES``, ``SCHEMA``, ``run`` and ``page``.

    Args:
        name: a name in `EXPERIMENTS`.

    Returns:
        The package.

    Raises:
        InputError: an unknown name.
    """
    if name not in EXPERIMENTS:
        reject_unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "Figure", "Page", "Table", "experiment", "read_results", "write_report"]
