"""The page *Templates*: the editor of one file, its problems, and what it comes to beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from nicegui import ui

from waremill.app import chatting
from waremill.app.editing import Editor, Lint, WorkspaceFile
from waremill.app.workfiles import KINDS
from waremill.web.pages import dialogs, tables
from waremill.web.pages.desk import Desk, load_style, name_inner, quoted
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View, console
from waremill.web.pages.template_panels import Names, Prompt, Versions
from waremill.web.pages.template_play import Compare, Play

WAIT_SECONDS = 0.35
"""How long nobody must have typed before the text is judged and rendered anew."""
_LANGUAGES: Mapping[str, Literal["YAML", "Markdown", "JSON"]] = {
    ".yaml": "YAML",
    ".yml": "YAML",
    ".md": "Markdown",
    ".jsonl": "JSON",
}
_BEGINNING = """\
name: {name}
description:
instruction: |
  You write product copy in {{{{ language }}}}. Use only facts from the product.
input:
  - name: {{required: true}}
output:
  title: {{type: string, max_chars: 80}}
checks: [language, grounded-numbers, no-placeholders, no-markup, no-urls]
"""


@console("/templates", "nav.templates")
async def templates_page(view: View, file: str = "", draft: str = "") -> None:
    """Draw the editor of a file; without one, of the first template.

    `draft` names a template that was drafted in a chat: its text stands in the editor, unsaved.
    """
    load_style()
    workspace = await view.workspace()
    editor = Editor(workspace)
    files = await editor.files()
    path = file or next((one.path for one in files if one.kind == "template"), "")
    path = path or (files[0].path if files else "")
    with view.frame.beside:
        head = ui.element("div").classes("wm-beside")
    if not path:
        with head:
            _new_button(view)
        ui.label(view.t("tpl.none")).classes("wm-empty")
        return
    opened = await editor.read(path)
    text = opened.text
    if opened.state == "new" and opened.kind == "template":
        text = _BEGINNING.format(name=path.rpartition("/")[2].rpartition(".")[0])
    if draft:
        text = await chatting.drafted_template(workspace, draft)
    page = _TemplatesPage(Desk(view, opened, text), files)
    with head:
        page.draw_head()
    await page.draw()


def _new_button(view: View) -> None:
    ui.button(view.t("tpl.new"), on_click=lambda: _new_file(view)).classes("wm-quiet")


async def _new_file(view: View) -> None:
    """Ask for a name and open the editor with it; nothing is written before it is saved."""
    chosen: dict[str, str] = {}
    kinds = {
        "templates": view.word("kind", "template"), "pipelines": view.word("kind", "pipeline"),
        "templates/includes": view.word("kind", "include"),
        "schemas": view.word("kind", "schema"), "channels": view.word("kind", "channel"),
        "forbidden": view.word("kind", "forbidden"), "examples": view.word("kind", "examples"),
    }  # fmt: skip

    def draw() -> dialogs.Save:
        kind = ui.select(kinds, value="templates", label=view.t("tpl.new_kind"))
        name = ui.input(view.t("tpl.new_name")).props("autofocus")

        async def save() -> None:
            ending = ".md" if kind.value == "templates/includes" else KINDS[kind.value][0]
            path = f"{kind.value}/{(name.value or '').strip()}{ending}"
            await Editor(await view.workspace()).read(path)  # says what is wrong with the name
            chosen["path"] = path

        return save

    if await dialogs.ask(view, view.t("tpl.new_title"), view.t("tpl.create"), draw):
        ui.navigate.to(f"/templates?file={quote(chosen['path'])}")


class _TemplatesPage:
    """The editor of one file."""

    def __init__(self, desk: Desk, files: Sequence[WorkspaceFile]) -> None:
        self.desk = desk
        self.view = desk.view
        self.files = files
        self.typed = 0
        self.lints: tuple[Lint, ...] = ()
        self.approvals = False

    # Drawing.

    def draw_head(self) -> None:
        """Draw which file it is and what may be done with it."""
        view, desk = self.view, self.desk
        self.picker = ui.select(self._names(), value=desk.path, with_input=True)
        self.picker.props("data-filter").style("width: 300px")
        self.picker.props["aria-label"] = view.t("tpl.file")
        self.picker.on_value_change(lambda event: self._go(event.value))
        _new_button(view)
        self.state = ui.element("div").classes("wm-beside")

    def _names(self) -> dict[str, str]:
        """Give the files to pick from; those with a draft say so."""
        draft = self.view.t("tpl.draft_suffix")
        names = {one.path: f"{one.path} · {draft}" if one.draft else one.path for one in self.files}
        names.setdefault(self.desk.path, self.desk.path)
        return names

    async def draw(self) -> None:
        """Draw the editor with its problems, and the tabs beside it."""
        view, desk = self.view, self.desk
        with ui.element("div").classes("ed-page wm-fill") as self.root:
            with ui.element("div").classes("ed-column"):
                self._editor()
                self.problems = ui.element("div").classes("ed-lint").props("role=region")
                self.problems.props["aria-label"] = view.t("tpl.lint")
            with ui.element("div").classes("ed-column ed-side"):
                await self._subject()
                self._tabs()
        view.key("Ctrl+s", "tpl.key_save", self._save)
        view.key("Ctrl+Enter", "tpl.play_key", self._play_now)
        view.key("e", "tpl.key_edit", lambda: ui.run_javascript(_FOCUS % self.code.id))
        view.key("j", "tpl.key_next", lambda: self._step(1))
        view.key("k", "tpl.key_previous", lambda: self._step(-1))
        self.approvals = await (await desk.editor()).needs_approval()
        self._state()
        view.later(self._refresh)

    def _editor(self) -> None:
        view, desk = self.view, self.desk
        ending = desk.path[desk.path.rfind(".") :]
        self.code = ui.codemirror(
            desk.text, language=_LANGUAGES.get(ending), line_wrapping=True, indent="  ",
            theme="githubLight",
            on_change=lambda event: self._typed(event.value),
            keymap={"Mod-Enter": lambda _event: self._play_now()},
        ).classes("ed-editor")  # fmt: skip
        if not desk.opened.editable:
            self.code.disable()
            ui.label(view.t("tpl.read_only")).classes("wm-note")
        name_inner(self.code, ".cm-content", view.t("tpl.editor", path=desk.path))
        with ui.element("div").classes("wm-bar wm-bar-middle"):
            self.note = ui.input(placeholder=view.t("tpl.note")).classes("wm-grow")
            self.note.props["aria-label"] = view.t("tpl.note")
            plain("span", view.t("tpl.tab_hint"), "wm-muted")

    async def _subject(self) -> None:
        """Draw what the text is tried on: product, target and model."""
        view, desk = self.view, self.desk
        workspace = await view.workspace()
        catalogs = [one.name for one in await workspace.catalogs()]
        desk.catalog = catalogs[0] if catalogs else None
        if desk.kind not in ("template", "pipeline") or not catalogs:
            if not catalogs:
                ui.label(view.t("tpl.no_products")).classes("wm-note")
            return
        await desk.find_products()
        targets = await (await desk.editor()).targets()
        desk.target = targets[0] if targets else None
        models = desk.models((await workspace.seen()).settings.models)
        with ui.element("div").classes("ed-subject"):
            if len(catalogs) > 1:
                chosen = ui.select(catalogs, value=desk.catalog, label=view.t("tpl.catalog"))
                chosen.on_value_change(lambda event: self._catalog(event.value))
            self.product = ui.select(
                desk.keys, value=desk.key or None, with_input=True, new_value_mode="add-unique",
                label=view.t("tpl.product"),
                on_change=lambda event: self._choose("key", event.value or ""),
            )  # fmt: skip
            ui.select(
                list(targets), value=desk.target, with_input=True, new_value_mode="add-unique",
                label=view.t("tpl.target"),
                on_change=lambda event: self._choose("target", event.value),
            )  # fmt: skip
            ui.select(
                models, value=None, label=view.t("tpl.model"),
                on_change=lambda event: self._choose("model", event.value),
            )  # fmt: skip

    def _tabs(self) -> None:
        view, desk = self.view, self.desk
        prompted = desk.kind in ("template", "pipeline")
        names = ["prompt", "names", "versions", "play", "compare"] if prompted else ["versions"]
        if desk.kind == "pipeline":
            names.remove("names")
        with ui.tabs().props("align=left dense") as self.tabs:
            for name in names:
                ui.tab(name, label=view.t(f"tpl.tab_{name}"))
        self.panels: dict[str, Prompt | Names | Versions | Play | Compare] = {}
        make = {"prompt": Prompt, "names": Names, "versions": Versions, "play": Play,
                "compare": Compare}  # fmt: skip
        with ui.tab_panels(self.tabs, value=names[0], animated=False).props("keep-alive"):
            for name in names:
                with ui.tab_panel(name):
                    panel: Any = make[name](desk)
                    self.panels[name] = panel
        if isinstance(names_panel := self.panels.get("names"), Names):
            names_panel.insert = self._insert
        if isinstance(versions := self.panels["versions"], Versions):
            versions.restored = self._reopen
        self.tabs.on_value_change(self._show)

    # What is typed.

    async def _typed(self, text: str) -> None:
        self.desk.text = text or ""
        self.typed += 1
        mine = self.typed
        self._state()
        await asyncio.sleep(WAIT_SECONDS)
        if mine == self.typed:
            await self._refresh()

    async def _choose(self, name: str, value: str | None) -> None:
        setattr(self.desk, name, value)
        await self._show()

    async def _catalog(self, name: str) -> None:
        self.desk.catalog = name
        await self.desk.find_products()
        self.product.set_options(self.desk.keys, value=self.desk.key or None)
        await self._refresh()

    def _step(self, by: int) -> None:
        keys = self.desk.keys
        if self.desk.key in keys and len(keys) > 1:
            self.product.set_value(keys[(keys.index(self.desk.key) + by) % len(keys)])

    async def _refresh(self) -> None:
        """Judge the text and render what is beside it anew."""
        desk = self.desk
        editor = await desk.editor()
        self.lints = await editor.lint(desk.path, desk.text, desk.catalog)
        self._lint()
        await self._show()

    async def _show(self, _event: Any = None) -> None:
        """Bring the tab that is shown up to date."""
        panel = self.panels.get(str(self.tabs.value or ""))
        if panel is not None:
            await panel.show()

    def _lint(self) -> None:
        view, desk = self.view, self.desk
        with view.steady(self.problems):
            if not self.lints:
                plain("div", view.t("tpl.lint_fine"), "ed-fine")
            for one in self.lints:
                with tables.button("", partial(self._reveal, one), ""):
                    plain("span", view.t(f"tpl.{one.severity}"), f"ed-{one.severity}")
                    line = "" if one.line is None else view.t("tpl.line", line=one.line)
                    plain("span", line)
                    where = "" if one.file == desk.path else f"{one.file}: "
                    plain("span", where + view.sentence(one.message))
        last = desk.text.count("\n") + 1
        marks: dict[int, str] = {}
        for one in reversed(self.lints):
            if one.file == desk.path and one.line and one.line <= last and one.severity != "hint":
                marks[one.line] = f"ed-line-{one.severity}"
        self.code.decorations = [
            {"kind": "line", "line": line, "class": name} for line, name in marks.items()
        ]

    async def _reveal(self, one: Lint) -> None:
        if one.file != self.desk.path:
            await self._go(one.file)
        elif one.line is not None:
            ui.run_javascript(_TO_LINE % (self.code.id, one.line))

    def _insert(self, name: str) -> None:
        ui.run_javascript(_INSERT % (self.code.id, quoted(name)))

    # What may be done with it.

    def _state(self) -> None:
        """Draw the file's state and the buttons that fit it."""
        view, desk, opened = self.view, self.desk, self.desk.opened
        shown = "unsaved" if desk.changed else opened.state
        if shown == "new" and desk.text:
            shown = "unsaved"
        now = (shown, opened.etag, self.approvals)
        if getattr(self, "_shown", None) == now:
            return
        self._shown = now
        with view.steady(self.state):
            tables.state(view, shown)
            version = opened.version
            if opened.state == "draft" and version is not None:
                when = view.moment(version.created_at)
                by = view.t("tpl.draft_by", author=version.author, when=when)
                plain("span", by, "wm-muted")
            plain("span", "", "wm-gap")
            if not opened.editable:
                return
            mine = version is not None and version.author == view.actor.name
            if opened.state == "draft" and version is not None:
                away = "tpl.withdraw" if mine else "tpl.reject"
                ui.button(view.t(away), on_click=self._reject).classes("wm-quiet")
                if mine and self.approvals:
                    plain("span", view.t("tpl.second"), "wm-muted")
                elif not desk.changed:
                    ui.button(view.t("tpl.approve"), on_click=self._approve)
            if shown == "unsaved":
                ui.button(view.t("tpl.save"), on_click=self._save)
        leaving = f"window.onbeforeunload = {_STAY if desk.changed else 'null'}"
        self.code.client.run_javascript(leaving)

    async def _save(self) -> None:
        desk = self.desk
        if not desk.opened.editable or not (desk.changed or desk.opened.state == "new"):
            return
        editor = await desk.editor()
        note = self.note.value or None
        desk.opened = await editor.save_draft(desk.path, desk.text, desk.opened.etag, note)
        self.note.set_value("")
        await self._settled(self.view.t("tpl.saved"))

    async def _approve(self) -> None:
        view, desk = self.view, self.desk
        version = desk.opened.version
        if version is None:
            return
        question = view.t("tpl.approve_sure", path=desk.path)
        if await view.confirm(question, view.t("tpl.approve")):
            await (await desk.editor()).approve(version.id)
            await self._reopen(view.t("tpl.approved", path=desk.path))

    async def _reject(self) -> None:
        view, desk = self.view, self.desk
        version = desk.opened.version
        if version is None:
            return
        mine = version.author == view.actor.name
        action = view.t("tpl.withdraw" if mine else "tpl.reject")
        question = view.t("tpl.reject_sure", author=version.author)
        if await view.confirm(question, action, danger=True):
            await (await desk.editor()).reject(version.id)
            await self._reopen(view.t("tpl.rejected"))

    async def _reopen(self, said: str) -> None:
        """Open the file again, as it is now."""
        desk = self.desk
        desk.opened = await (await desk.editor()).read(desk.path)
        desk.text = desk.opened.text
        self.code.set_value(desk.text)
        await self._settled(said)

    async def _settled(self, said: str) -> None:
        with self.root:  # the button that was pressed is drawn anew, and gone
            self.view.say(said)
            self._state()
            self.files = await (await self.desk.editor()).files()
            self.picker.set_options(self._names(), value=self.desk.path)
            await self._refresh()

    async def _play_now(self) -> None:
        play = self.panels.get("play")
        if isinstance(play, Play):
            self.tabs.set_value("play")
            await play.write()

    async def _go(self, path: str | None) -> None:
        """Open another file, after asking where something is not saved."""
        view = self.view
        if not path or path == self.desk.path:
            return
        if self.desk.changed:
            if not await view.confirm(view.t("tpl.unsaved_leave"), view.t("tpl.leave")):
                self.picker.set_value(self.desk.path)
                return
            ui.run_javascript("window.onbeforeunload = null")
        ui.navigate.to(f"/templates?file={quote(path)}")


_STAY = "(event) => event.preventDefault()"
_FOCUS = "getElement(%s).editor.focus()"
_TO_LINE = """
(() => {
  const view = getElement(%s).editor;
  const line = view.state.doc.line(Math.min(%s, view.state.doc.lines));
  view.dispatch({selection: {anchor: line.from}, scrollIntoView: true});
  view.focus();
})()
"""
_INSERT = """
(() => {
  const view = getElement(%s).editor;
  view.dispatch(view.state.replaceSelection(%s));
  view.focus();
})()
"""
