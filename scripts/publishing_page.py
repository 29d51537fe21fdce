"""The reference's page of publishing: the mapping, every format, its fields and their source."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from importlib.resources import files

from markup import code, codes, prose, table

from waremill.catalog.publishers import formats as formats_room
from waremill.catalog.publishers import mapping
from waremill.catalog.publishers.field_rules import FieldRule, field_list

_SAID = {
    "from": "An attribute or field, or several: the first that has a value.",
    "value": "The same value for every product.",
    "default": "The value where there is none, or where `values` has none for it.",
    "values": "What is written for each value; others are refused unless there is a `default`.",
    "item": "Only this entry of a list, from 1.",
    "join": "Entries of a list joined by this text.",
    "prefix": "Text before the value.",
    "suffix": "Text after the value.",
    "case": "`lower` or `upper`.",
    "html": "Paragraphs and lists as HTML.",
    "required": "A row without it is refused.",
    "max_chars": "Most characters; a longer one is refused.",
    "max_bytes": "Most bytes in UTF-8.",
    "free": "Workbooks: the drop-down only suggests; other values are taken.",
    "allow_empty": "Shopify: the cell may be empty, which clears what is there.",
}


def publishing_page() -> str:
    """Describe how content is published."""
    parts = [
        prose(mapping.__doc__),
        "## Settings of a column",
        table(["name", ""], [(code(name), _SAID[name]) for name in mapping.SETTINGS]),
        "## Formats",
        prose(formats_room.__doc__).partition("\n\n")[0],
    ]
    for name, info in formats_room.formats().items():
        module = importlib.import_module(info.open.__module__)
        parts += [f"### {name}", prose(inspect.getdoc(module))]
        rows = [
            ("files", codes(info.suffixes) or "none: it writes to a database"),
            ("settings beside `columns`", codes(info.options) or "none"),
        ]
        parts.append(table(["", ""], rows))
        if (files("waremill.catalog.publishers") / "fields" / f"{name}.yaml").is_file():
            parts += _fields(name)
    return "\n\n".join(parts)


def _fields(name: str) -> Iterator[str]:
    known = field_list(name)
    yield f"Fields of {known.title}, after <{known.source}> as read on {known.read}:"
    yield table(
        ["field", "required", "holds"],
        [(code(one), "yes" if rule.required else "", _holds(rule)) for one, rule in
         known.fields.items()],
    )  # fmt: skip


def _holds(rule: FieldRule) -> str:
    parts = [] if rule.kind in ("text", "parts") else [rule.kind]
    if rule.values:
        parts.append("one of " + codes(rule.values))
    if rule.max_chars is not None:
        parts.append(f"at most {rule.max_chars:,} characters")
    if rule.many > 1:
        parts.append(f"up to {rule.many} of them")
    return ", ".join(parts)
