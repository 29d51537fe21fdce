"""The first steps of a new run: which products, what is made of them, what it would take."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from waremill.app import Estimate
from waremill.app.browsing import Browse
from waremill.app.editing import Editor
from waremill.app.linting import name_of
from waremill.app.product_search import FOUND
from waremill.app.uploading import LARGEST, Upload, Uploads
from waremill.errors import UserError, WaremillError
from waremill.web.pages import tables
from waremill.web.pages.catalogue_import import ACCEPT
from waremill.web.pages.desk import name_inner
from waremill.web.pages.frame import plain
from waremill.web.pages.ordering import NewRun
from waremill.web.pages.picture_presets import plan_pictures
from waremill.web.pages.shell import View

WAIT_SECONDS = 0.4


class ProductsStep:
    """Which products: a selection of the catalogue, or the rows of a sheet."""

    def __init__(self, view: View, order: NewRun, changed: Callable[[], None]) -> None:
        self.view = view
        self.order = order
        self._changed = changed
        self._counting: asyncio.Task[None] | None = None
        self._typed = 0

    def leave(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()

    async def draw(self) -> None:
        """Draw the choice between a selection and a sheet, and what belongs to it."""
        view, order = self.view, self.order
        self._catalogs = [one.name for one in await (await view.workspace()).catalogs()]
        sources = {
            "catalog": view.t("new.from_catalog"), "sheet": view.t("new.from_sheet"),
        }  # fmt: skip
        if not self._catalogs:
            order.source = "sheet"
            ui.label(view.t("new.no_catalog")).classes("wm-note")
        group = plain("div", view.t("new.from"), "wm-figure-name")
        radio = ui.radio(sources, value=order.source).props("inline")
        radio.props["aria-labelledby"] = f"c{group.id}"
        radio.on_value_change(lambda event: self._source(event.value))
        self._box = ui.element("div").classes("nr-step")
        await self._draw_source()

    async def _source(self, source: Any) -> None:
        self.order.source = source
        self._changed()
        await self._draw_source()

    async def _draw_source(self) -> None:
        self._box.clear()
        with self._box:
            if self.order.source == "sheet":
                self._sheet()
            elif self._catalogs:
                await self._selection()

    # A selection.

    async def _selection(self) -> None:
        view, order = self.view, self.order
        saved = await self._saved()
        with ui.element("div").classes("nr-row"):
            catalog = ui.select(self._catalogs, value=order.catalog, label=view.t("new.catalog"))
            catalog.style("min-width: 220px")
            catalog.on_value_change(lambda event: self._catalog(event.value))
            names = {"": view.t("new.no_saved"), **{one: one for one in saved}}
            picked = ui.select(names, value="", label=view.t("new.saved"))
            picked.style("min-width: 220px")
            picked.on_value_change(lambda event: self._pick(saved.get(event.value)))
            limit = ui.number(
                view.t("new.limit"), value=order.limit, min=1, format="%d",
                placeholder=view.t("new.limit_hint"),
            ).style("width: 120px")  # fmt: skip
            limit.on_value_change(lambda event: self._limit(event.value))
        search = ui.input(view.t("new.search"), value=order.search).props("maxlength=2000")
        search.on_value_change(lambda event: self._edit("search", event.value))
        self._where = ui.input(view.t("new.where"), value=order.where).classes("wm-code")
        self._where.props("data-filter")
        self._order_by = ui.input(view.t("new.order"), value=order.order_by).classes("wm-code")
        self._where.on_value_change(lambda event: self._edit("where", event.value))
        self._order_by.on_value_change(lambda event: self._edit("order_by", event.value))
        self._problem = ui.element("div")
        with ui.element("div").classes("wm-bar wm-bar-middle"):
            self._count = ui.label("").props("role=status").style("font-weight: 600")
            self._look = tables.link(view.t("new.look"), "/catalogue")
        await self._recount()

    async def _saved(self) -> dict[str, tuple[str, str]]:
        browse = Browse(await self.view.workspace())
        try:
            found = await browse.selections(self.order.catalog)
        except UserError:
            return {}
        return {one.name: (one.where, one.order_by or "") for one in found}

    async def _catalog(self, name: str) -> None:
        self.order.catalog = name
        self.order.where = self.order.order_by = self.order.search = ""
        await self._draw_source()
        self._changed()

    def _pick(self, saved: tuple[str, str] | None) -> None:
        if saved is not None:
            self._where.set_value(saved[0])
            self._order_by.set_value(saved[1])

    async def _limit(self, value: float | None) -> None:
        self.order.limit = int(value) if value else None
        self._changed()
        await self._recount()

    async def _edit(self, name: str, value: str | None) -> None:
        setattr(self.order, name, value or "")
        self._typed += 1
        mine = self._typed
        await asyncio.sleep(WAIT_SECONDS)
        if mine == self._typed:
            self._changed()
            await self._recount()

    async def _recount(self) -> None:
        """Count the selection beside, showing how many there are so far."""
        self.leave()
        order = self.order
        query = {"catalog": order.catalog or "", "where": order.where.strip(),
                 "search": order.search.strip()}  # fmt: skip
        self._look.props["href"] = f"/catalogue?{urlencode(query)}"
        self._look.update()
        self._counting = self.view.beside(self._count_up())

    async def _count_up(self) -> None:
        view, order = self.view, self.order
        browse = Browse(await view.workspace())
        where, total = order.where.strip() or None, 0
        try:
            async for total in browse.counting(order.catalog, where, targets=order.targets):
                if self._count.is_deleted:
                    return
                self._count.set_text(view.t("new.counting", count=total))
        except WaremillError as error:
            if not self._count.is_deleted:
                self._count.set_text("")
                view.problem(error, self._problem)
            return
        if self._count.is_deleted:
            return
        self._problem.clear()
        limit = order.limit or (FOUND if order.search.strip() else None)
        if limit is not None:
            total = min(total, limit)
        self._count.set_text(view.t("new.count", count=total))

    # A sheet.

    def _sheet(self) -> None:
        view, order = self.view, self.order
        drop = ui.upload(
            label=view.t("new.drop"), auto_upload=True, max_file_size=LARGEST,
            on_upload=self._received,
            on_rejected=lambda: view.problem(view.t("new.too_large"), self._problem),
        ).props(f"accept='{ACCEPT}'").classes("wm-drop")  # fmt: skip
        name_inner(drop, "input[type=file]", view.t("new.drop"))
        self._options = ui.element("div").classes("nr-row")
        self._problem = ui.element("div")
        self._about = ui.element("div")
        if order.path is not None:
            name = order.upload.name if order.upload else order.path.rpartition("/")[2]
            with self._about:
                plain("div", name)

    async def _received(self, event: Any) -> None:
        """Keep what was dropped and look through it; nothing is saved to the catalogue."""
        self._problem.clear()
        folder = Path(tempfile.mkdtemp(prefix="waremill-"))
        try:
            await event.file.save(folder / "upload")
            uploads = Uploads(await self.view.workspace())

            def keep() -> Upload:
                with (folder / "upload").open("rb") as file:
                    return uploads.keep(event.file.name, file)

            self.order.upload = await asyncio.to_thread(keep)
        except WaremillError as error:
            self.view.problem(error, self._problem)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.order.path = str(self.order.upload.path)
        self.order.key = self.order.sheet = None
        self._changed()
        await self._preview(first=True)

    async def _preview(self, *, first: bool = False) -> None:
        view, order = self.view, self.order
        if order.upload is None:
            return
        self._problem.clear()
        self._about.clear()
        with self._about:
            ui.label(view.t("new.looking")).classes("wm-muted")
        browse = Browse(await view.workspace())
        try:
            found = await browse.preview_import(
                [str(order.upload.path)], key=order.key, sheet=order.sheet
            )
        except WaremillError as error:
            self._about.clear()
            view.problem(error, self._problem)
            return
        finally:
            if first:
                self._offer()
        order.key = order.key or found.key
        if first:
            self._key.set_options(list(found.columns), value=order.key)
        self._about.clear()
        with self._about:
            counts = {"new": found.new, "changed": found.changed, "unchanged": found.unchanged}
            plain(
                "div",
                view.t(
                    "new.sheet_about",
                    name=order.upload.name,
                    problems=found.problem_count,
                    **counts,
                ),
            )
            plain("div", view.t("new.sheet_hint"), "wm-muted")
            for problem in found.problems[:5]:
                plain("div", f"{problem.row:,}: {view.sentence(problem.message)}", "ed-finding")

    def _offer(self) -> None:
        """Offer what may be said about the sheet."""
        view, order = self.view, self.order
        self._options.clear()
        with self._options:
            self._key = ui.select([], label=view.t("new.key"), clearable=True)
            self._key.style("min-width: 200px")
            self._key.on_value_change(lambda event: self._set("key", event.value))
            sheet = ui.input(view.t("new.sheet"), value=order.sheet or "")
            sheet.on("keydown.enter", lambda: self._set("sheet", sheet.value))
            sheet.on("blur", lambda: self._set("sheet", sheet.value))

    async def _set(self, name: str, value: str | None) -> None:
        if (value or None) != getattr(self.order, name):
            setattr(self.order, name, value or None)
            await self._preview()


class ContentStep:
    """What is made: the template or pipeline, targets, model, budget, parameters."""

    def __init__(self, view: View, order: NewRun, changed: Callable[[], None]) -> None:
        self.view = view
        self.order = order
        self._changed = changed

    def leave(self) -> None:
        """Stop nothing: nothing is at work."""

    async def draw(self) -> None:
        """Draw the choices; those of the pipeline follow what is picked."""
        with ui.element("div").classes("nr-step") as self._place:
            await self._draw()

    async def _draw(self) -> None:
        view, order = self.view, self.order
        workspace = await view.workspace()
        files = await Editor(workspace).files()
        names: dict[str, str] = {}
        for kind in ("pipeline", "template"):
            for one in files:
                name = name_of(one.path) if one.kind == kind else ""
                if name and one.on_disk and "/" not in name:
                    names.setdefault(name, f"{name} · {view.word('kind', kind)}")
        if not names:
            ui.label(view.t("new.no_pipeline")).classes("wm-note")
            ui.button(view.t("pictures.plan"), on_click=self._pictures).classes("wm-quiet")
            return
        fresh = order.pipeline not in names
        order.pipeline = next(iter(names)) if fresh else order.pipeline
        with ui.element("div").classes("nr-row"):
            picker = ui.select(
                names, value=order.pipeline, with_input=True, label=view.t("new.pipeline")
            ).style("min-width: 320px")
            picker.on_value_change(lambda event: self._pick(event.value))
            models = {None: view.t("new.model_own")} | {
                one: f"{one} · {model.use}"
                for one, model in (await workspace.seen()).settings.models.items()
            }
            model = ui.select(models, value=order.model, label=view.t("new.model"))
            model.style("min-width: 260px")
            model.on_value_change(lambda event: self._set("model", event.value))
            ui.button(view.t("pictures.plan"), on_click=self._pictures).classes("wm-quiet")
        self._problem = ui.element("div")
        self._own = ui.element("div").classes("nr-step")
        with ui.element("div").classes("nr-row"):
            currency = workspace.settings.currency
            budget = ui.number(
                view.t("new.budget", currency=currency), value=order.budget, min=0,
                placeholder=view.t("new.budget_hint"),
            )  # fmt: skip
            budget.on_value_change(lambda event: self._set("budget", event.value or None))
            asked = ui.checkbox(view.t("new.fresh"), value=order.fresh)
            asked.on_value_change(lambda event: self._set("fresh", bool(event.value)))
        await self._pipeline(fresh=fresh)

    async def _pictures(self) -> None:
        """Make a pipeline for pictures out of choices, and take it."""
        with self._place:
            name = await plan_pictures(self.view, self.order.catalog)
        if name is not None:
            self.order.pipeline = name
            self.order.targets, self.order.params = [], {}
            with self.view.steady(self._place):
                await self._draw()
            self._changed()

    def _set(self, name: str, value: Any) -> None:
        setattr(self.order, name, value)
        self._changed()

    async def _pick(self, name: str | None) -> None:
        if name:
            self.order.pipeline = name
            await self._pipeline(fresh=True)
            self._changed()

    async def _pipeline(self, *, fresh: bool) -> None:
        """Draw what depends on the pipeline: its fields, targets and parameters."""
        view, order = self.view, self.order
        self._own.clear()
        self._problem.clear()
        workspace = await view.workspace()
        try:
            assembly = (await workspace.seen()).assemble(order.pipeline, order.model)
        except UserError as error:
            view.problem(error, self._problem)
            return
        own = [str(target) for target in assembly.pipeline.targets]
        needed = any(step.needs_target for step in assembly.steps)
        if fresh:
            order.targets = own
            order.params = dict(assembly.pipeline.params)
        offered = await Editor(workspace).targets()
        with self._own:
            if assembly.fields:
                fields = ", ".join(assembly.fields)
                ui.label(view.t("new.writes", fields=fields)).classes("wm-note")
            targets = ui.select(
                list(dict.fromkeys((*own, *order.targets, *offered))), value=list(order.targets),
                multiple=True, with_input=True, new_value_mode="add-unique",
                label=view.t("new.targets"),
            ).props("use-chips")  # fmt: skip
            targets.on_value_change(lambda event: self._set("targets", list(event.value or ())))
            hint = "new.targets_hint" if needed or own else "new.targets_none"
            ui.label(view.t(hint)).classes("wm-muted")
            if assembly.pipeline.params:
                self._params(assembly.pipeline.params)

    def _params(self, params: Mapping[str, Any]) -> None:
        order = self.order
        plain("div", self.view.t("new.params"), "wm-figure-name")
        with ui.element("div").classes("nr-row"):
            for name, default in params.items():
                box = ui.input(name, value=str(order.params.get(name, default)))

                def read(event: Any, name: str = name, default: Any = default) -> None:
                    order.params[name] = _like(default, event.value or "")
                    self._changed()

                box.on_value_change(read)


def _like(default: Any, text: str) -> Any:
    """Read a parameter's text as what its default is; what does not fit stays text."""
    if isinstance(default, bool):
        return text.strip().lower() in ("true", "yes", "1")
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


class EstimateStep:
    """What the run would take, without a paid call."""

    def __init__(self, view: View, order: NewRun, changed: Callable[[], None]) -> None:
        self.view = view
        self.order = order
        self._changed = changed

    def leave(self) -> None:
        """Stop nothing: an estimate takes a moment."""

    async def draw(self) -> None:
        """Show the estimate; a new one where something was changed since."""
        self._problem = ui.element("div")
        self._box = ui.element("div")
        order = self.order
        if order.estimate is None or order.estimated_with != order.said():
            with self._box:
                ui.label(self.view.t("new.estimating")).classes("wm-muted").props("role=status")
            self.view.later(self._estimate)
        else:
            self._draw(order.estimate)

    async def _estimate(self) -> None:
        order, view = self.order, self.view
        said = order.said()
        workspace = await view.workspace()
        workspace.actor.need_somewhere("operator", view.t("new.estimate"))
        try:
            found = await workspace.estimate(order.pipeline, **order.task())
        except WaremillError as error:
            order.estimate = None
            self._box.clear()
            view.problem(error, self._problem)
            self._changed()
            return
        order.estimate, order.estimated_with = found, said
        if not self._box.is_deleted:
            self._draw(found)
            self._changed()

    def _draw(self, found: Estimate) -> None:
        view = self.view
        self._box.clear()

        def ends(value: Any, write: Callable[[float | None], str]) -> str:
            if value is None or value.low == value.high:
                return ""
            return view.t("new.range", low=write(value.low), high=write(value.high))

        cost, whole, seconds = found.cost, found.list_cost, found.seconds
        unknown = view.t("new.not_known")
        with self._box:
            tables.figures(
                [
                    (view.t("new.products"), view.number(found.products), ""),
                    (view.t("new.items"), view.number(found.items), ""),
                    (view.t("new.calls"), view.number(found.calls), ""),
                    (view.t("new.cost"), view.nano(cost.expected) if cost else unknown,
                     ends(cost, view.nano)),
                    (view.t("new.list_cost"), view.nano(whole.expected) if whole else unknown,
                     ends(whole, view.nano)),
                    (view.t("new.duration"), view.duration(seconds.expected),
                     ends(seconds, view.duration)),
                ]
            )  # fmt: skip
            if found.unpriced:
                models = ", ".join(found.unpriced)
                ui.label(view.t("new.unpriced", models=models)).classes("wm-warn")
            for note in found.notes:
                ui.label(view.sentence(note)).classes("wm-note")
            headings = (
                view.t("new.step"), view.t("new.model"), "#" + view.t("new.calls"),
                "#" + view.t("new.answered"), "#" + view.t("new.tokens_in"),
                "#" + view.t("new.tokens_out"), "#" + view.t("new.cost"), view.t("new.counted"),
            )  # fmt: skip
            rows = [
                (one.step, one.model, view.number(one.calls), view.number(one.answered),
                 view.number(one.input.expected), view.number(one.output.expected),
                 view.nano(one.cost.expected) if one.cost else unknown,
                 view.word("counted", one.counted_by))
                for one in found.steps
            ]  # fmt: skip
            with ui.element("div").style("margin: 10px 0"):
                tables.table(headings, rows, label=view.t("new.estimate"))
            ui.button(view.t("new.again"), on_click=self._again).classes("wm-quiet")

    async def _again(self) -> None:
        self._box.clear()
        with self._box:
            ui.label(self.view.t("new.estimating")).classes("wm-muted")
        await self._estimate()
