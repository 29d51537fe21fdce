"""Finds, in the source, the English sentences that the application says to a person.

A sentence is what an error, a finding, a problem of a file or a note is made of, as it is written:
values are cut out. Nothing is run; a name is followed to what was assigned to it in its function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import waremill
from waremill import errors

SOURCE = Path(waremill.__file__).parent
ERRORS = {
    *(name for name, one in vars(errors).items() if isinstance(one, type)
      and issubclass(one, errors.WaremillError)),
    "SelectionError", "ExpressionError", "NoObject", "ValueError",
}  # fmt: skip
"""Calls whose first argument is a sentence."""
METHODS = {"error", "warning", "hint", "fail", "unavailable", "broken"}
FURTHER = {"Finding": 3, "finding": 1, "Ended": 1}
"""Calls whose sentence is another argument."""
_MOST = 5


@dataclass(frozen=True)
class Raised:
    """A sentence as it is written, with a mark for what varies: `\\0`, `\\1` for a hint."""

    place: str
    text: str

    def filled(self) -> tuple[str, str]:
        """Give the sentence with something in its places: without its hints, and with them."""
        whole = self.text.replace("\0", "x1")
        return whole.replace("\1", ""), whole.replace("\1", "x1")


def raised(*rooms: str) -> Iterator[Raised]:
    """Give the sentences of rooms: folders or files below `waremill`."""
    for room in rooms:
        path = SOURCE / room
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from _in_file(file)


def words_written() -> Iterator[str]:
    """Give every text that stands in the source, but for the console's own."""
    for file in sorted(SOURCE.rglob("*.py")):
        if file.is_relative_to(SOURCE / "web" / "strings"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _in_file(file: Path) -> Iterator[Raised]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    place = str(file.relative_to(SOURCE))
    vendor = place.startswith("providers")
    for node, names in _calls(tree, _assigned(tree.body)):
        argument = _sentence_of(node)
        if argument is None:
            continue
        called = _name(node.func)
        for text in _texts(argument, names, 0):
            if " " in text.strip("\0\1 ") and any(one.isalpha() for one in text):
                own = vendor and called in ("unavailable", "broken")
                yield Raised(f"{place}:{node.lineno}", f"x1 {text}" if own else text)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _sentence_of(node: ast.Call) -> ast.expr | None:
    called = _name(node.func)
    method = isinstance(node.func, ast.Attribute)
    place = FURTHER.get(called, 0)
    if called in ("add", "append") and method:
        # `problems.add(row, sentence)`, `notes.append(sentence)`
        owner = ast.unparse(node.func)
        place = 1 if owner.endswith("problems.add") else 0
        if not owner.endswith(("problems.add", "notes.append")):
            return None
    elif not (called in ERRORS or called in FURTHER or (method and called in METHODS)):
        return None
    if isinstance(node.func, ast.Attribute) and _name(node.func.value) in ("log", "LOG"):
        return None
    return node.args[place] if len(node.args) > place else None


Names = Mapping[str, list[ast.expr]]


def _assigned(body: list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _calls(node: ast.AST, names: Names) -> Iterator[tuple[ast.Call, Names]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = {**names, **_assigned(node.body)}
    if isinstance(node, ast.Call):
        yield node, names
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, names)


def _texts(node: ast.expr, names: Names, depth: int) -> list[str]:
    """Give what an expression may be, as texts; nothing for what is passed on from elsewhere."""
    if depth > _MOST:
        return []
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            found = [""]
            for part in parts:
                more = [part.value] if isinstance(part, ast.Constant) else [_hole(part)]
                found = [f"{one}{two}" for one in found for two in more]
            return found
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            firsts = _texts(left, names, depth + 1)
            lasts = _texts(right, names, depth + 1) or [_hole(right)]
            return [f"{one}{two}" for one in firsts for two in lasts]
        case ast.IfExp(body=one, orelse=other):
            return _texts(one, names, depth + 1) + _texts(other, names, depth + 1)
        case ast.Name(id=name) if name in names:
            return [text for value in names[name] for text in _texts(value, names, depth + 1)]
    return []


def _hole(node: ast.expr) -> str:
    """Give the mark of what varies; of what says “did you mean …?” it may be nothing."""
    written = ast.unparse(node)
    hints = ("suggestion", "did_you_mean", "hint", "rest", "near", "more", "because")
    return "\1" if any(hint in written for hint in hints) else "\0"
