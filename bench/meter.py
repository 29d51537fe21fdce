"""What a client process used: processor time, wall time, peak memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import orjson


class Meter:
    """Measures from its making to `report`."""

    def __init__(self) -> None:
        self._processor = _processor_seconds()
        self._wall = time.perf_counter()

    def report(self, items: int, **more: Any) -> None:
        """Print what was used as one line of JSON, the last this process prints."""
        used = _processor_seconds() - self._processor
        wall = time.perf_counter() - self._wall
        whole = _processor_seconds()
        line = {"items": items, "cpu": used, "wall": wall, "whole_cpu": whole, "rss": peak_memory()}
        print(orjson.dumps({**line, **more}).decode(), flush=True)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> int:
    """Give the process's peak resident memory in bytes (Linux counts KiB, macOS bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
