"""The published rules of a channel's fields, as data files of this room, and checking against them.

A rule says whether a field is required, how long it may be, of what kind it is and which values it
takes. The lists stand in `fields/NAME.yaml`, each with the page it was made from and the day.
Pure but for reading those files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from waremill.catalog.publishers.channel import Problem
from waremill.catalog.publishers.mapping import ChannelMapping, ColumnMapping, check_columns
from waremill.catalog.publishers.table import flat, printable
from waremill.domain import is_missing
from waremill.rules.document import Section, read_yaml, suggestion

KINDS = (
    "text", "url", "price", "boolean", "whole", "number", "date", "gtin", "country", "handle",
    "parts",
)  # fmt: skip
_PRICE = re.compile(r"(\d+(?:[.,]\d{1,4})?)\s*([A-Z]{3})")
_PRICE_BEFORE = re.compile(r"([A-Z]{3})\s*(\d+(?:[.,]\d{1,4})?)")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)  # ISO 8601, a day or a moment
_YES, _NO = frozenset(("true", "yes", "1", "是")), frozenset(("false", "no", "0", "否"))


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What a channel demands of one field. `many` is the most values it takes, 1 for a plain one.

    `level` says, for grouped formats, whether it belongs to the product or to each variant.
    """

    name: str
    required: bool = False
    max_chars: int | None = None
    max_bytes: int | None = None
    kind: str = "text"
    values: tuple[str, ...] = ()
    many: int = 1
    level: str = ""


@dataclass(frozen=True, slots=True)
class FieldList:
    """A channel's fields by name, in its order, and where the list comes from."""

    title: str
    source: str
    read: str
    fields: Mapping[str, FieldRule]
    former: Mapping[str, str] = field(default_factory=dict)
    """Names it had before, and what they are called now."""

    def known(self) -> tuple[str, ...]:
        """All fields' names."""
        return tuple(self.fields)


@lru_cache(maxsize=16)
def field_list(name: str) -> FieldList:
    """Read a channel's field list."""
    path = f"{name}.yaml"
    text = (resources.files(__package__) / "fields" / path).read_text(encoding="utf-8")
    top = read_yaml({path: text}, path)
    section = top.section("fields")
    assert section is not None
    rules = {one: _rule(section, one) for one in section.names()}
    return FieldList(
        top.text("title", ""), top.text("source", ""), top.text("read", ""), rules,
        top.mapping("former"),
    )  # fmt: skip


def _rule(section: Section, name: str) -> FieldRule:
    part = section.section(name)
    if part is None:
        return FieldRule(name)
    part.allow(FieldRule.__slots__, f"the field “{name}”")
    return FieldRule(
        name, part.flag("required"), part.whole("max_chars", 1), part.whole("max_bytes", 1),
        part.text("kind", "text"), part.texts("values"), part.whole("many", 1) or 1,
        part.text("level", ""),
    )  # fmt: skip


def check_fields(
    mapping: ChannelMapping, known: FieldList, what: str, besides: re.Pattern[str] | None = None
) -> None:
    """Raise ConfigError for the first column the channel does not have, with what it may mean.

    A name the field had before is told as what it is called now. Columns that match `besides` are
    the shop's own.
    """
    check_columns(mapping, known.known(), what, former=known.former, besides=besides)


def identity_of(values: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Give an identity out of some columns; () where none of them has a value."""
    found = tuple("" if (one := values.get(name)) is None else str(flat(one)) for name in names)
    return found if any(found) else ()


def checked(
    values: Mapping[str, Any], rules: Mapping[str, FieldRule], mapping: ChannelMapping
) -> tuple[dict[str, Any], list[Problem]]:
    """Check values by the channel's rules and the mapping's; give them as they will be written.

    Required fields without a value are problems too.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        rule, column = rules.get(name, FieldRule(name)), mapping.column(name)
        try:
            found[name] = _checked(value, rule, column)
        except ValueError as problem:
            problems.append(Problem(name, str(problem)))
    wanted = [name for name, rule in rules.items() if rule.required]
    wanted += [one.column for one in mapping.columns if one.required]
    problems += missing(found, dict.fromkeys(wanted), {one.field for one in problems})
    return found, problems


def missing(
    values: Mapping[str, Any], wanted: Iterable[str], besides: Iterable[str] = ()
) -> list[Problem]:
    """Give a problem for each wanted field without a value."""
    known = {*besides, *(name for name, value in values.items() if not is_missing(value))}
    return [Problem(name, "it needs a value") for name in wanted if name not in known]


def _checked(value: Any, rule: FieldRule, column: ColumnMapping | None) -> Any:
    if isinstance(value, dict) or rule.kind == "parts":
        return value
    if rule.many > 1:
        entries = value if isinstance(value, list) else [value]
        if len(entries) > rule.many:
            raise ValueError(f"it takes at most {rule.many} values, not {len(entries)}")
        return [_one(entry, rule, column) for entry in entries]
    if isinstance(value, list):
        raise ValueError("it takes one value, not a list: the mapping can join it or pick an entry")
    return _one(value, rule, column)


def _one(value: Any, rule: FieldRule, column: ColumnMapping | None) -> Any:
    flattened = flat(value)
    if rule.kind in _READ:
        flattened = _READ[rule.kind](_text(flattened))
    elif isinstance(flattened, str):
        flattened = printable(flattened).strip()
    text = _text(flattened)
    if rule.values:
        flattened = text = listed(text, rule.values)
    chars = _least(rule.max_chars, column.max_chars if column else None)
    if chars is not None and len(text) > chars:
        raise ValueError(f"it has {len(text):,} characters, {chars:,} are allowed")
    most = _least(rule.max_bytes, column.max_bytes if column else None)
    if most is not None and len(text.encode()) > most:
        raise ValueError(f"it has {len(text.encode()):,} bytes, {most:,} are allowed")
    return flattened


def listed(text: str, values: Iterable[str]) -> str:
    """Give the entry of a closed list that a text means, in the list's own spelling.

    Raises ValueError, with a suggestion, for a text that means none.
    """
    known = values if isinstance(values, dict) else {folded(one): one for one in values}
    found = known.get(folded(text))
    if found is None:
        names = tuple(known.values())
        near = suggestion(text, names[:5_000])
        hint = near if near.startswith(", did") or len(names) <= 8 else ""
        raise ValueError(f"“{text}” is not one of its {len(names):,} values{hint}")
    return str(found)


def folded(text: str) -> str:
    """Fold a text so that letter case and blanks do not count."""
    return " ".join(text.split()).casefold()


def _least(*limits: int | None) -> int | None:
    return min((one for one in limits if one is not None), default=None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", text):
        raise ValueError(f"“{text}” is no web address; it starts with https://")
    return text


def _price(text: str) -> str:
    match = _PRICE.fullmatch(text)
    amount, currency = match.groups() if match else (None, None)
    if match is None and (match := _PRICE_BEFORE.fullmatch(text)):
        currency, amount = match.groups()
    if amount is None:
        raise ValueError(f"“{text}” is no price; write it as 12.50 EUR")
    units, point, rest = amount.replace(",", ".").partition(".")
    return f"{units}{point}{rest.ljust(2, '0') if point else ''} {currency}"


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _YES | _NO:
        raise ValueError(f"“{text}” is neither true nor false")
    return word in _YES


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d+(?:\.0+)?", text):
        raise ValueError(f"“{text}” is no whole number")
    return int(text.partition(".")[0])


def _number(text: str) -> float | int:
    if not re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text):
        raise ValueError(f"“{text}” is no number")
    return float(text) if "." in text else int(text)


def _date(text: str) -> str:
    if not all(_DATE.fullmatch(part.strip()) for part in text.split("/")):
        raise ValueError(f"“{text}” is no date; write it as 2026-01-31")
    return text


def _gtin(text: str) -> str:
    """Check a GTIN's length and check digit (GS1 General Specifications, 7.9)."""
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{8}|\d{12,14}", digits):
        raise ValueError(f"“{text}” is no GTIN; it has 8, 12, 13 or 14 digits")
    total = sum(int(one) * (3 if n % 2 == 0 else 1) for n, one in enumerate(digits[-2::-1]))
    if (total + int(digits[-1])) % 10:
        raise ValueError(f"“{text}” is no GTIN; its check digit is wrong")
    return digits


def _country(text: str) -> str:
    code = text.upper()
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise ValueError(f"“{text}” is no country code such as DE or US")
    return code


def _handle(text: str) -> str:
    handle = handle_of(text)
    if handle != text:
        hint = f", such as {handle}" if handle else ""
        raise ValueError(f"“{text}” is no handle: small letters, digits and hyphens{hint}")
    return text


def handle_of(text: str) -> str:
    """Make a handle of a text: small letters and digits of any script, joined by hyphens."""
    return re.sub(r"[\W_]+", "-", text.strip().casefold()).strip("-")


_READ = {
    "url": _url, "price": _price, "boolean": _boolean, "whole": _whole, "number": _number,
    "date": _date, "gtin": _gtin, "country": _country, "handle": _handle,
}  # fmt: skip
