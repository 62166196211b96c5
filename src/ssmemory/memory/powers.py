"""Lags through powers of the input-normal form: any lag alone, all of them with gradients, and thresholds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ssmemory.systems import InputNormalForm

_BLOCK = 256  # columns, at least, that `leading_lags` advances at once
_LARGEST_LAG_BITS = 60


def energy(matrix: Tensor) -> Tensor:
    """Return the squared Frobenius norm."""
    return column_energy(matrix).sum(-1)


def column_energy(matrix: Tensor) -> Tensor:
    """Return the squared norm of every column."""
    return (matrix.real.square() + matrix.imag.square()).sum(-2)


def first_below(form: InputNormalForm, start: Tensor, threshold: Tensor) -> Tensor:
    """Return the smallest τ with ``‖A^τ start‖_F² < threshold``, one a system."""
    return _first_below(form, start, threshold.unsqueeze(-1), lambda state: energy(state).unsqueeze(-1)).squeeze(-1)


def first_columns_below(form: InputNormalForm, start: Tensor, threshold: Tensor) -> Tensor:
    """Return the smallest τ with ``‖A^τ start‖² < threshold`` for every column of ``start``."""
    return _first_below(form, start, threshold, column_energy)


def _first_below(form: InputNormalForm, start: Tensor, threshold: Tensor, sizes: Callable[[Tensor], Tensor]) -> Tensor:
    """Find the first τ by binary lifting; the sizes, one for all columns or one each, never increase."""
    with torch.no_grad():
        squares = []
        for square in form.squarings():
            squares.append(square.detach())
            if bool((sizes(squares[-1] @ start) < threshold).all()) or len(squares) > _LARGEST_LAG_BITS:
                break
        state = start.expand(*form.B.shape[:-1], start.shape[-1])
        steps = torch.where(sizes(state) < threshold, 0, 1)
        for bit in reversed(range(len(squares))):
            further = squares[bit] @ state
            onward = sizes(further) >= threshold
            state = torch.where(onward.unsqueeze(-2), further, state)
            steps = steps + onward * 2**bit
        return steps


def single_lags(form: InputNormalForm, lags: Tensor) -> Tensor:
    """``‖A^τ b_i‖²`` for each τ by its binary digits: (*batch, n_lags) for one input, else (*batch, n_lags, inputs)."""
    *batch, n, m = form.B.shape
    columns = form.B.unsqueeze(-2).expand(*batch, n, len(lags), m)
    digits = lags
    for square in form.squarings():
        if not bool((digits > 0).any()):
            break
        odd = torch.nonzero(digits & 1).flatten()
        if len(odd):
            moved = square @ columns[..., odd, :].reshape(*batch, n, -1)
            columns = columns.index_copy(-2, odd, moved.reshape(*batch, n, len(odd), m))
        digits = digits >> 1
    return _by_lag(column_energy(columns.reshape(*batch, n, -1)), form)


def leading_lags(form: InputNormalForm, length: int) -> Tensor:
    """``‖A^τ b_i‖²`` for τ < length, in the shape of `single_lags`: doubled up to a block, then the block advanced."""
    m = form.B.shape[-1]
    block, columns = 1, form.B
    for square in form.squarings():
        if block >= length or columns.shape[-1] >= max(_BLOCK, 32 * m):
            break
        block, columns = 2 * block, torch.cat([columns, square @ columns], -1)
    values = [column_energy(columns)]
    if length > block:
        step = form.matrix_power(block)
        for _ in range(block, length, block):
            columns = step @ columns
            values.append(column_energy(columns))
    return _by_lag(torch.cat(values, -1)[..., : length * m], form)


def _by_lag(energies: Tensor, form: InputNormalForm) -> Tensor:
    """Return energies, given input after input for every lag, with a dimension of inputs if there are several."""
    m = form.B.shape[-1]
    return energies if m == 1 else energies.unflatten(-1, (-1, m))
