"""The product feed of the Agentic Commerce Protocol: JSON Lines or CSV, plain or in gzip.

One line is one product that can be bought; those of a group share a `group_id`. Fields, limits and
closed values are in `fields/acp.yaml`.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

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
from waremill.catalog.publishers.table import Written, flat, json_bytes, json_text, plain, printable

_FOR_CHECKOUT = ("seller_privacy_policy", "seller_tos", "return_policy")
_DERIVED = ("group_id", "listing_has_variations")


@channel_format("acp", ".jsonl", ".jsonl.gz", ".csv", ".csv.gz")
def open_channel(options: ChannelOptions) -> Channel:
    """Open an ACP feed; its mapping's columns are the feed's fields."""
    check_fields(options.mapping, field_list("acp"), "the feed")
    return _Feed(options)


class _Feed:
    whole = True
    grouped = False

    def __init__(self, options: ChannelOptions) -> None:
        self.notes: Sequence[str] = ()
        self._mapping = options.mapping
        self._rules = field_list("acp").fields
        self._mapped = tuple(one.column for one in options.mapping.columns)
        self._columns = [name for name in self._rules if name in {*self._mapped, *_DERIVED}]

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        return [self._judged(record) for record in records]

    def _judged(self, record: Record) -> Judged:
        values = record.effective(self._mapped)
        if record.group is not None:
            values.setdefault("group_id", record.group)
        values.setdefault("listing_has_variations", record.group is not None)
        found, problems = checked(values, self._rules, self._mapping)
        wrong = {one.field for one in problems}
        if found.get("is_eligible_checkout") is True:
            problems += missing(found, _FOR_CHECKOUT, wrong)
            if found.get("is_eligible_search") is False:
                message = "what can be bought must be found too: is_eligible_search is false"
                problems.append(Problem("is_eligible_checkout", message))
        if found.get("availability") == "pre_order":
            problems += missing(found, ["availability_date"], wrong)
        if found.get("listing_has_variations") is True:
            problems += missing(found, ["group_id"], wrong)
        return Judged(found, tuple(problems))

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, "item_id")

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, "group_id")

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        records = (record for group in rows for record in group)
        with _opened(out, kind.endswith(".gz")) as file:
            if ".jsonl" in kind:
                return self._write_lines(records, file)
            return self._write_csv(records, file)

    def _write_lines(self, records: Iterable[Record], file: BinaryIO) -> Written:
        count = 0
        for record in records:
            values = {
                name: plain(record.values[name]) for name in self._columns if name in record.values
            }
            file.write(json_bytes(values) + b"\n")
            count += 1
        return Written(count)

    def _write_csv(self, records: Iterable[Record], file: BinaryIO) -> Written:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._columns)
        count = 0
        for record in records:
            writer.writerow([_text(record.values.get(name)) for name in self._columns])
            count += 1
        text.detach()
        return Written(count)

    def close(self) -> None:
        return None


@contextmanager
def _opened(out: Path, packed: bool) -> Iterator[BinaryIO]:
    with out.open("wb", buffering=1 << 18) as file:
        if not packed:
            yield file
            return
        # No name and no time inside, so that equal feeds are equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as inner:
            yield cast(BinaryIO, inner)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    if isinstance(value, dict):
        return json_text(plain(value))
    return printable(str(flat(value)))
