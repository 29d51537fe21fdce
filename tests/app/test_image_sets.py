"""Image sets: slots are selected, counted and shown by what the catalogue has and what was made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from tests.browsed import add_indexes, workspace_on
from tests.planned import stock
from tests.workspaces import make_workspace, waremill_here, write_sheet

from waremill.app import walking
from waremill.app.acting import Actor
from waremill.app.browsing import Browse, Completeness
from waremill.app.linting import lint_text
from waremill.app.workspace import Workspace
from waremill.domain import Asset
from waremill.errors import ConfigError, UserError
from waremill.runs.plan import plan_run
from waremill.store.run_items import read_items
from waremill.store.tables import items, products
from waremill.store.verdicts import append_results

SCHEMA = """\
category: Perfume
attributes:
  name: {required: true}
  main_image: {type: image, required: true}
  scene_image: {type: image}
  detail_images: {type: image, many: true}
children:
  - category: Sample
  - category: Candle
    attributes:
      burning_image: {type: image}
"""
AMAZON = "slots: [scene_image, main_image]\n"
ROWS: tuple[dict[str, Any], ...] = (
    {"sku": "A", "category": "Perfume", "spu": "G", "main_image": "photos/a.jpg", "price": 3},
    {"sku": "B", "category": "Perfume", "spu": "G", "price": 9},
    {"sku": "C", "category": "Perfume", "price": 5},
    {"sku": "D", "category": "Candle", "price": 1},
    {"sku": "E", "category": "Soap", "price": 7, "main_image": "photos/e.jpg"},
    {"sku": "F", "category": "Perfume", "price": 2},
)
DE, FR = "de-DE", "fr-FR"


def picture(number: int) -> str:
    return f"asset:{number:064x}.png"


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with workspace_on(tmp_path, database_url, readers=2) as opened:
        for path, text in {"schemas/eau.yaml": SCHEMA, "channels/amazon.yaml": AMAZON}.items():
            place = opened.settings.root / path
            place.parent.mkdir(exist_ok=True)
            place.write_text(text, encoding="utf-8")
        await stock(opened.database, ROWS, group="spu")
        yield opened


async def put(workspace: Workspace, key: str, target: str = "", **values: Any) -> None:
    """Write what was made for a product, or for the group G."""

    def write(conn: Any) -> None:
        number = conn.execute(select(products.c.id).where(products.c.key == key)).scalar_one()
        append_results(conn, [("step", 0, number, target, values, None, {})])

    await workspace.database.write(write)


async def keys(
    workspace: Workspace, where: str, targets: Sequence[str] = (), order_by: str | None = None
) -> str:
    """The keys a selection picks, as a run and as a listing find them: they must be the same."""
    _, found, total = await workspace.products(where, order_by=order_by, targets=targets)
    browse = Browse(workspace)
    listed, cursor = [], None
    while True:
        page = await browse.products(
            where=where, order_by=order_by, targets=targets, size=2, cursor=cursor
        )
        listed += [one.key for one in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert listed == [one.key for one in found], where
    assert await browse.count(where=where, targets=targets) == total == len(listed), where
    return "".join(listed)


# What a selection finds.


async def test_a_slot_is_filled_by_the_catalogue_or_by_what_was_made(workspace: Workspace) -> None:
    assert await keys(workspace, "missing(main_image)") == "BCDF"
    await put(workspace, "C", main_image=picture(1))
    await put(workspace, "D", DE, main_image=picture(2))
    assert await keys(workspace, "missing(main_image)") == "BF"
    assert await keys(workspace, "present(main_image)") == "ACDE"
    assert await keys(workspace, "main_image IS NULL AND price > 2") == "B"
    assert await keys(workspace, "NOT missing(Main_Image)") == "ACDE"
    # Compared, a slot is what the catalogue says of it.
    assert await keys(workspace, "main_image LIKE '%e.jpg'") == "E"
    assert await keys(workspace, "main_image = 'photos/a.jpg' OR main_image IS NULL") == "ABF"


async def test_a_slot_no_catalogue_has_is_a_known_name(workspace: Workspace) -> None:
    assert await keys(workspace, "missing(burning_image) AND category = 'Candle'") == "D"
    await put(workspace, "D", burning_image=picture(1))
    assert await keys(workspace, "present(burning_image)") == "D"
    for where in ("missing(brning_image)", "missing(burning_images)"):
        for ask in (workspace.products(where), Browse(workspace).products(where=where)):
            with pytest.raises(UserError, match="did you mean “burning_image”"):
                await ask


async def test_for_targets_every_one_needs_its_own_picture_or_there_is_one_for_all(
    workspace: Workspace,
) -> None:
    await put(workspace, "B", scene_image=picture(1))
    await put(workspace, "C", DE, scene_image=picture(2))
    await put(workspace, "D", DE, scene_image=picture(3))
    await put(workspace, "D", FR, scene_image=picture(4))
    assert await keys(workspace, "missing(scene_image)") == "AEF"
    assert await keys(workspace, "missing(scene_image)", [DE]) == "AEF"
    assert await keys(workspace, "missing(scene_image)", [FR]) == "ACEF"
    assert await keys(workspace, "missing(scene_image)", [DE, FR]) == "ACEF"
    assert await keys(workspace, "missing(scene_image)", [DE, FR, "it-IT"]) == "ACDEF"
    assert await keys(workspace, "present(scene_image)", [FR, FR, DE]) == "BD"


async def test_what_was_made_for_a_group_counts_for_its_members(workspace: Workspace) -> None:
    await put(workspace, "G", scene_image=picture(1))
    assert await keys(workspace, "present(scene_image)") == "AB"
    assert await keys(workspace, "present(scene_image)", [DE, FR]) == "AB"


async def test_a_picture_that_was_taken_away_fills_nothing(workspace: Workspace) -> None:
    for value in (picture(1), None, [picture(1), picture(2)], [], " "):
        await put(workspace, "C", DE, detail_images=value)
        there = "C" if value not in (None, [], " ") else ""
        for targets in ([], [DE], [DE, DE]):
            assert await keys(workspace, "present(detail_images)", targets) == there, value
        line = (await lines(workspace))["Perfume", "detail_images", None]
        assert line.missing == 4 - len(there)


async def test_a_text_beside_the_picture_may_hold_anything(workspace: Workspace) -> None:
    await put(workspace, "C", main_image=picture(1), alt="a\0b \\u0000 “é” \\")
    await put(workspace, "D", alt='"main_image":"asset"')
    assert await keys(workspace, "present(main_image)") == "ACE"
    assert (await lines(workspace))["Perfume", "main_image", None].missing == 2
    product = await Browse(workspace).product(None, "C")
    (shown,) = await Browse(workspace).with_slots([product])
    assert shown.slots[0].references[0].value == picture(1)


async def test_an_order_by_a_slot_puts_the_missing_last_however_it_was_filled(
    workspace: Workspace,
) -> None:
    await workspace.database.write(add_indexes, ("main_image", "category"))
    await put(workspace, "F", main_image=picture(1))
    for direction, expected in (("", "AEFBCD"), (" DESC", "FEABCD")):
        assert await keys(workspace, "price > 0", [], f"main_image{direction}") == expected
    assert await keys(workspace, "missing(main_image)", [], "price DESC") == "BCD"
    # A sorted listing is kept in memory, and yet knows of what was made meanwhile.
    await put(workspace, "C", main_image=picture(2))
    assert await keys(workspace, "missing(main_image)", [], "price DESC") == "BD"


async def test_an_index_over_the_catalogues_own_pictures_does_not_hide_the_made_ones(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "FIRST_ROWS", 2)
    await workspace.database.write(add_indexes, ("main_image", "category"))
    await put(workspace, "C", main_image=picture(1))
    assert await keys(workspace, "missing(main_image)") == "BDF"
    assert await keys(workspace, "missing(main_image) AND category = 'Candle'") == "D"
    assert await keys(workspace, "main_image = 'photos/e.jpg'") == "E"
    facets = {
        one.column: one for one in await Browse(workspace).facets(where="missing(main_image)")
    }
    assert dict(facets["category"].values) == {"Perfume": 2, "Candle": 1}
    await put(workspace, "F", main_image=picture(2))
    facets = {
        one.column: one for one in await Browse(workspace).facets(where="missing(main_image)")
    }
    assert dict(facets["category"].values) == {"Perfume": 1, "Candle": 1}


async def test_a_selection_over_slots_can_be_saved(workspace: Workspace) -> None:
    browse = Browse(workspace)
    saved = await browse.save_selection(None, "No picture", "missing(burning_image)", "main_image")
    assert saved.where == "missing(burning_image)"
    with pytest.raises(UserError, match="did you mean “main_image”"):
        await browse.save_selection(None, "Broken", "missing(main_imge)")


@pytest.mark.parametrize(
    ("target", "says"), [("german", "is not a target"), ("de-DE@otto", "no file channels/otto")]
)
async def test_a_target_that_is_none_is_refused(
    workspace: Workspace, target: str, says: str
) -> None:
    browse = Browse(workspace)
    for ask in (
        workspace.products(targets=[target]), browse.products(targets=[target]),
        browse.count(targets=[target]), browse.completeness(targets=[target]),
        browse.with_slots([], [target]),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            await ask


async def test_without_a_filter_no_schema_is_read(workspace: Workspace) -> None:
    (workspace.settings.root / "schemas" / "eau.yaml").write_text("category: [", encoding="utf-8")
    assert len((await Browse(workspace).products()).rows) == len(ROWS)
    with pytest.raises(ConfigError, match="not YAML"):
        await Browse(workspace).products(where="price > 3")


# A run and its items.


async def planned_keys(workspace: Workspace, where: str, *targets: str) -> list[tuple[str, str]]:
    from waremill.app.options import order_run

    options: Any = {"where": where, "targets": targets}
    prepared = await workspace._prepare("copy", options, "run")
    run = await plan_run(
        workspace.database, order_run(workspace.settings, prepared, options, "run")
    )
    query = (
        select(products.c.key, items.c.target)
        .join(products, products.c.id == items.c.product_id)
        .where(items.c.run_id == run.id)
        .order_by(items.c.id)
    )
    return [tuple(row) for row in await workspace.database.read(lambda c: c.execute(query).all())]


async def test_a_run_takes_what_lacks_a_picture_for_any_of_its_targets(
    workspace: Workspace,
) -> None:
    await put(workspace, "B", DE, main_image=picture(1))
    await put(workspace, "C", DE, main_image=picture(1))
    await put(workspace, "C", FR, main_image=picture(1))
    await put(workspace, "D", main_image=picture(1))
    assert await planned_keys(workspace, "missing(main_image)", DE, FR) == [
        ("B", DE), ("B", FR), ("F", DE), ("F", FR),
    ]  # fmt: skip
    assert await planned_keys(workspace, "missing(main_image)", DE) == [("F", DE)]
    assert (
        await workspace.estimate("copy", where="missing(main_image)", targets=[FR])
    ).products == 2


async def test_items_are_filtered_by_whether_their_own_target_has_a_picture(
    workspace: Workspace,
) -> None:
    await planned_keys(workspace, "category = 'Perfume'", DE, FR)
    await put(workspace, "B", DE, main_image=picture(1))
    await put(workspace, "C", main_image=picture(1))
    browse = Browse(workspace)
    found = await browse.items("last", where="missing(main_image)")
    assert [(one.key, one.target) for one in found.rows] == [("B", FR), ("F", DE), ("F", FR)]
    assert await browse.count_items("last", where="missing(main_image) AND _target = 'de-DE'") == 1
    await workspace.database.write(add_indexes, ("main_image",))
    assert await browse.count_items("last", where="missing(main_image)") == 3
    with pytest.raises(UserError, match="did you mean “main_image”"):
        await browse.items("last", where="missing(main_imag)")


async def test_a_review_rule_may_name_a_slot(workspace: Workspace) -> None:
    await planned_keys(workspace, "category = 'Perfume'", DE)
    await put(workspace, "B", DE, main_image=picture(1))

    def finish(conn: Any) -> None:
        conn.execute(items.update().values(state="ready"))

    await workspace.database.write(finish)
    assert await workspace.accept("last", "present(main_image)") == 2

    def accepted(conn: Any) -> list[str]:
        numbers = conn.execute(select(items.c.id).where(items.c.state == "accepted")).scalars()
        return [one.key for one in read_items(conn, list(numbers))]

    assert await workspace.database.read(accepted) == ["A", "B"]


# Completeness.


async def lines(
    workspace: Workspace, where: str | None = None, targets: Sequence[str] = ()
) -> dict[tuple[str, str, str | None], Completeness]:
    found = await Browse(workspace).completeness(where=where, targets=targets)
    return {(one.category, one.attribute, one.target): one for one in found}


async def test_completeness_counts_slots_by_category(workspace: Workspace) -> None:
    found = await lines(workspace)
    assert [(key[1], one.missing) for key, one in found.items() if key[0] == "Perfume"] == [
        ("name", 4), ("main_image", 3), ("scene_image", 4), ("detail_images", 4),
    ]  # fmt: skip
    assert found["Perfume", "main_image", None].slot and found["Candle", "burning_image", None].slot
    assert found["Perfume", "main_image", None].required
    assert not found["Perfume", "name", None].slot
    assert found["", "main_image", None].missing == 0  # the soap's, which no schema describes
    # It is kept in memory, and yet knows of what was made meanwhile.
    await put(workspace, "B", DE, main_image=picture(1))
    await put(workspace, "G", scene_image=picture(1))
    found = await lines(workspace)
    assert found["Perfume", "main_image", None].missing == 2
    assert found["Perfume", "scene_image", None].missing == 2
    found = await lines(workspace, "missing(main_image)")
    assert {one.total for one in found.values()} == {2, 1}
    assert found["Perfume", "main_image", None].missing == 2


async def test_completeness_by_target_counts_what_its_channel_takes_in_its_order(
    workspace: Workspace,
) -> None:
    await put(workspace, "B", main_image=picture(1))
    await put(workspace, "C", "de-DE@amazon", main_image=picture(2))
    await put(workspace, "C", FR, scene_image=picture(2))
    found = await lines(workspace, "category = 'Perfume'", ["de-DE@amazon", FR])
    assert [(key[1:], one.missing, one.total) for key, one in found.items()] == [
        (("name", None), 4, 4),
        (("scene_image", "de-DE@amazon"), 4, 4), (("main_image", "de-DE@amazon"), 1, 4),
        (("main_image", FR), 2, 4), (("scene_image", FR), 3, 4), (("detail_images", FR), 4, 4),
    ]  # fmt: skip


# What a product shows.


async def test_a_product_shows_its_slots_in_order_with_what_stands_in_them(
    workspace: Workspace,
) -> None:
    await put(workspace, "A", DE, main_image=picture(1), title="Eau")
    await put(workspace, "A", main_image=picture(2))
    await put(workspace, "A", main_image=picture(3))
    await put(workspace, "A", FR, detail_images=[picture(4), picture(5)], scene_image=None)
    await put(workspace, "G", scene_image=picture(6))
    browse = Browse(workspace)
    page = await browse.products()
    shown = {one.key: one for one in await browse.with_slots(page.rows)}
    assert [slot.name for slot in shown["D"].slots] == [
        "main_image", "scene_image", "detail_images", "burning_image",
    ]  # fmt: skip
    assert shown["E"].slots == ()  # no schema knows soap
    main, scene, details = shown["A"].slots
    assert [(one.target, one.value, one.made) for one in main.references] == [
        ("", "photos/a.jpg", False), ("", picture(3), True), (DE, picture(1), True),
    ]  # fmt: skip
    assert main.required and not scene.required and details.many
    assert [one.value for one in scene.references] == [picture(6)]
    assert [one.value for one in details.references] == [[picture(4), picture(5)]]
    assert [one.value for one in shown["B"].slots[1].references] == [picture(6)]
    assert shown["C"].slots[0].references == ()
    (one,) = await browse.with_slots([page.rows[0]], ["de-DE@amazon"])
    assert [slot.name for slot in one.slots] == ["scene_image", "main_image"]
    assert [ref.value for ref in one.slots[1].references] == ["photos/a.jpg", picture(3)]


async def test_a_foreign_teams_products_are_not_shown_with_their_slots(
    workspace: Workspace,
) -> None:
    stranger = Browse(workspace.acting(Actor("Sue", {2: "admin"})))
    with pytest.raises(UserError, match="no catalogue"):
        await stranger.products("stock", "missing(main_image)")


# Files that belong together.


async def test_a_schema_that_loses_a_slot_a_channel_takes_is_said(workspace: Workspace) -> None:
    text = SCHEMA.replace("  scene_image: {type: image}\n", "")
    found = lint_text(workspace.settings, "schemas/eau.yaml", text, None, "sqlite")
    assert [(one.file, one.line) for one in found] == [("channels/amazon.yaml", 1)]
    assert "no schema has the picture slot “scene_image”" in found[0].message
    rule = 'name: p\nsteps: [generate: {template: copy}]\nreview: {accept: "present(main_image)"}\n'
    assert lint_text(workspace.settings, "pipelines/p.yaml", rule, ["price"], "sqlite") == ()


# The command line, from a sheet to filled slots.

PIPELINES = {
    "pipelines/packshots.yaml": "name: packshots\nsteps:\n"
    "  - resize: {image: photo, width: 16, into: main_image, per: product}\n",
    "pipelines/scenes.yaml": "name: scenes\nsteps:\n"
    "  - resize: {image: photo, width: 24, into: scene_image}\n",
}


def test_runs_fill_what_is_missing_and_find_nothing_more_to_do(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    folder = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1", files={"schemas/eau.yaml": SCHEMA, **PIPELINES}
    )
    cv2.imwrite(str(folder / "p.png"), np.full((40, 40, 3), 200, np.uint8))
    rows = [{"sku": f"P{n}", "category": "Perfume", "photo": "p.png",
             "main_image": "p.png" if n == 0 else ""} for n in range(3)]  # fmt: skip
    sheet = str(write_sheet(folder / "stock.csv", rows))
    assert waremill_here(folder, "import", sheet, "--key", "sku").code == 0

    def lacking(slot: str, *more: str) -> list[str]:
        done = waremill_here(
            folder, "products", "--where", f"missing({slot})", "--json", *more
        )  # fmt: skip
        assert done.code == 0, done.err
        return [one["key"] for one in done.json["products"]]

    assert lacking("main_image") == ["P1", "P2"]
    fill = ("run", "packshots", "--where", "missing(main_image)", "--limit", "1")
    for left in (["P2"], []):
        done = waremill_here(folder, *fill)
        assert done.code == 0, done.err
        assert lacking("main_image") == left
    done = waremill_here(folder, *fill)
    assert (done.code, "holds no product" in done.err) == (2, True)

    scenes = ("run", "scenes", "--where", "missing(scene_image)", "--target")
    assert waremill_here(folder, *scenes, DE, "--limit", "2").code == 0
    assert lacking("scene_image") == lacking("scene_image", "--target", DE) == ["P2"]
    assert lacking("scene_image", "--target", FR) == ["P0", "P1", "P2"]
    assert waremill_here(folder, *scenes, DE, "--target", FR).code == 0
    assert lacking("scene_image", "--target", DE, "--target", FR) == []

    shown = waremill_here(folder, "products", "--json").json["products"][1]
    assert [slot["name"] for slot in shown["slots"]][:2] == ["main_image", "scene_image"]
    (main,), both = (slot["references"] for slot in shown["slots"][:2])
    assert (main["target"], main["made"]) == ("", True) and Asset.parse(main["value"])
    assert [one["target"] for one in both] == [DE, FR]
    table = waremill_here(folder, "products", "--where", "sku = 'P1'").out
    assert "scene_image" in table and "de-DE: asset:" in table
    assert "detail_images" not in table
    wrong = waremill_here(folder, "products", "--where", "missing(main_imgae)")
    assert (wrong.code, "did you mean “main_image”" in wrong.err) == (2, True)
