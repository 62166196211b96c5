"""Which modes count where several inputs drive them, and how: dependent rows, unreached subspaces, Schur form."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ssmemory.errors import reject
from ssmemory.ops.precise import log_from_eigenvalues, power
from ssmemory.systems.spectrum import MERGE_TOLERANCE, Spectrum, eigenvalue_clusters

Array = np.ndarray[Any, Any]

_CONDITION_LIMIT = 1e6  # of the eigenvectors, up to which gradients go through them
_GAP_LIMIT = 1e-8  # relative distance of two eigenvalues, under which gradients would be rounding


def diagonal_modes(log_eigenvalues: Tensor, B: Tensor) -> Spectrum:
    """Return the spectrum of a diagonal system with several inputs, and how they drive it.

    An eigenvalue counts as often as its rows of B are linearly independent, so at most once an input. Eigenvalues are
    equal within a relative 1e-13, as for one input; a row is dependent on those of the same eigenvalue before it
    when what they leave of it is at most 1e-13 of its norm.

    Args:
        log_eigenvalues: (*batch, N) log λ.
        B: (*batch, N, inputs).

    Returns:
        The spectrum with its B, differentiable in both.
    """
    n, m = B.shape[-2:]
    B = B.to(torch.complex128)
    reached = (B.detach() != 0).any(-1)
    flat = zip(
        power(log_eigenvalues.detach(), 1).reshape(-1, n).numpy(), B.detach().reshape(-1, n, m).numpy(),
        reached.reshape(-1, n).numpy(), strict=True,
    )  # fmt: skip
    counted = torch.from_numpy(np.stack([_independent(*system) for system in flat])).reshape(reached.shape)
    rows = torch.where(counted.unsqueeze(-1), B, torch.zeros_like(B))
    return Spectrum(log_eigenvalues, counted, (reached & ~counted).sum(-1), (~reached).sum(-1), rows)


def dense_modes(A: Tensor, B: Tensor) -> Spectrum:
    """Return the spectrum of a dense system with several inputs, in coordinates in which A is lower triangular.

    What no input reaches is cut off first: in each cluster of eigenvalues that rounding cannot tell apart, by the
    staircase form. So an eigenvalue counts as often as the inputs reach its Jordan blocks, without deciding on those.

    Args:
        A: (*batch, N, N).
        B: (*batch, N, inputs).

    Returns:
        The spectrum with its B and coupling; where gradients are wanted, that of the diagonalised system.

    Raises:
        InputError: gradients are wanted, but a mode is not reached, or the eigenvectors do not carry them.

    Numerics:
        The Schur form is backward stable, of A and of A exactly triangular without rounding. Tolerances as for one
        input: ``100 N eps`` times condition numbers.

    Source:
        Paige, IEEE TAC 26 (1981): staircase form as the stable test of controllability.
    """
    n, m = B.shape[-2:]
    forms = [
        _triangular(matrix, rows)
        for matrix, rows in zip(A.detach().reshape(-1, n, n).numpy(), B.detach().reshape(-1, n, m).numpy(), strict=True)
    ]
    sizes = torch.tensor([len(rows) for _, rows in forms]).reshape(A.shape[:-2])
    if torch.is_grad_enabled() and (A.requires_grad or B.requires_grad):
        return _diagonalised(A, B, int(sizes.min()))
    coupling, driven = np.zeros((len(forms), n, n), complex), np.zeros((len(forms), n, m), complex)
    for k, (form, rows) in enumerate(forms):
        coupling[k, : len(rows), : len(rows)], driven[k, : len(rows)] = form, rows
    lower = torch.from_numpy(coupling).reshape(A.shape)
    logs = log_from_eigenvalues(lower.diagonal(dim1=-2, dim2=-1))
    counted = torch.arange(n) < sizes.unsqueeze(-1)
    return Spectrum(logs, counted, 0 * sizes, n - sizes, torch.from_numpy(driven).reshape(B.shape), lower)


def _independent(values: Array, rows: Array, reached: Array) -> Array:
    """Mark the modes whose rows are independent of the rows that equal eigenvalues before them have."""
    kept = reached.copy()
    largest = np.abs(rows).max(1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1)  # squares of what is left neither overflow nor vanish
    distance, size = np.abs(values[:, None] - values), np.abs(values)
    equal = np.tril((distance <= MERGE_TOLERANCE * np.maximum(size[:, None], size)) & reached, -1)
    for k in np.flatnonzero(equal.any(1) & reached):
        before = rows[equal[k] & kept]
        span = np.linalg.qr((before / np.linalg.norm(before, axis=1, keepdims=True)).T)[0]
        rest = rows[k] / np.linalg.norm(rows[k])
        for _ in range(2):  # once more, for what rounding left of the first
            rest = rest - span @ (span.conj().T @ rest)
        kept[k] = np.linalg.norm(rest) > MERGE_TOLERANCE
    return kept


def _triangular(A: Array, B: Array) -> tuple[Array, Array]:
    """Return A in lower-triangular form, and B beside it, on the subspace that B reaches."""
    unreached = _unreached(A, B)
    if unreached.shape[1]:
        basis = scipy.linalg.qr(unreached)[0][:, unreached.shape[1] :]
        A, B = basis.conj().T @ A @ basis, basis.conj().T @ B
    if not np.tril(A, -1).any():
        return A[::-1, ::-1], B[::-1]
    if not np.triu(A, 1).any():
        return A, B
    form, basis = scipy.linalg.schur(A.conj().T.astype(complex), output="complex")
    return form.conj().T, basis.conj().T @ B


def _unreached(A: Array, B: Array) -> Array:
    """Return the left directions, as columns, from which no input is ever seen."""
    if not B.any():
        return np.eye(len(A))
    if not A.any():
        return _beyond_staircase(A, B / np.linalg.norm(B), 100 * len(A) * float(np.finfo(float).eps))
    unit = B * (np.linalg.norm(A) / np.linalg.norm(B))
    found = [np.zeros((len(A), 0))]
    for cluster in eigenvalue_clusters(A):
        if not cluster.doubtful:
            rows = cluster.basis.conj().T @ unit
            found.append(cluster.basis @ _beyond_staircase(cluster.block, rows, cluster.tolerance))
    return np.concatenate(found, 1)


def _beyond_staircase(A: Array, B: Array, tolerance: float) -> Array:
    """Return an orthonormal basis of the directions that the staircase from B through A does not reach."""
    basis, start, step = np.eye(len(A)).astype(complex), 0, B
    while start < len(A):
        turn, sizes, _ = np.linalg.svd(step)
        rank = int((sizes > tolerance).sum())
        if rank == 0:
            break
        basis[:, start:] = basis[:, start:] @ turn
        begin, start = start, start + rank
        step = basis[:, start:].conj().T @ A @ basis[:, begin:start]
    return basis[:, start:]


def _diagonalised(A: Tensor, B: Tensor, rank: int) -> Spectrum:
    """Return the spectrum by way of the eigenvectors, which have gradients where a Schur form has none."""
    n = A.shape[-1]
    if rank < n:
        fix = "differentiate the reached part only"
        reject("A", expected="every mode reached when gradients are wanted", got=f"rank {rank}", fix=fix)
    values, vectors = torch.linalg.eig(A.to(torch.complex128))
    gaps = (values.detach().unsqueeze(-1) - values.detach().unsqueeze(-2)).abs()
    gaps = gaps.masked_fill(torch.eye(n, dtype=torch.bool), torch.inf)
    scale = torch.linalg.matrix_norm(A.detach())[..., None, None]
    condition = float(torch.linalg.cond(vectors.detach()).max())
    if condition > _CONDITION_LIMIT or bool((gaps < _GAP_LIMIT * scale).any()):
        expected = "distinct eigenvalues and eigenvectors of condition below 1e6 for gradients with several inputs"
        got = f"condition {condition:.1e}, gap {float(gaps.min()):.1e}"
        reject("A", expected=expected, got=got, fix="take no gradient, or make the system with from_eigenvalues")
    return diagonal_modes(log_from_eigenvalues(values), torch.linalg.solve(vectors, B.to(torch.complex128)))
