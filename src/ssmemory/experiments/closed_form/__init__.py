"""How long does the same network take to an accuracy: decoder in closed form, or gradient on more and more of it?"""

from ssmemory.experiments.closed_form.config import SIZES, Config
from ssmemory.experiments.closed_form.plot import page
from ssmemory.experiments.closed_form.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
