"""The page *Chat*: one conversation, its history beside it, and what an answer stands on.

The browser draws (`chat.js`): it gets what happens as data and shows all of it as text. What a
person does comes here as an event and goes to the application.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from nicegui import ui

from waremill.app import chatting
from waremill.app.chatting import Asking, Listed, Live
from waremill.app.informing import base_names
from waremill.chat.events import Event
from waremill.errors import NotFound, WaremillError
from waremill.web.pages import chat_shapes, dialogs
from waremill.web.pages.mounting import STATIC, STATIC_PATH
from waremill.web.pages.shell import View, console
from waremill.web.strings.chat import STRINGS

FLUSH_SECONDS = 0.05
"""How often what has streamed in goes to the browser."""
LISTED = 30


@console("/chat", "nav.chat")
async def chat_page(view: View, c: str = "") -> None:
    """Draw a conversation; without one, an empty one."""
    view.actor.need_somewhere("operator", "chatting")
    _load("chat.css", '<link rel="stylesheet" href="{}">')
    _load("chat_markdown.js", '<script defer src="{}"></script>')
    _load("chat.js", '<script defer src="{}"></script>')
    page = _ChatPage(view)
    await page.draw()
    number = int(c) if c.isascii() and c.isdigit() and len(c) < 16 else 0
    if c and not number:
        raise NotFound(f"there is no conversation {c[:40]}")
    if number:
        await chatting.find(await view.workspace(), number)
    view.later(lambda: page.start(number or None))


def _load(name: str, line: str) -> None:
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    ui.add_head_html(line.format(f"{STATIC_PATH}/{name}?{digest}"))


class _ChatPage:
    """One person's page: the conversation that is open, and the reply that is being written."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.client = ui.context.client
        self.number: int | None = None
        self.live: Live | None = None
        self.events: list[dict[str, Any]] = []
        self.next: str | None = None

    # Drawing.

    async def draw(self) -> None:
        """Draw the choices above, and the place that the browser draws into."""
        view, t = self.view, self.view.t
        workspace = await view.workspace()
        seen = await workspace.seen()
        bases = await base_names(workspace)
        catalogs = [one.name for one in await workspace.catalogs()]
        with view.frame.beside, ui.element("div").classes("wm-beside ch-choices"):
            models = list(seen.settings.models)
            self.model = ui.select(models, value="default", label=t("chat.model"))
            self.catalog = ui.select(
                catalogs, value=catalogs[0] if catalogs else None, label=t("chat.catalog")
            )
            self.catalog.set_visibility(len(catalogs) > 1)
            self.bases = ui.select(list(bases), value=[], multiple=True, label=t("chat.knowledge"))
            self.bases.props(f'display-value="{t("chat.all_knowledge")}"')
            self.bases.on_value_change(lambda _: self._name_bases())
            self.bases.set_visibility(bool(bases))
            ui.button(t("chat.new"), on_click=self._new).classes("wm-quiet")
        ui.element("div").props("id=ch-root").classes("ch-root")
        ui.on("waremill_chat", self._did, args=None)
        ui.timer(FLUSH_SECONDS, self._flush)
        self.client.on_delete(self._left)
        view.key("c", "chat.key_compose", lambda: self._tell("focus"))
        view.key("Alt+n", "chat.key_new", self._new)
        view.key("Escape", "chat.key_stop", lambda: self._stop({}))

    def _name_bases(self) -> None:
        chosen = self.bases.value or []
        said = ", ".join(chosen) or self.view.t("chat.all_knowledge")
        self.bases.props["display-value"] = said
        self.bases.update()

    async def start(self, number: int | None) -> None:
        """Hand the browser the words and the history, and open a conversation."""
        words = {key: self.view.t(key) for key in STRINGS}
        self._tell("start", {"words": words, "language": self.view.language})
        await self._list()
        if number is not None:
            await self._open(number)
        else:
            self._tell("show", None)

    def _tell(self, name: str, value: Any = None) -> None:
        """Call a function of the browser's with a value."""
        if self.client.is_deleted:
            return
        # As text inside a script: nothing in it may end the script.
        said = orjson.dumps(value).decode().replace("<", "\\u003c")
        self.client.run_javascript(f"window.waremillChat?.{name}({said})")

    # What a person does.

    async def _did(self, event: Any) -> None:
        given: Mapping[str, Any] = event.args if isinstance(event.args, Mapping) else {}
        work = {
            "send": self._send, "stop": self._stop, "permit": self._permit, "open": self._opened,
            "delete": self._delete, "rename": self._rename, "branch": self._branch,
            "more": self._more, "new": self._newly,
        }.get(str(given.get("do")))  # fmt: skip
        if work is None:
            return
        try:
            await work(given)
        except WaremillError as error:
            self.view.problem(error)
            self._tell("idle")

    async def _send(self, given: Mapping[str, Any]) -> None:
        if self.live is not None:
            return
        workspace = await self.view.workspace()
        text, edits, retries = given.get("text"), given.get("edits"), given.get("retries")
        asking = Asking(
            text if isinstance(text, str) and text.strip() else None, self.number,
            _number(edits), _number(retries), tuple(self.bases.value or ()), self.catalog.value,
            self.model.value,
        )  # fmt: skip
        self.live = live = await chatting.begin(workspace, asking, self._hear)
        first = self.number is None
        self.number = live.conversation
        await self._show()
        if first:
            self._tell("at", f"/chat?c={live.conversation}")
        self.view.beside(self._follow(live))

    async def _follow(self, live: Live) -> None:
        """Wait for a reply's end, then show the turn as it is kept."""
        try:
            await live.ended()
        finally:
            self.live = None
            self._flush()
        await self._show()
        await self._list()

    def _hear(self, event: Event) -> None:
        self.events.append(chat_shapes.event(self.view, event))

    def _flush(self) -> None:
        if self.events:
            said, self.events = self.events, []
            self._tell("hear", said)

    async def _stop(self, _given: Mapping[str, Any]) -> None:
        if self.live is not None:
            self.live.stop()

    async def _permit(self, given: Mapping[str, Any]) -> None:
        if self.number is not None:
            await chatting.permit(
                await self.view.workspace(), self.number, str(given.get("call")),
                allow=given.get("allow") is True,
            )  # fmt: skip

    async def _opened(self, given: Mapping[str, Any]) -> None:
        if (number := _number(given.get("id"))) is not None:
            await self._open(number)

    async def _open(self, number: int) -> None:
        self._left()
        self.number = number
        shown = await self._show()
        conversation = shown.conversation
        known = self.model.options
        if conversation.model in known:
            self.model.set_value(conversation.model)
        self.bases.set_value([one for one in conversation.knowledge if one in self.bases.options])
        if conversation.catalog in self.catalog.options:
            self.catalog.set_value(conversation.catalog)
        self._tell("at", f"/chat?c={number}")

    async def _show(self) -> chatting.Shown:
        assert self.number is not None
        workspace = await self.view.workspace()
        shown = await chatting.show(workspace, self.number)
        self.view.title(shown.conversation.title)
        self._tell("show", chat_shapes.conversation(self.view, shown))
        return shown

    async def _list(self) -> None:
        page = await chatting.listed(await self.view.workspace(), size=LISTED)
        self.next = page.next
        self._tell("list", self._listed(page.rows, more=False))

    async def _more(self, _given: Mapping[str, Any]) -> None:
        if self.next is not None:
            workspace = await self.view.workspace()
            page = await chatting.listed(workspace, cursor=self.next, size=LISTED)
            self.next = page.next
            self._tell("list", self._listed(page.rows, more=True))

    def _listed(self, rows: tuple[Listed, ...], *, more: bool) -> dict[str, Any]:
        shown = [
            {
                "id": one.conversation.id, "title": one.conversation.title,
                "at": self.view.moment(one.conversation.changed_at),
            }
            for one in rows
        ]  # fmt: skip
        return {"rows": shown, "more": more, "next": self.next is not None}

    async def _newly(self, _given: Mapping[str, Any]) -> None:
        self._new()

    def _new(self) -> None:
        self._left()
        self.number = None
        self.view.title(self.view.t("nav.chat"))
        self._tell("show", None)
        self._tell("at", "/chat")

    async def _branch(self, given: Mapping[str, Any]) -> None:
        turn = _number(given.get("turn"))
        if self.number is not None and turn is not None:
            await chatting.choose(await self.view.workspace(), self.number, turn)
            await self._show()

    async def _rename(self, given: Mapping[str, Any]) -> None:
        number = _number(given.get("id"))
        if number is None:
            return
        t = self.view.t
        found = await chatting.find(await self.view.workspace(), number)

        def draw() -> dialogs.Save:
            box = ui.input(t("chat.title"), value=found.title).props("autofocus")

            async def save() -> None:
                await chatting.rename(await self.view.workspace(), number, box.value or "")

            return save

        if await dialogs.ask(self.view, t("chat.rename"), t("chat.rename"), draw):
            await self._list()
            if number == self.number:
                await self._show()

    async def _delete(self, given: Mapping[str, Any]) -> None:
        number = _number(given.get("id"))
        if number is None:
            return
        found = await chatting.find(await self.view.workspace(), number)
        question = self.view.t("chat.delete_question", title=found.title)
        if await self.view.confirm(question, self.view.t("chat.delete"), danger=True):
            await chatting.delete(await self.view.workspace(), number)
            if number == self.number:
                self._new()
            await self._list()

    def _left(self) -> None:
        """Stop the reply of a page that was left: nobody reads it any more."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 62 else None


__all__ = ["chat_page"]
