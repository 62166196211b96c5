"""Does the rule find the step? Every dt at several lengths, for pixels as they are, decorrelated, autoregressive."""

from ssmemory.experiments.step_rule.config import SIZES, Config
from ssmemory.experiments.step_rule.plot import page
from ssmemory.experiments.step_rule.run import SCHEMA, run

__all__ = ["SCHEMA", "SIZES", "Config", "page", "run"]
