"""How a value came about, in a dialog: template, prompt and replies, or the person who wrote it."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from waremill.app.history import Making, made_how
from waremill.app.knowing.given import given_in
from waremill.web.pages import tables
from waremill.web.pages.frame import plain, put_away
from waremill.web.pages.shell import View
from waremill.web.pages.standing import (
    draw_agreement,
    draw_given,
    draw_sentences,
    show_passages,
)


async def show_making(view: View, result_id: int) -> None:
    """Show how a result came about."""
    making = await made_how(await view.workspace(), result_id)
    with ui.dialog(value=True) as dialog, ui.element("div").classes("wm-dialog wm-wide"):
        plain("h2", view.t("history.how_title")).style("margin: 0")
        with ui.element("div").classes("wm-scroll").style("max-height: 70vh"):
            _draw(view, making)
        with ui.element("div").classes("wm-actions"):
            ui.button(view.t("shell.close"), on_click=dialog.close).classes("wm-quiet").props(
                "autofocus"
            )
    dialog.on("hide", lambda: put_away(dialog))


def _draw(view: View, making: Making) -> None:
    t = view.t
    about = making.provenance
    template = (str(about.get("template") or ""), str(about.get("version") or "")[:12])
    lines = [
        (t("audit.at"), view.moment(making.at)),
        (t("audit.by"), making.by),
        (t("history.run"), making.run),
        (t("history.step"), making.step),
        (t("history.template"), " ".join(part for part in template if part)),
        (t("pictures.operation"), about.get("operation")),
        (t("run.model"), about.get("model")),
    ]
    tables.pairs([(name, value) for name, value in lines if value])
    if making.findings:
        plain("h2", t("items.findings"))
        for one in making.findings:
            name = " · ".join(part for part in (one.field, view.rule(one.rule)) if part)
            plain("div", t("shell.pair", name=name, value=view.finding(one)))
    _given(view, making)
    if making.messages:
        plain("h2", t("history.prompt"))
        if not making.exact:
            plain("div", t("history.not_exact"), "wm-muted")
        for message in making.messages:
            content = message.content
            texts = (content,) if isinstance(content, str) else content
            plain("div", view.word("speaker", message.role), "wm-muted")
            shown = "\n".join(one if isinstance(one, str) else "[…]" for one in texts)
            plain("pre", shown, "wm-message")
    for answer in making.answers:
        plain("h2", t("history.answer", model=answer.model, at=view.moment(answer.at)))
        plain(
            "div", f"{view.word('outcome', answer.outcome)} · {view.nano(answer.cost)}", "wm-muted"
        )
        plain("pre", answer.text, "wm-message")


def _given(view: View, making: Making) -> None:
    """Draw the passages a result was given, what its sentences stand on, and how votes fell."""
    given = given_in(making.provenance)
    opens = partial(show_passages, view, making.run, making.item_id, given)
    if given.agreement and given.votes > 1:
        plain("h2", view.t("standing.agreement_title"))
        for name in given.agreement:
            with ui.element("div").classes("kn-vote"):
                plain("span", name, "wm-muted")
                draw_agreement(view, given, name)
    if any(one.verdict != "no claim" for one in given.sentences):
        plain("h2", view.t("standing.sentences"))
        draw_sentences(view, given.sentences, opens)
    if given.passages:
        plain("h2", view.t("standing.given"))
        draw_given(view, given.passages, opens)
