"""Pictures over REST: who may see them, in which sizes; operations on a picture one sends."""

from __future__ import annotations

import asyncio
import shutil
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image
from tests.web.drawn_photos import bottle, saved, scene
from tests.web.picture_shop import CATALOG, make_shop
from tests.web.shops import ADDRESS, Shop

from waremill.app import Workspace, open_workspace
from waremill.app.accounts import Accounts
from waremill.app.operating import LARGEST
from waremill.app.showing import FOLDER
from waremill.app.thumbnails import SIDES, Thumbnails, sweep
from waremill.domain import Asset
from waremill.errors import SourceError
from waremill.images.provenance import read_provenance
from waremill.web.server import create_app

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace's folder with a finished run, which nobody writes to, and the run's name."""
    folder = tmp_path_factory.mktemp("pictured") / "shop"
    return folder, make_shop(folder, 2)["run"]


@pytest_asyncio.fixture
async def shop(pictured: tuple[Path, str], tmp_path: Path) -> AsyncIterator[Shop]:
    folder = tmp_path / "shop"
    shutil.copytree(pictured[0], folder)
    async with open_workspace(folder, readers=2) as workspace:
        app = create_app(workspace)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, timeout=30) as client:
            yield Shop(workspace, app, client)


@pytest.fixture
def run(pictured: tuple[Path, str]) -> str:
    return pictured[1]


async def items_of(shop: Shop, run: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await shop.ask("GET", f"/v1/runs/{run}/items"))["rows"]
    return rows


def address(run: str, item: int, reference: str) -> str:
    return f"/v1/runs/{run}/items/{item}/pictures/{reference.removeprefix('asset:')}"


async def test_a_picture_is_given_whole_and_small_and_cached_for_good(shop: Shop, run: str) -> None:
    item = (await items_of(shop, run))[0]
    reference = item["values"]["scene_variants"][1]
    asset = Asset.parse(reference)
    assert asset is not None
    place = address(run, item["id"], reference)
    whole = await shop.client.get(place)
    assert whole.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(whole.content)).size == (512, 512)
    assert whole.headers["etag"] == f'"{asset.sha256}"'
    assert whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert whole.headers["content-disposition"].startswith("inline; filename=")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-security-policy"].startswith("default-src 'none'")
    for side in SIDES:
        small = await shop.client.get(f"{place}?width={side}")
        assert small.headers["content-type"] == "image/webp"
        assert max(Image.open(BytesIO(small.content)).size) == min(side, 512)
        assert small.headers["etag"] == f'"{asset.sha256}-{side}"'
    kept = shop.workspace.settings.root / FOLDER / asset.sha256[:2] / f"{asset.sha256}-160.webp"
    assert kept.is_file()
    again = await shop.client.get(place, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    saved_as = await shop.client.get(f"{place}?download=true")
    assert saved_as.headers["content-disposition"].startswith("attachment; filename=")
    problem = await shop.ask("GET", f"{place}?width=321", status=422)
    assert "160, 320, 640, 1280, 2560" in problem["detail"]


async def test_a_hash_opens_no_picture_of_another_item(shop: Shop, run: str) -> None:
    first, second = await items_of(shop, run)
    reference = first["values"]["main_image"]
    other = await shop.ask("GET", address(run, second["id"], reference), status=404)
    nothing = "asset:" + "0" * 64 + ".png"
    unknown = await shop.ask("GET", address(run, second["id"], nothing), status=404)
    assert other["detail"].rpartition(" ")[0] == unknown["detail"].rpartition(" ")[0]
    await shop.ask("GET", address(run, second["id"], "asset:1234.png"), status=422)


async def test_what_a_sheet_or_a_person_writes_as_a_reference_opens_nothing(
    shop: Shop, run: str
) -> None:
    first, second = await items_of(shop, run)
    foreign = first["values"]["main_image"]
    file = foreign.removeprefix("asset:")
    inside = f".waremill/files/{file[:2]}/{file[2:4]}/{file}"
    assert (shop.workspace.settings.root / inside).is_file()
    sheet = shop.workspace.settings.root / "more.csv"
    sheet.write_text(f"sku,photo,other\nX1,{foreign},{inside}\n", encoding="utf-8")
    await shop.workspace.import_catalog([sheet], key="sku", catalog="more")
    place = "/v1/catalogs/more/pictures/X1"
    said = await shop.ask("GET", f"{place}?column=photo", status=404)
    assert "alone shows nothing" in said["detail"]
    said = await shop.ask("GET", f"{place}?column=other", status=422)
    assert "there is no picture" in said["detail"]
    card = await shop.ask("GET", f"/v1/runs/{run}/items/{second['id']}")
    given = {"verdict": "edit", "version": card["version"], "values": {"scene": foreign}}
    verdict = f"/v1/runs/{run}/items/{second['id']}/verdict"
    said = await shop.ask("POST", verdict, given, status=422)
    assert "made for this item" in said["detail"]
    given["values"] = {"scene": "no picture at all"}
    await shop.ask("POST", verdict, given, status=422)
    await shop.ask("GET", address(run, second["id"], foreign), status=404)


async def test_what_another_run_made_of_the_same_product_is_shown_beside_it(
    shop: Shop, run: str
) -> None:
    pipeline = shop.workspace.settings.root / "pipelines" / "web.yaml"
    step = "transcode: {image: photo, into: web_image, format: webp, most_side: 300}"
    pipeline.write_text(f"name: web\nsteps:\n  - {step}\n", encoding="utf-8")
    again = (await shop.workspace.run("web", catalog=CATALOG)).run
    old, new = await items_of(shop, run), await items_of(shop, again)
    before = old[0]["values"]["web_image"]
    assert before != new[0]["values"]["web_image"]
    assert (await shop.client.get(address(again, new[0]["id"], before))).status_code == 200
    await shop.ask("GET", address(again, new[1]["id"], before), status=404)


async def test_taking_a_variant_is_an_edit(shop: Shop, run: str) -> None:
    item = (await items_of(shop, run))[0]
    variants = item["values"]["scene_variants"]
    card = await shop.ask("GET", f"/v1/runs/{run}/items/{item['id']}")
    given = {"verdict": "edit", "version": card["version"], "values": {"scene": variants[2]}}
    after = await shop.ask("POST", f"/v1/runs/{run}/items/{item['id']}/verdict", given)
    assert after["state"] == "edited"
    assert {one["name"]: one["value"] for one in after["fields"]}["scene"] == variants[2]
    for one in variants:
        assert (await shop.client.get(address(run, item["id"], one))).status_code == 200
    # What a person took is still what a model made, and says so wherever it goes.
    place = address(run, item["id"], variants[2])
    kept = await shop.client.get(f"{place}?download=true")
    label = read_provenance(kept.content)
    assert label is not None
    assert (label.kind, label.model) == ("made", "painter")
    assert read_provenance((await shop.client.get(place)).content) is None
    await shop.workspace.export(run, shop.workspace.settings.root / "out.csv")
    (file,) = (shop.workspace.settings.root / "out-csv-pictures").glob(f"{item['key']}-scene.png")
    assert read_provenance(file.read_bytes()) == label


async def test_a_products_photo_is_found_as_a_run_finds_it(shop: Shop, run: str) -> None:
    item = (await items_of(shop, run))[0]
    place = f"/v1/runs/{run}/items/{item['id']}/source-picture"
    photo = shop.workspace.settings.root / "photos" / "0.jpg"
    before = photo.read_bytes()
    photo.write_bytes(saved(scene(3, 3)))  # another photo of the name: the run had the old one
    seen = await shop.client.get(place, params={"column": "photo"})
    assert seen.content == before
    assert "immutable" in seen.headers["cache-control"]
    now = f"/v1/catalogs/{CATALOG}/pictures/{item['key']}"
    seen = await shop.client.get(now, params={"column": "photo"})
    assert seen.content == photo.read_bytes()
    assert seen.headers["cache-control"] == "private, max-age=300"
    small = await shop.client.get(now, params={"column": "photo", "width": 160})
    assert max(Image.open(BytesIO(small.content)).size) == 160
    await shop.ask("GET", now, params={"column": "brand"}, status=422)
    await shop.ask("GET", now, params={"column": "nothing"}, status=404)
    await shop.ask("GET", f"/v1/catalogs/{CATALOG}/pictures/P9?column=photo", status=404)


async def test_only_pictures_of_the_workspace_are_shown(shop: Shop) -> None:
    root = shop.workspace.settings.root
    outside = root.parent / "outside.png"
    outside.write_bytes(saved(bottle(0, 120), "png"))
    (root / "note.png").write_text("no picture", encoding="utf-8")
    names = ("../outside.png", str(outside), "waremill.toml", "note.png", "perfumes.csv")
    lines = "".join(f"N{n},{name}\n" for n, name in enumerate(names))
    sheet = root / "names.csv"
    sheet.write_text(f"sku,photo\n{lines}", encoding="utf-8")
    await shop.workspace.import_catalog([sheet], key="sku", catalog="names")
    for number in range(len(names)):
        place = f"/v1/catalogs/names/pictures/N{number}?column=photo"
        for address in (place, f"{place}&width=160"):
            refused = await shop.client.get(address)
            assert refused.status_code == 422, (names[number], refused.text)
            assert refused.headers["content-type"] == "application/problem+json"


async def test_another_team_sees_no_picture_of_ours(shop: Shop, run: str) -> None:
    item = (await items_of(shop, run))[0]
    accounts = Accounts(shop.workspace)
    await accounts.add_user("boss", PASSWORD)
    await accounts.add_team("other")
    tokens = {}
    for name, team in (("vic", "main"), ("sue", "other")):
        await accounts.add_user(name, None)
        await accounts.set_role(name, team, "viewer" if team == "main" else "admin")
        tokens[name], _ = await accounts.add_token("test", user=name, role="admin")
    places = (
        address(run, item["id"], item["values"]["scene"]),
        f"/v1/runs/{run}/items/{item['id']}/source-picture?column=photo",
        f"/v1/catalogs/{CATALOG}/pictures/{item['key']}?column=photo",
    )
    for place in places:
        for name, status in (("vic", 200), ("sue", 404), ("", 401)):
            headers = {"Authorization": f"Bearer {tokens[name]}"} if name else {}
            reply = await shop.client.get(place, headers=headers)
            assert reply.status_code == status, (place, name)


# Operations.


async def test_an_operation_does_what_the_command_line_does(shop: Shop) -> None:
    photo = saved(scene(1, 1, 300, 240))
    asked = {"files": {"image": ("a.jpg", photo)}, "data": {"format": "webp", "most_side": "100"}}
    reply = await shop.client.post("/v1/pictures/transcode", **asked)
    assert reply.headers["content-type"] == "image/webp"
    assert Image.open(BytesIO(reply.content)).size == (100, 80)
    cut = saved(bottle(1, 200), "png")
    files = {"image": ("a.png", cut), "picture": ("b.jpg", photo)}
    reply = await shop.client.post("/v1/pictures/background", files=files)
    assert reply.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(reply.content)).size == (200, 200)
    wanted = {"Accept": "image/jpeg"}
    asked = {
        "files": {"image": ("a.png", cut)},
        "data": {"ratios": ["1:1", "4:5"], "size": "400", "enlarge": "8"},
    }
    reply = await shop.client.post("/v1/pictures/compose", headers=wanted, **asked)
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(reply.content)) as archive:
        assert archive.namelist() == ["1.jpg", "2.jpg"]
        sizes = [Image.open(BytesIO(archive.read(name))).size for name in archive.namelist()]
    assert sizes == [(400, 400), (320, 400)]


@pytest.mark.parametrize(
    ("operation", "data", "status", "says"),
    [
        ("trnscode", {}, 404, "did you mean “transcode”"),
        ("transcode", {"quality": "200"}, 422, "from 1 to 100"),
        ("transcode", {"qualty": "20"}, 422, "did you mean “quality”"),
        ("background", {"picture": "/etc/passwd"}, 422, "send it as a file"),
        ("cutout", {"model": "/etc/passwd.onnx"}, 422, "there is no model"),
    ],
)
async def test_what_cannot_work_is_one_sentence(
    shop: Shop, operation: str, data: dict[str, str], status: int, says: str
) -> None:
    files = {"image": ("a.jpg", saved(scene(0, 0, 120, 120)))}
    found = await shop.ask(
        "POST", f"/v1/pictures/{operation}", files=files, data=data, status=status
    )  # fmt: skip
    assert says in found["detail"]


async def test_what_is_sent_must_be_one_picture_of_bounded_size(shop: Shop) -> None:
    path = "/v1/pictures/transcode"
    found = await shop.ask("POST", path, {"image": "x"}, status=422)
    assert "part “image” of a form" in found["detail"]
    await shop.ask("POST", path, files={"image": ("a.png", b"no picture")}, status=422)
    large = BytesIO(bytes(LARGEST + 1))
    found = await shop.ask("POST", path, files={"image": ("a.png", large)}, status=413)
    assert "64 MB" in found["detail"]
    files = {"image": ("a.png", saved(bottle(0, 60), "png")), "mask": ("b.png", b"x")}
    found = await shop.ask("POST", path, files=files, status=422)
    assert "takes no picture “mask”" in found["detail"]


async def test_the_document_lists_operations_with_their_options(shop: Shop) -> None:
    document = await shop.ask("GET", "/openapi.json")
    described = document["paths"]["/v1/pictures/transcode"]["post"]
    form = described["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    quality = form["properties"]["quality"]
    assert (quality["type"], quality["minimum"], quality["maximum"]) == ("integer", 1, 100)
    assert form["properties"]["format"]["enum"] == ["jpeg", "png", "webp", "avif"]
    assert "/v1/pictures/{operation}" not in document["paths"]
    compose = document["paths"]["/v1/pictures/compose"]["post"]["requestBody"]["content"]
    properties = compose["multipart/form-data"]["schema"]["properties"]
    assert properties["picture"]["format"] == "binary"
    assert properties["ratios"]["items"] == {"type": "string"}


# Thumbnails.


async def test_a_thumbnail_is_made_once_however_many_ask(shop: Shop, tmp_path: Path) -> None:
    workspace: Workspace = shop.workspace
    from waremill.app.keeping import threads

    kept = Thumbnails(tmp_path / "small", threads(workspace.settings.pictures.threads), 1)
    loads = 0

    async def load() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.05)
        return saved(scene(0, 0, 300, 300))

    made = await asyncio.gather(*(kept.get("ab12", 160, load) for _ in range(8)))
    assert loads == 1
    assert len(set(made)) == 1
    assert await kept.get("ab12", 160, load) == made[0]
    assert loads == 1
    await kept.get("ab12", 160, load, seconds=0)
    assert loads == 2

    async def nothing() -> bytes:
        return b"no picture"

    for _ in range(2):  # what failed is tried again
        with pytest.raises(SourceError):
            await kept.get("cd34", 160, nothing)


def test_a_full_folder_loses_its_oldest(tmp_path: Path) -> None:
    import os

    for number in range(10):
        path = tmp_path / f"{number % 2}" / f"{number}.webp"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    sweep(tmp_path, 1000, 500)
    assert len(list(tmp_path.glob("*/*"))) == 10
    sweep(tmp_path, 999, 500)
    assert sorted(path.stem for path in tmp_path.glob("*/*")) == ["5", "6", "7", "8", "9"]
