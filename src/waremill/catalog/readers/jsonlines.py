"""JSON lines (jsonl, ndjson) and JSON documents holding a list of objects.

Nested objects become columns named `outer_inner`; lists of scalars stay lists; in lists of pairs
each pair reads `name: value`. A line that is not an object is a problem, the others are kept.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import orjson

from waremill.catalog.cleaning import clean_text
from waremill.catalog.readers import encoding
from waremill.catalog.readers.columns import Columns
from waremill.catalog.readers.layout import unique_names
from waremill.catalog.readers.shapes import BATCH_ROWS, Batch, Problems, Reader, Request
from waremill.errors import SourceError, Where

SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
RANK: Final = 50
_DEPTH: Final = 4
_DOCUMENT: Final = 256 << 20
_ABSENT: Final = object()


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether the first bytes are those of a JSON object or list."""
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \r\n\t")
    if suffix in SUFFIXES:
        return not text.startswith((b"<", b"%PDF", b"PK"))
    return text[:1] == b"{" and b'":' in text.replace(b"\0", b"").replace(b" ", b"")


def open_reader(source: str, request: Request) -> Reader:
    """Open a JSON source; raise SourceError where there is no object in it."""
    path = Path(source)
    where = Where(file=source)
    problems = Problems()
    found = encoding.detect(path)
    lines = encoding.read_lines(path, found, request.limits.cell)
    records: Iterator[tuple[int, dict[str, Any]]]
    first, second = (next((line for line in lines if line.strip()), "") for _ in range(2))
    lines.close()
    stream: Generator[str] | None = None
    if _is_object(first) and (second or _records_in(orjson.loads(first), whole=True) is None):
        stream = encoding.read_lines(path, found, request.limits.cell)
        records = _from_lines(stream, problems)
    else:
        records = _from_document(path, found, where)
    batches = _batches(records, request, where)
    head = next(batches, None)
    if head is None:
        reason = f": row {next(iter(problems))[0]} {next(iter(problems))[1]}" if problems else ""
        raise SourceError(f"there is no JSON object in the file{reason}", where)
    columns, derived, first_batch = head
    reader = Reader(
        columns,
        iter(()),
        derived=derived,
        notes=[found.note] if found.note else [],
        problems=problems,
        close=stream.close if stream is not None else None,
    )
    reader.replace_batches(_following(reader, first_batch, batches))
    return reader


def _is_object(line: str) -> bool:
    text = line.strip().removeprefix("\ufeff")
    try:
        return isinstance(orjson.loads(text), dict) if text.startswith("{") else False
    except orjson.JSONDecodeError:
        # A damaged first line of many: `{` alone would open a document over several lines.
        return len(text) > 2 and text.endswith(("}", "]", '"'))


def _from_lines(lines: Iterable[str], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("\ufeff")
        if not text:
            continue
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problems.add(number, f"it is not valid JSON ({error.msg} at character {error.pos + 1})")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            problems.add(number, "it is not a JSON object")


def _from_document(
    path: Path, found: encoding.Encoding, where: Where
) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.stat().st_size > _DOCUMENT:
        raise SourceError(
            f"the JSON document is larger than {_DOCUMENT >> 20} MB: save it as one object per "
            "line (jsonl)",
            where,
        )
    text = path.read_bytes().decode(found.codec, "replace").removeprefix("\ufeff")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceError(
            f"the JSON is not valid at character {error.colno}: {error.msg}",
            Where(file=where.file, line=error.lineno),
        ) from error
    records = _records_in(document)
    if records is None:
        raise SourceError("the JSON holds no list of objects: give one object per product", where)
    return ((number, record) for number, record in enumerate(records, start=1))


def _records_in(document: Any, *, whole: bool = False) -> list[dict[str, Any]] | None:
    """Give the list of objects a document is or holds (the longest one), else None.

    A single object counts as a list of one unless `whole`.
    """
    if isinstance(document, list):
        records = [entry for entry in document if isinstance(entry, dict)]
        return records or None
    if not isinstance(document, dict):
        return None
    lists = [
        found
        for value in document.values()
        if isinstance(value, list) and (found := _records_in(value))
    ]
    if lists:
        return max(lists, key=len)
    return None if whole else [document]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    if not any(type(value) is dict for value in record.values()):
        return record
    flat: dict[str, Any] = {}
    _flatten(record, "", flat, 0)
    return flat


def _flatten(record: dict[str, Any], prefix: str, flat: dict[str, Any], depth: int) -> None:
    for name, value in record.items():
        full = f"{prefix}{name}"
        if isinstance(value, dict) and value and depth < _DEPTH:
            _flatten(value, f"{full}_", flat, depth + 1)
        else:
            flat[full] = value


def _batches(
    records: Iterator[tuple[int, dict[str, Any]]], request: Request, where: Where
) -> Iterator[tuple[tuple[str, ...], dict[str, str], Batch]]:
    """Give batches with the columns known so far; names not seen at first are added later."""
    known: dict[str, Columns] = {}
    names: dict[str, str] = {}
    while chunk := list(islice(records, BATCH_ROWS)):
        flat = [_flat(record) for _, record in chunk]
        fields = dict.fromkeys(chain.from_iterable(flat))
        new = [field for field in fields if field not in names]
        cleaned = [
            clean_text(field).replace("\n", " ") or f"column_{len(names) + place + 1}"
            for place, field in enumerate(new)
        ]
        names.update(zip(new, unique_names(cleaned, set(names.values())), strict=True))
        if len(names) > request.limits.columns:
            raise SourceError(
                f"the objects have more than {request.limits.columns} different names: put what "
                "varies into a list",
                where,
            )
        rows: list[dict[str, Any]] = [{} for _ in chunk]
        for field in fields:
            _fill(rows, flat, field, known.setdefault(field, Columns([names[field]])))
        output = [name for field in names for name in known[field].names]
        derived = {name: source for one in known.values() for name, source in one.derived.items()}
        yield tuple(output), derived, Batch(rows, [number for number, _ in chunk])


def _fill(
    rows: list[dict[str, Any]], flat: list[dict[str, Any]], field: str, column: Columns
) -> None:
    present = [
        (row, value)
        for row, record in zip(rows, flat, strict=True)
        if (value := record.get(field, _ABSENT)) is not _ABSENT
    ]
    # Some readers decide on the first batch: one with no value at all would decide for nothing.
    values = column.convert([[value for _, value in present]])
    for name, cells in zip(column.names, values, strict=True):
        for (row, _), cell in zip(present, cells, strict=True):
            row[name] = cell


def _following(
    reader: Reader,
    first: Batch,
    batches: Iterator[tuple[tuple[str, ...], dict[str, str], Batch]],
) -> Iterator[Batch]:
    yield first
    for columns, derived, batch in batches:
        reader.columns = columns
        reader.derived = derived
        yield batch
