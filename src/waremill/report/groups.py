"""What went wrong, grouped: failed items by cause, findings by rule, each with examples."""

from __future__ import annotations

from waremill.report.data import Failure, FailureGroup, FindingExample, FindingGroup
from waremill.report.figures import count
from waremill.report.markup import Child, Html, element, join
from waremill.report.tables import Page, section

_LONGEST_MESSAGE = 600
_LONGEST_EVIDENCE = 160


def failures_section(page: Page) -> Html | None:
    """Group failed items by cause, with what to do and examples."""
    groups = page.data.failures
    if not groups:
        return None
    return section("failures", page.words["h.failures"], [_failure(page, one) for one in groups])


def findings_section(page: Page) -> Html | None:
    """Group the findings by rule, with examples and their evidence."""
    groups = page.data.findings
    if not groups:
        return None
    return section("findings", page.words["h.findings"], [_found(page, one) for one in groups])


def _failure(page: Page, group: FailureGroup) -> Html:
    title = join(
        element("b", group.cause),
        element("p", group.advice, class_="advice") if group.advice else None,
    )
    examples = [_failed(example) for example in group.examples]
    return _group(page, (group.count, "error"), title, examples)


def _found(page: Page, group: FindingGroup) -> Html:
    title = join(
        element("b", group.rule),
        element("span", page.words[f"severity.{group.severity}"], class_=f"tag {group.severity}"),
        element("span", f"{count(group.items)} {page.words['items'].lower()}", class_="quiet"),
    )
    examples = [_example(example) for example in group.examples]
    return _group(page, (group.count, group.severity), title, examples)


def _group(page: Page, size: tuple[int, str], title: Html, examples: list[Html]) -> Html:
    number, tone = size
    more = number - len(examples)
    rest: Child = None
    if examples and more > 0:
        rest = element("li", page.say("more", count=count(more)), class_="quiet")
    return element(
        "div",
        element("p", count(number), class_=f"size {tone}"),
        element(
            "div", title, element("ul", examples, rest, class_="examples") if examples else None
        ),
        class_="group",
    )


def _where(key: str, target: str | None) -> Html:
    return element(
        "span",
        element("code", key),
        element("span", target, class_="target") if target else None,
        class_="where",
    )


def _failed(example: Failure) -> Html:
    message = _short(example.message, _LONGEST_MESSAGE)
    return element("li", _where(example.key, example.target), element("span", message, dir="auto"))


def _example(example: FindingExample) -> Html:
    finding = example.finding
    evidence = _short(finding.evidence, _LONGEST_EVIDENCE)
    return element(
        "li",
        _where(example.key, example.target),
        element(
            "span",
            element("code", finding.field, class_="of") if finding.field else None,
            element("mark", evidence, class_=finding.severity, dir="auto") if evidence else None,
            element("span", _short(finding.message, _LONGEST_MESSAGE), dir="auto"),
        ),
    )


def _short(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1] + "…"
