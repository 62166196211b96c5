"""The command line: typed functions turned into commands. Wrong input gives one line and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_type_hints

import torch
import tyro

from ssmemory import nn
from ssmemory.errors import MissingExtraError, SSMemoryError, reject, reject_unknown, require
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
    from ssmemory.files import replacing

    require("matplotlib", extra="plot", purpose="--plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=130)
    axes = figure.subplots()
    for name, memory in memories.items():
        memory.plot(axes, label=name)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    with replacing(path) as part:
        figure.savefig(part, format="png")
    return path


def train(
    *,
    data: str = "digits",
    side: int | None = None,
    n_train: int | None = None,
    layer: str = "s4d",
    d_model: int = 64,
    d_state: int | None = None,
    n_layers: int = 2,
    init: str | None = None,
    dt_min: float | None = None,
    dt_max: float | None = None,
    heads: int | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    pooling: Literal["mean", "last"] = "last",
    freeze: str = "none",
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 4e-3,
    ssm_lr: float = 1e-3,
    weight_decay: float = 0.01,
    seed: int = 0,
    out: Path = Path("out/train"),
    cache: Path | None = None,
    source: Path | None = None,
) -> None:
    """Train a classifier on pixel sequences, frozen or not; run again to take up a run that was cut off.

    Args:
        data: digits, mnist or fashion-mnist.
        side: pixels a side after averaging; sequences have side² steps. As the images are, if left out.
        n_train: training images; all but the last sixth of the training part if left out. That sixth validates.
        layer: the layer; `ssmemory list` names them.
        d_model: channels between the blocks.
        d_state: full real state size of the layer; its own choice if left out, as for the next five.
        n_layers: blocks.
        init: initialiser of the eigenvalues.
        dt_min: smallest initial step; steps are log-uniform between the two.
        dt_max: largest initial step.
        heads: heads of the layers that have some.
        bidirectional: a second layer in every block reads from the end back.
        dropout: share of activations dropped while training.
        pooling: answer from the mean over the steps, or from the last step.
        freeze: none, eigenvalues, recurrence or all-but-readout.
        epochs: passes over the training images.
        batch_size: images in a batch.
        lr: learning rate of ordinary parameters.
        ssm_lr: learning rate of eigenvalues, dt and B.
        weight_decay: decay of ordinary weight matrices.
        seed: seeds initial values, order of the batches, and dropout.
        out: folder of this run: model, metrics.csv, memory.json, checkpoint.
        cache: folder of fetched data.
        source: folder with your own IDX files.
    """
    from ssmemory import fit
    from ssmemory.data import load_images, pixel_sequences, standardise

    torch.manual_seed(seed)
    config = nn.BackboneConfig(
        d_model=d_model, d_state=d_state, n_layers=n_layers, layer=layer, init=init, dt_min=dt_min, dt_max=dt_max,
        heads=heads, bidirectional=bidirectional, dropout=dropout, pooling=pooling,
    )  # fmt: skip
    model = nn.Backbone(config)
    how = fit.TrainConfig(
        epochs=epochs, batch_size=batch_size, lr=lr, ssm_lr=ssm_lr, weight_decay=weight_decay,
        freeze=freeze, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip
    images = load_images(data, cache=cache, source=source)
    u = pixel_sequences(images.train_images, side=side, pixel_max=images.pixel_max)
    y = torch.as_tensor(images.train_labels)
    most = len(u) - len(u) // 6
    if n_train is not None and not 1 <= n_train <= most:
        reject("n_train", expected=f"1 … {most}", got=n_train, fix="the last sixth is kept for validation")
    count = most if n_train is None else n_train
    u_train, u_validation = standardise(u[:count], u[most:])
    result = fit.train(model, (u_train, y[:count]), (u_validation, y[most:]), how, folder=out)
    print(f"validation accuracy {100 * result.final('validation_accuracy'):.2f} % after {epochs} epochs")
    now = {memory.layer: memory for memory in result.after}
    for before in result.before:
        if after := now.get(before.layer):  # a layer that has ceased to forget has no memory function
            change = f"{before.reach:.0f} → {after.reach:.0f} of {u.shape[1]} steps"
            print(f"{before.layer}: reads back {change} at level 0.1, capacity {before.rank:.0f} → {after.rank:.0f}")
    print(f"model, metrics.csv and memory.json: {out}")


def run(
    name: Annotated[str, tyro.conf.Positional],
    *,
    size: str = "quick",
    out: Path | None = None,
    cache: Path | None = None,
    source: Path | None = None,
) -> None:
    """Run an experiment and write its report; run again to take it up where it was cut off.

    Args:
        name: an experiment, such as frozen-vs-learned; `ssmemory list` names them.
        size: smoke (seconds), quick (minutes), cpu (tens of minutes on two cores) or paper (a GPU).
        out: folder for results.json and index.html; out/NAME-SIZE if left out.
        cache: folder of fetched data.
        source: folder with your own IDX files.
    """
    from ssmemory.experiments import experiment

    chosen = experiment(name)
    for module in ("matplotlib", "jinja2"):  # now, and not after an hour of training
        require(module, extra="plot", purpose="the report")
    if size not in chosen.SIZES:
        reject_unknown("size", size, chosen.SIZES)
    folder = out or Path("out") / f"{name}-{size}"
    results = chosen.run(chosen.SIZES[size], folder, cache=cache, source=source)
    for sentence in results["summary"]["findings"]:
        print(sentence)
    report(folder)


def report(folder: Annotated[Path, tyro.conf.Positional]) -> None:
    """Write index.html anew from the results.json of a folder.

    Args:
        folder: where `ssmemory run` wrote.
    """
    from ssmemory.experiments import EXPERIMENTS, read_results, write_report

    by_schema = {experiment.SCHEMA: experiment for experiment in EXPERIMENTS.values()}
    results = read_results(folder, list(by_schema))
    folder = folder if folder.is_dir() else folder.parent
    path = write_report(by_schema[results["schema"]].page(results), folder / "index.html")
    print(f"report: {path}")


def list_names() -> None:
    """List the initialisers, layers, data sets and experiments."""
    from ssmemory.data import list_datasets

    print("initialisers:", ", ".join(_choice(name) for name in INITIALISERS))
    print("layers:", ", ".join(nn.LAYERS))
    for known in list_datasets():
        print(f"data: {known.name}: {known.n_train:,} + {known.n_test:,} images, {known.origin}; {known.licence}")
    try:
        from ssmemory.experiments import EXPERIMENTS
    except MissingExtraError as error:
        print(f"experiments: {error}")
        return
    for name, experiment in EXPERIMENTS.items():
        print(f"experiment: {name} ({', '.join(experiment.SIZES)}): {inspect.getdoc(experiment)}")


def data(
    action: Annotated[Literal["fetch"], tyro.conf.Positional],
    name: Annotated[str, tyro.conf.Positional],
    *,
    cache: Path | None = None,
) -> None:
    """Fetch a data set into the cache, checked by sha256.

    Args:
        action: fetch.
        name: mnist or fashion-mnist.
        cache: folder to keep it in; $SSMEMORY_CACHE or the user's cache folder if left out.
    """
    from ssmemory.data import fetch

    found = fetch(name, cache=cache)
    print(f"{found.dataset.name}: {found.folder}{' (was there)' if found.from_cache else ''}")


MEASURE = {_choice(name): _initialiser_command(name) for name in INITIALISERS}
MEASURE |= {"layer": measure_layer, "model": measure_model}
COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "run": run,
    "list": list_names,
    "report": report,
    "data": data,
}


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """Return a function of the same signature that only collects its arguments."""

    @functools.wraps(command)
    def collect(*positional: Any, **options: Any) -> Callable[[], None]:
        return functools.partial(command, *positional, **options)

    return collect


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command with its arguments; a complaint of the parser is raised as one line."""
    known, program = {"measure": None} | dict(COMMANDS), "ssmemory"
    if arguments[:1] == ["measure"] and arguments[1:] and arguments[1].startswith("--layer"):
        arguments = ["measure", "layer", *arguments[1:]]
    while arguments and not arguments[0].startswith("-"):
        if arguments[0] not in known:
            reject_unknown("measure what" if program != "ssmemory" else "command", arguments[0], known)
        command = known[arguments[0]]
        program, arguments = f"{program} {arguments[0]}", arguments[1:]
        if command is not None:
            return _read(program, functools.partial(tyro.cli, _deferred(command)), arguments)
        known = dict(MEASURE)
    if program == "ssmemory":
        about = "Measure an initialiser's spectrum, a layer or a saved model. Exact; see `ssmemory measure --help`."
        known["measure"] = _described(about)
    collected = {name: _deferred(command) for name, command in known.items() if command is not None}
    parse = functools.partial(tyro.extras.subcommand_cli_from_dict, collected, description=_HELP)
    return _read(program, parse, arguments)


_HELP = "How far back does a sequence model remember? Measure it, train models that keep it, and see the evidence."


def _described(about: str) -> Callable[[], None]:
    def command() -> None:
        raise AssertionError

    command.__doc__ = about
    return command


def _read(program: str, parse: Callable[..., Any], arguments: list[str]) -> Callable[[], None]:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return cast("Callable[[], None]", parse(prog=program, args=arguments))
    except SystemExit as ending:
        if ending.code in (0, None):
            raise
        framed = complaint.getvalue().splitlines()[1:]  # after the title, in a frame or, on a plain terminal, in none
        words = " ".join(filter(None, (_unframed(line) for line in framed)))
        words, _, _ = words.partition("For full helptext")
        raise SSMemoryError(f"{words.strip().rstrip('.')}; see {program} --help") from None


def _unframed(line: str) -> str:
    words = line.strip("│╰╯ ")
    return words if words.strip("─- ") else ""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after ``ssmemory``; those of the process if left out.

    Returns:
        The exit code: 0, 2 after one line about wrong input, 130 after an interruption.
    """
    try:
        _parse(sys.argv[1:] if arguments is None else arguments)()
    except SSMemoryError as error:
        print(f"ssmemory: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "ssmemory: interrupted; run the same command again to go on after the last finished step", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
