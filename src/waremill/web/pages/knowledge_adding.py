"""Add documents to a knowledge base: files that are dropped, web addresses, what is said of them.

What is begun goes on when the dialog or the page is closed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from nicegui import background_tasks, ui
from nicegui.element import Element

from waremill.app import knowing
from waremill.app.knowing import Added, AddOptions, Progress, readable_kinds
from waremill.app.uploading import Upload, Uploads
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.knowledge_state import show_progress
from waremill.web.pages.shell import View

PROBLEMS, NOTES = 50, 10
EVERY_SECONDS = 0.3


class AddDialog:
    """A dialog that asks, shows how far adding is, and what came of it.

    `base` is the one to add to, None to ask for a name. `on_change` is called once adding is under
    way, and when it has ended.
    """

    def __init__(
        self, view: View, base: str | None, on_change: Callable[[], Awaitable[None]]
    ) -> None:
        self._view = view
        self._base = base
        self._changed = on_change
        self._files: list[Upload] = []
        self._progress: Progress | None = None
        t = view.t
        with (
            ui.dialog().props("persistent") as self._dialog,
            ui.element("form").classes("wm-dialog wm-wide") as form,
        ):
            form.on("submit.prevent", self._start)
            plain("h2", t("knowledge.add" if base else "knowledge.add_base")).style("margin: 0")
            self._form = ui.element("div").classes("wm-body")
            with self._form:
                self._draw_form()
            self._problem = ui.element("div")
            self._result = ui.element("div").classes("wm-scroll wm-preview wm-body")
            self._result.props("aria-live=polite")
            with ui.element("div").classes("wm-actions"):
                self._cancel = ui.button(t("shell.cancel"), on_click=self._close)
                self._cancel.classes("wm-quiet")
                self._open_base = plain("a", "", "wm-do")
                self._add = ui.button(t("knowledge.start")).props("type=submit")

    def _draw_form(self) -> None:
        t = self._view.t
        self._name = ui.input(t("knowledge.add_name"), value=self._base or "")
        self._name.props("autofocus autocomplete=off spellcheck=false maxlength=64")
        self._name.set_visibility(self._base is None)
        kinds = readable_kinds()
        self._drop = ui.upload(
            label=t("knowledge.drop", kinds=" ".join(one.removeprefix(".") for one in kinds)),
            multiple=True, auto_upload=True, max_file_size=knowing.LARGEST,
            on_upload=self._received,
            on_rejected=lambda: self._view.problem(t("knowledge.too_large"), self._problem),
        ).props(f"accept='{','.join(kinds)}'").classes("wm-drop kn-drop")  # fmt: skip
        self._count = plain("div", "", "wm-muted")
        self._listed = ui.element("ul").classes("kn-files")
        self._addresses = ui.textarea(t("knowledge.addresses")).classes("wm-mono")
        self._addresses.props("rows=2 autogrow spellcheck=false placeholder='https://'")
        self._metadata = ui.textarea(t("knowledge.metadata")).classes("wm-mono")
        self._metadata.props("rows=2 autogrow spellcheck=false placeholder='brand=Acme'")

    def open(self) -> None:
        """Open the dialog, empty; while it is adding, as it is."""
        if self._form.visible or self._progress is None:
            self._reset()
        self._dialog.open()
        label = orjson.dumps(self._view.t("knowledge.add")).decode()
        ui.run_javascript(
            f"setTimeout(() => document.querySelectorAll('#c{self._drop.id} input, "
            f"#c{self._drop.id} button, #c{self._drop.id} .q-btn').forEach("
            f"(one) => one.setAttribute('aria-label', {label})), 300)"
        )

    def _reset(self) -> None:
        self._drop.reset()
        self._files = []
        self._show_files()
        for box in (self._addresses, self._metadata):
            box.set_value("")
        self._name.set_value(self._base or "")
        self._problem.clear()
        self._result.clear()
        self._form.set_visibility(True)
        self._open_base.set_visibility(False)
        self._add.set_visibility(True)
        self._add.enable()
        self._cancel.set_text(self._view.t("shell.cancel"))

    def _close(self) -> None:
        if self._form.visible:
            for one in self._files:
                shutil.rmtree(one.path.parent, ignore_errors=True)
            self._files = []
        self._dialog.close()

    # Files.

    async def _received(self, event: Any) -> None:
        self._problem.clear()
        folder = Path(tempfile.mkdtemp(prefix="waremill-"))
        try:
            await event.file.save(folder / "upload")
            uploads = Uploads(await self._view.workspace())

            def keep() -> Upload:
                with (folder / "upload").open("rb") as file:
                    return uploads.keep(event.file.name, file)

            self._files.append(await asyncio.to_thread(keep))
        except WaremillError as error:
            self._view.problem(error, self._problem)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._show_files()

    def _show_files(self) -> None:
        t, view = self._view.t, self._view
        count = len(self._files)
        self._count.set_text(t("knowledge.files", count=count) if count else "")
        with view.steady(self._listed):
            for one in self._files:
                with ui.element("li"):
                    plain("span", one.name)
                    plain("span", f"{view.number(max(one.size / 1000, 0.1), 1)} kB", "wm-muted")
                    away = tables.button("×", partial(self._leave_out, one), "wm-close")
                    away.props["aria-label"] = t("knowledge.drop_file", name=one.name)

    def _leave_out(self, one: Upload) -> None:
        self._files.remove(one)
        shutil.rmtree(one.path.parent, ignore_errors=True)
        self._show_files()

    # Adding.

    async def _start(self) -> None:
        """Begin to add; it is a task of its own, which outlives the page."""
        if not self._form.visible or not self._add.enabled:
            return
        self._problem.clear()
        name = (self._base or self._name.value or "").strip()
        addresses = (self._addresses.value or "").split()
        uploads = [one.id for one in self._files]
        try:
            lines = [one for one in (self._metadata.value or "").splitlines() if one.strip()]
            options = AddOptions(knowing.pairs(lines))
            workspace = await self._view.workspace()
        except WaremillError as error:
            self._view.problem(error, self._problem)
            return
        self._add.disable()
        work = knowing.add_sent(workspace, name, uploads, addresses, options, self._told)
        task = background_tasks.create(work, name=f"adding to {name}")
        await self._follow(task)

    def _told(self, progress: Progress) -> None:
        self._progress = progress

    async def _follow(self, task: asyncio.Task[Added]) -> None:
        """Show how far adding is until it ends, then what came of it."""
        view = self._view
        self._progress = None
        while not task.done():
            await asyncio.wait([task], timeout=EVERY_SECONDS)
            if self._dialog.is_deleted or self._dialog.client.is_deleted:
                return
            if self._progress is not None and not task.done():
                if self._form.visible:
                    await self._changed()
                self._show_progress()
        self._progress = None
        if self._dialog.is_deleted or self._dialog.client.is_deleted:
            return
        try:
            done = task.result()
        except WaremillError as error:
            self._result.clear()
            self._form.set_visibility(True)
            self._add.set_visibility(True)
            self._add.enable()
            view.problem(error, self._problem)
            return
        for one in self._files:
            shutil.rmtree(one.path.parent, ignore_errors=True)
        self._files = []
        self._show_done(done)
        await self._changed()

    def _show_progress(self) -> None:
        t = self._view.t
        self._form.set_visibility(False)
        self._add.set_visibility(False)
        self._cancel.set_text(t("shell.close"))
        self._result.clear()
        with self._result:
            show_progress(self._view, self._progress)
            plain("div", t("knowledge.background"), "wm-muted")

    def _show_done(self, done: Added) -> None:
        view, t = self._view, self._view.t
        self._form.set_visibility(False)
        self._add.set_visibility(False)
        self._cancel.set_text(t("shell.close"))
        self._result.clear()
        with self._result:
            self._figures(done)
            self._told_problems(done)
            for note in done.notes[:NOTES]:
                document, _, text = note.partition(": ")
                plain("div", t("shell.pair", name=document, value=view.sentence(text)), "wm-muted")
        if self._base is None and done.passages:
            self._open_base.set_visibility(True)
            self._open_base.set_text(t("knowledge.open", name=done.name))
            self._open_base.props["href"] = f"/knowledge/{done.name}"
            self._open_base.update()

    def _figures(self, done: Added) -> Element:
        view, t = self._view, self._view.t
        return tables.figures(
            [
                (t("knowledge.new"), view.number(done.new), ""),
                (t("knowledge.changed_count"), view.number(done.changed), ""),
                (t("knowledge.unchanged"), view.number(done.unchanged), ""),
                (t("knowledge.not_read"), view.number(done.problem_count), ""),
                (t("knowledge.passages"), view.number(done.passages), ""),
            ]
        )

    def _told_problems(self, done: Added) -> None:
        view, t = self._view, self._view.t
        if not done.problems:
            return
        rows: list[tuple[tables.Cell, ...]] = [
            (document, view.sentence(message)) for document, message in done.problems[:PROBLEMS]
        ]
        tables.table(
            (t("knowledge.document"), t("knowledge.problem")), rows, label=t("knowledge.problems")
        )
        if done.problem_count > PROBLEMS:
            more = t("knowledge.more_problems", count=done.problem_count - PROBLEMS)
            plain("div", more, "wm-muted")


__all__ = ["AddDialog"]
