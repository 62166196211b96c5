"""Do estimates of memory meet the exact value? Ours with its interval, and the usual recipes, by sample size."""

from ssmemory.experiments.estimators.config import SIZES, Config
from ssmemory.experiments.estimators.plot import page
from ssmemory.experiments.estimators.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
