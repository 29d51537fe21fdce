"""Reads a template's `output` section into fields, or into the choice of a category's schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from waremill.rules.schema import Schema, Value, slot_names
from waremill.templates import typed
from waremill.templates.contract import RATIONALE
from waremill.templates.document import Node, Problems, did_you_mean
from waremill.templates.fields import Field, FieldType, parse_number
from waremill.templates.template import PictureOutput, SchemaOutput

_TYPES = ("string", "number", "integer", "boolean", "array", "object")
_SETTINGS = (
    "type", "description", "max_chars", "min", "max", "items", "properties", "values", "unit",
    "write", "required",
)  # fmt: skip
_SCHEMA_SETTINGS = ("from", "category", "by", "only", "without", "write")
PICTURE = "picture"
_PICTURE_SETTINGS = (
    "type", "description", "width", "height", "negative", "steps", "guidance",
)  # fmt: skip
_WRITES = ("fill", "replace")
_FITTING = {
    "max_chars": ("string", "array"), "min": ("number", "integer", "array"),
    "max": ("number", "integer", "array"), "items": ("array",), "properties": ("object",),
    "values": ("string", "number", "integer", "array"), "unit": ("number", "integer", "array"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """What the section says: fields written there, the schema's where it takes one, or that what
    is made is a picture.
    """

    fields: tuple[Field, ...]
    schema: SchemaOutput | None = None
    picture: PictureOutput | None = None


def takes_schema(node: Node | None) -> bool:
    """Say whether an output section is, or starts with, `{from: schema}`."""
    source = node.get("from") if node is not None else None
    return source is not None and source.value == "schema"


def read_output(
    node: Node | None, schemas: Mapping[str, Schema] | None, problems: Problems
) -> Output | None:
    """Read the output section; note problems and give None where there is no usable field.

    `schemas` is None where they could not be read, which has been noted already.
    """
    if node is None or not isinstance(node.value, dict) or not node.value:
        line = node.line if node is not None else 1
        problems.error(
            "`output` must say which fields to write, such as `title: {max_chars: 60}`", line
        )
        return None
    schema: SchemaOutput | None = None
    own = dict(node.items())
    if takes_schema(node):
        if schemas is None:
            return None
        schema = _schema_output(node, schemas, problems)
        own = {name: part for name, part in own.items() if name not in _SCHEMA_SETTINGS}
    elif "from" in own and isinstance(own["from"].value, str) and own["from"].value not in _TYPES:
        problems.error("`from` of an output can only be `schema`", own["from"].line)
        return None
    pictures = [name for name, part in own.items() if _is_picture(part)]
    if pictures:
        return _picture_output(node, own, pictures[0], problems)
    fields = [_field(name, part, problems) for name, part in own.items()]
    if schema is None and not fields:
        return None
    return Output(tuple(fields), schema)


def _is_picture(node: Node) -> bool:
    kind = node.get("type")
    return node.value == PICTURE or (kind is not None and kind.value == PICTURE)


def _picture_output(
    node: Node, own: Mapping[str, Node], name: str, problems: Problems
) -> Output | None:
    """Read the output of a template that asks for a picture; it asks for nothing beside it."""
    if len(own) > 1 or takes_schema(node):
        problems.error(
            f"`{name}` is a picture, which is all a template can ask for at once; give the other "
            "fields a template of their own",
            own[name].line,
        )
        return None
    part = own[name]
    if not isinstance(part.value, dict):  # `scene: picture`
        part = Node({"type": part}, part.line, part.text_line)
    typed.allow(part, _PICTURE_SETTINGS, f"setting of `{name}`", problems)
    picture = PictureOutput(
        name,
        width=typed.whole(part.get("width"), "`width`", problems, 64) or 1024,
        height=typed.whole(part.get("height"), "`height`", problems, 64) or 1024,
        negative=typed.text(part.get("negative"), "`negative`", problems) or "",
        steps=typed.whole(part.get("steps"), "`steps`", problems),
        guidance=typed.number(part.get("guidance"), "`guidance`", problems),
    )
    description = typed.text(part.get("description"), "`description`", problems) or ""
    return Output((Field(name, description=description.strip()),), picture=picture)


def _schema_output(node: Node, schemas: Mapping[str, Schema], problems: Problems) -> SchemaOutput:
    if not schemas:
        problems.error(
            "`from: schema` needs a schema, but there is no file in schemas/",
            node.value["from"].line,
        )
    category = typed.text(node.get("category"), "`category`", problems)
    if category is not None and schemas and category not in schemas:
        folded = {name.casefold() for name in schemas}
        if category.casefold() not in folded:
            near = did_you_mean(category, tuple(schemas))
            problems.error(
                f"no file in schemas/ describes the category `{category}`{near}",
                node.value["category"].line,
            )
    named = {one.name for schema in schemas.values() for one in schema.attributes}
    slots = set(slot_names(schemas)) - {
        one.name for schema in schemas.values() for one in schema.attributes if one.type != "image"
    }
    chosen: dict[str, tuple[str, ...]] = {}
    for setting in ("only", "without"):
        part = node.get(setting)
        chosen[setting] = typed.texts(part, f"`{setting}`", problems)
        for name in chosen[setting]:
            if named and name not in named and part is not None:
                message = f"no schema has the attribute `{name}`{did_you_mean(name, named)}"
                problems.error(message, part.line)
            elif setting == "only" and name in slots and part is not None:
                message = f"`{name}` is a picture slot, which no text model is asked for"
                problems.error(message, part.line)
    write = typed.choice(node.get("write"), "`write`", _WRITES, problems) or "replace"
    return SchemaOutput(
        schemas=schemas,
        category=category,
        attribute=typed.text(node.get("by"), "`by`", problems) or "category",
        only=chosen["only"],
        without=chosen["without"],
        write=cast(Literal["fill", "replace"], write),
    )


def _field(name: str, node: Node, problems: Problems) -> Field:
    if name == RATIONALE or name.startswith("_") or "@" in name or not name.strip():
        why = "is the reasoning's own name" if name == RATIONALE else "cannot be a field's name"
        problems.error(f"`{name}` {why}; choose another", node.line)
    return _read_field(name, node, problems, depth=0)


def _read_field(name: str, node: Node, problems: Problems, depth: int) -> Field:
    """Read one field; `depth` is 0 for an output field, 1 for a list's entry, 2 below that."""
    value = node.value
    if value is None:
        return Field(name)
    if isinstance(value, str):  # `title: string`
        node = Node({"type": node}, node.line, node.text_line)
    elif not isinstance(value, dict):
        problems.error(f"`{name}` must be described as `{{type: string, …}}`", node.line)
        return Field(name)
    known = _SETTINGS if depth == 0 else tuple(s for s in _SETTINGS if s != "write")
    typed.allow(node, known, f"setting of `{name}`", problems)
    kind = typed.choice(node.get("type"), f"the type of `{name}`", _TYPES, problems)
    if kind is None:
        kind = "array" if node.get("items") else "object" if node.get("properties") else "string"
    for setting, fitting in _FITTING.items():
        part = node.get(setting)
        if part is not None and kind not in fitting:
            message = f"`{setting}` does not fit `{name}`, which is a {kind}"
            problems.error(message, part.line)
    nested = depth >= 1 and (kind == "array" or depth >= 2) and kind in ("array", "object")
    if nested:
        problems.error(f"`{name}` is nested too deeply: one level of lists or objects", node.line)
        return Field(name)
    spec = Field(
        name=name,
        type=cast(FieldType, kind),
        description=(typed.text(node.get("description"), "`description`", problems) or "").strip(),
        max_chars=typed.whole(node.get("max_chars"), "`max_chars`", problems),
        unit=typed.text(node.get("unit"), "`unit`", problems),
        required=typed.flag(node.get("required"), "`required`", problems, True),
        write=cast(
            Literal["fill", "replace"],
            typed.choice(node.get("write"), "`write`", _WRITES, problems) or "replace",
        ),
    )
    return _with_parts(spec, node, problems, depth)


def _with_parts(spec: Field, node: Node, problems: Problems, depth: int) -> Field:
    choices = _choices(spec, node, problems)
    codes = tuple(choice.code for choice in choices)
    if spec.type == "array":
        return _with_entries(spec, node, problems, depth)
    if spec.type == "object":
        part = node.get("properties")
        inner = tuple(
            _read_field(name, one, problems, depth=2)
            for name, one in (part.items() if part else ())
        )
        if not inner:
            problems.error(f"`{spec.name}` needs `properties`", node.line)
        for one in inner:
            if one.type == "object":
                problems.error(
                    f"`{one.name}` is nested too deeply: one level of objects", node.line
                )
        return replace(spec, properties=inner)
    low = typed.number(node.get("min"), "`min`", problems)
    high = typed.number(node.get("max"), "`max`", problems)
    if low is not None and high is not None and low > high:
        problems.error(f"`min` of `{spec.name}` is more than `max`", node.line)
    return replace(spec, values=codes, choices=choices, minimum=low, maximum=high)


def _with_entries(spec: Field, node: Node, problems: Problems, depth: int) -> Field:
    part = node.get("items")
    entry = _read_field(spec.name, part, problems, depth=1) if part else Field(spec.name)
    entry = replace(entry, unit=entry.unit or spec.unit, required=True, write="replace")
    if entry.type == "string" and spec.max_chars and not entry.max_chars:
        entry = replace(entry, max_chars=spec.max_chars)  # `max_chars` of a list: of each entry
    choices = _choices(spec, node, problems)
    if choices and not entry.choices:
        entry = replace(entry, choices=choices, values=tuple(one.code for one in choices))
    least = typed.whole(node.get("min"), "`min`", problems, least=0)
    most = typed.whole(node.get("max"), "`max`", problems)
    if least is not None and most is not None and least > most:
        problems.error(f"`min` of `{spec.name}` is more than `max`", node.line)
    return replace(
        spec, max_chars=None, items=entry, item_max_chars=entry.max_chars, values=entry.values,
        min_items=least, max_items=most,
    )  # fmt: skip


def _choices(spec: Field, node: Node, problems: Problems) -> tuple[Value, ...]:
    """Read `values`: a list of codes, or codes with a label, labels by language, synonyms."""
    part = node.get("values")
    if part is None:
        return ()
    pairs: list[tuple[str, Node | None]] = []
    if isinstance(part.value, list):
        for one in part.value:
            if isinstance(one.value, dict) and "code" in one.value:
                code = typed.text(one.value["code"], "`code`", problems)
            else:
                code = typed.text(one, "an allowed value", problems)
            pairs.append((code or "", one))
    elif isinstance(part.value, dict):
        pairs = list(part.value.items())
    found: dict[str, Value] = {}
    for code, one in pairs:
        line = one.line if one else part.line
        if not code.strip():
            problems.error(f"an allowed value of `{spec.name}` is blank", line)
        elif code in found:
            problems.error(f"the value `{code}` of `{spec.name}` stands twice", line)
        elif spec.type in ("number", "integer") and parse_number(code) is None:
            problems.error(f"the value `{code}` of `{spec.name}` is not a number", line)
        else:
            found[code] = _value(code, one, problems)
    if not found:
        problems.error(f"`values` of `{spec.name}` must be a list of allowed values", part.line)
    return tuple(found.values())


def _value(code: str, node: Node | None, problems: Problems) -> Value:
    if node is None or not isinstance(node.value, dict):
        label = node.value if node is not None and isinstance(node.value, str) else None
        return Value(code, {"en": label} if label and label != code else {})
    labels: dict[str, str] = {}
    synonyms: tuple[str, ...] = ()
    for name, part in node.items():
        if name == "synonyms":
            synonyms = typed.texts(part, "`synonyms`", problems)
        elif name == "labels":
            inner: Any = part.plain()
            labels.update({k: str(v) for k, v in inner.items()} if isinstance(inner, dict) else {})
        elif name != "code":
            labels[name] = typed.text(part, f"the label `{name}`", problems) or code
    return Value(code, labels, synonyms)
