"""The API about templates, their drafts and approval, and the models."""

from __future__ import annotations

from tests.web.shops import Shop, keeps, shop, stocked, vendor_url
from tests.workspaces import COPY

__all__ = ["shop", "stocked", "vendor_url"]

PATH = "/v1/files/templates/copy.yaml"
NEW = COPY.replace("in English", "in plain English")


async def test_a_draft_is_saved_only_over_what_was_seen(shop: Shop) -> None:
    seen = await shop.client.get(PATH)
    assert seen.json()["text"] == COPY
    etag = seen.headers["etag"]
    await shop.ask("PUT", PATH, {"text": NEW}, status=428)
    await shop.ask("PUT", PATH, {"text": NEW}, headers={"If-Match": '"other"'}, status=412)
    saved = await shop.ask("PUT", PATH, {"text": NEW, "note": "n"}, headers={"If-Match": etag})
    assert (saved["state"], saved["approved"]) == ("draft", COPY)
    await shop.ask("PUT", PATH, {"text": COPY}, headers={"If-Match": etag}, status=412)


async def test_a_draft_becomes_the_file_when_it_is_approved(shop: Shop) -> None:
    etag = (await shop.client.get(PATH)).headers["etag"]
    saved = await shop.ask("PUT", PATH, {"text": NEW}, headers={"If-Match": etag})
    version = saved["version"]["id"]
    assert (await shop.ask("POST", f"/v1/versions/{version}/approve"))["state"] == "approved"
    on_disk = shop.workspace.settings.root / "templates" / "copy.yaml"
    assert on_disk.read_text() == NEW
    history = (await shop.ask("GET", "/v1/versions", params={"path": "templates/copy.yaml"}))[
        "rows"
    ]
    old = history[-1]["id"]
    lines = await shop.ask("GET", f"/v1/versions/{old}/difference", params={"to": version})
    assert {line["mark"] for line in lines} >= {"-", "+"}
    assert (await shop.client.get(f"/v1/versions/{old}/text")).text == COPY
    etag = (await shop.client.get(PATH)).headers["etag"]
    back = await shop.ask("POST", f"/v1/versions/{old}/restore", headers={"If-Match": etag})
    assert (back["state"], back["text"]) == ("draft", COPY)
    draft = back["version"]["id"]
    assert (await shop.ask("POST", f"/v1/versions/{draft}/reject"))["state"] == "rejected"


async def test_a_text_is_linted_and_its_prompt_shown_without_saving(shop: Shop) -> None:
    body = {"path": "templates/copy.yaml", "text": COPY.replace("- brand", "- brnad")}
    found = await shop.ask("POST", "/v1/lint", body)
    assert any("brnad" in one["message"] for one in found)
    body = {"path": "templates/copy.yaml", "text": NEW, "key": "P0001"}
    shown = await shop.ask("POST", "/v1/previews", body)
    assert "plain English" in str(shown["parts"]) and shown["tokens"] > 0


async def test_files_outside_the_known_folders_are_not_there(shop: Shop) -> None:
    for path in ("waremill.toml", "templates/../waremill.toml", ".env", "templates/.x.yaml"):
        reply = await shop.client.get(f"/v1/files/{path}")
        assert reply.status_code in (404, 422), path


async def test_templates_and_models_are_listed_as_the_command_line_does(shop: Shop) -> None:
    keeps("templates", await shop.ask("GET", "/v1/templates"))
    models = await shop.ask("GET", "/v1/models")
    keeps("models", models)
    checked = await shop.ask("POST", "/v1/models/check")
    assert checked[0]["model"] == "default"
