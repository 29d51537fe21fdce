"""Google Merchant Center's product data: RSS 2.0 with the `g:` namespace, or tab-separated text.

A title or description that a model wrote is sent as `structured_title` or `structured_description`
with the digital source type `trained_algorithmic_media`, as Google asks; a product of a group gets
its `item_group_id`. Attributes, limits and closed values are in `fields/google-merchant.yaml`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.channel import (
    Channel,
    ChannelOptions,
    Judged,
    Problem,
    Record,
    channel_format,
)
from waremill.catalog.publishers.field_rules import (
    check_fields,
    checked,
    field_list,
    identity_of,
    missing,
)
from waremill.catalog.publishers.table import Written, flat, printable

AI = "trained_algorithmic_media"
"""IPTC's digital source type of what a model made."""
NAMESPACE = "http://base.google.com/ns/1.0"
_STRUCTURED = {"title": "structured_title", "description": "structured_description"}
_FEED = {"title": "Products", "link": "https://example.com/", "description": "Products"}


@channel_format("google-merchant", ".xml", ".tsv", ".txt", options=("feed",))
def open_channel(options: ChannelOptions) -> Channel:
    """Open a Merchant Center feed; its mapping's columns are Google's attribute names."""
    check_fields(options.mapping, field_list("google-merchant"), "Google's product data")
    return _Feed(options)


class _Feed:
    whole = True
    grouped = False

    def __init__(self, options: ChannelOptions) -> None:
        self.notes: Sequence[str] = ()
        self._mapping = options.mapping
        self._rules = field_list("google-merchant").fields
        self._names = tuple(one.column for one in options.mapping.columns)
        self._feed = {**_FEED, **(options.mapping.options.get("feed") or {})}

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        return [self._judged(record) for record in records]

    def _judged(self, record: Record) -> Judged:
        values, problems = checked(record.effective(self._names), self._rules, self._mapping)
        for plain, structured in _STRUCTURED.items():
            if plain in record.values and plain in record.made and plain in values:
                values[structured] = _structured(values.pop(plain))
            elif plain not in record.values and structured in record.live:
                values.pop(plain, None)
                values[structured] = record.live[structured]
            if structured in values and isinstance(values[structured], str):
                values[structured] = _structured(values[structured])
            content = values.get(structured, {}).get("content", "")
            most = self._rules[structured].max_chars or len(content)
            if len(content) > most:
                message = f"it has {len(content):,} characters, {most:,} are allowed"
                problems.append(Problem(structured, message))
            if structured not in values:
                problems += missing(values, [plain], {one.field for one in problems})
        if record.group and "item_group_id" not in values:
            values["item_group_id"] = record.group
        if values.get("availability") in ("preorder", "backorder"):
            problems += missing(values, ["availability_date"], {one.field for one in problems})
        return Judged(values, tuple(problems))

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, "id")

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, "item_group_id")

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        records = (record for group in rows for record in group)
        return self._write_xml(records, out) if kind == ".xml" else self._write_text(records, out)

    def close(self) -> None:
        return None

    def _write_xml(self, records: Iterable[Record], out: Path) -> Written:
        from lxml import etree

        count = 0
        places = {name: place for place, name in enumerate(self._rules)}

        def order(name: str) -> int:
            return places.get(name, len(places))

        # Opened by Python: of a full disk lxml itself gives no more than a code of its own.
        with out.open("wb") as place, etree.xmlfile(place, encoding="UTF-8") as file:
            file.write_declaration()
            root = file.element("rss", {"version": "2.0"}, nsmap={"g": NAMESPACE})
            with root, file.element("channel"):
                for name, text in self._feed.items():
                    element = etree.Element(name)
                    element.text = printable(text)
                    file.write(element)
                for record in records:
                    with file.element("item"):
                        for name in sorted(record.values, key=order):
                            _add(file, name, record.values[name])
                    file.write("\n")
                    count += 1
        return Written(count)

    def _write_text(self, records: Iterable[Record], out: Path) -> Written:
        names = [name for name in self._rules if name in self._text_columns()]
        count = 0
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(names)
            for record in records:
                writer.writerow([_as_text(record.values.get(name)) for name in names])
                count += 1
        return Written(count)

    def _text_columns(self) -> set[str]:
        """All columns a record may have: the mapping's, and those that follow from them."""
        follow = {_STRUCTURED[name] for name in self._names if name in _STRUCTURED}
        return {*self._names, *follow, "item_group_id"}


def _structured(content: str) -> dict[str, str]:
    return {"digital_source_type": AI, "content": content}


def _add(file: Any, name: str, value: Any) -> None:
    if value is None:
        return
    for one in value if isinstance(value, list) else [value]:
        with file.element(f"{{{NAMESPACE}}}{name}"):
            if isinstance(one, Mapping):
                for part, text in one.items():
                    _add(file, part, text)
            else:
                file.write(_plain_text(one))


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(flat(value)))


def _as_text(value: Any) -> str:
    """Write a value into a text feed: sub-attributes with colons, several values with commas."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ":".join(_quoted(str(flat(part))) for part in value.values())
    if isinstance(value, list):
        return ",".join(
            _as_text(one) if isinstance(one, Mapping) else _quoted(_plain_text(one), ",")
            for one in value
        )
    return " ".join(_plain_text(value).split())


def _quoted(text: str, marks: str = ":,") -> str:
    text = " ".join(text.split())
    if '"' not in text and not any(mark in text for mark in marks):
        return text
    return '"' + text.replace('"', '""') + '"'
