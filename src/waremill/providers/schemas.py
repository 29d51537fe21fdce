"""JSON Schemas in the dialect a vendor accepts.

Each vendor's structured output takes a subset of JSON Schema and rejects, or silently ignores, the
rest. `adapt` rewrites a schema into the subset and says in words (`description`) what the keywords
it drops would have said, so the model still knows the limit; our own output contract checks it.
Must not know templates, and must not do any I/O.

Sources, all read 2026-11: OpenAI “Structured outputs” (supported schemas), Anthropic “Structured
outputs” (JSON Schema limitations), Google “Structured output” (JSON Schema support).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_ALWAYS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
     "$ref", "$defs", "description"}
)  # fmt: skip
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS = frozenset({"minItems", "maxItems"})


@dataclass(frozen=True, slots=True)
class Subset:
    """The keywords a vendor takes. `strict`: every object closed, every property required.

    An optional property then becomes nullable. `few_items`: `minItems` may only be 0 or 1.
    `keep_all`: hand the schema over untouched (servers that compile it to a grammar themselves).
    """

    keywords: frozenset[str]
    strict: bool = True
    few_items: bool = False
    keep_all: bool = False


# OpenAI takes length limits for some models and rejects them for others (fine-tuned ones, older
# snapshots), and a hard limit cuts a text in the middle of a word; so they go into words.
OPENAI = Subset(_ALWAYS | _NUMBERS | _COUNTS | {"pattern"})
ANTHROPIC = Subset(_ALWAYS | {"minItems"}, few_items=True)
GOOGLE = Subset(_ALWAYS | _COUNTS | {"minimum", "maximum"})
FULL = Subset(frozenset(), strict=False, keep_all=True)

_WORDS = {
    "maxLength": "At most {} characters.",
    "minLength": "At least {} characters.",
    "maxItems": "At most {} items.",
    "minItems": "At least {} items.",
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "exclusiveMinimum": "More than {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "pattern": "Matches the regular expression {}",
    "format": "In the format {}.",
    "uniqueItems": "No item twice.",
}


def adapt(schema: Mapping[str, Any], subset: Subset) -> dict[str, Any]:
    """Rewrite a schema into a vendor's subset; dropped limits are said in the description."""
    return dict(schema) if subset.keep_all else _adapt(schema, subset)


def _adapt(schema: Mapping[str, Any], subset: Subset) -> dict[str, Any]:
    made: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in schema.items():
        if name in ("oneOf", "anyOf"):
            made["anyOf"] = [_adapt(one, subset) for one in value]
        elif name == "allOf" and len(value) == 1:
            made.update(_adapt(value[0], subset))
        elif name in ("properties", "$defs"):
            made[name] = {key: _adapt(one, subset) for key, one in value.items()}
        elif name == "items" and isinstance(value, Mapping):
            made[name] = _adapt(value, subset)
        elif name == "minItems" and subset.few_items and value > 1:
            made[name] = 1
            dropped.append(_WORDS[name].format(value))
        elif name in subset.keywords:
            made[name] = value
        elif name in _WORDS and value is not None and value is not False:
            dropped.append(_WORDS[name].format(value))
    if dropped:
        made["description"] = " ".join([*filter(None, [made.get("description")]), *dropped])
    if subset.strict and (made.get("type") == "object" or "properties" in made):
        _close(made)
    return made


def _close(made: dict[str, Any]) -> None:
    properties = made.setdefault("properties", {})
    required = set(made.get("required") or ())
    for name, part in properties.items():
        if name not in required:
            properties[name] = _nullable(part)
    made["required"] = list(properties)
    made["additionalProperties"] = False


def _nullable(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if isinstance(kind, str) and kind != "null":
        part = {**part, "type": [kind, "null"]}
        if "enum" in part and None not in part["enum"]:
            part["enum"] = [*part["enum"], None]
    elif isinstance(kind, list) and "null" not in kind:
        part = {**part, "type": [*kind, "null"]}
    elif "anyOf" in part and not any(one.get("type") == "null" for one in part["anyOf"]):
        part = {**part, "anyOf": [*part["anyOf"], {"type": "null"}]}
    elif "$ref" in part:
        part = {"anyOf": [part, {"type": "null"}]}
    return part


def instruction(schema: Mapping[str, Any]) -> str:
    """Ask for JSON in words, for models without a mechanism of their own."""
    text = orjson.dumps(schema).decode()
    return f"Reply with one JSON object that matches this JSON Schema, and nothing else:\n{text}"


def add_instruction(messages: list[dict[str, Any]], words: str) -> None:
    """Append words to the first system message, or put one in front: the fixed part of a prompt
    stays first, for the vendor's prompt cache.
    """
    first = messages[0] if messages else None
    if first is not None and first["role"] == "system" and isinstance(first["content"], str):
        first["content"] = f"{first['content']}\n\n{words}"
    else:
        messages.insert(0, {"role": "system", "content": words})
