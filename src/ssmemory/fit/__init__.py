"""How do I get a trained model? Freezing and gradient training."""

from ssmemory.errors import require

require("lightning", extra="fit", purpose="ssmemory.fit")

from ssmemory.fit.contrasts import FrozenContrasts  # noqa: E402
from ssmemory.fit.estimators import MemoryClassifier, MemoryRegressor  # noqa: E402
from ssmemory.fit.features import FrozenFeatures  # noqa: E402
from ssmemory.fit.forecaster import MemoryForecaster  # noqa: E402
from ssmemory.fit.freeze import FreezeMode, Frozen, freeze  # noqa: E402
from ssmemory.fit.layer_memory import LayerMemory, layer_memory  # noqa: E402
from ssmemory.fit.model_memory import ModelMemory, model_memory  # noqa: E402
from ssmemory.fit.readout import readout  # noqa: E402
from ssmemory.fit.reduce_state import ReduceState  # noqa: E402
from ssmemory.fit.ridge import LinearReadout, RidgeSums  # noqa: E402
from ssmemory.fit.train import TrainConfig, TrainResult, train  # noqa: E402

__all__ = [
    "FreezeMode",
    "Frozen",
    "FrozenContrasts",
    "FrozenFeatures",
    "LayerMemory",
    "LinearReadout",
    "MemoryClassifier",
    "MemoryForecaster",
    "MemoryRegressor",
    "ModelMemory",
    "ReduceState",
    "RidgeSums",
    "TrainConfig",
    "TrainResult",
    "freeze",
    "layer_memory",
    "model_memory",
    "readout",
    "train",
]
