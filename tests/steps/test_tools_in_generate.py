"""Tools inside `generate`: called, journalled, replayed to the letter, and the contract holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from tests.vendor import Reply, Vendor
from tests.workspaces import make_workspace, write_sheet

from waremill.app import Workspace, generating, open_workspace
from waremill.app.generating import generate
from waremill.errors import ConfigError
from waremill.store.tables import calls, items, recordings, results

PIPELINE = """\
name: priced
steps:
  - generate: {template: copy, tools: TOOLS}
"""
SHOP = '''
from waremill.tools.tool import tool

@tool(changes=True)
def reserve(sku: str) -> str:
    """Reserve one."""
    raise AssertionError("nobody permitted this")

def stock(sku: str) -> float:
    """Say how many are left; it changes all the time."""
    import random
    return random.random()
'''
ROWS = [{"sku": f"P{n}", "name": f"Eau {n}", "brand": "House", "notes": "rose"} for n in range(4)]
COPY = {"title": "Eau", "points": ["It is 1.69 fl oz."]}


def model(*wanted: tuple[str, Any], copy: Any = COPY) -> Any:
    """A model that calls the tools once and then writes the copy."""

    def say(request: Mapping[str, Any], _path: str) -> Reply:
        told = [one for one in request["messages"] if one["role"] == "tool"]
        if told or not request.get("tools"):
            return Reply(text=orjson.dumps(copy).decode())
        return Reply(calls=wanted)

    return say


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "step_tools.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)


async def opened(folder: Path, vendor: Vendor, tools: str, more: str = "") -> Workspace:
    root = make_workspace(
        folder / "shop", vendor.url,
        files={"pipelines/priced.yaml": PIPELINE.replace("TOOLS", tools)},
    )  # fmt: skip
    settings = root / "waremill.toml"
    settings.write_text(settings.read_text() + more)
    return open_workspace(root)


async def rows(workspace: Workspace, table: Any) -> list[Any]:
    return list(await workspace.database.read(lambda conn: conn.execute(select(table)).all()))


async def test_every_call_is_journalled_and_the_copy_keeps_its_contract(tmp_path: Path) -> None:
    wanted = (
        ("calculator", {"expression": "50 ml in fl oz"}),
        ("sql", {"query": "SELECT count(*) FROM products"}),
    )  # fmt: skip
    async with (
        Vendor(reply=model(*wanted)) as vendor,
        await opened(tmp_path, vendor, "[calculator, sql]") as workspace,
    ):
        sheet = write_sheet(tmp_path / "p.csv", ROWS)
        await workspace.import_catalog([sheet], key="sku")
        status = await workspace.run("priced")
        assert status.done == 4 and vendor.calls == 8
        told = [
            [m["content"] for m in one.body["messages"] if m["role"] == "tool"]
            for one in vendor.requests
        ]
        assert told.count([]) == 4
        assert next(x for x in told if x) == [
            "1.69070113509 fl oz", '{"columns":["COUNT(*)"],"rows":[[4]],"limit":50}'
        ]  # fmt: skip
        ledger = await rows(workspace, calls)
        assert len(ledger) == 8 and all(one.paid > 0 for one in ledger)
        made = await rows(workspace, results)
        assert len(made) == 4
        provenance = orjson.loads(made[0].provenance)
        assert provenance["tools"] == ["calculator", "sql"] and len(provenance["answers"]) == 2
        kept = {one.name for one in await rows(workspace, recordings)}
        assert kept == {"tools copy 0.0 call 1.1", "tools copy 0.0 late 1"}


@pytest.mark.usefixtures("modules")
async def test_a_replay_asks_the_same_requests_although_the_tool_would_say_something_else(
    tmp_path: Path,
) -> None:
    more = '[tools]\nfunctions = ["step_tools:stock"]\n'
    async with (
        Vendor(reply=model(("stock", {"sku": "P1"}))) as vendor,
        await opened(tmp_path, vendor, "[stock]", more) as workspace,
    ):
        await workspace.import_catalog([write_sheet(tmp_path / "p.csv", ROWS)], key="sku")
        await workspace.run("priced")
        paid = vendor.calls
        again = items.update().values(state="pending")

        def set_back(conn: Any) -> None:
            from waremill.store.tables import runs

            conn.execute(again)
            conn.execute(runs.update().values(state="paused", owner=None))

        await workspace.database.write(set_back)
        status = await workspace.resume("last")
        assert status.done == 4 and vendor.calls == paid
        assert vendor.stats()["repeated"] == 0


async def test_a_reply_that_breaks_the_contract_is_asked_again_with_the_tools(
    tmp_path: Path,
) -> None:
    async with (
        Vendor(reply=model(("calculator", {"expression": "1"}), copy={"title": 3})) as vendor,
        await opened(tmp_path, vendor, "[calculator]") as workspace,
    ):
        made = await generate(workspace, "priced", {"name": "Eau"})
        await generating.close(workspace)
    assert {one.rule for one in made.findings} == {"contract"}
    # Three asks: the first with a call, the others with what was wrong and a call again.
    assert vendor.calls == 6


async def test_a_model_that_never_answers_is_made_to(tmp_path: Path) -> None:
    numbers = iter(range(100))

    def say(request: Mapping[str, Any], _path: str) -> Reply:
        if request["tool_choice"] == "none":
            return Reply(text=orjson.dumps(COPY).decode())
        return Reply(calls=(("calculator", {"expression": f"{next(numbers)}"}),))

    async with (
        Vendor(reply=say) as vendor,
        await opened(tmp_path, vendor, "[calculator]", "[tools]\nturns = 3\n") as workspace,
    ):
        made = await generate(workspace, "priced", {"name": "Eau"})
        await generating.close(workspace)
    assert made.values == COPY and vendor.calls == 3
    assert "turns" in made.notes["copy"]["tools_ended"]


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("[calculater]", "no tool “calculater”, did you mean “calculator”"),
        ("[reserve]", "needs somebody's permission"),
        ("[knowledge]", "say which knowledge base"),
        ("{a: 1}", "tools is a list of names"),
    ],
)
async def test_a_step_names_tools_that_there_are_and_that_change_nothing(
    tmp_path: Path, tools: str, said: str
) -> None:
    more = '[tools]\nfunctions = ["step_tools:reserve"]\n'
    async with Vendor() as vendor, await opened(tmp_path, vendor, tools, more) as workspace:
        with pytest.raises(ConfigError, match=said) as caught:
            workspace.assemble("priced")
    assert "pipelines/priced.yaml" in str(caught.value)


async def test_an_estimate_knows_the_request_with_its_tools(tmp_path: Path) -> None:
    async with (
        Vendor(reply=model(("calculator", {"expression": "1"}))) as vendor,
        await opened(tmp_path, vendor, "calculator") as workspace,
    ):
        await workspace.import_catalog([write_sheet(tmp_path / "p.csv", ROWS)], key="sku")
        estimate = await workspace.estimate("priced")
        assert vendor.calls == 0 and estimate.cost is not None
        step = workspace.assemble("priced").steps[0]
        await workspace.run("priced", limit=1)
        assert step.preview is not None
        sent = vendor.requests[0].body
        assert sent["tools"][0]["function"]["name"] == "calculator"
        assert "data to read" in sent["messages"][0]["content"]


async def test_tools_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    wanted = [("calculator", {"expression": f"{n} + 1"}) for n in range(6)]
    async with (
        Vendor(reply=model(*wanted), latency=0.01) as vendor,
        await opened(tmp_path, vendor, "[calculator]") as workspace,
    ):
        made = await asyncio.gather(
            *(generate(workspace, "priced", {"name": f"Eau {n}"}) for n in range(5))
        )
        await generating.close(workspace)
    assert all(one.values == COPY for one in made)
    told = [m["content"] for m in vendor.requests[-1].body["messages"] if m["role"] == "tool"]
    assert told == [str(n + 1) for n in range(6)]
