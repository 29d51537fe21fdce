"""Words for the loopback vendor: a valid object of the requested schema, from the prompt's data.

Pure and deterministic: the same request always gives the same text. Texts are cut from the values
in the prompt's product data (lines such as `brand: Chanel`), so numbers and names in the reply are
grounded in the input.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_LINE = re.compile(
    r"^[ \t>*\-\"']*([^\s:：\"'][^:：\"\n]{0,60}?)[\"']?[ \t]*[:：][ \t]*(\S.*)$", re.M
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LIMIT = re.compile(
    r"(?:at most|max(?:imum)?(?: length)?|≤|up to)[ :]*(\d+) ?(?:char|letter|$)?", re.I
)


def prompt_text(message: dict[str, Any]) -> str:
    """The text of one message of either protocol, pictures left out."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def requested_schema(request: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema a request asks for: native, by tool, or written in its instruction."""
    shape = request.get("response_format")
    if shape is not None:
        if shape.get("type") == "json_schema":
            schema: dict[str, Any] = shape["json_schema"].get("schema") or {}
            return schema
        return _schema_in_text(request)
    native = (request.get("output_config") or {}).get("format") or request.get("output_format")
    if native is not None:
        found: dict[str, Any] = native["schema"]
        return found
    choice = request.get("tool_choice")
    if request.get("tools") and isinstance(choice, dict) and choice["type"] in ("tool", "function"):
        tool = request["tools"][-1]
        given: dict[str, Any] = tool.get("input_schema") or tool["function"]["parameters"]
        return given
    return _schema_in_text(request)


def compose(request: dict[str, Any]) -> str:
    """Write the reply's text: JSON where a schema is asked for, else a sentence."""
    labels, values = product_data(request)
    schema = requested_schema(request)
    if schema is None:
        return ". ".join(values[:2]) + "."
    writer = _Writer(labels, values, schema.get("$defs") or {})
    return orjson.dumps(writer.value(schema, "")).decode()


def product_data(request: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Labels and values of the user message that looks most like product data."""
    best, score = "", -1
    for message in request.get("messages") or ():
        if message.get("role") == "user":
            text = prompt_text(message)
            count = text.count(":") + text.count("：")
            if count >= score:
                best, score = text, count
    labels: dict[str, str] = {}
    values: list[str] = []
    for label, value in _LINE.findall(best):
        value = value.strip(" \t\r\"',")
        if value:
            labels.setdefault(label.strip().lower().replace(" ", "_"), value)
            if not values or (len(value) > 3 and not value.isdigit()):
                values.append(value)
    if not values:
        values = [best.strip()[:200] or "nothing"]
    return labels, values


class _Writer:
    """Fills a schema; `turn` walks through the product's values so that list items differ."""

    def __init__(self, labels: dict[str, str], values: list[str], defs: dict[str, Any]) -> None:
        self.labels, self.values, self.defs, self.turn = labels, values, defs, 0

    def value(self, schema: dict[str, Any], name: str) -> Any:
        if "$ref" in schema:
            return self.value(self.defs[schema["$ref"].rpartition("/")[2]], name)
        if "const" in schema:
            return schema["const"]
        known = self.labels.get(name.lower())
        options = schema.get("anyOf") or schema.get("oneOf")
        kind = schema.get("type")
        if options:
            nullable = any(option.get("type") == "null" for option in options)
            if nullable and known is None:
                return None
            return self.value(next(o for o in options if o.get("type") != "null"), name)
        if isinstance(kind, list):
            if "null" in kind and known is None:
                return None
            kind = next(one for one in kind if one != "null")
        if "enum" in schema:
            return self._pick([one for one in schema["enum"] if one is not None], known)
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties") or {}
            return {key: self.value(part, key) for key, part in properties.items()}
        if kind == "array":
            return self._items(schema, name)
        if kind in ("number", "integer"):
            return self._number(schema, known, whole=kind == "integer")
        if kind == "boolean":
            return known is None or known.lower() not in ("false", "no", "0")
        return self._text(schema, known)

    def _pick(self, options: list[Any], known: str | None) -> Any:
        hay = (known or " ".join(self.values)).lower()
        for option in options:
            if str(option).lower() in hay:
                return option
        return options[0]

    def _items(self, schema: dict[str, Any], name: str) -> list[Any]:
        low = schema.get("minItems") or _stated(schema, "item") or 1
        high = schema.get("maxItems") or max(low, 3)
        part = schema.get("items") or {"type": "string"}
        if "enum" in part:
            return list(dict.fromkeys(part["enum"]))[:low]
        # List items are not the product's field of that name, so the label is not passed on.
        return [self.value(part, "") for _ in range(min(low, high))]

    def _number(self, schema: dict[str, Any], known: str | None, *, whole: bool) -> float | int:
        found = _NUMBER.search(known) if known else None
        if found is None:
            found = next((m for m in map(_NUMBER.search, self.values) if m), None)
        number = float(found.group()) if found else 1.0
        number = max(number, schema.get("minimum", number))
        number = min(number, schema.get("maximum", number))
        return int(number) if whole else number

    def _text(self, schema: dict[str, Any], known: str | None) -> str:
        if known is None:
            known = self.values[self.turn % len(self.values)]
            lap = self.turn // len(self.values)
            words = known.split(" ")
            # Later laps start at another word, so that repeated values still read differently.
            known = " ".join(words[lap % len(words) :])
            self.turn += 1
        limit = schema.get("maxLength") or _stated(schema, "") or 200
        if len(known) > limit:
            cut = known[:limit]
            known = cut.rpartition(" ")[0] or cut
        low = schema.get("minLength", 0)
        while len(known) < low:
            known = f"{known} {self.values[0]}"[: max(low, limit)]
        return known


def _stated(schema: dict[str, Any], what: str) -> int | None:
    """A limit written in words, for vendors whose schema dialect lacks the keyword."""
    text = schema.get("description")
    if not text:
        return None
    if what:
        found = re.search(r"(?:at least|min(?:imum)?|exactly|≥)[ :]*(\d+) ?item", text, re.I)
    else:
        found = _LIMIT.search(text)
    return int(found.group(1)) if found else None


def _schema_in_text(request: dict[str, Any]) -> dict[str, Any] | None:
    """A JSON Schema, or an example object, written into the instruction."""
    parts = [prompt_text(m) for m in request.get("messages") or () if m.get("role") == "system"]
    system = request.get("system")
    if isinstance(system, str):
        parts.append(system)
    elif system:
        parts.extend(block["text"] for block in system)
    for text in parts:
        start = text.rfind('\n{"')
        start = start + 1 if start >= 0 else text.find('{"')
        if start < 0:
            continue
        end = text.find("\n", start)
        try:
            found = orjson.loads(text[start : end if end > 0 else len(text)])
        except ValueError:
            continue
        if "properties" in found:
            return dict(found)
        return _schema_of(found)
    return None


def _schema_of(example: Any) -> dict[str, Any]:
    if isinstance(example, dict):
        return {"type": "object", "properties": {k: _schema_of(v) for k, v in example.items()}}
    if isinstance(example, list):
        items = _schema_of(example[0]) if example else {"type": "string"}
        return {"type": "array", "items": items, "minItems": max(1, len(example))}
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int | float):
        return {"type": "integer" if isinstance(example, int) else "number"}
    return {"type": "string"}
