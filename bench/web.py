"""Measure listings, reviews and the server over a million products and a million items.

    python -m bench.web [--count 1000000] [--clients 100] [--requests 2000]

The database is made once, under .bench/web; verdicts are given on a copy. Listings are timed inside
the process, as the server reads them; the clients ask a server of its own over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from bench.process import PLACE, ROOT
from bench.run import machine, show_table
from bench.workload import TARGET

FOLDER = PLACE / "web"
WORKING = PLACE / "web-working"
CATALOG = "products"
TIMES = 5
PAGE_GOAL, FACET_GOAL, ACCEPT_GOAL = 0.3, 0.5, 0.05
BULK, BULK_GOAL = 100_000, 10.0
MEMORY_GOAL = 500e6
FACET = "brand = 'Maison Velvet'"
FACETS = "concentration = 'Parfum' AND gender = 'men'"


@dataclass
class Found:
    """What was measured: rows of (what, measured, goal), and the same as numbers."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, what: str, value: float, goal: float | None, shown: str) -> None:
        """Note a measurement; one that misses its goal says so."""
        met = "" if goal is None or value < goal else "  MISSED"
        self.rows.append((what, f"{shown}{met}", _goal(what, goal)))
        self.numbers[what] = value
        print(f"{what}: {shown}{met}", file=sys.stderr, flush=True)

    def skip(self, what: str, why: str) -> None:
        """Note what could not be measured, and why."""
        self.rows.append((what, why, ""))
        print(f"{what}: {why}", file=sys.stderr, flush=True)

    async def time(
        self, what: str, ask: Callable[[], Awaitable[Any]], goal: float | None, times: int = TIMES
    ) -> Any:
        """Ask some times; the slowest counts against the goal."""
        taken = []
        answer = None
        for _ in range(times):
            started = time.perf_counter()
            answer = await ask()
            taken.append(time.perf_counter() - started)
        middle, worst = statistics.median(taken), max(taken)
        shown = f"{middle * 1000:,.1f} ms"
        if times > 1:
            shown += f", slowest {worst * 1000:,.1f} ms"
        self.add(what, worst, goal, shown)
        return answer


def _goal(what: str, goal: float | None) -> str:
    if goal is None:
        return ""
    if "memory" in what:
        return f"< {goal / 1e6:.0f} MB"
    return f"< {goal:.0f} s" if goal >= 1 else f"< {goal * 1000:.0f} ms"


def prepare(count: int) -> None:
    """Make the database where it is missing, or of another size or shape."""
    from waremill.store.database import SCHEMA_VERSION

    tables = (ROOT / "src/waremill/store/tables.py").read_bytes()
    wanted = orjson.dumps([count, SCHEMA_VERSION, len(tables)])
    mark = FOLDER / "made.json"
    if mark.exists() and mark.read_bytes() == wanted:
        return
    print(f"making {count:,} products and items …", file=sys.stderr, flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "bench.stocked", str(FOLDER), str(count)], check=True, cwd=ROOT
    )
    mark.write_bytes(wanted)


async def listings(found: Found) -> None:
    """Time the first page of each listing, filters, counts and what is worked out once."""
    from waremill.app import auditing, open_workspace
    from waremill.app.browsing import Browse
    from waremill.app.spending import spending

    async with open_workspace(FOLDER, readers=4) as workspace:
        browse = Browse(workspace)
        run = (await workspace.runs())[0].name
        page = await found.time("products, first page", lambda: browse.products(CATALOG), PAGE_GOAL)
        await found.time("products, next page",
                         lambda: browse.products(CATALOG, cursor=page.next), PAGE_GOAL)  # fmt: skip
        for title, ask in {
            "products by a facet, sorted":
                lambda: browse.products(CATALOG, order_by="brand DESC"),
            "runs": workspace.runs,
            "items of a run, first page": lambda: browse.items(run),
            "items that wait for review": lambda: browse.items(run, states=("review",)),
            "items with a finding": lambda: browse.items(run, rule="grounded-numbers"),
            "items of a target": lambda: browse.items(run, target=TARGET),
            "items of a product": lambda: browse.items(run, where="_key = 'P00000999'"),
            "audit log": lambda: auditing.entries(workspace),
            "saved selections": lambda: browse.selections(CATALOG),
            "spend by month": lambda: spending(workspace, by="month"),
        }.items():  # fmt: skip
            await found.time(title, ask, PAGE_GOAL)
        for title, where in (("one facet", FACET), ("two facets", FACETS)):
            await found.time(f"products filtered by {title}",
                             lambda where=where: browse.products(CATALOG, where),
                             FACET_GOAL)  # fmt: skip
            await found.time(f"items filtered by {title}",
                             lambda where=where: browse.items(run, where=where),
                             FACET_GOAL)  # fmt: skip
        await _worked_out(found, browse, run)


async def _worked_out(found: Found, browse: Any, run: str) -> None:
    """Time what has no goal of its own: counts, and what is kept once it is worked out."""
    for title, where in (("all", None), ("one facet", FACET), ("two facets", FACETS),
                         ("price > 100", "price > 100")):  # fmt: skip
        await found.time(f"count of products, {title}",
                         lambda where=where: browse.count(CATALOG, where), None, 1)  # fmt: skip
    await found.time("count of items, all", lambda: browse.count_items(run), None, 1)
    await found.time("count of items with a finding",
                     lambda: browse.count_items(run, rule="grounded-numbers"), None, 1)  # fmt: skip
    for title, ask in {
        "facets, the first time": lambda: browse.facets(CATALOG),
        "facets, again": lambda: browse.facets(CATALOG),
        "facets under a filter (a sample)": lambda: browse.facets(CATALOG, "gender = 'men'"),
        "completeness, the first time (a sample)": lambda: browse.completeness(CATALOG),
        "sort by a column without an index, the first time":
            lambda: browse.products(CATALOG, order_by="price DESC"),
        "sort by a column without an index, again":
            lambda: browse.products(CATALOG, order_by="price DESC"),
    }.items():  # fmt: skip
        await found.time(title, ask, None, 1)


async def reviews(found: Found) -> None:
    """Time verdicts, on a copy: one item, and a hundred thousand at once."""
    if find_spec("waremill.app.reviewing") is None:
        found.skip("verdicts", "the review desk is not there yet")
        return
    from waremill.app import open_workspace
    from waremill.app.reviewing import ItemFilters, ReviewDesk

    await asyncio.to_thread(_copy)
    try:
        async with open_workspace(WORKING, readers=4) as workspace:
            desk = ReviewDesk(workspace)
            run = (await workspace.runs())[0].name
            taken = []
            skip: set[int] = set()
            for _ in range(20):
                card = await desk.next(run, skip=skip)
                assert card is not None
                started = time.perf_counter()
                await desk.accept(run, card.item_id, card.version)
                taken.append(time.perf_counter() - started)
                skip.add(card.item_id)
            middle, worst = statistics.median(taken), max(taken)
            found.add("accepting an item", worst, ACCEPT_GOAL,
                      f"{middle * 1000:.1f} ms, slowest {worst * 1000:.1f} ms")  # fmt: skip
            ready = 11 / 12 - 1 / 1000
            some = ItemFilters(states=("ready",), where=f"_key < 'P{int(BULK / ready):08d}'")
            expected = await desk.count(run, some)
            started = time.perf_counter()
            await desk.accept_all(run, some, expected)
            seconds = time.perf_counter() - started
            found.add(f"accepting {expected:,} items at once", seconds, BULK_GOAL,
                      f"{seconds:.1f} s")  # fmt: skip
    finally:
        shutil.rmtree(WORKING, ignore_errors=True)


def _copy() -> None:
    shutil.rmtree(WORKING, ignore_errors=True)
    shutil.copytree(FOLDER, WORKING, ignore=shutil.ignore_patterns("products.csv"))


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, int]]:
    """Run the server in a process of its own; give its address and its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waremill", "serve", "-C", str(FOLDER), "--port", "0", "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = b""
        while not said.rstrip().endswith(b"}"):
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            if not line:
                raise RuntimeError("the server ended before it said where it listens")
            said += line
        yield orjson.loads(said)["url"].rstrip("/"), process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 30)


async def clients(found: Found, count: int, requests: int) -> None:
    """Let clients ask the server at once for pages, filtered pages and items; then weigh it."""
    if find_spec("waremill.web.server") is None:
        found.skip("the server", "the server is not there yet")
        return
    import aiohttp

    async with serving() as (url, pid):
        connector = aiohttp.TCPConnector(limit=count)
        async with aiohttp.ClientSession(url, connector=connector) as session:
            run = await _ready(session)
            paths = [
                (f"/v1/catalogs/{CATALOG}/products", {}),
                (f"/v1/catalogs/{CATALOG}/products", {"where": FACET}),
                (f"/v1/catalogs/{CATALOG}/products", {"order_by": "brand"}),
                (f"/v1/runs/{run}/items", {}),
                (f"/v1/runs/{run}/items", {"states": "review"}),
                (f"/v1/runs/{run}/items", {"rule": "grounded-numbers"}),
                (f"/v1/catalogs/{CATALOG}/products/P00000123", {}),
            ]
            left = random.Random(0).choices(paths, k=requests)
            taken: list[float] = []

            async def ask() -> None:
                while left:
                    path, query = left.pop()
                    started = time.perf_counter()
                    async with session.get(path, params=query) as reply:
                        body = await reply.read()
                        if reply.status != 200:
                            raise RuntimeError(f"{path} answered {reply.status}: {body[:200]!r}")
                    taken.append(time.perf_counter() - started)

            started = time.perf_counter()
            await asyncio.gather(*(ask() for _ in range(count)))
            seconds = time.perf_counter() - started
        cuts = statistics.quantiles(taken, n=20)
        what = f"{count} clients, pages of 50"
        found.add(f"{what}, p50", cuts[9], None, f"{cuts[9] * 1000:.0f} ms")
        found.add(f"{what}, p95", cuts[18], None, f"{cuts[18] * 1000:.0f} ms")
        found.add(
            f"{what}, answers a second", requests / seconds, None, f"{requests / seconds:.0f}"
        )
        memory = _peak(pid)
        if memory is not None:
            found.add("server, peak memory", memory, MEMORY_GOAL, f"{memory / 1e6:.0f} MB")


async def _ready(session: Any) -> str:
    """Wait until the server answers; give the name of its run."""
    import aiohttp

    until = time.monotonic() + 60
    while True:
        try:
            async with session.get("/v1/runs") as reply:
                listed = orjson.loads(await reply.read())
                return str((listed["rows"] if isinstance(listed, dict) else listed)[0]["run"])
        except aiohttp.ClientConnectionError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)


def _peak(pid: int) -> int | None:
    status = Path(f"/proc/{pid}/status")
    said = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return None if said is None else int(said[1]) * 1024


async def measure(options: argparse.Namespace) -> Found:
    """Measure everything."""
    found = Found()
    await listings(found)
    await reviews(found)
    await clients(found, options.clients, options.requests)
    return found


def main() -> None:
    """Measure, print a table and keep it under .bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.web", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    prepare(options.count)
    found = asyncio.run(measure(options))
    print(f"\n{options.count:,} products and items, SQLite\n")
    show_table([("what", "measured", "goal"), *found.rows])
    kept = {"machine": machine(), "count": options.count, **found.numbers}
    (PLACE / "web.json").write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    print("\nkept in .bench/web.json")


if __name__ == "__main__":
    main()
