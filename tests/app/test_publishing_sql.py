"""Write-back into a database of one's own: only what changed, never NULL over a value, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.publishing import FileShown, PublishOptions
from waremill.errors import ConfigError, UserError

TABLE = """
CREATE TABLE wares (
  id INTEGER PRIMARY KEY {auto}, sku VARCHAR(20) NOT NULL UNIQUE, title VARCHAR(30),
  points {json}, price NUMERIC(10, 2), kind TEXT NOT NULL, stock INTEGER DEFAULT 0, note TEXT
)
"""
MAPPING = """\
key: sku
columns:
  sku: sku
  title: title
  points: points
  price: price
  note: brand
  kind: {value: perfume}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def shop_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shop's own database with two rows."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'own.db'}"
        made = TABLE.format(auto="AUTOINCREMENT", json="JSON")
    else:
        url = request.getfixturevalue("postgres_url")
        made = TABLE.format(auto="GENERATED ALWAYS AS IDENTITY", json="JSONB")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as conn:
        conn.execute(text(made))
        conn.execute(text(
            "INSERT INTO wares (sku, title, price, kind, stock, note) VALUES "
            "('P000', 'Old title', 5, 'old', 7, 'mine'), ('X1', 'Other', 1, 'x', 1, NULL)"
        ))  # fmt: skip
    engine.dispose()
    return url


@pytest.fixture
def engine(shop_url: str) -> Iterator[Engine]:
    one = create_engine(shop_url.replace("postgresql://", "postgresql+psycopg://"))
    yield one
    one.dispose()


def table(engine: Engine) -> dict[str, dict[str, Any]]:
    """Give the rows of the shop's table by their key."""
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT * FROM wares ORDER BY id")).mappings().all()
    return {row["sku"]: dict(row) for row in rows}


def shop_at(folder: Path, url: str, mapping: str = MAPPING, more: str = "") -> Path:
    channels = f"[publish.own]\nformat = 'sql'\nurl_env = 'SHOP_URL'\ntable = 'wares'\n{more}"
    root = make_shop(folder, None, {"publish/own.yaml": mapping}, channels)
    (root / ".env").write_text(f"SHOP_URL='{url}'\n")
    return root


async def shop_run(workspace: Workspace, **run: Any) -> str:
    await bring(workspace, perfume_rows(4))
    return await accepted_run(workspace, **run)


async def test_rows_are_inserted_and_updated_and_others_left_alone(
    tmp_path: Path, shop_url: str, engine: Engine
) -> None:
    async with open_workspace(shop_at(tmp_path / "shop", shop_url)) as workspace:
        run = await shop_run(workspace)
        before = table(engine)
        (dry,) = await publishing.publish(workspace, run, "own", PublishOptions(dry_run=True))
        assert table(engine) == before and dry.rows["new"] == 4
        (made,) = await publishing.publish(workspace, run, "own")
    rows = table(engine)
    assert made.rows["new"] == 4 and made.files == (FileShown("en-US", None, 4),)
    assert list(rows) == ["P000", "X1", "P001", "P002", "P003"] and rows["X1"] == before["X1"]
    assert (rows["P000"]["title"], rows["P000"]["stock"]) == ("Title P000 清新", 7)
    assert float(rows["P001"]["price"]) == 11.5 and rows["P001"]["kind"] == "perfume"
    assert "第二点" in str(rows["P001"]["points"]).encode().decode("unicode_escape", "ignore") or (
        "第二点" in str(rows["P001"]["points"])
    )


async def test_only_what_changed_since_is_written_and_a_missing_value_is_no_null(
    tmp_path: Path, shop_url: str, engine: Engine
) -> None:
    async with open_workspace(shop_at(tmp_path / "shop", shop_url)) as workspace:
        run = await shop_run(workspace)
        await publishing.publish(workspace, run, "own")
        with engine.begin() as conn:
            conn.execute(text("UPDATE wares SET note = 'by hand'"))
        (same,) = await publishing.publish(workspace, run, "own")
        assert same.rows["unchanged"] == 4 and same.files == ()
        rows = perfume_rows(4)
        rows[1] |= {"price": "99", "brand": ""}
        await bring(workspace, rows)
        (made,) = await publishing.publish(workspace, run, "own")
        assert made.rows["changed"] == 1 and made.fields["note"]["kept"] == 1
    found = table(engine)
    assert float(found["P001"]["price"]) == 99 and found["P001"]["note"] == "by hand"


async def test_a_rollback_brings_back_what_the_table_held_before(
    tmp_path: Path, shop_url: str, engine: Engine
) -> None:
    async with open_workspace(shop_at(tmp_path / "shop", shop_url)) as workspace:
        run = await shop_run(workspace)
        (first,) = await publishing.publish(workspace, run, "own")
        second = await accepted_run(workspace, word="New")
        (made,) = await publishing.publish(workspace, second, "own")
        assert table(engine)["P001"]["title"] == "New P001 清新"
        await publishing.roll_back(workspace, str(made.publication))
        assert table(engine)["P001"]["title"] == "Title P001 清新"
        back = await publishing.roll_back(workspace, str(first.publication))
    rows = table(engine)
    assert rows["P000"]["title"] == "Old title" and rows["P000"]["kind"] == "old"
    assert float(rows["P000"]["price"]) == 5 and rows["P000"]["note"] == "mine"
    assert "P001" in rows  # what had nothing before stays
    assert any("had none before" in note for note in back.notes)


async def test_what_the_table_cannot_hold_is_refused_with_its_row(
    tmp_path: Path, shop_url: str, engine: Engine
) -> None:
    mapping = MAPPING.replace("kind: {value: perfume}", "kind: {from: kind}").replace(
        "price: price", "price: {from: size}"
    )
    rows = [{**row, "kind": "" if row["sku"] == "P002" else "k"} for row in perfume_rows(4)]
    rows[0]["size"] = rows[2]["size"] = rows[3]["size"] = "3"
    async with open_workspace(shop_at(tmp_path / "shop", shop_url, mapping)) as workspace:
        await bring(workspace, rows)
        run = await accepted_run(workspace, values={"P003": {"title": "x" * 31}})
        (made,) = await publishing.publish(workspace, run, "own")
    said = {one.key: (one.field, one.message, one.place) for one in made.refusals}
    assert said["P001"][:2] == ("price", "“60 ml” is no number")
    assert said["P002"][0] == "kind" and "new in the table" in said["P002"][1]
    assert said["P003"] == (
        "title", "it has 31 characters, 30 are allowed", "table wares, row P003",
    )  # fmt: skip
    assert list(table(engine)) == ["P000", "X1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"  title: title": "  titel: title"}, "has no column “titel”, did you mean “title”"),
        ({"key: sku": "key: title"}, "does not keep title unique"),
        ({"key: sku\n": ""}, "name the key"),
        ({"key: sku": "key: stock"}, "name the key"),
    ],
)
async def test_a_mapping_that_does_not_fit_the_table_is_a_plain_sentence(
    tmp_path: Path, shop_url: str, change: Mapping[str, str], said: str
) -> None:
    mapping = MAPPING
    for old, new in change.items():
        mapping = mapping.replace(old, new)
    async with open_workspace(shop_at(tmp_path / "shop", shop_url, mapping)) as workspace:
        run = await shop_run(workspace)
        with pytest.raises(UserError) as caught:
            await publishing.publish(workspace, run, "own")
    assert said in str(caught.value)


async def test_a_database_that_cannot_be_is_said_without_its_address(tmp_path: Path) -> None:
    for url, said in (
        ("sqlite:///missing.db", "there is no database file"),
        ("postgresql://me:secret@127.0.0.1:9/x", "table wares: the database refused: "),
        ("mysql://me:secret@h/x", "SQLite and PostgreSQL are"),
        ("", "set SHOP_URL"),
    ):
        folder = tmp_path / str(abs(hash(url)))
        async with open_workspace(shop_at(folder, url)) as workspace:
            run = await shop_run(workspace)
            with pytest.raises(ConfigError) as caught:
                await publishing.publish(workspace, run, "own")
        assert said in str(caught.value)
        assert not any(one in str(caught.value) for one in ("secret", "127.0.0.1", str(tmp_path)))


async def test_a_database_that_does_not_answer_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Its server stands in this loop: it can only hang up while the loop is not waiting for it."""
    root = shop_at(tmp_path / "shop", "sqlite:///own.db")
    server = await asyncio.start_server(lambda _, to: to.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = PublishOptions((f"postgresql://me@127.0.0.1:{port}/shop",))
    async with server, open_workspace(root) as workspace:
        run = await shop_run(workspace)
        with pytest.raises(ConfigError, match="closed the connection"):
            await publishing.publish(workspace, run, "own", options)


async def test_targets_do_not_write_over_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE wares (sku TEXT, lang TEXT, title TEXT)"))
        conn.execute(text("CREATE UNIQUE INDEX one ON wares (sku, lang)"))
    mapping = "key: [sku, lang]\ncolumns:\n  sku: sku\n  lang: _language\n  title: title\n"
    root = shop_at(tmp_path / "shop", url, mapping)
    async with open_workspace(root) as workspace:
        run = await shop_run(workspace, targets=("en-US", "zh-CN"))
        (made,) = await publishing.publish(workspace, run, "own")
        assert made.rows["new"] == 8
        bad = mapping.replace("[sku, lang]", "sku").replace("  lang: _language\n", "")
        (root / "publish/own.yaml").write_text(bad)
        with pytest.raises(ConfigError):
            await publishing.publish(workspace, run, "own")
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM wares WHERE lang = 'zh'")).scalar() == 4
    engine.dispose()


async def test_what_a_failed_publication_left_in_the_table_is_written_over_and_rolled_back(
    tmp_path: Path,
) -> None:
    """The rows before the one the table refuses stand there: our own words are no `before`."""
    url = f"sqlite:///{tmp_path / 'own.db'}"
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE wares (sku TEXT PRIMARY KEY, title TEXT,"
                          " price NUMERIC CHECK (price < 512))"))  # fmt: skip
        conn.execute(text("INSERT INTO wares VALUES ('P000', 'Old title', 1)"))
    good = perfume_rows(503)
    bad = [*good[:-1], {**good[-1], "price": "600"}]
    good[-1]["price"] = "1"

    def first_title() -> Any:
        with engine.connect() as conn:
            return conn.execute(text("SELECT title FROM wares WHERE sku = 'P000'")).scalar()

    mapping = "key: sku\ncolumns:\n  sku: sku\n  title: title\n  price: price\n"
    async with open_workspace(shop_at(tmp_path / "shop", url, mapping)) as workspace:
        await bring(workspace, bad)
        first = await accepted_run(workspace)
        with pytest.raises(UserError, match="CHECK"):
            await publishing.publish(workspace, first, "own")
        assert first_title() == "Title P000 清新"
        await bring(workspace, good)
        second = await accepted_run(workspace, word="New")
        (made,) = await publishing.publish(workspace, second, "own")
        await bring(workspace, bad)
        with pytest.raises(UserError, match="CHECK"):
            await publishing.publish(workspace, first, "own")
        assert first_title() == "Title P000 清新"
        await bring(workspace, good)
        (again,) = await publishing.publish(workspace, second, "own")
        assert first_title() == "New P000 清新" and again.rows["changed"] == 503
        (same,) = await publishing.publish(workspace, second, "own")
        assert same.rows["unchanged"] == 503
        await publishing.roll_back(workspace, str(again.publication))
        await publishing.roll_back(workspace, str(made.publication))
    assert first_title() == "Old title"
    engine.dispose()
