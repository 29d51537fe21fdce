"""The headers of every answer: what a browser may do with it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For the API, files and everything that is no page of the console."""
FILE_POLICY = f"{STRICT_POLICY}; style-src 'unsafe-inline'; img-src data:"
"""For a document that is shown, such as a run's report: its own style and pictures, no script."""
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; frame-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""For the console's pages: only the own origin. Vue compiles its templates in the page, and
NiceGUI writes scripts and styles into it, so inline and eval cannot be refused there."""

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with it, browsers send `Origin: null` with a form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NEVER = ("access-control-allow-origin", "access-control-allow-credentials")
"""Nothing is shared with other origins; the socket library would offer it to everybody."""
_NO_PAGES = ("/v1/", "/download/", "/_nicegui/", "/_nicegui_ws/")


def write_headers(headers: MutableHeaders, path: str) -> None:
    """Add what every answer carries. A policy and a cache rule the route set itself stay."""
    for name, value in _ALWAYS.items():
        headers[name] = value
    for name in _NEVER:
        if name in headers:
            del headers[name]
    html = headers.get("content-type", "").partition(";")[0].strip() == "text/html"
    policy = STRICT_POLICY
    if html:
        policy = FILE_POLICY if path.startswith(_NO_PAGES) else PAGE_POLICY
    headers.setdefault("content-security-policy", policy)
    headers.setdefault("cache-control", "no-store")
