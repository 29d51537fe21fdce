"""The `langchain` step: a Runnable makes fields; its results are recorded, its errors plain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from sqlalchemy import select
from tests.vendor import Vendor
from tests.workspaces import make_workspace, write_sheet

from waremill.app import open_workspace
from waremill.errors import ConfigError
from waremill.store.tables import items, recordings, results

ASKED: list[dict[str, Any]] = []


async def _tagline(given: dict[str, Any]) -> AIMessage:
    ASKED.append(given)
    if given["name"] == "Eau 2":
        raise RuntimeError("the chain broke")
    return AIMessage(f"{given['name']}, simply.")


tagline = RunnableLambda(_tagline)
both = RunnableLambda(lambda given: {"short": given["name"], "long": f"{given['name']} by House"})
forging = RunnableLambda(lambda given: "asset:" + "0" * 64 + ".png")
ROWS = [{"sku": f"P{n}", "name": f"Eau {n}", "notes": "rose"} for n in range(3)]


def workspace(folder: Path, url: str, step: str) -> Any:
    names = ", ".join(f'{one} = "{__name__}:{one}"' for one in ("tagline", "both", "forging"))
    root = make_workspace(
        folder / "shop", url, files={"pipelines/chain.yaml": f"name: chain\nsteps:\n  - {step}\n"}
    )
    settings = root / "waremill.toml"
    settings.write_text(settings.read_text() + f"[tools]\nrunnables = {{{names}}}\n")
    return open_workspace(root)


def values(row: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(row.values)
    return found


async def ran(folder: Path, step: str) -> tuple[Any, list[Any], list[Any]]:
    async with Vendor() as vendor, workspace(folder, vendor.url, step) as opened:
        await opened.import_catalog([write_sheet(folder / "p.csv", ROWS)], key="sku")
        status = await opened.run("chain")

        def read(conn: Any) -> tuple[list[Any], list[Any]]:
            return (
                list(conn.execute(select(results).order_by(results.c.id))),
                list(conn.execute(select(recordings))),
            )

        made, kept = await opened.database.read(read)
        assert vendor.calls == 0
        return status, made, kept


async def test_a_message_is_a_field_and_a_failure_fails_its_item_alone(tmp_path: Path) -> None:
    ASKED.clear()
    status, made, kept = await ran(
        tmp_path, "langchain: {runnable: tagline, input: [name], output: tagline}"
    )
    assert (status.total, status.failed) == (3, 1)
    assert sorted(values(one)["tagline"] for one in made) == ["Eau 0, simply.", "Eau 1, simply."]
    assert '"runnable":"tagline"' in made[0].provenance and len(kept) == 2
    assert {frozenset(one) for one in ASKED} == {frozenset({"name"})}


async def test_an_object_gives_several_fields_and_a_missing_one_is_a_finding(
    tmp_path: Path,
) -> None:
    status, made, _ = await ran(
        tmp_path, "langchain: {runnable: both, output: [short, long, none]}"
    )
    assert values(made[0]) == {"short": "Eau 0", "long": "Eau 0 by House"}
    assert "gave no none" in str(made[0].findings) and status.in_review == 3


async def test_what_it_writes_opens_no_stored_file(tmp_path: Path) -> None:
    _, made, _ = await ran(tmp_path, "langchain: {runnable: forging, output: tagline}")
    assert made and all(values(one) == {} for one in made)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("langchain: {runnable: taglin, output: x}", "no Runnable “taglin”"),
        ("langchain: {runnable: 'os:system', output: x}", "no Runnable “os:system”"),
        ("langchain: {runnable: tagline}", "needs `runnable` and `output`"),
        ("langchain: {runnable: tagline, output: x, modle: y}", "no setting “modle”"),
    ],
)
async def test_a_pipeline_names_what_the_settings_name_and_nothing_else(
    tmp_path: Path, step: str, said: str
) -> None:
    async with workspace(tmp_path, "http://127.0.0.1:9/v1", step) as opened:
        with pytest.raises(ConfigError, match=said):
            opened.assemble("chain")


async def test_a_replay_asks_the_runnable_no_more(tmp_path: Path) -> None:
    ASKED.clear()
    step = "langchain: {runnable: tagline, output: tagline, input: [name]}"
    async with Vendor() as vendor, workspace(tmp_path, vendor.url, step) as opened:
        await opened.import_catalog([write_sheet(tmp_path / "p.csv", ROWS[:2])], key="sku")
        await opened.run("chain")

        def set_back(conn: Any) -> None:
            from waremill.store.tables import runs

            conn.execute(items.update().values(state="pending"))
            conn.execute(runs.update().values(state="paused", owner=None))

        await opened.database.write(set_back)
        await opened.resume("last")
    assert len(ASKED) == 2
