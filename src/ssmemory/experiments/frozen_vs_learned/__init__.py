"""Does training with frozen recurrent weights do as well as learning them, and does the start decide?"""

from ssmemory.experiments.frozen_vs_learned.config import SIZES, Config
from ssmemory.experiments.frozen_vs_learned.plot import page
from ssmemory.experiments.frozen_vs_learned.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
