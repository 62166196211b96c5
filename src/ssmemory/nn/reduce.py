"""A trained layer with fewer states: balanced truncation of its own system, held in its own parameters again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

import torch
from jaxtyping import Complex128, Float64, Int64
from torch import Tensor, nn

from ssmemory.errors import reject
from ssmemory.nn.backbone import Backbone, described
from ssmemory.nn.bidirectional import Bidirectional
from ssmemory.nn.lru import LRU
from ssmemory.nn.s4d import S4D
from ssmemory.systems import LinearSystem, Reduction, balanced_truncation
from ssmemory.systems.discretization import discretize_diagonal

_SMALLEST = -80.0  # log |λ| that stands for λ = 0, which no layer holds: 2e-35


@dataclass(frozen=True, eq=False, repr=False)
class LayerReduction:
    """What became of a layer's state; made by `reduce_layer`.

    Attributes:
        before: the layer's system as it was.
        after: the layer's system as it is, its parameters rounded to their own precision.
        singular_values: (*channels, d_state) Hankel singular values of the system before, largest first; one row a
            channel of S4D, a single one of LRU.
        order: (*channels,) how many balanced directions were kept. A real eigenvalue takes the place of a pair, so
            that this may be less than the new d_state.
        bound: (*channels,) twice the sum of the discarded values: no frequency of the layer is changed by more, but
            for rounding.
        replaced: pairs of parameters, the old one and the one in its place.

    Example:
        >>> layer = S4D(4, d_state=16)
        >>> done = reduce_layer(layer, tolerance=0.1)
        >>> bool((done.error_measured() <= done.bound + 1e-4).all()), layer.d_state == done.after.d_state
        (True, True)
    """

    before: LinearSystem
    after: LinearSystem
    singular_values: Float64[Tensor, "*channels d_state"]
    order: Int64[Tensor, "*channels"]
    bound: Float64[Tensor, "*channels"]
    replaced: tuple[tuple[nn.Parameter, nn.Parameter], ...]

    def __repr__(self) -> str:
        """Return the sizes and the bound."""
        sizes = f"d_state {self.before.d_state} -> {self.after.d_state}"
        return f"LayerReduction({sizes}, bound={float(self.bound.max()):.3g})"

    def error_measured(self, n_frequencies: int = 1024) -> Float64[Tensor, "*channels"]:
        """Return the largest gain of the difference found, rounding of the parameters included.

        Args:
            n_frequencies: how many, at least 1, beside the phases of all eigenvalues; see `Reduction.error_measured`.

        Returns:
            (*channels,) in the unit of `bound`.

        Raises:
            InputError: no frequency.
        """
        values, rank = self.singular_values, self.order
        return Reduction(self.after, values, self.bound, rank, self.before).error_measured(n_frequencies)

    def tell(self, optimizer: torch.optim.Optimizer) -> None:
        """Put the new parameters into an optimiser in place of the old ones, which it would go on to train otherwise.

        Args:
            optimizer: torch's. Its state for the replaced parameters is dropped; all other state and the groups stay.
        """
        new = {id(old): parameter for old, parameter in self.replaced}
        for group in optimizer.param_groups:
            group["params"] = [new.get(id(parameter), parameter) for parameter in group["params"]]
        for old, _ in self.replaced:
            optimizer.state.pop(old, None)


@torch.no_grad()
def reduce_layer(layer: nn.Module, d_state: int | None = None, tolerance: float | None = None) -> LayerReduction:
    """Give a layer a smaller state that changes its output least: balanced truncation, in place.

    The layer's system is balanced, its directions of the smallest Hankel singular values are left out, and what
    remains is diagonalised: ``y = 2 Re(C x) + D u`` with other A, B and C. The module stays; the parameters of A, B
    and C (of LRU log_gamma too) are **new objects**: tell an optimiser by `LayerReduction.tell`, or make it afterwards.
    D and dt stay as they are, and so does whether each parameter is trained.

    Args:
        layer: an `S4D`, of which every channel has a system and keeps the same d_state, or an `LRU`.
        d_state: the new full real state size, even, from 2 to that of the layer, which changes nothing.
        tolerance: in its place, the largest bound allowed, as a share of the largest Hankel singular value, in
            (0, 1); the channel that needs most decides.

    Returns:
        What was kept, what it may change, and the new parameters.

    Raises:
        UnstableError: an eigenvalue on the unit circle, such as of zero real parts: it has no Hankel singular values.
        InputError: another layer; both or neither of d_state and tolerance, or one out of range; nearly equal
            eigenvalues in the result (eigenvectors of a condition number above 1e8).

    Numerics:
        In double precision, then rounded to the precision of the parameters; `LayerReduction.error_measured` sees that
        too. A real eigenvalue is a pair with zero imaginary part, a negative one has the phase π; each takes the room
        of two directions, so that of an odd number of them one direction less is kept. Room that a channel does not
        need, for its rank is less, holds modes it had before with C = 0: they change nothing and can be trained.
        The scale of B is free: every mode has the root mean square of the old ones, and C makes up for it; S4D's B
        is real, as it starts.

    Source:
        arXiv 2510.02823, for reducing layers of state-space models during training; Moore, IEEE TAC 26 (1981).

    Example:
        >>> layer = LRU(4, d_state=16)
        >>> int(reduce_layer(layer, 8).order) <= 8, layer.C.shape
        (True, torch.Size([4, 4, 2]))
    """
    if not _reducible(layer):
        fix = "only these hold a diagonal system with free eigenvalues"
        reject("layer", expected="an S4D or LRU", got=type(layer).__name__, fix=fix)
    return _reduced(layer, _wanted(layer, d_state, tolerance))


def reduce_model(
    model: nn.Module, d_state: int | None = None, tolerance: float | None = None
) -> dict[str, LayerReduction]:
    """Reduce every S4D and LRU of a model in place; see `reduce_layer`. Other layers stay.

    A `Backbone` says so in its configuration, so that it can be saved and loaded. The two layers of a `Bidirectional`
    keep one size, that of the one which needs more.

    Args:
        model: any module.
        d_state: the new state size of every layer.
        tolerance: in its place, the bound allowed, as a share of each layer's largest Hankel singular value.

    Returns:
        The reductions by the layers' names, in the model's order.

    Raises:
        InputError: no S4D or LRU, or as `reduce_layer`; the model is then unchanged but for layers already done.
        UnstableError: as `reduce_layer`.

    Example:
        >>> from ssmemory.nn import Backbone, BackboneConfig
        >>> model = Backbone(BackboneConfig(d_model=4, d_state=16, layer="lru"))
        >>> list(reduce_model(model, 8)), model.config.d_state
        (['blocks.0.layer', 'blocks.1.layer'], 8)
    """
    layers = {name: layer for name, layer in model.named_modules() if _reducible(layer)}
    if not layers:
        reject("model", expected="an S4D or LRU inside", got="none", fix="only these can be reduced")
    sizes = {id(layer): _wanted(layer, d_state, tolerance) for layer in layers.values()}
    for module in model.modules():
        if isinstance(module, Bidirectional) and id(module.ahead) in sizes and id(module.back) in sizes:
            sizes[id(module.ahead)] = sizes[id(module.back)] = max(sizes[id(module.ahead)], sizes[id(module.back)])
    done = {}
    for name, layer in layers.items():
        with torch.no_grad():
            done[name or type(layer).__name__] = _reduced(layer, sizes[id(layer)])
    for module in model.modules():
        if isinstance(module, Backbone):
            module.config = described(module)
    return done


def take_shapes(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every S4D and LRU of a model the state size that its weights have, so that they can be loaded.

    Args:
        model: the model; parameters of another shape become new, empty ones.
        weights: its state, by name.
    """
    for prefix, layer in model.named_modules():
        if _reducible(layer):
            for name, parameter in list(layer.named_parameters(recurse=False)):
                saved = weights.get(f"{prefix}.{name}" if prefix else name, parameter)
                if saved.shape != parameter.shape:
                    setattr(layer, name, nn.Parameter(parameter.new_empty(saved.shape), parameter.requires_grad))
            layer.d_state = 2 * layer.C.shape[1]
    for module in model.modules():
        if isinstance(module, Backbone):
            module.config = described(module)


def _reducible(layer: nn.Module) -> TypeGuard[S4D | LRU]:
    return isinstance(layer, S4D | LRU)


def _wanted(layer: S4D | LRU, d_state: int | None, tolerance: float | None) -> int:
    """Return the new state size, checked."""
    if (d_state is None) == (tolerance is None):
        got = "neither" if d_state is None else "both"
        reject("d_state and tolerance", expected="one of the two", got=got, fix="leave the other one out")
    if d_state is not None:
        if d_state % 2 or not 2 <= d_state <= layer.d_state:
            fix = "a layer can only lose states, in pairs"
            reject("d_state", expected=f"an even number from 2 to {layer.d_state}", got=d_state, fix=fix)
        return d_state
    before = _detached(layer.system())
    least = balanced_truncation(before, tolerance=tolerance).system.d_state
    for size in range(least + least % 2, layer.d_state, 2):
        fitted = [_fitted(channel, size)[0] for channel in _channels(before)]
        if all(float(f.bound) <= float(tolerance or 0) * float(f.singular_values[0]) for f in fitted):
            return size
    return layer.d_state


def _reduced(layer: S4D | LRU, d_state: int) -> LayerReduction:
    """Reduce a layer to the state size."""
    before = _detached(layer.system())
    channels, shape, old = list(_channels(before)), before.batch_shape, dict(layer.named_parameters(recurse=False))
    if d_state == layer.d_state:
        whole = balanced_truncation(before, d_state)
        return LayerReduction(before, before, whole.singular_values, whole.rank, torch.zeros(shape).double(), ())
    pieces, kept = [], []
    for channel in channels:
        reduction, diagonal = _fitted(channel, d_state)
        kept.append(reduction)
        pieces.append(_filled(diagonal, channel, d_state // 2))
    logs, B, C = (torch.stack(parts).reshape(*shape, *parts[0].shape) for parts in zip(*pieces, strict=True))
    logs = torch.complex(logs.real.clamp(min=_SMALLEST), logs.imag)
    values = _held_by_s4d(layer, logs, B, C) if isinstance(layer, S4D) else _held_by_lru(layer, logs, B, C)
    replaced = []
    for name, value in values.items():
        new = nn.Parameter(value.to(old[name]).contiguous(), old[name].requires_grad)
        setattr(layer, name, new)
        replaced.append((old[name], new))
    layer.d_state = d_state
    sigma, bound = (torch.stack([getattr(k, a) for k in kept]) for a in ("singular_values", "bound"))
    order = torch.stack([k.rank.clamp(max=k.system.d_state) for k in kept]).reshape(shape)
    after, sigma = _detached(layer.system()), sigma.reshape(*shape, -1)
    return LayerReduction(before, after, sigma, order, bound.reshape(shape), tuple(replaced))


def _fitted(channel: LinearSystem, d_state: int) -> tuple[Reduction, LinearSystem]:
    """Return the reduction of the highest order that d_state/2 modes can hold, and those modes."""
    for order in range(d_state, 0, -1):
        reduction = balanced_truncation(channel, order)
        diagonal = reduction.to_diagonal()
        if diagonal.B.shape[-2] <= d_state // 2:
            break
    return reduction, diagonal


def _filled(
    diagonal: LinearSystem, channel: LinearSystem, n: int
) -> tuple[Complex128[Tensor, " n"], Complex128[Tensor, "n inputs"], Complex128[Tensor, "outputs n"]]:
    """Return log λ, B and C of n modes: those found, then as many of the channel's own with C = 0."""
    assert diagonal.log_modes is not None
    assert channel.log_modes is not None
    assert diagonal.C is not None
    found = (diagonal.B != 0).any(-1) & (diagonal.C != 0).any(-2)
    spare = n - int(found.sum())
    C = diagonal.C[:, found].to(torch.complex128)
    return (
        torch.cat([diagonal.log_modes[found], channel.log_modes[:spare]]),
        torch.cat([diagonal.B[found].to(torch.complex128), torch.ones_like(channel.B[:spare]).to(torch.complex128)]),
        torch.cat([C, C.new_zeros(len(C), spare)], -1),
    )


def _held_by_s4d(layer: S4D, logs: Tensor, B: Tensor, C: Tensor) -> dict[str, Tensor]:
    """Return S4D's parameters of the modes (d_model, n): A per unit of time, B real and of the size it had."""
    dt = layer.log_dt.detach().double().cpu().exp().unsqueeze(-1)
    A = (logs if layer.discretization == "zoh" else 2 * torch.tanh(logs / 2)) / dt
    size = layer.B.detach().double().cpu().square().sum(-1).mean().sqrt()
    _, hold = discretize_diagonal(A, dt, layer.discretization)
    C = C.squeeze(-2) * B.squeeze(-1) / (hold * size)
    values = {"A_imag": A.imag, "B": torch.view_as_real(size * torch.ones_like(A)), "C": torch.view_as_real(C)}
    return {"A_real": A.real} | values if layer.log_A_real is None else {"log_A_real": (-A.real).log()} | values


def _held_by_lru(layer: LRU, logs: Tensor, B: Tensor, C: Tensor) -> dict[str, Tensor]:
    """Return LRU's parameters of the modes (n,): γ as it starts, rows of B of the size they had."""
    gamma = (-torch.expm1(2 * logs.real)).sqrt()
    size = layer.B.detach().double().cpu().square().sum((-2, -1)).mean().sqrt()
    norm = torch.linalg.vector_norm(B, dim=-1)
    B, C = B * (size / norm).unsqueeze(-1), C * norm / (gamma * size)
    values = {"nu": (-logs.real).log(), "theta": logs.imag, "log_gamma": gamma.log()}
    return values | {"B": torch.view_as_real(B), "C": torch.view_as_real(C)}


def _detached(system: LinearSystem) -> LinearSystem:
    """Return the system without gradient."""
    assert system.log_modes is not None
    assert system.C is not None
    assert system.D is not None
    B, C, D = system.B.detach(), system.C.detach(), system.D.detach()
    return LinearSystem(system.log_modes.detach(), None, B, C, D, system.conj_sym)


def _channels(system: LinearSystem) -> Iterator[LinearSystem]:
    """Yield the systems of a batch, or the one."""
    if not system.batch_shape:
        yield system
        return
    assert system.log_modes is not None
    assert system.C is not None
    assert system.D is not None
    for k in range(system.batch_shape[0]):
        yield LinearSystem(system.log_modes[k], None, system.B[k], system.C[k], system.D[k], system.conj_sym)
