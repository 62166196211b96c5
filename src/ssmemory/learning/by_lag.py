"""Which lags a loss teaches: the gradient of any network's loss, lag by lag, at every linear recurrent layer in it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown
from ssmemory.learning.layer_gradient import LayerGradient
from ssmemory.memory.function import read_lags
from ssmemory.systems import HasSystem, LinearSystem

_AT_ONCE = 2**23  # numbers that one pass of Fourier transforms holds
_LARGEST_TAPS = 2**26


def gradient_by_lag(
    model: nn.Module, batch: Any, loss: Callable[..., Tensor], *, layers: Sequence[str] | None = None,
    lags: int | Sequence[int] | np.ndarray[Any, Any] | Tensor | None = None, full: bool = False,
) -> dict[str, LayerGradient]:  # fmt: skip
    """Return the gradient of a loss with respect to every layer's impulse response, lag by lag. Exact.

    ``∂ℓ/∂k[τ] = Σ_{b,t} δ[b,t] u[b,t−τ]``, u the layer's input, δ the gradient at its output, summed over sequences b
    and steps t: what adding k[τ] to the layer's kernel would do to the loss to first order, in any network around it.
    It says which lags the loss asks for; whether the layer can give them is in its memory function. It is not the
    decay of a gradient along the recurrence (vanishing gradients): that belongs to the layer's own parameters.

    Afterwards the model is as before, to the last bit: parameters, ``.grad``, buffers, modes, hooks; the random
    generators too.

    Args:
        model: any module that holds layers with ``.system()`` (`HasSystem`) whose forward takes ``u (batch, length,
            d_model)`` and returns y, or a tuple with y first. Bidirectional layers hold two, and the one that reads
            back is told in steps of its own.
        batch: (inputs, targets), for ``loss(output, targets)``; or a tensor of inputs, for ``loss(output)``. Inputs are
            a tensor, a tuple of arguments of the model, or a mapping of its arguments by name, such as
            ``{"u": u, "lengths": lengths}``.
        loss: of the model's output, or of its first element if that is a tuple, to one number.
        layers: names of the layers wanted; all if left out.
        lags: n for lags 0 … n−1, or a sequence of lags, below the length; all of the length if left out.
        full: keep all d_out × d_in taps of layers whose channels share a system.

    Returns:
        One `LayerGradient` a layer, by name, in the model's order; a layer called more than once has the sum over its
        calls, one that the loss does not depend on has zeros.

    Raises:
        InputError: not such a model, batch or loss; an unknown layer, or one not called; a loss that is not one finite
            number, or depends on no layer; lags out of range; a layer called under no_grad, or from a state other than
            zero, whose inputs before the call are not known; more than 2**26 taps to keep.

    Numerics:
        Fourier transforms in float64: an error of about 1e-16 times ``‖δ‖ ‖u‖``, whatever the lag, beyond the model's
        own precision. Time O(batch · length · log length) a channel, or a pair of channels where they share a system.

    Example:
        >>> from ssmemory.nn import Backbone, BackboneConfig
        >>> _ = torch.manual_seed(0)
        >>> model = Backbone(BackboneConfig(d_model=8, d_state=16))
        >>> batch = torch.randn(4, 30, 1), torch.randint(10, (4,))
        >>> found = gradient_by_lag(model, batch, torch.nn.functional.cross_entropy)
        >>> list(found), found["blocks.0.layer"].norm.shape
        (['blocks.0.layer', 'blocks.1.layer'], torch.Size([30]))
    """
    chosen = _chosen(model, layers)
    inputs, others = _parts(batch)
    calls: dict[str, list[_Call]] = {name: [] for name in chosen}
    with torch.inference_mode(False), torch.enable_grad(), _unchanged(model), _recorded(chosen, calls):
        output = model(*inputs) if isinstance(inputs, tuple) else model(**inputs)
        value = loss(output[0] if isinstance(output, tuple) else output, *others)
        _check_loss(value)
        _check_called(calls, layers)
        probes = [call.probe for name in chosen for call in calls[name]]
        if not value.requires_grad:
            _reject_detached()
        deltas = iter(torch.autograd.grad(value, probes, allow_unused=True))
    given = {name: [next(deltas) for _ in calls[name]] for name in chosen}
    if all(delta is None for found in given.values() for delta in found):
        _reject_detached()
    called = [name for name in chosen if calls[name]]
    return {name: _layer_gradient(name, chosen[name], calls[name], given[name], lags, full) for name in called}


class _Call(NamedTuple):
    """One call of a layer: its input, the zero that was added to its output, and the real steps of its sequences."""

    u: Tensor
    probe: Tensor
    lengths: Tensor | None


def _chosen(model: Any, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    """Return the layers wanted, by name. A system without a readout is not all of its layer."""
    if not isinstance(model, nn.Module):
        reject("model", expected="a torch.nn.Module", got=type(model).__name__, fix="pass the model itself")
    known: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, HasSystem) and _system(module).C is not None:
            known[name or type(module).__name__] = model.get_submodule(name)
    if not known:
        fix = "such as ssmemory.nn.S4D; attention has no impulse response"
        expected = "a layer with .system() that reads its state out linearly"
        reject("model", expected=expected, got=f"none in {type(model).__name__}", fix=fix)
    if layers is None:
        return known
    wanted = [layers] if isinstance(layers, str) else list(layers)
    if not wanted:
        reject("layers", expected="at least one name", got="none", fix="leave it out for all of them")
    for name in wanted:
        if name not in known:
            reject_unknown("layer", name, known)
    return {name: known[name] for name in known if name in wanted}


def _system(module: object) -> LinearSystem:
    """Return the system inside, in memory of its own, so that training does not change it."""
    assert isinstance(module, HasSystem)
    with torch.no_grad():
        system = module.system()
    parts = {field.name: getattr(system, field.name) for field in fields(system)}
    own: dict[str, Any] = {name: part.detach().clone() for name, part in parts.items() if isinstance(part, Tensor)}
    return replace(system, **own)


def _parts(batch: Any) -> tuple[tuple[Any, ...] | Mapping[str, Any], tuple[Any, ...]]:
    """Return the arguments of the model, and those of the loss beside its output."""
    if isinstance(batch, Tensor):
        return (batch,), ()
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        got = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        fix = "pass several inputs as a tuple or a mapping: ({'u': u, 'lengths': n}, targets)"
        reject("batch", expected="(inputs, targets), or a tensor of inputs", got=got, fix=fix)
    inputs, targets = batch
    if isinstance(inputs, Tensor):
        return (inputs,), (targets,)
    if not isinstance(inputs, tuple | list | Mapping):
        reject("inputs", expected="a tensor, tuple or mapping", got=type(inputs).__name__, fix="give the model's input")
    return (inputs if isinstance(inputs, Mapping) else tuple(inputs)), (targets,)


@contextlib.contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Put the buffers and the random generators back that a forward pass may change."""
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    devices = {part.device.index for part in [*model.parameters(), *model.buffers()] if part.is_cuda}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in buffers:
                setattr(module, name, buffer)
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


@contextlib.contextmanager
def _recorded(chosen: Mapping[str, nn.Module], calls: dict[str, list[_Call]]) -> Iterator[None]:
    """Record the calls of the layers; no hook stays, whatever happens."""
    handles = []
    try:
        for name, module in chosen.items():
            hook = partial(_record, name, calls[name])
            handles.append(module.register_forward_hook(hook, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record(
    name: str, calls: list[_Call], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    """Add a zero to the layer's output, whose gradient is that of the output: also where nothing else needs one."""
    if not torch.is_grad_enabled():
        fix = "call the layer with gradients; its parameters may stay frozen"
        reject(f"layer {name!r}", expected="a call that gradients pass through", got="one under no_grad", fix=fix)
    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    u = _sequence(name, "input", args[0] if args else next(iter(kwargs.values()), None))
    y = _sequence(name, "output", output[0] if isinstance(output, tuple) else output)
    state, steps = given.get("state"), given.get("lengths")
    if isinstance(state, Tensor) and bool(state.any()):
        fix = "give whole sequences; what came before the call is not known"
        reject(f"layer {name!r}", expected="a call from a state of zero", got="another state", fix=fix)
    probe = torch.zeros_like(y, requires_grad=True)
    calls.append(_Call(u.detach().clone(), probe, steps.detach() if isinstance(steps, Tensor) else None))
    return (y + probe, *output[1:]) if isinstance(output, tuple) else y + probe


def _sequence(name: str, what: str, part: Any) -> Tensor:
    if not isinstance(part, Tensor) or part.ndim != 3 or not part.is_floating_point():
        got = f"{tuple(part.shape)} {part.dtype}" if isinstance(part, Tensor) else type(part).__name__
        fix = "name the layers that have it by layers="
        reject(f"layer {name!r}", expected=f"an {what} (batch, length, d_model) of floats", got=got, fix=fix)
    return part


def _check_loss(value: Any) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        got = f"shape {tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        reject("loss", expected="one real number, a tensor", got=got, fix="take the mean or the sum")
    if not bool(torch.isfinite(value)):
        fix = "look for NaN in the batch and the model"
        reject("loss", expected="a finite number", got=float(value.detach()), fix=fix)


def _check_called(calls: Mapping[str, list[_Call]], layers: Sequence[str] | None) -> None:
    idle = [name for name, found in calls.items() if not found]
    if idle and (layers is not None or len(idle) == len(calls)):
        fix = "name a layer that the model calls as a module"
        reject(f"layer {idle[0]!r}", expected="a call in the forward pass", got="none", fix=fix)


def _reject_detached() -> None:
    fix = "compute it from the model's output, without detach or no_grad"
    reject("loss", expected="one that depends on the layers", got="one that does not", fix=fix)


def _layer_gradient(
    name: str, module: nn.Module, calls: list[_Call], deltas: Sequence[Tensor | None],
    lags: int | Sequence[int] | np.ndarray[Any, Any] | Tensor | None, full: bool,
) -> LayerGradient:  # fmt: skip
    system, length = _system(module), max(call.u.shape[1] for call in calls)
    wanted, _ = read_lags(length if lags is None else lags)
    if int(wanted.max()) >= length:
        fix = "no input lies further back"
        reject("lags", expected=f"below the {length} steps of layer {name!r}", got=int(wanted.max()), fix=fix)
    shared = _shared(name, system, calls[0])
    pairs = [(_within(delta, call), call.u) for call, delta in zip(calls, deltas, strict=True)]
    if not shared:
        values = sum(_own_channels(delta, u, wanted) for delta, u in pairs)
        assert isinstance(values, Tensor)
        return LayerGradient(name, wanted, values, None, system)
    d_out, d_in = calls[0].probe.shape[-1], calls[0].u.shape[-1]
    if full and d_out * d_in * len(wanted) > _LARGEST_TAPS:
        got = f"{d_out} × {d_in} × {len(wanted)}"
        reject("full", expected=f"at most {_LARGEST_TAPS} taps", got=got, fix="choose lags, or leave full out")
    kept, squares = [], torch.zeros(d_in, len(wanted), dtype=torch.float64)
    for block in _all_pairs(pairs, wanted):
        squares += block.square().sum(0)
        if full:
            kept.append(block)
    return LayerGradient(name, wanted, squares.sqrt(), torch.cat(kept) if full else None, system)


def _shared(name: str, system: LinearSystem, call: _Call) -> bool:
    """Whether all channels share one system; else each has its own."""
    d_in, d_out = call.u.shape[-1], call.probe.shape[-1]
    if system.n_inputs == 1 and system.batch_shape == (d_in,) and d_out == d_in:
        return False
    if system.batch_shape or system.n_inputs != d_in:
        got = f"batch {tuple(system.batch_shape)}, {system.n_inputs} inputs at {d_in} channels"
        fix = "name the layers that have it by layers="
        reject(f"layer {name!r}", expected="a system a channel, or one with all channels in", got=got, fix=fix)
    return True


def _within(delta: Tensor | None, call: _Call) -> Tensor:
    """Return δ, zero where a sequence has ended: there the layer's output is zero whatever its kernel is."""
    if delta is None:  # the loss does not depend on this call
        return torch.zeros_like(call.probe)
    if call.lengths is None:
        return delta
    ended = torch.arange(delta.shape[1], device=delta.device) >= call.lengths.to(delta.device).unsqueeze(-1)
    return delta.masked_fill(ended.unsqueeze(-1), 0)


def _own_channels(
    delta: Float[Tensor, "batch length d"], u: Float[Tensor, "batch length d"], lags: Tensor
) -> Float64[Tensor, "d n_lags"]:
    """``Σ_{b,t} δ[b,t,c] u[b,t−τ,c]``, so many channels at once that memory stays bounded."""
    size = _size(u)
    width = max(1, _AT_ONCE // (len(u) * size))
    found = []
    for d, x in zip(delta.split(width, -1), u.split(width, -1), strict=True):
        product = (_transform(d, size) * _transform(x, size).conj()).sum(0)
        found.append(_taps(product.mT, size, lags))
    return torch.cat(found)


def _all_pairs(pairs: list[tuple[Tensor, Tensor]], lags: Tensor) -> Iterator[Float64[Tensor, "some d_in n_lags"]]:
    """Yield ``Σ_{b,t} δ[b,t,o] u[b,t−τ,i]`` summed over the calls, some output channels o at a time."""
    sizes = [_size(u) for _, u in pairs]
    spectra = [_transform(u, size).conj().transpose(0, 1) for (_, u), size in zip(pairs, sizes, strict=True)]
    inputs = [spectrum.resolve_conj().contiguous() for spectrum in spectra]  # (frequencies, batch, d_in)
    d_out, d_in = pairs[0][0].shape[-1], pairs[0][1].shape[-1]
    width = max(1, _AT_ONCE // (d_in * max(sizes)))
    for start in range(0, d_out, width):
        total = torch.zeros(min(width, d_out - start), d_in, len(lags), dtype=torch.float64)
        for (delta, _), entering, size in zip(pairs, inputs, sizes, strict=True):
            leaving = _transform(delta[..., start : start + width], size).permute(1, 2, 0).contiguous()
            total += _taps((leaving @ entering).permute(1, 2, 0), size, lags)
        yield total


def _size(u: Tensor) -> int:
    """Length of a transform on which lags up to the length do not wrap round."""
    return int(scipy.fft.next_fast_len(2 * u.shape[1] - 1, real=True))


def _transform(x: Tensor, size: int) -> Tensor:
    return torch.fft.rfft(x.double(), n=size, dim=1)


def _taps(product: Tensor, size: int, lags: Tensor) -> Tensor:
    """Return (…, n_lags) of a cross spectrum (…, frequencies); 0 at lags beyond this call's length."""
    found = torch.fft.irfft(product, n=size, dim=-1).cpu()
    length = (size + 1) // 2
    return found[..., lags.clamp(max=length - 1)] * (lags < length)
