"""Assemble the page: head, key figures, sections; styles and script inlined.

The page loads nothing: its content policy allows only the one style and the one script it carries,
by their hashes, so nothing in the data could run even if it were markup.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from importlib import resources

from waremill.domain import OPEN_STATES
from waremill.report.data import STATUSES, ReportData
from waremill.report.figures import (
    MISSING,
    Money,
    count,
    percent,
    seconds,
    short_count,
    significant,
    span,
)
from waremill.report.groups import failures_section, findings_section
from waremill.report.markup import Child, Html, element, join
from waremill.report.samples import samples_section
from waremill.report.strings import ENGLISH, Strings
from waremill.report.tables import (
    Page,
    accuracy_section,
    checks_section,
    comparison_section,
    forecast_section,
    latency_section,
    models_section,
    section,
    status_section,
    targets_section,
)

MAX_BYTES = 1_500_000
"""Longest page in bytes of UTF-8; samples are cut to keep it."""


def render_report(data: ReportData, strings: Strings = ENGLISH) -> str:
    """Render a run or a trial as one HTML file that needs no network and no script to be read.

    Equal data give equal bytes. The page is at most `MAX_BYTES` long where samples, the only part
    that can be large, leave room to be cut; it says what was left out.
    """
    page = Page(data, strings, Money(data.currency, data.per_usd))
    checks, latency = checks_section(page), latency_section(page)
    beside = element("div", checks, latency, class_="pair") if checks or latency else None
    upper: list[Html | None] = [
        status_section(page),
        None if _worked(data) else element("p", strings["nothing"], class_="nothing"),
        forecast_section(page),
        comparison_section(page),
        accuracy_section(page),
        beside,
        targets_section(page),
        models_section(page),
        failures_section(page),
        findings_section(page),
    ]
    head = join(_head(page), _figures(page), upper)
    foot = _foot(page)
    outer = len(head.encode()) + len(foot.encode()) + len(_asset("report.css").encode())
    samples = samples_section(page, max(0, MAX_BYTES - outer - 20_000))
    main = element("main", head, samples, foot)
    whole = element("html", _html_head(page), _body(main), lang=strings["language"])
    return f"<!DOCTYPE html>\n{whole}\n"


def _body(main: Html) -> Html:
    return element("body", main, element("script", Html(_asset("report.js"))))


def content_policy() -> str:
    """Give the content policy of a report: its own style and script by their hashes, nothing else.

    A server that shows a report sends the same one: where two policies hold, both must allow.
    """
    style, script = _asset("report.css"), _asset("report.js")
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; "
        f"script-src 'sha256-{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _html_head(page: Page) -> Html:
    style = _asset("report.css")
    title = f"{page.data.pipeline} · {page.words[page.data.kind]} {page.data.run}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("style", Html(style)),
    )


@cache
def _asset(name: str) -> str:
    return resources.files("waremill.report").joinpath(name).read_text("utf-8")


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _head(page: Page) -> Html:
    data, words = page.data, page.words
    when = []
    if data.created:
        when.append(page.say("created", when=_moment(data.created)))
    if data.ended:
        when.append(page.say("ended", when=_moment(data.ended)))
    if data.version:
        when.append(page.say("version", version=data.version[:12]))
    facts: list[tuple[str, str]] = [
        (words["catalog"], data.catalog),
        (words["selection"], data.selection),
        (words["sample"], data.sample_note),
        (words["targets"], "  ".join(data.targets)),
        (words["parameters"], "  ".join(f"{k}={v}" for k, v in data.parameters.items())),
    ]
    return element(
        "header",
        element(
            "p",
            element("span", words[data.kind], class_="kind"),
            element("span", data.run, class_="run"),
            element("span", words[f"state.{data.state}"], class_=f"state is-{data.state}"),
            class_="badges",
        ),
        element("h1", data.pipeline, dir="auto"),
        element("p", " · ".join(when), class_="when") if when else None,
        element("p", data.reason, class_="reason") if data.reason else None,
        element(
            "dl",
            [
                element("div", element("dt", name), element("dd", value, dir="auto"))
                for name, value in facts
                if value
            ],
            class_="facts",
        ),
        class_="top",
    )


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M") + (when.strftime(" %Z") if when.tzinfo else "")


def _worked(data: ReportData) -> int:
    return sum(data.status.get(name, 0) for name in STATUSES if name not in OPEN_STATES)


def _figures(page: Page) -> Html:
    """Give the key figures: what was done, what it cost, how long it took."""
    data, words = page.data, page.words
    status = data.status
    done = sum(status.get(name, 0) for name in ("accepted", "edited", "ready"))
    worked = _worked(data)
    figures = [
        _figure(words["products"], count(data.products)),
        _figure(words["items"], count(data.items), page.say("items_done", done=count(worked))),
        _figure(words["done"], count(done), page.say("done.note", total=count(data.items))),
        _of_items(page, "to_review", status.get("review", 0), worked, "review"),
        _of_items(page, "failed", status.get("failed", 0), worked, "failed"),
        _figure(
            words["paid"],
            page.money.show(data.paid, words["unknown"] if data.unpriced_calls else MISSING),
            page.say("paid.note", amount=page.money.show(data.list_cost))
            if data.list_cost is not None
            else "",
        ),
        _per_product(page),
        _figure(
            words["duration"],
            seconds(data.seconds),
            page.say("duration.note", rate=significant(data.items_per_second, 2))
            if data.items_per_second
            else "",
        ),
        _tokens(page),
        _figure(
            words["calls"],
            count(data.calls),
            page.say("calls.note", replayed=count(data.replayed)) if data.replayed else "",
        ),
    ]
    return element("dl", figures, class_="figures")


def _figure(name: str, value: str, note: str = "", tone: str = "") -> Html:
    return element(
        "div",
        element("dt", name),
        element("dd", value, class_=tone or None),
        element("dd", note, class_="small") if note else None,
    )


def _of_items(page: Page, key: str, number: int, worked: int, tone: str) -> Html:
    share = page.say(f"{key}.note", share=percent(number / worked)) if worked else ""
    return _figure(page.words[key], count(number), share, f"is-{tone}" if number else "")


def _per_product(page: Page) -> Html:
    interval = page.data.cost_per_product
    if interval is None:
        return _figure(page.words["per_product"], MISSING)
    ends = span(interval, "money", page.money)
    note = page.say("interval", span=ends) if ends else ""
    return _figure(page.words["per_product"], page.money.show(interval.value), note)


def _tokens(page: Page) -> Html:
    usage = page.data.usage
    if usage is None:
        return _figure(page.words["tokens"], MISSING)
    shown = f"{short_count(usage.input)} / {short_count(usage.output)}"
    cached = percent(usage.cached / usage.input) if usage.input else MISSING
    return _figure(page.words["tokens"], shown, page.say("tokens.note", share=cached))


def _foot(page: Page) -> Html:
    data = page.data
    lines: list[Child] = [element("li", note, dir="auto") for note in data.notes]
    if data.unpriced_calls:
        lines.append(element("li", page.say("unpriced", count=count(data.unpriced_calls))))
    uses_intervals = data.forecast or data.accuracy or data.comparison or data.cost_per_product
    if uses_intervals:
        lines.append(element("li", page.words["interval.meaning"]))
    written = page.say("written", when=_moment(data.written)) if data.written else ""
    notes = section("notes", page.words["h.notes"], element("ul", lines)) if lines else None
    return join(notes, element("footer", element("p", written)) if written else None)
