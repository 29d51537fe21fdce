"""Conversations and their turns: what was asked, what came of it, and which branch is shown.

A turn is only ever added; editing or asking again adds a neighbour below the same parent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from waremill.errors import NotFound
from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_chat import chat_turns, conversations

WORKING = "working"
"""The state of a turn whose reply is being written."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation: who talks, which team pays, and over what; times are Unix seconds.

    `leaf` is the last turn of the branch that is shown, None before the first turn.
    """

    id: int
    team_id: int
    owner: str
    title: str
    knowledge: tuple[str, ...]
    catalog: str | None
    model: str
    leaf: int | None
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Sums:
    """What a conversation's turns came to: how many, and nano-USD; `priced` where all is known."""

    turns: int = 0
    paid: int = 0
    priced: bool = True


def _conversation(row: AnyRow) -> Conversation:
    return Conversation(
        row.id, row.team_id, row.owner, row.title, tuple(orjson.loads(row.knowledge)), row.catalog,
        row.model, row.leaf, row.created_at, row.changed_at,
    )  # fmt: skip


def create(conn: Connection, values: Mapping[str, Any]) -> Conversation:
    """Make a conversation of its team, owner, title, knowledge, catalogue and model."""
    now = time.time()
    given = {**values, "knowledge": dumps(list(values["knowledge"]))}
    number = conn.execute(
        insert(conversations).values(**given, created_at=now, changed_at=now)
    ).inserted_primary_key
    assert number is not None
    return find(conn, number[0], str(values["owner"]))


def find(conn: Connection, number: int, owner: str) -> Conversation:
    """Give somebody's conversation; raises NotFound for one that is another's."""
    row = conn.execute(
        select(conversations).where(conversations.c.id == number, conversations.c.owner == owner)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no conversation {number}")
    return _conversation(row)


def newest(
    conn: Connection,
    owner: str,
    teams: Sequence[int] | None,
    *,
    before: tuple[float, int] | None = None,
    limit: int,
) -> list[Conversation]:
    """Give somebody's conversations, the ones changed last first; `teams` None means all."""
    table = conversations.c
    query = select(conversations).where(table.owner == owner)
    if teams is not None:
        query = query.where(table.team_id.in_(teams))
    if before is not None:
        at, number = before
        query = query.where(
            or_(table.changed_at < at, and_(table.changed_at == at, table.id < number))
        )
    query = query.order_by(table.changed_at.desc(), table.id.desc()).limit(limit)
    return [_conversation(row) for row in conn.execute(query)]


def change(conn: Connection, number: int, /, **values: Any) -> None:
    """Change a conversation's title, leaf, model, knowledge or catalogue."""
    if "knowledge" in values:
        values["knowledge"] = dumps(list(values["knowledge"]))
    conn.execute(update(conversations).where(conversations.c.id == number).values(**values))


def remove(conn: Connection, number: int) -> None:
    """Delete a conversation with all its turns; what they cost stays in the ledger."""
    conn.execute(delete(chat_turns).where(chat_turns.c.conversation_id == number))
    conn.execute(delete(conversations).where(conversations.c.id == number))


def read_turns(conn: Connection, number: int) -> list[AnyRow]:
    """Give a conversation's turns of all branches in the order they were begun."""
    query = (
        select(chat_turns)
        .where(chat_turns.c.conversation_id == number)
        .order_by(chat_turns.c.id)
    )  # fmt: skip
    return list(conn.execute(query).all())


def read_turn(conn: Connection, number: int, turn: int) -> AnyRow:
    """Give one turn of a conversation; raises NotFound where it has none of that number."""
    row = conn.execute(
        select(chat_turns).where(chat_turns.c.conversation_id == number, chat_turns.c.id == turn)
    ).one_or_none()
    if row is None:
        raise NotFound(f"conversation {number} has no turn {turn}")
    return row


def begin_turn(
    conn: Connection, conversation: Conversation, parent: int | None, question: str, model: str
) -> tuple[int, int]:
    """Add a turn whose reply is to be written, and show its branch; give its id and its take.

    The take tells it from neighbours that ask the same, so that their requests differ.
    """
    below = chat_turns.c.parent_id.is_(None) if parent is None else chat_turns.c.parent_id == parent
    take = conn.execute(
        select(func.count())
        .select_from(chat_turns)
        .where(
            chat_turns.c.conversation_id == conversation.id, below,
            chat_turns.c.question == question,
        )
    ).scalar_one()  # fmt: skip
    made = conn.execute(
        insert(chat_turns).values(
            conversation_id=conversation.id, parent_id=parent, take=take, state=WORKING,
            model=model, question=question, reply="", made="{}", input=0, output=0, cached=0,
            seconds=0.0, created_at=time.time(),
        )
    ).inserted_primary_key  # fmt: skip
    assert made is not None
    change(conn, conversation.id, leaf=made[0], model=model, changed_at=time.time())
    return int(made[0]), int(take)


def end_turn(conn: Connection, turn: int, values: Mapping[str, Any]) -> None:
    """Write what came of a turn; a turn that was deleted meanwhile stays gone."""
    given = {**values, "made": dumps(values["made"])}
    conn.execute(update(chat_turns).where(chat_turns.c.id == turn).values(**given))


def sums(conn: Connection, numbers: Sequence[int]) -> dict[int, Sums]:
    """Give what conversations came to, by id; nothing for those without turns."""
    ended = chat_turns.c.state != WORKING
    unknown = func.count().filter(ended, chat_turns.c.paid.is_(None))
    query = (
        select(
            chat_turns.c.conversation_id, func.count().label("turns"),
            func.coalesce(func.sum(chat_turns.c.paid), 0).label("paid"), unknown.label("unknown"),
        )
        .where(chat_turns.c.conversation_id.in_(numbers))
        .group_by(chat_turns.c.conversation_id)
    )  # fmt: skip
    return {
        row.conversation_id: Sums(row.turns, int(row.paid), row.unknown == 0)
        for row in conn.execute(query)
    }


__all__ = [
    "WORKING",
    "Conversation",
    "Sums",
    "begin_turn",
    "change",
    "create",
    "end_turn",
    "find",
    "newest",
    "read_turn",
    "read_turns",
    "remove",
    "sums",
]
