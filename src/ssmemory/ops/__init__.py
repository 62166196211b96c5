"""How is it computed, fast? Pure functions, each fast path beside its naive twin."""

from ssmemory.ops.allpass import allpass_cascade, allpass_cascade_naive
from ssmemory.ops.diagonal import diagonal_ssm
from ssmemory.ops.diagonal_chunked import diagonal_ssm_chunked
from ssmemory.ops.diagonal_naive import diagonal_ssm_naive, vandermonde_convolution
from ssmemory.ops.precise import log_from_eigenvalues, one_minus_abs2, power

__all__ = [
    "allpass_cascade",
    "allpass_cascade_naive",
    "diagonal_ssm",
    "diagonal_ssm_chunked",
    "diagonal_ssm_naive",
    "log_from_eigenvalues",
    "one_minus_abs2",
    "power",
    "vandermonde_convolution",
]
