"""How is it computed, fast? Pure functions, each fast path beside its naive twin."""

from ssmemory.ops.allpass import allpass_cascade, allpass_cascade_naive, allpass_response
from ssmemory.ops.dense import dense_ssm
from ssmemory.ops.dense_naive import dense_ssm_naive, dplr_convolution_naive, dplr_kernel_naive
from ssmemory.ops.diagonal import diagonal_ssm
from ssmemory.ops.diagonal_chunked import diagonal_ssm_chunked
from ssmemory.ops.diagonal_mimo import diagonal_mimo_ssm, diagonal_mimo_ssm_naive
from ssmemory.ops.diagonal_naive import diagonal_ssm_naive, vandermonde_convolution
from ssmemory.ops.dplr import dplr_bilinear
from ssmemory.ops.linear_attention import linear_attention
from ssmemory.ops.linear_attention_naive import linear_attention_naive
from ssmemory.ops.matrix_scan import matrix_scan
from ssmemory.ops.matrix_scan_naive import matrix_scan_naive
from ssmemory.ops.pooled_units import pooled_units, pooled_units_naive
from ssmemory.ops.precise import log_from_eigenvalues, one_minus_abs2, power
from ssmemory.ops.scan import diagonal_scan, diagonal_scan_chunked
from ssmemory.ops.scan_naive import diagonal_scan_naive

__all__ = [
    "allpass_cascade",
    "allpass_cascade_naive",
    "allpass_response",
    "dense_ssm",
    "dense_ssm_naive",
    "diagonal_mimo_ssm",
    "diagonal_mimo_ssm_naive",
    "diagonal_scan",
    "diagonal_scan_chunked",
    "diagonal_scan_naive",
    "diagonal_ssm",
    "diagonal_ssm_chunked",
    "diagonal_ssm_naive",
    "dplr_bilinear",
    "dplr_convolution_naive",
    "dplr_kernel_naive",
    "linear_attention",
    "linear_attention_naive",
    "log_from_eigenvalues",
    "matrix_scan",
    "matrix_scan_naive",
    "one_minus_abs2",
    "pooled_units",
    "pooled_units_naive",
    "power",
    "vandermonde_convolution",
]
