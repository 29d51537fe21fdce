"""The clients that need only Waremill's own environment; each runs in a process of its own.

python -m bench.client bare|bare-asyncio URL REQUESTS COUNT
python -m bench.client waremill TEMPLATE WORKSPACE
python -m bench.client import|export|calamine FILE WORKSPACE
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

    with Path(path).open("rb") as file:  # noqa: ASYNC230 - a line is a copy out of a buffer
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
        before: list[float] = []
        status = await workspace.run(
            template, lambda _worker: before.append(meter.used()), targets=(TARGET,)
        )
        meter.report(
            status.total, done=status.done, failed=status.failed, review=status.in_review,
            calls=status.calls, seconds=status.seconds, before=sum(before),
        )  # fmt: skip


async def import_sheet(file: str, folder: str) -> None:
    """Import a workbook into a workspace."""
    from waremill.app import open_workspace

    async with open_workspace(Path(folder)) as workspace:
        meter = Meter(children=True)
        done = await workspace.import_catalog([file], key="sku")
        meter.report(done.rows)


async def export(file: str, folder: str) -> None:
    """Write all items of the last run to a file."""
    from waremill.app import open_workspace

    async with open_workspace(Path(folder)) as workspace:
        meter = Meter()
        written = await workspace.export("last", file)
        meter.report(written["rows"])


async def calamine(file: str, _folder: str) -> None:
    """Read every cell of a workbook's first sheet with python-calamine, and nothing else."""
    from python_calamine import CalamineWorkbook

    meter = Meter(children=True)
    sheet = CalamineWorkbook.from_path(file).get_sheet_by_index(0)
    rows = sum(len(row) > 0 for row in sheet.iter_rows())
    meter.report(rows - 1)


def main() -> None:
    """Run the client the command line names."""
    kind, *rest = sys.argv[1:]
    work: Any
    if kind.startswith("bare"):
        url, path, count = rest
        work = bare(url, path, int(count))
    else:
        clients = {"waremill": waremill, "import": import_sheet, "export": export}
        work = {**clients, "calamine": calamine}[kind](*rest)
    if kind == "bare-asyncio":
        asyncio.run(work)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
