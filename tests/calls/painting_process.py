"""A process that asks for pictures, to be killed at any moment."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.calls.asking import desk

from waremill.domain import ImageRequest, Model
from waremill.store import runs as store_runs
from waremill.store.assets import Assets
from waremill.store.database import Database

IN_FLIGHT = 2
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["tests.calls.painting_process", "waremill.providers.automatic1111", "aiohttp", "psycopg",
     "sqlite3", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg"]
)  # fmt: skip


def requests(count: int) -> list[ImageRequest]:
    """So many different requests."""
    return [ImageRequest(f"bottle {number}", width=16, height=16) for number in range(count)]


def start(database_url: str, run: int, server: str, folder: Path, count: int) -> BaseProcess:
    """Ask for so many pictures in a new process; their answers are written to `answers.json`."""
    arguments = (database_url, run, server, folder, count)
    process = _PROCESSES.Process(target=_paint, args=arguments, daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """Kill a process as a power cut does."""
    assert process.pid is not None
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join(20)


def _paint(database_url: str, run: int, server: str, folder: Path, count: int) -> None:
    asyncio.run(_painted(database_url, run, server, folder, count))
    os._exit(0)


async def _painted(database_url: str, run: int, server: str, folder: Path, count: int) -> None:
    database = Database(database_url)
    owner = f"test-host:{os.getpid()}:1"
    claimed = await database.write(store_runs.claim, run, owner, is_dead=lambda _owner: True)
    painter = Model("painter", "automatic1111:base", (server,))
    assets = Assets(str(folder / "files"))
    async with desk(database, painter, run=claimed, most=IN_FLIGHT, assets=assets) as one:
        answers = await asyncio.gather(*(one.ask(each, "painter") for each in requests(count)))
    texts = [answer.response.text for answer in answers]
    (folder / "answers.json").write_text(json.dumps(texts), encoding="utf-8")
    await database.close()
