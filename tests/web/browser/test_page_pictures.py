"""Pictures in a real browser: stage, variants, heat-maps, tiles, a trial, a pipeline by choice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from tests.web.browser.story import Story
from tests.web.browser.watching import Watching
from tests.web.picture_shop import CATALOG, make_shop
from tests.web.served import serving

from waremill.web.strings import Language

COUNT = 24


@dataclass(frozen=True)
class Gallery:
    """A served workspace whose run and trial have pictures."""

    url: str
    folder: Path
    run: str
    trial: str

    def items(self) -> list[dict[str, Any]]:
        reply = httpx.get(f"{self.url}/v1/runs/{self.run}/items", params={"size": 100})
        rows: list[dict[str, Any]] = reply.json()["rows"]
        return rows


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("gallery") / "shop"
    names = make_shop(folder, COUNT, trial=3)
    with serving(folder) as served:
        yield Gallery(served.url, folder, names["run"], names["trial"])


@pytest.fixture
def page(watching: Watching) -> Iterator[Page]:
    yield watching.page("en")
    assert not watching.wrong
    assert not watching.outside()


def stage(page: Page) -> Locator:
    return page.locator(".px-stage:not([hidden])")


def shown(page: Page) -> None:
    """Wait until the pictures on the stage are there."""
    page.wait_for_function(
        """() => [...document.querySelectorAll(".px-stage:not([hidden]) .px-large:not([hidden])")]
          .every((one) => one.complete && one.naturalWidth && one.classList.contains("px-fits"))"""
    )


def ready(page: Page, gallery: Gallery, item: int = 0) -> None:
    """Open an item of the run and wait until it can be judged."""
    number = gallery.items()[item]["id"]
    page.goto(f"{gallery.url}/review/{gallery.run}?item={number}")
    page.wait_for_function("window.waremillReview?.ready()")
    shown(page)


# First of all: a page that was closed has its items in hand for some seconds.
def test_tiles_load_what_is_in_sight_and_are_chosen_by_key_and_mouse(
    page: Page, gallery: Gallery
) -> None:
    page.goto(f"{gallery.url}/review/{gallery.run}?mode=bulk")
    tiles = page.locator(".tl-tile")
    expect(tiles).to_have_count(COUNT)
    loaded = page.locator(".tl-tile img[src]")
    expect(loaded.nth(11)).to_be_visible()
    page.wait_for_timeout(600)
    first = loaded.count()
    assert 12 <= first < COUNT
    tiles.first.focus()
    for key in ("Space", "ArrowRight", "ArrowRight", "Space", "Shift+ArrowDown"):
        page.keyboard.press(key)
    chosen = page.locator('.tl-tile[aria-selected="true"]')
    count = chosen.count()
    assert count > 3
    button = page.get_by_role("button", name=re.compile("^Accept chosen"))
    expect(button).to_have_text(f"Accept chosen ({count})")
    tiles.first.click()
    expect(button).to_have_text(f"Accept chosen ({count - 1})")
    page.keyboard.press("Control+a")
    expect(button).to_have_text(f"Accept chosen ({COUNT})")
    page.keyboard.press("*")
    expect(button).to_have_text("Accept chosen")
    page.keyboard.press("End")
    expect(tiles.last.locator("img[src]")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator(".ag-center-cols-container .ag-row").first).to_be_visible()
    expect(page.get_by_text("asset:")).to_have_count(0)
    page.keyboard.press("t")
    expect(tiles.first).to_be_visible()
    key = tiles.nth(20).locator("b").text_content()
    tiles.nth(20).focus()
    page.keyboard.press("Space")
    expect(button).to_have_text("Accept chosen (1)")
    page.keyboard.press("a")
    expect(tiles).to_have_count(COUNT - 1)
    accepted = [one["key"] for one in gallery.items() if one["state"] == "accepted"]
    assert accepted == [key]
    tiles.nth(6).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**item=*")


def test_a_finding_stands_by_its_picture_and_its_map_is_shown_by_key(
    page: Page, gallery: Gallery
) -> None:
    ready(page, gallery)
    expect(stage(page)).to_have_attribute("aria-label", "scene")  # what is objected to
    line = page.get_by_role("region", name="scene")
    expect(line.locator(".rv-legend > li").first).to_contain_text("product")
    expect(page.get_by_role("region", name="main_image")).to_contain_text("from cutout_photo")
    heat = stage(page).locator(".px-heat")
    expect(heat).to_have_css("opacity", "0")
    page.keyboard.press("h")
    expect(heat).to_have_css("opacity", "1")
    expect(stage(page).locator(".px-tag-heat")).to_be_visible()
    # It lies over the picture: of its size, at its place, and as strong as one likes.
    made = stage(page).locator(".px-made .px-large:not(.px-heat)")
    expect(made).to_have_css("opacity", "1")
    assert heat.bounding_box() == made.bounding_box()
    strength = stage(page).get_by_label("How strongly the differences cover the picture")
    strength.fill("40")
    expect(heat).to_have_css("opacity", "0.4")
    strength.focus()
    page.keyboard.press("ArrowRight")
    expect(heat).to_have_css("opacity", "0.45")
    page.keyboard.press("h")
    expect(heat).to_have_css("opacity", "0")
    expect(strength).to_be_hidden()
    # The fields that only belong to a picture have no line and no input of their own.
    expect(page.locator(".rv-field")).to_have_count(3)


def test_the_stage_is_worked_by_keyboard_alone(page: Page, gallery: Gallery) -> None:
    ready(page, gallery, 3)
    page.keyboard.press("j")
    expect(stage(page)).to_have_attribute("aria-label", "main_image")
    shown(page)
    view, slider = stage(page).locator(".px-view"), stage(page).get_by_role("slider")
    expect(view).to_have_attribute("data-mode", "slide")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "40")
    page.keyboard.press("Shift+ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")
    times = stage(page).locator("[data-times]")
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(times).to_have_text("1.6×")
    page.keyboard.press("x")
    expect(view).to_have_attribute("data-mode", "beside")
    page.keyboard.press("x")
    expect(view).to_have_attribute("data-mode", "made")
    view.focus()
    before = view.evaluate("(node) => node.style.getPropertyValue('--x')")
    page.keyboard.press("ArrowRight")
    assert view.evaluate("(node) => node.style.getPropertyValue('--x')") != before
    page.keyboard.press("0")
    expect(times).to_have_text("1.0×")
    page.keyboard.press("j")
    expect(stage(page)).to_have_attribute("aria-label", "scene")
    shown(page)
    # What was chosen for one picture holds for the next.
    expect(stage(page).locator(".px-view")).to_have_attribute("data-mode", "made")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_contain_text("compare with before")


def test_the_wheel_zooms_where_the_mouse_is_and_dragging_moves(
    page: Page, gallery: Gallery
) -> None:
    ready(page, gallery, 4)
    expect(stage(page)).to_have_attribute("aria-label", "web_image")  # the last one made
    view = stage(page).locator(".px-view")
    box = view.bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.up()
    expect(stage(page).get_by_role("slider")).to_have_attribute("aria-valuenow", "25")
    for _ in range(4):
        page.mouse.wheel(0, -120)
    times = stage(page).locator("[data-times]")
    expect(times).to_have_text("2.6×")
    read = "(node) => [node.style.getPropertyValue('--x'), node.style.getPropertyValue('--y')]"
    x, y = (float(one.removesuffix("px")) for one in view.evaluate(read))
    # The spot under the mouse stays under it: x = p − p · scale.
    assert abs(x + box["width"] / 4 * 1.61) < 8
    assert abs(y + box["height"] / 4 * 1.61) < 8
    left += box["width"] / 4  # away from the line
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 60, top + 40)
    page.mouse.up()
    moved = [float(one.removesuffix("px")) for one in view.evaluate(read)]
    assert (round(moved[0] - x), round(moved[1] - y)) == (60, 40)
    view.dblclick()
    expect(times).to_have_text("1.0×")


def test_the_best_of_several_is_taken_with_two_keys(page: Page, gallery: Gallery) -> None:
    ready(page, gallery, 1)
    before = gallery.items()[1]
    scene = page.get_by_role("region", name="scene")
    scene.focus()
    expect(stage(page)).to_have_attribute("aria-label", "scene")
    page.keyboard.press("3")
    expect(stage(page).locator('[data-choice="3"]')).to_have_attribute("aria-pressed", "true")
    accept = page.get_by_role("button", name=re.compile("^Take no. 3"))
    expect(accept).to_be_visible()
    wanted = before["values"]["scene_variants"][2].removeprefix("asset:").partition(".")[0]
    expect(stage(page).locator(".px-made img").first).to_have_attribute("src", re.compile(wanted))
    # What is drawn anew shows what was in sight and chosen.
    page.keyboard.press("r")
    expect(page.locator(".rv-strip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(stage(page)).to_have_attribute("aria-label", "scene")
    expect(stage(page).locator('[data-choice="3"]')).to_have_attribute("aria-pressed", "true")
    expect(accept).to_be_visible()
    page.wait_for_function("window.waremillReview?.ready()")
    page.keyboard.press("a")
    expect(page.locator(".rv-turn .rv-key")).not_to_have_text(before["key"])
    for _ in range(100):
        after = gallery.items()[1]
        if after["state"] != before["state"]:
            break
        page.wait_for_timeout(50)
    assert after["state"] == "edited"
    assert after["values"]["scene"] == before["values"]["scene_variants"][2]
    page.wait_for_function("window.waremillReview?.ready()")
    page.keyboard.press("u")
    expect(page.locator(".rv-turn .rv-key")).to_have_text(before["key"])


def test_pictures_are_not_typed_into(page: Page, gallery: Gallery) -> None:
    ready(page, gallery, 2)
    page.keyboard.press("e")
    expect(page.get_by_role("button", name=re.compile("^Save"))).to_be_visible()
    expect(page.locator("textarea.rv-edit")).to_have_count(0)
    expect(stage(page)).to_be_visible()


def test_a_trials_pictures_are_marked(page: Page, gallery: Gallery) -> None:
    page.goto(f"{gallery.url}/new?trial={gallery.trial}")
    marked = page.locator(".nr-field[aria-current]")
    expect(marked.locator(".px-stage img").first).to_be_visible()
    panel = page.get_by_role("region", name="Accuracy by your marks")
    page.keyboard.press("r")
    expect(panel).to_contain_text("1 of 1 marked fields are right")
    page.keyboard.press("w")
    expect(panel).to_contain_text("1 of 2 marked fields are right")
    names = page.locator(".nr-field-name").all_inner_texts()
    assert names.count("scene") == 1
    assert not [one for one in names if one.endswith("_variants")]
    page.keyboard.press("ArrowUp")
    expect(page.locator(".nr-field").nth(1)).to_have_attribute("aria-current", "true")
    field = page.locator(".nr-field").nth(names.index("scene"))
    field.locator(".nr-field-name").click()
    expect(field).to_have_attribute("aria-current", "true")
    page.keyboard.press("3")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".px-choice")).to_have_count(3)
    dialog.locator(".px-choice").nth(1).click()
    expect(dialog).to_have_count(0)
    expect(field.locator(".nr-corrected")).to_have_attribute("aria-pressed", "true")


def test_a_pipeline_for_pictures_is_made_of_choices(page: Page, gallery: Gallery) -> None:
    page.goto(f"{gallery.url}/new?catalog={CATALOG}&step=how")
    page.get_by_role("button", name="New pipeline for pictures…").click()
    dialog = page.get_by_role("dialog").filter(visible=True).last
    expect(dialog.get_by_label("Photos are named in")).to_have_value("photo")
    dialog.get_by_label("Marketplace").click()
    page.get_by_role("option", name=re.compile("taobao-white")).click()
    expect(dialog.get_by_label("Name of the pipeline")).to_have_value("taobao-white")
    dialog.get_by_role("button", name="Make the pipeline").click()
    expect(
        page.get_by_text("Writes cutout, main_image, main_image_heat_map, main_file.")
    ).to_be_visible()
    text = (gallery.folder / "pipelines" / "taobao-white.yaml").read_text(encoding="utf-8")
    assert "- cutout: {image: photo, into: cutout, per: product}" in text
    assert "preset: taobao-white" in text
    page.get_by_role("button", name="New pipeline for pictures…").click()
    dialog.get_by_label("Name of the pipeline").fill("taobao-white")
    dialog.get_by_role("button", name="Make the pipeline").click()
    expect(dialog.get_by_role("alert")).to_contain_text("choose another name")


def test_what_lies_behind_a_product_is_chosen(page: Page, gallery: Gallery) -> None:
    page.goto(f"{gallery.url}/new?catalog={CATALOG}&step=how")
    dialog = page.get_by_role("dialog").filter(visible=True).last

    def chosen(label: str, option: str) -> None:
        dialog.get_by_label(label, exact=True).click()
        page.get_by_role("option", name=re.compile(option)).click()

    def begun(name: str, photo: str = "cutout_photo") -> None:
        page.get_by_role("button", name="New pipeline for pictures…").click()
        chosen("Photos are named in", f"^{photo}$")
        dialog.get_by_label("Name of the pipeline").fill(name)

    def written(name: str) -> str:
        dialog.get_by_role("button", name="Make the pipeline").click()
        expect(dialog).to_have_count(0)
        return (gallery.folder / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")

    begun("lofts")
    ground = dialog.get_by_label("Background", exact=True)
    chosen("Marketplace or own preset", "our-rooms")
    expect(dialog.get_by_label("Width and height in pixels")).to_be_hidden()
    chosen("Background", "a picture of the workspace")
    expect(dialog.get_by_label("Background colour")).to_be_hidden()
    chosen("Background picture", "^spa")
    text = written("lofts")
    assert 'preset: our-rooms, picture: "backdrops/spa.jpg", shadow: contact' in text

    begun("scenes")
    chosen("Background", "a scene that a model makes")
    expect(dialog.get_by_label("Template of the scene")).to_have_value("scene")
    expect(dialog.get_by_label("Model that makes it")).to_have_value(re.compile("^painter"))
    text = written("scenes")
    assert "- generate: {template: scene, model: painter, per: product}" in text
    assert "picture: scene, shadow: contact" in text
    expect(page.get_by_text("Writes cutout, scene, main_image")).to_be_visible()

    begun("plain")
    chosen("Background", "a picture that each product names")
    dialog.get_by_role("button", name="Make the pipeline").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Choose the picture")
    # A marketplace that demands a plain background says so by offering none.
    chosen("Marketplace or own preset", "amazon-main")
    expect(ground).to_be_hidden()
    dialog.get_by_label("Name of the pipeline").fill("plain")
    assert "picture:" not in written("plain")


PAGES = {
    "catalogue": f"/catalogue?catalog={CATALOG}",
    "drawer": f"/catalogue?catalog={CATALOG}&key=P003",
    "items": "/runs/{run}?tab=items",
    "history": f"/history?catalog={CATALOG}&key=P003",
    "tiles": "/review/{run}?mode=bulk",
    "trial": "/new?trial={trial}",
    "stage": "/review/{run}?item={item}",
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_with_pictures_have_names_and_contrast(
    language: Language, gallery: Gallery, watching: Watching, pictures: Path
) -> None:
    story = Story(watching.page(language), gallery.url, language, pictures, prefix="pictures-")
    item = gallery.items()[0]["id"]
    for name, path in PAGES.items():
        story.open(path.format(run=gallery.run, trial=gallery.trial, item=item))
        expect(story.page.locator("#wm-main img").first).to_be_visible()
        story.page.wait_for_load_state("networkidle")
        story.page.wait_for_timeout(800)
        story.see(name)
    shown(story.page)
    story.page.keyboard.press("h")
    story.page.wait_for_timeout(300)
    story.see("heat")
    story.page.get_by_role("region", name="scene").focus()
    shown(story.page)
    story.page.keyboard.press("2")
    take = story.t("pictures.take", number=2)
    expect(story.page.get_by_role("button", name=re.compile(take))).to_be_visible()
    shown(story.page)
    story.see("variants")
    story.open(f"/new?catalog={CATALOG}&step=how")
    story.button("pictures.plan").click()
    expect(story.dialog().get_by_label(story.t("pictures.plan_photo"))).to_be_visible()
    story.see("preset")
    story.picked(story.box("pictures.plan_ground"), story.t("pictures.ground_scene"))
    expect(story.box("pictures.plan_scene")).to_be_visible()
    story.see("ground")
    assert not story.faults, "\n".join(story.faults)
    assert not watching.wrong and not watching.outside()
