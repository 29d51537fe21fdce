"""What a template, or a step, looks for in the shop's knowledge: the `context` section.

    context: {knowledge: [manuals, policies], query: "{{ name }}", top: 3,
              where: {brand: "{{ brand }}", language: "{{ language_code }}"}}

Reads it and renders it to searches; who searches is not this room's business. A filter that renders
to nothing stays: it then matches only documents that state nothing there, so that a product without
a brand is never given another brand's passages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from waremill.domain import Search
from waremill.templates import typed
from waremill.templates.document import Node, Problems
from waremill.templates.expressions import Names, Text, compile_text
from waremill.templates.filters import ExpressionError

Found = TypeVar("Found")
Filter: TypeAlias = Text | tuple[Text, ...] | bool | int | float
MOST_PASSAGES = 50
NOTHING = "∅"
"""What a filter without a value asks for: no document states it, so those with none are kept."""
SETTINGS = ("knowledge", "query", "top", "where")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Which knowledge to search, with which query, for how many passages, among which documents.

    `where` are filters by the name of a document's metadata. `line` says where it was written.
    """

    knowledge: tuple[str, ...]
    query: Text
    top: int
    where: Mapping[str, Filter] = field(default_factory=dict)
    line: int = 1

    @property
    def texts(self) -> Iterator[Text]:
        """Every text that is rendered for a product."""
        yield self.query
        for one in self.where.values():
            if isinstance(one, Text):
                yield one
            elif isinstance(one, tuple):
                yield from one

    @property
    def names(self) -> Names:
        """Every name the texts read."""
        every = [text.names for text in self.texts]
        return Names(
            frozenset().union(*(one.free for one in every)),
            frozenset().union(*(one.params for one in every)),
            frozenset().union(*(one.tolerated for one in every)),
            frozenset().union(*(one.columns for one in every)),
        )

    def searches(self, variables: Mapping[str, Any]) -> tuple[Search, ...]:
        """Render the searches, one a base; none where the query renders to nothing.

        Raises ExpressionError where a text passes a limit.
        """
        query = " ".join(self.query.render(variables).split())
        if not query:
            return ()
        where = {name: _rendered(one, variables) for name, one in self.where.items()}
        return tuple(Search(name, query, self.top, where) for name in self.knowledge)


def _rendered(one: Filter, variables: Mapping[str, Any]) -> Any:
    if isinstance(one, Text):
        return one.render(variables) or NOTHING
    if isinstance(one, tuple):
        texts = [text.render(variables) for text in one]
        return [text for text in texts if text] or NOTHING
    return one


def merged(found: Sequence[Sequence[Found]], top: int) -> tuple[Found, ...]:
    """Take the best of several bases' finds in turn: first every base's first, then the seconds.

    Scores of two bases cannot be compared, ranks can.
    """
    longest = max(map(len, found), default=0)
    in_turn = [some[rank] for rank in range(longest) for some in found if rank < len(some)]
    return tuple(in_turn[:top])


def read_retrieval(node: Node | None, problems: Problems) -> Retrieval | None:
    """Read a `context` section; note problems and give None where it cannot be used."""
    if node is None:
        return None
    if not isinstance(node.value, dict):
        problems.error("`context` is `{knowledge: NAME, query: …, top: 3}`", node.line)
        return None
    typed.allow(node, SETTINGS, "setting of `context`", problems)
    knowledge = tuple(dict.fromkeys(typed.texts(node.get("knowledge"), "`knowledge`", problems)))
    query = node.get("query")
    source = typed.text(query, "`query`", problems)
    if not knowledge or query is None or source is None:
        problems.error("`context` needs `knowledge` and `query`", node.line)
        return None
    text = _compiled(source, query, problems)
    where = _filters(node.get("where"), problems)
    top = typed.whole(node.get("top"), "`top`", problems) or 3
    if text is None:
        return None
    return Retrieval(knowledge, text, min(top, MOST_PASSAGES), where, node.line)


def _filters(node: Node | None, problems: Problems) -> dict[str, Filter]:
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        problems.error('`where` is `{NAME: VALUE}`, such as `{brand: "{{ brand }}"}`', node.line)
        return {}
    found: dict[str, Filter] = {}
    for name, part in node.items():
        value = part.value
        if isinstance(value, list):
            texts = [_compiled(str(one.plain()), one, problems) for one in value]
            found[name] = tuple(text for text in texts if text is not None)
        elif isinstance(value, (bool, int, float)):
            found[name] = value
        elif isinstance(value, str):
            if (text := _compiled(value, part, problems)) is not None:
                found[name] = text
        else:
            problems.error(f"`{name}` must be a value or a list of values", part.line)
    return found


def _compiled(source: str, node: Node, problems: Problems) -> Text | None:
    try:
        return compile_text(source)
    except ExpressionError as error:
        problems.error(error.message, node.text_line + error.line - 1)
        return None


def compile_retrieval(
    knowledge: Sequence[str],
    query: str,
    top: int,
    where: Mapping[str, str | Sequence[str]],
    fail: Callable[[str], None],
) -> Retrieval:
    """Make a retrieval of a step's settings; `fail` is told what is wrong and raises."""
    filters: dict[str, Filter] = {}
    text = Text("")
    try:
        text = compile_text(query)
        for name, value in where.items():
            filters[name] = (
                compile_text(value) if isinstance(value, str) else tuple(map(compile_text, value))
            )
    except ExpressionError as error:
        fail(error.message)
    return Retrieval(tuple(knowledge), text, min(top, MOST_PASSAGES), filters)
