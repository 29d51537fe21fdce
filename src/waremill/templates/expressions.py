"""Template texts and `when` conditions: a small, closed subset of Jinja.

Only the workspace's own files are ever compiled; product data enters as values, so it cannot become
code. The syntax is a whitelist on the syntax tree: loops over values only (counted), no calls, no
`*`, `**`, `%`, no set, macro, include or import; names and attributes that start with `_` do not
exist, and attributes of Python objects are never read. Filters are our own and bounded, and output
is counted while it is generated.

Missing values are falsy, print as nothing and are never an error here; names nobody knows are the
linter's business. Numeric-looking text compares as a number against a number, as in selections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from waremill.domain import is_missing
from waremill.templates.document import did_you_mean
from waremill.templates.filters import FILTERS, INTERNAL_FILTERS, TESTS, ExpressionError, add
from waremill.templates.values import write_value

LONGEST_OUTPUT = 200_000
"""Characters one text may render to; the longest context windows hold about a million tokens."""
LONGEST_SOURCE = 50_000
TARGET_NAMES = frozenset({"language", "language_code", "locale", "market", "channel", "target"})
"""Names of the target's variables: they are always there and hide columns of the same name."""
BUILT_IN_NAMES = TARGET_NAMES | {"params", "product"}

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.For, nodes.If,
    nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat,
    nodes.Add, nodes.Sub, nodes.Div, nodes.FloorDiv, nodes.Neg, nodes.Pos, nodes.Filter,
    nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.List, nodes.Tuple, nodes.Keyword,
)  # fmt: skip
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Mul: "`*` is", nodes.Pow: "`**` is", nodes.Mod: "`%` is",
    nodes.Call: "calls such as `range()` or `name.method()` are",
    nodes.Macro: "`macro` is", nodes.CallBlock: "`call` is", nodes.FilterBlock: "`filter` is",
    nodes.Assign: "`set` is", nodes.AssignBlock: "`set` is", nodes.With: "`with` is",
    nodes.Block: "`block` is", nodes.Extends: "`extends` is", nodes.Dict: "`{…}` objects are",
    nodes.Include: "`{% include %}` (write `include: NAME` as a requirement) is",
    nodes.Import: "`import` is", nodes.FromImport: "`import` is",
}  # fmt: skip
_PYTHON_NAMES = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_LOOP_ATTRIBUTES = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0"}
)
_MOST_NODES = 4_000


class Missing(jinja2.ChainableUndefined):
    """A value that is not there: falsy, empty, and so are its parts."""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, narrowed: values are looked into by key only, never by attribute."""

    intercepted_binops = frozenset({"+", "-", "/", "//"})
    intercepted_unops = frozenset({"-", "+"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in _LOOP_ATTRIBUTES else Missing()
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str):
            return obj.get(argument, Missing())
        if isinstance(obj, (str, list, tuple)) and isinstance(argument, (int, slice)):
            try:
                return obj[argument]
            except (IndexError, TypeError, ValueError):
                return Missing()
        return Missing()

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return add(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return add(operator, 0, arg)

    def call(
        __self,  # the name the overridden method uses
        __context: Context,
        __obj: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        raise ExpressionError("calls are not allowed in templates")


def _environment() -> _Environment:
    environment = _Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # nothing is computed while compiling
        undefined=Missing,
        finalize=write_value,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, **INTERNAL_FILTERS}
    environment.tests = dict(TESTS)
    return environment


_ENVIRONMENT = _environment()


@dataclass(frozen=True, slots=True)
class Names:
    """The names a text reads: `free` are all but loop variables, `tolerated` those it guards with
    `default` or `is defined`, `params` those read as `params.x`, `columns` as `product.x`.
    """

    free: frozenset[str] = frozenset()
    tolerated: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    @property
    def reads_target(self) -> bool:
        """Whether any of the target's variables is read."""
        return not self.free.isdisjoint(TARGET_NAMES)

    @property
    def reads_product(self) -> bool:
        """Whether a product's attributes are read by way of `product`."""
        return "product" in self.free

    @property
    def attributes(self) -> frozenset[str]:
        """Names that are attributes of the product, or parameters given by their bare name."""
        return (self.free - BUILT_IN_NAMES) | self.columns


@dataclass(frozen=True, slots=True)
class Text:
    """A compiled text. `constant` is the result where nothing is computed."""

    source: str
    names: Names = Names()
    constant: str | None = None
    program: jinja2.Template | None = None

    def render(self, variables: Mapping[str, Any]) -> str:
        """Render with variables by name; raise ExpressionError where a limit is passed."""
        if self.program is None:
            return self.constant or ""
        return _run(self.program, variables).strip()


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled `when`. `name` is set where it only asks whether one name has a value."""

    source: str
    names: Names = Names()
    constant: bool | None = None
    name: str | None = None
    program: jinja2.Template | None = None

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Say whether the condition is true for variables by name."""
        if self.name is not None:
            value = variables.get(self.name)
            return bool(value) and not is_missing(value)
        if self.program is None:
            return bool(self.constant)
        return bool(_run(self.program, variables))


def compile_text(source: str) -> Text:
    """Compile a text; raise ExpressionError with the line within it."""
    source = source.strip("\n").rstrip()
    if "{{" not in source and "{%" not in source and "{#" not in source:
        return Text(source, constant=source.strip())
    tree = _parsed(source, lambda: _ENVIRONMENT.parse(source))
    names = _checked(tree)
    return Text(source, names, program=_compiled(tree))


def compile_condition(source: str) -> Condition:
    """Compile a Jinja expression; raise ExpressionError."""
    if "{{" in source or "{%" in source:
        raise ExpressionError("`when` is an expression already; leave out {{ }} and {% %}")

    def parse() -> nodes.Template:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise jinja2.TemplateSyntaxError(
                f"“{parser.stream.current.value}” is not expected here", 1
            )
        answer = nodes.CondExpr(expression, nodes.Const("1"), nodes.Const(""), lineno=1)
        tree = nodes.Template([nodes.Output([answer], lineno=1)], lineno=1)
        tree.set_environment(_ENVIRONMENT)
        return tree

    tree = _parsed(source, parse)
    names = _checked(tree)
    expression = tree.body[0].nodes[0].test  # type: ignore[attr-defined]  # built just above
    if isinstance(expression, nodes.Name):
        return Condition(source, names, name=expression.name)
    return Condition(source, names, program=_compiled(tree))


def _parsed(source: str, parse: Any) -> nodes.Template:
    if len(source) > LONGEST_SOURCE:
        raise ExpressionError(f"the text is longer than {LONGEST_SOURCE} characters")
    try:
        tree: nodes.Template = parse()
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(_in_plain_words(error.message), error.lineno) from None
    except (RecursionError, MemoryError, OverflowError, ValueError):
        raise ExpressionError("the text is nested too deeply") from None
    return tree


def _in_plain_words(message: str | None) -> str:
    text = (message or "it cannot be read").rstrip(".")
    if text.startswith("Encountered unknown tag"):
        return text.partition(". ")[0].replace("Encountered unknown tag", "there is no tag")
    return f"this is not a template expression: {text}"


def _checked(tree: nodes.Template) -> Names:
    """Refuse everything outside the whitelist; give the names that are read."""
    try:
        every = list(tree.find_all(nodes.Node))
    except RecursionError:
        raise ExpressionError("the text is nested too deeply") from None
    if len(every) > _MOST_NODES:
        raise ExpressionError("the text computes too much; make it shorter")
    tolerated: set[str] = set()
    params: set[str] = set()
    columns: set[str] = set()
    for node in every:
        _check(node)
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and isinstance(node.node, nodes.Name):
            inner = _key(node)
            if inner is not None and node.node.name == "params":
                params.add(inner)
            if inner is not None and node.node.name == "product":
                columns.add(inner)
        guarded = (isinstance(node, nodes.Filter) and node.name == "default") or (
            isinstance(node, nodes.Test) and node.name in ("defined", "undefined", "missing")
        )
        if guarded and isinstance(node.node, nodes.Name):  # type: ignore[attr-defined]
            tolerated.add(node.node.name)  # type: ignore[attr-defined]  # both types have it
    free = frozenset(meta.find_undeclared_variables(tree))
    return Names(free, frozenset(tolerated), frozenset(params), frozenset(columns))


def _key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) else None


def _check(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        what = next((words for of, words in _REFUSED.items() if isinstance(node, of)), None)
        raise ExpressionError(
            f"{what or f'`{type(node).__name__.lower()}` is'} not allowed in templates",
            node.lineno,
        )
    if isinstance(node, nodes.Name):
        _check_name(node.name, node.lineno)
        if node.ctx == "store" and node.name in BUILT_IN_NAMES:
            raise ExpressionError(f"a loop cannot be over `{node.name}`; it is taken", node.lineno)
    elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
        key = _key(node)
        if isinstance(key, str):
            _check_name(key, node.lineno, attribute=True)
    elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise ExpressionError(_unknown("filter", node.name, FILTERS), node.lineno)
    elif isinstance(node, nodes.Test) and node.name not in TESTS:
        raise ExpressionError(_unknown("test", node.name, TESTS), node.lineno)
    elif isinstance(node, nodes.For):
        _check_loop(node)


def _unknown(kind: str, name: str, known: Mapping[str, Any]) -> str:
    near = did_you_mean(name, known)
    return f"unknown {kind} `{name}`" + (near or f"; there are {', '.join(sorted(known))}")


def _check_name(name: str, line: int, *, attribute: bool = False) -> None:
    if name.startswith("_") or (not attribute and name in _PYTHON_NAMES):
        raise ExpressionError(f"the name `{name}` is not allowed in templates", line)


def _check_loop(node: nodes.For) -> None:
    if node.recursive or not isinstance(node.target, nodes.Name):
        raise ExpressionError("a loop has the form {% for one in many %}", node.lineno)
    source: nodes.Node = node.iter
    while isinstance(source, (nodes.Filter, nodes.Getattr, nodes.Getitem)):
        inner = source.node
        if inner is None:
            break
        source = inner
    if not isinstance(source, nodes.Name):
        raise ExpressionError("loops go over inputs only", node.lineno)


class _Bounded(NodeTransformer):
    """Replaces comparisons, `~` and what loops go over by our own bounded operations."""

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        parts: list[nodes.Expr] = []
        left = node.expr
        for operand in node.ops:
            arguments: list[nodes.Expr] = [nodes.Const(operand.op), operand.expr]
            parts.append(_filter("_compare", left, arguments, node.lineno))
            left = operand.expr
        return reduce(lambda one, two: nodes.And(one, two, lineno=node.lineno), parts)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter("_concat", nodes.List(node.nodes, lineno=node.lineno), [], node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        assert isinstance(node.iter, nodes.Expr)  # the whitelist allows nothing else
        node.iter = _filter("_items", node.iter, [], node.lineno)
        return node


def _filter(name: str, value: nodes.Expr, args: list[nodes.Expr], line: int) -> nodes.Filter:
    return nodes.Filter(value, name, args, [], None, None, lineno=line)


def _compiled(tree: nodes.Template) -> jinja2.Template:
    try:
        tree = _Bounded().visit(tree)
        tree.set_environment(_ENVIRONMENT)
        code = _ENVIRONMENT.compile(tree)
    except (RecursionError, MemoryError, SyntaxError, ValueError):
        raise ExpressionError("the text is nested too deeply") from None
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(_in_plain_words(error.message), error.lineno) from None
    return jinja2.Template.from_code(_ENVIRONMENT, code, {})


def _run(program: jinja2.Template, variables: Mapping[str, Any]) -> str:
    # `_work` counts loop rounds; templates cannot name it.
    context = program.new_context({**variables, "_work": [0]}, shared=True)
    pieces: list[str] = []
    size = 0
    try:
        for piece in program.root_render_func(context):
            size += len(piece)
            if size > LONGEST_OUTPUT:
                raise ExpressionError(f"the text grows beyond {LONGEST_OUTPUT} characters")
            pieces.append(piece)
    except ExpressionError:
        raise
    except Exception as error:  # whatever a value's odd type causes inside the sandbox
        raise ExpressionError(f"this cannot be computed: {error}") from error
    return "".join(pieces)
