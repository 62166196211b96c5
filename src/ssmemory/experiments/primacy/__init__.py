"""Are the earliest inputs remembered best? Horizon, depth, nonlinearity, correlated input: each alone, trained."""

from ssmemory.experiments.primacy.config import SIZES, Config
from ssmemory.experiments.primacy.plot import page
from ssmemory.experiments.primacy.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
