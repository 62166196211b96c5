"""A readout in closed form: one pass over the data, features from frozen layers, no gradient."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ssmemory.errors import SSMemoryError, reject, reject_unknown
from ssmemory.files import claim_folder
from ssmemory.fit._views import packed, unpacked
from ssmemory.fit.ridge import LinearReadout, RidgeSums
from ssmemory.nn import Backbone

Array = NDArray[Any]
Features = Backbone | nn.Module | Callable[..., Tensor]
Task = Literal["classification", "regression"]
_SAVED_EVERY = 60.0  # seconds, about


def readout(
    features: Features,
    inputs: Tensor | Array,
    targets: ArrayLike | Tensor,
    *,
    task: Task = "classification",
    lengths: ArrayLike | None = None,
    penalty: float | None = None,
    batch_size: int = 256,
    processes: int = 1,
    folder: Path | str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> LinearReadout:
    """Fit the last linear map of a model by ridge regression, in one pass and with everything else frozen.

    Classes are regressed on as numbers, +1 for the class of a sample and −1 for the others; the largest output wins.
    Memory does not grow with the number of samples, see `RidgeSums`, and `inputs` may be an array on disk.

    Args:
        features: a `Backbone`, whose decoder is set to what was found; or a module in evaluation mode, or a function,
            from (batch, length, channels), and lengths if given, to (batch, n_features). Features for every step,
            (batch, length, n_features), are fitted step by step.
        inputs: (n, length, channels), or what the features take.
        targets: (n,) class numbers, or (n, n_outputs) numbers to regress on; (n, length, n_outputs) step by step.
        task: "classification" or "regression".
        lengths: (n,) real steps of each sequence.
        penalty: α ≥ 0 of `RidgeSums`; chosen by leave-one-out if left out.
        batch_size: sequences at a time.
        processes: how many share the work, by joblib; inside ``joblib.parallel_config("dask")`` on its cluster.
        folder: where unfinished work is kept, about once a minute, so that the same call goes on after a kill.
        seed: seeds which samples the penalty is chosen on.
        progress: show a progress bar.

    Returns:
        The readout. How the work is cut or shared changes it by rounding only.

    Raises:
        InputError: NaN, targets that do not fit, a model in training mode, or a folder that holds other work.
        DataError: a folder that cannot be written.
        SSMemoryError: a process that died.

    Source:
        arXiv 2510.00563 for a recurrence that stays as it is.

    Example:
        >>> u = torch.randn(64, 30, 1, generator=torch.Generator().manual_seed(0))
        >>> fitted = readout(lambda u: u[:, -4:, 0], u, u[:, -2], task="regression", progress=False)
        >>> (fitted.weights.round(3) + 0).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0]
    """
    if task not in ("classification", "regression"):
        reject_unknown("task", task, ["classification", "regression"])
    if min(batch_size, processes) < 1:
        got = f"{batch_size}, {processes}"
        reject("batch_size, processes", expected="at least 1", got=got, fix="256 and 1 are the defaults")
    if isinstance(features, nn.Module) and any(module.training for module in features.modules()):
        fix = "call model.eval() first: dropout would be fitted too"
        reject("features", expected="a module in evaluation mode", got="one in training mode", fix=fix)
    width = features.config.d_output if isinstance(features, Backbone) else None
    wanted = _read_targets(targets, task, len(inputs), width)
    work = _Work(features, inputs, wanted, None if lengths is None else np.asarray(lengths), batch_size, seed)
    sums = _gathered(work, processes, folder, progress)
    found = sums.solve(penalty)
    if isinstance(features, Backbone):
        with torch.no_grad():
            features.decoder.weight.copy_(torch.from_numpy(found.weights.T))
            features.decoder.bias.copy_(torch.from_numpy(found.intercept))
    return found


@dataclass(frozen=True)
class _Work:
    """What a process needs to gather the sums of a share of the samples."""

    features: Features
    inputs: Tensor | Array
    targets: Array
    lengths: Array | None
    batch_size: int
    seed: int

    def __getstate__(self) -> dict[str, Any]:
        parts = packed(self.inputs) if isinstance(self.inputs, np.ndarray) else None
        return self.__dict__ if parts is None else self.__dict__ | {"inputs": None, "packed": parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if parts := state.pop("packed", None):
            state["inputs"] = unpacked(parts)
        self.__dict__.update(state)

    def gather(self, first: int, last: int, path: Path | None, tick: Callable[[int], object]) -> RidgeSums:
        """Return the sums over the samples first … last − 1, going on from what lies at the path."""
        sums = RidgeSums.load(path) if path is not None and path.is_file() else None
        done, saved = first if sums is None else int(sums.about["done"]), time.monotonic()
        tick(done - first)
        while sums is None or done < last:
            until = min(done + self.batch_size, last)
            x, y, numbers = self._batch(done, until)
            sums = sums or RidgeSums(x.shape[1], y.shape[1], seed=self.seed)
            sums.add(x, y, numbers)
            tick(until - done)
            done = until
            if path is not None and (done == last or time.monotonic() - saved > _SAVED_EVERY):
                sums.about["done"] = str(done)
                sums.save(path)
                saved = time.monotonic()
        return sums

    def _batch(self, first: int, last: int) -> tuple[Array, Array, Array]:
        """Return features, targets and numbers of the samples first … last − 1, a row each, or a row a step."""
        u, y = self.inputs[first:last], self.targets[first:last]
        u = u if isinstance(u, Tensor) else torch.from_numpy(np.array(u))  # a copy: it may lie read-only on a disk
        lengths = None if self.lengths is None else self.lengths[first:last]
        given = () if lengths is None else (torch.from_numpy(lengths),)
        with torch.no_grad():
            if isinstance(self.features, Backbone):
                found, _ = self.features.features(u, None, *given)
            else:
                found = self.features(u, *given)
        rows = y.shape[:-1]
        if not isinstance(found, Tensor) or found.ndim != y.ndim or found.shape[:-1] != rows:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            expected = f"({', '.join(map(str, rows))}, n_features), as the targets are"
            reject(
                "features", expected=expected, got=got, fix="return a row a sample, or a row a step for such targets"
            )
        numbers = np.arange(first * rows[-1], last * rows[-1]) if len(rows) == 2 else np.arange(first, last)
        x = found.detach().cpu().numpy().reshape(-1, found.shape[-1])
        y = y.reshape(-1, y.shape[-1])
        if lengths is None or len(rows) == 1:
            return x, y, numbers
        real = (np.arange(rows[1]) < lengths[:, None]).reshape(-1)
        return x[real], y[real], numbers[real]


def _gathered(work: _Work, processes: int, folder: Path | str | None, progress: bool) -> RidgeSums:
    n = len(work.targets)
    shares = min(-(-n // work.batch_size), 1 if processes == 1 else 4 * processes)
    edges = np.linspace(0, n, shares + 1).astype(int).tolist()
    paths: list[Path | None] = [None] * shares
    if folder is not None:
        claim_folder(folder, _record(work, shares), "readout.json")
        paths = [Path(folder) / f"share-{k + 1}-of-{shares}.safetensors" for k in range(shares)]
    jobs = list(zip(edges[:-1], edges[1:], paths, strict=True))
    if processes == 1:
        with tqdm(total=n, desc="readout", unit="seq", file=sys.stderr, mininterval=1, disable=not progress) as bar:
            return work.gather(*jobs[0], bar.update)
    threads = max(1, torch.get_num_threads() // processes)
    parallel = Parallel(n_jobs=processes, return_as="generator")
    try:
        parts = parallel(delayed(_in_a_process)(work, threads, *job) for job in jobs)
        whole: RidgeSums | None = None
        for part in tqdm(parts, total=shares, desc="readout", unit="share", file=sys.stderr, disable=not progress):
            whole = part if whole is None else whole.merge(part)
    except BrokenProcessPool as error:
        fix = "run the same call again, with fewer processes if memory was short"
        if "un-serialize" in str(error):
            fix = "give features that other processes can import: a module, or a function in a file of its own"
        fix += "" if folder is None else "; what was finished is kept"
        got = f"one that died ({type(error).__name__})"
        reject("processes", expected=f"{processes} that finish", got=got, fix=fix, error=SSMemoryError)
    assert whole is not None
    return whole


def _in_a_process(work: _Work, threads: int, first: int, last: int, path: Path | None) -> RidgeSums:
    torch.set_num_threads(threads)
    return work.gather(first, last, path, lambda n: None)


def _record(work: _Work, shares: int) -> dict[str, Any]:
    """Return what tells this work from another: sizes, and the bytes of the targets and of the features' parameters."""
    digest = hashlib.sha256(work.targets.tobytes())
    if work.lengths is not None:
        digest.update(work.lengths.tobytes())
    for u in (work.inputs[:1], work.inputs[-1:]):
        digest.update(np.ascontiguousarray(u).tobytes())
    if isinstance(work.features, nn.Module):
        frozen = {k: v for k, v in work.features.state_dict().items() if not k.startswith("decoder.")}
        for value in frozen.values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return {
        "inputs": list(work.inputs.shape), "targets": list(work.targets.shape), "shares": shares,
        "batch_size": work.batch_size, "seed": work.seed, "fingerprint": digest.hexdigest()[:16],
    }  # fmt: skip


def _read_targets(targets: Any, task: Task, n: int, width: int | None) -> Array:
    """Return (n, n_outputs) or (n, length, n_outputs) numbers to regress on."""
    y = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else np.asarray(targets)
    if len(y) != n or n == 0:
        got = f"{n} inputs and {len(y)} targets"
        reject("targets", expected="as many as inputs, at least one", got=got, fix="cut them to match")
    if task == "regression":
        if y.ndim not in (2, 3) or y.dtype.kind not in "biuf" or width not in (None, y.shape[-1]):
            expected = f"numbers (n, {width or 'n_outputs'})"
            fix = "give one column an output, or task='classification'"
            reject("targets", expected=expected, got=f"{y.shape} {y.dtype}", fix=fix)
        if not np.isfinite(y).all():
            bad = int((~np.isfinite(y)).sum())
            reject("targets", expected="finite numbers", got=f"{bad} NaN or infinite", fix="fill or drop them first")
        return y
    if y.ndim not in (1, 2) or y.dtype.kind not in "biu" or y.min() < 0 or (width is not None and y.max() >= width):
        expected = "whole class numbers from 0" + ("" if width is None else f" to {width - 1}")
        got = f"{int(y.min())} … {int(y.max())}" if y.dtype.kind in "iu" else f"{y.shape} {y.dtype}"
        reject("targets", expected=expected, got=got, fix="number the classes from 0")
    if y.min() == y.max():
        reject("targets", expected="at least two classes", got="one", fix="give samples of others too")
    return np.where(np.arange(width or int(y.max()) + 1) == y[..., None], 1.0, -1.0)
