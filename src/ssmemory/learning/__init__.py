"""What can gradients see of it? Visibility, the rates and curves of learning, gradients lag by lag."""

from ssmemory.learning.predict import Prediction, predict
from ssmemory.learning.readout import ReadoutModes, readout_modes
from ssmemory.learning.visibility import reachable_loss, residual_kernel, visible_fraction

__all__ = [
    "Prediction",
    "ReadoutModes",
    "predict",
    "reachable_loss",
    "readout_modes",
    "residual_kernel",
    "visible_fraction",
]
