"""Predict how fast and how well readouts of every spacing learn, train them, and set both side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from ssmemory.experiments.imaginary_parts.config import SIZES, Config
from ssmemory.experiments.imaginary_parts.descent import adam_steps, descended, descent_steps, problems_of
from ssmemory.experiments.imaginary_parts.findings import ALL, OWN, summarise
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record
from ssmemory.learning import ReadoutModes, predict, readout_modes
from ssmemory.nn import S4D
from ssmemory.systems import LinearSystem

SCHEMA = "ssmemory/imaginary-parts/1"
SHARE = 0.95  # of the learnable loss
AR, RADIUS = 0.9, 0.95  # the slow input's coefficient, the oscillating one's poles

Array = np.ndarray[Any, Any]


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: not needed: the data are noise.
        source: not needed either.

    Returns:
        The results, as in ``results.json``.
    """
    del cache, source
    jobs = [(spacing, seed) for seed in config.seeds for spacing in config.spacings]
    runs = study(measure, jobs, config, folder)
    return keep_results(runs, summarise(runs, config), folder, schema=SCHEMA, sizes=SIZES, config=config)


def spectrum(config: Config, spacing: float) -> LinearSystem:
    """Return undamped modes around the centre; what the readout weighs has unit variance under white input."""
    n = torch.arange(config.d_state // 2, dtype=torch.float64)
    frequencies = 2 * math.pi / config.length * (config.centre + spacing * (n - n.mean()))
    B = torch.full_like(n, (2 * config.length) ** -0.5)
    return LinearSystem.from_log_eigenvalues(torch.complex(torch.zeros_like(n), frequencies), B, conj_sym=True)


def layer_of(system: LinearSystem) -> S4D:
    """Return an S4D of one channel with these eigenvalues and this B, in double precision, without D."""
    assert system.log_modes is not None
    layer = S4D(1, system.d_state, init=system, dt_min=1.0, dt_max=1.0, decay="projected").double()
    with torch.no_grad():
        layer.A_imag.copy_(system.log_modes.imag)  # the constructor rounds to single precision
        scale = layer.system().B.squeeze(-1)
        layer.B.copy_(torch.view_as_real(system.B.squeeze(-1) / scale))
        layer.D.zero_()
    return layer


def states(layer: S4D, windows: Array) -> Array:
    """Return (windows, d_state) what C weighs at the end of every window: 2 Re x and −2 Im x."""
    with torch.no_grad():
        x = 2 * layer(torch.from_numpy(windows).unsqueeze(-1))[1][:, 0]
    return torch.cat([x.real, -x.imag], -1).numpy()


def responses(system: LinearSystem, length: int) -> Array:
    """Return (d_state, length) the kernels of what C weighs."""
    assert system.log_modes is not None
    K = 2 * system.B * torch.exp(system.log_modes.unsqueeze(-1) * torch.arange(length))
    return torch.cat([K.real, -K.imag]).numpy()


def colours(config: Config) -> dict[str, tuple[list[float], Array | None]]:
    """Return, by name, the inputs' recursion and their autocovariance; None: white."""
    angle, lags = 2 * math.pi * config.centre / config.length, 4 * config.length
    found: dict[str, tuple[list[float], Array | None]] = {"white": ([1.0], None)}
    for name, recursion in (("slow", [1.0, -AR]), ("oscillating", [1.0, -2 * RADIUS * math.cos(angle), RADIUS**2])):
        h = lfilter([1.0], recursion, np.eye(1, 2 * lags)[0])
        r = np.correlate(h, h, "full")[2 * lags - 1 :][:lags]
        found[name] = recursion, r / r[0]
    return found


def coloured(white: Array, recursion: list[float], length: int) -> Array:
    """Return windows of the stationary input of unit variance; what comes before them lets it settle."""
    h = lfilter([1.0], recursion, np.eye(1, white.shape[1])[0])
    return np.ascontiguousarray(lfilter([1.0], recursion, white, axis=1)[:, -length:]) / np.linalg.norm(h)


def measure(config: Config, spacing: float, seed: int) -> Record:
    """Return conditioning and steps for every input, and errors for every band and number of samples."""
    return {
        "spacing": spacing, "seed": seed,
        "training": _training(config, spacing, seed), "estimates": _estimates(config, spacing, seed),
    }  # fmt: skip


def _training(config: Config, spacing: float, seed: int) -> list[Record]:
    rng, L = np.random.default_rng(seed), config.length
    system = spectrum(config, spacing)
    K, layer = responses(system, L), layer_of(system)
    kernels = targets(config, K, rng)
    white = rng.standard_normal((config.windows, 2 * L))
    noise = math.sqrt(config.noise) * rng.standard_normal((config.windows, 2 * config.targets))
    rows, raw, whitened = [], [], []
    for colour, (recursion, r) in colours(config).items():
        u = coloured(white, recursion, L)
        X = states(layer, u)
        Y = u[:, ::-1] @ np.stack([kernel for _, kernel in kernels], -1) + noise
        for name, kernel in kernels:
            modes = readout_modes(system, kernel, horizon=L, input_autocovariance=r)
            predicted = _fastest(config, system, kernel, r, modes)
            rows.append({"input": colour, "target": name, "conditioning": modes.conditioning, "predicted": predicted})
        spread = np.linalg.eigvalsh(X.T @ X)
        for row in rows[-len(kernels) :]:
            row["measured_conditioning"] = float(spread[-1] / spread[0])
        raw += problems_of(X, Y, [modes.largest_lr] * len(kernels))
        covariance = K @ toeplitz(np.eye(1, L)[0] if r is None else r[:L]) @ K.T
        whitened += problems_of(X @ np.linalg.inv(np.linalg.cholesky(covariance)).T, Y, [2.0] * len(kernels))
    found = {
        "descent": descent_steps(raw, config.lr_shares, SHARE, config.longest),
        "whitened": descent_steps(whitened, config.lr_shares, SHARE, config.longest),
        "adam": adam_steps(raw, config.adam_lrs, SHARE, config.longest),
    }
    return [row | {name: steps[k] for name, steps in found.items()} for k, row in enumerate(rows)]


def targets(config: Config, K: Array, rng: np.random.Generator) -> list[tuple[str, Array]]:
    """Return kernels of unit energy that the state can give: of every direction alike, and of random readouts."""
    basis = np.linalg.qr(K.T)[0].T
    kinds = ((ALL, basis), (OWN, K))
    found = [(name, rng.standard_normal(len(K)) @ rows) for name, rows in kinds for _ in range(config.targets)]
    return [(name, kernel / np.linalg.norm(kernel)) for name, kernel in found]


def _fastest(config: Config, system: LinearSystem, teacher: Array, r: Array | None, modes: ReadoutModes) -> float:
    """Return the predicted steps of descent at the best of the learning rates."""
    steps = []
    for share in config.lr_shares:
        lr = share * modes.largest_lr
        foreseen = predict(system, teacher, horizon=config.length, input_autocovariance=r, lr=lr)
        steps.append(foreseen.steps_to(SHARE))
    return min(steps)


def tones(config: Config, band: float, rng: np.random.Generator) -> Array:
    """Return a kernel of unit energy: sinusoids from the band, of random amplitudes and phases."""
    frequency = config.centre + band * (rng.random(config.tones) - 0.5)
    angle = 2 * math.pi * (np.outer(np.arange(config.length) / config.length, frequency) + rng.random(config.tones))
    kernel = np.cos(angle) @ rng.standard_normal(config.tones)
    return kernel / np.linalg.norm(kernel)


def _estimates(config: Config, spacing: float, seed: int) -> list[Record]:
    rng = np.random.default_rng([seed, 1])
    system = spectrum(config, spacing)
    u = rng.standard_normal((2 * config.windows, config.length))
    X = states(layer_of(system), u)
    rows = []
    for band in config.bands:
        teachers = [tones(config, band, rng) for _ in range(config.draws)]
        modes = [readout_modes(system, teacher, horizon=config.length) for teacher in teachers]
        Y = u[:, ::-1] @ np.stack(teachers, -1)
        noisy = Y + math.sqrt(config.noise) * rng.standard_normal(Y.shape)
        for n in config.samples:
            measured = _errors(config, X, noisy, Y, n)
            for method, steps in methods(config).items():
                foreseen = [expected_error(of, config.noise, n, steps) for of in modes]
                rows.append(
                    {
                        "band": band, "n": n, "method": method, "floor": float(np.mean([2 * of.floor for of in modes])),
                        "predicted": float(np.mean(foreseen)), "measured": measured[method],
                    }
                )  # fmt: skip
    return rows


def methods(config: Config) -> dict[str, int | None]:
    """Return the estimates by name, with their steps; None: least squares, as of infinitely many."""
    return {"least squares": None} | {f"{steps} steps": steps for steps in config.budgets}


def expected_error(modes: ReadoutModes, noise: float, n: int, steps: int | None) -> float:
    """Return the expected test error of a readout estimated from n windows, on a target of unit energy.

    With f the unseen energy, ``f + Σ energy s² + (noise + f) Σ (1 − s)² / (n − modes − 1)``: exact for least squares
    (s = 0) on Gaussian input; for descent at half the largest rate, ``s = (1 − lr σ²)^steps``, an approximation, whose
    covariance is that of the population.
    """
    left = torch.zeros_like(modes.rates) if steps is None else (1 - modes.rates / modes.rates.max()) ** steps
    unseen = 2 * modes.floor
    variance = (noise + unseen) * float((1 - left).square().sum()) / (n - len(left) - 1)
    return unseen + float((modes.energy * left.square()).sum()) + variance


def _errors(config: Config, X: Array, noisy: Array, Y: Array, n: int) -> dict[str, float]:
    """Return the mean test error over the targets, each learned from n windows; targets share as few as can be."""
    parts = min(config.draws, config.windows // n)
    fresh, order, problems = slice(config.windows, None), [], []
    for part in range(parts):
        seen, mine = slice(part * n, (part + 1) * n), list(range(part, config.draws, parts))
        problems += problems_of(X[seen], noisy[seen][:, mine])
        order += mine
    estimates = {"least squares": np.stack([problem.best for problem in problems])}
    estimates |= {f"{steps} steps": w for steps, w in descended(problems, config.budgets).items()}
    return {name: float(np.mean((X[fresh] @ w.T - Y[fresh][:, order]) ** 2)) for name, w in estimates.items()}
