"""What `doctor` and `templates` say, over the API: the same, without the server's folders."""

from __future__ import annotations

import orjson
from tests.web.shops import Shop, keeps, shop, stocked, vendor_url
from tests.workspaces import perfumes, waremill, write_sheet

from waremill.app.acting import Actor
from waremill.app.operations.examining import examine

__all__ = ["shop", "stocked", "vendor_url"]


async def test_the_workspace_is_looked_through_as_the_command_does(shop: Shop) -> None:
    found = await shop.ask("GET", "/v1/doctor")
    keeps("doctor", found)
    by_what = {one["what"]: one for one in found}
    assert by_what["pipeline copy"]["fine"] and by_what["model default"]["fine"]
    assert "perfumes" in by_what["database"]["detail"]
    printed = waremill(shop.workspace.settings.root, "doctor", "--json").json
    assert [one["what"] for one in printed] == [one["what"] for one in found]


async def test_who_is_not_at_the_machine_is_not_told_where_the_workspace_lies(shop: Shop) -> None:
    admin = shop.workspace.acting(Actor("kim", {1: "admin"}))
    found = await examine(admin)
    assert str(shop.workspace.settings.root) not in str(found)


async def test_a_templates_problems_are_told_with_what_products_lack(shop: Shop) -> None:
    path = shop.workspace.settings.root / "templates" / "bad.yaml"
    path.write_text("name: bad\ninstruction: Write {{ nam.\noutput: {title: string}\n")
    found = await shop.ask("GET", "/v1/templates/bad/problems")
    keeps("templates-check", found)
    assert found[0]["severity"] == "error" and "bad.yaml" in found[0]["where"]
    fine = await shop.ask("GET", "/v1/templates/copy/problems")
    assert {one["severity"] for one in fine} <= {"hint"}
    missing = await shop.ask("GET", "/v1/templates/copyy/problems", status=404)
    assert "did you mean “copy”" in missing["detail"]
    for name in ("..%2F..%2Fwaremill", "includes/x", "%2Fetc%2Fpasswd"):
        await shop.ask("GET", f"/v1/templates/{name}/problems", status=404)


async def test_a_templates_prompt_is_shown_for_a_product(shop: Shop) -> None:
    shown = await shop.ask("POST", "/v1/templates/copy/prompt", {"key": "P0007"})
    keeps("templates-show", shown)
    assert "Eau number 7" in shown["prompt"] and shown["tokens"] > 0
    asked = ("templates", "show", "copy", "--on", "P0007", "--json")
    assert shown == waremill(shop.workspace.settings.root, *asked).json
    await shop.ask("POST", "/v1/templates/copy/prompt", {"key": "none"}, status=404)


async def test_whose_a_template_is_is_told(shop: Shop) -> None:
    found = await shop.ask("GET", "/v1/owners/template/copy")
    keeps("owner", found)
    assert found == {"kind": "template", "name": "copy", "team": None}
    await shop.ask("GET", "/v1/owners/template/none", status=404)


async def test_an_export_tells_what_could_not_be_kept(shop: Shop) -> None:
    rows = [{**perfumes(1)[0], "notes": "bergamot " * 5000}]
    sheet = write_sheet(shop.workspace.settings.root / "long.csv", rows)
    run = await shop.workspace.run("copy", source=str(sheet), key="sku", catalog="long")
    fine = await shop.client.get(f"/v1/runs/{run.run}/export", params={"format": "csv"})
    assert fine.status_code == 200 and "waremill-notes" not in fine.headers
    cut = await shop.client.get(f"/v1/runs/{run.run}/export", params={"format": "xlsx"})
    (note,) = orjson.loads(cut.headers["waremill-notes"])
    assert "32,767 characters" in note
