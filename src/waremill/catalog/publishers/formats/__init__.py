"""The formats accepted content is published in: feeds, marketplace files, databases.

A format is one module here with one function marked `@channel_format`; adding one is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from waremill.catalog.publishers.channel import FormatInfo
from waremill.errors import ConfigError


def formats() -> dict[str, FormatInfo]:
    """Give the formats by name, in alphabetical order."""
    found: dict[str, FormatInfo] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            info = getattr(value, "channel_format", None)
            if isinstance(info, FormatInfo):
                found[info.name] = info
    return dict(sorted(found.items()))


def find_format(name: str) -> FormatInfo:
    """Find a format by its name; raise ConfigError naming the nearest, or all."""
    known = formats()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean “{near[0]}”?" if near else f"; known are {', '.join(known)}"
        raise ConfigError(f"there is no format “{name}” to publish in{hint}")
    return known[name]


__all__ = ["find_format", "formats"]
