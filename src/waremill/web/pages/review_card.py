"""Draws a card: the product's attributes, the copy with its findings in place, what was said of it.

Everything of a product's or a model's is drawn as text. The browser lights up the attributes a
field stands on (`review.js`), by numbers and never by names out of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import orjson
from nicegui import ui

from waremill.app.knowing.given import given_in
from waremill.app.picture_cards import Shot, belongs, shots_of
from waremill.app.reviewing import Card, CardField, Finding, Said, Span
from waremill.domain import is_missing
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.review_pictures import (
    draw_line,
    draw_source,
    draw_stages,
    made_from,
)
from waremill.web.pages.shell import View
from waremill.web.pages.standing import (
    draw_agreement,
    draw_given,
    draw_sentences,
    show_passages,
)

_TAGS = {"same": "span", "added": "ins", "removed": "del"}


def pieces(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, tuple[Span, ...]]]:
    """Cut a text where marks begin and end: each piece with the marks that cover it."""
    cuts = {0, len(text)}
    for one in spans:
        cuts |= {min(max(one.start, 0), len(text)), min(max(one.end, 0), len(text))}
    for start, end in pairwise(sorted(cuts)):
        over = tuple(one for one in spans if one.start <= start and end <= one.end)
        yield text[start:end], over


def field_text(value: Any) -> str:
    """Write a value as the text a person edits: a list's entries a line each, objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def draw_card(
    view: View,
    card: Card,
    *,
    diff: bool = False,
    draft: Mapping[str, Any] | None = None,
    editing: bool = False,
    choosing: bool = False,
) -> None:
    """Draw the two sides of a card, and its pictures between them.

    `draft` are values somebody wrote that are not saved; `choosing` says that a variant of a
    picture may be taken in its place.
    """
    places = {name: number for number, name in enumerate(card.source)}
    shots = {one.number: one for one in shots_of(card)}
    with_others = belongs(card)
    with ui.element("div").classes("rv-card rv-pictured" if shots else "rv-card"):
        _source(view, card)
        if shots:
            draw_stages(view, card, shots.values(), live=diff, choosing=choosing)
        with ui.element("section").classes("rv-made") as made:
            made.props["aria-label"] = view.t("review.made")
            _head(view, card)
            for number, one in enumerate(card.fields):
                if one.name in with_others:
                    continue
                with ui.element("section").classes("rv-field") as place:
                    place.props["tabindex"] = "0"
                    place.props["aria-label"] = one.name
                    stands_on = one.sources
                    if number in shots:
                        stands_on = made_from(shots[number])
                    sources = [str(places[name]) for name in stands_on if name in places]
                    place.props["data-sources"] = " ".join(sources)
                    unsaved = (draft or {}).get(one.name, one.value)
                    if number in shots:
                        place.props["data-picture"] = str(number)
                        _picture(view, card, shots[number], diff=diff)
                    elif editing:
                        _edited(view, number, one, unsaved)
                    else:
                        _field(
                            view,
                            number,
                            one,
                            diff=diff,
                            shared=bool(card.target) and not one.target,
                        )
                        _stands(view, card, one)
                        if unsaved != one.value:
                            _yours(view, unsaved)
            _further(view, card.findings)
            _given(view, card)
            _said(view, card.history)


def _head(view: View, card: Card) -> None:
    notes = []
    if card.taken_over:
        notes.append(view.t("review.taken_over"))
    if card.error:
        notes.append(view.t("review.failed", why=view.failure("WaremillError", card.error)))
    for note in notes:
        ui.label(note).classes("rv-note")


def _source(view: View, card: Card) -> None:
    with ui.element("section").classes("rv-source") as box:
        box.props["aria-label"] = view.t("review.source")
        box.props["tabindex"] = "0"
        used = set(card.used)
        parts = (
            ("review.used", [name for name in card.source if name in used]),
            ("review.rest", [name for name in card.source if name not in used]),
        )
        places = {name: number for number, name in enumerate(card.source)}
        for title, names in parts:
            if not names:
                continue
            plain("h3", view.t(title), "rv-part")
            with ui.element("dl").classes("rv-pairs"):
                for name in names:
                    with ui.element("div") as pair:
                        pair.props["data-source"] = str(places[name])
                        plain("dt", name)
                        text = tables.shown(card.source[name], None)
                        with ui.element("dd"):
                            draw_source(view, card, name)
                            plain("span", text)


def _picture(view: View, card: Card, shot: Shot, *, diff: bool) -> None:
    field = card.fields[shot.number]
    with ui.element("div").classes("rv-field-head"):
        plain("h3", field.name)
        if field.origin == "human":
            plain("span", view.t("review.by_person", by=field.by or "—"), "wm-muted")
    draw_line(view, card, shot)
    if diff and shot.live is None:
        same = field.previous == field.value
        plain("div", view.t("review.same_as_live" if same else "review.nothing_live"), "rv-live")
    _legend(view, shot.number, field)


def _legend(view: View, number: int, field: CardField) -> None:
    """Draw what the checks found wrong with a field, numbered."""
    if not field.findings:
        return
    with ui.element("ol").classes("rv-legend"):
        for place, found in enumerate(_numbered(field.findings).values(), 1):
            _legend_line(view, found, place, f"rv-f{number}-{place}")


def _field(view: View, number: int, field: CardField, *, diff: bool, shared: bool) -> None:
    numbered = _numbered(field.findings)
    nothing = is_missing(field.value)
    with ui.element("div").classes("rv-field-head"):
        plain("h3", field.name)
        if nothing and not (diff and field.difference):
            plain("span", view.t("review.empty"), "wm-muted")
        if field.origin == "human":
            plain("span", view.t("review.by_person", by=field.by or "—"), "wm-muted")
        if shared:
            plain("span", view.t("review.shared"), "wm-muted")
        count, over = _length(view, field)
        plain("span", count, "rv-over" if over else "wm-muted").style("margin-left: auto")
    compared = diff and bool(field.difference)
    if compared or not nothing:
        with ui.element("div").classes("rv-value"):
            if compared:
                _difference(field)
            else:
                _value(view, number, field, numbered)
    if diff and not field.difference and not nothing:
        same = field.previous == field.value
        plain("div", view.t("review.same_as_live" if same else "review.nothing_live"), "rv-live")
    _legend(view, number, field)
    if nothing:
        return
    names = ", ".join(field.sources)
    line = view.t("review.from", names=names) if names else view.t("review.from_nothing")
    plain("div", line, "rv-from")


def _stands(view: View, card: Card, field: CardField) -> None:
    """Draw what a field's sentences stand on, and how many replies agree on it."""
    given = given_in(card.provenance.get(field.step, {}))
    name = field.name.removeprefix(f"{field.step}.")
    draw_agreement(view, given, name)
    opens = partial(show_passages, view, card.run, card.item_id, given)
    draw_sentences(view, given.of_field(name), opens)


def _given(view: View, card: Card) -> None:
    """Draw which passages the models were given, by step."""
    for provenance in card.provenance.values():
        given = given_in(provenance)
        if given.passages:
            plain("h3", view.t("standing.given"), "rv-part")
            opens = partial(show_passages, view, card.run, card.item_id, given)
            draw_given(view, given.passages, opens)


def _length(view: View, field: CardField) -> tuple[str, bool]:
    """Say how long a value is against its limit, and whether it is too long."""
    value, limit = field.value, field.limit
    if isinstance(value, list):
        longest = max((len(one) for one in value if isinstance(one, str)), default=0)
        if limit is None or not longest:
            return "", False
        return view.t("review.longest_of", count=longest, limit=limit), longest > limit
    if not isinstance(value, str):
        return "", False
    if limit is None:
        return view.t("review.chars", count=len(value)), False
    return view.t("review.chars_of", count=len(value), limit=limit), len(value) > limit


def _numbered(findings: Sequence[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.rule, one.message): one for one in findings}


def _value(
    view: View, number: int, field: CardField, numbered: Mapping[tuple[str, str], Finding]
) -> None:
    value = field.value
    order = {key: place for place, key in enumerate(numbered, 1)}
    if isinstance(value, str):
        _marked(view, value, field.spans, order, number)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        with ui.element("ul").classes("rv-list"):
            for place, entry in enumerate(value):
                with ui.element("li"):
                    own = [one for one in field.spans if one.element == place]
                    _marked(view, entry, own, order, number)
    else:
        plain("span", field_text(value) if isinstance(value, list) else tables.shown(value, None))


def _marked(
    view: View,
    text: str,
    spans: Sequence[Span],
    order: Mapping[tuple[str, str], int],
    number: int,
) -> None:
    for piece, over in pieces(text, spans):
        if not over:
            plain("span", piece)
            continue
        worst = "error" if any(one.severity == "error" for one in over) else "warning"
        drawn = plain("mark", piece, f"rv-{worst}")
        places = sorted({order[one.rule, one.message] for one in over})
        drawn.props["aria-describedby"] = " ".join(f"rv-f{number}-{one}" for one in places)
        drawn.props["title"] = "\n".join(
            view.t("shell.pair", name=view.rule(one.rule), value=view.sentence(one.message))
            for one in over
        )
        sign = plain("sup", ",".join(map(str, places)), "rv-sign")
        sign.props["aria-hidden"] = "true"


def _legend_line(view: View, one: Finding, place: int | None, anchor: str) -> None:
    with ui.element("li").classes(f"rv-line-{one.severity}") as line:
        line.props["id"] = anchor
        if place is not None:
            plain("span", str(place), "rv-place").props["aria-hidden"] = "true"
        plain("span", view.word("review", one.severity), f"rv-word-{one.severity}")
        plain("span", view.rule(one.rule), "rv-rule").props["title"] = one.rule
        plain("span", view.finding(one))


def _difference(field: CardField) -> None:
    for kind, text in field.difference:
        plain(_TAGS[kind], text, f"rv-{kind}")


def _yours(view: View, value: Any) -> None:
    with ui.element("div").classes("rv-yours"):
        plain("span", view.t("review.yours"), "rv-word-error")
        plain("div", field_text(value))


def _edited(view: View, number: int, field: CardField, value: Any) -> None:
    """Draw the input of a field; the browser hands all of them in at once."""
    anchor = f"rv-edit-{number}"
    with ui.element("div").classes("rv-field-head"):
        label = plain("label", field.name)
        label.props["for"] = anchor
        counter = plain("span", "", "wm-muted").style("margin-left: auto")
        counter.props["data-count"] = str(number)
    text = field_text(value)
    choices = ("true", "false") if field.type == "boolean" else field.choices
    if choices and field.type != "array":
        with ui.element("select").classes("rv-edit") as box:
            for one in dict.fromkeys(["", *choices, text]):
                option = plain("option", one or "—")
                option.props["value"] = one
                if one == text:
                    option.props["selected"] = True
    else:
        box = plain("textarea", text, "rv-edit")
        box.props["rows"] = str(max(2, text.count("\n") + 1 + len(text) // 90))
        box.props["data-limit"] = str(field.limit or "")
        box.props["data-list"] = "1" if field.type == "array" else ""
    box.props["id"] = anchor
    box.props["data-field"] = str(number)
    _legend(view, number, field)


def _further(view: View, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    plain("h3", view.t("review.other_findings"), "rv-part")
    with ui.element("ol").classes("rv-legend"):
        for place, one in enumerate(_numbered(findings).values(), 1):
            _legend_line(view, one, None, f"rv-other-{place}")


def _said(view: View, history: Sequence[Said]) -> None:
    if not history:
        return
    plain("h3", view.t("review.said"), "rv-part")
    with ui.element("ul").classes("rv-said"):
        for one in history:
            with ui.element("li"):
                plain("span", view.moment(one.at), "wm-muted")
                reason = ", ".join(
                    part
                    for part in (
                        view.word("reason", one.reason) if one.reason else "",
                        ", ".join(one.fields), one.note or "", one.rule or "",
                    )
                    if part
                )  # fmt: skip
                key = "review.said_reason" if reason else "review.said_line"
                by = one.by or view.t("review.a_rule")
                verdict = view.word("verdict", one.verdict)
                plain("span", view.t(key, by=by, verdict=verdict, reason=reason))
