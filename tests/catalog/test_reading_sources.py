"""JSON, Parquet, databases, folders and patterns."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from reading_whole import read

from waremill.catalog.reading import expand_sources, read_source, read_sources
from waremill.errors import SourceError


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table products (sku text, name text, price real, note blob)")
        connection.executemany(
            "insert into products values (?, ?, ?, ?)",
            [(f"{n:04}", f"<b>n{n}</b>", n / 2, b"\x00") for n in range(2_500)],
        )
    connection.close()
    return f"sqlite:///{path}"


def test_json_lines_keep_good_lines_and_say_which_are_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"sku": "001", "more": {"size": "50 ml", "none": null}}\nnope\n[1]\n\n'
        '{"sku": "<b>2</b>", "tags": ["a", "<i>b</i>"], "price": 2.0, "\\u0000new": true}\n'
    )
    result = read(path)
    assert result.rows == [
        {"sku": "001", "more_size": "50 ml", "more_size_ml": 50, "more_none": None},
        {"sku": "2", "tags": ["a", "b"], "price": 2, "new": True},
    ]
    assert result.numbers == [1, 5]
    assert [number for number, _ in result.problems] == [2, 3]
    assert "not valid JSON" in result.problems[0][1]


def test_names_that_come_late_join_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' * 1_500 + '{"b": 2}\n')
    with read_source(str(path)) as reader:
        assert reader.columns == ("a",)
        assert sum(len(batch.rows) for batch in reader.batches()) == 1_501
        assert reader.columns == ("a", "b")


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '{"products": [{"a": 1}, {"a": 2}], "n": 3}',
        '[\n{"a":1},\n{"a":2}\n]',
    ],
)
def test_a_json_document_gives_its_list_of_objects(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert read(path).rows == [{"a": 1}, {"a": 2}]


def test_json_that_is_no_list_or_broken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"products": [')
    with pytest.raises(SourceError, match="not valid"):
        read(path)
    path.write_text("[1, 2]")
    with pytest.raises(SourceError, match="no list of objects"):
        read(path)


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    import polars

    path = tmp_path / "a.parquet"
    polars.DataFrame(
        {"sku": ["001", "002"], "size": ["50 ml", None], "price": [1.5, 2.0], "tags": [["a"], []]}
    ).write_parquet(path)
    assert read(path).rows == [
        {"sku": "001", "size": "50 ml", "size_ml": 50, "price": 1.5, "tags": ["a"]},
        {"sku": "002", "size": None, "size_ml": None, "price": 2, "tags": None},
    ]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match="cut off"):
        read(path)
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(SourceError, match="damaged"):
        read(path)


def test_a_database_table_is_read(shop: str) -> None:
    result = read(f"{shop}?table=products")
    assert len(result.rows) == 2_500
    assert result.rows[1] == {"sku": "0001", "name": "n1", "price": 0.5, "note": None}


def test_a_query_is_read_as_it_is_written(shop: str) -> None:
    result = read(
        f"{shop}?query=SELECT sku AS id, price FROM products WHERE price > 3 AND sku <> ':a&b=1'"
    )
    assert result.columns == ("id", "price")
    assert len(result.rows) == 2_493
    encoded = read(f"{shop}?query=SELECT+sku+FROM+products+WHERE+sku%3D%270007%27")
    assert encoded.rows == [{"sku": "0007"}]


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM products", "  drop table products", "WITH x AS (SELECT 1) DELETE FROM products"],
)
def test_a_query_never_writes(shop: str, query: str) -> None:
    with pytest.raises(SourceError, match="only reads"):
        read(f"{shop}?query={query}")
    assert len(read(f"{shop}?table=products").rows) == 2_500


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("?table=produkts", "did you mean “products”"),
        ("", "name what to read"),
        ("?query=SELECT nope FROM products", "no such column: nope"),
        ("?query=SELECT * FROM products WHERE 1=0", "no rows"),
        ("x?table=products", "no database file"),
    ],
)
def test_what_is_wrong_with_a_database_is_said(shop: str, suffix: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(shop + suffix)


def test_a_password_never_reaches_a_message() -> None:
    with pytest.raises(SourceError) as caught:
        read("postgresql://user:hunter2@127.0.0.1:1/shop?table=products")
    assert "hunter2" not in str(caught.value)
    assert "refused" in str(caught.value)


def test_postgresql_is_read_and_cannot_be_written(postgres_url: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("create table p (sku text, price numeric, d date, t text[])")
        )
        connection.execute(
            sqlalchemy.text("insert into p values ('001', 19.90, '2024-01-02', '{a,b}')")
        )
        connection.execute(
            sqlalchemy.text(
                "create function add() returns int language sql as "
                "$$ insert into p values ('x'); select 1 $$"
            )
        )
    engine.dispose()
    joined = "&" if "?" in postgres_url else "?"
    assert read(f"{postgres_url}{joined}table=p").rows == [
        {"sku": "001", "price": 19.9, "d": "2024-01-02", "t": ["a", "b"]}
    ]
    with pytest.raises(SourceError, match="read-only"):
        read(f"{postgres_url}{joined}query=SELECT add()")


def test_a_missing_file_is_answered_with_similar_names(tmp_path: Path) -> None:
    (tmp_path / "perfumes.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match=r"“perfumes\.csv”"):
        read(tmp_path / "perfumes.xlsx")
    with pytest.raises(SourceError, match="no folder"):
        read(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(SourceError, match="this is a folder"):
        read(tmp_path)


def test_folders_and_patterns_give_their_readable_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.csv", "a.xlsx", "~$a.xlsx", ".hidden.csv", "photo.png", "sub/c.jsonl"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    names = [Path(path).name for path in expand_sources([str(tmp_path)])]
    assert names == ["a.xlsx", "b.csv", "c.jsonl"]
    assert len(expand_sources([str(tmp_path / "*.csv")])) == 1
    assert expand_sources(["sqlite:///x.db?table=t", "missing.csv"]) == [
        "sqlite:///x.db?table=t", "missing.csv",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="nothing that can be read"):
        expand_sources([str(tmp_path / "empty")])
    with pytest.raises(SourceError, match="no file matches"):
        expand_sources([str(tmp_path / "*.parquet")])


def test_one_files_failure_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku\n")
    (tmp_path / "b.csv").write_text("sku\nA\n")
    results = dict(read_sources([str(tmp_path)]))
    assert isinstance(results[str(tmp_path / "a.csv")], SourceError)
    assert not isinstance(results[str(tmp_path / "b.csv")], SourceError)


def test_a_sheet_is_refused_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku\nA\n")
    with pytest.raises(SourceError, match="has no sheets"):
        read(tmp_path / "a.csv", "Products")
