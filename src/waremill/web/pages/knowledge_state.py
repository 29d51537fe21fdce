"""How a knowledge base is, in words: its state, and how far a change is."""

from __future__ import annotations

from nicegui import ui

from waremill.app.knowing import BaseShown, Progress
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

EVERY_SECONDS = 2.0
"""How often a page looks while a base is being changed; otherwise it leaves it alone."""
_MARKS = {
    "ready": "done", "changing": "running", "interrupted": "paused", "outdated": "paused",
}  # fmt: skip


def state(view: View, one: BaseShown) -> None:
    """Draw a base's state as a word with its mark, and how far a change is."""
    words = view.word("knowledge", f"state_{one.state}")
    plain("span", words, f"wm-state wm-state-{_MARKS[one.state]}")
    if one.progress is not None:
        plain("div", progress_in_words(view, one.progress), "wm-muted")
    elif one.waiting and one.state == "interrupted":
        plain("div", view.t("knowledge.waiting", count=one.waiting), "wm-muted")


def progress_in_words(view: View, progress: Progress | None) -> str:
    """Say how far a change is."""
    if progress is None:
        return view.t("knowledge.stage_beginning")
    stage = view.word("knowledge", f"stage_{progress.stage}")
    count = view.number(progress.done)
    if progress.total is not None:
        count = view.t("knowledge.of", done=count, total=view.number(progress.total))
    return view.t("shell.pair", name=stage, value=count)


def show_progress(view: View, progress: Progress | None) -> None:
    """Draw how far a change is: in words, and as a bar where the end is known."""
    words = progress_in_words(view, progress)
    with ui.element("div").classes("kn-progress").props("role=status"):
        plain("div", words)
        share = 0.0
        if progress is not None and progress.total:
            share = progress.done / progress.total
        if progress is None or progress.total is not None:
            tables.meter(share, words)


__all__ = ["EVERY_SECONDS", "show_progress", "state"]
