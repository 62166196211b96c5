"""How far apart should frequencies lie? Spacing against conditioning, steps of training, and error on few samples."""

from ssmemory.experiments.imaginary_parts.config import SIZES, Config
from ssmemory.experiments.imaginary_parts.plot import page
from ssmemory.experiments.imaginary_parts.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
