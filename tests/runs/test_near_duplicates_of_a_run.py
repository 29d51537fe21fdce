"""Near-duplicates of a run: which texts count, and that looking stays cheap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update
from tests.calls.asking import Desk, desk, model
from tests.planned import claimed, item_rows, plain, planned
from tests.vendor import Vendor

from waremill.checks import near_duplicates
from waremill.checks.near_duplicates import signed
from waremill.domain import Chat, Item, Message
from waremill.pipeline import BoundStep
from waremill.runs.work import Worker, WorkLimits
from waremill.store import recordings, reporting
from waremill.store.database import Database
from waremill.store.tables import bands, items, signatures

TEXT = "A bright bergamot opening over warm vetiver and a long trail of cedar wood and amber"
OTHER = "Leather gloves lined with cashmere, cut and sewn by hand in a small house by the sea"


def writing(text: str = TEXT, asked: str | None = None) -> BoundStep:
    """A step that asks (per product, or always the same) and makes one text."""

    async def write(item: Item, ctx: Any) -> dict[str, Any]:
        prompt = asked or f"about {item.product.key}"
        await ctx.call(item, Chat((Message("user", prompt),), 50), "main")
        return {"body": text}

    return BoundStep("body", "generate", "product", write)


async def _title(item: Item, ctx: Any) -> dict[str, Any]:
    await ctx.call(item, Chat((Message("user", f"title of {item.product.key}"),), 50), "main")
    return {"title": item.product.key}


async def _look(item: Item, ctx: Any) -> dict[str, Any]:
    near: Sequence[tuple[str, float]] = await ctx.similar(item, "body", signed(item.fields["body"]))
    return {"near": [key for key, _ in near]}


TITLE = BoundStep("title", "generate", "target", _title)
LOOK = BoundStep("look", "check", "target", _look)


async def near(one: Desk, *steps: BoundStep) -> dict[str, list[str]]:
    """Work a run one item after the other; what each found."""
    limits = WorkLimits(1)
    await Worker(
        one.database, one.run, one.caller._journal, one.caller, [*steps, TITLE, LOOK], one.files,
        limits,
    ).work()  # fmt: skip
    page = await one.database.read(reporting.item_page, one.run.id, 0)
    return {item.key: item.fields.get("near", []) for item in page}


async def test_a_text_counts_by_the_request_that_made_it_not_the_items_last(
    database: Database,
) -> None:
    shared = await claimed(database, await planned(database, 3, instruction="shared"))
    own = await claimed(database, await planned(database, 3, instruction="own"))
    async with Vendor() as vendor:
        async with desk(database, model(vendor.url), run=shared) as one:
            found = await near(one, writing(asked="one text for all"))
            assert found == {"P000": [], "P001": [], "P002": []}
        async with desk(database, model(vendor.url), run=own) as one:
            assert (await near(one, writing()))["P002"] == ["P000", "P001"]


async def test_a_text_no_model_was_asked_for_is_compared_all_the_same(database: Database) -> None:
    async def fixed(_item: Item, _ctx: Any) -> dict[str, Any]:
        return {"body": TEXT}

    run = await claimed(database, await planned(database, 2))
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        found = await near(one, BoundStep("body", "python", "product", fixed))
    assert found == {"P000": [], "P001": ["P000"]}


async def test_sizes_of_one_scent_may_be_alike(database: Database) -> None:
    rows = [{**row, "spu": f"G{n // 2}"} for n, row in enumerate(plain(4))]
    run = await claimed(database, await planned(database, rows, groups=True))
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        found = await near(one, writing())
    assert (found["P001"], found["P002"], found["P003"]) == ([], ["P000", "P001"], ["P000", "P001"])


async def test_a_changed_row_is_compared_with_what_earlier_runs_made_of_the_rest(
    database: Database,
) -> None:
    async with Vendor() as vendor:
        first = await claimed(database, await planned(database, 3))
        async with desk(database, model(vendor.url), run=first) as one:
            await near(one, writing())
        unlinked = await claimed(database, await planned(database, 3, instruction="another"))
        async with desk(database, model(vendor.url), run=unlinked) as one:
            # Each once: the first run's texts are not this run's.
            assert (await near(one, writing()))["P002"] == ["P000", "P001"]
        rows = [*plain(2), {"sku": "P002", "name": "changed"}]
        again = await claimed(database, await planned(database, rows))
        states = [row.source_id is None for row in await item_rows(database, again)]
        assert states == [False, False, True]
        async with desk(database, model(vendor.url), run=again) as one:
            assert (await near(one, writing()))["P002"] == ["P000", "P001"]


async def test_a_retried_item_is_known_by_its_new_text(database: Database) -> None:
    run = await claimed(database, await planned(database, 2))
    async with Vendor() as vendor:
        async with desk(database, model(vendor.url), run=run) as one:
            await near(one, writing(OTHER))
        first, second = [row.id for row in await item_rows(database, run)]
        for text in (TEXT, OTHER, OTHER):
            await database.write(_make_pending, first)
            async with desk(database, model(vendor.url), run=run) as one:
                found = await near(one, writing(text))
                assert found["P000"] == (["P001"] if text == OTHER else [])
        row = select(signatures.c.signature).where(signatures.c.item_id == first)
        kept = await database.read(lambda conn: conn.execute(row).scalar_one())
        assert kept == near_duplicates.signature(OTHER)
        count = select(func.count()).select_from(bands).where(bands.c.item_id == second)
        assert await database.read(lambda conn: conn.execute(count).scalar_one()) == 16


def _make_pending(conn: Any, item_id: int) -> None:
    conn.execute(update(items).where(items.c.id == item_id).values(state="pending"))


async def test_a_phrase_every_product_shares_costs_no_more_than_the_newest(
    database: Database,
) -> None:
    run = await claimed(database, await planned(database, recordings.NEWEST + 50))
    signature = near_duplicates.signature(TEXT)
    keys = near_duplicates.bands(signature)
    ids = [row.id for row in await item_rows(database, run)]

    def fill(conn: Any) -> None:
        conn.execute(
            bands.insert(),
            [{"field": "body", "band": key, "item_id": number} for number in ids for key in keys],
        )
        conn.execute(
            signatures.insert(),
            [{"item_id": n, "field": "body", "request": n, "signature": signature} for n in ids],
        )

    await database.write(fill)
    found = await database.read(recordings.neighbours, run.id, ids[-1], "body", keys)
    assert len(found) == recordings.MOST
    assert found[0] == (f"P{len(ids) - 2:03}", signature)
    assert await database.read(recordings.neighbours, run.id, ids[-1], "body", ()) == []
