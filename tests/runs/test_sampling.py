"""A trial's sample: seeded, fair, with each stratum's share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planned import plain, stock

from waremill.runs.plan import Choice, _shares, count_chosen, ranked, sample_ids
from waremill.store.database import Database
from waremill.store.products import chosen
from waremill.store.tables import products


async def drawn(database: Database, choice: Choice) -> list[int]:
    query = chosen(choice.catalog.id)
    return await database.read(sample_ids, query, choice)


async def test_a_seed_always_draws_the_same_sample(database: Database) -> None:
    catalog = await stock(database, plain(200))
    choice = Choice(catalog, sample=20, seed=3)
    first = await drawn(database, choice)
    assert first == await drawn(database, choice)
    assert len(set(first)) == 20
    assert first != await drawn(database, replace(choice, seed=4))


async def test_a_small_catalogue_is_taken_whole(database: Database) -> None:
    catalog = await stock(database, plain(5))
    assert len(await drawn(database, Choice(catalog, sample=20))) == 5


async def test_every_product_is_as_likely_as_any_other(database: Database) -> None:
    catalog = await stock(database, plain(60))
    times: Counter[int] = Counter()
    for seed in range(300):
        times.update(await drawn(database, Choice(catalog, sample=12, seed=seed)))
    # 300 samples of a fifth: 60 each, a standard deviation of 7.
    assert len(times) == 60
    assert min(times.values()) > 60 - 28
    assert max(times.values()) < 60 + 28


async def test_each_stratum_gives_its_share(database: Database) -> None:
    rows: list[dict[str, Any]] = plain(100)
    for number, row in enumerate(rows):
        row["brand"] = "big" if number < 70 else "small" if number < 95 else None
    catalog = await stock(database, rows)
    strata = products.c.attributes["brand"].as_string()
    choice = Choice(catalog, sample=20, seed=1, strata=strata)
    numbers = set(await drawn(database, choice))
    query = chosen(catalog.id, products.c.id.in_(numbers))
    found = await database.read(lambda conn: conn.execute(query).all())
    brands = Counter(row.attributes.get("brand") for row in found)
    assert brands == {"big": 14, "small": 5, None: 1}


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 10_000), min_size=1), st.integers(1, 500)
)
def test_shares_add_up_and_never_exceed_a_stratum(sizes: dict[str, int], wanted: int) -> None:
    shares = _shares(sizes, wanted)
    assert sum(shares.values()) == min(wanted, sum(sizes.values()))
    for name, share in shares.items():
        exact = wanted * sizes[name] / sum(sizes.values())
        assert 0 <= share <= sizes[name]
        assert sum(sizes.values()) <= wanted or abs(share - exact) < 1


async def test_a_sample_is_drawn_from_the_first_of_a_limited_choice(database: Database) -> None:
    catalog = await stock(database, plain(50))
    choice = Choice(catalog, order_by=(products.c.key.desc(),), limit=10, sample=6, seed=4)
    rows = await database.read(lambda conn: conn.execute(ranked(conn, choice)).all())
    keys = [row.key for row in rows]
    assert len(keys) == 6
    assert keys == sorted(keys, reverse=True)
    assert min(keys) >= "P040"
    assert await database.read(count_chosen, choice) == 10


async def test_groups_are_counted_by_their_members(database: Database) -> None:
    rows = [{**row, "spu": f"G{n // 3}"} for n, row in enumerate(plain(12))]
    catalog = await stock(database, rows, group="spu")
    within = products.c.key.in_(["P000", "P001", "P004"])
    choice = Choice(catalog, within, groups=True)
    picked = await database.read(lambda conn: conn.execute(ranked(conn, choice)).all())
    assert [row.key for row in picked] == ["G0", "G1"]
    assert await database.read(count_chosen, choice) == 2
    sampled = replace(choice, sample=1)
    assert len(await database.read(lambda conn: conn.execute(ranked(conn, sampled)).all())) == 1


async def test_a_sample_of_a_limited_ordered_choice_stays_within_its_condition(
    database: Database,
) -> None:
    catalog = await stock(database, plain(50))
    where = products.c.key >= "P040"
    choice = Choice(catalog, where, sample=5, seed=9)
    rows = await database.read(lambda conn: conn.execute(ranked(conn, choice)).all())
    assert len(rows) == 5
    assert all(row.key >= "P040" for row in rows)
    assert await database.read(count_chosen, Choice(catalog, where)) == 10
    assert await database.read(count_chosen, Choice(catalog, where, limit=3)) == 3
