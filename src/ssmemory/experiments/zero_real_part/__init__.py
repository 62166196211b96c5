"""Do zero real parts keep long memory, and stay stable at the start and while they are trained?"""

from ssmemory.experiments.zero_real_part.config import SIZES, Config
from ssmemory.experiments.zero_real_part.plot import page
from ssmemory.experiments.zero_real_part.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
