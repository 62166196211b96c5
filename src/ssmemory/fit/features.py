"""Features of whole sequences from a memory that is never trained: what a readout in closed form reads."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.ops import diagonal_scan
from ssmemory.ops.pooled_units import GROUP as _GROUP
from ssmemory.ops.pooled_units import group_of, pooled_units, read_groups

_CYCLES = 4.0  # periods of a mode within its decay time, at most
_LEVEL = 4  # every so many units see a constant, the others do not
_AT_ONCE = 2**14  # steps whose states are looked at together
_STEPS = 2048  # of a sequence, of which a threshold is a quantile

Nonlinearity = Literal["step", "relu"]


class FrozenFeatures(nn.Module):
    """A fixed number of features of sequences of any length: units that read a frozen memory, pooled over time.

    ``x[t] = λ x[t−1] + B u[t]`` is a bank of complex modes, ``d_state`` numbers, with decay times equally spaced on a
    logarithmic scale from one step to ``longest``. Two by two they read a few of the channels. A unit reads two such
    pairs of one decay time, ``y[t] = Re(c x[t])``, and three units in four answer to a constant input with zero. A
    unit's feature is the share of steps with ``y > θ`` ("step"), or the mean of ``max(y − θ, 0)`` ("relu"), over each
    of ``segments`` equal parts of the real steps. With more layers the next one reads ``max(y − θ, 0)`` of the last, in
    standard deviations, and all give features.

    Everything is a buffer: nothing can be trained. Thresholds and scales come from data, by `calibrate`.

    Args:
        d_input: channels.
        n_units: units of every layer.
        d_state: full real state size of every layer, a multiple of 16.
        longest: longest decay time in steps; about half the length of the sequences.
        segments: parts in time that are pooled apart: 1 where it does not matter *when* something happens.
        n_layers: layers, one on top of the other.
        nonlinearity: "step" or "relu".
        seed: seeds modes, units and thresholds.

    Shape:
        u: (batch, length, d_input). Features: (batch, n_layers · segments · n_units), float32.

    Raises:
        InputError: sizes out of range; at a call, a wrong width, length or dtype, or features that are not calibrated.

    Example:
        >>> u = torch.randn(8, 100, 1, generator=torch.Generator().manual_seed(0))
        >>> features = FrozenFeatures(1, n_units=16, longest=50.0).calibrate(u)
        >>> features(u).shape
        torch.Size([8, 16])
    """

    def __init__(
        self, d_input: int, n_units: int = 1024, d_state: int = 256, *, longest: float, segments: int = 1,
        n_layers: int = 1, nonlinearity: Nonlinearity = "step", seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = {"d_input": d_input, "n_units": n_units, "segments": segments, "n_layers": n_layers}
        for name, size in sizes.items():
            if size < 1:
                reject(name, expected="at least 1", got=size, fix="give a positive whole number")
        if d_state < 16 or d_state % 16:
            reject("d_state", expected="a multiple of 16", got=d_state, fix="256 is the default")
        if not 1 < longest < math.inf:
            reject("longest", expected="more than one step", got=longest, fix="give half the length of the sequences")
        if nonlinearity not in get_args(Nonlinearity):
            reject_unknown("nonlinearity", nonlinearity, get_args(Nonlinearity))
        self.d_input, self.segments, self.nonlinearity, self.calibrated = d_input, segments, nonlinearity, False
        generator = torch.Generator().manual_seed(seed)
        widths = [d_input] + [n_units] * (n_layers - 1)
        self.layers = nn.ModuleList(_Units(width, n_units, d_state, longest, generator) for width in widths)

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return sum(self.segments * len(layer.threshold) for layer in self._units())

    @torch.no_grad()
    def calibrate(self, u: Float[Tensor, "batch length d_input"], lengths: Tensor | None = None) -> FrozenFeatures:
        """Set thresholds and scales from a sample of the data: each a random quantile of one sequence.

        Args:
            u: some of the sequences.
            lengths: real steps of each.

        Returns:
            Itself.

        Raises:
            InputError: as a call.
        """
        h, lengths = read_batch(u, lengths, self.d_input)
        layers = self._units()
        for layer in layers:
            layer.calibrate(h, lengths)
            if layer is not layers[-1]:
                _, signal = layer.pooled(h, lengths, 1, with_signal=True)
                assert signal is not None
                h = signal
        self.calibrated = True
        return self

    @torch.no_grad()
    def forward(self, u: Float[Tensor, "batch length d_input"], lengths: Int[Tensor, " batch"] | None = None) -> Tensor:
        """Return the features; what lies beyond the lengths changes nothing.

        Args:
            u: sequences.
            lengths: real steps of each, at least 1; all if left out.

        Returns:
            (batch, n_features) float32.
        """
        if not self.calibrated:
            fix = "call calibrate with some of the training data first"
            reject("features", expected="thresholds from data", got="none yet", fix=fix)
        h, lengths = read_batch(u, lengths, self.d_input)
        found, layers = [], self._units()
        for layer in layers:
            pooled, signal = layer.pooled(h, lengths, self.segments, with_signal=layer is not layers[-1])
            found.append(pooled[:, :, int(self.nonlinearity == "relu")].flatten(1))
            h = h if signal is None else signal
        return torch.cat(found, 1)

    def _units(self) -> list[_Units]:
        return list(self.layers)  # type: ignore[arg-type]


def read_batch(u: Tensor, lengths: Tensor | None, width: int) -> tuple[Tensor, Tensor]:
    """Return sequences as float32, zero beyond their lengths, and the lengths.

    Args:
        u: (batch, length, width) sequences.
        lengths: real steps of each; all if left out.
        width: channels that are expected.

    Returns:
        Both, on the device of u.

    Raises:
        InputError: a wrong width, length or dtype.
    """
    if u.ndim != 3 or u.shape[-1] != width or not u.is_floating_point() or 0 in u.shape:
        got = f"{tuple(u.shape)} {str(u.dtype).removeprefix('torch.')}"
        reject("u", expected=f"(batch, length, {width}) of floats, nothing empty", got=got, fix="put channels last")
    u = u.float()
    if lengths is None:
        return u, torch.full((len(u),), u.shape[1], device=u.device)
    lengths = check_lengths(lengths, u)
    return u.masked_fill(beyond(lengths, u), 0), lengths


class _Units(nn.Module):
    """One bank of modes and the units that read it."""

    log_eigenvalues: Tensor
    B: Tensor
    C: Tensor
    quantile: Tensor
    threshold: Tensor
    scale: Tensor

    def __init__(self, d_input: int, n_units: int, d_state: int, longest: float, generator: torch.Generator) -> None:
        super().__init__()
        times = torch.logspace(0, math.log10(longest), d_state // 2 // _GROUP, dtype=torch.float64)
        times = times.repeat_interleave(_GROUP)
        fastest = (_CYCLES * 2 * math.pi / times).clamp(max=math.pi)
        phase = torch.rand(len(times), generator=generator, dtype=torch.float64) * fastest
        self.register_buffer("log_eigenvalues", torch.complex(-1 / times, phase))
        self.register_buffer("B", _few_channels(len(times) // 2, d_input, generator).repeat_interleave(2, 0))
        response = torch.view_as_real(1 / (1 - self.log_eigenvalues.exp())).float().reshape(-1, 4, 2, 2)
        group = group_of(n_units, len(response))[:, None]
        pairs = torch.rand(n_units, 4, generator=generator).argsort(1)[:, :2]
        c, constant = torch.randn(n_units, 2, 2, 2, generator=generator), response[group, pairs]
        share = (c * constant).sum((2, 3), keepdim=True) / constant.square().sum((2, 3), keepdim=True)
        share[::_LEVEL] = 0
        C = torch.zeros(n_units, 4, 2, 2)
        C[torch.arange(n_units)[:, None], pairs] = c - share * constant
        self.register_buffer("C", C.flatten(1, 2))
        self.register_buffer("quantile", 0.1 + 0.8 * torch.rand(n_units, generator=generator))
        self.register_buffer("threshold", torch.zeros(n_units))
        self.register_buffer("scale", torch.ones(n_units))
        self._seed = int(torch.randint(2**31, (), generator=generator))

    @property
    def decay_times(self) -> Tensor:
        """(n_units,) decay times in steps of the modes that each unit reads."""
        times = -1 / self.log_eigenvalues.real[::_GROUP]
        return times[group_of(len(self.C), len(times))]

    def modes(self, h: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (batch, length, modes) states, and the last: in double precision if a state to begin from is."""
        drive = (h @ self.B.mT).to(h.dtype if state is None else state.real.dtype)
        drive = torch.complex(drive, torch.zeros_like(drive))
        begin = drive.new_zeros(len(h), drive.shape[-1]) if state is None else state
        return diagonal_scan(drive, self.log_eigenvalues, begin)

    def pooled(self, h: Tensor, lengths: Tensor, segments: int, *, with_signal: bool) -> tuple[Tensor, Tensor | None]:
        """Return (batch, segments, 2, n_units) features, and what the next layer reads."""
        C, threshold = self.C / self.scale[:, None, None], self.threshold / self.scale
        return pooled_units(h, self.log_eigenvalues, self.B, C, threshold, lengths, segments, with_signal=with_signal)

    def calibrate(self, h: Tensor, lengths: Tensor) -> None:
        """Set each unit's threshold and scale by one of the sequences, chosen at random: so all amplitudes are met."""
        generator = torch.Generator().manual_seed(self._seed)
        chosen = torch.randint(len(h), (len(self.C),), generator=generator)
        threshold, scale = torch.zeros_like(self.threshold), torch.ones_like(self.scale)
        for some in chosen.unique().split(max(1, _AT_ONCE // h.shape[1])):
            states = self.modes(h[some.to(h.device)])[0]
            for k, x in zip(some, states, strict=True):
                units, n = (chosen == k).nonzero()[:, 0], int(lengths[k])
                threshold[units], scale[units] = self._quantiles(x[:n], units, generator)
        self.threshold, self.scale = threshold, scale

    def _quantiles(self, x: Tensor, units: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return thresholds and scales of some units by the states along one sequence."""
        some = torch.randperm(len(x), generator=generator)[:_STEPS]
        y = read_groups(x[some.to(x.device)], self.C, units).sort(0).values
        place = (self.quantile[units] * (len(y) - 1))[None]
        low, high = (y.gather(0, edge.long()) for edge in (place.floor(), place.ceil()))
        spread = y.std(0, correction=0)
        return low.lerp(high, place - place.floor())[0], spread.where(spread > 0, 1)


def _few_channels(n: int, d_input: int, generator: torch.Generator) -> Tensor:
    """Return (n, d_input) weights, one or a few in a row not zero: how many, equally spread on a logarithmic scale."""
    counts = (d_input ** torch.rand(n, generator=generator)).long().clamp(1, d_input)
    order = torch.rand(n, d_input, generator=generator).argsort(1).argsort(1)
    chosen = order < counts[:, None]
    weights = torch.randn(n, d_input, generator=generator) if d_input > 1 else torch.ones(n, 1)
    weights = weights * chosen
    return weights / weights.norm(dim=1, keepdim=True)
