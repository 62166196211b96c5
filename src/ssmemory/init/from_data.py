"""Set the memory up from the data: dt, real and imaginary parts, each with its reason."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Complex, Float64
from torch import Tensor

from ssmemory.errors import reject, reject_unknown
from ssmemory.init.advice import Advice, Candidate
from ssmemory.init.arguments import pair_count, real_number
from ssmemory.init.autocorrelation import Autocorrelation, autocorrelation
from ssmemory.init.s4d import s4d_inv, s4d_lin
from ssmemory.systems import Discretization, LinearSystem, discretize_diagonal
from ssmemory.systems.discretization import check_discretization

Spectrum = Literal["auto", "fourier", "peaks", "lin", "inv", "band"]
SPECTRA = ("fourier", "peaks", "lin", "inv", "band")
DECAYS = (0.0, 0.5, 2.0, 8.0)  # decay over the whole window, in units of e
_TIE = 0.01  # what a candidate must gain over a simpler one
_CROWDED = 1e-12  # smallest eigenvalue of the responses' Gram matrix that float64 can tell from 0

Modes = Callable[[float], Tensor]  # dt → frequencies a step


def from_data(
    x: Any, d_state: int, *, length: int | None = None, sampling_rate: float | None = None, unit: str = "s",
    spectrum: Spectrum = "auto", decay: float | None = None, discretization: Discretization = "zoh",
    max_condition: float = 1e4, detrend: bool = False,
) -> Advice:  # fmt: skip
    """Advise dt, real parts and imaginary parts for data, with the reasons.

    The steps, each of which the advice reports:

    1. The autocorrelation R of the data over a window of L steps, and its largest eigenvalue λ_max.
    2. The rule ``dt = 1/sqrt(L λ_max)``, from 1/√L for white data to 1/L for constant ones: an upper bound on the
       variance of the states that is met at zero real parts. Beside it the dt at which the states have unit variance on
       average over the modes, for *these* data and *this* spectrum. Where frequencies depend on dt (S4D-Lin, S4D-Inv)
       both steps are tried; where they do not, dt is a scale and unit variance is taken.
    3. Frequencies and decays: of every candidate the approximation error, the share of a data window's variance that
       the state does not hold, ``1 − tr(Π R)/tr(R)``; the condition number of its responses, ``K K*`` of rows of length
       1, which says how far apart the modes are; and that of the states' covariance on the data, ``K R K*``, which sets
       the pace of training. The smallest error is taken among those apart by ``max_condition``; a simpler candidate
       wins a tie of 1 %, and zero decay is the simplest.

    Args:
        x: (steps,), (steps, channels), (sequences, steps, channels), or a list of arrays of unequal lengths; NaN is
            a gap.
        d_state: full real state size of a channel, even.
        length: L, steps of the windows that the model will see; the longest sequence if left out.
        sampling_rate: steps per ``unit`` of time, for the explanation alone.
        unit: the unit of time.
        spectrum: "fourier" (frequencies 2πn/L), "peaks" (those of the frequencies 2πk/L that hold most of the data's
            power), "lin" (S4D-Lin at the step advised), "inv" (S4D-Inv), "band" (spread by the power of the data,
            crowded down to π/L apart), or "auto" to choose among them.
        decay: −Re(log λ) · L of all modes, at least 0; chosen from 0, 0.5, 2 and 8 if left out.
        discretization: "zoh" or "bilinear".
        max_condition: the largest condition number of the responses that is taken, if any candidate stays below it.
        detrend: subtract a straight line from every sequence first.

    Returns:
        The advice: ``.system``, ``.dt``, ``.dt_rule``, ``.explain()``, ``.plot()``; `ssmemory.nn.S4D` takes it as
        ``init``.

    Raises:
        InputError: data that are empty, constant, infinite or text, a window longer than they are, fewer than d_state
            steps in it, an odd d_state, or an option out of range.

    Numerics:
        Errors and condition numbers are exact for the estimated R; R is an estimate from the data. O(candidates ·
        d_state² · L).

    Source:
        arXiv 2411.19455 for the rule; the dt solved for, the candidates and the choice are our own.

    Example:
        >>> white = np.random.default_rng(0).standard_normal((200, 256))
        >>> advice = from_data(list(white), d_state=16)
        >>> round(advice.dt_rule * 16, 1), advice.decay
        (0.9, 0.0)
    """
    pairs = pair_count(d_state)
    check_discretization(discretization)
    if spectrum not in ("auto", *SPECTRA):
        reject_unknown("spectrum", spectrum, ["auto", *SPECTRA])
    for name, value in (("decay", decay), ("sampling_rate", sampling_rate), ("max_condition", max_condition)):
        if value is not None:
            real_number(
                name, value, "a number of at least 0", lambda v: 0 <= v < math.inf, fix="leave it out if unsure"
            )
    found = autocorrelation(x, length=length, detrend=detrend)
    L = found.length
    if d_state > L:
        reject("d_state", expected=f"at most the window's {L} steps", got=d_state, fix="a state needs no more numbers")
    rule = 1 / math.sqrt(L * found.lambda_max)
    names = SPECTRA if spectrum == "auto" else (spectrum,)
    decays = DECAYS if decay is None else (float(decay),)
    data = _Window(found)
    tried = [
        candidate
        for name in names
        for modes in [_modes(name, d_state, found, discretization)]
        for amount in decays
        for candidate in _tried(name, modes, amount, data, rule, discretization)
    ]
    if not tried:
        fix = "use a smaller d_state or a longer window"
        reject("d_state", expected="frequencies that the window tells apart", got=d_state, fix=fix)
    best = _choose(tried, max_condition)
    A = torch.complex(torch.full((pairs,), -best.decay / L / best.dt, dtype=torch.float64), best.frequencies / best.dt)
    A = _met(A, best, discretization)
    system = LinearSystem.from_continuous(A, dt=best.dt, discretization=discretization, conj_sym=True)
    at_rule = _modes(best.spectrum, d_state, found, discretization)(rule)
    return Advice(
        system=system, A=A, dt_rule=rule, discretization=discretization, chosen=best,
        rule_variance=data.state_variance(at_rule, best.decay, rule, discretization),
        candidates=tuple(tried), max_condition=max_condition, autocorrelation=found,
        sampling_rate=sampling_rate, unit=unit,
    )  # fmt: skip


class _Window:
    """Quadratic forms of the data's autocorrelation over the window, by fast Fourier transforms."""

    def __init__(self, found: Autocorrelation) -> None:
        r, self.length = found.values, found.length
        circle = torch.cat([r, r.new_zeros(1), r[1:].flip(0)])
        self.power = torch.fft.fft(circle).real  # may dip below 0: a Toeplitz form, not a spectrum

    def gram(self, rows: Complex[Tensor, "n length"]) -> Complex[Tensor, "n n"]:
        """Return ``rows R rows*``."""
        turned = torch.fft.fft(rows, n=2 * self.length)
        return (turned * self.power) @ turned.mH / (2 * self.length)

    def energies(self, rows: Complex[Tensor, "n length"]) -> Float64[Tensor, " n"]:
        """Return the diagonal of `gram`."""
        turned = torch.fft.fft(rows, n=2 * self.length)
        return (turned.abs().square() @ self.power) / (2 * self.length)

    def state_variance(self, frequencies: Tensor, decay: float, dt: float, discretization: Discretization) -> float:
        """Return E|x_n|² at the end of a window, the mean over the modes, B = 1 in continuous time."""
        logs, B = _discrete(frequencies, decay / self.length, dt, discretization)
        lags = torch.arange(self.length, dtype=torch.float64)
        return float(self.energies(B.unsqueeze(-1) * torch.exp(logs.unsqueeze(-1) * lags)).mean())


def _discrete(frequencies: Tensor, decay: float, dt: float, discretization: Discretization) -> tuple[Tensor, Tensor]:
    """Return log λ as wanted, and the B_bar of B = 1 that goes with it."""
    logs = torch.complex(torch.full_like(frequencies, -decay), frequencies)
    A = _continuous(logs, dt, discretization)
    return logs, discretize_diagonal(A, torch.tensor([dt], dtype=torch.float64), discretization)[1]


def _continuous(logs: Tensor, dt: float, discretization: Discretization) -> Tensor:
    """Return the A that a step dt turns into exp(logs)."""
    return (logs if discretization == "zoh" else 2 * torch.tanh(logs / 2)) / dt


def _met(A: Tensor, best: Candidate, discretization: Discretization) -> Tensor:
    """Return the continuous eigenvalues with the candidate's λ, their real parts exactly 0 where nothing decays."""
    met = _continuous(A * best.dt, best.dt, discretization)
    return torch.complex(torch.zeros_like(met.real), met.imag) if best.decay == 0 else met


def _modes(name: str, d_state: int, found: Autocorrelation, discretization: Discretization) -> Modes:
    """Return the frequencies a step, as a function of dt."""
    n, L = torch.arange(d_state // 2, dtype=torch.float64), found.length
    if name == "fourier":
        return lambda dt: 2 * math.pi * n / L
    if name == "peaks":
        strongest = _peaks(found, d_state // 2)
        return lambda dt: strongest
    if name == "band":
        fixed = _spread(found.density(), d_state // 2)
        return lambda dt: fixed
    make = s4d_lin if name == "lin" else s4d_inv
    return lambda dt: make(d_state, dt, discretization=discretization).log_modes.imag  # type: ignore[union-attr]


def _peaks(found: Autocorrelation, count: int) -> Tensor:
    """Return the frequencies 2πk/L with the most power: as far apart as orthogonal ones are."""
    L = found.length
    density = found.density()[0 : 2 * ((L - 1) // 2) + 1 : 2].clone()  # at 2πk/L below the Nyquist frequency
    density[0] /= 2  # a real mode holds one direction, the others two
    chosen = density.topk(min(count, len(density))).indices.sort().values
    return 2 * math.pi / L * chosen.double()


def _spread(density: Tensor, count: int) -> Tensor:
    """Return frequencies with equal shares of the data's power between them, at least π/L apart."""
    half = len(density) - 1
    share = density / density.sum() + 0.1 / len(density)  # a tenth of them everywhere
    edges = share.cumsum(0) / share.sum()
    wanted = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    at = torch.searchsorted(edges, wanted).clamp(max=half).double() * math.pi / half
    for k in range(1, count):
        at[k] = max(float(at[k]), float(at[k - 1]) + math.pi / half)
    return at.clamp(max=math.pi * (1 - 0.5 / half))


def _tried(
    name: str, modes: Modes, decay: float, data: _Window, rule: float, discretization: Discretization
) -> Iterator[Candidate]:
    """Yield the spectrum at the step of unit variance, and at the rule's where its frequencies depend on the step."""
    unit = _unit_variance_dt(modes, decay, data, rule, discretization)
    for dt in (unit,) if torch.equal(modes(unit), modes(rule)) else (unit, rule):
        candidate = _at_step(name, decay, modes(dt), dt, data, discretization)
        if candidate is not None:
            yield candidate


def _at_step(
    name: str, decay: float, frequencies: Tensor, dt: float, data: _Window, discretization: Discretization
) -> Candidate | None:
    logs, B = _discrete(frequencies, decay / data.length, dt, discretization)
    system = LinearSystem.from_log_eigenvalues(logs, B, conj_sym=True)
    counted = system.spectrum().counted
    lags = torch.arange(data.length, dtype=torch.float64)
    rows = torch.exp(system.log_eigenvalues[counted].unsqueeze(-1) * lags)
    sizes = torch.linalg.vector_norm(rows, dim=-1)
    rows = rows / sizes.unsqueeze(-1)
    apart, axes = torch.linalg.eigh(rows @ rows.mH)
    if float(apart[0]) < _CROWDED * float(apart[-1]):
        return None
    on_data = data.gram(rows)
    captured = float(((axes.mH @ on_data @ axes).diagonal().real / apart).sum()) / data.length
    norms = sizes * torch.cat([B, B.conj()])[counted].abs()  # a phase changes no eigenvalue
    rates = torch.linalg.eigvalsh(norms.unsqueeze(-1) * on_data * norms)
    condition = float(rates[-1] / rates[0]) if float(rates[0]) > 0 else math.inf
    error = min(max(1 - captured, 0.0), 1.0)
    separation = float(apart[-1] / apart[0])
    variance = data.state_variance(frequencies, decay, dt, discretization)
    return Candidate(name, decay, dt, variance, frequencies, error, condition, separation, int(counted.sum()))


def _unit_variance_dt(modes: Modes, decay: float, data: _Window, rule: float, discretization: Discretization) -> float:
    """Return the smallest dt at which the states have unit variance, of those around the rule; else the rule's."""
    from scipy.optimize import brentq

    def excess(log_dt: float) -> float:
        dt = math.exp(log_dt)
        return math.log(data.state_variance(modes(dt), decay, dt, discretization))

    if torch.equal(modes(rule), modes(2 * rule)):  # the frequencies a step are given: the variance grows as dt²
        return rule * math.exp(-excess(math.log(rule)) / 2)
    grid = math.log(rule) + np.linspace(math.log(0.05), math.log(50), 20)
    before = excess(float(grid[0]))
    for low, high in itertools.pairwise(grid):
        after = excess(float(high))
        if before < 0 <= after:
            return math.exp(brentq(excess, low, high, xtol=1e-4))
        before = after
    return rule


def _choose(tried: list[Candidate], max_condition: float) -> Candidate:
    """Return the smallest error of those far enough apart; among those as good up to a tie the simplest."""
    within = [c for c in tried if c.separation <= max_condition] or [min(tried, key=lambda c: c.separation)]
    least = min(c.approximation_error for c in within)
    tied = [c for c in within if c.approximation_error <= least + _TIE * max(least, 0.1)]
    return min(tied, key=lambda c: (c.decay, SPECTRA.index(c.spectrum)))
