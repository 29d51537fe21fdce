"""What grows and what must not: memory by run size, a re-run, an import, the command's start."""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.process import PLACE, client, prepare, vendor
from bench.workload import TEMPLATE, point_at, products

SMALL = 100_000
ROWS, COLUMNS = 100_000, 20
REPEATS = 3


def measure(large: int) -> dict[str, Any]:
    """Measure everything; the large run takes minutes."""
    found: dict[str, Any] = {"help": _help(), "import": _import()}
    runs = {}
    for count in (SMALL, large):
        runs[str(count)] = _run(count)
        print(f"{count:,} items: {runs[str(count)]}", file=sys.stderr, flush=True)
    found["runs"] = runs
    return found


def _run(count: int) -> dict[str, Any]:
    folder = PLACE / "sized"
    prepare(folder, count)
    with vendor(0.0) as server:
        point_at(folder, server.url)
        first = client("bench.client", "waremill", TEMPLATE, folder)
        again = client("bench.client", "waremill", TEMPLATE, folder)
    if first["done"] != count or again["done"] != count or again["calls"]:
        raise RuntimeError(f"the runs did not end as they should: {first} {again}")
    shutil.rmtree(folder)
    return {
        "memory": first["rss"], "cost_us": first["cpu"] / count * 1e6, "wall": first["wall"],
        "again_wall": again["wall"], "again_cpu": again["cpu"], "again_memory": again["rss"],
    }  # fmt: skip


def _import() -> dict[str, Any]:
    sheet = PLACE / f"sheet-{ROWS}x{COLUMNS}.xlsx"
    if not sheet.exists():
        _write_sheet(sheet)
    folder = PLACE / "imported"
    ours, theirs, memory = [], [], 0
    for _ in range(REPEATS):
        alone = client("bench.client", "calamine", sheet, folder)
        prepare(folder, 1)
        shutil.rmtree(folder / ".waremill")
        whole = client("bench.client", "import", sheet, folder)
        if whole["items"] != ROWS or alone["items"] != ROWS:
            raise RuntimeError(f"not every row was read: {whole} {alone}")
        ours.append(whole)
        theirs.append(alone)
        memory = max(memory, whole["rss"])
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "cpu": [one["cpu"] for one in ours], "wall": [one["wall"] for one in ours],
        "calamine_cpu": [one["cpu"] for one in theirs],
        "calamine_wall": [one["wall"] for one in theirs],
        "ratio_cpu": [a["cpu"] / b["cpu"] for a, b in pairs],
        "ratio_wall": [a["wall"] / b["wall"] for a, b in pairs], "memory": memory,
    }  # fmt: skip


def _write_sheet(path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Products")
        for number, row in enumerate(_wide_rows()):
            sheet.write_row(number, 0, row)


def _wide_rows() -> Iterator[list[Any]]:
    for number, product in enumerate(products(ROWS)):
        more = {f"note {i}": f"remark {(number * i) % 1000} on it" for i in range(COLUMNS - 12)}
        row = {**product, **more}
        if number == 0:
            yield list(row)
        yield list(row.values())


def _help() -> float:
    """Give the processor seconds of `waremill --help`, the median of some."""
    command = [str(Path(sys.executable).with_name("waremill")), "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    used = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(used)


def lines(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give the table's rows: what, measured, goal."""
    (small, one), (large, ten) = ((int(count), run) for count, run in found["runs"].items())
    sheet = found["import"]
    rows = [
        (f"peak memory, {count:,} items", f"{run['memory'] / 1e6:.0f} MB", "< 250 MB")
        for count, run in ((small, one), (large, ten))
    ]
    return [
        *rows,
        ("large run's memory × the small one's", f"{ten['memory'] / one['memory']:.2f}", "≤ 1.15"),
        (f"run of {large:,} items", f"{ten['wall']:.0f} s, {ten['cost_us'] / 1000:.3f} ms an item",
         ""),
        (f"the same, finished and unchanged, again ({large:,})", f"{ten['again_wall']:.1f} s",
         "≤ 10 s"),
        (f"import of a {ROWS:,} × {COLUMNS} xlsx, × calamine alone, CPU",
         f"{statistics.median(sheet['ratio_cpu']):.2f}", "≤ 3"),
        ("the same, wall time", f"{statistics.median(sheet['ratio_wall']):.2f}", "≤ 3"),
        ("waremill --help", f"{found['help']:.2f} s of CPU", "< 0.3 s"),
    ]  # fmt: skip
