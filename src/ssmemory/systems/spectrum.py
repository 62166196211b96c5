"""Which eigenvalues count as state directions: closure, merging, aliasing, reachability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Bool, Complex, Float
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ssmemory.errors import UnstableError, reject
from ssmemory.ops.precise import log_from_eigenvalues, power

MERGE_TOLERANCE = 1e-13  # relative distance under which two eigenvalues of a diagonal system are one


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The eigenvalues of a system, each marked as counted or not.

    Attributes:
        log_eigenvalues: (*batch, N) log λ; arbitrary where not counted.
        counted: (*batch, N) True for a mode that adds a direction to what the inputs reach.
        merged: (*batch,) how many modes equal another one and were merged with it.
        unreached: (*batch,) how many modes no input reaches.
        B: (*batch, N, inputs) how several inputs drive the modes, 0 where not counted; None for one input, whose
            memory does not depend on it.
        coupling: (*batch, N, N) the lower-triangular matrix of modes that drive one another, of a dense system with
            several inputs; else None.

    Example:
        >>> from ssmemory import LinearSystem
        >>> spectrum = LinearSystem.from_eigenvalues([0.9, 0.9, 0.5], B=[1.0, 1.0, 0.0]).spectrum()
        >>> int(spectrum.rank), int(spectrum.merged), int(spectrum.unreached)
        (1, 1, 1)
    """

    log_eigenvalues: Complex[Tensor, "*batch n"]
    counted: Bool[Tensor, "*batch n"]
    merged: Tensor
    unreached: Tensor
    B: Complex[Tensor, "*batch n m"] | None = None
    coupling: Complex[Tensor, "*batch n n"] | None = None

    @property
    def rank(self) -> Tensor:
        """(*batch,) number of counted modes."""
        return self.counted.sum(-1)

    @property
    def eigenvalues(self) -> Complex[Tensor, "*batch n"]:
        """(*batch, N) λ, 0 where not counted."""
        return power(self.log_eigenvalues, 1) * self.counted

    @property
    def margins(self) -> Float[Tensor, "*batch n"]:
        """(*batch, N) 1 − |λ|² = −expm1(2 log|λ|), 0 where not counted."""
        real = torch.where(self.counted, self.log_eigenvalues.real, torch.zeros_like(self.log_eigenvalues.real))
        return -torch.expm1(2 * real)

    def require_stable(self) -> None:
        """Raise `UnstableError` unless every counted |λ| < 1, and `InputError` for λ = 0 where gradients are wanted."""
        real = self.log_eigenvalues.real.detach()
        if bool((self.counted & ~(real < 0)).any()):
            size = float(torch.where(self.counted, real, -torch.inf).max().exp())
            fix = "scale the eigenvalues down, or make the real parts of a continuous system negative"
            expected = "every |λ| < 1, as an infinite horizon needs"
            reject("eigenvalues", expected=expected, got=f"max |λ| = {size:.6g}", fix=fix, error=UnstableError)
        wanted = torch.is_grad_enabled() and self.log_eigenvalues.requires_grad
        if wanted and bool((self.counted & torch.isneginf(real)).any()):
            fix = "start from a small number such as 1e-6, or take no gradient"
            reject("eigenvalues", expected="λ ≠ 0 where gradients are wanted", got="λ = 0", fix=fix)


def diagonal_spectrum(log_eigenvalues: Tensor, reached: Tensor) -> Spectrum:
    """Return the spectrum of a diagonal system: equal eigenvalues are one direction.

    Two eigenvalues are equal when ``|λ_i − λ_j| ≤ 1e-13 max(|λ_i|, |λ_j|)``. That merges the two halves of a
    real mode, and frequencies that sampling folds onto each other (aliasing: they agree up to rounding only).

    Args:
        log_eigenvalues: (*batch, N) log λ.
        reached: (*batch, N) whether B is not zero there.

    Returns:
        The spectrum.
    """
    values = power(log_eigenvalues.detach(), 1)
    keep = reached.clone()
    for k in range(1, values.shape[-1]):
        distance = (values[..., :k] - values[..., k : k + 1]).abs()
        size = torch.maximum(values[..., :k].abs(), values[..., k : k + 1].abs())
        keep[..., k] &= ~((distance <= MERGE_TOLERANCE * size) & keep[..., :k]).any(-1)
    merged = (reached & ~keep).sum(-1)
    return Spectrum(log_eigenvalues, keep, merged, (~reached).sum(-1))


def dense_spectrum(A: Tensor, b: Tensor) -> Spectrum:
    """Return the spectrum of a dense system: the eigenvalues of A on the subspace that b reaches.

    Eigenvalues that rounding can tell apart are judged apart, each cluster on its left invariant subspace: there
    Householder steps bring (A, b) to controller Hessenberg form, and where a subdiagonal entry falls below the
    rounding error of what led to it the reached subspace ends. So an eigenvalue counts as often as the longest Jordan
    chain that b reaches, without deciding on Jordan blocks. If all of the space is reached, the eigenvalues are those
    of A: from the diagonal of an exactly triangular A, otherwise from its Schur form.

    Args:
        A: (*batch, N, N).
        b: (*batch, N).

    Returns:
        The spectrum; differentiable in A where all of the space is reached.

    Raises:
        InputError: gradients are wanted but part of the space is not reached.

    Numerics:
        Which modes are reached is ill-posed for a dense A in floating point: decided by tolerances of
        ``100 N eps`` times condition numbers. With N ≳ 64 and many unreached modes the count can be off by one or two.

    Source:
        Paige, IEEE TAC 26 (1981): staircase form as the stable test of controllability.
    """
    n = A.shape[-1]
    b = b.expand(A.shape[:-1])
    flat_A, flat_b = A.detach().reshape(-1, n, n).numpy(), b.detach().reshape(-1, n).numpy()
    sizes, found = [], np.zeros((len(flat_A), n), complex)
    for row, (matrix, vector) in enumerate(zip(flat_A, flat_b, strict=True)):
        reached = _reached_eigenvalues(matrix, vector)
        sizes.append(len(reached))
        found[row, : len(reached)] = reached
    dims = torch.tensor(sizes).reshape(A.shape[:-2])
    counted = torch.arange(n) < dims.unsqueeze(-1)
    if bool((dims == n).all()):
        return Spectrum(log_from_eigenvalues(dense_eigenvalues(A)), counted, dims * 0, n - dims)
    if A.requires_grad and torch.is_grad_enabled():
        fix = "differentiate the reached part only"
        reject("A", expected="every mode reached when gradients are wanted", got=f"rank {int(dims.min())}", fix=fix)
    partial = torch.from_numpy(found).reshape(*A.shape[:-1])
    whole = (dims == n).unsqueeze(-1)
    return Spectrum(
        log_from_eigenvalues(torch.where(whole, dense_eigenvalues(A), partial)), counted, dims * 0, n - dims
    )


def is_triangular(A: Tensor) -> bool:
    """Return whether every matrix of a batch is exactly lower, or every one exactly upper, triangular.

    Args:
        A: (*batch, N, N).

    Returns:
        True or False, for the whole batch.
    """
    return bool((A.triu(1) == 0).all()) or bool((A.tril(-1) == 0).all())


def dense_eigenvalues(A: Tensor) -> Tensor:
    """Return the eigenvalues of A: the diagonal where A is exactly triangular, else from its Schur form.

    Where gradients are wanted always the latter, since entries beside the diagonal have gradients too.
    """
    differentiable = A.requires_grad and torch.is_grad_enabled()
    values = A.diagonal(dim1=-2, dim2=-1) if is_triangular(A) and not differentiable else torch.linalg.eigvals(A)
    return values.to(torch.complex128)


def _reached_eigenvalues(A: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the eigenvalues of A on the subspace that b reaches, cluster by cluster.

    A chain of Householder steps over all of A can end without one small entry although modes are out of reach, so
    eigenvalues that rounding can tell apart are judged apart: on the left invariant subspace of each cluster.
    """
    size = np.linalg.norm(A)
    if not np.any(b) or size == 0:
        return np.zeros(int(np.any(b)), complex)
    unit = b * (size / np.linalg.norm(b))
    reached = []
    for cluster in eigenvalue_clusters(A):
        vector = cluster.basis.conj().T @ unit
        if len(cluster.values) == 1:
            reached.append(cluster.values[: int(cluster.doubtful or np.linalg.norm(vector) > cluster.tolerance)])
        else:
            reached.append(_reached_by_staircase(cluster.block, vector, cluster.tolerance))
    return np.concatenate(reached)


class Cluster(NamedTuple):
    """Eigenvalues of a dense A that rounding cannot tell apart, and A on their left invariant subspace.

    Attributes:
        values: (k,) the eigenvalues.
        basis: (N, k) orthonormal basis of the subspace.
        block: (k, k) what A does on it, ``basis* A = block basis*``.
        tolerance: what ``basis* B`` must exceed to count as not zero, for a B of the norm of A.
        doubtful: the tolerance is too large for a decision.
    """

    values: np.ndarray[Any, Any]
    basis: np.ndarray[Any, Any]
    block: np.ndarray[Any, Any]
    tolerance: float
    doubtful: bool


def eigenvalue_clusters(A: np.ndarray[Any, Any]) -> Iterator[Cluster]:
    """Yield the eigenvalues of A by clusters, each with its left invariant subspace.

    Args:
        A: (N, N), not zero.

    Yields:
        The clusters; one of several eigenvalues is never doubtful.
    """
    n, size = len(A), float(np.linalg.norm(A))
    noise = 100 * n * np.finfo(float).eps
    values, left, right = scipy.linalg.eig(A, left=True)
    condition = 1 / np.maximum(np.abs((left.conj() * right).sum(0)), 1e-300)
    radius = noise * size * condition  # how far rounding moves an eigenvalue; a Jordan block's falls within its own
    distance = np.abs(values[:, None] - values)
    labels = connected_components(distance <= np.maximum(radius[:, None], radius), directed=False)[1]
    for label in range(labels.max() + 1):
        inside = labels == label
        gap = distance[inside][:, ~inside].min(initial=size)
        if inside.sum() == 1:
            here = int(np.argmax(inside))
            relative = noise * max(1, size / gap) * condition[here]
            basis, block = left[:, inside], values[inside][:, None]
            yield Cluster(values[inside], basis, block, relative * size, relative > 1e-4)
        else:
            basis, block = _left_subspace(A, values, inside)
            yield Cluster(values[inside], basis, block, noise * size * max(1, size / gap), False)


def _left_subspace(A: Any, values: Any, inside: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return a basis of the left invariant subspace of the eigenvalues marked ``inside``, and A on it."""
    if inside.all():
        return np.eye(len(A)), A

    def wanted(value: Any) -> bool:
        return bool(inside[np.argmin(np.abs(values - np.conj(value)))])

    form, basis, count = scipy.linalg.schur(A.conj().T.astype(complex), output="complex", sort=wanted)  # type: ignore[call-overload]
    return basis[:, :count], form[:count, :count].conj().T


def _reached_by_staircase(A: Any, b: Any, tolerance: float) -> np.ndarray[Any, Any]:
    """Return the eigenvalues of the leading block of the controller Hessenberg form, up to its first small entry."""
    if np.linalg.norm(b) <= tolerance:
        return np.zeros(0, complex)
    basis = scipy.linalg.qr(b[:, None])[0]
    hessenberg = scipy.linalg.hessenberg(basis.conj().T @ A @ basis)
    small = np.flatnonzero(np.abs(np.diagonal(hessenberg, -1)) <= tolerance)
    size = small[0] + 1 if len(small) else len(b)
    return scipy.linalg.eigvals(hessenberg[:size, :size])
