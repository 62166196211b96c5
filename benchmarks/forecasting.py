"""Long-horizon forecasting: MemoryForecaster beside DLinear, NLinear and seasonal naive, on four real tables.

Every method reads the last 336 steps and forecasts 96, 192, 336 and 720; tables are divided 7 : 1 : 2 in time, channels
standardised by the training part, and MSE and MAE taken over every window of the test part (a step apart) and all
channels, measured values only. Gaps are bridged by straight lines where they are read. The first four channels of
a table; of MERRA-2 the last 35,064 hours (four years).

To fit the time on two cores, every method learns from and chooses on windows that begin 4 steps apart.

- memory: one `MemoryForecaster` of horizon 720 per table, of which shorter horizons are the first steps. Choices are
  made on the validation part; nothing else is learnt from it.
- DLinear, NLinear: our own few lines after arXiv 2205.13504, one map for all channels, a model a horizon; Adam, 8
  windows of all channels a step (as many steps as 32 of windows 1 step apart), 10 epochs at most, the rate halved
  every epoch, training ended after three epochs without a gain on the validation part, whose best epoch is kept. The
  rate is the best of 1e-4, 1e-3 and 5e-3 there, at 96 steps.
- naive: the last day, repeated.
- memory 1344: not compared, since it reads four times as far: as memory, `d_state` 336 of 1,344 steps.

Seconds are wall clock of training and choosing, for all four horizons together, and peak MB above the data, of a
method in a process of its own, of one thread; two of them run at a time.

    python benchmarks/forecasting.py [--quick] [--json PATH]

--quick takes 2,500 steps and 2 channels of two tables, one horizon, and writes no file unless told where.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described, in_fresh_process, machine, peak_memory, table
from torch import Tensor, nn

from ssmemory.data import Series, ett_split, load_table
from ssmemory.files import write_json
from ssmemory.fit.forecaster import MemoryForecaster

LOOKBACK, HORIZONS, CHANNELS = 336, (96, 192, 336, 720), 4
LONG = 1344
TABLES = {  # every, steps of a day, the last steps that are used
    "household-power": (60, 24, None),
    "appliances-energy": (1, 144, None),
    "merra2": (1, 24, 35_064),
    "simbench": (1, 96, None),
}
METHODS = ("memory", "DLinear", "NLinear", "naive")
RATES, EPOCHS, PATIENCE, BATCH, KERNEL = (1e-4, 1e-3, 5e-3), 10, 3, 8, 25
STRIDE = 4  # steps from one window to the next in training and validation
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PACKAGES = ("ssmemory", "torch", "numpy", "scipy")
Forecast = Callable[[np.ndarray], np.ndarray]  # (n, LOOKBACK, channels) → (n, horizon, channels)


class NLinear(nn.Module):
    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.linear = nn.Linear(LOOKBACK, horizon)

    def forward(self, x: Tensor) -> Tensor:
        last = x[..., -1:]
        return self.linear(x - last) + last


class DLinear(nn.Module):
    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.seasonal, self.trend = nn.Linear(LOOKBACK, horizon), nn.Linear(LOOKBACK, horizon)

    def forward(self, x: Tensor) -> Tensor:
        reach = (KERNEL - 1) // 2
        padded = torch.cat([x[..., :1].expand(*x.shape[:-1], reach), x, x[..., -1:].expand(*x.shape[:-1], reach)], -1)
        trend = nn.functional.avg_pool1d(padded, KERNEL, stride=1)
        return self.seasonal(x - trend) + self.trend(trend)


def filled(values: np.ndarray) -> np.ndarray:
    values, steps = values.copy(), np.arange(len(values))
    for column in values.T:
        missing = np.isnan(column)
        column[missing] = np.interp(steps[missing], steps[~missing], column[~missing])
    return values


class Windows:
    """Windows of a part, (n, channels, LOOKBACK + horizon), that are cut when asked for."""

    def __init__(self, part: np.ndarray, horizon: int, lookback: int = LOOKBACK) -> None:
        self.lookback, width = lookback, lookback + horizon
        self.x = torch.from_numpy(filled(part)).float().unfold(0, width, 1)
        self.y = torch.from_numpy(part).float().unfold(0, width, 1)
        whole = ~torch.from_numpy(np.isnan(part).any(1))[lookback:].unfold(0, horizon, 1).any(-1)
        self.whole = whole.nonzero().squeeze(-1)
        self.whole = self.whole[self.whole % STRIDE == 0]

    def cut(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        return self.x[chosen][..., : self.lookback], self.y[chosen][..., self.lookback :]


def trained(model: nn.Module, rate: float, training: Windows, validation: Windows, seed: int) -> tuple[float, int]:
    """Train in place; the best validation error, and the epochs taken."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    best, kept, waited = float("inf"), {}, 0
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5**epoch
        order = training.whole[torch.randperm(len(training.whole), generator=generator)]
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            x, y = training.cut(chosen)
            optimiser.zero_grad()
            (model(x) - y).square().mean().backward()
            optimiser.step()
        with torch.no_grad():
            parts = [validation.cut(chosen) for chosen in validation.whole.split(256)]
            error = sum(float((model(x) - y).square().sum()) for x, y in parts) / len(validation.whole)
        waited = waited + 1 if error >= best else 0
        if error < best:
            best, kept = error, {name: value.clone() for name, value in model.state_dict().items()}
        if waited == PATIENCE:
            break
    model.load_state_dict(kept)
    return best, epoch + 1


def fit_rival(make: type[nn.Module], split: Any, horizons: tuple[int, ...], about: dict[str, Any]) -> list[Forecast]:
    found, rate = [], None
    for horizon in horizons:
        training, validation = (Windows(part, horizon) for part in (split.train, split.validation))
        runs = []
        for each in RATES if rate is None else (rate,):
            torch.manual_seed(0)
            model = make(horizon)
            runs.append((*trained(model, each, training, validation, 0), each, model))
        _, epochs, rate, model = min(runs, key=lambda run: run[0])
        about |= {"rate": rate, f"epochs {horizon}": epochs}

        def forecast(x: np.ndarray, model: nn.Module = model) -> np.ndarray:
            with torch.no_grad():
                return model(torch.from_numpy(x).float().mT).mT.numpy()

        found.append(forecast)
    return found


def fit_memory(split: Any, horizons: tuple[int, ...], about: dict[str, Any], lookback: int) -> list[Forecast]:
    memories: tuple[Any, ...] = ("lags", "fourier") if lookback == LOOKBACK else ("geometric", "fourier")
    forecaster = MemoryForecaster(max(horizons), lookback, LOOKBACK, memories=memories, stride=STRIDE)
    forecaster.fit(split.train, split.validation)
    about["choices"] = forecaster.explain().splitlines()
    return [lambda x, horizon=horizon: forecaster.predict_windows(x)[:, :horizon] for horizon in horizons]


def measured(name: str, method: str, quick: bool) -> dict[str, Any]:
    """Fit a method to a table and score it, in this process."""
    torch.set_num_threads(1)
    every, day, last = TABLES[name]
    series, horizons = load_table(name, every=every), HORIZONS[:1] if quick else HORIZONS
    values = series.values[-last if last else 0 :, :CHANNELS]
    values = values[:2500, :2] if quick else values
    lookback = LONG if method == "memory 1344" else LOOKBACK
    series = Series(values, series.names[: values.shape[1]], series.sampling_rate, series.step, series.source)
    split, about = ett_split(series, lookback=lookback), {}
    result: dict[str, Any] = {}

    def fit() -> None:
        start = time.perf_counter()
        if method.startswith("memory"):
            result["made"] = fit_memory(split, horizons, about, lookback)
        elif method == "naive":
            result["made"] = [lambda x, h=h: np.tile(x[:, -day:], (1, -(-h // day), 1))[:, :h] for h in horizons]
        else:
            result["made"] = fit_rival({"DLinear": DLinear, "NLinear": NLinear}[method], split, horizons, about)
        result["seconds"] = time.perf_counter() - start

    memory = peak_memory(fit)["above_baseline_mb"]
    cells = [score(forecast, split.test, h, lookback) for h, forecast in zip(horizons, result["made"], strict=True)]
    return {
        "table": name, "method": method, "steps": len(values), "channels": list(series.names), "borders": split.borders,
        "seconds": result["seconds"], "peak_mb": memory, "about": about, "cells": cells,
    }  # fmt: skip


def score(forecast: Forecast, test: np.ndarray, horizon: int, lookback: int) -> dict[str, float]:
    windows, squares, absolute, count = Windows(test, horizon, lookback), 0.0, 0.0, 0
    for first in range(0, len(windows.x), 128):
        x, y = windows.cut(slice(first, first + 128))
        wrong = forecast(x.mT.numpy().astype(np.float64)) - y.mT.numpy().astype(np.float64)
        squares, absolute = squares + float(np.nansum(wrong**2)), absolute + float(np.nansum(np.abs(wrong)))
        count += int(np.isfinite(wrong).sum())
    return {"horizon": horizon, "windows": len(windows.x), "mse": squares / count, "mae": absolute / count}


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A row a cell: every method's MSE and MAE, the lowest of those compared marked."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    result = [["table", "horizon", *(f"{m} {e}" for m in methods for e in ("MSE", "MAE"))]]
    for name in dict.fromkeys(row["table"] for row in rows):
        of = {row["method"]: row["cells"] for row in rows if row["table"] == name}
        for k, cell in enumerate(of["memory"]):
            cells = [name, str(cell["horizon"])]
            for method in methods:
                for error in ("mse", "mae"):
                    value, least = of[method][k][error], min(of[m][k][error] for m in METHODS)
                    cells.append(f"{value:.4f}" + ("*" if value == least and method in METHODS else " "))
            result.append(cells)
    return result


def shares(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of every method compared, the share of cells in which its error is the lowest."""
    won: dict[str, dict[str, float]] = {error: dict.fromkeys(METHODS, 0.0) for error in ("mse", "mae")}
    tables = list(dict.fromkeys(row["table"] for row in rows))
    for error, name in ((e, n) for e in won for n in tables):
        of = {row["method"]: row["cells"] for row in rows if row["table"] == name and row["method"] in METHODS}
        for k in range(len(of["memory"])):
            best = min(METHODS, key=lambda m: of[m][k][error])
            won[error][best] += 1 / (len(of["memory"]) * len(tables))
    return won


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options, about = parser.parse_args(), machine(PACKAGES)
    tables = list(TABLES)[:2] if options.quick else list(TABLES)
    path = options.json or (None if options.quick else Path(__file__).parent / "results" / "forecasting.json")
    rows: list[dict[str, Any]] = []
    methods = METHODS if options.quick else (*METHODS, "memory 1344")
    jobs = [(name, method) for name in tables for method in methods if method != "memory 1344"]
    jobs += [(name, method) for name in tables for method in methods if method == "memory 1344"]
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda job: in_fresh_process(measured, ONE_THREAD, *job, options.quick), jobs):
            rows.append(row)
            if path:
                write_json(path.with_suffix(".part.json"), rows)
            got = ", ".join(f"{cell['horizon']}: {cell['mse']:.4f}" for cell in row["cells"])
            print(
                f"{row['table']}, {row['method']}: {got}; {row['seconds']:.1f} s, {row['peak_mb']:.0f} MB", flush=True
            )
    print("\n" + table(lines(rows)))
    won = shares(rows)
    for error, of in won.items():
        print(f"{error}: lowest in " + ", ".join(f"{method} {100 * share:.0f} %" for method, share in of.items()))
    print(f"\n{described(about)}")
    if path:
        write_json(path, {"machine": about, "quick": options.quick, "lookback": LOOKBACK, "won": won, "rows": rows})
        path.with_suffix(".part.json").unlink()


if __name__ == "__main__":
    main()
