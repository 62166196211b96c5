from . import data, errors, fit, init, learning, memory, nn, ops, systems
from .memory import MemoryFunction, memory_capacity, memory_function
from .systems import HasSystem, LinearSystem

__all__ = [
    "HasSystem",
    "LinearSystem",
    "MemoryFunction",
    "data",
    "errors",
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
