"""Measure what PostgreSQL and a cluster cost: import, memory and time by run size, workers, kills.

    python -m bench.scale [--rows 200000] [--sizes 10000,100000] [--no-cluster] [--large]

The server is a real PostgreSQL with its own defaults, in a folder of its own; the vendor is the
loopback one; Ray runs on this machine with several raylets. Each part runs in a process of its own.
`--large` adds a run of a million items.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from tests.clusters import in_own_network
from tests.postgres import durable_server, fresh_database

from bench.process import PLACE, ROOT, client, prepare, vendor
from bench.workload import TEMPLATE, point_at, products

REPEATS = 3
_COLUMNS = "catalog_id, is_group, key, group_id, version, position, import_number, attributes"
_SIZE = "SELECT pg_database_size(current_database())"
_FACETS = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'ix_facet%'"


@contextmanager
def _database(server: Any) -> Iterator[str]:
    """Give a fresh database, which processes started meanwhile use."""
    with fresh_database(server.get_uri(database="postgres", driver="psycopg")) as url:
        os.environ["WAREMILL_DATABASE_URL"] = url
        yield url


def measure_import(server: Any, rows: int) -> dict[str, Any]:
    """Import a CSV beside a bare COPY of the very rows it became, into the same table.

    The import makes its indexes on columns of few values at the end; a bare COPY has none of them.
    """
    sheet = _sheet(rows)
    folder = PLACE / "imported"
    folder.mkdir(exist_ok=True)
    (folder / "waremill.toml").write_text("")
    found: dict[str, list[float]] = {"import": [], "cpu": [], "copy": [], "ratio": []}
    for _ in range(REPEATS):
        with _database(server) as url:
            whole = client("bench.client", "import", sheet, folder)
            if whole["items"] != rows:
                raise RuntimeError(f"not every row was imported: {whole}")
            copied = _copy(url)
        found["import"].append(whole["wall"])
        found["cpu"].append(whole["cpu"])
        found["copy"].append(copied)
        found["ratio"].append(copied / whole["wall"])
    return {"rows": rows, **found}


def _sheet(rows: int) -> Path:
    """Give a CSV of so many products."""
    sheet = PLACE / f"sheet-{rows}.csv"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    if not sheet.exists():
        with sheet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for number, product in enumerate(products(rows)):
                if not number:
                    writer.writerow(product)
                writer.writerow(product.values())
    return sheet


def _copy(url: str) -> float:
    """Empty the table of products and COPY the same rows into it; give the seconds."""
    import psycopg

    dump = PLACE / "products.copy"
    address = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True) as conn, conn.cursor() as cursor:
        with dump.open("wb") as out, cursor.copy(f"COPY products ({_COLUMNS}) TO STDOUT") as copy:
            for block in copy:
                out.write(block)
        for (name,) in cursor.execute(_FACETS).fetchall():  # type: ignore[arg-type]
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute("TRUNCATE products CASCADE")
        cursor.execute("CHECKPOINT")
        started = time.perf_counter()
        with (
            dump.open("rb") as source,
            cursor.copy(f"COPY products ({_COLUMNS}) FROM STDIN") as copy,
        ):
            while block := source.read(1 << 16):
                copy.write(block)
        return time.perf_counter() - started


def measure_run(server: Any, count: int) -> dict[str, Any]:
    """Import, run and export so many items over PostgreSQL, and run the finished ones again."""
    folder = PLACE / "scaled"
    with _database(server) as url, vendor(0.0) as vending:
        prepare(folder, 1)  # the workspace and its first product
        sheet = _sheet(count)
        brought = client("bench.client", "import", sheet, folder)
        (stocked,) = _asked(url, _SIZE)
        point_at(folder, vending.url)
        first = client("bench.client", "waremill", TEMPLATE, folder)
        (worked,) = _asked(url, _SIZE)
        exported = PLACE / "scaled.csv"
        taken = client("bench.client", "export", exported, folder)
        again = client("bench.client", "waremill", TEMPLATE, folder)
        calls = vending.calls()
    if first["done"] != count or again["done"] != count or calls != count:
        raise RuntimeError(f"the runs did not end as they should: {first} {again} {calls}")
    return {
        "items": count, "memory": first["rss"], "cpu_us": first["cpu"] / count * 1e6,
        "wall_us": first["wall"] / count * 1e6, "wall": first["wall"],
        "again_wall": again["wall"], "again_memory": again["rss"],
        "import_wall": brought["wall"], "export_wall": taken["wall"],
        "export_memory": taken["rss"], "export_bytes": exported.stat().st_size,
        "product_bytes": stocked / count, "item_bytes": (worked - stocked) / count,
    }  # fmt: skip


def measure_cluster(count: int, latency: float, concurrency: int) -> dict[str, Any]:
    """Work the same run in one process, by one worker and by two; the vendor's latency limits.

    What is timed is from the first call's start to the last one's end, so that starting Ray is not
    in it. With `rpm` the two workers must keep to a limit together.
    """
    from tests.clusters import cluster

    found: dict[str, Any] = {"items": count, "latency": latency, "concurrency": concurrency}
    os.environ.pop("WAREMILL_DATABASE_URL", None)  # nodes keep the environment they began with
    with durable_server() as server, vendor(latency) as vending, cluster(2) as (made, _nodes):
        cases = (("one process", "local", 1, None), ("one worker", "ray", 1, None),
                 ("two workers", "ray", 2, None), ("rpm", "ray", 2, 1200))  # fmt: skip
        for name, engine, workers, rpm in cases:
            folder = PLACE / "spread"
            items = count if rpm is None else rpm * 2
            with _database(server) as url:
                prepare(folder, items)
                limit = "" if rpm is None else f"rpm = {rpm}\n"
                (folder / "waremill.toml").write_text(
                    f'[database]\nurl = "{url}"\n[models.default]\nuse = "openai:m"\n'
                    f'base_url = "{vending.url}"\n'
                    f'concurrency = {concurrency}\n{limit}[ray]\naddress = "{made.address}"\n'
                    f"workers = {workers}\n"
                )
                before = vending.calls()
                command = [sys.executable, "-m", "waremill", "run", TEMPLATE, "--target",
                           "en-US@shop", "--engine", engine, "-C", str(folder)]  # fmt: skip
                subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
                if vending.calls() - before != items:
                    raise RuntimeError(f"{name}: {vending.calls() - before} calls for {items}")
                found[name] = _rate(url) if rpm is None else {"limit": rpm, **_minute(url)}
            print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def _asked(url: str, query: str) -> tuple[Any, ...]:
    import psycopg

    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as conn:
        row = conn.execute(query).fetchone()  # type: ignore[call-overload]
        return tuple(row or ())


def _rate(url: str) -> float:
    """Give the items a second between the first call's start and the last one's end."""
    count, seconds = _asked(
        url, "SELECT count(*), max(started_at + latency) - min(started_at) FROM calls"
    )
    return float(count / seconds)


def _minute(url: str) -> dict[str, float]:
    """Give how many calls were started in the minute after the first ten seconds."""
    (count,) = _asked(
        url,
        "SELECT count(*) FROM calls, (SELECT min(started_at) + 10 AS t FROM calls) AS s "
        "WHERE started_at >= t AND started_at < t + 60",
    )
    return {"started": count}


def _lines(found: dict[str, Any]) -> Iterator[str]:
    sheet = found["import"]
    middle = statistics.median
    yield (
        f"import of {sheet['rows']:,} rows: {middle(sheet['import']):.1f} s, bare COPY "
        f"{middle(sheet['copy']):.1f} s: {middle(sheet['ratio']):.2f} of its speed "
        f"({min(sheet['ratio']):.2f}–{max(sheet['ratio']):.2f}; goal .50)"
    )
    for run in found["runs"]:
        yield (
            f"run of {run['items']:,}: {run['cpu_us'] / 1000:.3f} ms of CPU and "
            f"{run['wall_us'] / 1000:.3f} ms an item, {run['memory'] / 1e6:.0f} MB; finished and "
            f"unchanged again {run['again_wall']:.1f} s, {run['again_memory'] / 1e6:.0f} MB; "
            f"on disk {run['product_bytes'] / 1e3:.1f} kB a product and "
            f"{run['item_bytes'] / 1e3:.1f} kB an item; import {run['import_wall']:.1f} s, export "
            f"as CSV {run['export_wall']:.1f} s, {run['export_memory'] / 1e6:.0f} MB; a night of "
            f"eight hours like this: {8 * 3.6e9 / run['wall_us'] / 1e6:.0f} million items"
        )
    if (spread := found.get("cluster")) is not None:
        one, two, alone = (spread[name] for name in ("one worker", "two workers", "one process"))
        yield (
            f"items a second: one process {alone:.0f}, one Ray worker {one:.0f} "
            f"({alone / one - 1:+.0%} time; goal ≤ +20 %), two {two:.0f} ({two / one:.2f} × one; "
            "goal 1.7)"
        )
        yield f"started in a minute by two workers at {spread['rpm']['limit']} a minute: " + str(
            spread["rpm"]["started"]
        )
    if (hit := found.get("hit")) is not None:
        vending = hit["vendor"]
        yield (
            f"a worker, a raylet and the driver killed: {hit['status']['states']}, "
            f"{vending['calls']} calls, {vending['repeated']} repeated"
        )


def _child(*arguments: str, url: str | None = None) -> Any:
    """Run a part in a network of its own; give what it reports in its last line."""
    command = in_own_network([sys.executable, *arguments])
    more = {} if url is None else {"WAREMILL_DATABASE_URL": url}
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True,
                           env={**os.environ, **more})  # fmt: skip
    return orjson.loads(ended.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, and keep what was found in .bench/scale.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--no-cluster", action="store_true")
    parser.add_argument("--cluster-items", type=int, default=3_000)
    parser.add_argument("--part", choices=["cluster"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(orjson.dumps(measure_cluster(given.cluster_items, 1.0, 64)).decode())
        return
    sizes = [int(one) for one in given.sizes.split(",")] + [1_000_000] * given.large
    found: dict[str, Any] = {"machine": platform.platform(), "runs": []}
    with durable_server() as server:
        found["import"] = measure_import(server, given.rows)
        print(found["import"], file=sys.stderr, flush=True)
        for size in sizes:
            found["runs"].append(measure_run(server, size))
            print(found["runs"][-1], file=sys.stderr, flush=True)
        if not given.no_cluster:
            found["cluster"] = _child(
                "-m", "bench.scale", "--part", "cluster", "--cluster-items",
                str(given.cluster_items),
            )  # fmt: skip
            shop = PLACE / f"hit-{os.getpid()}"
            with fresh_database(server.get_uri(database="postgres", driver="psycopg")) as url:
                found["hit"] = _child("-m", "tests.clusters", str(shop), url=url)
    (PLACE / "scale.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    for line in _lines(found):
        print(line)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
