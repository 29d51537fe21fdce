"""Reads YAML nodes as values of a wanted type; what does not fit is a problem with its line."""

from __future__ import annotations

from collections.abc import Collection

from waremill.templates.document import Node, Problems, did_you_mean, names_list


def allow(node: Node, known: Collection[str], what: str, problems: Problems) -> None:
    """Note every name of a mapping that is not known."""
    for name, inner in node.items():
        if name not in known:
            rest = did_you_mean(name, known) or f"; it may have {names_list(known)}"
            problems.error(f"unknown {what} `{name}`{rest}", inner.line)


def text(node: Node | None, what: str, problems: Problems) -> str | None:
    """Read a text; numbers are taken as written."""
    if node is None or node.value is None:
        return None
    if isinstance(node.value, (list, dict, bool)):
        problems.error(f"{what} must be text, not {node.kind}", node.line)
        return None
    return str(node.value)


def whole(node: Node | None, what: str, problems: Problems, least: int = 1) -> int | None:
    """Read a whole number that is at least `least` and at most ten million."""
    if node is None or node.value is None:
        return None
    value = node.value
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 10_000_000:
        shown = node.kind if isinstance(value, (list, dict)) else f"“{value}”"
        problems.error(f"{what} must be a whole number from {least}, not {shown}", node.line)
        return None
    return value


def number(node: Node | None, what: str, problems: Problems) -> float | None:
    """Read a number."""
    if node is None or node.value is None:
        return None
    if not isinstance(node.value, (int, float)) or isinstance(node.value, bool):
        problems.error(f"{what} must be a number, not {node.kind}", node.line)
        return None
    return node.value


def flag(node: Node | None, what: str, problems: Problems, default: bool) -> bool:
    """Read true or false."""
    if node is None or node.value is None:
        return default
    if not isinstance(node.value, bool):
        problems.error(f"{what} must be true or false, not “{node.plain()}”", node.line)
        return default
    return node.value


def choice(node: Node | None, what: str, known: Collection[str], problems: Problems) -> str | None:
    """Read one of the known words."""
    value = text(node, what, problems)
    if node is None or value is None:
        return None
    if value not in known:
        rest = did_you_mean(value, known) or f"; it is one of {names_list(known)}"
        problems.error(f"{what} cannot be `{value}`{rest}", node.line)
        return None
    return value


def texts(node: Node | None, what: str, problems: Problems) -> tuple[str, ...]:
    """Read a list of texts; one text counts as a list of one."""
    if node is None or node.value is None:
        return ()
    parts = node.value if isinstance(node.value, list) else [node]
    found = [text(part, what, problems) for part in parts]
    return tuple(one.strip() for one in found if one and one.strip())
