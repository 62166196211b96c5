"""`ssmemory measure`: how far back does it remember?"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import torch
import tyro

from ssmemory import nn
from ssmemory.cli.pictures import save_axes
from ssmemory.errors import reject
from ssmemory.init import INITIALISERS
from ssmemory.memory import MemoryFunction, memory_function
from ssmemory.systems import HasSystem, LinearSystem

Named = dict[str, LinearSystem]


def _measure(
    systems: Named, *, lags: int, level: float, sequence: int | None, plot: bool, as_json: bool, out: Path
) -> None:
    memories = {name: memory_function(system, lags) for name, system in systems.items()}
    sentences = [f"{name}: {memory.describe(sequence, level)}" for name, memory in memories.items()]
    for name, memory in memories.items():
        if int(memory.spectrum.merged.sum()):
            count = memory.spectrum.merged.double().median()
            sentences.append(f"{name}: {count:.0f} of its modes equal another and were merged (real twice, or aliased)")
    if as_json:
        print(json.dumps({name: _as_record(memory, level) for name, memory in memories.items()}, indent=2))
    else:
        print("\n".join([_table(memories), *sentences]))
    if plot:
        print(f"picture: {_picture(memories, out / 'measure.png')}", file=sys.stderr if as_json else sys.stdout)


_MEASURE_DOC = """
    lags: measure lags 0 … lags − 1, in steps.
    level: memory function, in (0, 1], down to which an input counts as read back.
    sequence: steps of your sequences, for the sentence in plain words.
    plot: draw the memory functions to OUT/measure.png.
    json: print JSON instead of the table.
    out: folder for the picture.
"""


def measure_model(
    folder: Annotated[Path, tyro.conf.Positional],
    *,
    lags: int = 1000,
    level: float = 0.5,
    sequence: int | None = None,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Measure every layer of a saved model, medians over its channels. Exact, of each layer's own input."""
    model = nn.load_model(folder).requires_grad_(False)
    _measure(dict(nn.named_systems(model)), lags=lags, level=level, sequence=sequence, plot=plot, as_json=json, out=out)


measure_model.__doc__ = (
    f"{measure_model.__doc__}\n\nArgs:\n    folder: the folder that `ssmemory train` wrote.{_MEASURE_DOC}"
)


def measure_layer(
    *,
    layer: str,
    d_model: int = 64,
    d_state: int | None = None,
    init: str | None = None,
    dt_min: float | None = None,
    dt_max: float | None = None,
    discretization: Literal["zoh", "bilinear"] | None = None,
    heads: int | None = None,
    seed: int = 0,
    lags: int = 1000,
    level: float = 0.5,
    sequence: int | None = None,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Measure a new layer as it starts, medians over its channels. Exact, of the layer's own input."""
    config = nn.BackboneConfig(
        layer=layer, d_model=d_model, d_state=d_state, init=init, dt_min=dt_min, dt_max=dt_max,
        discretization=discretization, heads=heads,
    )  # fmt: skip
    torch.manual_seed(seed)
    made = config.make_layer().requires_grad_(False)
    if not isinstance(made, HasSystem):
        fix = "softmax attention keeps every key and value of its window instead"
        reject("layer", expected="a layer with a linear system inside", got=repr(layer), fix=fix)
    _measure({layer: made.system()}, lags=lags, level=level, sequence=sequence, plot=plot, as_json=json, out=out)


measure_layer.__doc__ = f"""{measure_layer.__doc__}

Args:
    layer: the layer; `ssmemory list` names them.
    d_model: channels.
    d_state: full real state size of the layer; its own choice if left out, as for the next five.
    init: initialiser of the eigenvalues.
    dt_min: smallest initial step; steps are log-uniform between the two.
    dt_max: largest initial step.
    discretization: zoh or bilinear.
    heads: heads of the layers that have some.
    seed: seeds the initial values.{_MEASURE_DOC}"""


def _initialiser_command(name: str) -> Callable[..., None]:
    """Return "measure NAME": the options of the initialiser, for one system, and those of measuring."""
    make = INITIALISERS[name]
    common = [p for p in inspect.signature(measure_model).parameters.values() if p.name != "folder"]
    own = [p for p in inspect.signature(make).parameters.values() if p.name != "channels"]
    hints = get_type_hints(measure_model) | get_type_hints(make) | {"dt": float}

    def command(**options: Any) -> None:
        systems = {name: make(**{p.name: options.pop(p.name) for p in own})}
        _measure(systems, as_json=options.pop("json"), **options)

    kept = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in [*own, *common]]
    command.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in kept}
    head, _, arguments = (inspect.getdoc(make) or "").partition("Args:\n")
    summary = head.strip().splitlines()[0].removeprefix("Return ")
    command.__doc__ = f"Measure {summary}\n\nArgs:\n{arguments.partition('Returns:')[0].rstrip()}{_MEASURE_DOC}"
    return command


def _choice(name: str) -> str:
    return name.replace("_", "-")


def _median(memory: MemoryFunction) -> torch.Tensor:
    return memory.channels.quantile(0.5, 0)


def _table(memories: dict[str, MemoryFunction]) -> str:
    """Return MF at a few lags, medians over the channels, then capacity and reach, in columns."""
    lags = next(iter(memories.values())).lags
    marks = [lag for lag in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if lag < len(lags) - 1]
    marks.append(len(lags) - 1)
    columns = {name: _median(memory) for name, memory in memories.items()}
    width = max(12, *(len(name) + 2 for name in columns))
    lines = ["lag".rjust(10) + "".join(name.rjust(width) for name in columns)]
    lines += [f"{lag:10d}" + "".join(f"{values[lag]:{width}.4g}" for values in columns.values()) for lag in marks]
    totals = {"capacity": lambda m: m.capacity.median(), "rank": lambda m: m.rank.double().median()}
    totals |= {
        f"reach {v}": functools.partial(lambda m, v: m.reach(v).double().median(), v=v) for v in (0.5, 0.1, 0.01)
    }
    for label, value in totals.items():
        lines.append(label.rjust(10) + "".join(f"{float(value(m)):{width}.10g}" for m in memories.values()))
    return "\n".join(lines)


def _as_record(memory: MemoryFunction, level: float) -> dict[str, Any]:
    return {
        "lags": memory.lags.tolist(),
        "memory": memory.values.tolist(),
        "capacity": memory.capacity.tolist(),
        "rank": memory.rank.tolist(),
        "tail": memory.tail.tolist(),
        "merged": memory.spectrum.merged.tolist(),
        "level": level,
        "reach": memory.reach(level).tolist(),
    }


def _picture(memories: dict[str, MemoryFunction], path: Path) -> Path:
    def draw(axes: Any) -> None:
        for name, memory in memories.items():
            memory.plot(axes, label=name)

    return save_axes(draw, path)


MEASURE: dict[str, Callable[..., None]] = {_choice(name): _initialiser_command(name) for name in INITIALISERS}
MEASURE |= {"layer": measure_layer, "model": measure_model}
