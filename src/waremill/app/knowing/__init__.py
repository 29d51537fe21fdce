"""The use cases about knowledge: add documents, look at them, remove, rebuild, search, export."""

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
from waremill.app.knowing.exporting import export_base
from waremill.app.knowing.indexing import Rebuilt, rebuild
from waremill.app.knowing.places import PassageInPlace, Stated, show_passage, stated
from waremill.app.knowing.searching import search
from waremill.app.knowing.sources import pairs
from waremill.knowledge.loading import LARGEST
from waremill.knowledge.loading import readable_suffixes as readable_kinds

__all__ = [
    "LARGEST",
    "AddOptions",
    "Added",
    "BaseShown",
    "DocumentShown",
    "PassageInPlace",
    "Progress",
    "Rebuilt",
    "Stated",
    "add_documents",
    "add_sent",
    "export_base",
    "list_bases",
    "list_documents",
    "pairs",
    "readable_kinds",
    "rebuild",
    "remove_base",
    "remove_documents",
    "search",
    "show_base",
    "show_document",
    "show_passage",
    "stated",
]
