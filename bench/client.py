"""The clients that need only Waremill's own environment; each runs in a process of its own.

    python -m bench.client bare|bare-asyncio URL REQUESTS COUNT
    python -m bench.client waremill|waremill-again TEMPLATE WORKSPACE
"""

from __future__ import annotations

import asyncio
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bench.meter import Meter
from bench.workload import CONCURRENCY, TARGET


async def bare(url: str, path: str, count: int) -> None:
    """Send every request with aiohttp, parse the reply with orjson, and nothing else."""
    import aiohttp

    headers = {"Authorization": "Bearer none", "Content-Type": "application/json"}
    address = f"{url}/chat/completions"
    characters = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal characters
        for body in left:
            async with session.post(address, data=body, headers=headers) as response:
                reply = orjson.loads(await response.read())
                characters += len(reply["choices"][0]["message"]["content"])

    with open(path, "rb") as file:
        left = islice(file, count)
        meter = Meter()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
        meter.report(count, characters=characters)


async def waremill(template: str, folder: str) -> None:
    """Run a template over the whole catalogue of a workspace: plan, work, commit, sum up."""
    from waremill.app import open_workspace

    async with open_workspace(Path(folder)) as workspace:
        meter = Meter()
        status = await workspace.run(template, targets=(TARGET,))
        meter.report(
            status.total, done=status.done, failed=status.failed, review=status.in_review,
            calls=status.calls, seconds=status.seconds,
        )  # fmt: skip


def main() -> None:
    """Run the client the command line names."""
    kind, *rest = sys.argv[1:]
    work: Any
    if kind.startswith("bare"):
        url, path, count = rest
        work = bare(url, path, int(count))
    else:
        work = waremill(*rest)
    if kind == "bare-asyncio":
        asyncio.run(work)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
