from . import data, errors, fit, init, learning, memory, nn, ops, systems
from .fit import MemoryClassifier, MemoryForecaster, MemoryRegressor
from .memory import MemoryEstimate, MemoryFunction, estimate_memory, memory_capacity, memory_function
from .systems import HasSystem, LinearSystem, TimeVaryingSystem

__all__ = [
    "HasSystem",
    "LinearSystem",
    "MemoryClassifier",
    "MemoryEstimate",
    "MemoryForecaster",
    "MemoryFunction",
    "MemoryRegressor",
    "TimeVaryingSystem",
    "data",
    "errors",
    "estimate_memory",
    "fit",
    "init",
    "learning",
    "memory",
    "memory_capacity",
    "memory_function",
    "nn",
    "ops",
    "systems",
]
