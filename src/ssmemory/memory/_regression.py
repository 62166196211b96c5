"""Least squares on recorded states: their directions, sums by block, and a jackknife over the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.memory.recording import record_states

Array = NDArray[np.float64]
Targets = Callable[[int, slice], Array]  # sequence and steps to (steps, targets)
SAMPLES_PER_DIRECTION = 20  # fewer steps than that a direction of the state are refused
FEWEST_BLOCKS = 20
SURROGATES = 64
_ROUNDING = 1e-13  # of the sums: no standard error is smaller


@dataclass(frozen=True)
class Regression:
    """Recorded states in uncorrelated directions, ready to read targets; made by `regression`."""

    rows: Rows
    spread: tuple[Array, Array, NDArray[np.bool_]]
    whiten: Array
    condition: float
    level: float

    @property
    def rank(self) -> int:
        """Directions of the state above its own rounding."""
        return self.whiten.shape[1]

    @property
    def d_state(self) -> int:
        """Real numbers in a state."""
        return self.rows.states.shape[-1] * (2 if np.iscomplexobj(self.rows.states) else 1)

    @property
    def quantile(self) -> float:
        """Standard errors in half an interval."""
        return float(scipy.stats.t.ppf((1 + self.level) / 2, self.rows.blocks - 1))

    def shares(self, targets: Targets, n_targets: int) -> tuple[Array, Array]:
        """Return the share of the variance of every target that the states explain, and that without each block."""
        G, c, energy = self._sums(targets, n_targets)
        whole = G.sum(0), c.sum(0), energy.sum(0)
        left = [_explained(whole[0] - G[j], whole[1] - c[j], whole[2] - energy[j]) for j in range(len(G))]
        return _explained(*whole), np.stack(left)

    def _sums(self, targets: Targets, k: int) -> tuple[Array, Array, Array]:
        """Return for every block ``Σ z zᵀ``, ``Σ z yᵀ`` and ``Σ y²``: z = 1 and the directions, y = the targets."""
        rows, r = self.rows, self.rank + 1
        G, c, energy = np.zeros((rows.blocks, r, r)), np.zeros((rows.blocks, r, k)), np.zeros((rows.blocks, k))
        for block, sequence, steps in rows.pieces(r + k):
            z = _standardised(rows, sequence, steps, self.spread) @ self.whiten
            z = np.concatenate([np.ones((len(z), 1)), z], -1)
            y = targets(sequence, steps)
            G[block] += z.T @ z
            c[block] += z.T @ y
            energy[block] += (y * y).sum(0)
        return G, c, energy


def regression(
    states_or_model: Any, u: Array, largest_lag: int, *, layer: str | None, washout: int | None, level: float,
    blocks: int, numbers: int,
) -> Regression:  # fmt: skip
    """Return the states at the steps that have seen ``largest_lag`` inputs, in directions; or refuse.

    Args:
        states_or_model: as in `estimate_memory`, as are layer, washout, level and blocks.
        u: (sequences, length) from `read_inputs`.
        largest_lag: of the targets.
        numbers: how many numbers to hold at once.
    """
    if not 0 < level < 1:
        reject("level", expected="a number strictly between 0 and 1", got=level, fix="0.95 is usual")
    if blocks < FEWEST_BLOCKS:
        reject("blocks", expected=f"at least {FEWEST_BLOCKS}", got=blocks, fix="fewer give no sure interval")
    length = u.shape[1]
    if largest_lag >= length:
        fix = "ask for fewer lags, or record longer sequences"
        reject("lags", expected=f"lags below the length {length}", got=largest_lag, fix=fix)
    if isinstance(states_or_model, (Tensor, np.ndarray)):
        if layer is not None:
            reject("layer", expected="none for recorded states", got=repr(layer), fix="pass the module itself")
        states, eps = _array(states_or_model)
    else:
        states, eps = _array(record_states(states_or_model, _for_model(states_or_model, u), layer=layer))
    states = _shaped(states, u)
    start = max(largest_lag, length // 10 if washout is None else washout)
    if washout is not None and not 0 <= washout < length:
        reject("washout", expected=f"0 … {length - 1}", got=washout, fix="leave steps to measure on")
    rows = Rows(states, eps, start, len(u) * (length - start), blocks, numbers)
    spread, whiten, condition = _directions(rows)
    rank = whiten.shape[1]
    if rows.total < max(SAMPLES_PER_DIRECTION * (rank + 1), 2 * blocks):
        fix = "record longer, ask for fewer lags, or wash out less"
        expected = f"at least {max(SAMPLES_PER_DIRECTION * (rank + 1), 2 * blocks)} steps for {rank} directions"
        reject("states", expected=expected, got=f"{rows.total} after the washout", fix=fix)
    return Regression(rows, spread, whiten, condition, level)


def corrected(full: Array, without: Array) -> tuple[Array, Array]:
    """Return the jackknife's value, free of the bias of a finite sample to first order, and its standard error."""
    blocks = len(without)
    apart = without - without.mean(0)
    neighbours = 2 * (apart[1:] * apart[:-1]).sum(0)  # blocks that share what the state remembers
    variance = (apart**2).sum(0) + np.maximum(neighbours, 0)
    error = np.sqrt((blocks - 1) / blocks * variance)
    return blocks * full - (blocks - 1) * without.mean(0), np.maximum(error, _ROUNDING)


def shifted_inputs(shape: tuple[int, ...], seed: int) -> Callable[[int, slice], tuple[NDArray[Any], NDArray[Any]]]:
    """Return where to read, in (sequences, length), the surrogates of a step: inputs of another time or sequence."""
    rng, (sequences, length) = np.random.default_rng(seed), shape
    shifts = rng.integers(length // 4, max(length // 4 + 1, 3 * length // 4), SURROGATES)
    turns = rng.integers(1, sequences, SURROGATES) if sequences > 1 else np.zeros(SURROGATES, dtype=np.int64)

    def where(sequence: int, steps: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        t = np.arange(steps.start, steps.stop)[:, None]
        return (sequence - turns) % sequences, (t - shifts) % length

    return where


@dataclass(frozen=True)
class Rows:
    """The rows of the regression: steps ``start`` … of every sequence, cut where a block ends."""

    states: NDArray[Any]
    eps: float
    start: int
    total: int
    blocks: int
    numbers: int

    def pieces(self, width: int) -> Iterator[tuple[int, int, slice]]:
        """Yield block, sequence and steps, so few that an array of them with ``width`` columns is small."""
        sequences, length = self.states.shape[:2]
        most, used, row = max(64, self.numbers // width), length - self.start, 0
        ends = [(block + 1) * self.total // self.blocks for block in range(self.blocks)]
        block = 0
        while row < self.total:
            while row >= ends[block]:
                block += 1
            sequence, step = divmod(row, used)
            n = min(most, used - step, ends[block] - row)
            yield block, sequence, slice(self.start + step, self.start + step + n)
            row += n
        assert row == sequences * used

    def features(self, sequence: int, steps: slice) -> Array:
        """Return (n, d) float64: the state, or its real and imaginary parts."""
        x = self.states[sequence, steps]
        return np.concatenate([x.real, x.imag], -1, dtype=np.float64) if np.iscomplexobj(x) else x.astype(np.float64)


def _directions(rows: Rows) -> tuple[tuple[Array, Array, NDArray[np.bool_]], Array, float]:
    """Return centre, scale and choice of the features that vary, the map to uncorrelated directions, the condition."""
    d = rows.features(0, slice(0, 1)).shape[1]
    origin, largest = rows.features(0, slice(rows.start, rows.start + 1))[0], np.zeros(d)
    first, second = np.zeros(d), np.zeros(d)
    for _, sequence, steps in rows.pieces(d):
        x = rows.features(sequence, steps)
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).sum())
            fix = "check where they come from"
            reject("states", expected="finite numbers", got=f"{bad} NaN or infinite in sequence {sequence}", fix=fix)
        largest = np.maximum(largest, np.abs(x).max(0))
        first, second = first + (x - origin).sum(0), second + ((x - origin) ** 2).sum(0)
    centre = origin + first / rows.total
    scale = np.sqrt(np.maximum(second / rows.total - (first / rows.total) ** 2, 0))
    if np.iscomplexobj(rows.states):  # both parts of a number are rounded alike
        largest = np.tile(np.maximum(*np.split(largest, 2)), 2)
    varies = scale > 10 * rows.eps * largest
    if not varies.any():
        fix = "drive the model with its input, and check the layer"
        reject("states", expected="states that vary in time", got=f"{d} constant features", fix=fix)
    spread = centre[varies], scale[varies], varies
    R: Array = np.zeros((0, int(varies.sum())))
    for _, sequence, steps in rows.pieces(d):
        R = np.asarray(np.linalg.qr(np.concatenate([R, _standardised(rows, sequence, steps, spread)]), mode="r"))
    _, sizes, directions = np.linalg.svd(R / np.sqrt(rows.total))
    kept = sizes > max(16, R.shape[1]) * rows.eps * sizes[0]
    return (
        spread,
        directions[: len(sizes)][kept].T / sizes[kept],
        float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else np.inf,
    )


def _standardised(rows: Rows, sequence: int, steps: slice, spread: tuple[Array, Array, NDArray[np.bool_]]) -> Array:
    centre, scale, varies = spread
    return (rows.features(sequence, steps)[:, varies] - centre) / scale


def _explained(G: Array, c: Array, energy: Array) -> Array:
    """Return the share of the variance of every target that the directions explain; 0 of one that does not vary."""
    triangle = scipy.linalg.cholesky(G, lower=True)
    reached = scipy.linalg.solve_triangular(triangle, c, lower=True)  # its first row is the mean's part
    variance = energy - reached[0] ** 2
    varies = variance > _ROUNDING * energy
    return np.asarray(np.where(varies, (reached[1:] ** 2).sum(0) / np.where(varies, variance, 1), 0.0))


def _array(value: Any) -> tuple[NDArray[Any], float]:
    """Return an array, copied only where numpy lacks its precision, and the relative rounding of its numbers."""
    if not isinstance(value, Tensor):
        value = value if value.dtype.kind in "fc" else value.astype(np.float64)
        return value, float(np.finfo(value.dtype).eps)
    value = value.detach().cpu().resolve_conj()
    if not (value.is_complex() or value.is_floating_point()):
        value = value.double()
    eps = float(torch.finfo(value.dtype).eps)
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).numpy(), eps


def _shaped(states: NDArray[Any], u: Array) -> NDArray[Any]:
    """Return states of shape (sequences, length, N)."""
    if states.ndim == 2 and len(u) == 1:
        states = states[None]
    if states.ndim != 3 or states.shape[:2] != u.shape or states.shape[2] == 0:
        expected = f"shape {(*u.shape, 'N')}, a state for every input".replace("'", "")
        reject("states", expected=expected, got=states.shape, fix="record states and inputs of the same steps")
    return states


def _for_model(model: Any, u: Array) -> Tensor:
    """Return the input as (sequences, length, 1) in the precision and on the device of the model."""
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    like = next((p for p in weights if p.is_floating_point()), torch.empty(0, dtype=torch.float64))
    return torch.from_numpy(u).unsqueeze(-1).to(like)


def read_inputs(inputs: Any) -> Array:
    """Return (sequences, length) float64."""
    try:
        given = _array(inputs)[0] if isinstance(inputs, Tensor) else np.asarray(inputs)
    except (TypeError, ValueError):
        given = np.array(None)
    if given.dtype.kind == "c":
        reject("inputs", expected="real numbers", got="complex ones", fix="measure one real input at a time")
    if given.dtype.kind not in "fiub" or given.ndim not in (1, 2) or given.size == 0:
        got = f"shape {given.shape} ({given.dtype})"
        reject("inputs", expected="numbers of shape (length,) or (sequences, length)", got=got, fix="one input channel")
    u = np.atleast_2d(given).astype(np.float64)
    if not np.isfinite(u).all():
        bad = int((~np.isfinite(u)).sum())
        reject("inputs", expected="finite numbers", got=f"{bad} NaN or infinite", fix="check where they come from")
    if not u.std() > 1e-12 * np.abs(u).max():
        reject("inputs", expected="an input that varies", got=f"the constant {u[0, 0]:g}", fix="drive with white noise")
    return u
