"""The page *New run*: products, content, estimate, trial with marks, run; one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from waremill.app import launching
from waremill.app.marking import Marking, Score
from waremill.errors import Conflict, NotFound
from waremill.web.pages import tables
from waremill.web.pages.desk import load_style
from waremill.web.pages.frame import plain
from waremill.web.pages.new_run_steps import ContentStep, EstimateStep, ProductsStep
from waremill.web.pages.ordering import NewRun
from waremill.web.pages.pictures import load_pictures
from waremill.web.pages.shell import View, console
from waremill.web.pages.stage import bind_keys
from waremill.web.pages.trial_step import TrialStep

STEPS = ("what", "how", "estimate", "trial", "run")


@console("/new", "nav.new")
async def new_run_page(
    view: View,
    catalog: str = "",
    where: str = "",
    search: str = "",
    pipeline: str = "",
    trial: str = "",
    step: str = "",
) -> None:
    """Draw the steps; `trial` opens a trial that is there already, to be marked and run."""
    load_style()
    load_pictures()
    workspace = await view.workspace()
    workspace.actor.need_somewhere("reviewer" if trial else "operator", view.t("nav.new"))
    order = NewRun(catalog=catalog or None, where=where, search=search, pipeline=pipeline)
    if trial:
        run = await workspace.find_run(trial)
        if run.kind != "trial":
            raise Conflict(f"run {run.name} is no trial")
        order.take_plan(run.pipeline, run.plan)
        order.trial = run.name
        order.trial_status = await workspace.status(run.name)
        order.trial_stands_for = order.said()
        order.score = await Marking(workspace).score(run.name)
    elif order.catalog is None:
        found = await workspace.catalogs()
        order.catalog = found[0].name if found else None
    elif order.catalog not in {one.name for one in await workspace.catalogs()}:
        raise NotFound(f"there is no catalogue “{order.catalog}”")
    page = _NewRunPage(view, order)
    await page.draw("trial" if trial else step if step in STEPS else "what")


class _NewRunPage:
    """The steps of one new run."""

    def __init__(self, view: View, order: NewRun) -> None:
        self.view = view
        self.order = order
        self.step = ""
        self.shown: ProductsStep | ContentStep | EstimateStep | TrialStep | RunStep | None = None

    async def draw(self, first: str) -> None:
        """Draw the list of steps and the first one."""
        view = self.view
        with ui.element("div").classes("nr-page") as self.root:
            with ui.element("nav") as nav:
                nav.props["aria-label"] = view.t("new.steps")
                self.list = ui.element("ol").classes("nr-steps")
            self.box = ui.element("div")
        view.key("Alt+ArrowRight", "new.key_next", lambda: self._by(1))
        view.key("Alt+ArrowLeft", "new.key_back", lambda: self._by(-1))
        for key, name, verdict in (
            ("1", "mark.key_right", "right"), ("r", "mark.key_right", "right"),
            ("2", "mark.key_wrong", "wrong"), ("w", "mark.key_wrong", "wrong"),
            ("3", "mark.key_correct", "corrected"), ("c", "mark.key_correct", "corrected"),
        ):  # fmt: skip
            view.key(key, name, partial(self._cards, "mark", verdict))
        for key, name, work, by in (
            ("ArrowDown", "mark.key_field", "step_field", 1),
            ("j", "mark.key_field", "step_field", 1),
            ("ArrowUp", "mark.key_field_back", "step_field", -1),
            ("k", "mark.key_field_back", "step_field", -1),
            ("n", "mark.key_card", "step_card", 1), ("p", "mark.key_card_back", "step_card", -1),
        ):  # fmt: skip
            view.key(key, name, partial(self._cards, work, by))
        view.key("u", "mark.key_undo", partial(self._cards, "undo"))
        bind_keys(view)
        view.key("Ctrl+Enter", "new.key_start", self._start)
        await self.go(first)

    async def _cards(self, work: str, *given: Any) -> None:
        """Hand a key to the preview cards, where they are shown."""
        if isinstance(self.shown, TrialStep) and self.shown.cards is not None:
            await getattr(self.shown.cards, work)(*given)

    async def _start(self) -> None:
        if isinstance(self.shown, RunStep):
            await self.shown.start()

    async def _by(self, by: int) -> None:
        place = STEPS.index(self.step) + by
        if 0 <= place < len(STEPS) and self._open(STEPS[place]):
            await self.go(STEPS[place])

    def _open(self, step: str) -> bool:
        """Say whether enough is known for a step to be shown."""
        order = self.order
        if step == "what":
            return True
        return order.has_products if step == "how" else order.has_products and bool(order.pipeline)

    async def go(self, step: str) -> None:
        """Show a step; the button that was pressed for it may be gone meanwhile."""
        with self.root:
            await self._go(step)

    async def _go(self, step: str) -> None:
        self.step = step
        if self.shown is not None:
            self.shown.leave()
        self.sums()
        self.box.clear()
        with self.box, ui.element("div").classes("nr-step") as place:
            if step == "trial":
                place.classes("nr-broad")
            make = {"what": ProductsStep, "how": ContentStep, "estimate": EstimateStep,
                    "trial": TrialStep, "run": RunStep}  # fmt: skip
            kind: Any = make[step]
            self.shown = kind(self.view, self.order, self.sums)
            plain("h2", self.view.t(f"new.{step}")).style("margin: 0")
            body = ui.element("div").classes("nr-step").classes("nr-broad" * (step == "trial"))
            with body:
                await self.shown.draw()
            self._next(step)
        self.sums()

    def _next(self, step: str) -> None:
        place = STEPS.index(step)
        if isinstance(self.shown, RunStep):  # the last one has its own button beside it
            with self.shown.actions:
                self._back().move(target_index=0)
            return
        following = STEPS[place + 1]
        with ui.element("div").classes("nr-next"):
            if place:
                self._back()
            words = self.view.t("new.next", step=self.view.t(f"new.{following}"))
            self.forward = ui.button(words, on_click=lambda: self._by(1))

    def _back(self) -> ui.button:
        button = ui.button(self.view.t("new.back"), on_click=lambda: self._by(-1))
        return button.classes("wm-quiet")

    # The list of steps.

    def sums(self) -> None:
        """Draw the list of steps with what each says so far."""
        view = self.view
        done = {
            "what": self.order.has_products, "how": bool(self.order.pipeline),
            "estimate": self.order.estimate is not None, "trial": self.order.trial_done,
            "run": False,
        }  # fmt: skip
        with view.steady(self.list):
            for number, step in enumerate(STEPS, 1):
                with ui.element("li"):
                    self._entry(number, step, done[step] and step != self.step)
        if hasattr(self, "forward") and not self.forward.is_deleted and self.step != "run":
            following = STEPS[STEPS.index(self.step) + 1]
            self.forward.set_enabled(self._open(following))
            if self.step == "trial":  # until it is done, starting it is the thing to do
                self.forward.classes(replace="" if self.order.trial_done else "wm-quiet")

    def _entry(self, number: int, step: str, done: bool) -> None:
        button = ui.element("button").classes("nr-done" if done else "")
        button.props["type"] = "button"
        if step == self.step:
            button.props["aria-current"] = "step"
        if not self._open(step):
            button.props["disabled"] = True
        button.on("click", partial(self.go, step))
        with button:
            plain("span", "✓" if done else f"{number}", "nr-mark")
            plain("span", self.view.t(f"new.{step}"))
            plain("span", self._sum(step), "nr-sum")

    def _sum(self, step: str) -> str:
        view, order = self.view, self.order
        if step == "what":
            if order.source == "sheet":
                return order.upload.name if order.upload else (order.path or "").rpartition("/")[2]
            chosen = (order.catalog or "", order.search, order.where)
            return " · ".join(one for one in chosen if one)[:80]
        if step == "how":
            return " · ".join(one for one in (order.pipeline, ", ".join(order.targets)) if one)[:80]
        if step == "estimate" and order.estimate is not None:
            cost = order.estimate.cost
            count = view.t("new.count", count=order.estimate.products)
            return f"{count} · {view.nano(cost.expected)}" if cost else count
        if step == "trial" and order.trial is not None:
            score = order.score
            share = score.overall.share if score is not None else None
            return f"{order.trial} · {view.share(share)}" if share is not None else order.trial
        return ""


class RunStep:
    """The last step: what will run, what is known of it, and the button."""

    def __init__(self, view: View, order: NewRun, changed: Callable[[], None]) -> None:
        self.view = view
        self.order = order
        self._changed = changed
        self._busy = False

    def leave(self) -> None:
        """Stop nothing: nothing is at work."""

    async def draw(self) -> None:
        """Draw the summary and the button."""
        view, order = self.view, self.order
        lines = [
            (view.t("new.sum_products"), self._products()),
            (view.t("new.sum_content"), self._content()),
            (view.t("new.sum_budget"), view.money(order.budget) if order.budget
             else view.t("new.budget_hint")),
        ]  # fmt: skip
        if order.trial_done:
            lines.append((view.t("new.sum_trial"), order.trial or ""))
            lines.append((view.t("new.sum_accuracy"), self._accuracy(order.score)))
            forecast = await self._forecast()
            if forecast:
                lines.append((view.t("new.sum_forecast"), forecast))
        elif order.stale:
            ui.label(view.t("new.stale", name=order.trial)).classes("wm-warn")
        else:
            lines.append((view.t("new.sum_trial"), view.t("new.no_trial")))
        tables.pairs(lines)
        self._mode()
        if not order.trial_done:
            box = ui.checkbox(view.t("new.without"), value=order.without)
            box.on_value_change(lambda event: self._without(bool(event.value)))
        with ui.element("div").classes("nr-next") as self.actions:
            count = order.estimate.products if order.estimate is not None else None
            words = view.t("new.start_all") if count is None else view.t("new.start", count=count)
            self.button = ui.button(words, on_click=self.start)
            self.said = ui.label("").classes("wm-muted").props("role=status")
        self._without(order.without)

    def _mode(self) -> None:
        """Offer the vendors' batches, with their price where it is known."""
        view, order = self.view, self.order
        found = order.estimate
        if found is None or found.batch_cost is None or found.cost is None:
            order.batched = False
            return
        prices = {"batch": view.nano(found.batch_cost.expected),
                  "live": view.nano(found.cost.expected)}  # fmt: skip
        box = ui.checkbox(view.t("new.batch", **prices), value=order.batched)
        box.on_value_change(lambda event: setattr(order, "batched", bool(event.value)))

    def _without(self, value: bool) -> None:
        self.order.without = value
        ready = self.order.trial_done or value
        self.button.set_enabled(ready)
        self.said.set_text("" if ready else self.view.t("new.must_trial"))

    def _products(self) -> str:
        order, view = self.order, self.view
        if order.source == "sheet":
            what = order.upload.name if order.upload else (order.path or "").rpartition("/")[2]
        else:
            how = " · ".join(one for one in (order.search, order.where) if one)
            what = f"{order.catalog}: {how}" if how else f"{order.catalog}"
        if order.estimate is not None:
            what += f" ({view.t('new.count', count=order.estimate.products)})"
        return what

    def _content(self) -> str:
        order, view = self.order, self.view
        parts = [order.pipeline, ", ".join(order.targets), order.model or view.t("new.model_own")]
        return " · ".join(part for part in parts if part)

    def _accuracy(self, score: Score | None) -> str:
        view = self.view
        if score is None or score.overall.share is None:
            return view.t("mark.none_yet")
        overall = score.overall
        ends = {"low": view.share(overall.low), "high": view.share(overall.high)}
        return f"{view.share(overall.share)} · {view.t('mark.interval', **ends)}"

    async def _forecast(self) -> str:
        """Say what the trial forecast for the whole, in money and time."""
        view = self.view
        if self.order.trial is None:
            return ""
        run = await (await view.workspace()).find_run(self.order.trial)
        found = []
        for line in (run.summary or {}).get("forecast", ()):
            value, low, high, _ = line["forecast"]
            if line["name"] not in ("cost", "duration"):
                continue
            write = view.nano if line["unit"] == "money" else view.duration
            text = write(value)
            if low is not None and high is not None:
                ends = view.t("new.range", low=write(max(low, 0)), high=write(high))
                text = view.t("shell.noted", value=text, note=ends)
            found.append(text)
        return " · ".join(found)

    async def start(self) -> None:
        """Plan the run and start it; then show it."""
        order, view = self.order, self.view
        if self._busy or not (order.trial_done or order.without):
            return
        self._busy = True
        self.button.disable()
        self.said.set_text(view.t("new.starting"))
        try:
            workspace = await view.workspace()
            if order.trial_done and order.trial is not None:
                await Marking(workspace).settle(order.trial)
            status = await launching.launch(workspace, "run", order.pipeline, **order.run_options())
        finally:
            self._busy = False
            self.button.enable()
            self.said.set_text("")
        ui.navigate.to(f"/runs/{status.run}")
