"""Knowledge over the API: uploads and addresses in, passages out, never a path of the server's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.web.shops import Shop, keeps, shop, stocked, vendor_url
from tests.web.test_rest_generate import events

__all__ = ["shop", "stocked", "vendor_url"]

BASE = "/v1/knowledge/help"
REMOTE = b"# Remote\n\nHold the home button for five seconds to reset the remote control."


async def send(shop: Shop, name: str, content: bytes) -> str:
    files = {"file": (name, content, "application/octet-stream")}
    return str((await shop.ask("POST", "/v1/uploads", status=201, files=files))["id"])


async def add(shop: Shop, *uploads: str, **more: Any) -> Any:
    given = {"uploads": list(uploads), **more}
    return await shop.ask("POST", f"{BASE}/documents", given, status=201)


async def test_what_is_sent_is_found_and_goes_again(shop: Shop) -> None:
    upload = await send(shop, "remote.md", REMOTE)
    bad = await send(shop, "bad.pdf", b"%PDF-1.4 cut")
    done = await add(shop, upload, bad, metadata={"market": ["DE", "FR"], "year": 2026})
    keeps("knowledge-add", done)
    assert (done["new"], done["problems"]) == (1, 1)
    assert done["first_problems"][0]["document"] == "bad.pdf"
    again = await add(shop, upload, metadata={"market": ["DE", "FR"], "year": 2026})
    assert (again["new"], again["unchanged"]) == (0, 1)

    (listed,) = await shop.ask("GET", "/v1/knowledge")
    assert (listed["name"], listed["team"], listed["passages"]) == ("help", "main", 1)
    assert (listed["state"], listed["progress"]) == ("ready", None)
    assert await shop.ask("GET", BASE) == listed
    (row,) = (await shop.ask("GET", f"{BASE}/documents"))["rows"]
    assert (row["name"], row["metadata"]["year"]) == ("remote.md", 2026)
    shown = await shop.ask("GET", f"{BASE}/documents/remote.md")
    assert shown["text"] == REMOTE.decode()

    query = {"query": "how to reset the remote", "top": 2, "where": {"market": "DE"}}
    found = await shop.ask("POST", f"{BASE}/search", query)
    keeps("knowledge-search", found)
    assert found[0]["document"] == "remote.md"
    assert found[0]["place"] == "Remote"
    under = f"{BASE}/passages"
    place = await shop.ask("GET", f"{under}/{found[0]['id']}")
    assert (place["passage"]["text"], place["before"], place["after"]) == (found[0]["text"], "", "")
    await shop.ask("GET", f"{under}/{'0' * 32}", status=404)
    nothing = {**query, "where": {"market": "US"}}
    assert await shop.ask("POST", f"{BASE}/search", nothing) == []
    rebuilt = await shop.ask("POST", f"{BASE}/rebuild")
    assert (rebuilt["passages"], rebuilt["embedded"]) == (1, False)

    await shop.ask("DELETE", f"{BASE}/documents/remote.md", status=204)
    assert await shop.ask("POST", f"{BASE}/search", query) == []
    await shop.ask("DELETE", BASE, status=204)
    await shop.ask("GET", BASE, status=404)


async def test_adding_says_how_far_it_is_as_events_and_to_whoever_looks(shop: Shop) -> None:
    uploads = [await send(shop, f"part-{n}.md", REMOTE + b" Part %d." % n) for n in range(30)]
    headers = {"Accept": "text/event-stream"}
    adding = asyncio.create_task(
        shop.client.post(f"{BASE}/documents", json={"uploads": uploads}, headers=headers)
    )
    seen = []
    while not adding.done():
        known = await shop.client.get(BASE)
        if known.status_code == 200:
            seen.append((known.json()["state"], known.json()["progress"]))
    reply = await adding
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    said = events(reply.text)
    *told, (name, done) = said
    assert name == "result"
    keeps("knowledge-add", done)
    assert done["new"] == 30
    assert {name for name, _ in told} == {"progress"}
    assert list(dict.fromkeys(each["stage"] for _, each in told)) == [
        "loading", "embedding", "indexing",
    ]  # fmt: skip
    assert ("progress", {"stage": "embedding", "done": 30, "total": 30}) in told
    meanwhile = [progress for state, progress in seen if state == "changing" and progress]
    assert meanwhile and meanwhile[-1]["stage"] in ("loading", "embedding", "indexing")
    after = await shop.ask("GET", BASE)
    assert (after["state"], after["progress"], after["documents"]) == ("ready", None, 30)
    again = await shop.client.post(f"{BASE}/rebuild", headers=headers)
    assert [name for name, _ in events(again.text)] == ["progress", "result"]


async def test_a_stream_of_adding_ends_with_the_problem(shop: Shop) -> None:
    headers = {"Accept": "text/event-stream"}
    reply = await shop.client.post(
        f"{BASE}/documents", json={"uploads": ["x" * 22]}, headers=headers
    )
    ((name, problem),) = events(reply.text)
    assert (name, problem["status"]) == ("error", 404)
    assert "there is no upload" in problem["detail"]


async def test_a_bases_passages_come_as_a_file(shop: Shop) -> None:
    await add(shop, await send(shop, "remote.md", REMOTE))
    reply = await shop.client.get(f"{BASE}/export", params={"format": "csv"})
    assert reply.status_code == 200
    assert 'filename="help.csv"' in reply.headers["content-disposition"]
    assert "remote.md" in reply.text and "Hold the home button" in reply.text
    lines = (await shop.client.get(f"{BASE}/export")).text.splitlines()
    assert [json.loads(line)["headings"] for line in lines] == [["Remote"]]
    await shop.ask("GET", f"{BASE}/export?format=pdf", status=422)
    await shop.ask("GET", "/v1/knowledge/nothing/export", status=404)


async def test_a_document_of_an_address_is_named_by_it(shop: Shop) -> None:
    address = "https://127.0.0.1:1/a b?c"
    refused = await shop.ask("POST", f"{BASE}/documents", {"addresses": [address]}, status=422)
    assert "no web address" in refused["detail"]
    done = await add(shop, addresses=["https://127.0.0.1:1/a/b?c=d"])
    assert "is not on the public internet" in done["first_problems"][0]["message"]
    name = quote(done["first_problems"][0]["document"], safe="")
    await shop.ask("GET", f"{BASE}/documents/{name}", status=404)


async def test_no_path_of_the_servers_comes_in(shop: Shop, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("The secret is told to nobody.")
    for given, status in (
        ({"paths": [str(secret)]}, 422), ({"sources": [str(secret)]}, 422),
        ({"uploads": ["/etc/hostname"]}, 404), ({"uploads": ["../../secret.md"]}, 404),
        ({"addresses": [f"file://{secret}"]}, 422), ({"addresses": [str(secret)]}, 422),
        ({}, 422), ({"uploads": [], "metadata": {"a": {"b": 1}}}, 422),
    ):  # fmt: skip
        await shop.ask("POST", f"{BASE}/documents", given, status=status)
    await shop.ask("POST", f"/v1/knowledge/{quote('../x', safe='')}/search", {"query": "a"},
                   status=404)  # fmt: skip
    assert await shop.ask("GET", "/v1/knowledge") == []
    upload = await send(shop, "..%2f..%2fremote.md", REMOTE)
    answers = [await add(shop, upload), await shop.ask("GET", f"{BASE}/documents")]
    assert str(shop.workspace.settings.root) not in repr(answers)
