"""Memory of layers side by side, on one axis: what they remember, and for how many bytes of state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float64
from scipy.linalg import solve_toeplitz
from torch import Tensor

from ssmemory.errors import UnstableError, reject
from ssmemory.memory import gated_memory, linear_attention_system, memory_function
from ssmemory.memory.correlated_channels import correlated_channels
from ssmemory.memory.drawing import draw_memory
from ssmemory.nn.alike import SizedLayer
from ssmemory.nn.attention import Attention
from ssmemory.nn.linear_attention import LinearAttention
from ssmemory.systems import HasSystem, LinearSystem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

How = Literal["exact", "one eigenvalue", "given its keys", "all it keeps"]
LARGEST_STATE = 512  # of one system with several inputs: a minute of computing
_POSITIONS = 4  # at which a gated state is read


@dataclass(frozen=True)
class ComparedMemory:
    """The memory of one layer as it starts; made by `compare_layers`.

    Attributes:
        name: the layer.
        how: "exact": of the linear system inside. Of linear attention "one eigenvalue": what is written with a key that
            never changes; "given its keys": the gate-conditional memory of its values, with the keys of a sequence. Of
            softmax attention "all it keeps": every input of its window.
        d_state: the layer's state size; of attention how many steps it keeps.
        bytes: of its state; see `state_bytes`.
        capacity: ``Σ MF`` over all lags and channels of all its systems: how many numbers it holds.
        d_model: channels.
        lags: steps, about equally spaced on a logarithmic scale; lag 0 is the current input.
        median: MF at those lags, median over the channels (given its keys: over heads and positions).
        low: 10th percentile.
        high: 90th percentile.
    """

    name: str
    how: How
    d_state: int
    bytes: int
    capacity: float
    d_model: int
    lags: list[int]
    median: list[float]
    low: list[float]
    high: list[float]

    @property
    def per_channel(self) -> float:
        """Capacity a channel."""
        return self.capacity / self.d_model

    @property
    def per_kib(self) -> float:
        """Capacity a KiB of state: at most 256 where every number of it has four bytes."""
        return self.capacity / (self.bytes / 1024)

    def to_record(self) -> dict[str, Any]:
        """Return all of it as plain numbers and names."""
        return asdict(self) | {"per_channel": self.per_channel, "per_kib": self.per_kib}


@dataclass(frozen=True)
class Comparison:
    """The memory of several layers; made by `compare_layers`.

    Attributes:
        rows: one a layer and way of measuring.
        correlated: whether the input was correlated in time; then capacities are still those of white input.
    """

    rows: list[ComparedMemory]
    correlated: bool

    def table(self) -> str:
        """Return the rows in columns: state, bytes, capacity, and MF at a few lags."""
        lags = self.rows[0].lags
        shown = sorted({min(lags, key=lambda lag: abs(lag - mark)) for mark in (0, 10, 100, 1000) if mark <= lags[-1]})
        shown = sorted({*shown, lags[-1]})
        head = ["layer", "", "d_state", "bytes", "capacity", "a channel", "a KiB", *(f"MF({lag})" for lag in shown)]
        body = [
            [
                row.name, row.how, f"{row.d_state}", f"{row.bytes}", f"{row.capacity:.6g}", f"{row.per_channel:.4g}",
                f"{row.per_kib:.4g}", *(f"{row.median[lags.index(lag)]:.3g}" for lag in shown),
            ]
            for row in self.rows
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in (head, *body)
        ]
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the memory functions, median and band over channels, against the number of steps read back.

        Args:
            ax: where to draw; a new figure if left out.

        Returns:
            The axes, logarithmic both ways.
        """
        for row in self.rows:
            label = row.name if row.how in ("exact", "all it keeps") else f"{row.name}, {row.how}"
            ax = draw_memory(ax, torch.tensor(row.lags), torch.tensor([row.median]).double(), None, label)
            steps, color = [lag + 1 for lag in row.lags], ax.lines[-1].get_color()
            ax.fill_between(steps, row.low, row.high, color=color, alpha=0.18, linewidth=0)
        assert ax is not None
        ax.set_ylim(1e-4, 1.3)
        return ax


@torch.no_grad()
def compare_layers(
    layers: Sequence[SizedLayer], lags: int, *, input_autocovariance: Any = None, sequence: Tensor | None = None,
    seed: int = 0,
) -> Comparison:  # fmt: skip
    """Return what layers remember of their own input, side by side, with the bytes that it takes. Exact where stated.

    Every layer with a linear system inside gives its exact memory function: of each channel of S4D and S4, which have a
    state each, and of each of the inputs that share the state of S5, LRU and LinearRNN; inputs are independent of
    each other. Its capacity is the rank, so at most the numbers of its state: 256 a KiB in float32. `LinearAttention`
    gives two rows and `Attention` all that it keeps; see `ComparedMemory.how`.

    Args:
        layers: from `layers_alike`.
        lags: MF is given at about 40 of the lags 0 … lags − 1.
        input_autocovariance: r(0), r(1), … of every channel; white input if left out. It changes MF, not the capacity,
            which counts white input.
        sequence: (length, d_model), at least 2 ``lags`` steps, that linear attention takes its keys from; standard
            normal noise if left out. Its values count as white.
        seed: seeds the noise.

    Returns:
        The comparison.

    Raises:
        InputError: no layers, no lags, a state above 512 for several inputs, a sequence too short or of another width,
            or an autocovariance that `correlated_channels` refuses.
        UnstableError: an eigenvalue on or outside the unit circle.

    Numerics:
        Softmax attention keeps keys and values, of which every input is read back as far as the two matrices together
        have full rank; the correlated input beyond its window is predicted from what is in it.

    Example:
        >>> from ssmemory.nn.alike import layers_alike
        >>> row = compare_layers(layers_alike(["LRU"], d_model=2, d_state=8), 100).rows[0]
        >>> row.bytes, round(row.capacity, 9), round(row.per_channel, 9), round(row.per_kib, 6)
        (32, 8.0, 4.0, 256.0)
    """
    if not layers or lags < 1:
        reject("layers", expected="a layer and a lag", got=f"{len(layers)} layers, {lags} lags", fix="name one")
    wanted = (np.unique(np.geomspace(1, lags, 48).round().astype(int)) - 1).tolist()
    rows = []
    for sized in layers:
        found: list[tuple[How, float, Tensor]] = []
        if isinstance(sized.layer, Attention):
            found.append(("all it keeps", *_window(sized.layer, sized.steps or lags, wanted, input_autocovariance)))
        if isinstance(sized.layer, LinearAttention):
            found.append(("given its keys", *_given_keys(sized.layer, wanted, sequence, seed)))
        if isinstance(sized.layer, HasSystem):
            found += _exact(sized.layer, wanted, input_autocovariance)
        rows += [_row(sized, how, capacity, wanted, values) for how, capacity, values in found]
    return Comparison(rows, input_autocovariance is not None)


def _row(
    sized: SizedLayer, how: How, capacity: float, lags: list[int], values: Float64[Tensor, "channels n_lags"]
) -> ComparedMemory:
    low, median, high = values.clamp(0, 1).quantile(torch.tensor([0.1, 0.5, 0.9], dtype=values.dtype), 0).tolist()
    size: int = sized.steps if sized.steps is not None else sized.layer.d_state  # type: ignore[assignment]
    return ComparedMemory(
        sized.name, how, size, sized.bytes, capacity, sized.layer.d_model, lags, median, low, high
    )  # fmt: skip


def _exact(layer: Any, lags: list[int], r: Any) -> list[tuple[How, float, Tensor]]:
    system: LinearSystem = layer.system()
    if system.n_inputs > 1 and system.d_state > LARGEST_STATE:
        fix = "take fewer bytes or channels, or a smaller state"
        reject("d_state", expected=f"at most {LARGEST_STATE} with several inputs", got=system.d_state, fix=fix)
    attention = isinstance(layer, LinearAttention)
    try:
        memory = memory_function(system, lags if system.n_inputs > 1 else lags[-1] + 1)
    except UnstableError:
        if attention:  # without decay nothing is forgotten, and there is no such row
            return []
        raise
    capacity, values = float(memory.capacity.sum()), memory.channels
    values = values if system.n_inputs > 1 else values[:, lags]
    if r is not None:
        values = correlated_channels(system, r, lags).transpose(-1, -2).reshape(-1, len(lags))
    copies = layer.d_model // layer.heads if attention else 1  # one such recurrence a value channel
    return [("one eigenvalue" if attention else "exact", copies * capacity, values)]


def _given_keys(
    layer: LinearAttention, lags: list[int], sequence: Tensor | None, seed: int
) -> tuple[float, Tensor]:  # fmt: skip
    """Return capacity and MF over heads and positions, with the keys of a sequence."""
    least = 2 * (lags[-1] + 1)
    if sequence is None:
        sequence = torch.randn(least, layer.d_model, generator=torch.Generator().manual_seed(seed))
    if sequence.ndim != 2 or len(sequence) < least or sequence.shape[1] != layer.d_model:
        expected = f"shape (length, {layer.d_model}) with a length of at least {least}, twice the lags"
        reject("sequence", expected=expected, got=tuple(sequence.shape), fix="give a longer one, or fewer lags")
    keys = layer._projected(sequence.to(layer.key.dtype))[1].transpose(0, 1)
    system = linear_attention_system(keys, layer._log_decay().unsqueeze(-1))
    positions = np.linspace(len(sequence) // 2, len(sequence) - 1, _POSITIONS).astype(int).tolist()
    memory = gated_memory(system, positions, lags)
    capacity = layer.d_model // layer.heads * memory.capacity.mean(-1).sum()
    return float(capacity), memory.values.reshape(-1, len(lags))


def _window(layer: Attention, steps: int, lags: list[int], r: Any) -> tuple[float, Tensor]:
    """Return capacity and MF of every channel where the last ``steps`` keys and values are kept."""
    kept = torch.cat([layer.key, layer.value]).double()
    readable = (torch.linalg.pinv(kept) @ kept).diagonal()
    values = torch.outer(readable, (torch.tensor(lags) < steps).double())
    beyond = [k for k, lag in enumerate(lags) if lag >= steps]
    if r is not None and beyond and bool((readable > 1 - 1e-9).all()):
        row = np.zeros(lags[-1] + 1)
        given = np.asarray(r, dtype=float)[: len(row)]
        row[: len(given)] = given
        for k in beyond:
            known = row[lags[k] - steps + 1 : lags[k] + 1][::-1]
            values[:, k] = float(known @ solve_toeplitz(row[:steps], known) / row[0])
    return steps * float(readable.sum()), values
