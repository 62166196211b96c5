"""Features of whole sequences by what tells two of them apart, from a memory that forgets nothing."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.fit.features import read_batch

_TRIES = 100  # draws of a pair until its targets differ


class FrozenContrasts(nn.Module):
    """Units that compare a sequence with two others: ``max(wᵀs, 0)``, where w points from one to the other.

    ``x[t] = λ x[t−1] + u[t]`` with the modes ``λ_k = exp(iπ(2k+1)/window)``, k = 0 … d_state/2 − 1, loses nothing: no
    mode decays. The state s after the last step, real and imaginary parts by √(2/window), is with d_state = window the
    last ``window`` steps in another orthonormal basis, the rest wrapped around with its sign turned; with fewer modes,
    their lowest frequencies. A unit has ``w = (s_a − s_b)/‖s_a − s_b‖`` of two sequences of the data whose targets
    differ. Where the same thing always happens at the same step, this tells what pooling over time cannot.

    Everything is a buffer: nothing can be trained. The pairs come from data, by `calibrate`.

    Args:
        d_input: channels, each with a memory of its own.
        n_units: units, and features.
        window: steps until a mode has come round; the length of the longest sequence.
        d_state: full real state size a channel, even, at most the window; window or 1024, whatever is less, if left
            out.
        seed: seeds the pairs.

    Shape:
        u: (batch, length, d_input). Features: (batch, n_units), float32.

    Raises:
        InputError: sizes out of range; at a call, a wrong width, length or dtype, or units that are not calibrated.

    Source:
        Zero real parts: arXiv 2411.19455. Weights from pairs of samples: Zhu, Miao, Qing, IJCNN 2014, and Bolager et
        al., NeurIPS 2023.

    Example:
        >>> u, y = torch.randn(50, 20, 1, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 2
        >>> FrozenContrasts(1, n_units=8, window=20).calibrate(u, y)(u).shape
        torch.Size([50, 8])
    """

    W: Tensor

    def __init__(
        self, d_input: int, n_units: int = 512, *, window: int, d_state: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        for name, size, least in (("d_input", d_input, 1), ("n_units", n_units, 1), ("window", window, 2)):
            if size < least:
                reject(name, expected=f"at least {least}", got=size, fix="give a larger whole number")
        d_state = min(window // 2 * 2, 1024) if d_state is None else d_state
        if not 2 <= d_state <= window or d_state % 2:
            reject("d_state", expected=f"an even number in 2 … {window}", got=d_state, fix="leave it out")
        self.d_input, self.window, self.d_state, self.seed, self.calibrated = d_input, window, d_state, seed, False
        self.register_buffer("W", torch.zeros(n_units, d_input * d_state))

    @property
    def sizes(self) -> dict[str, int]:
        """The arguments that make one like it."""
        names = ("d_input", "window", "d_state", "seed")
        return {name: getattr(self, name) for name in names} | {"n_units": len(self.W)}

    @torch.no_grad()
    def calibrate(
        self, u: Float[Tensor, "batch length d_input"], targets: Tensor, lengths: Tensor | None = None
    ) -> FrozenContrasts:
        """Draw the pairs.

        Args:
            u: some of the sequences: twice as many as units are used, or fewer again and again.
            targets: (batch,) or (batch, n_outputs): the two of a pair differ, as far as any do.
            lengths: real steps of each.

        Returns:
            Itself.

        Raises:
            InputError: as a call; fewer than two sequences, or another number of targets.
        """
        if len(u) < 2 or len(targets) != len(u):
            got = f"{len(u)} sequences and {len(targets)} targets"
            reject("u", expected="at least two sequences, a target each", got=got, fix="give more")
        s, generator = self.state(u, lengths), torch.Generator().manual_seed(self.seed)
        targets = targets.reshape(len(u), -1).cpu()
        units = len(self.W)
        order = torch.cat([torch.randperm(len(u), generator=generator) for _ in range(-(-2 * units // len(u)))])
        a, b = order[:units], order[units : 2 * units].clone()
        for _ in range(_TRIES):
            alike = (targets[a] == targets[b]).all(1)
            if not alike.any():
                break
            b[alike] = torch.randint(len(u), (int(alike.sum()),), generator=generator)
        w = s[a.to(s.device)] - s[b.to(s.device)]
        self.W = w / w.norm(dim=1, keepdim=True).clamp(min=torch.finfo(w.dtype).tiny)
        self.calibrated = True
        return self

    @torch.no_grad()
    def forward(self, u: Float[Tensor, "batch length d_input"], lengths: Int[Tensor, " batch"] | None = None) -> Tensor:
        """Return the features; what lies beyond the lengths changes nothing.

        Args:
            u: sequences.
            lengths: real steps of each, at least 1; all if left out.

        Returns:
            (batch, n_units) float32.
        """
        return self.units(self.state(u, lengths))

    def units(self, state: Float[Tensor, "batch size"]) -> Tensor:
        """Return the features of a state.

        Args:
            state: as `state` gives it.

        Returns:
            (batch, n_units).

        Raises:
            InputError: units that are not calibrated.
        """
        if not self.calibrated:
            fix = "call calibrate with some of the training data first"
            reject("contrasts", expected="pairs from data", got="none yet", fix=fix)
        return (state @ self.W.mT).relu()

    def state(self, u: Float[Tensor, "batch length d_input"], lengths: Tensor | None = None) -> Tensor:
        """Return the state after the last real step, by a fast Fourier transform: O(window log window) a sequence.

        Args:
            u: sequences.
            lengths: real steps of each.

        Returns:
            (batch, d_input · d_state) float32: real parts of all modes of a channel, then imaginary parts.

        Raises:
            InputError: a wrong width, length or dtype.
        """
        u, ends = read_batch(u, lengths, self.d_input)
        u, length = u.mT, u.shape[1]
        rounds = -(-length // self.window)
        folded = nn.functional.pad(u, (0, rounds * self.window - length)).unflatten(-1, (rounds, self.window))
        folded = (folded * (-1.0) ** torch.arange(rounds, device=u.device)[:, None]).sum(2)
        found = torch.fft.fft(folded * self._turned(-torch.arange(self.window, device=u.device)))
        x = found[..., : self.d_state // 2] * self._turned((ends[:, None] - 1) * self._odd(u.device)).unsqueeze(1)
        return torch.cat([x.real, x.imag], -1).flatten(1) * math.sqrt(2 / self.window)

    def begin(self) -> Tensor:
        """Return the modes before the first step."""
        return torch.zeros(1, self.d_input, self.d_state // 2, dtype=torch.complex128)

    def advance(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the modes after more steps; ``x`` alone is what has to be kept of a running sequence.

        Args:
            x: (batch, d_input, d_state/2) complex128 modes; zero before the first step.
            u: (batch, length, d_input) more steps.

        Returns:
            Modes; `state_of` makes a state of them.
        """
        step = self._turned(self._odd(u.device), torch.complex128)
        for value in u.unbind(1):
            x = x * step + value.unsqueeze(-1)
        return x

    def state_of(self, x: Tensor) -> Tensor:
        """Return the state that modes are.

        Args:
            x: as `advance` gives them.

        Returns:
            As `state` returns it.
        """
        return (torch.cat([x.real, x.imag], -1).flatten(1) * math.sqrt(2 / self.window)).float()

    def _odd(self, device: torch.device) -> Tensor:
        return 2 * torch.arange(self.d_state // 2, device=device) + 1

    def _turned(self, halves: Tensor, dtype: torch.dtype = torch.complex64) -> Tensor:
        """Return ``exp(iπ halves/window)``, whole turns taken off first, so that no digits are lost."""
        angle = (halves % (2 * self.window)).double() * (math.pi / self.window)
        return torch.polar(torch.ones_like(angle), angle).to(dtype)
