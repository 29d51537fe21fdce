"""Where an unsigned browser is sent, and back: never to another server."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

LOGIN = "/login"


def safe_next(text: str | None) -> str:
    """Give a path of this server to go to after the sign-in; `/` for anything else.

    Only an absolute path counts: no scheme, no host, no `//`, no backslash (browsers read it as a
    slash), no control character, and not the sign-in itself.
    """
    if not text or len(text) > 2000 or not text.startswith("/") or text.startswith("//"):
        return "/"
    if "\\" in text or any(ord(one) < 0x20 or ord(one) == 0x7F for one in text):
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path.rstrip("/") == LOGIN:
        return "/"
    return text


def login_address(path: str, query: str = "") -> str:
    """Give the sign-in's address that leads back to a page."""
    back = safe_next(f"{path}?{query}" if query else path)
    return LOGIN if back == "/" else f"{LOGIN}?next={quote(back, safe='/')}"
