"""The use cases of chats: ask, stop, permit, list, show, export, delete."""

from waremill.app.chatting.abilities import Abilities, abilities_of
from waremill.app.chatting.conversations import (
    ENDINGS,
    MEDIA_TYPES,
    Listed,
    Shown,
    choose,
    cost_of,
    delete,
    drafted_template,
    export,
    find,
    find_named,
    listed,
    rename,
    show,
)
from waremill.app.chatting.documents import (
    conversation_document,
    listed_document,
    turn_document,
)
from waremill.app.chatting.live import Live, close
from waremill.app.chatting.replying import Asking, begin, permit, stop, talk_of

__all__ = [
    "ENDINGS",
    "MEDIA_TYPES",
    "Abilities",
    "Asking",
    "Listed",
    "Live",
    "Shown",
    "abilities_of",
    "begin",
    "choose",
    "close",
    "conversation_document",
    "cost_of",
    "delete",
    "drafted_template",
    "export",
    "find",
    "find_named",
    "listed",
    "listed_document",
    "permit",
    "rename",
    "show",
    "stop",
    "talk_of",
    "turn_document",
]
