"""How small can a trained state get? Reduced after training, during it, and small from the start."""

from ssmemory.experiments.reduced_state.config import SIZES, Config
from ssmemory.experiments.reduced_state.plot import page
from ssmemory.experiments.reduced_state.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
