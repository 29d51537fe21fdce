"""The tables of chats: conversations, and their turns, each below the one it goes on from.

conversations ─ chat_turns ─ chat_turns …        a turn that was edited has a neighbour
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, Text

from waremill.store.tables import Id, metadata

conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("team_id", Id, nullable=False, server_default="1"),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("knowledge", Text, nullable=False),
    Column("catalog", Text),
    Column("model", Text, nullable=False),
    Column("leaf", Id),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("ix_conversations_owner_changed_at", "owner", "changed_at", "id"),
)
"""`owner` is the name of who talks, and the only one who sees it; `knowledge` is a JSON list of
bases; `leaf` the last turn of the branch that is shown."""

chat_turns = Table(
    "chat_turns",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    Column("parent_id", Id),
    Column("take", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("list_cost", BigInteger),
    Column("paid", BigInteger),
    Column("first_token", Float),
    Column("seconds", Float, nullable=False),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Index("ix_chat_turns_conversation_id", "conversation_id", "id"),
)
"""`state` is `working`, `complete`, `truncated`, `refused`, `stopped` or `failed`. `made` is JSON:
the calls of tools, the sources that were given, drafts, notes, and the hashes of the answers.
`first_token` and `seconds` are seconds from sending; costs are nano-USD, NULL where unknown."""
