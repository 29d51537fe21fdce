"""Several photos in one cell of a sheet: each is checked by a run, and each is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest_asyncio
from PIL import Image
from tests.workspaces import make_workspace

import waremill as library
from waremill.app import Workspace
from waremill.app.browsing import Browse
from waremill.app.picture_cards import Origin, photos, shots_of
from waremill.app.reviewing import ReviewDesk
from waremill.app.showing import Pictures
from waremill.domain import Asset

PIPELINE = """\
name: look
steps:
  - resize: {image: photo, longest: 40, into: small, per: product}
  - check: {image: photo, rules: [resolution], least_side: 60, least_long_side: 60, per: product}
"""
COLOURS = {"a": (200, 30, 30), "b": (30, 200, 30), "c": (30, 30, 200)}
SIDES = {"a": 90, "b": 50, "c": 80}


def colour_of(content: bytes) -> str:
    """Say which of the photos a picture shows."""
    red, green, blue = Image.open(BytesIO(content)).convert("RGB").resize((1, 1)).getpixel((0, 0))
    return max((red, "a"), (green, "b"), (blue, "c"))[1]


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1", files={"pipelines/look.yaml": PIPELINE}
    )
    (root / "photos").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (SIDES[name],) * 2, colour).save(root / "photos" / f"{name}.png")
    sheet = root / "products.csv"
    sheet.write_text(
        'sku,name,photo\nP1,One,"photos/a.png; photos/b.png\nphotos/c.png"\nP2,Two,photos/c.png\n',
        encoding="utf-8",
    )
    async with library.open(root) as opened:
        await opened.import_catalog([sheet], key="sku", catalog="things")
        yield opened


async def test_each_photo_of_a_cell_is_brought_in_and_checked(workspace: Workspace) -> None:
    status = await workspace.run("look", catalog="things")
    assert (status.state, status.failed, status.total) == ("done", 0, 2)
    first, second = (await Browse(workspace).items(status.run)).rows
    # Only the second of three is too small; what makes one picture takes the first.
    assert [one["rule"] for one in first.found] == ["resolution"]
    assert "50 × 50" in first.found[0]["message"]
    assert second.found == ()
    pictures = Pictures(workspace)
    asset = Asset.parse(first.values["small"])
    assert asset is not None
    made = await pictures.of_item(status.run, first.id, asset, 160)
    assert made.content is not None and colour_of(made.content) == "a"


async def test_what_takes_the_first_photo_does_not_need_the_others(workspace: Workspace) -> None:
    root = workspace.settings.root
    (root / "photos" / "b.png").unlink()
    text = PIPELINE.replace("name: look", "name: small").partition("  - check")[0]
    (root / "pipelines" / "small.yaml").write_text(text, encoding="utf-8")
    status = await workspace.run("small", catalog="things")
    assert (status.state, status.failed) == ("done", 0)


async def test_each_photo_of_a_cell_is_shown_in_the_console(workspace: Workspace) -> None:
    status = await workspace.run("look", catalog="things")
    (first, _) = (await Browse(workspace).items(status.run)).rows
    card = await ReviewDesk(workspace).card(status.run, first.id)
    origins = [origin for origin, _ in photos(card.source)]
    assert origins == [Origin("photo", place) for place in range(3)]
    (shot,) = shots_of(card)
    assert shot.before == Origin("photo", 0)
    pictures = Pictures(workspace)
    for origin, name in zip(origins, "abc", strict=True):
        for found in (
            await pictures.source_of_item(status.run, first.id, origin.column, origin.place, 160),
            await pictures.source_of_product("things", "P1", origin.column, origin.place, 160),
        ):
            assert found.content is not None
            assert colour_of(found.content) == name
