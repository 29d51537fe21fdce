"""What every page of the console has: the frame, its words, its keys, and who looks at it.

    @console("/runs/{name}", "run.title")
    async def run_page(view: View, name: str) -> None:
        workspace = await view.workspace()
        ui.label(view.t("items.count", count=4318))

A `UserError` raised in a page, or later in one of its handlers, is shown as one sentence in place;
so are the other errors we raise on purpose. A bug shows a reference, under which the log has it.
What the application says in English is said in the page's language. No Tailwind is loaded: classes
are in `console.css`.
Data never reach `ui.html`, `ui.markdown`, or the names of an AG Grid's or ECharts' options.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, get_type_hints
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui
from nicegui.element import Element

from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.domain import Finding
from waremill.errors import Forbidden, NotFound, WaremillError
from waremill.web.pages import figures, frame, serving
from waremill.web.strings import LANGUAGES, Language, sentences, translate, word

Build = TypeVar("Build", bound=Callable[..., Awaitable[None]])
LANGUAGE_COOKIE = "waremill_language"
ZONE_COOKIE = "waremill_zone"
SECONDS_TO_BUILD = 30.0
SECONDS_TO_ANSWER = SECONDS_TO_BUILD + 15
"""NiceGUI's own limit, which shows a page of its own: ours must come first."""
SECONDS_TO_ASK = 10.0
"""What a busy browser gets to say what is chosen in it; NiceGUI gives it one second."""
_NOTED = "reference "
log = logging.getLogger(__name__)


class View:
    """One page as one person sees it: language, workspace, problems, keys."""

    def __init__(self, request: Request, actor: Actor, title_key: str) -> None:
        self.request = request
        self.actor = actor
        self.path = request.url.path
        self.title_key = title_key
        self.csrf: str = getattr(request.state, "csrf", "")
        self.language: Language = language_of(request)
        self._zone = figures.zone_of(request.cookies.get(ZONE_COOKIE))
        self.keys: list[tuple[str, str]] = []
        self._handlers: dict[str, Callable[[], Any]] = {}
        self.frame: frame.Frame

    # Words and figures.

    def t(self, key: str, /, **values: Any) -> str:
        """Give a text in the page's language, its places filled."""
        return translate(self.language, key, **values)

    def word(self, area: str, name: str) -> str:
        """Give the word for a code such as a state: `word("state", "review")`."""
        return word(self.language, area, name)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Write a number; a dash for None."""
        return figures.number(value, digits)

    def nano(self, value: float | None) -> str:
        """Write nano-USD in the workspace's currency."""
        settings = serving.served().settings
        return self.money(None if value is None else value / figures.NANO * settings.per_usd)

    def money(self, value: float | None) -> str:
        """Write an amount that is in the workspace's currency already."""
        return figures.amount(value, serving.served().settings.currency)

    def share(self, value: float | None) -> str:
        """Write a rate of 0 to 1 as per cent."""
        return figures.share(value)

    def moment(self, seconds: float | None) -> str:
        """Write Unix seconds as a date and time of the viewer's time zone."""
        return figures.moment(seconds, self.language, self._zone)

    def duration(self, seconds: float | None) -> str:
        """Write a duration in seconds, such as `1 h 24 min`."""
        return figures.duration(seconds, self.language)

    # Who and what.

    async def workspace(self) -> Workspace:
        """Give the workspace as the viewer may use it now; raises Forbidden when signed out."""
        return await serving.acting(self.request)

    # What happens.

    def title(self, text: str) -> None:
        """Set the page's heading and the browser tab's title."""
        self.frame.heading.set_text(text)
        ui.page_title(f"{text} · Waremill")

    def problem(self, error: Exception | str, place: Element | None = None) -> None:
        """Show one sentence at the top of the page, or in `place` instead of what it held."""
        if place is not None and not place.is_deleted:
            place.clear()
            with place:
                frame.sentence(self.sentence(error))
            return
        self.frame.show_problem(self.sentence(error))

    def sentence(self, error: Exception | str) -> str:
        """Say an error, or what the application says, in one sentence of the page's language.

        One that is our bug says only under which reference the log has it.
        """
        if isinstance(error, str):
            return sentences.say(self.language, error)
        if isinstance(error, WaremillError):
            return sentences.say_error(self.language, error)
        return self.t("shell.bug", reference=note_bug(error, self.request))

    def failure(self, kind: str, message: str) -> str:
        """Say why something failed whose error is kept as its kind and its message."""
        return sentences.say_kind(self.language, sentences.kinds_above(kind), message)

    def finding(self, found: Finding | Mapping[str, Any]) -> str:
        """Say what a check found."""
        return sentences.say_finding(self.language, found)

    def rule(self, name: str) -> str:
        """Name a check."""
        return sentences.say_rule(self.language, name)

    def say(self, text: str) -> None:
        """Say that something was done, for some seconds."""
        ui.notify(text, position="bottom", timeout=4000, classes="wm-said")

    @contextmanager
    def steady(self, place: Element) -> Iterator[None]:
        """Draw a place anew, keeping the keyboard's focus on the same link or button in it."""
        place.client.run_javascript(f"waremill.keepFocus({place.id})")
        place.clear()
        with place:
            yield

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside all else on this page; cancel the task to stop it."""

        async def guarded() -> None:
            with self.frame.main:
                try:
                    await work
                except Exception as error:
                    if client.is_deleted:  # the page was left meanwhile; nobody waits any more
                        return
                    self.problem(error)

        client = self.frame.main.client
        task = background_tasks.create(guarded(), name=f"beside {self.path}")
        client.on_delete(task.cancel)
        return task

    def later(self, work: Callable[[], Any]) -> None:
        """Do something once the page stands in the browser, so that it shows at once."""
        ui.timer(0.02, work, once=True)

    def key(self, key: str, label_key: str, handler: Callable[[], Any]) -> None:
        """Bind a key on this page and list it under `?`.

        Names are a browser's: `a`, `A`, `Enter`, `ArrowDown`, `Escape`; with `Ctrl+`, `Alt+`.
        Keys typed into an input, or while a dialog is open, stay there (Ctrl and Alt ones too).
        """
        if not self._handlers:
            ui.on("waremill_key", lambda event: self._handlers[event.args](), args=None)
        self.keys.append((key, self.t(label_key)))
        self._handlers[key] = handler
        self.frame.list_keys(self.keys)

    async def confirm(self, question: str, action: str, *, danger: bool = False) -> bool:
        """Ask before something is done; True when the button named `action` was pressed."""
        with ui.dialog() as dialog, ui.element("form").classes("wm-dialog") as form:
            form.on("submit.prevent", lambda: dialog.submit(True))
            ui.label(question).classes("wm-question")
            with ui.element("div").classes("wm-actions"):
                ui.button(self.t("shell.back"), on_click=lambda: dialog.submit(False)).classes(
                    "wm-quiet"
                )
                button = ui.button(action).props("type=submit autofocus")
                if danger:
                    button.classes("wm-danger")
        answer = await dialog
        frame.put_away(dialog)
        return bool(answer)


def note_bug(error: BaseException, request: Request) -> str:
    """Write a bug of ours into the log; give the reference that a person is told."""
    known = [note for note in getattr(error, "__notes__", ()) if note.startswith(_NOTED)]
    if known:
        return str(known[0]).removeprefix(_NOTED)
    reference = secrets.token_hex(4)
    error.add_note(f"{_NOTED}{reference}")
    fields = {
        "reference": reference, "page": request.url.path,
        "request": getattr(request.state, "request_id", None),
    }  # fmt: skip
    log.error("a page failed", exc_info=error, extra={"fields": fields})
    return reference


def is_noted(error: BaseException) -> bool:
    """Say whether a bug stands in the log already."""
    return any(note.startswith(_NOTED) for note in getattr(error, "__notes__", ()))


def language_of(request: Request) -> Language:
    """Give the language a person chose, or else the one their browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    for known in LANGUAGES:
        if known == chosen:
            return known
    wanted = request.headers.get("accept-language", "").lower()
    return "zh" if wanted.startswith("zh") else "en"


def console(path: str, title_key: str) -> Callable[[Build], Build]:
    """Make a page of the console of `async def page(view, …)`; further parameters are the URL's."""

    def decorate(build: Build) -> Build:
        async def draw(request: Request, **given: Any) -> RedirectResponse | None:
            actor = serving.actor_of(request)
            if actor is None:
                asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/login?next={quote(asked)}", status_code=303)
            view = View(request, actor, title_key)
            view.frame = frame.draw(view)
            view.title(view.t(title_key))
            ui.on_exception(view.problem)
            with view.frame.main:
                try:
                    async with asyncio.timeout(SECONDS_TO_BUILD):
                        await build(view, **given)
                except TimeoutError:
                    ui.context.client.status_code = 503
                    view.problem(view.t("shell.slow"))
                except Exception as error:  # whatever it is, a person sees our page
                    ui.context.client.status_code = _status(error)
                    view.problem(error)
            return None

        hints = get_type_hints(build)
        own = list(inspect.signature(build).parameters.values())[1:]
        asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
        parameters = [
            one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for one in own
        ]
        draw.__signature__ = inspect.Signature([asked, *parameters])  # type: ignore[attr-defined]
        draw.__name__ = build.__name__
        ui.page(path, response_timeout=SECONDS_TO_ANSWER)(draw)
        return build

    return decorate


def _status(error: Exception) -> int:
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Forbidden):
        return 403
    return 422 if isinstance(error, WaremillError) else 500
