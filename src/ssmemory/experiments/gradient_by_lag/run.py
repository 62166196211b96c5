"""Set vanishing gradients and memory against each other, in linear cases and in a network."""

from __future__ import annotations

import functools
import statistics
from pathlib import Path
from typing import Any

from ssmemory.experiments.gradient_by_lag.config import SIZES, Config
from ssmemory.experiments.gradient_by_lag.deep import measure_network
from ssmemory.experiments.gradient_by_lag.linear import CASES, measure_case
from ssmemory.experiments.pixels import Images, Parts, load_sequences
from ssmemory.experiments.study import keep_results, spread, study
from ssmemory.experiments.sweep import Record

SCHEMA = "ssmemory/gradient-by-lag/1"


def run(config: Config, folder: Path, *, cache: Path | None = None, source: Path | None = None) -> dict[str, Any]:
    """Run the study, or take it up where it was cut off, and write ``results.json``.

    Args:
        config: what to look at.
        folder: where runs and results are written.
        cache: where fetched data are kept; the package's cache folder if left out.
        source: a folder with the user's own IDX files.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DataError: the data are there but damaged. Where they cannot be reached, scikit-learn's digits are used.
    """
    wanted = Parts(config.data, config.side, config.n_train, 100, config.n_test)
    images = load_sequences(wanted, cache=cache, source=source)
    jobs: list[tuple[Any, ...]] = [("linear", name, seed) for seed in config.seeds for name in CASES]
    jobs += [("deep", dt, seed) for seed in config.seeds for dt in config.steps]
    here = functools.partial(measure, images=images, folder=folder / "runs")
    runs = study(here, jobs, config, folder)
    return keep_results(
        runs, summarise(runs), folder, schema=SCHEMA, sizes=SIZES, config=config, data=images.described()
    )


def measure(config: Config, kind: str, what: Any, seed: int, *, images: Images, folder: Path) -> Record:
    """Return one linear case, or one training of the network."""
    if kind == "linear":
        return measure_case(what, config.lag, config.samples, seed)
    return measure_network(config, images, what, seed, folder / f"dt{what:g}-{seed}")


def summarise(runs: list[Record]) -> dict[str, Any]:
    """Return findings and verdicts.

    Args:
        runs: the records.

    Returns:
        "cases", "network", "findings" and "claims".
    """
    linear, deep = ([run for run in runs if run["kind"] == kind] for kind in ("linear", "deep"))
    cases = []
    for name in CASES:
        of = [run for run in linear if run["name"] == name]
        cases.append(
            {key: of[0][key] for key in ("name", "rank", "reaching_back", "gradient_share", "memory", "predicted")}
            | {
                "measured": statistics.mean(run["measured"] for run in of),
                "spread": spread([r["measured"] for r in of]),
            }
        )
    error = max(abs(row["measured"] - row["predicted"]) for row in cases)
    by_name = {row["name"]: row for row in cases}
    crowded, spread_out = by_name["slow and crowded"], by_name["fast and spread"]
    disagree = crowded["reaching_back"] > spread_out["reaching_back"] and crowded["measured"] > spread_out["measured"]
    network = []
    for dt in dict.fromkeys(run["dt"] for run in deep):
        of = [run for run in deep if run["dt"] == dt]
        row = {"dt": dt, "test_accuracy": [run["test_accuracy"] for run in of]}
        for when in ("before", "after"):
            row[when] = [[layer["visible_share"] for layer in run[when]] for run in of]
        network.append(row)
    shares = {row["dt"]: statistics.mean(v for seed in row["before"] for v in seed) for row in network}
    after = {row["dt"]: statistics.mean(v for seed in row["after"] for v in seed) for row in network}
    weights = max(layer["input_against_readout"] for run in deep for when in ("before", "after") for layer in run[when])
    scores = {row["dt"]: statistics.mean(row["test_accuracy"]) for row in network}
    told = ", ".join(
        f"dt {dt:g}: {100 * shares[dt]:.2g} % → {100 * after[dt]:.2g} % ({100 * scores[dt]:.0f} % right)"
        for dt in shares
    )
    findings = [
        f"Slow and crowded modes reach back (|λ|^τ = {crowded['reaching_back']:.2g}), yet a readout recalls the lag "
        f"with a loss of {crowded['measured']:.2g}; fast and spread ones do not "
        f"(|λ|^τ = {spread_out['reaching_back']:.2g}), and their loss is {spread_out['measured']:.2g}. The memory "
        f"function foretells all losses to {error:.1g}.",
        f"In a network, the share of the kernel's gradient that the readout can see, before → after training: {told}.",
        f"Input weights see the same lags as the readout: b ∂ℓ/∂b = c ∂ℓ/∂c, mode by mode, to {weights:.1g}.",
    ]
    claims = {
        "R1": {
            "measured": f"losses {crowded['spread']} (|λ|^τ {crowded['reaching_back']:.2g}) and {spread_out['spread']} "
            f"(|λ|^τ {spread_out['reaching_back']:.2g}); predicted from memory within {error:.1g}",
            "verdict": "yes: it predicts both where |λ|^τ says the opposite" if disagree and error < 0.05 else "no",
        },
        "R4": {
            "measured": f"largest relative difference {weights:.1g}",
            "verdict": "nothing new: the same lags as the readout" if weights < 1e-3 else "they differ",
        },
    }
    return {"cases": cases, "network": network, "findings": findings, "claims": claims}
