"""The realisation whose states are white: P = I, so that nothing need be inverted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from ssmemory.ops.precise import power
from ssmemory.systems.linear_system import LinearSystem
from ssmemory.systems.spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class InputNormalForm:
    """Lower-triangular ``A`` and vector ``b`` with ``A A* + b b* = I``, for one input channel.

    With ``s_k = sqrt(1 − |λ_k|²)``: ``A[k,k] = λ_k``, ``A[k,j] = s_k s_j Π_{j<i<k}(−λ‾_i)`` below the diagonal,
    ``b[k] = s_k Π_{i<k}(−λ‾_i)``. A is a contraction; ``MF(τ) = ‖A^τ b‖²`` and ``Σ_{τ≥L} MF(τ) = ‖A^L‖_F²``.

    Attributes:
        A: (*batch, N, N) complex128; rows and columns of modes that do not count are zero.
        b: (*batch, N) complex128.
        log_eigenvalues: (*batch, N) log of the diagonal, −∞ for modes that do not count.

    Source:
        Mullis and Roberts, IEEE TCAS 23 (1976); Heuberger, Van den Hof, Wahlberg (2005), chapter 2.
    """

    A: Complex[Tensor, "*batch n n"]
    b: Complex[Tensor, "*batch n"]
    log_eigenvalues: Complex[Tensor, "*batch n"]

    def squarings(self) -> Iterator[Complex[Tensor, "*batch n n"]]:
        """Yield A, A², A⁴, A⁸ …; the diagonal of each is formed anew from log λ, so that rounding cannot grow there."""
        matrix, exponent = self.A, 1
        while True:
            yield matrix
            matrix, exponent = matrix @ matrix, 2 * exponent
            exact = power(self.log_eigenvalues, exponent)
            matrix = matrix.tril(-1) + torch.diag_embed(exact)

    def matrix_power(self, exponent: int) -> Complex[Tensor, "*batch n n"]:
        """Return ``A^exponent`` by squaring, exponent ≥ 0."""
        eye = torch.eye(self.A.shape[-1], dtype=self.A.dtype)
        result = eye.expand_as(self.A)
        for bit, square in zip(reversed(f"{exponent:b}"), self.squarings(), strict=False):
            if bit == "1":
                result = square @ result
        return result


def input_normal_form(system: LinearSystem | Spectrum) -> InputNormalForm:
    """Return the input-normal form of a stable system with one input, differentiable in its eigenvalues.

    Args:
        system: the system, or the spectrum taken from it.

    Returns:
        The form, over the modes that count (`Spectrum.counted`).

    Raises:
        UnstableError: a counted eigenvalue on or outside the unit circle.
        InputError: several input channels.

    Numerics:
        O(N²) products, no solve and no subtraction; the defect of ``A A* + b b* = I`` is a few 1e-16.

    Example:
        >>> form = input_normal_form(LinearSystem.from_eigenvalues([0.9, 0.5j]))
        >>> gram = form.A @ form.A.mH + torch.outer(form.b, form.b.conj())
        >>> bool(torch.allclose(gram, torch.eye(2, dtype=gram.dtype)))
        True
    """
    spectrum = system if isinstance(system, Spectrum) else system.spectrum()
    spectrum.require_stable()
    counted = spectrum.counted
    poles = spectrum.eigenvalues
    margins = torch.where(counted, spectrum.margins, torch.ones_like(spectrum.margins))
    gains = margins.sqrt() * counted
    passing = torch.where(counted, -poles.conj(), torch.ones_like(poles))
    n = poles.shape[-1]
    rows, b, below = [], [], torch.zeros_like(poles)  # below[j] = s_j Π_{j<i<k}(−λ‾_i) as k goes down the rows
    through = torch.ones_like(poles[..., 0])
    for k in range(n):
        gain = gains[..., k : k + 1]
        rows.append(gain * below)
        b.append(gain.squeeze(-1) * through)
        here = torch.nn.functional.one_hot(torch.tensor(k), n).to(poles.dtype)
        below = below * passing[..., k : k + 1] + gain * here
        through = through * passing[..., k]
    A = torch.stack(rows, -2) + torch.diag_embed(poles)
    dead = torch.complex(torch.full_like(gains, -torch.inf), torch.zeros_like(gains))
    return InputNormalForm(A, torch.stack(b, -1), torch.where(counted, spectrum.log_eigenvalues, dead))
