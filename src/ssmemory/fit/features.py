"""Features of whole sequences from a memory that is never trained: what a readout in closed form reads."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.ops import diagonal_scan

_MIXED = 4  # modes that a unit reads
_CYCLES = 4.0  # periods of a mode within its decay time, at most
_SAMPLE = 20_000  # steps of which thresholds are quantiles
_AT_ONCE = 2**20  # numbers of a signal: they stay in the cache


class FrozenFeatures(nn.Module):
    """A fixed number of features of sequences of any length: units that read a frozen memory, pooled over time.

    ``x[t] = λ x[t−1] + B u[t]`` is a bank of complex modes, ``d_state`` numbers, with decay times equally spaced on a
    logarithmic scale from one step to ``longest``. A unit reads a few modes of one decay time, ``y[t] = Re(c x[t])``,
    and is compared with a threshold θ. Over each of ``segments`` equal parts of the real steps a unit gives two
    features: the share of steps with ``y > θ``, and the mean of ``max(y − θ, 0)`` in standard deviations of y. With
    more layers the next one reads ``max(y − θ, 0)`` of the last, and all give features.

    Everything is a buffer: nothing can be trained. Thresholds and scales come from data, by `calibrate`.

    Args:
        d_input: channels.
        n_units: units of every layer.
        d_state: full real state size of every layer, a multiple of 16.
        longest: longest decay time in steps; about half the length of the sequences.
        segments: parts in time that are pooled apart: 1 where it does not matter *when* something happens.
        n_layers: layers, one on top of the other.
        seed: seeds modes, units and thresholds.

    Shape:
        u: (batch, length, d_input). Features: (batch, n_layers · segments · 2 · n_units), float32.

    Raises:
        InputError: sizes out of range; at a call, a wrong width, length or dtype, or features that are not calibrated.

    Example:
        >>> u = torch.randn(8, 100, 1, generator=torch.Generator().manual_seed(0))
        >>> features = FrozenFeatures(1, n_units=16, longest=50.0).calibrate(u)
        >>> features(u).shape
        torch.Size([8, 32])
    """

    def __init__(
        self, d_input: int, n_units: int = 512, d_state: int = 256, *, longest: float, segments: int = 1,
        n_layers: int = 1, seed: int = 0,
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
        self.segments, self.calibrated = segments, False
        generator = torch.Generator().manual_seed(seed)
        widths = [d_input] + [n_units] * (n_layers - 1)
        self.layers = nn.ModuleList(_Units(width, n_units, d_state, longest, generator) for width in widths)

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return sum(2 * self.segments * len(layer.threshold) for layer in self._units())

    @torch.no_grad()
    def calibrate(self, u: Float[Tensor, "batch length d_input"], lengths: Tensor | None = None) -> FrozenFeatures:
        """Set thresholds and scales from a sample of the data, layer by layer: each threshold a random quantile.

        Args:
            u: some of the sequences.
            lengths: real steps of each.

        Returns:
            Itself.

        Raises:
            InputError: as a call.
        """
        h, real = self._begin(u, lengths)
        for layer in self._units():
            h = layer.calibrate(h, real)
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
        h, real = self._begin(u, lengths)
        width = max(max(len(layer.threshold), len(layer.C.T)) for layer in self._units())
        few = max(1, _AT_ONCE // (u.shape[1] * width))
        return torch.cat([self._features(*some) for some in zip(h.split(few), real.split(few), strict=True)])

    def _features(self, h: Tensor, real: Tensor) -> Tensor:
        part = torch.arange(h.shape[1], device=h.device) * self.segments // real.sum(1, keepdim=True)
        inside = (part.unsqueeze(1) == torch.arange(self.segments, device=h.device).unsqueeze(-1)) & real.unsqueeze(1)
        pooled = inside / inside.sum(-1, keepdim=True).clamp(min=1)  # (batch, segments, length): a mean by a product
        found = []
        for layer in self._units():
            y = layer.standardised(h)
            h = y.relu()
            found.append(torch.cat([pooled @ (y > 0).float(), pooled @ h], -1).flatten(1))
        return torch.cat(found, 1)

    def _units(self) -> list[_Units]:
        return list(self.layers)  # type: ignore[arg-type]

    def _begin(self, u: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the input, zero beyond the lengths, and which steps are real."""
        width = self._units()[0].B.shape[-1]
        if u.ndim != 3 or u.shape[-1] != width or not u.is_floating_point() or 0 in u.shape:
            got = f"{tuple(u.shape)} {str(u.dtype).removeprefix('torch.')}"
            reject("u", expected=f"(batch, length, {width}) of floats, nothing empty", got=got, fix="put channels last")
        u = u.float()
        if lengths is None:
            return u, u.new_ones(u.shape[:2], dtype=torch.bool)
        outside = beyond(check_lengths(lengths, u), u)
        return u.masked_fill(outside, 0), ~outside.squeeze(-1)


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
        per = 8
        times = torch.logspace(0, math.log10(longest), d_state // 2 // per, dtype=torch.float64).repeat_interleave(per)
        phase = torch.rand(len(times), generator=generator, dtype=torch.float64) * _CYCLES * 2 * math.pi / times
        self.register_buffer("log_eigenvalues", torch.complex(-1 / times, phase.clamp(max=math.pi)))
        B = torch.randn(len(times), d_input, generator=generator) / math.sqrt(d_input)
        self.register_buffer("B", B if d_input > 1 else torch.ones_like(B))
        C = torch.zeros(n_units, len(times), 2)
        for unit in range(n_units):
            first = unit % (len(times) // per) * per
            chosen = first + torch.randperm(per, generator=generator)[:_MIXED]
            C[unit, chosen] = torch.randn(_MIXED, 2, generator=generator)
        self.register_buffer("C", C.flatten(1))
        self.register_buffer("quantile", 0.1 + 0.8 * torch.rand(n_units, generator=generator))
        self.register_buffer("threshold", torch.zeros(n_units))
        self.register_buffer("scale", torch.ones(n_units))
        self._generator_seed = int(torch.randint(2**31, (), generator=generator))

    def _read(self, h: Tensor) -> Tensor:
        drive = h @ self.B.mT
        drive = torch.complex(drive, torch.zeros_like(drive))
        x, _ = diagonal_scan(drive, self.log_eigenvalues, drive.new_zeros(len(h), drive.shape[-1]))
        return torch.view_as_real(x).flatten(-2) @ self.C.mT

    def standardised(self, h: Tensor) -> Tensor:
        """Return (batch, length, n_units) y − θ in standard deviations."""
        return (self._read(h) - self.threshold) / self.scale

    def calibrate(self, h: Tensor, real: Tensor) -> Tensor:
        """Set threshold and scale, and return what the next layer reads."""
        y = self._read(h)[real]
        chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(self._generator_seed))[:_SAMPLE]
        y = y[chosen]
        in_order, place = y.sort(0).values, self.quantile * (len(y) - 1)
        low, high = (in_order.gather(0, edge.long()[None])[0] for edge in (place.floor(), place.ceil()))
        self.threshold = low.lerp(high, place - place.floor())
        spread = y.std(0, correction=0)
        self.scale = spread.where(spread > 0, 1)
        return self.standardised(h).relu()
