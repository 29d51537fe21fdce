"""A run's report in a real browser: its own script filters the samples, and no other one runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect
from tests.web.browser.watching import Watching
from tests.web.served import serving
from tests.workspaces import make_workspace, perfumes, vendor_process, waremill, write_sheet

META = "Content-Security-Policy"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a trial's report on a served workspace."""
    folder = tmp_path_factory.mktemp("report") / "shop"
    with vendor_process() as url:
        make_workspace(folder, url)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(12))
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        done = waremill(folder, "trial", "copy", "-n", "8", "--json")
        assert done.code == 0, done
        with serving(folder) as server:
            yield f"{server.url}/download/runs/{done.json['run']}/report"


def samples(page: Page) -> int:
    """How many samples are to be seen."""
    return page.locator("article.sample").filter(visible=True).count()


def test_the_samples_of_a_served_report_are_filtered(watching: Watching, report: str) -> None:
    page = watching.page("en")
    page.goto(report)
    whole = samples(page)
    assert whole > 2
    box = page.locator("#sample-text")
    expect(box).to_be_visible()
    key = page.locator("article.sample").first.inner_text().split()[0]
    box.fill(key)
    expect(page.locator("article.sample").filter(visible=True)).to_have_count(1)
    box.fill("no such words")
    expect(page.locator("#no-sample")).to_be_visible()
    box.fill("")
    page.locator("#filter button").last.click()
    expect(page.locator("#filter button[aria-pressed=true]")).to_have_count(1)
    assert 0 < samples(page) <= whole
    assert watching.wrong == []
    assert watching.outside() == []


@pytest.mark.parametrize("with_meta", [True, False], ids=["both policies", "the server's alone"])
def test_a_script_that_was_slipped_in_does_not_run(
    watching: Watching, report: str, *, with_meta: bool
) -> None:
    page = watching.page("en")

    def slip(route: Route) -> None:
        reply = route.fetch()
        text = reply.text()
        assert META in text
        text = text if with_meta else text.replace(META, "X-Nothing")
        planted = (
            "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"
            "<a href='javascript:window.pwned = 3' id=bait>x</a></main>"
        )
        route.fulfill(response=reply, body=text.replace("</main>", planted))

    page.route("**/report", slip)
    page.goto(report)
    expect(page.locator("#sample-text")).to_be_visible()  # the report's own script has run
    page.evaluate(
        "() => { const one = document.createElement('script'); one.textContent = 'pwned = 4';"
        " document.body.append(one); }"
    )
    page.locator("#bait").click()
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned ?? null") is None
    blocked = [one for one in watching.wrong if "CSP: script-src" in one]
    assert len(blocked) >= 3, watching.wrong


def test_the_servers_policy_names_the_script_by_its_hash(watching: Watching, report: str) -> None:
    reply = watching.page("en").request.get(report)
    policy = reply.headers["content-security-policy"]
    parts = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"].startswith("'sha256-") and " " not in parts["script-src"]
    assert "unsafe" not in policy and parts["frame-ancestors"] == "'none'"
