"""Which architecture holds how much of its past, and what do eigenvalues, gates and bytes have to do with it?"""

from ssmemory.experiments.architectures.config import SIZES, Config
from ssmemory.experiments.architectures.plot import page
from ssmemory.experiments.architectures.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
