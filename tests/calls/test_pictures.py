"""Pictures asked for: kept before they are answers, paid once, replayed as the same references."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from tests.calls.asking import chat, desk, model
from tests.picture_servers import Comfy, OpenAIImagesServer, WebUI, colour_of, png
from tests.planned import claimed
from tests.vendor import Vendor

from waremill.calls import images_of
from waremill.calls.request import canonical, configured
from waremill.domain import Chat, Image, ImageRequest, Message, Model, Price
from waremill.errors import (
    AccessDenied,
    ConfigError,
    LimitReached,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)
from waremill.store import runs as store_runs
from waremill.store.assets import Assets
from waremill.store.database import Database

CENT = 10_000_000
"""In nano-USD."""
PER_PICTURE = Price(0, 0, per_call=4 * CENT)
BOTTLE = png(32, 48, (10, 20, 30))
MASK = png(32, 48, (255, 255, 255))


def painter(server: Any, alias: str = "painter", **fields: Any) -> Model:
    return Model(alias, "automatic1111:base", (server.url,), **fields)


def wanted(**fields: Any) -> ImageRequest:
    return ImageRequest("a bottle on slate", width=64, height=48, **fields)


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    return Assets(str(tmp_path / "files"))


async def test_a_picture_is_paid_once_and_its_replay_gives_the_same_reference(
    database: Database, assets: Assets
) -> None:
    async with WebUI() as server:
        many = desk(database, painter(server), price=PER_PICTURE, assets=assets)
        async with many as first:
            fresh = await first.ask(wanted(), "painter")
            again = await first.ask(wanted(), "painter")
            await database.write(store_runs.release, first.run, "paused", None, 0.0)
        run = await claimed(database, first.run)
        more = desk(database, painter(server), price=PER_PICTURE, run=run, assets=assets)
        async with more as second:
            later = await second.ask(wanted(), "painter", item=2)
            ledger = await second.ledger()
    assert (fresh.replayed, again.replayed, later.replayed) == (False, True, True)
    assert fresh.response == again.response == later.response
    assert fresh.response.blobs == ()
    (reference,) = images_of(later.response.text)
    seed = server.bodies[0]["seed"]
    assert await assets.read(reference) == png(64, 48, colour_of(str(seed)))
    assert server.calls == 1
    assert [(row.outcome, row.paid) for row in ledger] == [("complete", 4 * CENT)]


async def test_references_are_hashed_as_they_are_and_sent_as_bytes(
    database: Database, assets: Assets
) -> None:
    start, mask = await assets.keep(BOTTLE, "image/png"), await assets.keep(MASK, "image/png")
    request = wanted(images=(start,), mask=mask, strength=1)
    assert canonical(request) == canonical(wanted(images=(start,), mask=mask, strength=1.0))
    assert start.encode() in canonical(request) and len(canonical(request)) < 600
    async with WebUI() as server, desk(database, painter(server), assets=assets) as one:
        await one.ask(request, "painter")
        assert not (await one.ask(wanted(images=(mask,)), "painter")).replayed
    body = server.bodies[0]
    assert base64.b64decode(body["init_images"][0]) == BOTTLE
    assert base64.b64decode(body["mask"]) == MASK


async def test_a_picture_in_a_message_reaches_the_model_that_looks_at_it(
    database: Database, assets: Assets
) -> None:
    reference = await assets.keep(BOTTLE, "image/png")
    message = Message(
        "user", ("What is it?", Image(reference), Image("https://shop.example/a.png"))
    )
    async with Vendor() as vendor, desk(database, model(vendor.url), assets=assets) as one:
        await one.ask(Chat((Message("system", "Look."), message), 100))
        sent = vendor.requests[-1].body["messages"][1]["content"]
        ledger = await one.ledger()
    assert sent[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert base64.b64decode(sent[1]["image_url"]["url"].partition(",")[2]) == BOTTLE
    assert sent[2]["image_url"]["url"] == "https://shop.example/a.png"
    assert len(ledger) == 1


async def test_faults_are_retried_and_only_the_whole_picture_is_an_answer(
    database: Database, assets: Assets
) -> None:
    faults = ["rate_limited", "unavailable", "truncated", "malformed", "cut"]
    async with (
        WebUI(faults) as server,
        desk(database, painter(server), price=PER_PICTURE, assets=assets) as one,
    ):
        answer = await one.ask(wanted(), "painter")
        ledger = await one.ledger()
    assert [row.outcome for row in ledger] == [
        "rate_limited", "unavailable", "unavailable", "unavailable", "unavailable", "complete",
    ]  # fmt: skip
    assert [row.paid for row in ledger] == [0, 0, None, None, None, 4 * CENT]
    assert len(images_of(answer.response.text)) == 1


async def test_a_refusal_is_an_answer_and_is_not_asked_again(
    database: Database, assets: Assets
) -> None:
    async with OpenAIImagesServer(["refused"]) as server:
        one_model = Model("painter", "openai-images:own-model", (server.url,))
        async with desk(database, one_model, assets=assets) as one:
            fresh = await one.ask(wanted(), "painter")
            again = await one.ask(wanted(), "painter")
    assert fresh.response.outcome == again.response.outcome == "refused"
    assert again.replayed and images_of(again.response.text) == ()
    assert server.calls == 1


async def test_what_no_retry_can_mend_is_asked_once(database: Database, assets: Assets) -> None:
    async with WebUI() as server:
        other = Model("other", "automatic1111:other", (server.url,))
        async with desk(database, painter(server), other, assets=assets) as one:
            with pytest.raises(AccessDenied):
                await one.ask(wanted(), "other")
            with pytest.raises(Rejected):
                await one.ask(wanted(options={"steps": "many"}), "painter")
    assert server.calls == 2


async def test_a_fallback_makes_the_picture_where_the_first_cannot(
    database: Database, assets: Assets
) -> None:
    async with WebUI(["unavailable"] * 6) as down, OpenAIImagesServer() as up:
        chain = (
            painter(down, fallback=("spare",)),
            Model("spare", "openai-images:own-model", (up.url,)),
        )
        async with desk(database, *chain, assets=assets) as one:
            fresh = await one.ask(wanted(), "painter")
            again = await one.ask(wanted(), "painter")
    assert (down.calls, up.calls) == (6, 1)
    assert again.replayed and again.response == fresh.response


async def test_identical_requests_at_once_are_one_picture(
    database: Database, assets: Assets
) -> None:
    async with (
        WebUI(["slow"], slow_seconds=0.2) as server,
        desk(database, painter(server), assets=assets) as one,
    ):
        answers = await asyncio.gather(*(one.ask(wanted(), "painter", item=n) for n in range(20)))
    assert server.calls == 1
    assert len({answer.response.text for answer in answers}) == 1


async def test_samples_and_takes_are_other_pictures(database: Database, assets: Assets) -> None:
    async with WebUI() as server, desk(database, painter(server), assets=assets) as one:
        requests = (wanted(), wanted(sample=1), wanted(take=1))
        found = {(await one.ask(one_request, "painter")).response.text for one_request in requests}
    assert len(found) == 3


async def test_a_budget_holds_for_pictures(database: Database, assets: Assets) -> None:
    async with WebUI() as server:
        many = desk(database, painter(server), price=PER_PICTURE, budget=10 * CENT, assets=assets)
        async with many as one:
            await one.ask(wanted(), "painter")
            await one.ask(wanted(sample=1), "painter")
            with pytest.raises(LimitReached):
                await one.ask(wanted(sample=2), "painter")
    assert server.calls == 2


async def test_a_picture_that_counts_tokens_reserves_as_many_as_it_may_cost(
    database: Database, assets: Assets
) -> None:
    token = Price(1_000_000_000, 1_000_000_000)  # 1,000 nano-USD a token
    async with OpenAIImagesServer(models=("gpt-image-1.5",)) as server:
        one_model = Model("painter", "openai-images:gpt-image-1.5", (server.url,))
        small = desk(database, one_model, price=token, budget=5_000_000, assets=assets)
        async with small as one:
            with pytest.raises(LimitReached):
                await one.ask(ImageRequest("a bottle"), "painter")
    assert server.calls == 0


@pytest.mark.parametrize("kind", ["picture", "text"])
async def test_the_wrong_kind_of_model_is_said_and_nothing_is_sent_or_entered(
    database: Database, assets: Assets, kind: str
) -> None:
    async with WebUI() as server, Vendor() as vendor:
        both = (painter(server), model(vendor.url, "writer"))
        async with desk(database, *both, assets=assets) as one:
            alias, request = ("writer", wanted()) if kind == "picture" else ("painter", chat())
            with pytest.raises(ConfigError, match=r"writes text|makes pictures"):
                await one.ask(request, alias)
            assert one.endpoints[alias].limiter.flying == 0
            assert await one.ledger() == []
    assert (server.calls, vendor.calls) == (0, 0)


async def test_a_file_that_is_gone_is_said_and_nothing_is_sent(
    database: Database, assets: Assets
) -> None:
    gone = f"asset:{'0' * 64}.png"
    async with WebUI() as server, desk(database, painter(server), assets=assets) as one:
        with pytest.raises(NotFound):
            await one.ask(wanted(images=(gone,)), "painter")
        assert one.endpoints["painter"].limiter.flying == 0
        assert await one.ledger() == []
    assert server.calls == 0


async def test_without_a_place_for_pictures_none_is_asked_for(database: Database) -> None:
    async with WebUI() as server, desk(database, painter(server)) as one:
        with pytest.raises(ConfigError, match="a place to be kept in"):
            await one.ask(wanted(), "painter")
    assert server.calls == 0


async def test_a_picture_that_cannot_be_kept_is_in_the_ledger_and_no_answer(
    database: Database, tmp_path: Path
) -> None:
    blocked = tmp_path / "files"
    blocked.write_text("a file where a folder should be")
    async with WebUI() as server:
        many = desk(database, painter(server), price=PER_PICTURE, assets=Assets(str(blocked)))
        async with many as one:
            with pytest.raises(ConfigError):
                await one.ask(wanted(), "painter")
            await one.caller._journal.committed()
            ledger = await one.ledger()
            blocked.unlink()
            answer = await one.ask(wanted(), "painter")
    assert [(row.outcome, row.paid) for row in ledger] == [("complete", 4 * CENT)]
    assert not answer.replayed and server.calls == 2


async def test_a_rate_limit_that_stays_is_given_after_six_attempts(
    database: Database, assets: Assets
) -> None:
    async with Comfy(["rate_limited"] * 6) as server:
        workflow = '{"1": {"class_type": "SaveImage", "inputs": {"text": "{{prompt}}"}}}'
        scene = Model("painter", "comfyui:scene", (server.url,), workflow=workflow)
        async with desk(database, scene, assets=assets) as one:
            with pytest.raises(RateLimited):
                await one.ask(wanted(), "painter")
            assert len(images_of((await one.ask(wanted(), "painter")).response.text)) == 1
    assert server.calls == 7


async def test_one_that_waits_for_a_failing_picture_gets_its_error(
    database: Database, assets: Assets
) -> None:
    async with (
        WebUI(["unavailable"] * 6) as server,
        desk(database, painter(server), assets=assets) as one,
    ):
        asked = (one.ask(wanted(), "painter", item=n) for n in range(3))
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in found)
    assert server.calls == 6


def test_a_pictures_own_settings_go_before_the_models() -> None:
    one = Model("painter", "forge:base", options={"steps": 20, "sampler_name": "Euler"})
    assert configured(wanted(options={"steps": 8}), one).options == {
        "steps": 8, "sampler_name": "Euler",
    }  # fmt: skip
    assert configured(wanted(), one).options == one.options


@pytest.mark.parametrize("text", ["", "plain", "[1]", '{"images": "asset:x"}', '{"other": []}'])
def test_an_answer_of_words_holds_no_pictures(text: str) -> None:
    assert images_of(text) == ()
