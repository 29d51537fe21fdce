"""YAML that a document or a folder says of itself: names with plain values.

Who wrote it is unknown, so what could be more than it looks like is refused: anchors, by which a
few lines become gigabytes, and deep nesting.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from waremill.domain import storable

DEEPEST = 20
"""Values inside each other."""
_WIDEST = 1 << 63
"""Whole numbers beyond are text: neither JSON nor a database knows them."""


class NotPlain(ValueError):
    """What is no plain YAML; `line` counts from 0 where it is known."""

    def __init__(self, line: int | None = None) -> None:
        super().__init__("this is no plain YAML")
        self.line = line


def read_values(text: str) -> Mapping[str, Any] | None:
    """Give the values by name, empty ones left out; None for YAML that names none.

    Dates stay text. Raises NotPlain.
    """
    import yaml

    try:
        found = yaml.load(text, _loader())
        if found is None:
            return {}
        if not isinstance(found, dict):
            return None
        return {storable(str(name)): _plain(one) for name, one in found.items() if one is not None}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotPlain(None if mark is None else mark.line) from None
    except (ValueError, OverflowError, RecursionError):  # such as numbers of 5,000 digits
        raise NotPlain from None


def _plain(value: Any) -> Any:
    """Give a value as JSON knows it."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {storable(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _WIDEST):
        return value
    return storable(str(value))


@lru_cache(maxsize=1)
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.depth > DEEPEST or self.check_event(yaml.AliasEvent):
                event: Any = getattr(self, "peek_event")()  # noqa: B009 it has no types
                raise yaml.composer.ComposerError(None, None, "no plain value", event.start_mark)
            self.depth += 1
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

    # A date stays as it is written: one that cannot be, such as 2027-02-30, is no error here.
    Loader.yaml_implicit_resolvers = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
