"""What is made of stored files is made once for good, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.calls.asking import files
from tests.planned import claimed, planned

from waremill.errors import SourceError
from waremill.pipeline import Derivation
from waremill.runs.files import RunFiles, derivation_hash
from waremill.store.database import Database
from waremill.store.journal import Journal

CUT = Derivation("cutout", 1, {"model": "u2netp"}, ("asset:a.png",))


async def opened(database: Database, folder: Path, run: Any = None) -> RunFiles:
    run = run or await claimed(database, await planned(database, 1))
    return files(database, Journal(database, run), folder)


class Maker:
    """Makes something, counts how often, and waits where it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.go = asyncio.Event()

    async def __call__(self) -> list[str]:
        self.made += 1
        await self.go.wait()
        return [f"asset:{self.made}.png"]


async def test_the_same_is_made_once_for_all_who_ask_together(
    database: Database, tmp_path: Path
) -> None:
    one, make = await opened(database, tmp_path), Maker()
    asked = [asyncio.create_task(one.derive(CUT, make)) for _ in range(5)]
    await asyncio.sleep(0.05)
    make.go.set()
    assert await asyncio.gather(*asked) == [["asset:1.png"]] * 5
    assert make.made == 1


async def test_a_later_run_finds_what_an_earlier_one_made(
    database: Database, tmp_path: Path
) -> None:
    make = Maker()
    make.go.set()
    await (await opened(database, tmp_path)).derive(CUT, make)
    again = await (await opened(database, tmp_path)).derive(CUT, make)
    assert again == ["asset:1.png"] and make.made == 1


async def test_other_settings_inputs_or_versions_are_made_anew(
    database: Database, tmp_path: Path
) -> None:
    one, make = await opened(database, tmp_path), Maker()
    make.go.set()
    others = [
        CUT,
        Derivation("cutout", 2, {"model": "u2netp"}, ("asset:a.png",)),
        Derivation("cutout", 1, {"model": "isnet"}, ("asset:a.png",)),
        Derivation("cutout", 1, {"model": "u2netp"}, ("asset:b.png",)),
        Derivation("matte", 1, {"model": "u2netp"}, ("asset:a.png",)),
    ]
    made = [await one.derive(other, make) for other in others]
    assert make.made == len({tuple(value) for value in made}) == len(others)


def test_the_order_of_settings_makes_no_difference() -> None:
    first = Derivation("compose", 1, {"a": 1, "b": 2}, ())
    assert derivation_hash(first) == derivation_hash(Derivation("compose", 1, {"b": 2, "a": 1}, ()))


async def test_a_failure_is_not_remembered(database: Database, tmp_path: Path) -> None:
    one = await opened(database, tmp_path)

    async def fail() -> None:
        raise SourceError("this is no picture")

    for _ in range(2):
        with pytest.raises(SourceError, match="no picture"):
            await one.derive(CUT, fail)
    make = Maker()
    make.go.set()
    assert await one.derive(CUT, make) == ["asset:1.png"]


async def test_who_waits_goes_on_when_who_made_it_is_cancelled(
    database: Database, tmp_path: Path
) -> None:
    one, make = await opened(database, tmp_path), Maker()
    first = asyncio.create_task(one.derive(CUT, make))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(one.derive(CUT, make))
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.sleep(0.02)
    make.go.set()
    assert await second == ["asset:2.png"]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_only_a_few_are_made_at_once(database: Database, tmp_path: Path) -> None:
    one = await opened(database, tmp_path)
    lock, now, most = threading.Lock(), 0, 0

    async def make() -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        await asyncio.sleep(0.01)
        with lock:
            now -= 1
        return 1

    wanted = [Derivation("cutout", 1, {}, (f"asset:{n}.png",)) for n in range(20)]
    await asyncio.gather(*(one.derive(each, make) for each in wanted))
    assert most == 4  # two threads, and two that are read ahead


def clear(folder: Path) -> None:
    """Take every picture away."""
    for path in folder.rglob("*.png"):
        path.unlink()


async def test_what_was_made_is_made_again_when_its_file_is_gone(
    database: Database, tmp_path: Path
) -> None:
    one = await opened(database, tmp_path)

    async def make() -> dict[str, str]:
        return {"picture": await one.keep(b"pixels", "image/png")}

    made = await one.derive(CUT, make)
    assert (one.made, one.found) == (1, 0)
    assert await one.derive(CUT, make) == made and one.found == 1
    clear(tmp_path)
    assert await one.derive(CUT, make) == made
    assert one.made == 2 and await one.read(made["picture"]) == b"pixels"
