"""The tools of a chat: looking into the catalogue and the knowledge, and drafting.

They see what who talks sees. What they find is numbered, so that it can be cited; what they draft
is shown to the user and neither saved nor started. None of them starts a run.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from waremill.app import equipping
from waremill.app.browsing import Browse
from waremill.app.chatting.finding import best_of, product_source
from waremill.app.editing import Editor
from waremill.app.linting import Lint
from waremill.app.status import money
from waremill.chat.replying import Reply
from waremill.chat.telling import written
from waremill.chat.turns import Draft
from waremill.errors import UserError
from waremill.tools.tool import Marks, Tool, ToolFailed, tool_of

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

MOST_PASSAGES = 8
MOST_PRODUCTS = 20
SAMPLES = 3
LONGEST_TEMPLATE = 20_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OURS = frozenset({"catalogue", "knowledge"})
"""Built-in tools that a chat has its own of, which number what they find."""
FORMAT = """\
Draft a template: a prompt, in YAML, by which copy is made for every product. The user sees it \
checked, opens it in the editor and decides. Its form:
name: short-name
description: one line
instruction: |
  You write product copy in {{ language }} for shoppers in {{ market }}.
input:
  - name: {required: true}
  - brand
requirements:
  - Use only facts from the input.
output:
  title: {type: string, max_chars: 60}
  points: {type: array, items: {type: string, max_chars: 80}, min: 3, max: 3}
checks: [language, grounded-numbers]"""


@dataclass(frozen=True, slots=True)
class Talk:
    """What a conversation is over: the bases that may be searched, and the catalogue, if any."""

    bases: tuple[str, ...]
    catalog: str | None
    columns: tuple[str, ...] = ()


async def tools_for(workspace: Workspace, talk: Talk, reply: Reply) -> tuple[Tool, ...]:
    """Give the tools a reply may be written with; own ones are those the settings name."""
    found: list[Tool] = []
    if talk.bases:
        found.append(_search_knowledge(workspace, talk, reply))
    if talk.catalog is not None:
        found += [
            _find_products(workspace, talk, reply), _draft_selection(workspace, talk, reply),
            _save_selection(workspace, talk), _estimate_run(workspace, talk, reply),
        ]  # fmt: skip
    found.append(_draft_template(workspace, talk, reply))
    scope = await equipping.scope_of(workspace, talk.catalog)
    scope = replace(scope, bases=talk.bases)
    names = {one.name for one in found}
    for one in equipping.equip(scope):
        useless = (one.name == "http_get" and not workspace.settings.tools.allow) or (
            one.name == "sql" and talk.catalog is None
        )
        if not (useless or one.name in _OURS or one.name in names):
            found.append(one)
    return tuple(found)


def _search_knowledge(workspace: Workspace, talk: Talk, reply: Reply) -> Tool:
    async def search_knowledge(
        query: Annotated[str, "what to look for: a question or a few words"],
        base: Annotated[str | None, "one knowledge base; all where left out"] = None,
        top: Annotated[int, f"how many passages, at most {MOST_PASSAGES}"] = 4,
    ) -> str:
        if base is not None and base not in talk.bases:
            raise ToolFailed(f"there is no such knowledge base; use {', '.join(talk.bases)}")
        bases = talk.bases if base is None else (base,)
        found = await best_of(workspace, bases, (query,), max(1, min(top, MOST_PASSAGES)))
        sources = [
            reply.given.add("passage", of, one.id, one.document, one.place, one.text)
            for of, one in found
        ]
        return "\n".join(map(written, sources)) or "nothing was found"

    words = "Search the shop's documents for numbered passages, to be cited by their numbers."
    return _tool(search_knowledge, Marks("search_knowledge", words))


def _find_products(workspace: Workspace, talk: Talk, reply: Reply) -> Tool:
    async def find_products(
        where: Annotated[
            str | None,
            "a condition in SQL's syntax over the columns, such as brand = 'Acme' AND price > 30; "
            "missing(notes) picks products without notes",
        ] = None,
        search: Annotated[str | None, "words or a description the products should fit"] = None,
        limit: Annotated[int, f"how many products, at most {MOST_PRODUCTS}"] = 5,
    ) -> str:
        most = max(1, min(limit, MOST_PRODUCTS))
        catalog, products, total = await workspace.products(
            where or None, limit=most, catalog=talk.catalog, search=search or None
        )
        sources = [product_source(reply.given, catalog.name, one) for one in products]
        count = "" if search else f"{total:,} products fit; the first {len(sources)}:\n"
        return count + "\n".join(map(written, sources)) if sources else "no product fits"

    words = "Look products up in the catalogue; each is numbered, to be cited by its number."
    return _tool(find_products, Marks("find_products", words))


def _draft_selection(workspace: Workspace, talk: Talk, reply: Reply) -> Tool:
    async def draft_selection(
        where: Annotated[
            str, "the condition in SQL's syntax over the columns; missing(x): x has no value"
        ],
        targets: Annotated[
            list[str] | None, "for whom copy is to be made, such as fr-FR, if the user said so"
        ] = None,
    ) -> dict[str, Any]:
        catalog, products, total = await workspace.products(
            where, limit=SAMPLES, catalog=talk.catalog, targets=tuple(targets or ())
        )
        samples = [{"key": one.key, "name": _name_of(one.attributes, one.key)} for one in products]
        command = ["waremill", "run", "PIPELINE", "--catalog", catalog.name, "--where", where]
        for target in targets or ():
            command += ["--target", target]
        body = {
            "catalog": catalog.name, "where": where, "targets": list(targets or ()),
            "count": total, "samples": samples, "command": shlex.join(command),
        }  # fmt: skip
        reply.draft(Draft("selection", body))
        return {"count": total, "samples": samples, "shown": "the user sees this draft"}

    words = (
        "Draft a selection of products by a condition. The user sees how many it picks, three of "
        "them and the condition, and opens or runs it themselves."
    )
    return _tool(draft_selection, Marks("draft_selection", words))


def _draft_template(workspace: Workspace, talk: Talk, reply: Reply) -> Tool:
    async def draft_template(
        name: Annotated[str, "small letters, digits and hyphens"],
        text: Annotated[str, "the whole YAML"],
    ) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise ToolFailed("the name has small letters, digits and hyphens, at most 64")
        if len(text) > LONGEST_TEMPLATE:
            raise ToolFailed(f"the template has more than {LONGEST_TEMPLATE:,} characters")
        found = await Editor(workspace).lint(f"templates/{name}.yaml", text, talk.catalog)
        errors = [_said(one) for one in found if one.severity == "error"]
        if errors:
            raise ToolFailed(f"mend this and draft it again: {'; '.join(errors[:8])}")
        others = [
            {"line": one.line, "message": one.message} for one in found if one.severity == "warning"
        ]
        reply.draft(Draft("template", {"name": name, "text": text, "problems": others}))
        return {"problems": others, "shown": "the user sees this draft"}

    return _tool(draft_template, Marks("draft_template", FORMAT))


def _estimate_run(workspace: Workspace, talk: Talk, reply: Reply) -> Tool:
    async def estimate_run(
        pipeline: Annotated[str, "a pipeline's or template's name"],
        where: Annotated[str | None, "which products; all where left out"] = None,
        targets: Annotated[list[str] | None, "for whom, such as fr-FR"] = None,
    ) -> dict[str, Any]:
        seen = await workspace.seen()
        found = await seen.estimate(
            pipeline, where=where or None, targets=list(targets or ()), catalog=talk.catalog
        )
        settings = workspace.settings
        cost = None if found.cost is None else money(found.cost.expected, settings.per_usd)
        body = {
            "pipeline": pipeline, "where": where or "", "targets": list(targets or ()),
            "products": found.products, "items": found.items, "cost": cost,
            "currency": settings.currency, "minutes": round(found.seconds.expected / 60, 1),
        }  # fmt: skip
        reply.draft(Draft("estimate", body))
        return body

    words = "Estimate what a run would cost and take. It is free, and starts nothing."
    return _tool(estimate_run, Marks("estimate_run", words))


def _save_selection(workspace: Workspace, talk: Talk) -> Tool:
    async def save_selection(
        name: Annotated[str, "what it is to be called"],
        where: Annotated[str, "the condition in SQL's syntax"],
    ) -> str:
        saved = await Browse(workspace).save_selection(talk.catalog, name, where)
        return f"the selection “{saved.name}” is saved"

    words = "Save a selection under a name in the catalogue. The user is asked to permit it."
    return _tool(save_selection, Marks("save_selection", words, changes=True))


def _tool(function: Callable[..., Awaitable[Any]], marks: Marks) -> Tool:
    """Make a tool of a use case: what the user would be told, the model is told."""

    @functools.wraps(function)
    async def told(*args: Any, **given: Any) -> Any:
        try:
            return await function(*args, **given)
        except UserError as error:
            raise ToolFailed(str(error)) from error

    return tool_of(told, marks)


def _said(one: Lint) -> str:
    place = "" if one.line is None else f"line {one.line}: "
    return f"{place}{one.message}"


def _name_of(attributes: Any, key: str) -> str:
    for name in ("name", "title", "名称", "标题"):
        if attributes.get(name):
            return str(attributes[name])[:120]
    return key


__all__ = ["Talk", "tools_for"]
