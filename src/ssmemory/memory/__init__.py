"""What does the state remember? The memory function and its capacity, exact."""

from ssmemory.memory.function import memory_capacity, memory_function, perturbation_spread
from ssmemory.memory.result import MemoryFunction

__all__ = ["MemoryFunction", "memory_capacity", "memory_function", "perturbation_spread"]
