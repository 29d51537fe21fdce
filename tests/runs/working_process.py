"""A worker in a process of its own, to be killed at any moment.

The processes are forked from a server that has everything imported, so that one starts in a few
hundredths of a second.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from waremill.app import open_workspace
from waremill.errors import Conflict

DONE, PAUSED, CONFLICT = 10, 13, 12

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["tests.runs.working_process", "waremill.providers.openai_chat", "waremill.steps.generate",
     "aiohttp", "psycopg", "sqlite3", "sqlalchemy.dialects.sqlite",
     "sqlalchemy.dialects.postgresql.psycopg"]
)  # fmt: skip


def start_worker(folder: Path, run: str) -> BaseProcess:
    """Work a run of a workspace in a new process."""
    process = _PROCESSES.Process(target=_work, args=(folder, run), daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """Kill a worker as a power cut does."""
    assert process.pid is not None
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join(20)


def ending(process: BaseProcess) -> int:
    """Wait for a worker's end; give one of the codes above."""
    process.join(60)
    assert process.exitcode is not None, "the worker hangs"
    return process.exitcode


def _work(folder: Path, run: str) -> None:
    os._exit(asyncio.run(_worked(folder, run)))


async def _worked(folder: Path, run: str) -> int:
    async with open_workspace(folder) as workspace:
        try:
            status = await workspace.resume(run)
        except Conflict:
            return CONFLICT
    return {"done": DONE, "paused": PAUSED}[status.state]
