"""What a text stands on: each sentence with its passage, the passages as the model saw them, votes.

Colours never speak alone: each verdict is a word or a passage's number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from waremill.app.knowing.given import Given, GivenPassage, PassageSeen, Stands, passages_seen
from waremill.web.pages import tables
from waremill.web.pages.frame import plain, put_away
from waremill.web.pages.passages import address
from waremill.web.pages.shell import View

Open = Callable[[int | None], object]
"""Opens the passages, at one's number."""
_CLASSES = {
    "supported": "kn-good", "weak": "kn-weak", "unsupported": "kn-bad", "unclear": "kn-weak",
}  # fmt: skip


def draw_sentences(view: View, sentences: Sequence[Stands], opens: Open) -> None:
    """Draw what each sentence stands on, a line each; those that claim nothing are left out."""
    claims = [one for one in sentences if one.verdict != "no claim"]
    if not claims:
        return
    with ui.element("ul").classes("kn-stands") as listed:
        listed.props["aria-label"] = view.t("standing.sentences")
        for one in claims:
            with ui.element("li"):
                with ui.element("span").classes("kn-on"):
                    _chip(view, one, opens)
                with ui.element("span").classes("kn-sentence"):
                    plain("span", one.sentence)
                    if one.missing:
                        missing = view.t("standing.missing", names=", ".join(one.missing))
                        plain("span", missing, "kn-missing")


def _chip(view: View, one: Stands, opens: Open) -> None:
    t = view.t
    share = view.share(one.share)
    if one.passage is not None:
        key = "standing.on" if one.verdict == "supported" else "standing.weakly_on"
        words = t(key, number=one.passage)
        chip = tables.button(words, partial(opens, one.passage), "kn-chip")
        chip.props["aria-label"] = t("standing.open", number=one.passage, share=share)
    elif one.on_product and one.verdict in ("supported", "weak"):
        key = "standing.product" if one.verdict == "supported" else "standing.weakly_product"
        chip = plain("span", t(key), "kn-chip")
    else:
        verdict = "unclear" if one.verdict == "unclear" else "none"
        chip = plain("span", t(f"standing.{verdict}"), "kn-chip")
    chip.classes(_CLASSES.get(one.verdict, "kn-weak"))
    chip.props["title"] = t("standing.share", share=share)


def draw_agreement(view: View, given: Given, name: str) -> None:
    """Draw how many of several replies agree on a field; nothing where one was asked for."""
    share = given.agreement.get(name)
    if share is None or given.votes < 2:
        return
    words = view.t("standing.agreement", share=view.share(share), count=given.votes)
    with ui.element("span").classes("kn-agreement"):
        tables.meter(share, words, over=share < 0.5)
        plain("span", words)


def draw_given(view: View, passages: Sequence[GivenPassage], opens: Open) -> None:
    """Draw which passages a text was given, each a button that opens it."""
    if not passages:
        return
    with ui.element("ol").classes("kn-given") as listed:
        listed.props["aria-label"] = view.t("standing.given")
        for one in passages:
            with ui.element("li"):
                plain("span", str(one.number), "kn-rank")
                tables.button(one.place or one.id, partial(opens, one.number), "kn-open")
                plain("span", one.knowledge, "wm-muted")


async def show_passages(
    view: View, run: str, item_id: int, given: Given, number: int | None = None
) -> None:
    """Show the passages of a result as the model saw them, in a dialog, beginning at a number."""
    seen = await passages_seen(await view.workspace(), run, item_id)
    with ui.dialog(value=True) as dialog, ui.element("div").classes("wm-dialog wm-wide"):
        plain("h2", view.t("standing.given")).style("margin: 0")
        plain("div", view.t("standing.as_seen"), "wm-muted")
        with ui.element("div").classes("wm-scroll kn-seen"):
            for one in given.passages:
                _seen(view, one, seen.get(one.id), given, here=one.number == number)
        with ui.element("div").classes("wm-actions"):
            ui.button(view.t("shell.close"), on_click=dialog.close).classes("wm-quiet").props(
                "autofocus"
            )
    dialog.on("hide", lambda: put_away(dialog))
    ui.run_javascript(
        "setTimeout(() => document.querySelector('.kn-seen .kn-chosen')"
        "?.scrollIntoView({block: 'nearest'}), 200)"
    )


def _seen(
    view: View, one: GivenPassage, seen: PassageSeen | None, given: Given, *, here: bool
) -> None:
    t = view.t
    with ui.element("section").classes("kn-hit kn-chosen" if here else "kn-hit"):
        with ui.element("div").classes("kn-hit-head"):
            plain("span", str(one.number), "kn-rank")
            plain("span", one.place or one.id, "kn-name kn-grow")
            if seen is not None and seen.still:
                link = tables.link(t("standing.in_base"), address(one.knowledge, passage=one.id))
                link.props["target"] = "_blank"
                link.props["rel"] = "noopener"
        if seen is None:
            plain("div", t("standing.not_kept"), "wm-muted")
        else:
            plain("div", seen.passage.text, "kn-text")
            if not seen.still:
                plain("div", t("standing.gone"), "wm-muted")
        on_it = [line.sentence for line in given.sentences if line.passage == one.number]
        if on_it:
            plain("div", t("standing.stand_on_it"), "wm-figure-name kn-under-it")
            for sentence in on_it:
                plain("div", sentence, "kn-stands-on-it")


__all__ = ["draw_agreement", "draw_given", "draw_sentences", "show_passages"]
