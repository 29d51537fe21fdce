"""One person's way through the console: from a sheet to reviewed copy, by what they see."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect
from tests.web.browser.looking import faint, landmarks, nameless, pale
from tests.web.browser.watching import PATIENCE

from waremill.web.strings import Language, translate, word

expect.set_options(timeout=PATIENCE)
LONG = 60_000
"""Milliseconds for what a worker does: a trial, a run."""


@dataclass
class Story:
    """A page, the language it is read in, and the folder its pictures go to."""

    page: Page
    url: str
    language: Language
    folder: Path
    prefix: str = ""
    number: int = 0
    faults: list[str] = field(default_factory=list)

    # Words.

    def t(self, key: str, /, **values: Any) -> str:
        """Give the words that stand on the page for a key."""
        return translate(self.language, key, **values)

    def word(self, area: str, name: str) -> str:
        """Give the word for a code."""
        return word(self.language, area, name)

    # Places.

    def button(self, key: str, **values: Any) -> Locator:
        """Find a button by its words."""
        return self.page.get_by_role("button", name=self.t(key, **values), exact=True)

    def link(self, key: str) -> Locator:
        """Find a link of the page itself, not of the navigation, by its words."""
        return self.page.locator("#wm-main").get_by_role("link", name=self.t(key), exact=True)

    def box(self, key: str, **values: Any) -> Locator:
        """Find an input by its label."""
        return self.page.get_by_label(self.t(key, **values), exact=True)

    def dialog(self) -> Locator:
        """Find the dialog that is open."""
        return self.page.get_by_role("dialog").filter(visible=True).last

    def figure(self, key: str) -> Locator:
        """Find a figure by its name."""
        name = self.page.get_by_text(self.t(key), exact=True)
        return self.page.locator(".wm-figure").filter(has=name).locator(".wm-figure-value")

    def gone(self, locator: Locator) -> None:
        """Wait until something is no more to be seen."""
        expect(locator).to_have_count(0)

    def picked(self, select: Locator, option: str) -> None:
        """Choose an option of a drop-down list."""
        select.click()
        self.page.get_by_role("option", name=option, exact=True).click()

    # Moving on.

    def open(self, path: str) -> None:
        """Open a page of the console and wait until it answers."""
        self.page.goto(self.url + path)
        self.ready()

    def ready(self) -> None:
        """Wait until the page is in touch with its server."""
        expect(self.page.locator("#wm-main")).to_be_visible()
        self.page.wait_for_function("() => window.socket?.connected === true")

    def see(self, name: str) -> None:
        """Keep a picture of the page, and note what is hard to read or to name in it."""
        self.number += 1
        self.page.screenshot(
            path=self.folder / f"{self.prefix}{self.number:02}-{name}.{self.language}.png",
            animations="disabled", caret="hide", style=".q-notifications { visibility: hidden }",
        )  # fmt: skip
        self.faults += [f"{name}: no label: {one}" for one in nameless(self.page)]
        self.faults += [f"{name}: contrast {one}" for one in pale(self.page)]
        self.faults += [f"{name}: icon {one}" for one in faint(self.page)]
        self.faults += [f"{name}: landmarks: {one}" for one in landmarks(self.page)]
        self.faults += [
            f"{name}: {one}" for one in self.page.locator(".wm-problem").all_inner_texts()
        ]

    # The catalogue.

    def choose_language(self) -> None:
        """Switch the console's language with its button."""
        names = {"en": "English", "zh": "中文"}
        self.page.get_by_role("button", name=names[self.language], exact=True).click()
        self.page.wait_for_function(
            "(lang) => document.documentElement.lang.startsWith(lang)", arg=self.language
        )
        self.ready()
        heading = self.page.get_by_role("heading", level=1)
        expect(heading).to_have_text(self.t("nav.catalogue"))

    def upload(self, path: Path, key: str, rows: int) -> None:
        """Bring a sheet in: drop it, look at what it would change, save it."""
        self.button("catalogue.import").click()
        self.page.locator(".q-dialog input[type=file]").set_input_files(path)
        expect(self.figure("import.new")).to_have_text(f"{rows}")
        expect(self.page.get_by_text(self.t("import.nothing_saved"))).to_be_visible()
        expect(self.dialog().get_by_label(self.t("import.key"), exact=True)).to_have_value(key)
        expect(self.button("import.save")).to_be_enabled()
        self.see("import")
        self.button("import.save").click()
        self.page.wait_for_url("**/catalogue?catalog=*")
        self.ready()
        self.counts(rows)

    def counts(self, products: int) -> None:
        """Wait until the catalogue says that it shows so many products."""
        expect(
            self.page.get_by_text(self.t("catalogue.count", count=products), exact=True)
        ).to_be_visible()

    def click_facet(self, value: str, products: int) -> None:
        """Click a value of a facet; the rest of the catalogue goes."""
        facets = self.page.get_by_role("group", name=self.t("catalogue.facets"))
        button = facets.get_by_role("button", name=re.compile(rf"^{re.escape(value)}\s*\d"))
        button.first.click()
        self.counts(products)
        expect(button.first).to_have_attribute("aria-pressed", "true")

    def save_selection(self, name: str) -> None:
        """Save what is selected under a name."""
        self.button("catalogue.save").click()
        self.dialog().get_by_label(self.t("catalogue.save_as"), exact=True).fill(name)
        self.dialog().get_by_role("button", name=self.t("catalogue.save")).click()
        expect(self.page.get_by_text(self.t("catalogue.saved_as", name=name))).to_be_visible()

    # A new run.

    def next_step(self, step: str) -> None:
        """Go on to a step of the new run."""
        name = self.t(f"new.{step}")
        self.button("new.next", step=name).click()
        expect(self.page.get_by_role("heading", level=2, name=name, exact=True)).to_be_visible()

    def choose_content(self, pipeline: str, target: str, model: str, budget: str) -> None:
        """Say what is made: pipeline, one target, a model, a budget."""
        page = self.page
        self.picked(self.box("new.pipeline"), f"{pipeline} · {self.word('kind', 'pipeline')}")
        expect(page.get_by_text(re.compile("selling_points"))).to_be_visible()
        targets, chips = self.box("new.targets"), page.locator(".q-chip")
        targets.click()
        for left in range(chips.count() - 1, -1, -1):
            targets.press("Backspace")
            expect(chips).to_have_count(left)
        targets.fill(target)
        targets.press("Enter")
        expect(chips).to_have_text(re.compile(re.escape(target)))
        page.keyboard.press("Escape")
        self.picked(self.box("new.model"), model)
        self.box("new.budget", currency="CNY").fill(budget)

    def start_trial(self, size: int) -> None:
        """Start a trial and wait for its first card."""
        self.box("new.size").fill(f"{size}")
        self.button("new.start_trial").click()
        expect(self.page.locator(".nr-card")).to_be_visible(timeout=LONG)

    def accuracy(self) -> Locator:
        """Find where the accuracy stands."""
        return self.page.get_by_role("region", name=self.t("mark.score"))

    # A run.

    def watch_run(self, items: int) -> None:
        """Stay on the run's page: it goes on, and is done, without being loaded again."""
        running = self.page.locator(".wm-heading .wm-state-running")
        expect(running).to_have_text(self.word("state", "running"), timeout=LONG)
        expect(self.figure("run.done")).to_have_text(re.compile(rf"^[1-9]\d* / {items}$"))
        self.see("running")
        done = self.page.locator(".wm-heading .wm-state-done")
        expect(done).to_have_text(self.word("state", "done"), timeout=LONG)
        expect(self.figure("run.done")).to_have_text(f"{items} / {items}")
        expect(self.page.locator("[_echarts_instance_] svg").first).to_be_visible()

    # The review desk.

    def card(self) -> str:
        """Wait for an item that can be judged and give its key."""
        self.page.wait_for_function("() => window.waremillReview?.ready()")
        return self.page.locator(".rv-key").inner_text()

    def go(self, letter: str, title: str) -> None:
        """Go to a page by its two keys; Escape leaves an input first."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("g")
        self.page.keyboard.press(letter)
        heading = self.page.get_by_role("heading", level=1, name=self.t(title), exact=True)
        expect(heading).to_be_visible()
        self.ready()

    def press(self, key: str) -> str:
        """Press a key that decides about the item in sight; give the next item's key."""
        turn = self.page.locator("[data-turn]").get_attribute("data-turn")
        self.page.keyboard.press(key)
        self.page.wait_for_function(
            "(before) => document.querySelector('[data-turn]')?.dataset.turn !== before", arg=turn
        )
        return self.card()

    def saved(self, looked: int, left: int) -> None:
        """Wait until the verdicts are kept, and hold the numbers to what they must be."""
        expect(self.page.locator(".rv-progress")).to_have_text(
            self.t("review.progress", looked=looked, left=left)
        )
