"""How many cores this process may really use. Reads the system, never the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def physical_cores() -> int:
    """Count the physical cores open to this process, at least one.

    Two hardware threads of one core share its arithmetic units, so counting both slows a model
    down. On Linux the CPU affinity and the control group's quota count, on macOS the fast cores.
    """
    if sys.platform == "darwin":
        return _macos() or os.cpu_count() or 1
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    logical = len(allowed) if allowed else os.cpu_count() or 1
    cores = len({_siblings(cpu) for cpu in allowed}) if allowed else logical
    return max(1, min(cores, _quota() or cores))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Give the whole cores a container's quota allows, rounded up; None where there is none."""
    with suppress(OSError, ValueError):
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if limit != "max":
            return -(-int(limit) // int(period))
    return None


def _macos() -> int | None:
    for name in ("hw.perflevel0.physicalcpu", "hw.physicalcpu"):
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", name]
            return int(subprocess.run(command, capture_output=True, check=True, timeout=5).stdout)
    return None
