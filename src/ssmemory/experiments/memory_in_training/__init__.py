"""What does a trained deep network remember of its input, before, during and after, and does it score by that?"""

from ssmemory.experiments.memory_in_training.config import SIZES, Config
from ssmemory.experiments.memory_in_training.plot import page
from ssmemory.experiments.memory_in_training.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
