"""NiceGUI on our application: own files only, no session of its own, nothing from the network."""

from __future__ import annotations

import hashlib
import logging
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from nicegui import app as console_app
from nicegui import ui
from nicegui.client import Client

from waremill.app import Workspace
from waremill.errors import WaremillError
from waremill.web import pages
from waremill.web.pages import serving
from waremill.web.pages.charts import ACCENT
from waremill.web.pages.shell import is_noted

STATIC = Path(__file__).resolve().parents[1] / "static"
STATIC_PATH = "/_waremill"
OPEN_PATHS = tuple(f"{STATIC_PATH}/{file.name}" for file in sorted(STATIC.iterdir()))
"""What the sign-in page needs before anybody has signed in."""


def mount(app: FastAPI, workspace: Workspace) -> None:
    """Import every page and mount NiceGUI at `/`; a second time in a process mounts it anew."""
    serving.serve(workspace)
    first = not Client.shared_head_html
    if first:
        _quiet_user_errors()
        console_app.add_static_files(STATIC_PATH, STATIC, max_cache_age=86_400)
        Client.shared_head_html = head()
        _defaults()
    for module in iter_modules(pages.__path__):
        import_module(f"{pages.__name__}.{module.name}")
    import_module(f"{pages.__name__}.downloads").install(app)
    import_module(f"{pages.__name__}.login").install(app)
    import_module(f"{pages.__name__}.nowhere").install(console_app)
    # NiceGUI adds its middleware each time, which Starlette allows before the first request only.
    console_app.middleware_stack = None
    console_app.user_middleware.clear()

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/catalogue", status_code=303)

    ui.run_with(
        app,
        title="Waremill",
        favicon=(STATIC / "waremill.svg").read_text(encoding="utf-8"),
        tailwind=False,
        language=None,
        show_welcome_message=False,
        reconnect_timeout=10.0,
        cache_control_directives="private, max-age=86400",
    )


def head() -> str:
    """Give the lines of a page's head that load our style and script."""

    def path(name: str) -> str:
        digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        return f"{STATIC_PATH}/{name}?{digest}"

    return (
        f'<link rel="stylesheet" href="{path("console.css")}">'
        f'<script defer src="{path("console.js")}"></script>'
    )


def _defaults() -> None:
    """Make NiceGUI's inputs and buttons plain everywhere, so that pages need not."""
    console_app.config.quasar_config["brand"].update(primary=ACCENT, negative="#a1260d")
    ui.button.default_props("unelevated no-caps dense :ripple=false")
    for box in (ui.input, ui.select, ui.number, ui.textarea, ui.input_chips):
        box.default_props("outlined dense hide-bottom-space stack-label")
    ui.tab.default_props("no-caps :ripple=false")
    ui.checkbox.default_props("dense")
    ui.radio.default_props("dense")
    ui.switch.default_props("dense")
    ui.upload.default_props("flat bordered")


class _NoUserErrors(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what is the user's to fix, and bugs that are in the log already."""
        error = record.exc_info[1] if record.exc_info else None
        return error is None or not (isinstance(error, WaremillError) or is_noted(error))


def _quiet_user_errors() -> None:
    from nicegui.logging import log

    log.addFilter(_NoUserErrors())
