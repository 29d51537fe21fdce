"""CSV files of the rules: what cannot be read is said with its line, header or not."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from waremill.errors import ConfigError
from waremill.rules import load_forbidden, load_glossary

LONG = "x" * 200_000


@pytest.mark.parametrize("limit", [131_072, 1 << 30], ids=["usual", "lifted"])
@pytest.mark.parametrize("path", ["glossary.csv", "forbidden/words.csv"])
def test_a_header_with_an_endless_cell_is_refused_with_its_line(path: str, limit: int) -> None:
    before = csv.field_size_limit(limit)
    try:
        _refused(path)
    finally:
        csv.field_size_limit(before)


def _refused(path: str) -> None:
    load: Any = load_glossary if path == "glossary.csv" else load_forbidden
    for text, line in ((LONG, 1), (f"# words\n\n{LONG},de\nrose,Rose\n", 3)):
        with pytest.raises(ConfigError, match="this line is not CSV: ") as caught:
            load({path: text})
        assert caught.value.where is not None
        assert (caught.value.where.file, caught.value.where.line) == (path, line)
