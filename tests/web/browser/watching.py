"""Pages of a browser with an eye on them: where their requests go, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

SIZE: Any = {"width": 1280, "height": 800}
PATIENCE = 20_000
"""Milliseconds a locator waits: two busy cores are slow."""
LOCALES = {"en": "en-US", "zh": "zh-CN"}
_CSP = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@dataclass
class Watching:
    """Opens pages and notes each request, error and dialog of them."""

    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def page(self, language: str) -> Page:
        """Open an empty page of somebody whose browser speaks a language."""
        context = self.browser.new_context(
            viewport=SIZE, locale=LOCALES[language], timezone_id="UTC", reduced_motion="reduce",
            accept_downloads=True,
        )  # fmt: skip
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_CSP)
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        context.on("dialog", self._dialog)
        page = context.new_page()
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        return page

    def close(self) -> None:
        """Close what was opened."""
        for context in self.contexts:
            context.close()

    def outside(self) -> list[str]:
        """Give the requests that were for another machine."""
        return [url for url in self.requests if not _is_own(url)]

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert") or "CSP" in message.text:
            self.wrong.append(f"console: {message.text} ({message.location.get('url')})")

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def _is_own(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme in ("data", "blob", "about"):
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
