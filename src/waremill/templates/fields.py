"""Output fields, and the readers that turn one raw JSON value into a clean, typed one.

A reader is compiled once per field. It takes the raw value and a list that receives findings, and
gives the value, None for “not there”, or INVALID. A value outside a closed list is never given
back. This module knows nothing of prompts or of how JSON was found in a reply.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from waremill.domain import Finding
from waremill.rules.schema import Value
from waremill.templates.values import clean_input, clean_output

FieldType = Literal["string", "number", "integer", "boolean", "array", "object"]
Reader = Callable[[Any, list[Finding]], Any]


class _Invalid:
    """The mark of a value that broke the contract; the finding says how."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()

_NOT_THERE = frozenset(
    {
        "", "-", "--", "–", "—", "?", "/", "n/a", "n.a", "na", "null", "none", "nil", "unknown",
        "not specified", "not available", "not applicable", "not provided", "not given",
        "not stated", "not mentioned", "unspecified", "k. a", "k.a", "keine angabe", "unbekannt",
        "nicht angegeben", "inconnu", "inconnue", "non précisé", "non spécifié", "desconocido",
        "sconosciuto", "non specificato", "不详", "未知", "无", "暂无", "未提供", "未注明",
        "未标明", "不明", "不適用", "不适用", "該当なし", "なし", "없음", "알 수 없음",
    }
)  # fmt: skip
_LONGEST_NOT_THERE = max(map(len, _NOT_THERE))
_TRUE = frozenset({"true", "yes", "y", "1", "ja", "oui", "sí", "si", "是", "有", "はい"})
_FALSE = frozenset({"false", "no", "n", "0", "nein", "non", "否", "不是", "いいえ"})
_NUMBER = re.compile(r"([-+]?\d[\d.,'’ \u00a0\u202f]*)\s*(.*)", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•·]|\d{1,2}[.)、])\s*")
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an output contract.

    `max_chars` counts code points; `values` are the codes of the closed list (for an array: of its
    items; empty means open) and `choices` the same with labels and synonyms. `write: fill` asks
    only for what a product lacks. `items` describes an array's entries, `properties` an object's
    fields; `item_max_chars` repeats the items' limit. Not `required` means: null is a good answer.
    """

    name: str
    type: FieldType = "string"
    description: str = ""
    max_chars: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    item_max_chars: int | None = None
    values: tuple[str, ...] = ()
    choices: tuple[Value, ...] = ()
    write: Literal["fill", "replace"] = "replace"
    unit: str | None = None
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None
    items: Field | None = None
    properties: tuple[Field, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def means_nothing(text: str) -> bool:
    """Say whether a text only says that there is no value, such as “n/a” or “不详”."""
    return len(text) <= _LONGEST_NOT_THERE and text.strip(" .。").casefold() in _NOT_THERE


def fold(text: str) -> str:
    """Fold a text for comparison: compatibility forms, letter case, spaces, hyphens, points."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[\s_‐-―-]+", " ", folded).strip(" .").split())


def finding(name: str, message: str, evidence: Any = "") -> Finding:
    """Make a finding of the rule `contract`; evidence is cut to 200 characters."""
    # `json`, since the evidence may be just what orjson refuses: a number beyond 64 bits.
    text = evidence if isinstance(evidence, str) else json.dumps(evidence, ensure_ascii=False)
    return Finding(name, "contract", "error", message, clean_input(text[:200]))


def reader_for(spec: Field, label: str = "") -> Reader:
    """Compile the reader of a field; `label` is how findings call it (default: its name).

    The reader gives None only where the value says that there is none.
    """
    label = label or f"`{spec.name}`"
    if spec.type == "array":
        return _array_reader(spec, label)
    if spec.type == "object":
        return _object_reader(spec, label)
    if spec.choices:
        return _choice_reader(spec, label)
    if spec.type == "boolean":
        return _boolean_reader(spec, label)
    return _text_reader(spec, label) if spec.type == "string" else _number_reader(spec, label)


def _text_reader(spec: Field, label: str) -> Reader:
    name, longest = spec.name, spec.max_chars or 10_000_000

    def read(value: Any, findings: list[Finding]) -> Any:
        if type(value) is not str:
            value = _as_text(value)
            if value is None:
                findings.append(finding(name, f"{label} must be text"))
                return INVALID
        text: str = value.strip()
        if not text.isprintable():
            text = clean_output(text)
        size = len(text)
        if size <= _LONGEST_NOT_THERE and means_nothing(text):
            return None
        if size > longest:
            message = f"{label} has {size} characters; at most {longest} are allowed"
            findings.append(finding(name, message, text))
        return text

    return read


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)) and -_LARGEST < value < _LARGEST:
        return str(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return None


def parse_number(text: str, unit: str | None = None) -> int | float | None:
    """Read a number in text, with or without its unit; None where it is not clear which it is.

    `1.500,5` and `1,500.5` are clear; a single comma is a decimal comma unless exactly three digits
    follow it, and then `1,500` could be both, which counts as unclear.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > 60:
        return None
    digits, rest = re.sub(r"['’ \u00a0\u202f]", "", match[1]), match[2].strip().rstrip(".")
    if rest and (unit is None or fold(rest) != fold(unit)):
        return None
    if "," in digits and "." in digits:
        decimal = max(digits.rfind(","), digits.rfind("."))
        groups = digits[:decimal].replace(".", ",").split(",")
        if (
            any(len(group) != 3 for group in groups[1:])
            or len(set(digits[:decimal]) & {",", "."}) > 1
        ):
            return None
        digits = "".join(groups) + "." + digits[decimal + 1 :]
    elif digits.count(",") == 1:
        whole, _, part = digits.partition(",")
        if len(part) == 3 and whole.lstrip("+-0"):
            return None
        digits = f"{whole}.{part}"
    elif digits.count(",") > 1 or digits.count(".") > 1:
        groups = re.split("[.,]", digits)
        if any(len(group) != 3 for group in groups[1:]):
            return None
        digits = "".join(groups)
    try:
        return int(digits) if "." not in digits else float(digits)
    except ValueError:
        return None


def _number_reader(spec: Field, label: str) -> Reader:
    name, unit, whole = spec.name, spec.unit, spec.type == "integer"
    low = float("-inf") if spec.minimum is None else spec.minimum
    high = float("inf") if spec.maximum is None else spec.maximum
    wanted = ("a whole number" if whole else "a number") + (f" in {unit}" if unit else "")

    def read(value: Any, findings: list[Finding]) -> Any:
        number = value
        if type(value) is str:
            if means_nothing(value):
                return None
            number = parse_number(value, unit)
        if whole and type(number) is float and number.is_integer():
            number = int(number)
        kind = type(number)
        good = kind is int if whole else kind in (int, float)
        if not good or not -_LARGEST < number < _LARGEST:
            findings.append(finding(name, f"{label} must be {wanted}", value))
            return INVALID
        if not low <= number <= high:
            bounds = f"from {_short(low)} to {_short(high)}"
            findings.append(finding(name, f"{label} must be {bounds}", value))
        return number

    return read


def _short(number: float) -> str:
    return "any" if abs(number) == float("inf") else f"{number:g}"


def _boolean_reader(spec: Field, label: str) -> Reader:
    name = spec.name

    def read(value: Any, findings: list[Finding]) -> Any:
        if value is True or value is False:
            return value
        text = str(value).strip().casefold() if isinstance(value, (str, int)) else ""
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if isinstance(value, str) and means_nothing(value):
            return None
        findings.append(finding(name, f"{label} must be true or false", value))
        return INVALID

    return read


def _choice_reader(spec: Field, label: str) -> Reader:
    name = spec.name
    number = spec.type in ("number", "integer")
    exact: dict[Any, Any] = {}
    folded: dict[str, Any] = {}
    for choice in spec.choices:  # a code goes before another value's label or synonym
        code = parse_number(choice.code) if number else choice.code
        exact[choice.code] = code
        folded[fold(choice.code)] = code
        if number and spec.unit:
            folded[fold(f"{choice.code} {spec.unit}")] = code
    for choice in spec.choices:
        for spelling in choice.spellings:
            folded.setdefault(fold(spelling), exact[choice.code])
    shown = ", ".join(spec.values[:30]) + (" …" if len(spec.values) > 30 else "")

    def read(value: Any, findings: list[Finding]) -> Any:
        if type(value) is str:
            if value in exact:
                return exact[value]
            found = folded.get(fold(value), INVALID)
            if found is not INVALID:
                return found
            if means_nothing(value):
                return None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if number and value in exact.values():
                return int(value) if float(value).is_integer() else value
            found = folded.get(fold(f"{value:g}"), INVALID)
            if found is not INVALID:
                return found
        findings.append(finding(name, f"{label} must be one of: {shown}", value))
        return INVALID

    return read


def _array_reader(spec: Field, label: str) -> Reader:
    name, least, most = spec.name, spec.min_items or 0, spec.max_items or 10_000
    entry = spec.items or Field(spec.name)
    named = Field(**{**{key: getattr(entry, key) for key in entry.__slots__}, "name": name})
    readers: list[Reader] = []  # one per position, so that findings can say which entry is meant

    def reader_at(position: int) -> Reader:
        while len(readers) <= position:
            readers.append(reader_for(named, f"entry {len(readers) + 1} of {label}"))
        return readers[position]

    reader_at(max(0, min(most, 8) - 1))

    def read(value: Any, findings: list[Finding]) -> Any:
        if type(value) is not list:
            value = _as_list(value, named)
            if value is None:
                findings.append(finding(name, f"{label} must be a list"))
                return INVALID
        if len(value) > 1000:
            findings.append(finding(name, f"{label} has {len(value)} entries"))
            return INVALID
        entries: list[Any] = []
        seen: set[Any] = set()
        invalid = False
        for position, raw in enumerate(value):
            one = None if raw is None else reader_at(position)(raw, findings)
            if one is INVALID:
                invalid = True
                continue
            if one is None:
                continue
            mark = one.casefold() if type(one) is str else _mark(one)
            if mark not in seen:
                seen.add(mark)
                entries.append(one)
        if not entries and not invalid:
            return None
        if not least <= len(entries) <= most and not invalid:
            message = f"{label} has {len(entries)} different entries; {_count(least, most)} wanted"
            findings.append(finding(name, message, value))
        return entries if entries else INVALID

    return read


def _mark(value: Any) -> Any:
    """Give what two equal entries share; true and 1 differ."""
    if isinstance(value, dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (type(value) is bool, value)


def _count(least: int, most: int) -> str:
    if least == most:
        return f"exactly {least} are"
    return f"at most {most} are" if not least else f"{least} to {most} are"


def _as_list(value: Any, entry: Field) -> list[Any] | None:
    """Read a text as a list where it clearly is one: lines, `;`, or a closed list's values."""
    if isinstance(value, dict):
        return [value] if entry.type == "object" else None
    if entry.type == "object" or not isinstance(value, (str, int, float)):
        return None
    if not isinstance(value, str):
        return [value]
    text = value.strip()
    for separator in ("\n", ";", "；"):
        if separator in text:
            parts = [_BULLET.sub("", part).strip() for part in text.split(separator)]
            return [part for part in parts if part]
    if entry.choices and re.search("[,，、|]", text):
        return [part.strip() for part in re.split("[,，、|]", text) if part.strip()]
    return [text]


def _object_reader(spec: Field, label: str) -> Reader:
    inner = [
        (part.name, part.required, reader_for(
            Field(**{**{key: getattr(part, key) for key in part.__slots__}, "name": spec.name}),
            f"`{part.name}` of {label}",
        ))
        for part in spec.properties
    ]  # fmt: skip

    def read(value: Any, findings: list[Finding]) -> Any:
        if type(value) is not dict:
            if value is None or (isinstance(value, str) and means_nothing(value)):
                return None
            findings.append(finding(spec.name, f"{label} must be an object", value))
            return INVALID
        result: dict[str, Any] = {}
        broken = False
        for name, required, reader in inner:
            raw = value.get(name)
            one = None if raw is None else reader(raw, findings)
            if one is None and required:
                message = f"`{name}` of {label} is missing"
                findings.append(finding(spec.name, message))
            if one is INVALID or (one is None and required):
                broken = True
            else:
                result[name] = one
        return INVALID if broken else result

    return read
