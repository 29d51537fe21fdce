"""Publishers: what a person opens holds exactly what was made, and nothing in it is live."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import polars
import pytest
import python_calamine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from waremill.catalog.publishers import (
    Column,
    TextOptions,
    Written,
    output_suffixes,
    publish_rows,
    publisher_for,
)
from waremill.catalog.publishers.delimited import with_formula_mark, without_formula_mark
from waremill.catalog.publishers.table import printable
from waremill.catalog.reading import read_source
from waremill.errors import ConfigError

COLUMNS = (
    Column("sku"),
    Column("名称"),
    Column("price"),
    Column("in_stock"),
    Column("title", "generated"),
    Column("notes", "generated"),
    Column("_status", "status"),
)
ROWS: list[list[Any]] = [
    ["00123", "迪奥真我香水", 89.5, True, '=HYPERLINK("http://x")', ["rose", "oud"], "ready"],
    ["4006381333931", "a\nb", 7, False, "+49 30 1", [], "review"],
    ["-5", None, None, None, None, None, "failed"],
]
SUFFIXES = [".csv", ".jsonl", ".parquet", ".tsv", ".xlsx"]
hostile_text = st.text(
    alphabet=st.one_of(
        st.sampled_from("=+-@'\"\t\r\n,;|<>&_x0041 ＝🌹é中\x00\x0b\x85\ufffe"),
        st.characters(),
    ),
    max_size=40,
)


def csv_rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drop root's rights for a while, since root may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# --- any format ------------------------------------------------------------------------------


def test_the_suffix_chooses_the_format_and_case_does_not_matter(tmp_path: Path) -> None:
    assert set(SUFFIXES) <= set(output_suffixes())
    assert publisher_for(Path("a.XLSX")) is publisher_for(Path("b.xlsx"))


@pytest.mark.parametrize("name", ["out.docx", "out", "out.xlsx.gz"])
def test_an_unknown_suffix_names_the_possible_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.jsonl.*or \.xlsx") as caught:
        publish_rows(tmp_path / name, COLUMNS, ROWS)
    assert name in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_counted_and_missing_folders_made(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / "deep" / f"out{suffix}"
    assert publish_rows(path, COLUMNS, iter(ROWS)) == Written(3)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_rows_still_give_a_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert publish_rows(path, COLUMNS, []).rows == 0
    names = [column.name for column in COLUMNS]
    if suffix == ".xlsx":
        assert list(openpyxl.load_workbook(path).active.values) == [tuple(names)]
    elif suffix == ".parquet":
        assert polars.read_parquet(path).columns == names
    elif suffix != ".jsonl":
        assert csv_rows(path, "\t" if suffix == ".tsv" else ",") == [names]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("before")

    def rows() -> Iterator[list[Any]]:
        yield from ROWS * 300
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="the database went away"):
        publish_rows(path, COLUMNS, rows())
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupt_on_the_way_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    def rows() -> Iterator[list[Any]]:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_rows(tmp_path / f"out{suffix}", COLUMNS, rows())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_read_only_folder_is_one_plain_sentence(tmp_path: Path, suffix: str) -> None:
    publish_rows(tmp_path / f"warm{suffix}", COLUMNS, ROWS)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    with unprivileged(), pytest.raises(ConfigError, match="folder does not allow it"):
        publish_rows(folder / f"out{suffix}", COLUMNS, ROWS)
    assert os.listdir(folder) == []


def test_a_folder_or_a_file_in_the_path_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="this is a folder"):
        publish_rows(tmp_path / "folder.csv", COLUMNS, ROWS)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="a file, not a folder"):
        publish_rows(tmp_path / "file" / "out.csv", COLUMNS, ROWS)


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
from waremill.catalog.publishers import Column, publish_rows
from waremill.errors import ConfigError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rows = ([os.urandom(40).hex(), number] for number in range(20_000))
try:
    publish_rows(Path(sys.argv[1]), [Column("a"), Column("b")], rows)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_one_plain_sentence_and_nothing_is_left(tmp_path: Path, suffix: str) -> None:
    """A limit on the size of files makes the system refuse as a full disk does."""
    path = tmp_path / f"out{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (
        f"{path}: the disk is full: free some space or write to another place"
    )
    assert os.listdir(tmp_path) == []


def test_a_link_is_followed_and_rights_are_kept(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("before")
    (tmp_path / "real.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    publish_rows(tmp_path / "link.csv", COLUMNS, ROWS)
    assert (tmp_path / "link.csv").is_symlink()
    assert len(csv_rows(tmp_path / "real.csv")) == 4
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_of_one_name_are_told_apart(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    publish_rows(path, [Column("size"), Column("size"), Column(" ")], [[1, 2, 3]])
    expected = ["size", "size (2)", "column 3"]
    if suffix == ".jsonl":
        assert list(orjson.loads(path.read_bytes())) == expected
    elif suffix == ".parquet":
        assert polars.read_parquet(path).columns == expected
    elif suffix == ".xlsx":
        assert [cell.value for cell in openpyxl.load_workbook(path).active[1]] == expected
    else:
        assert csv_rows(path, "\t" if suffix == ".tsv" else ",")[0] == expected


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".xlsx"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, suffix: str) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        publish_rows(
            tmp_path / f"out{suffix}", [Column("a")], ([f"value {n}"] for n in range(count))
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    assert peak(20_000) < peak(1_000) + 200_000


def test_long_text_in_parquet_keeps_memory_bounded(tmp_path: Path) -> None:
    """20,000 rows of 9 kB (180 MB of text) add less than 120 MB to the process."""
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from waremill.catalog.publishers import Column, publish_rows\n"
        "def peak(n):\n"
        "    rows = ((f'{k:09d}' * 1000, k) for k in range(n))\n"
        "    publish_rows(Path(sys.argv[1]), [Column('a'), Column('b')], rows)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(peak(100), peak(20_000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.parquet")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    small, large = map(int, done.stdout.split())
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    assert (large - small) / unit < 120


# --- csv and tsv -----------------------------------------------------------------------------


def test_csv_opens_in_excel_and_holds_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    publish_rows(path, COLUMNS, ROWS)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfsku,")
    assert csv_rows(path)[1:] == [
        [
            "00123",
            "迪奥真我香水",
            "89.5",
            "true",
            '\'=HYPERLINK("http://x")',
            "rose | oud",
            "ready",
        ],
        ["4006381333931", "a\nb", "7", "false", "'+49 30 1", "", "review"],
        ["-5", "", "", "", "", "", "failed"],
    ]
    assert raw.count(b"\r\n") == 4


def test_csv_choices_are_honoured(tmp_path: Path) -> None:
    path = tmp_path / "out.tsv"
    options = TextOptions(byte_order_mark=False, newline="\n", formula_safe=False)
    publish_rows(path, [Column("a"), Column("b")], [["=1", 'x\t"y"']], text=options)
    assert path.read_bytes() == b'a\tb\n=1\t"x\t""y"""\n'


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@A1", "\t=1", "\r=1", "\n=1", "＝1", " =1", "- rose", "-"]
)
def test_text_a_spreadsheet_would_run_is_marked(text: str) -> None:
    assert with_formula_mark(text) == "'" + text


@pytest.mark.parametrize("text", ["", "rose", "-5", "+1.5", "-1,5", "-.5", "-1e-5", "-20%", "a=b"])
def test_numbers_and_plain_text_are_not_marked(text: str) -> None:
    assert with_formula_mark(text) == text


@given(hostile_text)
@example("'=1")
@example("''-5")
@example("'-5")
def test_the_formula_mark_can_be_taken_off_without_loss(text: str) -> None:
    assert without_formula_mark(with_formula_mark(text)) == text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hostile_text, min_size=1, max_size=20), st.sampled_from([".csv", ".tsv"]))
def test_any_text_survives_csv_but_for_control_characters(
    tmp_path: Path, texts: list[str], suffix: str
) -> None:
    path = tmp_path / f"out{suffix}"
    publish_rows(path, [Column("k"), Column("text")], [["k", text] for text in texts])
    read = csv_rows(path, "\t" if suffix == ".tsv" else ",")
    assert [without_formula_mark(row[1]) for row in read[1:]] == [printable(t) for t in texts]
    assert not [row for row in read for cell in row if cell.startswith(("=", "@", "＝"))]


# --- jsonl and parquet -----------------------------------------------------------------------


def test_jsonl_keeps_types_and_the_order_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    publish_rows(path, COLUMNS, ROWS)
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [list(line.values()) for line in lines] == ROWS
    assert list(lines[0]) == [column.name for column in COLUMNS]


def test_jsonl_holds_what_json_cannot(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    row = [2**70, "\ud800", float("inf"), {"x": {1: 2**70}}, (1, 2), b"a"]
    publish_rows(path, [Column(str(n)) for n in range(len(row))], [row])
    assert list(orjson.loads(path.read_bytes()).values()) == [
        str(2**70), "\ufffd", "inf", {"x": {"1": str(2**70)}}, [1, 2], "a",
    ]  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(json_values, json_values), max_size=10))
def test_any_json_survives_jsonl_and_parquet(tmp_path: Path, rows: list[tuple[Any, Any]]) -> None:
    columns = [Column("a"), Column("b")]
    publish_rows(tmp_path / "out.jsonl", columns, rows)
    read = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert [(line["a"], line["b"]) for line in read] == rows
    written = publish_rows(tmp_path / "out.parquet", columns, rows)
    frame = polars.read_parquet(tmp_path / "out.parquet")
    for place, name in enumerate("ab"):
        values = frame[name].to_list()
        if any(f"“{name}”" in note for note in written.notes):
            values = [None if value is None else orjson.loads(value) for value in values]
        assert values == [row[place] for row in rows]


def test_parquet_types_follow_the_values(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    columns = [Column(name) for name in ("b", "i", "f", "t", "l", "mixed", "none", "object")]
    rows: list[list[Any]] = [
        [True, 1, 1, "00123", ["a"], 1, None, {"x": 1}],
        [None, 2**60, 2.5, "b", [], "one", None, None],
    ]
    written = publish_rows(path, columns, rows)
    frame = polars.read_parquet(path)
    assert frame.schema == {
        "b": polars.Boolean, "i": polars.Int64, "f": polars.Float64, "t": polars.String,
        "l": polars.List(polars.String), "mixed": polars.String, "none": polars.String,
        "object": polars.String,
    }  # fmt: skip
    assert frame["mixed"].to_list() == ["1", '"one"']
    assert written.notes == (
        "written as JSON text, for values of several or nested types: “mixed”, “object”",
    )


def test_parquet_of_several_groups_keeps_the_order(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    publish_rows(path, [Column("n")], ([number] for number in range(25_001)))
    assert polars.read_parquet(path)["n"].to_list() == list(range(25_001))


# --- real data -------------------------------------------------------------------------------


def test_a_real_catalogue_comes_back_the_same_from_every_format(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "catalogues-beauty" / "taobao_cosmetics_zh_open.csv"
    with source.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file))
    columns = [Column(name) for name in header]
    names = [name or f"column {place}" for place, name in enumerate(header, 1)]
    clean = [[printable(cell) for cell in row] for row in rows]
    for suffix in (".xlsx", ".csv", ".jsonl", ".parquet"):
        path = tmp_path / f"out{suffix}"
        assert publish_rows(path, columns, rows).rows == len(rows)
        if suffix == ".xlsx":
            read = python_calamine.load_workbook(str(path)).get_sheet_by_index(0).to_python()
            assert read == [names, *clean]
        elif suffix == ".csv":
            assert [[without_formula_mark(c) for c in r] for r in csv_rows(path)[1:]] == clean
        elif suffix == ".jsonl":
            lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
            assert [list(line.values()) for line in lines] == rows
        else:
            assert [list(row) for row in polars.read_parquet(path).iter_rows()] == rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_our_own_reader_gives_the_values_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    publish_rows(path, COLUMNS, ROWS, sheet="目录")
    with read_source(str(path)) as reader:
        assert reader.columns == tuple(column.name for column in COLUMNS)
        read = [row for batch in reader.batches() for row in batch.rows]
    typed = suffix in (".jsonl", ".parquet")
    for row, given_row in zip(read, ROWS, strict=True):
        for value, given_value in zip(row.values(), given_row, strict=True):
            expected = given_value
            if isinstance(given_value, list) and not typed:
                expected = " | ".join(given_value) or None
            if suffix in (".csv", ".tsv"):
                value = without_formula_mark(value) if isinstance(value, str) else value
                if isinstance(given_value, bool):
                    expected = str(given_value).lower()
            assert value == expected or (value is None and expected == [])
