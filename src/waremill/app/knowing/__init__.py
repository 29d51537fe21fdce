"""The use cases about knowledge: add documents, look at them, remove, rebuild, search."""

from waremill.app.knowing.adding import Added, AddOptions, add_documents, add_sent
from waremill.app.knowing.bases import (
    BaseShown,
    DocumentShown,
    list_bases,
    list_documents,
    remove_base,
    remove_documents,
    show_base,
    show_document,
)
from waremill.app.knowing.changing import Progress
from waremill.app.knowing.indexing import Rebuilt, rebuild
from waremill.app.knowing.searching import search

__all__ = [
    "AddOptions",
    "Added",
    "BaseShown",
    "DocumentShown",
    "Progress",
    "Rebuilt",
    "add_documents",
    "add_sent",
    "list_bases",
    "list_documents",
    "rebuild",
    "remove_base",
    "remove_documents",
    "search",
    "show_base",
    "show_document",
]
