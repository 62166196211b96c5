"""The memory of token ids, estimated from the states of a model that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.memory._regression import SURROGATES, Array, read_inputs, regression, shifted_inputs
from ssmemory.memory.estimate import MemoryEstimate, summarise
from ssmemory.memory.function import read_lags
from ssmemory.memory.recording import record_states

CODES = 32  # a larger vocabulary is looked at through that many random directions
Places = Callable[[int, slice], tuple[Any, Any]]  # sequence and steps to where the targets are read
_CHUNK_NUMBERS, _SUM_NUMBERS = 2**19, 2**23


def token_memory(
    states_or_model: Tensor | NDArray[Any] | nn.Module | Callable[[Tensor], Any],
    tokens: Tensor | NDArray[Any],
    lags: int | Sequence[int],
    vocabulary: int,
    *,
    layer: str | None = None,
    washout: int | None = None,
    level: float = 0.95,
    blocks: int = 32,
    seed: int = 0,
    at_once: int | None = None,
) -> MemoryEstimate:
    """Estimate how well the token of τ steps ago can be read, linearly, off the present state of any model.

    A token has no value of its own: what is read is whether it was token a, ``e_a(v) = 1`` if v = a else 0, and

        MF(τ) = mean over a of  1 − min_w E|e_a(v[t−τ]) − w·x[t] − c|² / Var e_a

    For uniform tokens that is the multivariate memory ``1 − min_W E|e − W x − c|² / E|e − E e|²`` of the one-hot
    vector, and the mean over all V − 1 directions in which tokens differ; a fixed code, such as a random ±1, would ask
    for one of them alone.

    For i.i.d. uniform tokens ``Σ_τ MF(τ) ≤ N/(V − 1)``, N the number of independent states: all directions of all
    past tokens are uncorrelated, and N numbers explain N of them at most. A large vocabulary therefore leaves little
    at any lag, whatever the model: drive with few different tokens to look far back. V = 2 is the memory of one bit.
    Correlated tokens are allowed; they measure what they leave.

    Args:
        states_or_model: as in `estimate_memory`; a model is called with the tokens as int64 (sequences, length).
        tokens: (length,) or (sequences, length) of ids 0 … vocabulary − 1; the state at a step has seen its token.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0.
        vocabulary: V, at least 2.
        layer: dotted name of the layer to record, for a module.
        washout: as in `estimate_memory`, as are the next two.
        level: what share of intervals is to hold the true value.
        blocks: number of blocks, at least 20.
        seed: seeds the shifts of the surrogates, and the directions of a large vocabulary.
        at_once: sequences that go through the model at a time; all if left out.

    Returns:
        The estimate, in whole tokens: the capacity times V − 1 counts directions of the state.

    Raises:
        InputError: ids that are not whole or outside the vocabulary, or what `estimate_memory` refuses.

    Numerics:
        Up to 32 tokens every component is read. Beyond, 32 random orthonormal directions of them stand for
        all: without bias, with an error of the choice that the interval does not hold. Cost as `estimate_memory` with
        min(V, 32) times the lags.

    Example:
        >>> v = torch.randint(0, 3, (4000,), generator=torch.Generator().manual_seed(0))
        >>> one = torch.nn.functional.one_hot(v.roll(1), 3)[:, :1]  # one of two directions of the token before
        >>> (token_memory(one.double(), v, 3, 3).values.numpy().round(1) + 0).tolist()
        [0.0, 0.5, 0.0]
    """
    wanted, u = read_lags(lags)[0], read_inputs(tokens)
    if isinstance(vocabulary, bool) or not isinstance(vocabulary, int) or vocabulary < 2:
        reject("vocabulary", expected="a whole number ≥ 2", got=repr(vocabulary), fix="2 asks for the memory of a bit")
    ids = u.astype(np.int64)
    if not (ids == u).all() or ids.min() < 0 or ids.max() >= vocabulary:
        got = f"{u.min():g} … {u.max():g}"
        reject("tokens", expected=f"ids 0 … {vocabulary - 1}", got=got, fix="name the vocabulary that they are from")
    states: Any = states_or_model
    if not isinstance(states, (Tensor, np.ndarray)):
        states, layer = record_states(states, torch.from_numpy(ids), layer=layer, at_once=at_once), None
    fit = regression(
        states, u, int(wanted.max()), layer=layer, washout=washout, level=level, blocks=blocks, numbers=_CHUNK_NUMBERS
    )  # fmt: skip
    codes = _codes(vocabulary, seed)
    n_codes = codes.shape[1]
    where, steps_back = shifted_inputs(u.shape, seed), wanted.numpy()

    def mean_shares(places: Places, n: int) -> tuple[Array, Array]:
        def targets(sequence: int, steps: slice) -> Array:
            y = codes[ids[places(sequence, steps)]]
            return y.reshape(len(y), -1)

        full, without = fit.shares(targets, n * n_codes)
        return full.reshape(n, n_codes).mean(-1), without.reshape(-1, n, n_codes).mean(-1)

    most = max(1, _SUM_NUMBERS // (blocks * (fit.rank + 1) * n_codes))
    parts = []
    for first in range(0, len(steps_back), most):
        some = steps_back[first : first + most]
        parts.append(mean_shares(_before(some), len(some)))
    parts.append(mean_shares(where, SURROGATES))
    full, without = (np.concatenate(part, -1) for part in zip(*parts, strict=True))
    return summarise(fit, wanted, full, without)


def _before(lags: NDArray[np.int64]) -> Places:
    return lambda sequence, steps: (sequence, np.arange(steps.start, steps.stop)[:, None] - lags)


def _codes(vocabulary: int, seed: int) -> Array:
    """Return (vocabulary, targets): one-hot vectors, or random orthonormal directions in which tokens differ."""
    if vocabulary <= CODES:
        return np.eye(vocabulary)
    noise = np.random.default_rng(seed).standard_normal((vocabulary, CODES))
    return np.asarray(np.linalg.qr(noise - noise.mean(0))[0])
