"""Vectors are made once, in batches, through budget, rate and retries, and into the ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy
import pytest
from sqlalchemy import func, select
from tests.knowledge.bagging import Bag
from tests.planned import claimed, planned
from tests.vendor import Reply, Vendor, openai_error

from waremill.calls.budget import Budget
from waremill.calls.caller import Sender
from waremill.calls.embedding import Account, Hosted, Kept
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.domain import Model, Price
from waremill.errors import AccessDenied, ConfigError, LimitReached, Unavailable
from waremill.providers.openai_embeddings import open_embeddings
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.tables import calls
from waremill.store.tables_knowledge import vectors

PRICE = Price(1_000_000_000, 0)
"""1,000 nano-USD a token."""


def vectors_of(request: dict[str, Any], path: str) -> Reply:
    """Answer as an embeddings endpoint: two numbers a text, its length and 1; in reverse order."""
    assert path.endswith("/embeddings")
    rows = [
        {"object": "embedding", "index": number, "embedding": [float(len(text)), 1.0]}
        for number, text in enumerate(request["input"])
    ]
    used = sum(map(len, request["input"]))
    return Reply(body={"data": rows[::-1], "model": "m", "usage": {"prompt_tokens": used}})


class Desk:
    """A hosted embedder over a real journal."""

    def __init__(self, database: Database, hosted: Hosted) -> None:
        self.database = database
        self.hosted = hosted

    async def ledger(self) -> list[Any]:
        query = select(calls).order_by(calls.c.id)
        return list(await self.database.read(lambda conn: conn.execute(query).all()))


@asynccontextmanager
async def desk(
    database: Database, url: str, *, budget: int | None = None, use: str = "openai:m", **more: Any
) -> AsyncIterator[Desk]:
    run = await claimed(database, await planned(database, 1, budget=budget))
    journal = Journal(database, run)
    model = Model("embed", use, (url,), ("sk-test",), **more)

    async def draw(_requests: float, _tokens: float) -> float:
        return 0.0

    async def draw_money(amount: int) -> bool:
        return await database.write(store_runs.draw, run, amount)

    purse = Budget(budget, draw_money) if budget is not None else None
    endpoint = open_embeddings(model)
    account = Account(
        model, PRICE, Limiter(4, time.monotonic), Rate(None, None, draw), journal, purse,
        Sender(run.id, 1, "embed"),
    )  # fmt: skip
    hosted = Hosted(endpoint, account, 2)
    try:
        yield Desk(database, hosted)
        await journal.committed()
    finally:
        await hosted.aclose()


async def test_vectors_come_in_the_texts_order_and_of_unit_length(database: Database) -> None:
    async with Vendor(reply=vectors_of) as vendor, desk(database, vendor.url) as made:
        found = await made.hosted.embed(["a" * 7, "", "abc"], "passage")
    lengths = numpy.array([7.0, 1.0, 3.0])  # an empty text goes out as a space
    expected = numpy.stack([lengths, numpy.ones(3)], axis=1)
    expected /= numpy.linalg.norm(expected, axis=1, keepdims=True)
    assert numpy.allclose(found, expected)


async def test_a_vendors_limit_of_texts_is_kept_and_each_request_is_a_call(
    database: Database,
) -> None:
    async with (
        Vendor(reply=vectors_of) as vendor,
        desk(database, vendor.url, use="dashscope:text-embedding-v4") as made,
    ):
        await made.hosted.embed([f"text {n}" for n in range(23)], "passage")
        ledger = await made.ledger()
        sizes = sorted(len(one.body["input"]) for one in vendor.requests)
    assert sizes == [3, 10, 10]
    assert [row.outcome for row in ledger] == ["complete"] * 3
    assert sum(row.input for row in ledger) == sum(len(f"text {n}") for n in range(23))
    assert sum(row.paid for row in ledger) == 1000 * sum(row.input for row in ledger)
    assert {row.model for row in ledger} == {"embed"}


async def test_what_fails_for_a_moment_is_tried_again(database: Database) -> None:
    failures = [openai_error(503, "busy"), openai_error(429, "slow down")]

    def reply(request: dict[str, Any], path: str) -> Reply:
        return failures.pop() if failures else vectors_of(request, path)

    async with Vendor(reply=reply) as vendor, desk(database, vendor.url) as made:
        assert (await made.hosted.embed(["abc"], "query")).shape == (1, 2)
        outcomes = [row.outcome for row in await made.ledger()]
    assert outcomes == ["rate_limited", "unavailable", "complete"]


async def test_a_refused_key_ends_it_at_once(database: Database) -> None:
    async with (
        Vendor(reply=vectors_of, keys=("other",)) as vendor,
        desk(database, vendor.url) as made,
    ):
        with pytest.raises(AccessDenied):
            await made.hosted.embed(["abc"], "passage")
    assert [row.outcome for row in await made.ledger()] == ["denied"]


async def test_a_budget_bounds_it(database: Database) -> None:
    async with (
        Vendor(reply=vectors_of) as vendor,
        desk(database, vendor.url, budget=100_000) as made,
    ):
        assert (await made.hosted.embed(["abc"], "passage")).shape == (1, 2)
        with pytest.raises(LimitReached):
            await made.hosted.embed(["a" * 500], "passage")
        assert vendor.calls == 1


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [1.0, None]}]},
        {"data": [{"index": 1, "embedding": [1.0, 2.0]}]},
        {"vectors": 1},
        [],
    ],
)
async def test_a_broken_reply_is_no_vector(body: Any) -> None:
    async with Vendor(reply=lambda _request, _path: Reply(body=body)) as vendor:
        endpoint = open_embeddings(Model("embed", "openai:m", (vendor.url,), ("k",)))
        from waremill.domain import Embed

        with pytest.raises(Unavailable):
            await endpoint(Embed(("abc",)))
        await endpoint.aclose()


async def test_options_and_prefixes_shape_the_request(database: Database) -> None:
    options = {"dimensions": 2, "query_prefix": "query: ", "passage_prefix": "passage: "}
    async with (
        Vendor(reply=vectors_of) as vendor,
        desk(database, vendor.url, options=options) as made,
    ):
        await made.hosted.embed(["abc"], "query")
        await made.hosted.embed(["abc"], "passage")
        bodies = [one.body for one in vendor.requests]
    assert [one["input"] for one in bodies] == [["query: abc"], ["passage: abc"]]
    assert all(one["dimensions"] == 2 and "query_prefix" not in one for one in bodies)
    assert '"dimensions":2' in made.hosted.identity


async def test_another_length_than_before_is_said(database: Database) -> None:
    def longer(_request: dict[str, Any], _path: str) -> Reply:
        return Reply(body={"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]})

    async with Vendor(reply=longer) as vendor, desk(database, vendor.url) as made:
        with pytest.raises(ConfigError, match="vectors of 3 numbers"):
            await made.hosted.embed(["abc"], "passage")


def test_a_vendor_without_embeddings_is_said() -> None:
    with pytest.raises(ConfigError, match="gives no embeddings"):
        open_embeddings(Model("embed", "anthropic:claude", (), ("k",)))


async def test_a_text_is_embedded_once(database: Database) -> None:
    bag = Bag()
    kept = Kept(bag, database)
    texts = [f"text {n % 7}" for n in range(30)]
    first = await kept.embed(texts, "passage")
    assert len(bag.asked) == 7
    again = await Kept(bag, database).embed(texts, "passage")
    assert len(bag.asked) == 7
    assert (first == again).all()
    other = Kept(Bag(name="bag 2"), database)
    await other.embed(texts[:1], "passage")
    count = select(func.count()).select_from(vectors)
    assert await database.read(lambda conn: conn.execute(count).scalar_one()) == 8


async def test_a_question_is_not_kept(database: Database) -> None:
    bag = Bag()
    await Kept(bag, database).embed(["why"], "query")
    await Kept(bag, database).embed(["why"], "query")
    assert len(bag.asked) == 2
