"""`ssmemory probe`: what does a model of yours remember? An estimate, with its error bar."""

from __future__ import annotations

import importlib
import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import torch
import tyro

from ssmemory.cli.pictures import save_axes
from ssmemory.errors import DataError, SSMemoryError, reject
from ssmemory.memory import estimate_memory, record_states
from ssmemory.memory.tokens import token_memory


def probe(
    factory: Annotated[str, tyro.conf.Positional],
    *,
    layer: str | None = None,
    weights: Path | None = None,
    lags: int = 100,
    steps: int = 20_000,
    sequences: int = 1,
    d_input: int = 1,
    tokens: int | None = None,
    at_once: int | None = None,
    seed: int = 0,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Estimate the memory of any torch module of yours, driven by noise, with intervals.

    Args:
        factory: MODULE:FUNCTION, also of the folder you are in; called without arguments, it returns the module.
        layer: dotted name of the layer whose output is the state; the model's own output if left out.
        weights: a safetensors file with its weights.
        lags: estimate lags 0 … lags − 1, in steps.
        steps: of every sequence.
        sequences: how many.
        d_input: channels of the model's input; the noise drives the first one, the others are noise of their own.
        tokens: drive with token ids 0 … TOKENS − 1 (sequences, steps), uniform and independent, instead of noise in
            channels. Measured is how well a past token can be read, linearly, as a one-hot vector; 2 asks for one bit.
        at_once: sequences that go through the model at a time; all if left out.
        seed: seeds the noise.
        plot: draw the estimate to OUT/probe.png.
        json: print JSON instead of the sentence.
        out: folder for the picture.
    """
    model = _made(factory)
    if weights is not None:
        _load(model, weights)
    model.eval()
    _check_sizes(lags, steps, sequences, d_input, tokens)
    generator = torch.Generator().manual_seed(seed)
    if tokens is None:
        noise = torch.randn(sequences, steps, d_input, generator=generator, dtype=torch.float64)
        like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        found = estimate_memory(_states(model, noise.to(like), layer, at_once), noise[..., 0], lags, seed=seed)
    else:
        ids = torch.randint(tokens, (sequences, steps), generator=generator)
        on = next((p.device for p in model.parameters()), ids.device)
        found = token_memory(_states(model, ids.to(on), layer, at_once), ids, lags, tokens, seed=seed)
    if json:
        record = {
            "lags": found.lags.tolist(), "memory": found.values.tolist(), "interval": found.interval.tolist(),
            "capacity": found.capacity, "capacity_interval": list(found.capacity_interval), "floor": found.floor,
            "n_samples": found.n_samples, "d_state": found.d_state, "resolved_rank": found.resolved_rank,
        }  # fmt: skip
        print(json_format.dumps(record | ({} if tokens is None else {"tokens": tokens}), indent=2))
    else:
        print(f"{factory}{f', {layer}' if layer else ''}: {found.describe()}{_bound(found.resolved_rank, tokens)}")
    if plot:
        label = "estimate" if tokens is None else f"one of {tokens} tokens"
        path = save_axes(lambda axes: found.plot(axes, label=label, bound=tokens is None), out / "probe.png")
        print(f"picture: {path}", file=sys.stderr if json else sys.stdout)


def _check_sizes(lags: int, steps: int, sequences: int, d_input: int, tokens: int | None) -> None:
    if min(lags, steps, sequences, d_input) < 1:
        got = f"lags={lags}, steps={steps}, sequences={sequences}, d_input={d_input}"
        reject("sizes", expected="at least 1 each", got=got, fix="raise the one that is too small")
    if tokens is not None and (tokens < 2 or d_input > 1):
        got = f"{tokens} tokens" if tokens < 2 else f"{tokens} tokens and {d_input} channels"
        reject("tokens", expected="at least 2 tokens, and no channels", got=got, fix="give one of the two options")


def _states(model: torch.nn.Module, inputs: torch.Tensor, layer: str | None, at_once: int | None) -> torch.Tensor:
    """Return the states; what the model cannot take is told in one line."""
    try:
        return record_states(model, inputs, layer=layer, at_once=at_once)
    except SSMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        kind = str(inputs.dtype).removeprefix("torch.")
        got = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"
        fix = "give the number of channels as --d-input, or of token ids as --tokens"
        reject("model", expected=f"one that takes {tuple(inputs.shape)} {kind}", got=got, fix=fix)


def _bound(rank: int, tokens: int | None) -> str:
    if tokens is None:
        return ""
    return f" An input is one of {tokens} tokens: {rank} directions hold at most {rank / (tokens - 1):.3g} of them."


def _made(factory: str) -> torch.nn.Module:
    """Return the module that MODULE:FUNCTION makes."""
    name, _, function = factory.partition(":")
    fix = "name it as MODULE:FUNCTION, such as my_models:small"
    if not name or not function:
        reject("factory", expected="MODULE:FUNCTION", got=repr(factory), fix=fix)
    sys.path.insert(0, "")
    try:
        make = getattr(importlib.import_module(name), function, None)
    except ModuleNotFoundError as error:
        reject("factory", expected=f"a module {name!r} to import", got=str(error), fix=fix)
    finally:
        sys.path.remove("")
    if not callable(make):
        reject("factory", expected=f"a function {function!r} in {name!r}", got="none of that name", fix=fix)
    model = make()
    if not isinstance(model, torch.nn.Module):
        reject("factory", expected="a torch module returned", got=type(model).__name__, fix="return the module itself")
    return model


def _load(model: torch.nn.Module, path: Path) -> None:
    import safetensors.torch

    fix = "save the model's state_dict with safetensors; nothing that can run code is read"
    try:
        found = model.load_state_dict(safetensors.torch.load_file(path), strict=False)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        got = str(error).partition("\n")[0][:120]
        reject(str(path), expected="safetensors with this model's weights", got=got, fix=fix, error=DataError)
    if found.missing_keys or found.unexpected_keys:
        got = f"{len(found.missing_keys)} missing, {len(found.unexpected_keys)} unknown: "
        got += ", ".join([*found.missing_keys, *found.unexpected_keys][:3])
        reject(str(path), expected="every weight of the model", got=got, fix=fix, error=DataError)
