"""What a client process used: processor time, wall time, peak memory."""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import orjson


class Meter:
    """Measures from its making to `report`; with `children` their processor time too."""

    def __init__(self, *, children: bool = False) -> None:
        self._children = children
        self._processor = processor_seconds(children=children)
        self._wall = time.perf_counter()

    def used(self) -> float:
        """Give the processor seconds used so far."""
        return processor_seconds(children=self._children) - self._processor

    def report(self, items: int, **more: Any) -> None:
        """Print what was used as one line of JSON, the last this process prints."""
        used = self.used()
        whole = self._processor + used
        wall = time.perf_counter() - self._wall
        line = {"items": items, "cpu": used, "wall": wall, "whole_cpu": whole, "rss": peak_memory()}
        print(orjson.dumps({**line, **more}).decode(), flush=True)


def processor_seconds(*, children: bool = False) -> float:
    """Give the user and system time this process used, its ended children's added on demand."""
    usages = [resource.getrusage(resource.RUSAGE_SELF)]
    if children:
        usages.append(resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_memory() -> int:
    """Give the process's peak resident memory in bytes.

    Linux's `ru_maxrss` starts with what the parent had, so its own count is asked first.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
