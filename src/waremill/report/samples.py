"""Samples side by side: what the source says on the left, what was generated on the right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from waremill.domain import AnyMessage, Finding, Image
from waremill.report.data import Sample, SampleField
from waremill.report.figures import count, seconds
from waremill.report.markup import Child, Html, element, join
from waremill.report.tables import Page, section

_FOLD_AFTER = 320
_VERSION_SHOWN = 8
_MAX_MARKS = 30


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of each text is shown, in characters; 0 leaves prompts out."""

    source: int
    generated: int
    prompt: int


_DETAILS = (
    Detail(12_000, 12_000, 12_000),
    Detail(3_000, 6_000, 6_000),
    Detail(1_000, 3_000, 1_500),
    Detail(400, 1_500, 0),
    Detail(160, 600, 0),
)


def samples_section(page: Page, budget: int) -> Html | None:
    """Show samples side by side, in at most `budget` bytes of UTF-8.

    Long texts are cut shorter first, then prompts are left out, then samples; the page says so.
    """
    samples = page.data.samples
    if not samples:
        return None
    shared = _shared_messages(samples)
    for detail in _DETAILS:
        common = _shared(page, shared, detail)
        articles = _fitting(page, detail, shared, budget - len(common.encode()))
        if len(articles) == len(samples):
            break
    notes = []
    if len(articles) < len(samples):
        total = count(len(samples))
        notes.append(page.say("samples.shown", shown=count(len(articles)), total=total))
    if not detail.prompt and any(sample.prompt for sample in samples):
        notes.append(page.words["no_prompt"])
    shown = samples[: len(articles)]
    return section(
        "samples", page.words["h.samples"], _filter(page, shown), common, articles,
        element("p", page.words["filter.none"], class_="note", id="no-sample", hidden=True),
        note=" ".join(notes),
    )  # fmt: skip


def _fitting(page: Page, detail: Detail, shared: Mapping[str, int], budget: int) -> list[Html]:
    """Render samples in order until the bytes are used up."""
    kept = []
    for sample in page.data.samples:
        article = _article(page, sample, detail, shared)
        budget -= len(article.encode())
        if budget < 0:
            break
        kept.append(article)
    return kept


def _filter(page: Page, samples: Sequence[Sample]) -> Html | None:
    """Give the filter of the samples; hidden until the script that serves it runs."""
    if len(samples) < 4:
        return None
    states = Counter(sample.status for sample in samples)
    targets = Counter(sample.target for sample in samples if sample.target)
    choices = [("", page.words["filter.all"], len(samples))]
    choices += [
        (name, page.words.get(f"status.{name}", name), size) for name, size in states.most_common()
    ]
    buttons = [
        element(
            "button", words, " ", element("span", count(size)), type="button", data_status=name,
            aria_pressed="false" if name else "true",
        )
        for name, words, size in choices
    ]  # fmt: skip
    options = [element("option", page.words["filter.all"], value="")]
    options += [element("option", name, value=name) for name in targets]
    chosen = element("select", options, aria_label=page.words["target"], id="sample-target")
    return element(
        "div",
        element("div", buttons, class_="choices", role="group"),
        chosen if len(targets) > 1 else None,
        element(
            "input", type="search", id="sample-text", placeholder=page.words["filter.text"],
            aria_label=page.words["filter.text"],
        ),
        class_="filter",
        id="filter",
        hidden=True,
        role="search",
        aria_label=page.words["filter"],
    )  # fmt: skip


def _article(page: Page, sample: Sample, detail: Detail, shared: Mapping[str, int]) -> Html:
    facts: list[Child] = [
        element("span", sample.target, class_="target") if sample.target else None,
        element(
            "span",
            page.words.get(f"status.{sample.status}", sample.status),
            class_=f"chip is-{sample.status}",
        ),
        element("span", page.money.show(sample.cost)) if sample.cost is not None else None,
        element("span", seconds(sample.seconds)) if sample.seconds is not None else None,
    ]
    source = [
        _pair(element("dt", name), _folded(page, value, detail.source))
        for name, value in sample.source.items()
    ]
    numbers = {id(finding): number for number, finding in enumerate(sample.findings, 1)}
    fields = [_field(page, sample, made, numbers, detail) for made in sample.fields]
    named = {made.name for made in sample.fields}
    rest = [finding for finding in sample.findings if finding.field not in named]
    return element(
        "article",
        element("header", element("h3", sample.key, dir="auto"), facts),
        element("p", sample.error, class_="error") if sample.error else None,
        element(
            "div",
            element(
                "div", element("h4", page.words["source"]), element("dl", source), class_="side"
            ),
            element(
                "div",
                element("h4", page.words["generated"]),
                fields or element("p", page.words["no_value"], class_="quiet"),
                _findings(page, rest, numbers),
                class_="side made",
            ),
            class_="sides",
        ),
        _prompt(page, sample.prompt, detail, shared),
        class_="sample",
        data_status=sample.status,
        data_target=sample.target,
    )


def _pair(term: Html, value: Html) -> Html:
    return element("div", term, element("dd", value, dir="auto"))


def _folded(page: Page, value: Any, limit: int) -> Html:
    """Show a source value; the rest of a long one can be unfolded."""
    words = _as_text(value)
    if not words.strip():
        return element("span", page.words["empty"], class_="quiet")
    shown, more = words[:limit], len(words) - limit
    tail = element("span", page.say("cut", count=count(more)), class_="quiet") if more > 0 else None
    if len(shown) <= _FOLD_AFTER:
        return join(shown, tail)
    # Cut at a space where there is one near, so that no word is torn.
    place = shown.rfind(" ", _FOLD_AFTER - 60, _FOLD_AFTER)
    place = _FOLD_AFTER if place < 0 else place
    return element(
        "details",
        element("summary", shown[:place], element("span", " …", class_="fold")),
        shown[place:],
        tail,
        class_="long",
    )


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return " | ".join(_as_text(part) for part in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_as_text(part)}" for name, part in value.items())
    return str(value)


def _field(
    page: Page, sample: Sample, made: SampleField, numbers: Mapping[int, int], detail: Detail
) -> Html:
    mine = [finding for finding in sample.findings if finding.field == made.name]
    origin: list[Child] = [
        f"{made.template} {made.version[:_VERSION_SHOWN]}".strip(),
        made.model,
        page.words["replayed"] if made.replayed else "",
    ]
    gold: Html | None = None
    if made.correct is not None:
        mark = page.words["correct" if made.correct else "wrong"]
        gold = element(
            "p",
            element("span", mark, class_="verdict fine" if made.correct else "verdict off"),
            None if made.correct else f" {page.words['gold']}: {_as_text(made.gold) or '–'}",
            class_="gold",
        )
    return element(
        "div",
        element(
            "p",
            element("code", made.name),
            element("span", " · ".join(str(part) for part in origin if part), class_="origin"),
            class_="name",
        ),
        element("div", _value(page, made.value, mine, numbers, detail), class_="value", dir="auto"),
        gold,
        _findings(page, mine, numbers),
        class_="field",
    )


def _value(
    page: Page, value: Any, findings: Sequence[Finding], numbers: Mapping[int, int], detail: Detail
) -> Html:
    if isinstance(value, (list, tuple)) and value:
        return element(
            "ol", [element("li", _value(page, part, findings, numbers, detail)) for part in value]
        )
    if isinstance(value, Mapping) and value:
        return element(
            "dl",
            [
                _pair(element("dt", str(name)), _text(page, part, findings, numbers, detail))
                for name, part in value.items()
            ],
        )
    return _text(page, value, findings, numbers, detail)


def _text(
    page: Page, value: Any, findings: Sequence[Finding], numbers: Mapping[int, int], detail: Detail
) -> Html:
    words = _as_text(value)
    if not words.strip():
        return element("span", page.words["empty"], class_="quiet")
    more = len(words) - detail.generated
    tail = element("span", page.say("cut", count=count(more)), class_="quiet") if more > 0 else None
    return join(_marked(words[: detail.generated], findings, numbers), tail)


def _marked(words: str, findings: Sequence[Finding], numbers: Mapping[int, int]) -> Html:
    """Mark each finding's evidence where it stands; of overlapping ones the first is marked."""
    places: list[tuple[int, int, Finding]] = []
    for finding in findings:
        start = words.find(finding.evidence) if finding.evidence else -1
        while start >= 0 and len(places) < _MAX_MARKS:
            end = start + len(finding.evidence)
            places.append((start, end, finding))
            start = words.find(finding.evidence, end)
    parts: list[Child] = []
    done = 0
    for start, end, finding in sorted(places, key=lambda place: (place[0], -place[1])):
        if start < done:
            continue
        parts.append(words[done:start])
        parts.append(
            element(
                "mark", words[start:end], element("sup", str(numbers[id(finding)])),
                class_=finding.severity, title=f"{finding.rule}: {finding.message}",
            )
        )  # fmt: skip
        done = end
    return join(parts, words[done:])


def _findings(page: Page, findings: Iterable[Finding], numbers: Mapping[int, int]) -> Html | None:
    lines = [
        element(
            "li",
            element("span", str(numbers[id(finding)]), class_=f"number {finding.severity}"),
            element("b", finding.rule),
            element("span", page.words[f"severity.{finding.severity}"], class_="quiet"),
            element("span", finding.message, class_="message"),
        )
        for finding in findings
    ]
    return element("ul", lines, class_="findings") if lines else None


def _message_text(message: AnyMessage, page: Page) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(
        page.say("image", url=part.url[:120]) if isinstance(part, Image) else part
        for part in message.content
    )


def _shared_messages(samples: Sequence[Sample]) -> dict[str, int]:
    """Number the messages that several samples share, which are then shown once."""
    seen = Counter(
        message.content
        for sample in samples
        for message in set(sample.prompt)
        if isinstance(message.content, str)
    )
    repeated = [words for words, times in seen.items() if times > 1]
    return {words: number for number, words in enumerate(sorted(repeated), 1)}


def _shared(page: Page, shared: Mapping[str, int], detail: Detail) -> Html:
    if not shared or not detail.prompt:
        return Html("")
    blocks = [
        element(
            "div",
            element("p", page.say("shared.item", number=str(number)), class_="role"),
            element("pre", _cut(page, words, detail.prompt), dir="auto"),
            id=f"shared-{number}",
        )
        for words, number in shared.items()
    ]
    return element(
        "details", element("summary", page.words["shared"]), blocks, class_="prompt shared"
    )


def _cut(page: Page, words: str, limit: int) -> Html:
    more = len(words) - limit
    tail = element("span", page.say("cut", count=count(more)), class_="quiet") if more > 0 else None
    return join(words[:limit], tail)


def _prompt(
    page: Page, prompt: Sequence[AnyMessage], detail: Detail, shared: Mapping[str, int]
) -> Html | None:
    if not prompt or not detail.prompt:
        return None
    blocks: list[Html] = []
    for message in prompt:
        role = page.words[f"role.{message.role}"]
        number = shared.get(message.content) if isinstance(message.content, str) else None
        if number is not None:
            link = element("a", page.say("same_as", number=str(number)), href=f"#shared-{number}")
            blocks.append(element("p", role, " · ", link, class_="role"))
            continue
        blocks.append(element("p", role, class_="role"))
        words = _message_text(message, page)
        blocks.append(element("pre", _cut(page, words, detail.prompt), dir="auto"))
    return element("details", element("summary", page.words["prompt"]), blocks, class_="prompt")
