"""Lags through powers of the input-normal form: any lag alone, all of them with gradients, and thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

from ssmemory.systems import InputNormalForm

_BLOCK = 256  # lags that `leading_lags` advances at once
_LARGEST_LAG_BITS = 60


def energy(matrix: Tensor) -> Tensor:
    """Return the squared Frobenius norm."""
    return (matrix.real.square() + matrix.imag.square()).sum((-2, -1))


def first_below(form: InputNormalForm, start: Tensor, threshold: Tensor) -> Tensor:
    """Return the smallest τ with ‖A^τ start‖_F² < threshold, by binary lifting; the norms never increase."""
    with torch.no_grad():
        squares = []
        for square in form.squarings():
            squares.append(square.detach())
            if bool((energy(squares[-1] @ start) < threshold).all()) or len(squares) > _LARGEST_LAG_BITS:
                break
        state = start.expand(*form.b.shape, start.shape[-1])
        steps = torch.where(energy(state) < threshold, 0, 1)
        for bit in reversed(range(len(squares))):
            further = squares[bit] @ state
            onward = energy(further) >= threshold
            state = torch.where(onward[..., None, None], further, state)
            steps = steps + onward * 2**bit
        return steps


def _squared_norm(vectors: Tensor) -> Tensor:
    """Σ_n |x_n|² over the states, one value a column."""
    return (vectors.real.square() + vectors.imag.square()).sum(-2)


def single_lags(form: InputNormalForm, lags: Tensor) -> Tensor:
    """``‖A^τ b‖²`` for each τ by its binary digits."""
    vectors = form.b.unsqueeze(-1).expand(*form.b.shape, len(lags))
    digits = lags
    for square in form.squarings():
        if not bool((digits > 0).any()):
            break
        odd = (digits & 1).bool()
        if bool(odd.any()):
            vectors = torch.where(odd, square @ vectors, vectors)
        digits = digits >> 1
    return _squared_norm(vectors)


def leading_lags(form: InputNormalForm, length: int) -> Tensor:
    """``‖A^τ b‖²`` for τ < length: columns doubled up to a block, then the block advanced."""
    columns = form.b.unsqueeze(-1)
    for square in form.squarings():
        if columns.shape[-1] >= min(length, _BLOCK):
            break
        columns = torch.cat([columns, square @ columns], -1)
    values = [_squared_norm(columns)]
    if length > columns.shape[-1]:
        step = form.matrix_power(columns.shape[-1])
        while sum(v.shape[-1] for v in values) < length:
            columns = step @ columns
            values.append(_squared_norm(columns))
    return torch.cat(values, -1)[..., :length]
