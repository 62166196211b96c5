"""How the compiled loops are run: the jobs of a loop over threads, and what their outputs start from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]


def over_jobs(jobs: int, loop: Callable[..., None], *arguments: Any) -> None:
    """Share the jobs of a compiled loop, which releases the interpreter lock, over as many threads as torch uses."""
    threads = min(torch.get_num_threads(), jobs)
    if threads == 1:
        loop(*arguments, 0, jobs)
        return
    pieces = min(jobs, 4 * threads)  # a thread that is held up takes fewer of them
    edges = np.linspace(0, jobs, pieces + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(loop, *arguments, a, b) for a, b in itertools.pairwise(edges)]:
            done.result()


def zeros_beyond(steps: Array, like: Array) -> Array:
    """Return an array to be filled, with zeros beyond the length of every sequence."""
    signal = np.empty(like.shape, like.dtype)
    for b in np.flatnonzero(steps < like.shape[1]):
        signal[b, steps[b] :] = 0
    return signal
