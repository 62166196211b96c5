"""Train at every step, and see whether the rule, or unit variance, finds the best one."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from pathlib import Path
from typing import Any

import torch
from scipy.signal import lfilter
from torch import Tensor

from ssmemory import init
from ssmemory.experiments.pixels import Images, Parts, load_sequences
from ssmemory.experiments.step_rule.config import SIZES, Config
from ssmemory.experiments.study import keep_results, study
from ssmemory.experiments.sweep import Record, accuracy
from ssmemory.fit import TrainConfig, train
from ssmemory.nn import Backbone, BackboneConfig
from ssmemory.systems import LinearSystem

SCHEMA = "ssmemory/step-rule/1"
KINDS = ("pixels", "decorrelated", "autoregressive")
AR = 0.9  # of the autoregressive sequences
NEAR = 0.02  # what "as good as the best" means, in accuracy


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to compare.
        folder: where runs and results are written.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: the data are there but damaged. Where they cannot be reached, scikit-learn's digits are used.
    """
    sizes = config.n_train, config.n_validation, config.n_test
    sets = {side: load_sequences(Parts(config.data, side, *sizes), cache=cache, source=source) for side in config.sides}
    advised = {
        (side, kind): _advised(config, _of_kind(images, kind)) for side, images in sets.items() for kind in KINDS
    }
    jobs: list[tuple[Any, ...]] = []
    for seed in config.seeds:
        for (side, kind), advice in advised.items():
            length = sets[side].length
            steps = {f"{factor:g}/L": factor / length for factor in config.factors}
            steps |= {"rule": advice["dt_rule"], "unit variance": advice["dt_unit"]}
            jobs += [(side, kind, name, dt, seed) for name, dt in steps.items()]
    measure_here = functools.partial(measure, sets=sets, folder=folder / "runs")
    runs = study(measure_here, jobs, config, folder)
    rows = [
        {"side": side, "kind": kind, "length": sets[side].length} | advice for (side, kind), advice in advised.items()
    ]
    summary = summarise(runs, rows)
    data = next(iter(sets.values())).described()
    return keep_results(runs, summary, folder, schema=SCHEMA, sizes=SIZES, config=config, data=data)


def _of_kind(images: Images, kind: str) -> Images:
    """Return the images as they are, decorrelated (zero-phase whitening by the training images), or then reddened.

    Autoregressive: ``x[t] = 0.9 x[t−1] + w[t]``, w the decorrelated pixels: as much information, another correlation.
    """
    if kind == "pixels":
        return images
    u = images.training[0].squeeze(-1).double()
    mean = u.mean(0)
    values, vectors = torch.linalg.eigh((u - mean).mT @ (u - mean) / len(u))
    whiten = vectors @ torch.diag((values + 1e-2 * values[-1]).rsqrt()) @ vectors.mT

    def turned(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        whitened = (pair[0].squeeze(-1).double() - mean) @ whiten
        if kind == "autoregressive":
            whitened = torch.from_numpy(lfilter([1.0], [1.0, -AR], whitened.numpy()))
        return whitened.float().unsqueeze(-1), pair[1]

    parts = {name: turned(getattr(images, name)) for name in ("training", "validation", "test")}
    scale = parts["training"][0].std()
    training, validation, test = ((u / scale, y) for u, y in parts.values())
    return dataclasses.replace(images, training=training, validation=validation, test=test)


def _advised(config: Config, images: Images) -> dict[str, float]:
    """Return the rule's step, and that of unit variance, for S4D-Lin's frequencies with zero real parts."""
    advice = init.from_data(images.training[0][:1000], config.d_state, spectrum="lin", decay=0.0)
    unit = min(advice.candidates, key=lambda c: abs(c.variance - 1))
    return {"dt_rule": advice.dt_rule, "dt_unit": unit.dt, "lambda_max": advice.autocorrelation.lambda_max}


def undamped(d_state: int, dt: Tensor) -> LinearSystem:
    """Return S4D-Lin with zero real parts, ``a_n = iπn``."""
    a = torch.complex(torch.zeros(d_state // 2, dtype=torch.float64), math.pi * torch.arange(d_state // 2).double())
    return LinearSystem.from_continuous(a.expand(len(dt), -1), dt=dt, conj_sym=True)


def measure(
    config: Config, side: int, kind: str, name: str, dt: float, seed: int, *, sets: dict[int, Images], folder: Path
) -> Record:
    """Return the test accuracy of one training with frozen eigenvalues."""
    images = _of_kind(sets[side], kind)
    torch.manual_seed(seed)
    shape = BackboneConfig(
        d_model=config.d_model, d_state=config.d_state, n_layers=1, dt_min=dt, dt_max=dt, pooling="last",
    )  # fmt: skip
    model = Backbone(shape, init=undamped)
    how = TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr=config.lr,
        ssm_lr=config.lr,
        freeze="eigenvalues",
        seed=seed,
    )
    own = folder / f"{side}-{kind}-{name.replace('/', '-')}-{seed}"
    train(model, images.training, images.validation, how, folder=own, progress=False)
    (own / "last.ckpt").unlink(missing_ok=True)
    return {
        "side": side, "kind": kind, "length": images.length, "name": name, "dt": dt, "seed": seed,
        "test_accuracy": accuracy(model, *images.test),
    }  # fmt: skip


def summarise(runs: list[Record], rows: list[Record]) -> dict[str, Any]:
    """Return, for every length and kind, the best step, the rule's and that of unit variance, findings and verdicts.

    Args:
        runs: the records.
        rows: length, kind, and the advice.

    Returns:
        "rows", "findings" and "claims".
    """
    told = []
    for row in rows:
        of = [run for run in runs if (run["side"], run["kind"]) == (row["side"], row["kind"])]
        mean = {
            name: statistics.mean(run["test_accuracy"] for run in of if run["name"] == name)
            for name in {run["name"] for run in of}
        }
        steps = {run["name"]: run["dt"] for run in of}
        best = max((name for name in mean if name.endswith("/L")), key=lambda name: mean[name])
        told.append(
            row
            | {
                "best_dt": steps[best], "best": mean[best], "at_rule": mean["rule"], "at_unit": mean["unit variance"],
                "worst": min(mean.values()),
            }
        )  # fmt: skip
    slopes = {kind: _slope([row for row in told if row["kind"] == kind]) for kind in KINDS}
    losses = {
        name: [row["best"] - row[key] for row in told] for name, key in (("rule", "at_rule"), ("unit", "at_unit"))
    }
    near = {name: sum(loss <= NEAR for loss in of) for name, of in losses.items()}
    findings = [
        f"The rule's step is within {100 * NEAR:.0f} points of the best one tried in {near['rule']} of {len(told)} "
        f"cases (at most {100 * max(losses['rule']):.1f} points below), the step of unit variance in {near['unit']} "
        f"(at most {100 * max(losses['unit']):.1f}); the worst step loses "
        f"{100 * max(row['best'] - row['worst'] for row in told):.0f} points.",
    ]
    known = {kind: slope for kind, slope in slopes.items() if slope is not None}
    if known:
        best_slopes = ", ".join(f"{kind}: L^{slope['best']:.2f}" for kind, slope in known.items())
        rules = ", ".join(f"{kind}: L^{slope['rule']:.2f}" for kind, slope in known.items())
        spans = {kind: [row["best_dt"] * row["length"] for row in told if row["kind"] == kind] for kind in known}
        within = ", ".join(f"{kind}: {min(of):.2g} to {max(of):.2g}" for kind, of in spans.items())
        findings.append(f"Times the length, the best step is {within}: windows of a few turns of the slowest mode.")
        findings.append(f"The best step goes with the length as {best_slopes}; the rule says {rules}.")
        apart = max(abs(slope["best"] - slope["rule"]) for slope in known.values())
        shape = {"measured": f"best step {best_slopes}; rule {rules}", "verdict": _verdict(apart)}
    else:
        shape = {"measured": "one length only", "verdict": "undecided"}
    points = {name: ", ".join(f"{100 * loss:.1f}" for loss in of) for name, of in losses.items()}
    chosen = {
        "measured": f"best minus rule, in points: {points['rule']}; best minus unit variance: {points['unit']}",
        "verdict": f"the rule holds in {near['rule']} of {len(told)} cases, unit variance in {near['unit']}",
    }
    return {"rows": told, "findings": findings, "claims": {"A1": shape, "R6": chosen}}


def _verdict(apart: float) -> str:
    return "holds" if apart < 0.25 else "does not hold: the best step follows another power of the length"


def _slope(rows: list[Record]) -> dict[str, float] | None:
    """Return the exponents of best and rule's step in the length."""
    if len(rows) < 2:
        return None
    logs = [math.log(row["length"]) for row in rows]
    found = {}
    for name, key in (("best", "best_dt"), ("rule", "dt_rule")):
        found[name] = statistics.linear_regression(logs, [math.log(row[key]) for row in rows]).slope
    return found
