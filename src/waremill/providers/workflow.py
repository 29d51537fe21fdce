"""A ComfyUI workflow with places to fill in.

It is the JSON that ComfyUI's menu *Export (API)* writes, in which texts such as `"{{prompt}}"`
stand where values belong. Pure. What is filled in is never looked at again, so that no product's
text can stand for another place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from waremill.errors import ConfigError

_PLACE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow's nodes by number, and the names of the places in it."""

    nodes: Mapping[str, Any]
    places: frozenset[str]

    @staticmethod
    def read(text: str) -> Workflow:
        """Read a workflow's file; raise ConfigError with one sentence."""
        try:
            nodes = orjson.loads(text)
        except ValueError as error:
            raise ConfigError(f"the workflow is not JSON: {error}") from None
        if not isinstance(nodes, dict) or "nodes" in nodes:
            raise ConfigError(
                "the workflow is not in the API's format; save it with ComfyUI's “Export (API)”"
            )
        for number, node in nodes.items():
            if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
                raise ConfigError(
                    f"the workflow's “{number}” is no node with a class_type; save it with "
                    "ComfyUI's “Export (API)”"
                )
        places = frozenset(_PLACE.findall(text))
        if "prompt" not in places:
            raise ConfigError('the workflow has no "{{prompt}}" where the prompt belongs')
        return Workflow(nodes, places)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of nodes in it, each once."""
        return tuple(dict.fromkeys(node["class_type"] for node in self.nodes.values()))

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give the nodes with values in their places.

        A text that is nothing but a place becomes the value, a number for a number; inside a longer
        text the value is written out. Raises ConfigError for a place without a value.
        """
        missing = sorted(name for name in self.places if values.get(name) is None)
        if missing:
            known = ", ".join(sorted(name for name, value in values.items() if value is not None))
            raise ConfigError(
                f'the workflow has a place "{{{{{missing[0]}}}}}", and the request has nothing for '
                f"it; it has {known}"
            )
        found: dict[str, Any] = _fill(self.nodes, values)
        return found


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        if whole is not None:
            return values[whole[1]]
        return _PLACE.sub(lambda match: str(values[match[1]]), value)
    if isinstance(value, Mapping):
        return {name: _fill(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, values) for one in value]
    return value
