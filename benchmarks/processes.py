"""What this process and those that it started hold in memory together."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Self

import psutil


class Peak:
    """The most that they hold together from entering to leaving, MB, sampled every 0.1 s.

    ``most``: "all", proportional: a page that k processes share counts 1/k in each; of that "own", anonymous and shared
    memory, and "file", mapped files; "resident", where such a page counts k times. ``start`` is the same before, and
    ``high_water`` the sum of the peaks that the system keeps of each process.
    """

    def __init__(self) -> None:
        self.start, self.high_water = _held(_tree()), 0.0
        self.most = dict.fromkeys(self.start, 0.0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.high_water = sum(_field(f"/proc/{pid}/status", "VmHWM") for pid in _tree())

    def _watch(self) -> None:
        while True:
            now = _held(_tree())
            self.most = {name: max(most, now[name]) for name, most in self.most.items()}
            if self._over.wait(0.1):
                return


def _tree() -> list[int]:
    this = psutil.Process()
    return [this.pid, *(child.pid for child in this.children(recursive=True))]


def _held(pids: list[int]) -> dict[str, float]:
    whole, file, resident = (
        sum(_field(f"/proc/{pid}/smaps_rollup", name) for pid in pids) for name in ("Pss", "Pss_File", "Rss")
    )
    return {"all": whole, "own": whole - file, "file": file, "resident": resident}


def _field(path: str, name: str) -> float:
    """A field of a file of the system's in MB; 0 of a process that is gone."""
    try:
        found = re.search(rf"^{name}:\s*(\d+) kB", Path(path).read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
