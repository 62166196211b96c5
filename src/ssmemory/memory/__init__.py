"""What does the state remember? Exact where it can be; an estimate, with its error bar, where it cannot."""

from ssmemory.memory.autocovariance import autoregressive_autocovariance, sample_autocovariance
from ssmemory.memory.correlated import CorrelatedMemory, correlated_memory
from ssmemory.memory.correlated_channels import correlated_channels
from ssmemory.memory.estimate import MemoryEstimate, estimate_memory
from ssmemory.memory.function import memory_capacity, memory_function, perturbation_spread
from ssmemory.memory.gated import GatedMemory, gated_memory, linear_attention_system
from ssmemory.memory.horizon import HorizonBasis, HorizonMemory, horizon_bases, horizon_memory
from ssmemory.memory.processing import ProcessingCapacity, processing_capacity
from ssmemory.memory.recording import record_layers, record_states
from ssmemory.memory.result import MemoryFunction
from ssmemory.memory.tokens import token_memory

__all__ = [
    "CorrelatedMemory",
    "GatedMemory",
    "HorizonBasis",
    "HorizonMemory",
    "MemoryEstimate",
    "MemoryFunction",
    "ProcessingCapacity",
    "autoregressive_autocovariance",
    "correlated_channels",
    "correlated_memory",
    "estimate_memory",
    "gated_memory",
    "horizon_bases",
    "horizon_memory",
    "linear_attention_system",
    "memory_capacity",
    "memory_function",
    "perturbation_spread",
    "processing_capacity",
    "record_layers",
    "record_states",
    "sample_autocovariance",
    "token_memory",
]
