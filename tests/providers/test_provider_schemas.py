"""Schemas in the vendors' dialects; which file serves which vendor; the event parser."""

from __future__ import annotations

import ast
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import waremill.providers
from waremill.providers import vendors
from waremill.providers.schemas import ANTHROPIC, FULL, GOOGLE, OPENAI, adapt
from waremill.providers.sse import events

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Copy",
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 60, "description": "The title."},
        "size": {"type": "number", "minimum": 0, "maximum": 9},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 3},
        "note": {"type": "string", "enum": ["a", "b"]},
        "part": {"type": "object", "properties": {"x": {"oneOf": [{"type": "integer"}]}}},
    },
    "required": ["title", "size", "tags"],
}


def test_a_strict_dialect_closes_every_object_and_makes_optional_fields_nullable() -> None:
    made = adapt(SCHEMA, OPENAI)
    assert made["additionalProperties"] is False and "title" not in made and "$schema" not in made
    assert made["required"] == ["title", "size", "tags", "note", "part"]
    assert made["properties"]["note"] == {"type": ["string", "null"], "enum": ["a", "b", None]}
    part = made["properties"]["part"]
    assert part["type"] == ["object", "null"] and part["required"] == ["x"]
    assert part["properties"]["x"]["anyOf"][0] == {"type": "integer"}


def test_a_dropped_limit_is_said_in_the_description() -> None:
    made = adapt(SCHEMA, OPENAI)["properties"]
    assert made["title"] == {"type": "string", "description": "The title. At most 60 characters."}
    assert made["tags"]["items"]["description"] == "At least 2 characters."
    assert made["size"] == {"type": "number", "minimum": 0, "maximum": 9}


def test_anthropic_takes_no_number_limits_and_at_most_one_as_a_minimum_count() -> None:
    made = adapt(SCHEMA, ANTHROPIC)["properties"]
    assert made["size"] == {"type": "number", "description": "At least 0. At most 9."}
    assert made["tags"]["minItems"] == 1 and made["tags"]["description"] == "At least 3 items."


def test_google_keeps_counts_and_bounds() -> None:
    made = adapt(SCHEMA, GOOGLE)["properties"]
    assert made["tags"]["minItems"] == 3 and made["size"]["maximum"] == 9


def test_the_full_dialect_changes_nothing_and_no_dialect_changes_the_original() -> None:
    before = repr(SCHEMA)
    assert adapt(SCHEMA, FULL) == SCHEMA
    adapt(SCHEMA, OPENAI)
    assert repr(SCHEMA) == before


def test_every_provider_file_is_found_by_its_vendors_without_importing_it() -> None:
    found = vendors()
    assert found["openai"] == found["dashscope"] == found["custom"] == "openai_chat"
    assert found["anthropic"] == "anthropic_messages" and found["langchain"] == "langchain_models"
    assert "prices" not in found.values() and "http" not in found.values()


def test_the_vendors_read_from_the_source_are_those_of_the_module() -> None:
    import importlib

    for module in set(vendors().values()) - {"local"}:
        loaded = importlib.import_module(f"waremill.providers.{module}")
        named = {vendor for vendor, file in vendors().items() if file == module}
        assert named == set(loaded.VENDORS)


def test_no_provider_file_imports_a_heavy_library_at_its_top() -> None:
    heavy = {"aiohttp", "langchain", "langchain_core", "genai_prices", "bpe_openai", "xllamacpp"}
    for path in Path(waremill.providers.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                assert not heavy & {name.partition(".")[0] for name in names}, path.name
    assert sys.modules["waremill.providers"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    stream = (
        b"\xef\xbb\xbfdata: one\r\n\r\n: comment\n\nevent: x\ndata:two\ndata: and more\n\n"
        b"id: 3\nretry: 5\n\ndata\n\ndata: cut at the e"
    )

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    assert [one async for one in events(pieces())] == [b"one", b"two\nand more"]
