"""Does a start from the data help? Pixels, text and household power, from usual, advised and designed starts."""

from ssmemory.experiments.advised_start.config import SIZES, Config
from ssmemory.experiments.advised_start.plot import page
from ssmemory.experiments.advised_start.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
