"""What can the gradient see? Memory against vanishing gradients, in linear cases and lag by lag in a network."""

from ssmemory.experiments.gradient_by_lag.config import SIZES, Config
from ssmemory.experiments.gradient_by_lag.plot import page
from ssmemory.experiments.gradient_by_lag.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
