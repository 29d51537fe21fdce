"""HTML elements whose text is escaped by construction.

Whatever is not already `Html` is escaped, so product data can never become markup. The output is
also well-formed XML. Knows nothing of reports.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# Characters HTML cannot hold, and broken surrogates, which UTF-8 cannot.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Embeddings, overrides and isolates (UAX #9): invisible, and able to reorder what follows.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_VOID = {"meta", "br", "input", "hr"}


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
Attribute = str | int | float | bool | None


def text(value: str) -> Html:
    """Escape text; what cannot be shown becomes U+FFFD, and direction controls become visible."""
    escaped = html.escape(_FORBIDDEN.sub("\ufffd", value), quote=True)
    return Html(_BIDI.sub(_visible, escaped))


def _visible(match: re.Match[str]) -> str:
    return f'<span class="control">U+{ord(match[0]):04X}</span>'


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Make an element. A trailing `_` is dropped from an attribute's name, other `_` become `-`.

    An attribute that is None or False is left out; True repeats its name.
    """
    parts = [f"<{tag}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.removesuffix("_").replace("_", "-")
        shown = key if value is True else _attribute(value)
        parts.append(f' {key}="{shown}"')
    if tag in _VOID:
        return Html("".join([*parts, " />"]))
    return Html("".join([*parts, ">", join(*children), f"</{tag}>"]))


def _attribute(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return html.escape(_BIDI.sub("\ufffd", _FORBIDDEN.sub("\ufffd", str(value))), quote=True)


def join(*children: Child) -> Html:
    """Put children one after the other; text among them is escaped, None left out."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(text(child))
        else:
            parts.append(join(*child))
    return Html("".join(parts))
