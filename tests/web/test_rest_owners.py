"""The API about owners: templates, pipelines and models are listed and given away."""

from __future__ import annotations

from tests.web.shops import Shop, shop, stocked, vendor_url

from waremill.app.accounts import Accounts

__all__ = ["shop", "stocked", "vendor_url"]


async def test_a_template_is_given_to_a_team_and_back_to_everybody(shop: Shop) -> None:
    await Accounts(shop.workspace).add_team("perfume")
    ours = {"kind": "template", "name": "copy", "team": None}
    assert ours in await shop.ask("GET", "/v1/owners")
    place = "/v1/owners/template/copy"
    given = await shop.ask("PUT", place, {"team": "perfume"})
    assert given == {**ours, "team": "perfume"}
    assert given in await shop.ask("GET", "/v1/owners")
    assert await shop.ask("DELETE", place) == ours
    assert await shop.ask("DELETE", place) == ours


async def test_what_is_not_there_cannot_be_given(shop: Shop) -> None:
    await shop.ask("PUT", "/v1/owners/template/nothing", {"team": "main"}, status=404)
    await shop.ask("PUT", "/v1/owners/model/default", {"team": "nobody"}, status=404)
    await shop.ask("DELETE", "/v1/owners/model/nothing", status=404)
    await shop.ask("PUT", "/v1/owners/catalogue/x", {"team": "main"}, status=422)
    await shop.ask("PUT", "/v1/owners/model/default", {"team": None}, status=422)


async def test_models_are_called_to_check_them_once_a_minute(shop: Shop) -> None:
    first = await shop.ask("POST", "/v1/models/check")
    assert first and await shop.ask("POST", "/v1/models/check") == first
    entries = await shop.ask("GET", "/v1/audit", params={"action": "model.check"})
    assert [one["subject"] for one in entries["rows"]] == [
        f"model {name}" for name in reversed(list(dict.fromkeys(one["model"] for one in first)))
    ]
