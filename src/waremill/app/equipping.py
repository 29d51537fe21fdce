"""Which tools there are: the built-in ones, wired to the use cases they look into, and one's own.

A tool sees what its actor sees: in a run that is the run's team alone. None of the built-in ones
changes anything. Own tools are named in `waremill.toml` and nowhere else: a request, a template or
a model can choose among the tools there are, and never add one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from sqlalchemy import Connection

from waremill.app.acting import Actor
from waremill.app.filtering import compile_selection
from waremill.app.finding import list_catalogs
from waremill.catalog.query import TABLE, compile_question
from waremill.domain import Item, Passage, Search
from waremill.errors import ConfigError, NotFound, UserError
from waremill.pipeline import Use
from waremill.rules.document import suggestion
from waremill.settings import Settings
from waremill.store import products as store_products
from waremill.store.database import Database
from waremill.store.products import Catalog
from waremill.store.tables import products
from waremill.tools.adapters.opening import open_runnable, open_tool
from waremill.tools.builtin.calculator import calculator
from waremill.tools.builtin.http_get import Fetched, http_get
from waremill.tools.loop import LoopLimits
from waremill.tools.tool import Marks, Tool, ToolFailed, tool_of

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SECONDS = 5.0
"""How long one question to the catalogue may take."""
MOST_PRODUCTS = 20
MOST_PASSAGES = 10
LONGEST_VALUE = 500
"""Characters of one attribute's value that a look-up gives."""
SHOWN_COLUMNS = 60
BUILT_IN = ("calculator", "catalogue", "http_get", "knowledge", "sql")
KNOWLEDGE = "knowledge:"
Searching = Callable[[Search], Awaitable[Sequence[Passage]]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where tools look, and for whom.

    `catalog` is the id of the only catalogue they see, None for all the actor sees; `columns` are
    told to the model. `bases` are the knowledge bases' names, where known; `bound` says that no
    other may be searched. `found` is told which passages a search gave, for citations.
    """

    settings: Settings
    database: Database | None = None
    actor: Actor | None = None
    search: Searching | None = None
    catalog: int | None = None
    columns: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    bound: bool = False
    found: Callable[[Sequence[Passage]], None] | None = None


def limits_of(settings: Settings) -> LoopLimits:
    """Give what bounds a model that calls tools."""
    given = settings.tools
    return LoopLimits(turns=given.turns, tokens=given.tokens, seconds=given.seconds)


def runnable_of(settings: Settings, name: str) -> Any:
    """Give the LangChain Runnable the settings name; raises NotFound where they name none."""
    path = settings.tools.runnables.get(name)
    if path is None:
        hint = suggestion(name, settings.tools.runnables)
        raise NotFound(f"waremill.toml names no Runnable “{name}” in [tools] runnables{hint}")
    return open_runnable(path)


def tool_names(settings: Settings) -> tuple[str, ...]:
    """List the tools that may be named; raises ConfigError where an own one cannot be opened."""
    return (*BUILT_IN, *(one.name for one in _own(settings)))


def equip(scope: Scope, names: Sequence[str] | None = None) -> tuple[Tool, ...]:
    """Give tools by their names, or all there are; raises NotFound for a name that is none.

    `knowledge:NAME` is the tool knowledge over that base alone, or over several that are named so.
    """
    if names is not None:
        named = tuple(one.partition(":")[2] for one in names if one.startswith(KNOWLEDGE))
        names = tuple(
            dict.fromkeys("knowledge" if one.startswith(KNOWLEDGE) else one for one in names)
        )
        scope = replace(scope, bases=named or scope.bases, bound=bool(named))
    own = {one.name: one for one in _own(scope.settings)}
    makers: dict[str, Callable[[], Tool]] = {
        "calculator": calculator,
        "catalogue": lambda: _catalogue(scope),
        "http_get": lambda: http_get(scope.settings.tools.allow, _fetch_for(scope.settings)),
        "knowledge": lambda: _knowledge(scope),
        "sql": lambda: _sql(scope),
    }
    found = []
    for name in names if names is not None else (*BUILT_IN, *own):
        if name in makers:
            found.append(makers[name]())
        elif name in own:
            found.append(own[name])
        else:
            known = (*makers, *own)
            raise NotFound(f"there is no tool “{name}”{suggestion(name, known)}")
    return tuple(found)


def declared(settings: Settings, names: Sequence[str]) -> tuple[Tool, ...]:
    """Give tools as a model is told of them; a step calls them through its context."""
    return equip(Scope(settings), names)


def using(workspace: Workspace, team: int, catalog: int | None = None) -> Use:
    """Give a way to call tools for items of a team, which sees nothing of another's."""
    inside = workspace.as_team(team)
    scope = Scope(workspace.settings, workspace.database, inside.actor, inside.search, catalog)
    equipped: dict[str, Tool] = {}

    async def use(_item: Item, name: str, arguments: Mapping[str, Any]) -> Any:
        if name not in equipped:
            equipped.update((one.name, one) for one in equip(scope, (name,)))
        return await equipped[name].call(arguments)

    return use


async def scope_of(
    workspace: Workspace,
    catalog: str | None = None,
    found: Callable[[Sequence[Passage]], None] | None = None,
) -> Scope:
    """Give the scope of somebody who talks to a model, with what the model may be told of it."""
    from waremill.app import informing  # which knows pipelines, and these are built with tools

    known = await list_catalogs(workspace.database, workspace.actor)
    chosen = store_products.pick_catalog(known, catalog) if catalog is not None else None
    if chosen is None and len(known) == 1:
        chosen = known[0]
    bases = await informing.base_names(workspace)
    scope = Scope(
        workspace.settings, workspace.database, workspace.actor, workspace.search,
        bases=bases, found=found,
    )  # fmt: skip
    if chosen is None:
        return scope
    return replace(scope, catalog=chosen.id, columns=chosen.columns)


def _own(settings: Settings) -> list[Tool]:
    found = [open_tool(path) for path in settings.tools.functions]
    names = [*BUILT_IN, *(one.name for one in found)]
    for one in found:
        if names.count(one.name) > 1:
            raise ConfigError(
                f"two tools are called “{one.name}”; give one another name in waremill.toml's "
                "[tools] functions by tool(name=…)"
            )
    return found


# The catalogue.


async def _catalog(scope: Scope, name: str | None) -> tuple[Database, Catalog]:
    if scope.database is None or scope.actor is None:
        raise ConfigError("there is no catalogue here that a tool could look into")
    known = await list_catalogs(scope.database, scope.actor)
    if scope.catalog is not None:
        known = [one for one in known if one.id == scope.catalog]
        name = None
    return scope.database, store_products.pick_catalog(known, name)


def _catalogue(scope: Scope) -> Tool:
    async def catalogue(
        key: Annotated[str | None, "the key of one product"] = None,
        where: Annotated[
            str | None, "a condition in SQL's syntax, such as brand = 'Acme' AND price > 30"
        ] = None,
        columns: Annotated[list[str] | None, "which attributes to give; all where left out"] = None,
        limit: Annotated[int, f"how many products, at most {MOST_PRODUCTS}"] = 5,
        catalog: Annotated[str | None, "which catalogue, where there are several"] = None,
    ) -> dict[str, Any]:
        database, found = await _catalog(scope, catalog)
        condition = None
        if key is not None:
            condition = products.c.key == key
        elif where:
            condition = compile_selection(found, where, database.dialect)
        query = store_products.chosen(found.id, condition).order_by(products.c.id)
        query = query.limit(max(1, min(limit, MOST_PRODUCTS)))

        def read(conn: Connection) -> tuple[list[Any], int]:
            return list(conn.execute(query)), store_products.count_where(conn, found.id, condition)

        rows, total = await _within(database, read)
        wanted = set(columns) if columns else None
        return {
            "total": total,
            "products": [
                {"key": row.key, **_brief(row.attributes, wanted)} for row in rows
            ],
        }  # fmt: skip

    words = f"Look products up in the shop's catalogue, by key or by a condition.{_told(scope)}"
    return tool_of(catalogue, Marks("catalogue", words))


def _sql(scope: Scope) -> Tool:
    async def sql(
        query: Annotated[str, "SELECT … FROM products WHERE … GROUP BY … ORDER BY … LIMIT …"],
        catalog: Annotated[str | None, "which catalogue, where there are several"] = None,
    ) -> dict[str, Any]:
        database, found = await _catalog(scope, catalog)
        question = compile_question(
            query, products.c.attributes, found.columns, database.dialect, {"_key": products.c.key}
        )
        statement = question.statement(store_products.chosen(found.id))

        def read(conn: Connection) -> list[Any]:
            return list(conn.execute(statement))

        rows = question.rows(await _within(database, read))
        return {
            "columns": [one.label for one in question.columns],
            "rows": [[_short(value) for value in row] for row in rows],
            "limit": question.limit,
        }

    words = (
        f"Ask the shop's catalogue by one SELECT over the table {TABLE}, whose columns are the "
        "products' attributes and _key. Count, sum, avg, min, max, GROUP BY, ORDER BY and LIMIT "
        f"are known; joins and subqueries are not.{_told(scope)}"
    )
    return tool_of(sql, Marks("sql", words))


async def _within(database: Database, read: Callable[[Connection], Any]) -> Any:
    try:
        return await database.read_within(SECONDS, read)
    except ConfigError as error:
        raise ToolFailed(f"this took longer than {SECONDS:g} s; narrow it") from error


def _told(scope: Scope) -> str:
    """Say which attributes there are, for the model; in a run they stand in the product."""
    if not scope.columns:
        return ""
    shown = ", ".join(scope.columns[:SHOWN_COLUMNS])
    more = len(scope.columns) - SHOWN_COLUMNS
    return f" Attributes: {shown}{f' and {more} more' if more > 0 else ''}."


def _brief(attributes: Mapping[str, Any], wanted: set[str] | None) -> dict[str, Any]:
    return {
        name: _short(value)
        for name, value in attributes.items()
        if wanted is None or name in wanted
    }


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}…"
    return value


# Knowledge, and the outside.


def _knowledge(scope: Scope) -> Tool:
    async def knowledge(
        base: Annotated[str, "the knowledge base's name"],
        query: Annotated[str, "what to look for, in a few words or a question"],
        top: Annotated[int, f"how many passages, at most {MOST_PASSAGES}"] = 3,
    ) -> list[dict[str, Any]]:
        if scope.bound and base not in scope.bases:
            raise ToolFailed(f"there is no knowledge base “{base}” here")
        if scope.search is None:
            raise ConfigError("there is no knowledge here that a tool could search")
        try:
            passages = await scope.search(Search(base, query, max(1, min(top, MOST_PASSAGES))))
        except UserError as error:
            raise ToolFailed(str(error)) from error
        if scope.found is not None:
            scope.found(passages)
        return [{"id": one.id, "place": one.place, "text": one.text} for one in passages]

    shown = f" Knowledge bases: {', '.join(scope.bases)}." if scope.bases else ""
    words = f"Search the shop's documents for passages that answer a question.{shown}"
    made = tool_of(knowledge, Marks("knowledge", words))
    if not scope.bound:
        return made
    properties = {**made.parameters["properties"]}
    properties["base"] = {**properties["base"], "enum": list(scope.bases)}
    return replace(made, parameters={**made.parameters, "properties": properties})


def _fetch_for(settings: Settings) -> Callable[[str, int], Awaitable[Fetched]]:
    async def fetch(url: str, most: int) -> Fetched:
        import aiohttp

        from waremill.app.reaching import open_session

        seconds = min(20.0, settings.tools.seconds)
        try:
            async with (
                open_session(settings.tools.allow_private, seconds) as session,
                session.get(url, allow_redirects=False, headers={"Accept": "*/*"}) as reply,
            ):
                location = reply.headers.get("Location") if 300 <= reply.status < 400 else None
                content = bytearray()
                async for chunk in reply.content.iter_chunked(65_536):
                    content += chunk
                    if len(content) > most:
                        break
                kind = reply.headers.get("Content-Type", "")
                return Fetched(
                    reply.status, kind, bytes(content[:most]), location, len(content) <= most
                )
        except aiohttp.ClientError as error:
            reason = getattr(error, "os_error", None) or error
            raise OSError(str(reason) or type(error).__name__) from error

    return fetch


__all__ = [
    "BUILT_IN", "Scope", "declared", "equip", "limits_of", "runnable_of", "scope_of", "tool_names",
    "using",
]  # fmt: skip
