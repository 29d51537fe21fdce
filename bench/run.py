"""Measure what an item costs and how much memory it takes: Waremill beside bare aiohttp and others.

    python -m bench.run [--items 20000] [--rounds 3] [--quick] [--no-rivals]
    python -m bench.run --memory [--large 1000000]

Every client runs in a process of its own against one loopback vendor; rounds are interleaved, so
that a busy machine is as busy for everybody. Numbers are processor time, user and system.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bench import sizes
from bench.process import PLACE, Server, client, prepare, rivals_python, vendor
from bench.workload import CONCURRENCY, LATENCY, TEMPLATE, point_at

FEW, MANY = 500, 2500
"""Requests of a slow library's two runs; what it costs is the difference, start-up left out."""
BARE = "bare aiohttp (uvloop)"
LANGUAGE = "Waremill with the language check"


@dataclass(frozen=True)
class Line:
    """What one client cost in one round: microseconds of processor time an item, peak bytes.

    `before` is how many of the microseconds went before the first item: plan, estimate, imports.
    """

    cost: float
    memory: int
    before: float = 0.0


Measure = Callable[[], Line]
Report = Mapping[str, Any]


def _sent(server: Server, count: int, module: str, *arguments: object, **more: str) -> Report:
    """Run a client and make sure that the server was asked `count` times meanwhile.

    Replies a library keeps between runs would make it look free; Curator asks twice for limits.
    """
    before = server.calls()
    report = client(module, *arguments, **more)
    if not count <= (sent := server.calls() - before) <= count * 1.01:
        raise RuntimeError(f"{arguments[0]} sent {sent} requests instead of {count}")
    return report


def _bare(kind: str, server: Server, items: int) -> Line:
    path = PLACE / "requests.jsonl"
    report = _sent(server, items, "bench.client", kind, server.url, path, items)
    return Line(report["cpu"] / items * 1e6, report["rss"])


def _waremill(template: str, server: Server, items: int) -> Line:
    folder = PLACE / "working"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PLACE / "workspace", folder)  # without any answer yet
    point_at(folder, server.url)
    report = _sent(server, items, "bench.client", "waremill", template, folder)
    if report["done"] != items or report["review"] or report["calls"] != items:
        raise RuntimeError(f"the run did not end as it should: {report}")
    return Line(report["cpu"] / items * 1e6, report["rss"], report["before"] / items * 1e6)


def _rival(name: str, python: str, server: Server, few: int, many: int) -> Line:
    path = PLACE / "requests.jsonl"
    first, second = (
        _sent(server, count, "bench.rivals", name, server.url, path, count, python=python)
        for count in (few, many)
    )
    if second["done"] != many:
        raise RuntimeError(f"{name} answered {second['done']} of {many}")
    return Line((second["cpu"] - first["cpu"]) / (many - few) * 1e6, second["rss"])


def check_server(server: Server, items: int) -> Mapping[str, float] | None:
    """Say how busy the server is while the fastest client works; None where it cannot be told."""
    before = server.processor_seconds()
    report = client("bench.client", "bare", server.url, PLACE / "requests.jsonl", items)
    after = server.processor_seconds()
    if before is None or after is None:
        return None
    return {
        "server_us": (after - before) / items * 1e6,
        "client_us": report["cpu"] / items * 1e6,
        "busy": (after - before) / report["wall"],
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all rounds and give every client's costs."""
    items, rounds = options.items, options.rounds
    prepare(PLACE / "workspace", items, PLACE / "requests.jsonl")
    python = None if options.quick or options.no_rivals else rivals_python()
    with vendor(LATENCY) as server:
        checked = check_server(server, items)
        _say_server(checked)
        work: dict[str, Measure] = {
            BARE: partial(_bare, "bare", server, items),
            "Waremill, all in": partial(_waremill, TEMPLATE, server, items),
        }
        if not options.quick:
            work["bare aiohttp (asyncio)"] = partial(_bare, "bare-asyncio", server, items)
            work[LANGUAGE] = partial(_waremill, f"{TEMPLATE}-language", server, items)
        if python is not None:
            many = min(MANY, items)
            for name, title in (("curator", "Bespoke Curator"), ("litellm", "LiteLLM acompletion"),
                                ("langchain", "LangChain abatch")):  # fmt: skip
                work[title] = partial(_rival, name, python, server, min(FEW, many // 2), many)
        lines: dict[str, list[Line]] = {title: [] for title in work}
        for number in range(1, rounds + 1):
            for title, one in work.items():
                lines[title].append(one())
                print(f"round {number}: {title}: {lines[title][-1].cost / 1000:.3f} ms",
                      file=sys.stderr, flush=True)  # fmt: skip
    return {
        "machine": machine(), "items": items, "rounds": rounds, "server": checked,
        "clients": {
            title: {"cost_us": [one.cost for one in found],
                    "ratio": [one.cost / bare.cost for one, bare in
                              zip(found, lines[BARE], strict=True)],
                    "before_us": [one.before for one in found],
                    "memory": max(one.memory for one in found)}
            for title, found in lines.items()
        },
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """Describe the machine without naming it."""
    import os

    return {
        "cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine(),
        "python": platform.python_version(),
    }  # fmt: skip


def _say_server(checked: Mapping[str, float] | None) -> None:
    if checked is None:
        print("server: this system does not say how busy it is")
        return
    busy = checked["busy"]
    verdict = "so it is not the limit" if busy < 0.9 else "IT MAY BE THE LIMIT"
    print(
        f"server: {checked['server_us'] / 1000:.3f} ms a request, busy {busy:.0%} of the time "
        f"while bare aiohttp asks ({checked['client_us'] / 1000:.3f} ms a request), {verdict}"
    )


def show(found: Mapping[str, Any]) -> None:
    """Print the table: medians, and the lowest and highest ratio of the rounds."""
    print(f"\n{found['items']:,} products, concurrency {CONCURRENCY}, {LATENCY * 1000:.0f} ms "
          f"latency, {found['rounds']} interleaved round(s)\n")  # fmt: skip
    rows: list[Sequence[str]] = [("client", "CPU ms an item", "× bare aiohttp", "peak memory")]
    for title, one in found["clients"].items():
        ratios = one["ratio"]
        spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
        rows.append(
            (title, f"{statistics.median(one['cost_us']) / 1000:.3f}",
             f"{statistics.median(ratios):.2f}{spread}", f"{one['memory'] / 1e6:.0f} MB")
        )  # fmt: skip
    show_table(rows)
    for title, one in found["clients"].items():
        if before := statistics.median(one["before_us"]):
            seconds = before * found["items"] / 1e6
            print(f"\n{title}: {before / 1000:.3f} ms of it, {seconds:.2f} s in all, before the "
                  "first item")  # fmt: skip


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a Markdown table, the first as its head."""
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(f"{c:<{w}}" for c, w in zip(row, sizes, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in sizes) + "|")


def main() -> None:
    """Measure what the command line asks for, print it and keep it under .bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true",
                        help="2,000 items, one round, Waremill beside bare aiohttp")  # fmt: skip
    parser.add_argument("--no-rivals", action="store_true", help="leave the other libraries out")
    parser.add_argument("--memory", action="store_true",
                        help="memory by size, re-run, import, start-up instead")  # fmt: skip
    parser.add_argument("--large", type=int, default=1_000_000, metavar="ITEMS",
                        help="items of the large run of --memory")  # fmt: skip
    options = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    if options.memory:
        found, name = {"machine": machine(), **sizes.measure(options.large)}, "memory.json"
        show_table([("what", "measured", "goal"), *sizes.lines(found)])
    else:
        if options.quick:
            options.items, options.rounds = min(options.items, 2000), 1
        found, name = measure(options), "quick.json" if options.quick else "bench.json"
        show(found)
    (PLACE / name).write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    print(f"\nkept in .bench/{name}")


if __name__ == "__main__":
    main()
