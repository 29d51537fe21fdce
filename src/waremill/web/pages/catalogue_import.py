"""Bring a file in: drop it, see what it would change row by row, and only then save it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from nicegui import ui
from nicegui.element import Element

from waremill.app import Workspace
from waremill.app.browsing import Browse, ImportPreview
from waremill.app.importing import Imported
from waremill.app.uploading import LARGEST, Upload, Uploads
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

ACCEPT = ".xlsx,.xls,.xlsm,.xlsb,.ods,.csv,.tsv,.txt,.jsonl,.ndjson,.parquet"
PROBLEMS = 50
SAMPLE = 8
SAMPLE_COLUMNS = 8


class ImportDialog:
    """A dialog in two steps; `on_saved` is handed the catalogue's name after an import."""

    def __init__(
        self, view: View, catalogs: Sequence[str], on_saved: Callable[[str], None]
    ) -> None:
        self._view = view
        self._catalogs = list(catalogs)
        self._saved = on_saved
        self._upload: Upload | None = None
        self._problem: Element
        t = view.t
        with (
            ui.dialog().props("persistent") as self._dialog,
            ui.element("div").classes("wm-dialog wm-wide"),
        ):
            plain("h2", t("import.title")).style("margin: 0")
            self._file = ui.upload(
                label=t("import.drop"), auto_upload=True, max_file_size=LARGEST,
                on_upload=self._received,
                on_rejected=lambda: view.problem(t("import.too_large"), self._problem),
            ).props(f"accept='{ACCEPT}'").classes("wm-drop")  # fmt: skip
            self._options = ui.element("div").classes("wm-bar")
            self._options.set_visibility(False)
            with self._options:
                self._draw_options()
            self._problem = ui.element("div")
            self._result = ui.element("div").classes("wm-scroll wm-preview")
            with ui.element("div").classes("wm-actions"):
                ui.button(t("shell.cancel"), on_click=self._close).classes("wm-quiet")
                self._save = ui.button(t("import.save"), on_click=self._import)
                self._save.disable()

    def _draw_options(self) -> None:
        t = self._view.t
        self._catalog = ui.input(t("import.catalog"), autocomplete=self._catalogs)
        self._key = ui.select({}, label=t("import.key")).props("clearable")
        self._key.style("min-width: 140px")
        self._group = ui.select({}, label=t("import.group")).props("clearable")
        self._group.style("min-width: 140px")
        self._sheet = ui.input(t("import.sheet")).style("width: 130px")
        ui.button(t("import.again"), on_click=self._again).classes("wm-quiet")

    def open(self, catalog: str | None) -> None:
        """Open the dialog, empty, for a catalogue."""
        self._file.reset()
        self._options.set_visibility(False)
        self._problem.clear()
        self._result.clear()
        self._save.disable()
        self._catalog.set_value(catalog or "")
        self._key.set_options([], value=None)
        self._group.set_options([], value=None)
        self._sheet.set_value("")
        self._dialog.open()
        label = orjson.dumps(self._view.t("import.drop")).decode()
        ui.run_javascript(
            f"setTimeout(() => document.querySelectorAll('#c{self._file.id} input, "
            f"#c{self._file.id} button, #c{self._file.id} .q-btn').forEach("
            f"(one) => one.setAttribute('aria-label', {label})), 300)"
        )

    def _close(self) -> None:
        if self._upload is not None:
            shutil.rmtree(self._upload.path.parent, ignore_errors=True)
            self._upload = None
        self._dialog.close()

    async def _received(self, event: Any) -> None:
        """Keep what was dropped, and look through it."""
        self._problem.clear()
        folder = Path(tempfile.mkdtemp(prefix="waremill-"))
        try:
            await event.file.save(folder / "upload")
            uploads = Uploads(await self._view.workspace())

            def keep() -> Upload:
                with (folder / "upload").open("rb") as file:
                    return uploads.keep(event.file.name, file)

            self._upload = await asyncio.to_thread(keep)
        except WaremillError as error:
            self._view.problem(error, self._problem)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        await self._preview(first=True)

    def _asked(self) -> dict[str, Any]:
        return {
            "key": self._key.value or None, "group": self._group.value or None,
            "sheet": (self._sheet.value or "").strip() or None,
            "catalog": (self._catalog.value or "").strip() or None,
        }  # fmt: skip

    async def _again(self) -> None:
        if self._upload is not None:
            await self._preview()

    async def _preview(self, *, first: bool = False) -> None:
        if self._upload is None:
            return
        view = self._view
        self._save.disable()
        self._options.set_visibility(True)
        self._problem.clear()
        self._result.clear()
        with self._result:
            words = ui.label(view.t("import.looking", rows=0)).classes("wm-muted")
        counted = [0]
        timer = ui.timer(0.3, lambda: words.set_text(view.t("import.looking", rows=counted[0])))
        try:
            browse = Browse(await view.workspace())
            found = await browse.preview_import(
                [str(self._upload.path)], progress=lambda rows: counted.__setitem__(0, rows),
                **self._asked(),
            )  # fmt: skip
        except WaremillError as error:
            self._result.clear()
            view.problem(error, self._problem)
            return
        finally:
            timer.cancel()
            timer.delete()
        self._result.clear()
        self._offer(found)
        with self._result:
            self._draw(found)
        self._save.set_enabled(found.new + found.changed > 0)

    def _offer(self, found: ImportPreview) -> None:
        """Offer the file's columns as key and group, keeping what was chosen."""
        columns = list(found.columns)
        for box in (self._key, self._group):
            box.set_options(columns, value=box.value if box.value in columns else None)
        if found.key in columns:
            self._key.set_value(found.key)
        if not self._catalog.value:
            self._catalog.set_value(found.catalog)

    def _draw(self, found: ImportPreview) -> None:
        view, t = self._view, self._view.t
        tables.figures(
            [
                (t("import.new"), view.number(found.new), ""),
                (t("import.changed"), view.number(found.changed), ""),
                (t("import.unchanged"), view.number(found.unchanged), ""),
                (t("import.problems"), view.number(found.problem_count), ""),
            ]
        )
        plain("div", t("import.nothing_saved"), "wm-muted")
        for note in found.notes:
            plain("div", view.sentence(note), "wm-muted")
        if found.problems:
            plain("h2", t("import.problem_rows"))
            rows: list[tuple[tables.Cell, ...]] = [
                (f"{one.row:,}", view.sentence(one.message)) for one in found.problems[:PROBLEMS]
            ]
            tables.table(
                ("#" + t("import.row"), t("import.problem")), rows, label=t("import.problem_rows")
            )
            if found.problem_count > PROBLEMS:
                more = t("import.more_problems", count=found.problem_count - PROBLEMS)
                plain("div", more, "wm-muted")
        if found.sample:
            plain("h2", t("import.sample"))
            columns = list(found.columns)[:SAMPLE_COLUMNS]
            lines: list[tuple[tables.Cell, ...]] = [
                (view.word("import", one.verdict),
                 *(tables.shown(one.attributes.get(name), 60) for name in columns))
                for one in found.sample[:SAMPLE]
            ]  # fmt: skip
            headings = ("!" + t("import.verdict"), *(f"!{name}" for name in columns))
            tables.table(headings, lines, label=t("import.sample"))

    async def _import(self) -> None:
        """Save what was previewed, telling how far it is."""
        view, upload = self._view, self._upload
        if upload is None:
            return
        self._save.disable()
        self._result.clear()
        with self._result:
            words = ui.label(view.t("import.saving", rows=0))
        counted = [0]
        timer = ui.timer(0.3, lambda: words.set_text(view.t("import.saving", rows=counted[0])))
        try:
            workspace: Workspace = await view.workspace()
            done: Imported = await workspace.import_catalog(
                [str(upload.path)], progress=lambda rows: counted.__setitem__(0, rows),
                **self._asked(),
            )  # fmt: skip
        except WaremillError as error:
            view.problem(error, self._problem)
            return
        finally:
            timer.cancel()
            timer.delete()
        view.say(
            view.t(
                "import.saved", catalog=done.catalog, new=done.new, changed=done.changed,
                unchanged=done.unchanged,
            )
        )  # fmt: skip
        self._close()
        self._saved(done.catalog)
