"""The form of a schedule: everything `waremill schedule add` can say, by what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from waremill.app.editing import Editor
from waremill.app.linting import name_of
from waremill.app.options import TaskOptions, parameters
from waremill.app.scheduling import schedules
from waremill.app.scheduling.schedules import Wanted
from waremill.web.pages.dialogs import Save
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

MANY = 12
"""Choices from which on one finds them by typing."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What there is to choose from."""

    pipelines: Mapping[str, str]
    catalogs: tuple[str, ...]
    targets: tuple[str, ...]
    models: Mapping[str, str]
    sources: tuple[str, ...]
    zones: tuple[str, ...]


async def offered(view: View) -> Offered:
    """Give what a schedule may be made of, as far as who looks may see it."""
    workspace = await view.workspace()
    editor = Editor(workspace)
    pipelines: dict[str, str] = {}
    files = await editor.files()
    for kind in ("pipeline", "template"):
        for one in files:
            name = name_of(one.path) if one.kind == kind else ""
            if name and one.on_disk and "/" not in name:
                pipelines.setdefault(name, f"{name} · {view.word('kind', kind)}")
    models = (await workspace.seen()).settings.models.items()
    return Offered(
        pipelines, tuple(one.name for one in await workspace.catalogs()), await editor.targets(),
        {one: f"{one} · {model.use}" for one, model in models}, schedules.sources_of(workspace),
        schedules.zones(),
    )  # fmt: skip


class ScheduleForm:
    """The inputs of a new schedule; what is seldom said is folded away."""

    def __init__(self, view: View, offered: Offered) -> None:
        self._view = view
        self._offered = offered
        self._inputs: dict[str, Any] = {}

    def draw(self) -> Save:
        """Draw the inputs; give what adds the schedule."""
        t = self._view.t
        with ui.element("div").classes("wm-fields"):
            self._text("name", t("sch.name"))
            self._choice("pipeline", t("new.pipeline"), dict(self._offered.pipelines))
            self._text("cron", t("sch.cron"), "0 3 * * *")
            zones = {one: one for one in self._offered.zones}
            self._choice("timezone", t("sch.zone"), zones, empty=t("sch.zone_own"))
            self._targets()
            self._words("only", t("sch.only"), value=["new", "changed"])
            self._number("budget", t("runs.budget"), least=0)
        with self._folded("sch.part_products"):
            self._products()
        with self._folded("sch.part_work"):
            self._work()
        with self._folded("sch.part_trial"):
            self._number("trial", t("sch.trial_size"), least=1)
            self._number("accuracy", t("sch.accuracy"), least=0, step=0.01)
            self._text("gold", t("sch.gold"))
        with self._folded("sch.part_way"):
            self._word("overlap", t("sch.overlap"), schedules.OVERLAPS)
            self._word("catch_up", t("sch.catch_up"), schedules.CATCH_UPS)
        return self._save

    def _products(self) -> None:
        t = self._view.t
        catalogs = {one: one for one in self._offered.catalogs}
        self._choice("catalog", t("new.catalog"), catalogs, empty=t("sch.catalog_own"))
        self._text("where", t("new.where"))
        self._text("search", t("new.search"))
        self._inputs["search"].classes("wm-broad")
        self._text("order_by", t("new.order"))
        self._number("limit", t("new.limit"), least=1)
        self._check("stale", t("sch.stale"))
        if self._offered.sources:
            sources = {one: one for one in self._offered.sources}
            self._choice("source", t("sch.source"), sources, empty=t("sch.source_none"))

    def _work(self) -> None:
        t = self._view.t
        models = dict(self._offered.models)
        self._choice("model", t("new.model"), models, empty=t("new.model_own"))
        lines = ui.textarea(t("sch.params"), placeholder="tone=warm").props("rows=2")
        self._inputs["params"] = lines.classes("wm-broad")
        self._word("mode", t("sch.mode"), schedules.MODES)
        self._word("engine", t("sch.engine"), schedules.ENGINES)
        self._word("priority", t("sch.priority"), schedules.PRIORITIES, value="normal")
        self._check("fresh", t("new.fresh"))

    # Inputs.

    @contextmanager
    def _folded(self, key: str) -> Iterator[None]:
        with ui.element("details").classes("wm-fold"):
            plain("summary", self._view.t(key))
            with ui.element("div").classes("wm-fields"):
                yield

    def _text(self, name: str, label: str, value: str = "") -> None:
        self._inputs[name] = ui.input(label, value=value)

    def _number(self, name: str, label: str, *, least: float, step: float | None = None) -> None:
        self._inputs[name] = ui.number(label, min=least, step=step)

    def _check(self, name: str, label: str) -> None:
        self._inputs[name] = ui.checkbox(label)

    def _choice(
        self, name: str, label: str, names: Mapping[str, str], *, empty: str | None = None
    ) -> None:
        options = {**({} if empty is None else {"": empty}), **names}
        value = "" if empty is not None else next(iter(names), None)
        typed = len(options) > MANY
        self._inputs[name] = ui.select(options, value=value, label=label, with_input=typed)

    def _word(
        self, name: str, label: str, words: tuple[str, ...], *, value: str | None = None
    ) -> None:
        options = {one: self._view.word(name, one) for one in words}
        self._inputs[name] = ui.select(options, value=value or words[0], label=label)

    def _words(self, name: str, label: str, *, value: list[str]) -> None:
        options = {one: self._view.word(name, one) for one in schedules.ONLY}
        self._inputs[name] = ui.select(options, multiple=True, label=label, value=value)

    def _targets(self) -> None:
        self._inputs["targets"] = ui.select(
            list(self._offered.targets), value=[], multiple=True, with_input=True,
            new_value_mode="add-unique", label=self._view.t("new.targets"),
        ).props("use-chips")  # fmt: skip

    # What was said.

    def _said(self, name: str) -> str | None:
        given = self._inputs.get(name)
        return (given.value or "").strip() or None if given is not None else None

    def _whole(self, name: str) -> int | None:
        value = self._inputs[name].value
        return None if value is None else int(value)

    async def _save(self) -> None:
        given, said = self._inputs, self._said
        lines = (given["params"].value or "").splitlines()
        options = TaskOptions(
            where=said("where"), search=said("search"), stale=given["stale"].value,
            order_by=said("order_by"), limit=self._whole("limit"), catalog=said("catalog"),
            targets=list(given["targets"].value or ()),
            params=parameters([one.strip() for one in lines if one.strip()]),
            model=said("model"), mode=given["mode"].value, engine=given["engine"].value,
            priority=given["priority"].value, fresh=given["fresh"].value, gold=said("gold"),
        )  # fmt: skip
        wanted = Wanted(
            said("name") or "", said("pipeline") or "", given["cron"].value or "",
            given["budget"].value, said("timezone"), options, tuple(given["only"].value),
            said("source"), self._whole("trial"), given["accuracy"].value,
            given["overlap"].value, given["catch_up"].value,
        )  # fmt: skip
        await schedules.add(await self._view.workspace(), wanted, column_only=True)


__all__ = ["Offered", "ScheduleForm", "offered"]
