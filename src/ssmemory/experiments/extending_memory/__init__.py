"""Is extending memory by gradient descent hard? A layer learns to recall a lag from too short or long a memory."""

from ssmemory.experiments.extending_memory.config import SIZES, Config
from ssmemory.experiments.extending_memory.plot import page
from ssmemory.experiments.extending_memory.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
