"""The exact memory function: white input, infinite horizon, one input channel or several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.memory.powers import leading_lags, single_lags
from ssmemory.memory.result import MemoryFunction
from ssmemory.ops.allpass import allpass_cascade
from ssmemory.systems import LinearSystem, Spectrum, input_normal_form, is_triangular


def memory_function(system: LinearSystem, lags: int | Sequence[int] | np.ndarray | Tensor) -> MemoryFunction:
    """Return how well the input of τ steps ago can be read, linearly, off the present state. Exact.

    ``MF_i(τ) = 1 − min_w E|u_i[t−τ] − w·x[t]|² / E|u_i|² = (A^τ b_i)* P⁻¹ (A^τ b_i)``, with ``P = A P A* + B B*`` and
    b_i the column of B of input i, for white inputs and a system that has run for ever. It never increases with τ,
    sums to the rank over all lags and inputs, and is at most ``rank/(τ+1)``. Lag 0 is the current input.

    With one input it depends on the eigenvalues alone, and is computed from the all-pass theorem, without P:
    ``MF(τ) = Σ_{i>τ} |θ_i|²`` with θ the impulse response of ``Π_n (z⁻¹ − λ‾_n)/(1 − λ_n z⁻¹)``. With several it
    depends on B too (not on a unitary mix of the inputs as far as their sum goes, nor, for a diagonal A, on the size of
    a row), and is ``‖A'^τ b'_i‖²`` in the input-normal form (A', B') that matrix all-pass sections make.

    Args:
        system: a stable system, batched or not.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0, in any order. A sequence costs no more for lags far
            away: the lags before them are not computed.

    Returns:
        The memory function with its capacity, rank, tail, reach and plot: values (*batch, n_lags) for one input,
        (*batch, n_lags, inputs) for several. Differentiable in the eigenvalues where they require gradients, and with
        several inputs in B.

    Raises:
        InputError: no lags, negative or fractional lags; gradients are wanted of a dense system with several inputs
            in which a mode is not reached or eigenvalues nearly coincide.
        UnstableError: an eigenvalue on or outside the unit circle.

    Numerics:
        One input, all lags: relative error about 1e-16 · L, and below 1e-11 at every lag down to 1e-290 for L up to
        100,000; exactly 0 below the range of float64; time O(N L), memory O(L) a system. A sequence of lags: about
        1e-14, also a million lags away; time O(N³ log τ). All lags with gradients: O(N² L).
        Several inputs: see `matrix_sections`; all lags take O(N² L) an input.

    Source:
        Jaeger (2001) for the memory function; Dambre et al., Sci. Rep. 2, 514 (2012) for its bound.

    Example:
        >>> memory = memory_function(LinearSystem.from_eigenvalues([0.8]), 3)
        >>> memory.values.numpy().round(4).tolist()
        [0.36, 0.2304, 0.1475]
        >>> round(float(memory.capacity), 12)
        1.0
    """
    if not isinstance(system, LinearSystem):
        fix = "make one with LinearSystem.from_eigenvalues, or ask a layer for its .system()"
        reject("system", expected="a LinearSystem", got=type(system).__name__, fix=fix)
    wanted, contiguous = read_lags(lags)
    spectrum = system.spectrum()
    spectrum.require_stable()
    differentiable = torch.is_grad_enabled() and spectrum.log_eigenvalues.requires_grad
    if not contiguous:
        values = single_lags(input_normal_form(spectrum), wanted)
    elif differentiable or system.n_inputs > 1:
        values = leading_lags(input_normal_form(spectrum), len(wanted))
    else:
        values = all_lags(spectrum, len(wanted))
    return MemoryFunction(lags=wanted, values=values, rank=spectrum.rank, spectrum=spectrum)


def memory_capacity(system: LinearSystem) -> Float64[Tensor, "*batch"]:
    """Return ``Σ_i Σ_τ MF_i(τ)``, summed over inputs and leading lags plus the exact tail, not read off the rank.

    Args:
        system: a stable system, batched or not.

    Returns:
        (*batch,) the memory capacity, over all inputs; in theory the rank, and within 1e-9 of it.

    Raises:
        InputError: gradients are wanted where there are none; see `memory_function`.
        UnstableError: an eigenvalue on or outside the unit circle.

    Example:
        >>> round(float(memory_capacity(LinearSystem.from_eigenvalues([0.5, 0.99, -0.3]))), 9)
        3.0
    """
    return memory_function(system, max(64, 4 * system.d_state)).capacity


def perturbation_spread(
    system: LinearSystem, lags: int | Sequence[int], *, seed: int, draws: int = 4
) -> Float64[Tensor, "..."]:
    """Return how far MF moves when a dense A is perturbed by a relative 2.2e-16: its own numerical uncertainty.

    Ill-conditioned eigenvalues need not make an ill-conditioned memory function, so their condition numbers say
    little. This is an estimate, from random perturbations of Frobenius norm ``eps ‖A‖``.

    Args:
        system: a dense system.
        lags: as in `memory_function`.
        seed: seeds the perturbations.
        draws: how many perturbations.

    Returns:
        The largest |MF of the perturbed − MF| over the draws, at every lag, in the shape of the memory function's
        values.

    Raises:
        InputError: a diagonal system, whose eigenvalues are given and not computed.
    """
    if system.A is None:
        fix = "the eigenvalues of a diagonal system are given, not computed"
        reject("system", expected="a dense one", got=repr(system), fix=fix)
    generator = torch.Generator().manual_seed(seed)
    A, B = system.A.detach(), system.B.detach()
    centre = memory_function(LinearSystem.from_matrices(A, B), lags).values
    spread = torch.zeros_like(centre)
    for _ in range(draws):
        noise = torch.randn(A.shape, generator=generator, dtype=A.dtype)
        noise = noise * (A != 0) if is_triangular(A) else noise
        scale = torch.finfo(torch.float64).eps * torch.linalg.matrix_norm(A) / torch.linalg.matrix_norm(noise)
        moved = LinearSystem.from_matrices(A + scale[..., None, None] * noise, B)
        spread = torch.maximum(spread, (memory_function(moved, lags).values - centre).abs())
    return spread


def read_lags(lags: int | Sequence[int] | np.ndarray | Tensor) -> tuple[Tensor, bool]:
    """Return the lags as int64, and whether they are 0 … n−1."""
    fix = "pass n for lags 0..n-1, or a list of lags"
    try:
        values = np.asarray(lags.detach().cpu() if isinstance(lags, Tensor) else lags)
    except ValueError:  # ragged
        values = np.array(None)
    whole, shown = values.dtype.kind in "iu", f"{' '.join(repr(lags).split())[:60]} ({values.dtype})"
    if values.ndim == 0 and not (whole and values >= 1):
        reject("lags", expected="n ≥ 1, or whole numbers", got=shown, fix=fix)
    if values.ndim == 0:
        return torch.arange(int(values)), True
    if values.ndim != 1 or len(values) == 0:
        reject("lags", expected="at least one lag, in one dimension", got=f"shape {values.shape}", fix=fix)
    if not whole:
        reject("lags", expected="whole numbers", got=shown, fix=fix)
    if values.min() < 0:
        reject("lags", expected="lags ≥ 0", got=int(values.min()), fix="lag 0 is the current input")
    found = torch.from_numpy(values.astype(np.int64))
    return found, bool((found == torch.arange(len(found))).all())


def all_lags(spectrum: Spectrum, length: int) -> Tensor:
    """Return MF at lags 0 … length−1 of a spectrum of one input, by the all-pass cascade; no gradients."""
    poles, gains = spectrum.eigenvalues.detach(), spectrum.margins.detach().sqrt()
    n = poles.shape[-1]
    memory = allpass_cascade(poles.reshape(-1, n).numpy(), gains.reshape(-1, n).numpy(), length)
    return torch.from_numpy(memory).reshape(*poles.shape[:-1], length)
