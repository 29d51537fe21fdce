"""The playground over the API: a draft on one product, and sides on the same products."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.web.shops import Shop, shop, stocked, vendor_url
from tests.web.test_rest_generate import events
from tests.workspaces import COPY, vendor_stats

__all__ = ["shop", "stocked", "vendor_url"]

PATH = "templates/copy.yaml"
STREAM = {"Accept": "text/event-stream"}


def words(text: str) -> str:
    """A text of the template's that no test has tried."""
    return COPY.replace("in English", text)


async def save(shop: Shop, text: str) -> int:
    """Save a draft; give its version's id."""
    etag = (await shop.client.get(f"/v1/files/{PATH}")).headers["etag"]
    saved = await shop.ask("PUT", f"/v1/files/{PATH}", {"text": text}, headers={"If-Match": etag})
    version: int = saved["version"]["id"]
    return version


async def test_a_text_is_tried_on_one_product_and_paid_once(shop: Shop, vendor_url: str) -> None:
    body = {"path": PATH, "key": "P0003", "text": words("in plain words")}
    first = await shop.ask("POST", "/v1/plays", body)
    calls = vendor_stats(vendor_url)["calls"]
    again = await shop.ask("POST", "/v1/plays", body)
    assert vendor_stats(vendor_url)["calls"] == calls
    assert first["values"] == again["values"] and "Eau number 3" in str(first["values"])
    assert (first["key"], first["error"], first["currency"]) == ("P0003", None, "USD")
    assert first["cost"] > 0 and not first["replayed"] and again["replayed"]
    assert orjson.loads(first["replies"][0])["title"] == first["values"]["title"]
    items = await shop.ask("GET", "/v1/runs/last")
    assert items["kind"] == "trial", "nothing of it is a run"


async def test_what_is_tried_is_the_text_the_version_or_what_is_edited(shop: Shop) -> None:
    first, second = (words(f"in the words of the {one} draft") for one in ("first", "second"))
    old = await save(shop, first)
    await save(shop, second)
    for more, text in (({"version": old}, first), ({}, second)):
        body = {"path": PATH, "key": "P0004"}
        made = await shop.ask("POST", "/v1/plays", {**body, **more})
        assert made["error"] is None and not made["replayed"]
        same = await shop.ask("POST", "/v1/plays", {**body, "text": text})
        assert same["replayed"], "it was this text that was tried"
    both = {"path": PATH, "key": "P0004", "version": old, "text": COPY}
    await shop.ask("POST", "/v1/plays", both, status=422)
    other = {"path": "templates/other.yaml", "key": "P0004", "version": old}
    await shop.ask("POST", "/v1/plays", other, status=404)
    for wrong, status in (
        ({"version": 10**9}, 404), ({"key": "none"}, 404), ({"path": "waremill.toml"}, 422),
        ({"text": "name: copy\n"}, 422), ({"catalog": "none"}, 404),
    ):  # fmt: skip
        await shop.ask("POST", "/v1/plays", {"path": PATH, "key": "P0004", **wrong}, status=status)


async def test_a_play_streams_its_reply(shop: Shop) -> None:
    body = {"path": PATH, "key": "P0005", "text": words("as it flows")}
    reply = await shop.client.post("/v1/plays", json=body, headers=STREAM)
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = events(reply.text)
    assert found[-1][0] == "result" and {name for name, _ in found[:-1]} == {"token"}
    text = "".join(data["text"] for name, data in found if name == "token")
    assert orjson.loads(text)["title"] == found[-1][1]["values"]["title"]
    broken = {**body, "text": words("in {{ name.")}
    (name, problem) = events(
        (await shop.client.post("/v1/plays", json=broken, headers=STREAM)).text
    )[-1]
    assert name == "error" and problem["status"] == 422
    assert problem["where"]["file"] == PATH and problem["where"]["line"]


async def test_versions_are_compared_on_the_same_products(shop: Shop) -> None:
    old = await save(shop, words("as one side writes"))
    body: dict[str, Any] = {
        "path": PATH, "keys": ["P0006", "P0007"],
        "sides": [{"version": old}, {"text": words("as the other side writes")}],
    }  # fmt: skip
    found = await shop.ask("POST", "/v1/comparisons", body)
    assert [[one["key"] for one in row] for row in found["rows"]] == [["P0006"] * 2, ["P0007"] * 2]
    assert all(one["error"] is None and one["values"] for row in found["rows"] for one in row)
    again = await shop.ask("POST", "/v1/comparisons", body)
    assert all(one["replayed"] for row in again["rows"] for one in row)


async def test_models_are_compared_and_one_that_cannot_says_why(shop: Shop) -> None:
    body = {"path": PATH, "keys": ["P0008"], "sides": [{}, {"model": "none-such"}]}
    ((first, second),) = (await shop.ask("POST", "/v1/comparisons", body))["rows"]
    assert first["error"] is None and first["model"] == "default"
    assert "none-such" in second["error"] and not second["values"]


async def test_a_comparison_tells_each_as_it_is_there(shop: Shop) -> None:
    body = {
        "path": PATH, "keys": ["P0009", "P0010"],
        "sides": [{"text": words("one by one")}, {"text": words("two by two")}],
    }  # fmt: skip
    reply = await shop.client.post("/v1/comparisons", json=body, headers=STREAM)
    found = events(reply.text)
    assert [name for name, _ in found] == ["played"] * 4 + ["result"]
    places = {(data["row"], data["side"]): data["played"] for _, data in found[:-1]}
    rows = found[-1][1]["rows"]
    assert places == {(r, s): rows[r][s] for r in range(2) for s in range(2)}


@pytest.mark.parametrize(
    "wrong", [{"keys": []}, {"keys": ["P0001"] * 11}, {"sides": []}, {"sides": [{}] * 5}]
)
async def test_a_comparison_is_of_a_few(shop: Shop, wrong: dict[str, Any]) -> None:
    body = {"path": PATH, "keys": ["P0001"], "sides": [{}, {}], **wrong}
    await shop.ask("POST", "/v1/comparisons", body, status=422)
