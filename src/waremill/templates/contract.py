"""The output contract: which fields a reply must have, as JSON Schema, and how it is read.

One contract serves request, parser and checks. It does not call models and does not decide what
happens to a reply that breaks it; that is said by OutputInvalid's findings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from waremill.domain import Finding
from waremill.errors import OutputInvalid
from waremill.templates.fields import INVALID, Field, Reader, finding, reader_for
from waremill.templates.reply import NoObject, align, find_object

Reasoning = Literal["none", "brief", "full"]
RATIONALE = "rationale"
"""The property that holds the reasoning: first in the schema, never among the values."""
RATIONALE_ASKS: dict[Reasoning, str] = {
    "none": "",
    "brief": "one or two sentences: which facts of the input the answer rests on",
    "full": "think step by step: which facts the input gives, what follows from them, what is "
    "missing",
}
_RATIONALE_TOKENS: dict[Reasoning, int] = {"none": 0, "brief": 160, "full": 1000}
_LATIN = frozenset(
    [
        "af",
        "ca",
        "cs",
        "cy",
        "da",
        "de",
        "en",
        "es",
        "et",
        "eu",
        "fi",
        "fr",
        "ga",
        "gl",
        "hr",
        "hu",
        "id",
        "is",
        "it",
        "lt",
        "lv",
        "ms",
        "mt",
        "nb",
        "nl",
        "no",
        "pl",
        "pt",
        "ro",
        "sk",
        "sl",
        "sq",
        "sv",
        "sw",
        "tl",
        "tr",
        "uz",
        "vi",
    ]
)
_CYRILLIC_AND_GREEK = frozenset(["be", "bg", "el", "kk", "ky", "mk", "ru", "sr", "tg", "uk"])
_LONGEST_ENUM = 500
"""Closed values beyond which the schema says `string` and only the reader checks: OpenAI's strict
mode takes 1,000 values over the whole schema."""


def tokens_per_char(language: str | None) -> float:
    """Give the tokens one character may cost, at the high end of tokenizers in use.

    Latin script 0.5, Cyrillic and Greek 1.0, everything else and unknown languages 1.5.
    """
    if language in _LATIN:
        return 0.5
    return 1.0 if language in _CYRILLIC_AND_GREEK else 1.5


def max_tokens(fields: Sequence[Field], reasoning: Reasoning, factor: float) -> int:
    """Bound a reply's tokens.

    Σ over fields of (characters × `factor` × 1.25 + 12 for name and punctuation) + 32 + reasoning
    (0, 160 or 1,000), kept within 64 … 8,192. Characters are `max_chars` (1,000 where none is set);
    numbers count 20, booleans 8, closed values their longest code; lists count their entries (10
    where no most is set) with 4 tokens each. The 1.25 leaves room for a text that is too long: that
    becomes a finding, not a reply cut off.
    """
    total = 32 + _RATIONALE_TOKENS[reasoning]
    total += math.ceil(sum(_tokens(one, factor) + 12 for one in fields))
    return max(64, min(total, 8192))


def _tokens(spec: Field, factor: float) -> float:
    if spec.type == "array" and spec.items is not None:
        return (spec.max_items or max(10, spec.min_items or 0)) * (_tokens(spec.items, factor) + 4)
    if spec.type == "object":
        return sum(_tokens(part, factor) + 12 for part in spec.properties)
    if spec.values:
        return max(map(len, spec.values)) * 1.5 * 1.25
    if spec.type != "string":
        return 20 if spec.type != "boolean" else 8
    return (spec.max_chars or 1000) * factor * 1.25


def json_schema(fields: Sequence[Field], reasoning: Reasoning) -> dict[str, Any]:
    """Build the JSON Schema of a reply.

    It keeps to what strict modes take: every object closed (`additionalProperties: false`), every
    property required, an optional one nullable by `anyOf`; lengths and ranges are said in
    descriptions; only lists carry `minItems` and `maxItems`.
    """
    properties: dict[str, Any] = {}
    if reasoning != "none":
        properties[RATIONALE] = {"type": "string", "description": RATIONALE_ASKS[reasoning]}
    for one in fields:
        properties[one.name] = _property(one)
    return _closed(properties)


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(spec: Field) -> dict[str, Any]:
    if spec.type == "array":
        body: dict[str, Any] = {"type": "array", "items": _property(spec.items or Field("item"))}
        if spec.min_items:
            body["minItems"] = spec.min_items
        if spec.max_items:
            body["maxItems"] = spec.max_items
    elif spec.type == "object":
        body = _closed({part.name: _property(part) for part in spec.properties})
    else:
        body = {"type": spec.type}
        if spec.choices and len(spec.choices) <= _LONGEST_ENUM:
            body["enum"] = [_enum_value(code, spec.type) for code in spec.values]
    if not spec.required:
        body = {"anyOf": [body, {"type": "null"}]}
    words = describe(spec, with_kind=False)
    return {**body, "description": words} if words else body


def _enum_value(code: str, kind: str) -> Any:
    return orjson.loads(code) if kind in ("number", "integer") else code


_KINDS = {
    "string": "text", "number": "number", "integer": "whole number", "boolean": "true or false",
    "array": "list", "object": "object",
}  # fmt: skip


def describe(spec: Field, *, with_kind: bool = True) -> str:
    """Say in words what a field must hold: kind, unit, limits, allowed values, description."""
    parts: list[str] = []
    if with_kind:
        parts.append("one of the allowed values" if spec.choices else _KINDS[spec.type])
    if spec.unit:
        parts.append(f"in {spec.unit}")
    if spec.type == "array":
        parts.append(_entries(spec, with_kind))
    elif spec.type == "object" and with_kind:
        parts.append("with " + "; ".join(f"{p.name}: {describe(p)}" for p in spec.properties))
    elif spec.max_chars:
        parts.append(f"at most {spec.max_chars} characters")
    if spec.minimum is not None:
        parts.append(f"at least {spec.minimum:g}")
    if spec.maximum is not None:
        parts.append(f"at most {spec.maximum:g}")
    words = ", ".join(part for part in parts if part)
    extra = [spec.description] if spec.description else []
    if spec.labels:
        extra.append("called " + ", ".join(dict.fromkeys(spec.labels.values())))
    if spec.choices:
        extra.append(_values(spec, with_kind))
    if not spec.required and with_kind:
        extra.append("Null if the input does not say")
    return ". ".join(part for part in (words, *extra) if part)


def _entries(spec: Field, with_kind: bool) -> str:
    least, most = spec.min_items, spec.max_items
    if least and least == most:
        count = f"exactly {least} different entries"
    elif least and most:
        count = f"{least} to {most} different entries"
    elif least or most:
        count = f"at least {least} different entries" if least else f"at most {most} entries"
    else:
        count = ""
    inner = f"each: {describe(spec.items)}" if with_kind and spec.items else ""
    return ", ".join(part for part in (count, inner) if part)


def _values(spec: Field, all_codes: bool) -> str:
    """List allowed values with their labels; the schema's own list need not be repeated."""
    most = 60 if all_codes else 100
    shown: list[str] = []
    for choice in spec.choices[:most]:
        labels = [label for label in dict.fromkeys(choice.labels.values()) if label != choice.code]
        if labels and len(spec.choices) <= 100:
            shown.append(f"{choice.code} ({', '.join(labels)})")
        elif all_codes:
            shown.append(choice.code)
    if not shown:
        return ""
    more = " …" if len(spec.choices) > most else ""
    return ("allowed: " if all_codes else "labels: ") + "; ".join(shown) + more


@dataclass(frozen=True, slots=True)
class Contract:
    """What a reply must hold. `schema` is one object, shared by every request with this contract;
    `max_tokens` bounds the reply.
    """

    schema: Mapping[str, Any]
    fields: Mapping[str, Field]
    max_tokens: int
    _readers: tuple[tuple[str, bool, Reader], ...] = field(default=(), repr=False, compare=False)

    def parse(self, text: str) -> dict[str, Any]:
        """Read a reply into clean, typed values in the contract's order, without the rationale.

        Optional fields the reply leaves open are None. Raises OutputInvalid with one finding for
        everything that breaks the contract.
        """
        values, findings = self.read(text)
        if findings:
            raise OutputInvalid(
                "; ".join(one.message for one in findings[:5]), findings=tuple(findings)
            )
        return values

    def read(self, text: str) -> tuple[dict[str, Any], list[Finding]]:
        """Read a reply; give the values that can be used and the findings.

        A text that is too long and a list of the wrong length are given besides their finding, for
        a person to shorten; values of the wrong kind or outside a closed list are left out.
        """
        names = self.fields
        try:
            data = orjson.loads(text)
            # A complete object is the usual case and goes the short way.
            if type(data) is not dict or not all(name in data for name in names):
                data = find_object(text, names) if type(data) is not dict else align(data, names)
        except orjson.JSONDecodeError:
            try:
                data = find_object(text, names)
            except NoObject as error:
                return {}, [finding("", error.message, text[:200])]
        except NoObject as error:
            return {}, [finding("", error.message, text[:200])]
        findings: list[Finding] = []
        values: dict[str, Any] = {}
        for name, required, reader in self._readers:
            raw = data.get(name)
            value = None if raw is None else reader(raw, findings)
            if value is None and required:
                findings.append(finding(name, f"`{name}` is missing; it must be given"))
            elif value is not INVALID:
                values[name] = value
        return values, findings


def build_contract(
    fields: Sequence[Field], reasoning: Reasoning, schema: Mapping[str, Any], factor: float
) -> Contract:
    """Compile a contract for fields whose JSON Schema is at hand; `factor`: tokens a character."""
    return Contract(
        schema=schema,
        fields={one.name: one for one in fields},
        max_tokens=max_tokens(fields, reasoning, factor),
        _readers=tuple((one.name, one.required, reader_for(one)) for one in fields),
    )
