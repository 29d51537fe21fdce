r"""A channel's mapping: which attributes and generated fields go to which of its columns.

    key: sku                       # workbook and sql: the column that tells products apart
    columns:
      id: sku                      # an attribute or a generated field
      title: {from: title, max_chars: 150, required: true}
      brand: {from: brand, default: No name}
      availability: {value: in_stock}                   # the same for every product
      price: {from: price, suffix: " EUR"}
      description: {from: [long_text, selling_points], join: "\n"}   # the first that has a value
      highlight_1: {from: selling_points, item: 1}
      color: {from: colour, values: {红: Red, 蓝: Blue}}

A name is a generated field where there is one, else an attribute of the product as it is now;
`product.NAME` is always the attribute, `STEP.NAME` one step's field. `_key`, `_group`, `_target`,
`_language` and `_market` stand for the item's own. Pure: text in, frozen data out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from waremill.catalog.publishers.table import flat, plain
from waremill.domain import Target, is_missing
from waremill.errors import ConfigError, NotFound, Where
from waremill.rules.document import Section, read_yaml, suggestion

ITEM_NAMES = ("_key", "_group", "_target", "_language", "_market")
SETTINGS = (
    "from", "value", "default", "values", "item", "join", "prefix", "suffix", "case", "html",
    "required", "max_chars", "max_bytes", "free", "allow_empty",
)  # fmt: skip
"""What a column may say of itself."""
_CASES = ("lower", "upper")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """One column: where its value comes from, how it is written, what it must keep.

    `free` takes values outside the workbook's drop-down; `allow_empty` lets a value be missing
    where a format would otherwise refuse the row, since an empty cell would clear what is there.
    """

    column: str
    line: int
    sources: tuple[str, ...] = ()
    constant: str | None = None
    default: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    item: int | None = None
    join: str | None = None
    prefix: str = ""
    suffix: str = ""
    case: str = ""
    html: bool = False
    required: bool = False
    max_chars: int | None = None
    max_bytes: int | None = None
    free: bool = False
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class ChannelMapping:
    """A whole mapping file. `options` are the settings of the format itself."""

    file: str
    columns: tuple[ColumnMapping, ...]
    options: Mapping[str, Any]

    def column(self, name: str) -> ColumnMapping | None:
        """Find a column's mapping."""
        return next((one for one in self.columns if one.column == name), None)

    def where(self, name: str | None = None) -> Where:
        """Give the place of a column in the file, or of the file."""
        found = None if name is None else self.column(name)
        return Where(file=self.file, line=found.line if found else None)


@dataclass(frozen=True, slots=True)
class Names:
    """What a mapping's names can mean: attributes, and generated fields by step."""

    attributes: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    def resolve(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Say what a name means: (`item`, name), (`attribute`, name) or (`field`, step and name).

        Raises KeyError for a name that means nothing.
        """
        if name in ITEM_NAMES:
            return "item", (name,)
        steps = [step for step, one in self.fields if one == name]
        if steps:
            return "field", (steps[-1], name)
        if name in self.attributes:
            return "attribute", (name,)
        first, _, rest = name.partition(".")
        if first == "product" and rest in self.attributes:
            return "attribute", (rest,)
        if (first, rest) in self.fields:
            return "field", (first, rest)
        raise KeyError(name)

    def known(self) -> tuple[str, ...]:
        """All names there are, for suggestions."""
        return tuple(dict.fromkeys((*(name for _, name in self.fields), *self.attributes)))


@dataclass(frozen=True, slots=True)
class Values:
    """An item's values: by attribute, and by (step, field)."""

    key: str
    group: str | None
    target: str
    attributes: Mapping[str, Any]
    fields: Mapping[tuple[str, str], Any]


def load_mapping(
    files: Mapping[str, str], path: str, options: Collection[str] = ()
) -> ChannelMapping:
    """Read a mapping file; raise NotFound or ConfigError with the line and a suggestion.

    `options` are the settings beside `columns` that the format knows.
    """
    if path not in files:
        raise NotFound(f"there is no mapping “{path}” in the workspace; it says what goes where")
    top = read_yaml(files, path)
    top.allow(("columns", "description", *options), "the mapping")
    section = top.section("columns")
    if section is None or not section.names():
        top.fail("the mapping needs columns: write NAME: ATTRIBUTE below “columns”")
    found: dict[str, Any] = {}
    for name in options:
        inner = top.section(name) if name == "feed" else None
        found[name] = _pairs(inner) if inner is not None else top.texts(name)
    columns = tuple(_column(section, name) for name in section.names())
    return ChannelMapping(path, columns, found)


def _pairs(section: Section) -> dict[str, str]:
    return {name: section.text(name, "") for name in section.names()}


def _column(section: Section, name: str) -> ColumnMapping:
    line = section.line_of(name)
    if not section.holds_mapping(name):
        source = section.text(name, "")
        if not source:
            section.fail(f"the column “{name}” says nothing: write an attribute or a field", name)
        return ColumnMapping(name, line, sources=(source,))
    part = section.section(name)
    assert part is not None
    part.allow(SETTINGS, f"the column “{name}”")
    sources, constant = part.texts("from"), part.text("value", None)
    if bool(sources) == (constant is not None):
        part.fail(f"the column “{name}” needs one of from and value")
    case = part.text("case", "")
    if case and case not in _CASES:
        part.fail(f"“case” must be one of {', '.join(_CASES)}, not “{case}”", "case")
    return ColumnMapping(
        name, line, sources, constant, part.text("default", None), part.mapping("values"),
        part.whole("item", least=1), part.raw("join"), part.raw("prefix") or "",
        part.raw("suffix") or "", case, part.flag("html"), part.flag("required"),
        part.whole("max_chars", least=1), part.whole("max_bytes", least=1), part.flag("free"),
        part.flag("allow_empty"),
    )  # fmt: skip


def check_names(mapping: ChannelMapping, names: Names) -> None:
    """Raise ConfigError, with a suggestion, for the first name of a mapping that means nothing."""
    for column in mapping.columns:
        for source in column.sources:
            try:
                names.resolve(source)
            except KeyError:
                raise ConfigError(
                    f"“{source}” is neither an attribute of the products nor a generated field"
                    f"{suggestion(source, names.known())}",
                    Where(file=mapping.file, line=column.line),
                ) from None


def check_columns(
    mapping: ChannelMapping,
    known: Collection[str],
    what: str,
    *,
    former: Mapping[str, str] | None = None,
    besides: re.Pattern[str] | None = None,
) -> None:
    """Raise ConfigError, with a suggestion, for the first column that the channel does not have.

    `former` gives names that columns had before what they are called now; those that match
    `besides` are the shop's own.
    """
    for column in mapping.columns:
        name = column.column
        if name in known or (besides is not None and besides.fullmatch(name)):
            continue
        now = (former or {}).get(name)
        near = f", did you mean “{now}”?" if now else suggestion(name, known)
        hint = near if near.startswith(", did") else ""
        raise ConfigError(f"{what} has no column “{name}”{hint}", mapping.where(name))


@dataclass(frozen=True, slots=True)
class Mapped:
    """A column's value and the generated field it came from: (step, field), None for none.

    `problem` says why the value cannot be used.
    """

    value: Any = None
    source: tuple[str, str] | None = None
    problem: str | None = None


def mapped(column: ColumnMapping, names: Names, values: Values) -> Mapped:
    """Give a column's value for an item; a missing one is None."""
    if column.constant is not None:
        return Mapped(column.constant)
    for name in column.sources:
        value, source = _lookup(names, name, values)
        value = _shaped(column, value)
        if is_missing(value):
            continue
        if column.values:
            text = str(flat(value)).strip()
            if text not in column.values and column.default is None:
                near = suggestion(text, column.values)
                return Mapped(None, source, f"“{text}” is not in the mapping's values{near}")
            value = column.values.get(text, column.default)
        return Mapped(_dressed(column, value), source)
    return Mapped(None if is_missing(column.default) else column.default)


def _lookup(names: Names, name: str, values: Values) -> tuple[Any, tuple[str, str] | None]:
    kind, parts = names.resolve(name)
    if kind == "field":
        step, one = parts
        return plain(values.fields.get((step, one))), (step, one)
    if kind == "attribute":
        return plain(values.attributes.get(parts[0])), None
    target = Target.parse(values.target) if values.target else None
    own = {
        "_key": values.key, "_group": values.group, "_target": values.target or None,
        "_language": target.language if target else None,
        "_market": target.market if target else None,
    }  # fmt: skip
    return own[name], None


def _shaped(column: ColumnMapping, value: Any) -> Any:
    """Take one entry of a list, join it, or make HTML of it."""
    if isinstance(value, list):
        value = [one for one in value if not is_missing(one)]
        if column.item is not None:
            value = value[column.item - 1] if column.item <= len(value) else None
        elif column.html:
            points = "".join(f"<li>{html.escape(str(flat(one)))}</li>" for one in value)
            return f"<ul>{points}</ul>" if points else None
        elif column.join is not None:
            value = column.join.join(str(flat(one)) for one in value)
    elif column.item is not None and column.item > 1:
        return None
    if column.html and isinstance(value, str) and not is_missing(value):
        parts: Sequence[str] = [part.strip() for part in value.split("\n") if part.strip()]
        return "".join(f"<p>{html.escape(part, quote=False)}</p>" for part in parts)
    return value.strip() if isinstance(value, str) else value


def _dressed(column: ColumnMapping, value: Any) -> Any:
    if not (column.prefix or column.suffix or column.case):
        return value
    text = str(flat(value))
    text = {"lower": text.lower(), "upper": text.upper()}.get(column.case, text)
    return f"{column.prefix}{text}{column.suffix}"


def column_names(columns: Iterable[ColumnMapping]) -> tuple[str, ...]:
    """Give the columns' names in order."""
    return tuple(one.column for one in columns)
