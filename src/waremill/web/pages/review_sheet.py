"""The Excel round trip: a sheet out for review, and what came back of it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from nicegui import app as console_app
from nicegui import ui
from nicegui.element import Element
from starlette.background import BackgroundTask

from waremill.app.browsing import Browse
from waremill.app.roundtrip import RoundTrip, export_for_review, import_reviews
from waremill.app.uploading import LARGEST
from waremill.errors import Forbidden, NotFound, UserError, WaremillError
from waremill.web.pages import serving, tables
from waremill.web.pages.downloads import SAFE
from waremill.web.pages.frame import plain
from waremill.web.pages.review_filters import address, read_filters
from waremill.web.pages.review_sitting import Sitting
from waremill.web.pages.shell import language_of
from waremill.web.strings.sentences import say_error

PATH = "/download/review/{run}.xlsx"


class Sheet:
    """Export and import of a run's review sheet."""

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.view = sitting.view
        self.problem: Element

    def draw(self) -> None:
        """Draw the two panels and the place of the result."""
        t = self.view.t
        with ui.element("div").classes("wm-columns wm-two"):
            with ui.element("section").classes("wm-panel") as out:
                out.props["aria-label"] = t("review.sheet_out")
                plain("h2", t("review.sheet_out"))
                plain("div", t("review.sheet_out_about"), "wm-muted").style("margin-bottom: 8px")
                self.download = tables.link(t("review.counting"), "#", "wm-do")
                self.download.props["download"] = ""
                self.problem_out = ui.element("div")
            with ui.element("section").classes("wm-panel") as back:
                back.props["aria-label"] = t("review.sheet_in")
                plain("h2", t("review.sheet_in"))
                plain("div", t("review.sheet_in_about"), "wm-muted").style("margin-bottom: 8px")
                self.upload = ui.upload(
                    label=t("review.sheet_drop"), auto_upload=True, max_file_size=LARGEST,
                    on_upload=self._received,
                    on_rejected=lambda: self.view.problem(
                        t("review.sheet_too_large"), self.problem
                    ),
                ).props("accept=.xlsx").classes("wm-drop")  # fmt: skip
        self.problem = ui.element("div")
        self.result = ui.element("div")

    async def begin(self) -> None:
        """Count the rows of the sheet that would be exported."""
        self.view.key("x", "review.key_download", self._press)
        await self.filtered()

    def _press(self) -> None:
        ui.run_javascript(f"getHtmlElement({self.download.id}).click()")

    async def filtered(self) -> None:
        """Take other filters for the export."""
        filters = self.sitting.bar.filters
        self.problem_out.clear()
        link = self.download
        link.set_visibility(False)
        try:
            browse = Browse(await self.view.workspace())
            count = await browse.count_items(self.sitting.run, **filters.listed)
        except UserError as error:
            self.view.problem(error, self.problem_out)
            return
        if not count:
            with self.problem_out:
                ui.label(self.view.t("review.sheet_none")).classes("wm-muted")
            return
        query = address(self.sitting.run, "focus", filters).partition("?")[2]
        link.props["href"] = PATH.format(run=self.sitting.run) + (f"?{query}" if query else "")
        link._text = self.view.t("review.sheet_download", count=count)
        link.set_visibility(True)
        link.update()

    async def _received(self, event: Any) -> None:
        """Take a sheet in and show what became of each of its rows."""
        view, name = self.view, str(event.file.name)
        self.problem.clear()
        self.result.clear()
        with self.result:
            ui.label(view.t("review.sheet_reading", name=name)).classes("wm-muted")
        folder = Path(tempfile.mkdtemp(prefix="waremill-"))
        try:
            path = folder / "review.xlsx"
            await event.file.save(path)
            workspace = await view.workspace()
            found = await import_reviews(workspace, self.sitting.run, path)
        except UserError as error:
            self.result.clear()
            # The file's own name, not where it was kept.
            view.problem(view.sentence(error).replace(path.name, name, 1), self.problem)
            return
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            self.upload.reset()
        self.result.clear()
        with self.result:
            self._show(name, found)
        await self.filtered()

    def _show(self, name: str, found: RoundTrip) -> None:
        view, t = self.view, self.view.t
        ui.label(t("review.sheet_read", name=name)).classes("wm-h2").props("role=status")
        conflicts, problems = len(found.conflicts), len(found.problems)
        tables.figures([
            (t("review.sheet_accepted"), view.number(found.accepted), ""),
            (t("review.sheet_rejected"), view.number(found.rejected), ""),
            (t("review.sheet_edited"), view.number(found.edited), ""),
            (t("review.sheet_unchanged"), view.number(found.unchanged), ""),
            (t("review.sheet_conflicts"), view.number(conflicts), ""),
            (t("review.sheet_problems"), view.number(problems), ""),
        ])  # fmt: skip
        if conflicts:
            plain("h2", t("review.sheet_conflicts"))
            ui.label(t("review.sheet_conflicts_about")).classes("wm-muted")
            self._conflicts(found)
        if problems:
            plain("h2", t("review.sheet_problems"))
            headings = ("#" + t("review.row"), "!" + t("review.key"), "!" + t("review.field"),
                        t("review.problem"))  # fmt: skip
            tables.table(
                headings,
                [(str(one.row), one.key or "—", one.field or "—", view.sentence(one.message))
                 for one in found.problems],
                label=t("review.sheet_problems"),
            )  # fmt: skip
        if found.more:
            ui.label(t("review.sheet_more", count=found.more)).classes("wm-muted")

    def _conflicts(self, found: RoundTrip) -> None:
        t = self.view.t
        headings = (
            "#" + t("review.row"), "!" + t("review.key"), "!" + t("review.target"),
            "!" + t("review.field"), t("review.yours_column"), t("review.theirs_column"),
            "!" + t("review.who"),
        )  # fmt: skip
        rows: list[tuple[tables.Cell, ...]] = [
            (str(one.row), one.key, one.target or "—", one.field or t("review.the_verdict"),
             self._value(one.field, one.yours), self._value(one.field, one.theirs), one.who)
            for one in found.conflicts
        ]  # fmt: skip
        tables.table(headings, rows, label=t("review.sheet_conflicts"))

    def _value(self, field: str, value: Any) -> str:
        """Write a value; a verdict and a state as words."""
        if field:
            return tables.shown(value) or self.view.t("review.empty")
        text = str(value)
        known = self.view.word("verdict", text)
        return known if known != text else self.view.word("state", text)


@console_app.get(PATH, include_in_schema=False)
async def _download(request: Request, run: str) -> Response:
    """Send a run's review sheet to whoever is signed in, as pages do."""
    folder = Path(tempfile.mkdtemp(prefix="waremill-"))
    try:
        workspace = await serving.acting(request)
        found = await workspace.find_run(run)
        path = folder / f"review-{found.name}.xlsx"
        filters = read_filters(dict(request.query_params))
        await export_for_review(workspace, found.name, path, filters.asked)
    except WaremillError as error:
        shutil.rmtree(folder)
        status = (
            404 if isinstance(error, NotFound) else 403 if isinstance(error, Forbidden) else 422
        )
        said = say_error(language_of(request), error)
        return PlainTextResponse(said, status, headers=SAFE)
    except BaseException:
        shutil.rmtree(folder)
        raise
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(path, filename=path.name, headers=SAFE, background=gone)
