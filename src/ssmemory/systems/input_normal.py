"""The realisation whose states are white: P = I, so that nothing need be inverted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.ops.precise import power
from ssmemory.systems.linear_system import LinearSystem
from ssmemory.systems.matrix_sections import matrix_sections
from ssmemory.systems.spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class InputNormalForm:
    """Lower-triangular ``A`` and ``B`` with ``A A* + B B* = I``.

    A is a contraction; ``MF_i(τ) = ‖A^τ b_i‖²`` with b_i the column of input i, and over all inputs
    ``Σ_{τ≥L} Σ_i MF_i(τ) = ‖A^L‖_F²``. For one input, with ``s_k = sqrt(1 − |λ_k|²)``: ``A[k,k] = λ_k``,
    ``A[k,j] = s_k s_j Π_{j<i<k}(−λ‾_i)`` below the diagonal, ``b[k] = s_k Π_{i<k}(−λ‾_i)``. For several see
    `matrix_sections`.

    Attributes:
        A: (*batch, N, N) complex128; rows and columns of modes that do not count are zero.
        B: (*batch, N, inputs) complex128.
        log_eigenvalues: (*batch, N) log of the diagonal, −∞ for modes that do not count.

    Source:
        Mullis and Roberts, IEEE TCAS 23 (1976); Heuberger, Van den Hof, Wahlberg (2005), chapter 2.
    """

    A: Complex[Tensor, "*batch n n"]
    B: Complex[Tensor, "*batch n m"]
    log_eigenvalues: Complex[Tensor, "*batch n"]

    @property
    def b(self) -> Complex[Tensor, "*batch n"]:
        """(*batch, N) the one column of B, of a form with one input."""
        if self.B.shape[-1] != 1:
            reject("b", expected="one input channel", got=self.B.shape[-1], fix="use B, which has a column an input")
        return self.B.squeeze(-1)

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
    """Return the input-normal form of a stable system, differentiable in its eigenvalues and, with several inputs, B.

    Args:
        system: the system, or the spectrum taken from it.

    Returns:
        The form, over the modes that count (`Spectrum.counted`).

    Raises:
        UnstableError: a counted eigenvalue on or outside the unit circle.
        InputError: gradients are wanted of a dense system with several inputs whose eigenvectors do not carry them.

    Numerics:
        O(N²) products for one input, O(N² · inputs) for several; no Gramian and nothing inverted. The defect of
        ``A A* + B B* = I`` is a few 1e-16.

    Example:
        >>> form = input_normal_form(LinearSystem.from_eigenvalues([0.9, 0.5j], B=[[1.0, 0.0], [1.0, 2.0]]))
        >>> gram = form.A @ form.A.mH + form.B @ form.B.mH
        >>> bool(torch.allclose(gram, torch.eye(2, dtype=gram.dtype)))
        True
    """
    spectrum = system if isinstance(system, Spectrum) else system.spectrum()
    spectrum.require_stable()
    dead = torch.complex(torch.full_like(spectrum.margins, -torch.inf), torch.zeros_like(spectrum.margins))
    logs = torch.where(spectrum.counted, spectrum.log_eigenvalues, dead)
    A, B = _scalar_sections(spectrum) if spectrum.B is None else matrix_sections(spectrum)
    return InputNormalForm(A, B, logs)


def _scalar_sections(spectrum: Spectrum) -> tuple[Tensor, Tensor]:
    """Return A and B of the form for one input."""
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
    return torch.stack(rows, -2) + torch.diag_embed(poles), torch.stack(b, -1).unsqueeze(-1)
