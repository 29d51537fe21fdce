"""Products in the database: upsert by key, groups, versions kept while items need them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from waremill.store import products as store
from waremill.store.database import Database
from waremill.store.products import Catalog, Counts, NewProduct
from waremill.store.tables import items, product_versions, products

COLUMNS = ("sku", "name", "price", "scent")


async def load(
    database: Database,
    rows: list[dict[str, Any]],
    columns: tuple[str, ...] = COLUMNS,
    *,
    group: str | None = None,
    batches: int = 1,
) -> Counts:
    """Import rows as the application does, in one or more batches."""
    wanted = Catalog(0, "perfumes", "sku", group, columns)
    catalog = await database.write(store.save_catalog, wanted)
    fresh = [
        NewProduct(row["sku"], row.get(group) if group else None, place, row)
        for place, row in enumerate(rows)
    ]
    counts = Counts()
    size = -(-len(fresh) // batches)
    for start in range(0, len(fresh), size):
        await database.write(store.upsert, catalog, columns, fresh[start : start + size], counts)
    return counts


async def stored(database: Database, *, groups: bool = False) -> dict[str, dict[str, Any]]:
    """Attributes by key."""
    query = select(products.c.key, products.c.attributes).where(products.c.is_group.is_(groups))
    return dict(await database.read(lambda conn: conn.execute(query).tuples().all()))


def counted(counts: Counts) -> tuple[int, int, int]:
    return counts.new, counts.changed, counts.unchanged


async def test_an_import_counts_new_changed_and_unchanged(database: Database) -> None:
    rows = [{"sku": str(n), "name": f"Eau {n}", "price": n} for n in range(1200)]
    assert counted(await load(database, rows)) == (1200, 0, 0)
    assert counted(await load(database, rows)) == (0, 0, 1200)
    rows[3] = {**rows[3], "price": 99}
    rows.append({"sku": "new", "name": "Eau neuve"})
    assert counted(await load(database, rows)) == (1, 1, 1199)
    assert (await stored(database))["3"]["price"] == 99


async def test_columns_a_re_import_lacks_keep_their_values(database: Database) -> None:
    await load(database, [{"sku": "1", "name": "Eau", "price": 10, "scent": "rose"}])
    counts = await load(database, [{"sku": "1", "price": 12}], ("sku", "price"))
    assert counted(counts) == (0, 1, 0)
    assert (await stored(database))["1"] == {
        "sku": "1", "name": "Eau", "price": 12, "scent": "rose",
    }  # fmt: skip


async def test_a_blank_cell_takes_the_value_away(database: Database) -> None:
    await load(database, [{"sku": "1", "name": "Eau", "scent": "rose"}])
    counts = await load(database, [{"sku": "1", "name": "Eau", "scent": "  "}])
    assert counted(counts) == (0, 1, 0)
    assert "scent" not in (await stored(database))["1"]


async def test_of_rows_with_one_key_the_last_counts(database: Database) -> None:
    rows = [{"sku": "1", "name": "first"}, {"sku": "2"}, {"sku": "1", "name": "last"}]
    together = await load(database, rows)
    assert counted(together) == (2, 0, 0)
    assert together.repeated == 1
    apart = await load(database, [*rows[:2], {"sku": "1", "name": "later"}], batches=3)
    assert apart.repeated == 1
    assert apart.new + apart.changed + apart.unchanged == 2
    assert (await stored(database))["1"]["name"] == "later"


async def test_a_key_that_comes_back_in_a_first_import_takes_the_last_row(
    database: Database,
) -> None:
    rows = [
        {"sku": str(n), "spu": f"G{n}", "name": "Eau", "size": f"{n} ml"} for n in range(90)
    ] + [{"sku": "7", "spu": "G8", "name": "Bois", "size": "1 l"}, {"sku": "new", "spu": "G7"}]
    counts = await load(database, rows, SIZE_COLUMNS, group="spu", batches=4)
    assert (counted(counts), counts.repeated) == ((91, 0, 0), 1)
    assert (await stored(database))["7"]["name"] == "Bois"
    assert (await stored(database, groups=True))["G8"]["size"] == ["8 ml", "1 l"]
    assert (await stored(database, groups=True))["G7"] == {"sku": "new", "spu": "G7"}


async def test_order_of_columns_is_not_a_change(database: Database) -> None:
    await load(database, [{"sku": "1", "name": "Eau", "price": 3}])
    counts = await load(database, [{"price": 3, "name": "Eau", "sku": "1"}])
    assert counted(counts) == (0, 0, 1)


SIZES = [
    {"sku": "1", "spu": "A", "name": "Eau", "size": "30 ml"},
    {"sku": "2", "spu": "A", "name": "Eau", "size": "50 ml"},
    {"sku": "3", "spu": "B", "name": "Bois", "size": "50 ml"},
]
SIZE_COLUMNS = ("sku", "spu", "name", "size")


async def group_versions(database: Database) -> dict[str, int]:
    query = select(products.c.key, products.c.version).where(products.c.is_group)
    return dict(await database.read(lambda conn: conn.execute(query).tuples().all()))


async def test_a_group_is_the_merged_view_of_its_members(database: Database) -> None:
    await load(database, SIZES, SIZE_COLUMNS, group="spu")
    groups = await stored(database, groups=True)
    assert groups["A"] == {
        "sku": ["1", "2"], "spu": "A", "name": "Eau", "size": ["30 ml", "50 ml"],
    }  # fmt: skip
    before = await group_versions(database)
    changed = [{**SIZES[0], "size": "35 ml"}, *SIZES[1:]]
    await load(database, changed, SIZE_COLUMNS, group="spu")
    after = await group_versions(database)
    assert before["A"] != after["A"]
    assert before["B"] == after["B"]


async def test_groups_are_right_after_every_batch(database: Database) -> None:
    wanted = Catalog(0, "perfumes", "sku", "spu", SIZE_COLUMNS)
    catalog = await database.write(store.save_catalog, wanted)
    counts = Counts()
    for place, row in enumerate(SIZES):  # an import may stop after any of them
        one = NewProduct(row["sku"], row["spu"], place, dict(row))
        await database.write(store.upsert, catalog, SIZE_COLUMNS, [one], counts)
        groups = await stored(database, groups=True)
        assert row["size"] in groups[row["spu"]]["size"]
    assert groups["A"]["size"] == ["30 ml", "50 ml"]


async def test_a_product_that_is_whole_keeps_nothing_from_before(database: Database) -> None:
    await load(database, [{"sku": "1", "name": "Eau", "price": 10}])
    catalog = await database.read(store.find_catalog, None)
    other = NewProduct("1", None, 0, {"colour": "red"}, whole=True)
    await database.write(store.upsert, catalog, ("colour",), [other], Counts())
    assert (await stored(database))["1"] == {"colour": "red"}


async def test_a_product_that_changes_groups_leaves_the_old_one(database: Database) -> None:
    await load(database, SIZES, SIZE_COLUMNS, group="spu")
    await load(database, [{**SIZES[1], "spu": "B"}], SIZE_COLUMNS, group="spu")
    groups = await stored(database, groups=True)
    assert groups["A"]["size"] == "30 ml"
    assert groups["B"]["sku"] == ["2", "3"]


async def test_a_file_without_the_group_column_leaves_products_in_their_groups(
    database: Database,
) -> None:
    await load(database, SIZES, SIZE_COLUMNS, group="spu")
    rows = [{"sku": row["sku"], "name": row["name"]} for row in SIZES]
    assert counted(await load(database, rows, ("sku", "name"))) == (0, 0, 3)
    await load(database, [{"sku": "1", "name": "Eau fine"}], ("sku", "name"))
    groups = await stored(database, groups=True)
    assert groups["A"]["name"] == ["Eau fine", "Eau"]


async def test_old_versions_are_kept_once_any_item_exists(database: Database) -> None:
    def versions(conn: Any) -> list[Any]:
        return list(conn.execute(select(product_versions.c.attributes)).scalars())

    await load(database, [{"sku": "1", "name": "one"}])
    await load(database, [{"sku": "1", "name": "two"}])
    assert await database.read(versions) == []
    row = {"run_id": 1, "product_id": 1, "product_version": 0, "group_version": 0,
           "fingerprint_id": 1, "target": "", "state": "pending", "attempts": 0,
           "findings": 0}  # fmt: skip
    await database.write(lambda conn: conn.execute(items.insert().values(row)))
    await load(database, [{"sku": "1", "name": "three"}])
    await load(database, [{"sku": "1", "name": "two"}])
    await load(database, [{"sku": "1", "name": "three"}])
    kept = await database.read(versions)
    assert sorted(found["name"] for found in kept) == ["three", "two"]
