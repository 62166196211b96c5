"""What can gradients see of it? Visibility, the rates and curves of learning, gradients lag by lag."""

from ssmemory.learning.by_lag import gradient_by_lag
from ssmemory.learning.gradients import KernelGradients, LagGradient, kernel_gradients, step_reach
from ssmemory.learning.layer_gradient import LayerGradient
from ssmemory.learning.predict import Prediction, predict
from ssmemory.learning.readout import ReadoutModes, readout_modes
from ssmemory.learning.visibility import reachable_loss, residual_kernel, visible_fraction

__all__ = [
    "KernelGradients",
    "LagGradient",
    "LayerGradient",
    "Prediction",
    "ReadoutModes",
    "gradient_by_lag",
    "kernel_gradients",
    "predict",
    "reachable_loss",
    "readout_modes",
    "residual_kernel",
    "step_reach",
    "visible_fraction",
]
