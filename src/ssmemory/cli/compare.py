"""`ssmemory compare`: which layer holds how much of its past, and in how many bytes?"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from ssmemory.cli.pictures import save_axes
from ssmemory.errors import reject


def compare(
    layers: Annotated[tuple[str, ...], tyro.conf.Positional],
    *,
    by: Literal["state", "bytes"] = "state",
    d_model: int = 8,
    d_state: int = 32,
    bytes: int = 512,
    lags: int = 1000,
    sequence: int | None = None,
    data: Path | None = None,
    columns: tuple[str, ...] = (),
    seed: int = 0,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Compare the memory of layers as they start, and the bytes of state that it takes.

    Args:
        layers: names such as S4D, S5, LRU, LinearRNN, LinearAttention, Attention; with an initialiser as S4D:s4d_inv.
        by: compare layers of one d_state, or of at most as many bytes of state.
        d_model: channels.
        d_state: full real state size of each layer, as it defines it; with --by state.
        bytes: of state for one sequence, the most that each layer may have; with --by bytes.
        lags: measure lags 0 … lags − 1, in steps.
        sequence: steps that softmax attention keeps, with --by state; as many as the lags if left out.
        data: CSV, Parquet, NPY or WAV; every channel then has the autocorrelation of these data, and linear attention
            takes its keys from them. White input if left out.
        columns: which columns of the data; all but the time if left out.
        seed: seeds the initial values.
        plot: draw the memory functions to OUT/compare.png.
        json: print JSON instead of the table.
        out: folder for the picture.
    """
    from ssmemory.nn.alike import layers_alike
    from ssmemory.nn.comparison import compare_layers

    for name, value in (("lags", lags), ("sequence", sequence), ("bytes", bytes)):
        if value is not None and value < 1:
            reject(name, expected="at least 1", got=value, fix="give a positive number")
    if columns and data is None:
        reject("columns", expected="none without --data", got=", ".join(columns), fix="name the file")
    size = {"d_state": d_state} if by == "state" else {"most_bytes": bytes}
    made = layers_alike(layers, d_model=d_model, steps=sequence or lags, seed=seed, **size)
    r, keys, told = None, None, "White input."
    if data is not None:
        r, keys = _of_data(data, columns, d_model, lags, seed)
        told = f"Input correlated as {data}; capacities, and what is given its keys, count white input."
    found = compare_layers(made, lags, input_autocovariance=r, sequence=keys, seed=seed)
    if json:
        record = {"by": by, "input": str(data or "white"), "rows": [row.to_record() for row in found.rows]}
        print(json_format.dumps(record, indent=2))
    else:
        print(found.table())
        print(f"{told} MF: median over channels; {_sizes(by, bytes)}")
    if plot:
        path = save_axes(found.plot, out / "compare.png")
        print(f"picture: {path}", file=sys.stderr if json else sys.stdout)


def _sizes(by: str, most: int) -> str:
    if by == "state":
        return "one d_state, which S4D and S4 have for every channel, S5, LRU and LinearRNN for all channels together."
    return f"each d_state is the largest whose state has at most {most} bytes."


def _of_data(
    path: Path, columns: tuple[str, ...], d_model: int, lags: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return the autocorrelation of the data, and the data as a random linear encoder would feed them to a layer."""
    from ssmemory.data import read_series
    from ssmemory.memory import sample_autocovariance

    x = torch.from_numpy(read_series(path, columns=columns or None).values)
    x = x if x.ndim == 3 else x.unsqueeze(0)
    r = sample_autocovariance(x, 2 * lags)
    joined = x.flatten(0, 1)
    centred = (joined - joined.nanmean(0)).nan_to_num(0.0)
    centred = centred / centred.square().mean(0).sqrt()
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(centred.shape[1] + 1, d_model, generator=generator, dtype=torch.float64)
    return r, centred @ weights[1:] / centred.shape[1] ** 0.5 + weights[0]
