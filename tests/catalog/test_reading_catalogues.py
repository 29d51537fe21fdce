"""Real catalogues read whole: counts, encodings, HTML bodies, identifiers."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest

from waremill.catalog.readers.table import Options, open_table
from waremill.catalog.reading import expand_sources, read_source, read_sources
from waremill.errors import SourceError

Rows = list[dict[str, Any]]


@pytest.fixture
def catalogue(shared_data: Path) -> Callable[[str], Rows]:
    def read(name: str) -> Rows:
        with read_source(str(shared_data / name)) as reader:
            rows = [row for batch in reader.batches() for row in batch.rows]
            assert not reader.problems
        return rows

    return read


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("catalogues-beauty/perfume_descriptions_open.csv", 624),
        ("catalogues-beauty/perfume_notes_open.csv", 2159),
        ("catalogues-beauty/sephora_cosmetics_open.csv", 377),
        ("catalogues-beauty/taobao_cosmetics_zh_open.csv", 1047),
        ("catalogues-general/openbg_products_zh_open.jsonl", 746),
        ("catalogues-general/openbg_products_zh_open.csv", 746),
        ("catalogues-general/woocommerce_sample_products.csv", 24),
        ("catalogues-general/spree_products.csv", 211),
        ("catalogues-general/openfoodfacts_open.csv", 460),
    ],
)
def test_a_catalogue_has_the_rows_its_notes_say(
    catalogue: Callable[[str], Rows], name: str, count: int
) -> None:
    assert len(catalogue(name)) == count


@pytest.mark.parametrize(
    ("folder", "count"),
    [
        ("catalogues-beauty/fragdb_sample", 84),
        ("catalogues-general/abt_buy", 11748),
        ("catalogues-general/shopify", 84),
        ("catalogues-general/magento_gear", 44),
    ],
)
def test_a_folder_is_read_file_by_file(shared_data: Path, folder: str, count: int) -> None:
    total = 0
    for _, reader in read_sources([str(shared_data / folder)]):
        assert not isinstance(reader, SourceError)
        total += sum(len(batch.rows) for batch in reader.batches())
    assert total == count


def test_html_bodies_become_text(catalogue: Callable[[str], Rows]) -> None:
    rows = catalogue("catalogues-general/shopify/apparel.csv")
    assert rows[0]["Body (HTML)"].startswith("Ocean blue cotton shirt with a narrow collar")
    bags = catalogue("catalogues-general/magento_gear/products_gear_bags.csv")
    assert not any("<" in str(row["description"]) for row in bags)
    assert "\nDual top handles.\n" in bags[0]["description"]


def test_barcodes_keep_their_leading_zeros(catalogue: Callable[[str], Rows]) -> None:
    codes = [row["code"] for row in catalogue("catalogues-general/openfoodfacts_open.csv")]
    assert codes[0] == "000000000003327986"
    assert all(isinstance(code, str) for code in codes)


def test_lists_of_pairs_read_as_named_values(catalogue: Callable[[str], Rows]) -> None:
    first = catalogue("catalogues-general/openbg_products_zh_open.jsonl")[0]
    assert first["attributes"][0] == "颜色分类: 深灰色"
    assert first["sku"] == "OB-0002"


def test_a_column_of_sizes_gets_a_normalised_one(catalogue: Callable[[str], Rows]) -> None:
    rows = catalogue("catalogues-general/magento_gear/products_gear_fitness_equipment_ball.csv")
    assert [(row["size"], row["size_cm"]) for row in rows[:1]] == [("55 cm", 55)]


PREAMBLES = (
    [],
    [["Spring price list 2024"]],
    [["Our shop GmbH"], ["Export of 2024-05-01"], []],
    [["Please fill in all columns with an asterisk; do not change the header.\n1. EUR only"]],
)


def test_headers_are_found_and_no_row_is_taken_for_a_footer(shared_data: Path) -> None:
    """Any beginning of any real catalogue, also below a preamble, gives its columns and rows."""
    for path in sorted(shared_data.glob("catalogues-*/**/*.csv")):
        delimiter = "|" if "fragdb" in path.parts[-2] else ","
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(islice(csv.reader(stream, delimiter=delimiter), 120))
        for preamble, end in product(PREAMBLES, (2, 3, 5, 9, 17, 40, 119)):
            filled = [row + [""] * (len(rows[0]) - len(row)) for row in preamble]
            part = [list(row) for row in rows[:end]]
            table = open_table(iter(filled + part), Options(textual=True))
            assert table is not None
            numbers = [number for batch in table.batches() for number in batch.numbers]
            assert numbers[0] == len(preamble) + 2, (path, end, table.names)
            assert len(numbers) == sum(any(map(str.strip, row)) for row in part[1:])


def test_all_catalogues_are_read_in_seconds(shared_data: Path) -> None:
    begun = time.monotonic()
    sources = expand_sources(
        [str(shared_data / "catalogues-beauty"), str(shared_data / "catalogues-general")]
    )
    for source, reader in read_sources(sources):
        assert not isinstance(reader, SourceError), source
        assert sum(len(batch.rows) for batch in reader.batches()) > 0
    assert time.monotonic() - begun < 15
