"""Delete what is older than somebody wants to keep it, some thousands of rows a transaction.

Rows are numbered as they come, so the oldest are found from the lowest number on, without an index
on time.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, select

from waremill.store.tables import answers
from waremill.store.tables_chat import chat_turns, conversations
from waremill.store.tables_people import deliveries
from waremill.store.webhooks import WAITING

ROWS_AT_ONCE = 2_000
_TABLES: dict[str, tuple[Table, str]] = {
    "answers": (answers, "created_at"),
    "chats": (conversations, "changed_at"),
    "deliveries": (deliveries, "created_at"),
}
KINDS = tuple(_TABLES)


def step(
    conn: Connection, kind: str, before: float, after: int, really: bool
) -> tuple[int, int | None]:
    """Count the next rows older than `before`, and delete them; give where to go on, None at last.

    A delivery that is still to be sent stays. A conversation counts as old as its last turn.
    """
    table, at = _TABLES[kind]
    query = select(table.c.id, table.c[at].label("at")).where(table.c.id > after)
    if kind == "deliveries":
        query = query.where(table.c.state != WAITING)
    rows = conn.execute(query.order_by(table.c.id).limit(ROWS_AT_ONCE)).all()
    old = [row.id for row in rows if row.at < before]
    if really and old:
        if kind == "chats":
            conn.execute(delete(chat_turns).where(chat_turns.c.conversation_id.in_(old)))
        conn.execute(delete(table).where(table.c.id.in_(old)))
    # One that goes on is younger than many begun after it; all else is in the order of time.
    more = len(rows) == ROWS_AT_ONCE and (kind == "chats" or len(old) == len(rows))
    return len(old), rows[-1].id if more else None
