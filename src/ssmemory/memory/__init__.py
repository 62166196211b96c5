"""What does the state remember? The memory function and its capacity, exact."""

from ssmemory.memory.function import memory_capacity, memory_function, perturbation_spread
from ssmemory.memory.horizon import HorizonBasis, HorizonMemory, horizon_bases, horizon_memory
from ssmemory.memory.result import MemoryFunction

__all__ = [
    "HorizonBasis",
    "HorizonMemory",
    "MemoryFunction",
    "horizon_bases",
    "horizon_memory",
    "memory_capacity",
    "memory_function",
    "perturbation_spread",
]
