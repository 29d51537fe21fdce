"""The syntax of filters: parsed by sqlglot within limits, its names found among the columns.

Pure. Whatever the text, it answers with a tree of bounded size or one plain sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokens import Token, TokenType

from waremill.errors import UserError, Where

_LONGEST_TEXT = 400_000
_MOST_TOKENS = 40_000
_DEEPEST = 25
_LARGEST = 1_000
_EXAMPLE = "write conditions such as category = 'Perfume' AND price > 30"
_TOO_DEEP = "the conditions are nested too deeply"


class SelectionError(UserError):
    """A filter or ordering that cannot be understood; one line, whatever the names in it."""

    def __init__(self, message: str, where: Where | None = None) -> None:
        super().__init__(" ".join(message.split()), where)


def parse(text: str, into: type[exp.Expr]) -> exp.Expr:
    """Parse with SQLite's grammar, which also takes `name` and [name] as quoted names."""
    if len(text) > _LONGEST_TEXT:
        raise SelectionError(f"the text is longer than {_LONGEST_TEXT:,} characters")
    dialect = Dialect.get_or_raise("sqlite")
    try:
        tokens = dialect.tokenize(text)
        if not tokens:
            raise SelectionError(f"the text is empty; {_EXAMPLE}")
        if len(tokens) > _MOST_TOKENS:
            raise SelectionError(f"the text has more than {_MOST_TOKENS:,} words and signs")
        _check_tokens(tokens)
        source = f"ORDER BY {text}" if into is exp.Order else text
        parser = dialect.parser()
        trees = parser.parse_into(into, dialect.tokenize(source), source)
    except RecursionError:
        raise SelectionError(_TOO_DEEP) from None
    except SqlglotError as problem:
        raise SelectionError(f"{_sentence(problem)}; {_EXAMPLE}") from None
    if len(trees) != 1 or trees[0] is None:
        raise SelectionError(f"only one condition is understood; {_EXAMPLE}")
    return trees[0]


def _check_tokens(tokens: Sequence[Token]) -> None:
    quoted = (TokenType.STRING, TokenType.IDENTIFIER)
    words = ["" if token.token_type in quoted else token.text.upper() for token in tokens]
    depth = 0
    for word, following in zip(words, [*words[1:], ""], strict=False):
        depth += (word == "(") - (word == ")")
        if depth > _DEEPEST:
            raise SelectionError(_TOO_DEEP)
        if word == ";":
            raise SelectionError("a semicolon is not understood here; join conditions with AND")
        if word == "NULLS" and following == "FIRST":
            raise SelectionError("missing values always come last; leave out NULLS FIRST")


def _sentence(problem: SqlglotError) -> str:
    errors = problem.errors if isinstance(problem, ParseError) else []
    near = str(errors[0].get("highlight") or "").strip() if errors else ""
    return f"this is not understood near “{near[:40]}”" if near else "this is not understood"


def check_size(tree: exp.Expr) -> None:
    """Refuse trees too deep to walk; chains of AND and OR count as one level."""
    size, waiting = 0, [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        size += not isinstance(node, exp.Literal | exp.Identifier)
        if depth > _DEEPEST:
            raise SelectionError(_TOO_DEEP)
        if size > _LARGEST:
            raise SelectionError(f"there are more than {_LARGEST:,} conditions")
        for child in node.iter_expressions():
            chained = isinstance(node, exp.And | exp.Or) and type(child) is type(node)
            waiting.append((child, depth + (not chained)))


def in_order(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Give the nodes as they are written, columns without their parts."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, exp.Column):
            waiting.extend(reversed(list(node.iter_expressions())))


def chain(node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    """Take a chain of ANDs or ORs apart, in order."""
    parts: list[exp.Expr] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if type(part) is kind or isinstance(part, exp.Paren):
            waiting.extend(reversed(list(part.iter_expressions())))
        else:
            parts.append(part)
    return parts


def column_name(node: exp.Column, known: Sequence[str]) -> str:
    """Find the column a name means: as written, else in another case where only one fits."""
    parts = [part.name for part in node.parts]
    written = ".".join(parts)
    if written in known:
        return written
    folded = [name for name in known if name.casefold() == written.casefold()]
    if len(folded) == 1:
        return folded[0]
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.5) or difflib.get_close_matches(
        written.casefold(), known, n=1, cutoff=0.5
    )
    hint = f", did you mean “{close[0]}”?" if close else ""
    if not close and node.this.args.get("quoted"):
        hint = "; text goes in single quotes, names in double quotes"
    elif not close and known:
        shown = ", ".join(list(known)[:8])
        hint = f"; there are {shown}{' …' if len(known) > 8 else ''}"
    raise SelectionError(f"unknown column “{written}”{hint}")
