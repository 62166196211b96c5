"""Which layer when? Every layer trained on one small real task, its exact memory beside it."""

from ssmemory.experiments.which_layer.config import SIZES, Config, Contestant
from ssmemory.experiments.which_layer.plot import page
from ssmemory.experiments.which_layer.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "Contestant", "page", "run"]
