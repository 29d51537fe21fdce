"""What of a row is stored: its JSON without missing cells, and a version that names its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars
from hypothesis import given, settings
from hypothesis import strategies as st

from waremill.catalog.cleaning import clean_text
from waremill.catalog.contents import split_documents, write_contents
from waremill.catalog.readers.shapes import Batch
from waremill.catalog.reading import read_source

ODD = [
    {"a": 'a "quoted", text', "b": None, "c": ["x", "y"]},
    {},
    {"c": "},{", "a": '",""', "b": "null"},
    {"b": ":null", "a": '{"a":null}'},
    {"a": None, "b": None},
    {"z": 1.5, "中": "中文", "e": True, "n": 0},
]
"""Rows whose text looks like the marks of JSON."""


def test_each_row_is_its_json_without_missing_cells() -> None:
    rows: list[dict[str, Any]] = ODD * 70
    documents, versions = Batch(rows, list(range(len(rows)))).contents()
    present = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
    assert [orjson.loads(document) for document in documents] == present
    assert [list(orjson.loads(document)) for document in documents] == [list(r) for r in present]
    assert len(set(versions)) == len(
        {orjson.dumps(r, option=orjson.OPT_SORT_KEYS) for r in present}
    )


def test_the_order_of_names_does_not_make_another_version() -> None:
    one, other = Batch([{"a": 1, "b": 2}, {"b": 2, "c": None, "a": 1}], [2, 3]).contents()[1]
    assert one == other


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=12)), max_size=8))
def test_rows_of_any_clean_text_come_apart_again(rows: list[dict[str, str]]) -> None:
    clean = [{clean_text(name): clean_text(cell) for name, cell in row.items()} for row in rows]
    parts = [part for together, _ in write_contents(clean) for part in [together.decode()]]
    found = [orjson.loads(one) for part in parts for one in split_documents(part)]
    assert found == clean


def test_rows_sent_by_a_child_are_written_as_any_others(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    frame = {
        "sku": [f"{n:04}" for n in range(2500)],
        "name": [f'Eau "{n}"\nline <b>two</b>' for n in range(2500)],
        "size": [f"{n % 7} ml" if n % 3 else None for n in range(2500)],
        "price": [n / 10 for n in range(2500)],
    }
    polars.DataFrame(frame).write_excel(path)
    with read_source(str(path)) as reader:
        for batch in reader.batches():
            assert batch.contents() == Batch(batch.rows, batch.numbers).contents()
            assert batch.column("sku") == [row["sku"] for row in batch.rows]
            assert batch.column("nothing") == [None] * len(batch.numbers)
