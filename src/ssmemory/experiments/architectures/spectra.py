"""What eigenvalues alone decide, and how a Gram matrix fares: measurements of single systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from ssmemory import init
from ssmemory.experiments.architectures.config import Config
from ssmemory.experiments.architectures.inputs import Input
from ssmemory.experiments.sweep import Record
from ssmemory.memory import memory_function
from ssmemory.memory.correlated_channels import correlated_channels
from ssmemory.nn import S4
from ssmemory.systems import LinearSystem

Array = NDArray[Any]
STEP = 0.01  # dt of the HiPPO spectra where only one is taken
ROUNDING = float(np.finfo(np.float32).eps)
HIPPO: dict[str, Callable[[int, float], LinearSystem]] = {
    "S4D-Lin": init.s4d_lin, "S4D-Inv": init.s4d_inv, "S4D-LegS": init.s4d_legs, "S4-LegS": init.hippo_legs,
}  # fmt: skip


def baselines(d_state: int, radius: float, seed: int) -> dict[str, LinearSystem]:
    """Return the spectra that HiPPO's are set against, none of them with a modulus above the radius."""
    return {
        "random": init.random_disk(d_state, radius, seed=seed),
        "random dense": init.random_dense(d_state, radius, seed=seed),
        "linear": init.linear(d_state, radius),
        "step": init.step(d_state, 0.5, radius),
    }


def all_spectra(d_state: int, dt: float, seed: int) -> dict[str, LinearSystem]:
    """Return every spectrum at one step."""
    made = {name: make(d_state, dt) for name, make in HIPPO.items()}
    return made | baselines(d_state, 0.99, seed) | {"ring": init.ring(d_state, seed=seed)}


def responses(A: Array, B: Array, length: int) -> Array:
    """Return (length, states, inputs) A^τ B, one step after the other."""
    K = np.empty((length, *B.shape), dtype=np.result_type(A, B))
    K[0] = B
    for t in range(1, length):
        K[t] = A @ K[t - 1]
    return K


def leverages(K: Array) -> Array:
    """Return (length, inputs) the memory that responses leave, by a QR decomposition and no eigenvalue."""
    length, n, m = K.shape
    rows = K.transpose(0, 2, 1).reshape(-1, n)
    Q = np.linalg.qr(rows / np.linalg.norm(rows, axis=0))[0]
    return (np.abs(Q) ** 2).sum(1).reshape(length, m)


def basis(config: Config, seed: int) -> Record:
    """Return how far MF moves when basis and B are drawn anew, of one input and of two, by responses alone."""
    rng, length = np.random.default_rng(seed), 3000
    one, two = {}, {}
    for name, system in all_spectra(config.basis_size, 0.1, seed).items():
        block = _real_form(system)
        n = len(block)
        exact = memory_function(system, 100).values.numpy()
        T = _basis(n, rng)
        A = T @ block @ np.linalg.inv(T)
        K = responses(A, rng.standard_normal((n, 1)), length)
        one[name] = float(np.abs(leverages(K)[:100, 0] - exact).max())
        pair = [leverages(responses(A, rng.standard_normal((n, 2)), length))[:100].sum(1) for _ in range(2)]
        two[name] = float(np.abs(pair[0] - pair[1]).max())
    return {"part": "basis", "seed": seed, "one": one, "two": two}


def _basis(n: int, rng: np.random.Generator) -> Array:
    """Return a random matrix with a condition number below 8."""
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return left * np.exp(rng.uniform(-1, 1, n)) @ right


def _real_form(system: LinearSystem) -> Array:
    """Return a real matrix with the eigenvalues that count, each once, in blocks."""
    if system.A is not None:
        return system.A.numpy()
    spectrum = system.spectrum()
    values = spectrum.eigenvalues[spectrum.counted].numpy()
    upper = values[values.imag > -1e-12]
    blocks = [
        np.array([[v.real]] if abs(v.imag) < 1e-12 else [[v.real, -v.imag], [v.imag, v.real]]) for v in upper
    ]  # fmt: skip
    return np.asarray(scipy.linalg.block_diag(*blocks))


def twins(config: Config) -> Record:
    """Return how far the memory of S4-LegS lies from that of diagonal spectra, as spectra, responses and layer."""
    rows = []
    for n in (config.basis_size, config.d_state):
        for dt in (0.01, 0.1):
            legs = memory_function(init.hippo_legs(n, dt), config.lags).values
            others = {
                "S4D-Real": init.s4d_real(n, dt, discretization="bilinear"), "S4D-Real (zoh)": init.s4d_real(n, dt),
            } | {name: HIPPO[name](n, dt) for name in ("S4D-LegS", "S4D-Inv", "S4D-Lin")}  # fmt: skip
            apart = {
                name: float((memory_function(system, config.lags).values - legs).abs().max())
                for name, system in others.items()
            }
            rows.append({"d_state": n, "dt": dt, "apart": apart})
    n, dt = config.basis_size, 0.1
    dense, real = init.hippo_legs(n, dt), memory_function(init.s4d_real(n, dt, discretization="bilinear"), 100).values
    assert dense.A is not None
    by_responses = leverages(responses(dense.A.numpy(), dense.B.numpy(), 1000))[:100, 0]
    with torch.no_grad():
        layer = memory_function(S4(1, n, dt_min=dt, dt_max=dt).system(), 100).values[0]
    return {
        "part": "twins", "rows": rows, "by_responses": float(np.abs(by_responses - real.numpy()).max()),
        "layer": float((layer - real).abs().max()),
    }  # fmt: skip


def spectra(config: Config, seed: int, inputs: dict[str, Input]) -> Record:
    """Return capacity, length and shares of the bound of every spectrum at every step, or radius."""
    made = [(name, dt, make(config.d_state, dt)) for name, make in HIPPO.items() for dt in config.steps if seed == 0]
    for radius in config.radii:
        made += [(name, radius, system) for name, system in baselines(config.d_state, radius, seed).items()]
    made.append(("ring", 0.999, init.ring(config.d_state, seed=seed)))
    made.append(("recall", float(config.lags // 10), init.recall(config.d_state, config.lags // 10)))
    rows = [_spectrum(config, name, at, system) for name, at, system in made]
    lags = _lags(config)
    correlated = {
        name: {
            about: float(
                (correlated_channels(system, given.autocorrelation, lags)[:, 0] * (lags + 1)).max() / system.rank
            )
            for about, given in inputs.items()
        }
        for name, system in {"S4D-Lin": init.s4d_lin(config.d_state, STEP)}.items()
    }
    return {"part": "spectra", "seed": seed, "rows": rows, "correlated": correlated}


def _lags(config: Config) -> torch.Tensor:
    return torch.from_numpy(np.unique(np.geomspace(1, config.lags, 60).round().astype(int)) - 1)


def _spectrum(config: Config, name: str, at: float, system: LinearSystem) -> Record:
    memory = memory_function(system, config.lags)
    shares = memory.values * (memory.lags + 1) / memory.rank
    return {
        "name": name, "at": at, "rank": int(memory.rank), "capacity": float(memory.capacity),
        "length": int(memory.quantile(0.9)), "first": float(memory.values[0]), "far": float(memory.values[-1]),
        "share": float(shares.max()), "share_at": float(shares[config.lags // 10]),
    }  # fmt: skip


def gram(config: Config, seed: int) -> Record:
    """Return the error of ``(A^τ B)* P⁻¹ (A^τ B)``, P formed and solved with in float64, and the condition of P."""
    rows, lags = [], _lags(config).numpy()
    for n in config.sizes:
        for name, system in all_spectra(n, STEP, seed).items():
            spectrum = system.spectrum()
            poles = spectrum.eigenvalues[spectrum.counted].numpy()
            scale = np.sqrt(1 - np.abs(poles) ** 2)
            P = np.outer(scale, scale) / (1 - np.outer(poles, poles.conj()))
            V = scale[:, None] * poles[:, None] ** lags
            exact = memory_function(system, lags).values.numpy()
            found = np.real((V.conj() * np.linalg.solve(P, V)).sum(0))
            rows.append(
                {
                    "name": name, "d_state": n, "condition": float(np.linalg.cond(P)),
                    "error": float(np.abs(found - exact).max()),
                }
            )  # fmt: skip
    return {"part": "gram", "seed": seed, "rows": rows}


def rounding(config: Config, seed: int) -> Record:
    """Return how many directions of a state, as a layer holds it, lie above the rounding of float32."""
    rows = []
    for name, system in all_spectra(config.d_state, STEP, seed).items():
        dense = system.to_dense()
        assert dense.A is not None
        memory = memory_function(system, config.lags)
        rows.append({"name": name, "rank": int(memory.rank), "far": float(memory.values[-1])} | _resolved(dense))
    return {"part": "rounding", "seed": seed, "rows": rows}


def _resolved(dense: LinearSystem) -> dict[str, int]:
    assert dense.A is not None
    K = responses(dense.A.numpy(), dense.B.numpy(), 6000)[..., 0]
    singular = np.linalg.svd(K / np.linalg.norm(K, axis=0), compute_uv=False)
    return {"resolved": int((singular > ROUNDING * singular[0]).sum())}
