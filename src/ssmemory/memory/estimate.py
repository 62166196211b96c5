"""The memory function of any model, estimated from the states that it went through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.stats
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.memory.drawing import draw_memory
from ssmemory.memory.function import read_lags
from ssmemory.memory.recording import record_states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
SAMPLES_PER_DIRECTION = 20  # fewer steps than that a direction of the state are refused
FEWEST_BLOCKS = 20
_SURROGATES = 64
_ROUNDING = 1e-13  # of the sums: no standard error is smaller
_CHUNK_NUMBERS = 2**19  # 4 MB at once


@dataclass(frozen=True, eq=False)
class MemoryEstimate:
    """A memory function measured on recorded states; made by `estimate_memory`. An estimate, with its interval.

    Attributes:
        lags: (n_lags,) steps; lag 0 is the current input.
        values: (n_lags,) MF, free of the finite-sample floor to first order, so that it can fall below 0.
        stderr: (n_lags,) standard errors, from a jackknife over contiguous blocks and the covariance of neighbours.
        interval: (n_lags, 2) two-sided intervals, each for its own lag.
        floor: what the current input seems to be remembered by states that never saw it: the 95th percentile over
            64 circularly shifted inputs, after the same correction. A value below it is no evidence of memory.
        capacity: sum of the values over these lags, not beyond.
        capacity_interval: (2,) its interval.
        level: what share of such intervals is to hold the true value.
        n_samples: steps used, after the washout.
        d_state: real numbers in a state; a complex one counts two.
        resolved_rank: directions of the state above the rounding of its own precision. Where it is below what the
            theory says, the states as recorded do not carry the rest.
        condition: condition number of the standardised states, all their directions included.
    """

    lags: Int64[Tensor, " n_lags"]
    values: Float64[Tensor, " n_lags"]
    stderr: Float64[Tensor, " n_lags"]
    interval: Float64[Tensor, "n_lags 2"]
    floor: float
    capacity: float
    capacity_interval: tuple[float, float]
    level: float
    n_samples: int
    d_state: int
    resolved_rank: int
    condition: float

    def describe(self) -> str:
        """Return one sentence in plain words."""
        above = int((self.values > self.floor).sum())
        low, high = self.capacity_interval
        return (
            f"Remembers {self.capacity:.3g} inputs ({low:.3g} to {high:.3g}, {100 * self.level:g} %) over "
            f"{len(self.lags)} lags, {above} of them above the floor of {self.floor:.1e}, from {self.n_samples} steps; "
            f"{self.resolved_rank} of {self.d_state} directions of the state are above rounding."
        )

    def plot(self, ax: Axes | None = None, *, label: str | None = None, bound: bool = True) -> Axes:
        """Draw MF against the number of steps read back (lag + 1), both logarithmic, with its interval.

        Args:
            ax: where to draw; a new figure if left out.
            label: name of the curve in the legend.
            bound: draw ``min(1, resolved_rank/(τ+1))``, which holds for a linear system, as a dashed line.

        Returns:
            The axes. A dotted line shows the floor; values below it are noise.
        """
        limit = (self.resolved_rank / (self.lags + 1).double()).clamp(max=1) if bound else None
        ax = draw_memory(ax, self.lags, self.values.clamp(min=1e-4)[None], limit, label)
        color = ax.lines[-1].get_color()
        order = self.lags.argsort()
        low, high = self.interval[order].clamp(min=1e-4).unbind(-1)
        ax.fill_between((self.lags[order] + 1).double(), low, high, color=color, alpha=0.18, linewidth=0)
        ax.axhline(max(self.floor, 1e-4), color=color, linestyle=":", linewidth=0.9)
        return ax


def estimate_memory(
    states_or_model: Tensor | NDArray[Any] | nn.Module | Callable[[Tensor], Any],
    inputs: Tensor | NDArray[Any],
    lags: int | Sequence[int],
    *,
    layer: str | None = None,
    washout: int | None = None,
    level: float = 0.95,
    blocks: int = 32,
    seed: int = 0,
) -> MemoryEstimate:
    """Estimate how well the input of τ steps ago can be read, linearly, off the present state of any model.

    ``MF(τ) = 1 − min_w E|u[t−τ] − w·x[t] − c|² / Var u`` by least squares on recorded states. The squared correlation
    of a finite sample is too large by about rank/T. A jackknife over contiguous blocks takes that off, for states and
    residuals that depend on time too, and gives the interval. For a linear system, white input and states past their
    transient it estimates `memory_function`. Correlated inputs are allowed; they measure what that input leaves.

    No ridge penalty: it would add a bias that the jackknife does not take off, and with these samples has no use.

    A complex state is read by a *real* readout of its real and imaginary parts, as S4D, S5 and LRU do: compare with
    ``conj_sym=True``, not with the complex system alone.

    Args:
        states_or_model: states (length, N) or (sequences, length, N), real or complex, arrays on disk included; or a
            module or function as for `record_states`, which is then called with inputs of shape (sequences, length, 1).
        inputs: (length,) or (sequences, length) real; the state at a step has seen the input of that step.
        lags: n for lags 0 … n−1, or a sequence of lags ≥ 0.
        layer: dotted name of the layer to record, for a module.
        washout: steps at the beginning of every sequence that are not used; a tenth of it if left out. Never fewer
            than the largest lag.
        level: what share of intervals is to hold the true value.
        blocks: number of blocks, at least 20. A block should be longer than the memory.
        seed: seeds the shifts of the surrogates.

    Returns:
        The estimate.

    Raises:
        InputError: NaN, complex or constant input, states that are constant or of another length, lags longer than the
            data, fewer than 20 steps for every direction of the state, or a model that `record_states` refuses.

    Numerics:
        Directions of the state come from a QR decomposition of standardised states, not from their covariance, so a
        condition number up to about 1e13 in float64 is resolved; what is below rounding is left out and counted.
        Three passes in blocks: time O(T N (N + n_lags)), memory O(blocks · N · (N + n_lags)) beside the data.
        Intervals leave out what is lost below rounding: heed `resolved_rank`.

    Source:
        Künsch, Ann. Statist. 17, 1217 (1989) for the block jackknife; Jaeger (2001) for the memory function.

    Example:
        >>> u = np.random.default_rng(0).standard_normal(4000)
        >>> estimate = estimate_memory(np.stack([u, np.roll(u, 3)], -1), u, 5)
        >>> (estimate.values.numpy().round(2) + 0).tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0]
    """
    wanted = read_lags(lags)[0]
    u = _read_inputs(inputs)
    if not 0 < level < 1:
        reject("level", expected="a number strictly between 0 and 1", got=level, fix="0.95 is usual")
    if blocks < FEWEST_BLOCKS:
        reject("blocks", expected=f"at least {FEWEST_BLOCKS}", got=blocks, fix="fewer give no sure interval")
    length = u.shape[1]
    if int(wanted.max()) >= length:
        fix = "ask for fewer lags, or record longer sequences"
        reject("lags", expected=f"lags below the length {length}", got=int(wanted.max()), fix=fix)
    if isinstance(states_or_model, (Tensor, np.ndarray)):
        if layer is not None:
            reject("layer", expected="none for recorded states", got=repr(layer), fix="pass the module itself")
        states, eps = _array(states_or_model)
    else:
        states, eps = _array(record_states(states_or_model, _for_model(states_or_model, u), layer=layer))
    states = _shaped(states, u)
    start = max(int(wanted.max()), length // 10 if washout is None else washout)
    if washout is not None and not 0 <= washout < length:
        reject("washout", expected=f"0 … {length - 1}", got=washout, fix="leave steps to measure on")
    rows = _Rows(states, eps, start, len(u) * (length - start), blocks)
    spread, whiten, condition = _directions(rows)
    rank = whiten.shape[1]
    if rows.total < max(SAMPLES_PER_DIRECTION * (rank + 1), 2 * blocks):
        fix = "record longer, ask for fewer lags, or wash out less"
        expected = f"at least {max(SAMPLES_PER_DIRECTION * (rank + 1), 2 * blocks)} steps for {rank} directions"
        reject("states", expected=expected, got=f"{rows.total} after the washout", fix=fix)
    values, error, floor, capacity, capacity_error = _jackknife(
        rows, (u - u.mean()) / u.std(), wanted.numpy(), spread, whiten, seed
    )
    error = np.maximum(error, _ROUNDING)
    quantile = float(scipy.stats.t.ppf((1 + level) / 2, blocks - 1))
    half = quantile * error
    return MemoryEstimate(
        lags=wanted,
        values=torch.from_numpy(values),
        stderr=torch.from_numpy(error),
        interval=torch.from_numpy(np.stack([values - half, values + half], -1)),
        floor=floor,
        capacity=capacity,
        capacity_interval=(capacity - quantile * capacity_error, capacity + quantile * capacity_error),
        level=level,
        n_samples=rows.total,
        d_state=states.shape[-1] * (2 if np.iscomplexobj(states) else 1),
        resolved_rank=rank,
        condition=condition,
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of the regression: steps ``start`` … of every sequence, cut where a block ends."""

    states: NDArray[Any]
    eps: float
    start: int
    total: int
    blocks: int

    def pieces(self, width: int) -> Iterator[tuple[int, int, slice]]:
        """Yield block, sequence and steps, so few that an array of them with ``width`` columns is small."""
        sequences, length = self.states.shape[:2]
        most, used, row = max(64, _CHUNK_NUMBERS // width), length - self.start, 0
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


def _directions(rows: _Rows) -> tuple[tuple[Array, Array, NDArray[np.bool_]], Array, float]:
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


def _standardised(rows: _Rows, sequence: int, steps: slice, spread: tuple[Array, Array, NDArray[np.bool_]]) -> Array:
    centre, scale, varies = spread
    return (rows.features(sequence, steps)[:, varies] - centre) / scale


def _jackknife(
    rows: _Rows, u: Array, lags: NDArray[np.int64], spread: tuple[Array, Array, NDArray[np.bool_]], whiten: Array,
    seed: int,
) -> tuple[Array, Array, float, float, float]:  # fmt: skip
    """Return values, standard errors, the floor, the capacity and its standard error."""
    G, c, energy = _sums(rows, u, lags, spread, whiten, seed)
    blocks, n = len(G), len(lags)
    whole = G.sum(0), c.sum(0), energy.sum(0)
    full = _explained(*whole)
    without = np.stack([_explained(whole[0] - G[j], whole[1] - c[j], whole[2] - energy[j]) for j in range(blocks)])

    def corrected(full: Array, without: Array) -> tuple[Array, Array]:
        apart = without - without.mean(0)
        neighbours = 2 * (apart[1:] * apart[:-1]).sum(0)  # blocks that share what the state remembers
        variance = (apart**2).sum(0) + np.maximum(neighbours, 0)
        return blocks * full - (blocks - 1) * without.mean(0), np.sqrt((blocks - 1) / blocks * variance)

    values, error = corrected(full, without)
    capacity, capacity_error = corrected(full[:n].sum(), without[:, :n].sum(1))
    return values[:n], error[:n], float(np.quantile(values[n:], 0.95)), float(capacity), float(capacity_error)


def _sums(
    rows: _Rows, u: Array, lags: NDArray[np.int64], spread: tuple[Array, Array, NDArray[np.bool_]], whiten: Array,
    seed: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return for every block ``Σ z zᵀ``, ``Σ z yᵀ`` and ``Σ y²``: z = 1 and the directions, y = lagged inputs, then
    the surrogates."""
    rng, (sequences, length) = np.random.default_rng(seed), u.shape
    shifts = rng.integers(length // 4, max(length // 4 + 1, 3 * length // 4), _SURROGATES)
    turns = rng.integers(1, sequences, _SURROGATES) if sequences > 1 else np.zeros(_SURROGATES, dtype=np.int64)
    r, k = whiten.shape[1] + 1, len(lags) + _SURROGATES
    G, c, energy = np.zeros((rows.blocks, r, r)), np.zeros((rows.blocks, r, k)), np.zeros((rows.blocks, k))
    for block, sequence, steps in rows.pieces(r + k):
        t = np.arange(steps.start, steps.stop)[:, None]
        z = _standardised(rows, sequence, steps, spread) @ whiten
        z = np.concatenate([np.ones((len(z), 1)), z], -1)
        shifted = u[(sequence - turns) % sequences, (t - shifts) % length]
        y = np.concatenate([u[sequence][t - lags], shifted], -1)
        G[block] += z.T @ z
        c[block] += z.T @ y
        energy[block] += (y * y).sum(0)
    return G, c, energy


def _explained(G: Array, c: Array, energy: Array) -> Array:
    """Return the share of the variance of every target that the directions explain."""
    triangle = scipy.linalg.cholesky(G, lower=True)
    reached = scipy.linalg.solve_triangular(triangle, c, lower=True)  # its first row is the mean's part
    return (reached[1:] ** 2).sum(0) / np.maximum(energy - reached[0] ** 2, 1e-300)


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


def _read_inputs(inputs: Any) -> Array:
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
