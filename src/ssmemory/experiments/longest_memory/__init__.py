"""Is the longest memory best? Readouts of memories from exact and short to coarse and long, predicted and trained."""

from ssmemory.experiments.longest_memory.config import SIZES, Config
from ssmemory.experiments.longest_memory.plot import page
from ssmemory.experiments.longest_memory.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
