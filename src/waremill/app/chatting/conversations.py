"""The use cases about conversations: list, show, rename, choose a branch, export, delete.

A conversation is its owner's alone, and only while they are in the team that pays for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.chatting import live
from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.status import money
from waremill.chat.exporting import FORMATS, Format, as_jsonl, as_markdown
from waremill.chat.turns import Turn, leaf_below, path_to, read_made
from waremill.domain import storable
from waremill.errors import ConfigError, Conflict, NotFound
from waremill.store import conversations as store
from waremill.store.conversations import Conversation, Sums
from waremill.store.tables import AnyRow

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LONGEST_TITLE = 120
MEDIA_TYPES: Mapping[Format, str] = {
    "markdown": "text/markdown; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
ENDINGS: Mapping[Format, str] = {"markdown": "md", "jsonl": "jsonl"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation in a list, and what it came to; `working` says that a reply is being
    written.
    """

    conversation: Conversation
    sums: Sums
    working: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A conversation with the turns of all its branches, in the order they were begun."""

    conversation: Conversation
    turns: tuple[Turn, ...]
    sums: Sums

    @property
    def branch(self) -> tuple[Turn, ...]:
        """The turns of the branch that is shown, from the first."""
        return path_to(self.turns, self.conversation.leaf)

    def turn(self, number: int) -> Turn:
        """Give a turn; raises NotFound where there is none of that number."""
        found = next((one for one in self.turns if one.id == number), None)
        if found is None:
            raise NotFound(f"conversation {self.conversation.id} has no turn {number}")
        return found


async def find(workspace: Workspace, number: int) -> Conversation:
    """Give the actor's conversation; raises NotFound for another's, or of a team they left."""
    actor = workspace.actor
    found = await workspace.database.read(store.find, number, actor.name)
    if actor.role(found.team_id) is None:
        raise NotFound(f"there is no conversation {number}")
    return found


async def find_named(workspace: Workspace, name: str) -> Conversation:
    """Give the actor's conversation by its number as text, or the one changed `last`."""
    if name == "last":
        page = await listed(workspace, size=1)
        if not page.rows:
            raise NotFound("there is no conversation yet")
        return page.rows[0].conversation
    if not (name.isascii() and name.isdigit() and len(name) < 16):
        raise ConfigError(f"“{name[:40]}” is no conversation: give its number, or last")
    return await find(workspace, int(name))


async def listed(
    workspace: Workspace, *, cursor: str | None = None, size: int = SIZE
) -> Page[Listed]:
    """Give a page of the actor's conversations, the ones changed last first."""
    size = page_size(size)
    before = None
    if cursor is not None:
        place = decode_cursor(cursor)
        at, number = place.get("at"), place.get("id")
        if type(at) is not float or type(number) is not int or not 0 < number < 1 << 62:
            raise bad_cursor()
        before = (at, number)
    actor = workspace.actor

    def read(conn: Connection) -> tuple[list[Conversation], dict[int, Sums]]:
        found = store.newest(conn, actor.name, actor.sees, before=before, limit=size + 1)
        return found, store.sums(conn, [one.id for one in found])

    found, sums = await workspace.database.read(read)
    more = None
    if len(found) > size:
        last = found[size - 1]
        more = encode_cursor({"at": last.changed_at, "id": last.id})
    rows = tuple(
        Listed(one, sums.get(one.id, Sums()), live.of(workspace, one.id) is not None)
        for one in found[:size]
    )
    return Page(rows, more)


async def show(workspace: Workspace, number: int) -> Shown:
    """Give the actor's conversation with all its turns."""
    conversation = await find(workspace, number)

    def read(conn: Connection) -> tuple[list[AnyRow], dict[int, Sums]]:
        return store.read_turns(conn, number), store.sums(conn, [number])

    rows, sums = await workspace.database.read(read)
    writing = live.of(workspace, number)
    turns = tuple(turn_of(row, None if writing is None else writing.turn) for row in rows)
    return Shown(conversation, turns, sums.get(number, Sums()))


def turn_of(row: AnyRow, writing: int | None = None) -> Turn:
    """Read a stored turn; one that nobody writes any more was interrupted, so it is `stopped`."""
    state = row.state
    if state == store.WORKING and row.id != writing:
        state = "stopped"
    return Turn(
        id=row.id, parent=row.parent_id, question=row.question, model=row.model, state=state,
        reply=row.reply, input=row.input, output=row.output, cached=row.cached,
        list_cost=row.list_cost, paid=row.paid, first=row.first_token, seconds=row.seconds,
        error=row.error, at=row.created_at, take=row.take, **read_made(orjson.loads(row.made)),
    )  # fmt: skip


async def rename(workspace: Workspace, number: int, title: str) -> Conversation:
    """Give a conversation another title."""
    conversation = await find(workspace, number)
    title = " ".join(storable(title).split())
    if not title or len(title) > LONGEST_TITLE:
        raise ConfigError(f"a title has 1 to {LONGEST_TITLE} characters")
    await workspace.database.write(store.change, number, title=title)
    return replace(conversation, title=title)


async def choose(workspace: Workspace, number: int, turn: int) -> Conversation:
    """Show the branch that holds a turn, down to its newest end."""
    shown = await show(workspace, number)
    if live.of(workspace, number) is not None:
        raise Conflict(f"a reply is being written in conversation {number}; stop it first")
    leaf = leaf_below(shown.turns, shown.turn(turn).id)
    await workspace.database.write(store.change, number, leaf=leaf)
    return replace(shown.conversation, leaf=leaf)


async def delete(workspace: Workspace, number: int) -> None:
    """Delete a conversation for good; a reply that is being written is stopped first."""
    conversation = await find(workspace, number)
    writing = live.of(workspace, number)
    if writing is not None:
        writing.stop()
        await writing.ended()

    def remove(conn: Connection) -> None:
        store.remove(conn, number)
        auditing.record(
            conn, workspace.actor, "chat.delete", f"conversation {number}", conversation.team_id
        )

    await workspace.database.write(remove)


async def export(workspace: Workspace, number: int, format: Format) -> tuple[str, bytes]:
    """Give a file's name and content: the branch shown as Markdown, or all turns as JSON lines."""
    if format not in FORMATS:
        raise ConfigError(f"a conversation is exported as {' or '.join(FORMATS)}, not “{format}”")
    shown = await show(workspace, number)
    name = f"chat-{number}.{ENDINGS[format]}"
    if format == "jsonl":
        return name, as_jsonl(shown.turns)
    text = await asyncio.to_thread(as_markdown, shown.conversation.title, shown.branch)
    return name, text.encode()


async def drafted_template(workspace: Workspace, place: str) -> str:
    """Give the text of a template drafted in the actor's conversation.

    `place` is the conversation, the turn and which draft, as in `3.7.0`. Raises NotFound.
    """
    match = re.fullmatch(r"(\d{1,15})\.(\d{1,15})\.(\d{1,3})", place, re.ASCII)
    if match is None:
        raise NotFound(f"there is no draft “{place[:40]}”")
    conversation, turn, number = map(int, match.groups())
    drafts = (await show(workspace, conversation)).turn(turn).drafts
    if number >= len(drafts) or drafts[number].kind != "template":
        raise NotFound(f"there is no draft “{place}”")
    return str(drafts[number].body["text"])


def cost_of(sums: Sums | Turn, per_usd: float) -> float | None:
    """Give what was paid in the workspace's currency; None where a part is not known."""
    if isinstance(sums, Turn):
        return money(sums.paid, per_usd)
    return money(sums.paid, per_usd) if sums.priced else None


def titled(question: str) -> str:
    """Give a conversation's first title: the beginning of its first question."""
    words = " ".join(question.split())
    return words if len(words) <= 60 else f"{words[:59]}…"


__all__ = [
    "ENDINGS",
    "MEDIA_TYPES",
    "Listed",
    "Shown",
    "choose",
    "cost_of",
    "delete",
    "drafted_template",
    "export",
    "find",
    "find_named",
    "listed",
    "rename",
    "show",
    "titled",
    "turn_of",
]
