"""`ssmemory advise` and `ssmemory design`: how should the memory be set up?"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssmemory.cli.pictures import save


def advise(
    file: Annotated[Path, tyro.conf.Positional],
    *,
    d_state: int = 64,
    length: int | None = None,
    columns: tuple[str, ...] = (),
    time_column: str | None = None,
    sampling_rate: float | None = None,
    unit: str = "s",
    spectrum: Literal["auto", "fourier", "peaks", "lin", "inv", "band"] = "auto",
    decay: float | None = None,
    discretization: Literal["zoh", "bilinear"] = "zoh",
    detrend: bool = False,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Advise dt, real and imaginary parts for your data, with the reasons.

    Args:
        file: CSV, Parquet, NPY or WAV: steps down, channels across.
        d_state: full real state size of a channel, even.
        length: steps of the windows that the model will see; the whole file if left out.
        columns: which columns; all but the time if left out.
        time_column: the column of time stamps, if it is not the first.
        sampling_rate: steps per unit of time; that of the file, in seconds, if left out.
        unit: the unit of time that the sampling rate is for.
        spectrum: where the frequencies come from; auto chooses.
        decay: e-foldings that a mode loses over a window; chosen if left out.
        discretization: zoh or bilinear.
        detrend: subtract a straight line first.
        plot: draw the advice to OUT/advice.png.
        json: print JSON instead of the sentences.
        out: folder for the picture.
    """
    from ssmemory.data import read_series
    from ssmemory.init import from_data

    series = read_series(file, columns=columns or None, time_column=time_column)
    advice = from_data(
        series.values, d_state, length=length, sampling_rate=sampling_rate or series.sampling_rate, unit=unit,
        spectrum=spectrum, decay=decay, discretization=discretization, detrend=detrend,
    )  # fmt: skip
    if json:
        print(json_format.dumps(advice.to_record(), indent=2))
    else:
        print(f"{file}: {', '.join(series.names)}\n{advice.explain()}")
        print(f"In code: nn.S4D(d_model, {d_state}, init=init.from_data(x, {d_state}, length={advice.length}))")
    if plot:
        print(f"picture: {save(advice.plot(), out / 'advice.png')}", file=sys.stderr if json else sys.stdout)


def design(
    *,
    d_state: int = 64,
    window: int | None = None,
    lags: tuple[int, ...] = (),
    teacher: Path | None = None,
    seed: int = 0,
    starts: int | None = None,
    plot: bool = False,
    json: bool = False,
    out: Path = Path("out"),
) -> None:
    """Search for the eigenvalues that remember a window, some lags, or a teacher best.

    Args:
        d_state: state directions of the real system.
        window: steps to remember, the worst of them as well as possible.
        lags: lags to remember, on average as well as possible.
        teacher: file with the kernel to be learned, a weight a lag: CSV or NPY of one column.
        seed: seeds the random starts.
        starts: how many starts.
        plot: draw eigenvalues and memory to OUT/design.png.
        json: print JSON instead of the sentence.
        out: folder for the picture.
    """
    from ssmemory import init
    from ssmemory.data import read_series

    kernel = None if teacher is None else read_series(teacher).values[..., 0]
    found = init.design(d_state, window=window, lags=lags or None, teacher=kernel, seed=seed, starts=starts)
    if json:
        logs = found.system.log_eigenvalues
        record = {
            "goal": found.goal, "value": found.value, "bound": found.bound, "share": found.share,
            "baselines": found.baselines, "starts": found.starts,
            "log_eigenvalues_real": logs.real.tolist(), "log_eigenvalues_imag": logs.imag.tolist(),
        }  # fmt: skip
        print(json_format.dumps(record, indent=2))
    else:
        print(found.explain())
    if plot:
        print(f"picture: {save(found.plot(), out / 'design.png')}", file=sys.stderr if json else sys.stdout)
