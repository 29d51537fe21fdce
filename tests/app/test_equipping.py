"""Which tools there are, what they see, and that settings alone say so."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from tests.workspaces import make_workspace, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.acting import Actor
from waremill.app.equipping import BUILT_IN, Scope, declared, equip, scope_of, tool_names, using
from waremill.domain import Item, Passage, Product, Search
from waremill.errors import ConfigError, NotFound
from waremill.settings import Settings, load_settings
from waremill.store.tables_people import teams
from waremill.tools.tool import Tool, ToolFailed

PERFUMES = [
    {"sku": "P1", "name": "Eau", "brand": "Dior", "price": "90", "story": "x" * 900},
    {"sku": "P2", "name": "Nuit", "brand": "Dior", "price": "110"},
    {"sku": "P3", "name": "Jour", "brand": "Chanel", "price": "120"},
]
ITEM = Item(1, Product(1, "P1", {}, 0), None, {})
SHOP = '''
from typing import Annotated
from waremill.tools.tool import tool

def stock(sku: Annotated[str, "the key"]) -> int:
    """Say how many are left."""
    return len(sku)

@tool(changes=True)
def reserve(sku: str) -> str:
    """Reserve one."""
    return "done"

def calculator(sku: str) -> str:
    """Not the calculator."""
    return ""

number = 3
'''


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=database_url)
    sheet = write_sheet(tmp_path / "perfumes.csv", PERFUMES)
    async with open_workspace(folder) as opened:
        await opened.import_catalog([sheet], key="sku", catalog="perfumes")
        yield opened


def named(tools: tuple[Tool, ...], name: str) -> Tool:
    return next(one for one in tools if one.name == name)


async def ask(tool: Tool, **arguments: Any) -> Any:
    return json.loads(await tool.use(json.dumps(arguments)))


async def test_none_of_the_built_in_tools_changes_anything(workspace: Workspace) -> None:
    tools = equip(await scope_of(workspace))
    assert tuple(one.name for one in tools) == BUILT_IN == tool_names(workspace.settings)
    assert not any(one.changes for one in tools)
    assert all(one.description and one.parameters["type"] == "object" for one in tools)
    assert "name, brand, price" in named(tools, "sql").description


async def test_the_catalogue_is_looked_up_by_key_and_by_condition(workspace: Workspace) -> None:
    tool = named(equip(await scope_of(workspace)), "catalogue")
    one = await ask(tool, key="P1")
    assert one["total"] == 1 and one["products"][0]["name"] == "Eau"
    assert one["products"][0]["story"] == "x" * 500 + "…"
    some = await ask(tool, where="brand = 'Dior'", columns=["name"], limit=1)
    assert some == {"total": 2, "products": [{"key": "P1", "name": "Eau"}]}
    assert (await ask(tool, key="P9"))["products"] == []
    with pytest.raises(ToolFailed, match="unknown column “brnd”, did you mean “brand”"):
        await ask(tool, where="brnd = 'Dior'")


async def test_the_catalogue_is_asked_in_sql(workspace: Workspace) -> None:
    tool = named(equip(await scope_of(workspace)), "sql")
    found = await ask(tool, query="SELECT brand, count(*) AS n FROM products GROUP BY 1 ORDER BY 2")
    assert (found["columns"], found["rows"]) == (["brand", "n"], [["Chanel", 1], ["Dior", 2]])
    with pytest.raises(ToolFailed, match="there is one table"):
        await ask(tool, query="SELECT * FROM users")


async def test_whoever_writes_python_gets_them_by_name(workspace: Workspace) -> None:
    (tool,) = await workspace.tools("sql")
    assert (await ask(tool, query="SELECT count(*) FROM products"))["rows"] == [[3]]
    assert len(await workspace.tools(catalog="perfumes")) == len(BUILT_IN)
    with pytest.raises(NotFound, match="there is no tool “sqll”, did you mean “sql”"):
        await workspace.tools("sqll")


async def test_a_team_sees_its_own_catalogues_alone(workspace: Workspace) -> None:
    add = teams.insert().values(id=7, name="other", share=1.0, created_at=0.0)
    await workspace.database.write(lambda conn: conn.execute(add))
    own, foreign = using(workspace, 1), using(workspace, 7)
    assert (await own(ITEM, "catalogue", {"key": "P1"}))["total"] == 1
    with pytest.raises(NotFound, match="no catalogue yet"):
        await foreign(ITEM, "catalogue", {"key": "P1"})
    with pytest.raises(NotFound):
        await foreign(ITEM, "sql", {"query": "SELECT * FROM products", "catalog": "perfumes"})
    stranger = workspace.acting(Actor("eve", {7: "admin"}))
    with pytest.raises(ToolFailed, match="no catalogue yet"):
        await ask(named(equip(await scope_of(stranger)), "catalogue"), key="P1")


async def test_a_run_sees_the_catalogue_it_is_over(workspace: Workspace, tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "soaps.csv", [{"sku": "S1", "name": "Savon"}])
    await workspace.import_catalog([sheet], key="sku", catalog="soaps")
    soaps = await workspace.find_catalog("soaps")
    use = using(workspace, 1, soaps.id)
    assert (await use(ITEM, "catalogue", {"catalog": "perfumes"}))["products"][0]["key"] == "S1"
    with pytest.raises(NotFound, match="several catalogues"):
        await using(workspace, 1)(ITEM, "catalogue", {})


async def test_knowledge_is_searched_and_the_passages_are_told(workspace: Workspace) -> None:
    asked: list[Search] = []
    cited: list[Passage] = []

    async def search(wanted: Search) -> list[Passage]:
        asked.append(wanted)
        if wanted.knowledge != "manuals":
            raise NotFound(f"there is no knowledge base “{wanted.knowledge}”")
        return [Passage("a1", "care.md", "Wash cold.", "Care", ("Washing",), 2)]

    scope = Scope(
        workspace.settings, workspace.database, workspace.actor, search,
        bases=("manuals",), found=cited.extend,
    )  # fmt: skip
    tool = named(equip(scope, ("knowledge",)), "knowledge")
    assert "manuals" in tool.description
    found = await ask(tool, base="manuals", query="how to wash", top=99)
    assert found == [{"id": "a1", "place": "Care › Washing › p. 2", "text": "Wash cold."}]
    assert asked[0] == Search("manuals", "how to wash", 10) and [one.id for one in cited] == ["a1"]
    with pytest.raises(ToolFailed, match="no knowledge base “recipes”"):
        await ask(tool, base="recipes", query="x")


async def test_a_step_names_the_bases_that_may_be_searched(tmp_path: Path) -> None:
    async def search(wanted: Search) -> list[Passage]:
        return [Passage("a1", "care.md", wanted.knowledge)]

    scope = Scope(written(tmp_path / "bare", ""), search=search)
    (tool,) = equip(scope, ("knowledge:manuals", "knowledge:care"))
    assert tool.parameters["properties"]["base"]["enum"] == ["manuals", "care"]
    assert (await ask(tool, base="care", query="x"))[0]["text"] == "care"
    with pytest.raises(ToolFailed, match="recipes"):
        await ask(tool, base="recipes", query="x")
    with pytest.raises(ToolFailed, match="no knowledge base “recipes” here"):
        await tool.call({"base": "recipes", "query": "x"})


def written(folder: Path, more: str) -> Settings:
    """Load a workspace's settings with further lines."""
    make_workspace(folder, "http://127.0.0.1:9/v1")
    file = folder / "waremill.toml"
    file.write_text(file.read_text() + more)
    return load_settings(folder)


async def test_own_functions_are_tools_by_the_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_tools_a.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    settings = written(
        tmp_path / "bare", '[tools]\nfunctions = ["shop_tools_a:stock", "shop_tools_a:reserve"]\n'
    )
    stock, reserve = declared(settings, ("stock", "reserve"))
    assert await stock.use('{"sku": "ABC"}') == "3" and reserve.changes
    with pytest.raises(NotFound, match="no tool “stok”, did you mean “stock”"):
        declared(settings, ("stok",))
    with pytest.raises(NotFound):
        declared(settings, ("shop_tools_a:number",))
    sys.modules.pop("shop_tools_a")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("shop_tools_b:calculator", "two tools are called “calculator”"),
        ("shop_tools_b:number", "is a int, and no function or tool"),
        ("shop_tools_b:missing", "has no missing"),
        ("no_such_module:x", "cannot be imported"),
    ],
)
async def test_what_the_settings_name_wrongly_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    (tmp_path / "shop_tools_b.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    settings = written(tmp_path / "bare", f'[tools]\nfunctions = ["{path}"]\n')
    with pytest.raises(ConfigError, match=said):
        declared(settings, ("calculator",))
    sys.modules.pop("shop_tools_b", None)


@pytest.mark.parametrize(
    "more", ['allow = ["ftp://x"]', 'allow = ["https://u:p@x/"]', 'functions = ["os system"]']
)
async def test_settings_that_make_no_sense_are_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigError, match="tools"):
        written(tmp_path / "bare", f"[tools]\n{more}\n")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[str]:
    """A shop's API on loopback."""
    asked: list[str] = []

    async def price(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.json_response({"price": 9})

    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/latest")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(text="y" * 1_000_000)

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(3)
        return web.Response()

    app = web.Application()
    app.add_routes(
        [web.get("/v1/price", price), web.get("/v1/away", away), web.get("/v1/large", large),
         web.get("/v1/slow", slow)]
    )  # fmt: skip
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/"
    await runner.cleanup()


async def test_http_get_reads_what_is_allowed(tmp_path: Path, server: str) -> None:
    more = f'[tools]\nallow = ["{server}"]\nallow_private = true\nseconds = 1\n'
    (tool,) = declared(written(tmp_path / "bare", more), ("http_get",))
    assert server in tool.description
    assert await ask(tool, url=f"{server}price?sku=A") == {"price": 9}
    assert "cut after" in await tool.use(json.dumps({"url": f"{server}large"}))
    with pytest.raises(ToolFailed, match="not allowed"):
        await ask(tool, url=f"{server}away")
    with pytest.raises(ToolFailed, match="cannot be reached"):
        await ask(tool, url=f"{server}slow")
    with pytest.raises(ToolFailed, match="not allowed"):
        await ask(tool, url=server.replace("/v1/", "/admin"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_http_get_reaches_no_private_address_unless_permitted(
    tmp_path: Path, server: str, host: str
) -> None:
    server = server.replace("127.0.0.1", host)
    (tool,) = declared(
        written(tmp_path / "bare", f'[tools]\nallow = ["{server}"]\n'), ("http_get",)
    )
    with pytest.raises(ToolFailed, match="private address"):
        await ask(tool, url=f"{server}price")


async def test_a_question_that_takes_too_long_is_stopped(workspace: Workspace) -> None:
    def forever(conn: Any) -> Any:
        if conn.dialect.name == "postgresql":
            return conn.exec_driver_sql("SELECT pg_sleep(20)").all()
        return conn.exec_driver_sql(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        ).all()

    with pytest.raises(ConfigError, match="reading took longer"):
        await workspace.database.read_within(0.3, forever)
    assert (await workspace.products())[2] == 3
