"""The API about products, uploads and imports."""

from __future__ import annotations

from tests.web.shops import PRODUCTS, Shop, keeps, shop, stocked, vendor_url

from waremill.app.browsing import Browse
from waremill.store.verdicts import append_results

__all__ = ["shop", "stocked", "vendor_url"]

CATALOG = "/v1/catalogs/perfumes"


async def test_pages_of_products_follow_each_other_without_gaps(shop: Shop) -> None:
    keys, cursor = [], None
    while True:
        params = {"size": "7", **({"cursor": cursor} if cursor else {})}
        page = await shop.ask("GET", f"{CATALOG}/products", params=params)
        keys += [row["key"] for row in page["rows"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert keys == [f"P{n:04}" for n in range(PRODUCTS)]


async def test_a_selection_is_counted_and_paged_by_its_where(shop: Shop) -> None:
    where = {"where": "brand = 'House 3'"}
    counted = await shop.ask("GET", f"{CATALOG}/count", params=where)
    page = await shop.ask("GET", f"{CATALOG}/products", params=where)
    assert counted["count"] == len(page["rows"]) == 4
    assert {row["attributes"]["brand"] for row in page["rows"]} == {"House 3"}


async def test_a_bad_selection_is_one_sentence_and_no_traceback(shop: Shop) -> None:
    problem = await shop.ask(
        "GET", f"{CATALOG}/products", params={"where": "brnd = 'x'"}, status=422
    )
    assert "brnd" in problem["detail"]
    assert problem["type"] == "urn:waremill:selection-error" or problem["title"]
    assert "Traceback" not in str(problem)


async def test_a_product_is_found_by_its_key(shop: Shop) -> None:
    found = await shop.ask("GET", f"{CATALOG}/products/P0003")
    assert found["attributes"]["name"] == "Eau number 3"
    missing = await shop.ask("GET", f"{CATALOG}/products/none/such", status=404)
    assert missing["type"] == "urn:waremill:not-found"


async def test_facets_and_completeness_are_told(shop: Shop) -> None:
    facets = await shop.ask("GET", f"{CATALOG}/facets")
    brand = next(one for one in facets if one["column"] == "brand")
    assert sum(count for _, count in brand["values"]) == PRODUCTS
    assert isinstance(await shop.ask("GET", f"{CATALOG}/completeness"), list)


async def test_stale_products_are_paged_and_counted(shop: Shop) -> None:
    params = {"stale": "copy"}
    assert (await shop.ask("GET", f"{CATALOG}/count", params=params))["count"] == 0
    place = shop.workspace.settings.root / "templates" / "copy.yaml"
    place.write_text(place.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert (await shop.ask("GET", f"{CATALOG}/count", params=params))["count"] == 14
    page = await shop.ask("GET", f"{CATALOG}/products", params={**params, "size": 2})
    assert [row["key"] for row in page["rows"]] == ["P0000", "P0001"]
    params["cursor"] = page["next"]
    page = await shop.ask("GET", f"{CATALOG}/products", params=params)
    assert (page["rows"][0]["key"], len(page["rows"])) == ("P0002", 12)
    found = await shop.ask("POST", "/v1/estimates", {"pipeline": "copy", "stale": True})
    assert found["products"] == 14
    await shop.ask("GET", f"{CATALOG}/count", params={"stale": "nothing"}, status=404)
    both = {"stale": "copy", "order_by": "brand"}
    await shop.ask("GET", f"{CATALOG}/products", params=both, status=422)


PICTURED = """\
category: Perfume
attributes:
  main_image: {type: image, required: true}
  detail_images: {type: image, many: true}
"""


async def pictured(shop: Shop) -> str:
    """Give two products of a category with slots: one made for de-DE, one the catalogue's own."""
    root = shop.workspace.settings.root
    for path, text in {"schemas/eau.yaml": PICTURED,
                       "channels/amazon.yaml": "slots: [detail_images]\n"}.items():  # fmt: skip
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    sheet = root / "pictured.csv"
    sheet.write_text("sku,category,main_image\nX,Perfume,\nY,Perfume,y.jpg\n", encoding="utf-8")
    await shop.workspace.import_catalog([sheet], key="sku", catalog="pictured")
    found = await Browse(shop.workspace).product("pictured", "X")
    made = {"main_image": f"asset:{'1' * 64}.png"}
    await shop.workspace.database.write(
        append_results, [("cutout", 0, found.id, "de-DE", made, None, {})]
    )
    return "/v1/catalogs/pictured"


async def test_a_product_shows_its_image_set_for_all_or_for_a_target(shop: Shop) -> None:
    under = await pictured(shop)
    found = await shop.ask("GET", f"{under}/products/X")
    assert found["slots"] == [
        {"name": "main_image", "required": True, "many": False,
         "references": [{"target": "de-DE", "value": f"asset:{'1' * 64}.png", "made": True}]},
        {"name": "detail_images", "required": False, "many": True, "references": []},
    ]  # fmt: skip
    listed = await shop.ask("GET", f"{under}/products", params={"order_by": "_key DESC"})
    own = {"target": "", "value": "y.jpg", "made": False}
    assert [row["slots"][0]["references"] for row in listed["rows"]] == [
        [own], found["slots"][0]["references"],
    ]  # fmt: skip
    of_target = await shop.ask("GET", f"{under}/products/X", params={"target": "fr-FR@amazon"})
    assert [one["name"] for one in of_target["slots"]] == ["detail_images"]
    plain = await shop.ask("GET", f"{CATALOG}/products/P0003")
    assert plain["slots"] == []
    keeps("products", {"catalog": "pictured", "total": 2, "products": listed["rows"]})


async def test_slots_are_selected_counted_and_missed_by_target(shop: Shop) -> None:
    under = await pictured(shop)
    missing = {"where": "missing(main_image)"}
    for targets, expected in (([], 0), (["de-DE"], 0), (["fr-FR"], 1), (["de-DE", "fr-FR"], 1)):
        params = {**missing, "target": targets}
        assert (await shop.ask("GET", f"{under}/count", params=params))["count"] == expected
        page = await shop.ask("GET", f"{under}/products", params=params)
        assert len(page["rows"]) == expected
    params = {"target": ["fr-FR", "de-DE@amazon"]}
    lines = await shop.ask("GET", f"{under}/completeness", params=params)
    assert [(one["attribute"], one["target"], one["missing"]) for one in lines] == [
        ("main_image", "fr-FR", 1), ("detail_images", "fr-FR", 2),
        ("detail_images", "de-DE@amazon", 2),
    ]  # fmt: skip
    (line,) = [one for one in await shop.ask("GET", f"{under}/completeness")
               if one["attribute"] == "main_image"]  # fmt: skip
    assert (line["slot"], line["target"], line["missing"], line["total"]) == (True, None, 0, 2)
    wrong = await shop.ask(
        "GET", f"{under}/count", params={"where": "missing(main_imag)"}, status=422
    )
    assert "did you mean “main_image”" in wrong["detail"]
    await shop.ask("GET", f"{under}/count", params={"target": "german"}, status=422)


async def test_a_selection_is_changed_only_as_it_was_seen(shop: Shop) -> None:
    path = f"{CATALOG}/selections/third house"
    body = {"where": "brand = 'House 3'"}
    made = await shop.client.put(path, json=body, headers={"If-None-Match": "*"})
    assert made.status_code == 200
    etag = made.headers["etag"]
    await shop.ask("PUT", path, body, headers={"If-None-Match": "*"}, status=412)
    await shop.ask("PUT", path, body, status=428)
    body = {"where": "brand = 'House 4'"}
    await shop.ask("PUT", path, body, headers={"If-Match": etag})
    await shop.ask("PUT", path, body, headers={"If-Match": etag}, status=412)
    assert (await shop.ask("GET", path))["where"] == "brand = 'House 4'"
    await shop.ask("DELETE", path, status=204)
    await shop.ask("GET", path, status=404)


async def test_a_file_is_sent_then_imported_by_its_key(shop: Shop) -> None:
    content = b"sku,name\nP0001,Eau neuve\nN1,New\n,Without a key\n"
    files = {"file": ("../../more.csv", content, "text/csv")}
    upload = await shop.ask("POST", "/v1/uploads", files=files, status=201)
    assert upload["name"] == "more.csv" and upload["size"] == len(content)
    body = {"upload": upload["id"], "catalog": "perfumes", "key": "sku"}
    done = await shop.ask("POST", "/v1/imports", body, status=201)
    keeps("import", done)
    assert (done["new"], done["changed"], done["problems"]) == (1, 1, 1)
    await shop.ask("DELETE", f"/v1/uploads/{upload['id']}", status=204)
    await shop.ask("POST", "/v1/imports", body, status=404)


async def test_no_path_of_the_server_is_read(shop: Shop) -> None:
    for name in ("../../waremill.toml", "/etc/passwd", "x" * 22, ".." + "/" * 20):
        body = {"upload": name, "catalog": "perfumes"}
        problem = await shop.ask("POST", "/v1/imports", body, status=404)
        assert "no upload" in problem["detail"]


async def test_an_empty_file_is_refused(shop: Shop) -> None:
    files = {"file": ("empty.csv", b"", "text/csv")}
    problem = await shop.ask("POST", "/v1/uploads", files=files, status=422)
    assert "empty" in problem["detail"]
