"""What a person sees at an address that is none, and of a bug: our page, one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.web.broken import SECRET
from tests.web.browser.looking import faint, landmarks, nameless, pale
from tests.web.browser.watching import Watching
from tests.web.served import Served, serving
from tests.workspaces import make_workspace

from waremill.web.strings import Language, translate


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served workspace with pages that are bugs."""
    folder = make_workspace(tmp_path_factory.mktemp("nowhere") / "shop", "http://127.0.0.1:9/v1")
    with serving(folder, program="tests.web.broken") as server:
        yield server


def bugs_in(served: Served) -> dict[str, list[str]]:
    """Give the log's bugs: reference to the places of its traceback."""
    lines = [json.loads(one) for one in served.log.read_text().splitlines() if one[:1] == "{"]
    return {one["reference"]: one["traceback"] for one in lines if "reference" in one}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", ["/nowhere", "/runs/a/b/c", "/catalogue/deep/down"])
def test_an_unknown_address_is_answered_in_the_consoles_frame(
    watching: Watching, served: Served, language: Language, path: str
) -> None:
    page = watching.page(language)
    reply = page.goto(served.url + path)
    assert reply is not None and reply.status == 404
    title = translate(language, "shell.nowhere_title")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("alert")).to_have_text(translate(language, "shell.nowhere"))
    expect(page.get_by_role("navigation")).to_be_visible()
    assert page.evaluate("document.documentElement.lang").startswith(language)
    page.wait_for_function("window.socket?.connected")
    assert not nameless(page) + pale(page) + faint(page) + landmarks(page)
    page.locator("#wm-main").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(translate(language, "nav.catalogue"))


@pytest.mark.parametrize("path", ["/v1/nothing", "/_waremill/none.css", "/_nicegui/nothing/x.js"])
def test_what_is_no_page_is_answered_as_a_problem(
    watching: Watching, served: Served, path: str
) -> None:
    reply = watching.page("zh").request.get(served.url + path, headers={"accept": "text/html"})
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == "urn:waremill:not-found"


def test_an_address_is_a_problem_for_who_asks_for_no_page(
    watching: Watching, served: Served
) -> None:
    reply = watching.page("en").request.get(served.url + "/nowhere", headers={"accept": "*/*"})
    assert reply.status == 404 and reply.json()["status"] == 404


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", ["/broken", "/frameless"])
def test_a_bug_in_a_page_is_one_sentence_with_a_reference(
    watching: Watching, served: Served, language: Language, path: str
) -> None:
    page = watching.page(language)
    reply = page.goto(served.url + path)
    assert reply is not None and reply.status == 500
    said = page.get_by_role("alert")
    expect(said).to_contain_text(translate(language, "shell.bug", reference="").rstrip(" .。"))
    expect(page.get_by_role("navigation")).to_be_visible()
    found = re.search(r"[0-9a-f]{8}", said.inner_text())
    assert found is not None
    assert SECRET not in page.content() and "ZeroDivisionError" not in page.content()
    assert any("broken.py" in place for place in bugs_in(served)[found[0]])


def test_a_bug_in_a_page_that_is_in_use_is_said_there(watching: Watching, served: Served) -> None:
    page = watching.page("zh")
    page.goto(served.url + "/breaking")
    page.wait_for_function("window.socket?.connected")
    page.get_by_role("button", name="break").click()
    said = page.get_by_role("alert")
    expect(said).to_contain_text("系统内部出错")
    found = re.search(r"[0-9a-f]{8}", said.inner_text())
    assert found is not None and found[0] in bugs_in(served)
    log = Path(served.log).read_text()
    assert log.count('"breaking_page.<locals>.fail') <= 1 and SECRET not in page.content()
