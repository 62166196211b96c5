"""Full-batch descent of many readouts at once: how many steps they take, or where a few steps leave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Step = Callable[[Array, Array, int, Array], Array]  # weights, gradients, number of the step, which problems → weights


@dataclass(frozen=True)
class Problem:
    """A readout to be trained, as the quadratic loss that its samples make: ``½ w·G w − c·w``.

    Attributes:
        gram: (modes, modes) G, the mean of x xᵀ.
        cross: (modes,) c, the mean of x y.
        best: (modes,) the weights of least loss.
        largest_lr: beyond it descent grows without end.
    """

    gram: Array
    cross: Array
    best: Array
    largest_lr: float


def problems_of(X: Array, Y: Array, largest_lr: Sequence[float] | None = None) -> list[Problem]:
    """Return a problem for every target.

    Args:
        X: (samples, modes) states, of full rank.
        Y: (samples, targets).
        largest_lr: of every target; half of it is one over the largest eigenvalue if left out.

    Returns:
        The problems, with the same G.
    """
    Q, R = np.linalg.qr(X)
    gram = X.T @ X / len(X)
    cross, best = X.T @ Y / len(X), np.linalg.solve(R, Q.T @ Y)
    lrs = [2 / float(np.linalg.eigvalsh(gram)[-1])] * Y.shape[1] if largest_lr is None else largest_lr
    return [Problem(gram, cross[:, k], best[:, k], lr) for k, lr in enumerate(lrs)]


def descent_steps(problems: list[Problem], shares: Sequence[float], share: float, longest: int) -> list[int | None]:
    """Return the steps of gradient descent, at the best learning rate, until this share of the loss is removed.

    Args:
        problems: what to train.
        shares: learning rates to try, as shares of the problems' largest ones.
        share: of the loss that can be removed.
        longest: steps after which to give up.

    Returns:
        Steps of every problem; None where no learning rate got there.
    """
    lr = np.array([[part * problem.largest_lr] for problem in problems for part in shares])
    return _best(_steps(_repeated(problems, len(shares)), lambda w, g, k, at: w - lr[at] * g, share, longest), shares)


def adam_steps(problems: list[Problem], lrs: Sequence[float], share: float, longest: int) -> list[int | None]:
    """Return the steps of Adam with its usual constants at the best of the learning rates; see `descent_steps`.

    Args:
        problems: what to train.
        lrs: learning rates to try.
        share: of the loss that can be removed.
        longest: steps after which to give up.

    Returns:
        Steps of every problem; None where no learning rate got there.
    """
    many = _repeated(problems, len(lrs))
    lr = np.tile(np.array(lrs), len(problems))[:, None]
    mean, square = (np.zeros((len(many), len(many[0].cross))) for _ in range(2))

    def step(w: Array, g: Array, k: int, at: Array) -> Array:
        mean[at] = 0.9 * mean[at] + 0.1 * g
        square[at] = 0.999 * square[at] + 0.001 * g * g
        scale = np.sqrt(square[at] / (1 - 0.999**k)) + 1e-8
        return w - lr[at] * mean[at] / (1 - 0.9**k) / scale

    return _best(_steps(many, step, share, longest), lrs)


def descended(problems: list[Problem], budgets: Sequence[int]) -> dict[int, Array]:
    """Return the weights (problems, modes) after every number of steps of descent, at half the largest rate."""
    gram, cross = np.stack([p.gram for p in problems]), np.stack([p.cross for p in problems])
    lr = np.array([[problem.largest_lr / 2] for problem in problems])
    w, found = np.zeros_like(cross), {}
    for k in range(1, max(budgets) + 1):
        w = w - lr * (_times(gram, w) - cross)
        if k in budgets:
            found[k] = w
    return found


def _steps(problems: list[Problem], step: Step, share: float, longest: int) -> Array:
    """Return the first step at which the loss has lost its share; infinity where none did."""
    gram, cross, best = (np.stack([getattr(p, name) for p in problems]) for name in ("gram", "cross", "best"))
    w, found, at = np.zeros_like(cross), np.full(len(problems), np.inf), np.arange(len(problems))
    wanted = (1 - share) * (cross * best).sum(-1)  # twice the removable loss, at the start
    gradient = -cross
    for k in range(1, longest + 1):
        w = step(w, gradient, k, at)
        gradient = _times(gram, w) - cross
        excess = ((w - best) * gradient).sum(-1)
        left = (excess > wanted) & (excess < 1e30)
        if not left.all():
            found[at[excess <= wanted]] = k
            gram, cross, best, w, gradient, wanted, at = (
                part[left] for part in (gram, cross, best, w, gradient, wanted, at)
            )
            if not len(at):
                break
    return found


def _times(gram: Array, w: Array) -> Array:
    return np.matmul(gram, w[..., None])[..., 0]


def _repeated(problems: list[Problem], times: int) -> list[Problem]:
    return [problem for problem in problems for _ in range(times)]


def _best(steps: Array, tried: Sequence[float]) -> list[int | None]:
    return [int(least) if np.isfinite(least) else None for least in steps.reshape(-1, len(tried)).min(-1)]
