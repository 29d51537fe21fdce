"""Python types as JSON Schemas, and JSON values back as what the types say.

Knows what can be described to a model: text, numbers, truth values, dates, literals, enumerations,
optional and alternative types, lists, dictionaries, dataclasses and typed dictionaries. For
anything else it raises `Indescribable`; it must not guess.
"""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import datetime
import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NewType, Union, is_typeddict

import jsonschema_rs

from waremill.tools.docstrings import read_docstring


class Indescribable(TypeError):
    """A type no JSON Schema is made of; the message says which, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type's schema; `read` makes the Python value of a JSON one that fits the schema."""

    schema: dict[str, Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_PLAIN: Mapping[Any, Shape] = {
    str: Shape({"type": "string"}, _same),
    int: Shape({"type": "integer"}, int),  # 3.0 is an integer to JSON Schema
    float: Shape({"type": "number"}, float),
    bool: Shape({"type": "boolean"}, _same),
    type(None): Shape({"type": "null"}, _same),
    None: Shape({"type": "null"}, _same),
    Any: Shape({}, _same),
    object: Shape({}, _same),
    Decimal: Shape({"type": "number"}, lambda value: Decimal(str(value))),
    datetime.date: Shape({"type": "string", "format": "date"}, datetime.date.fromisoformat),
    datetime.datetime: Shape(
        {"type": "string", "format": "date-time"}, datetime.datetime.fromisoformat
    ),
    datetime.time: Shape({"type": "string", "format": "time"}, datetime.time.fromisoformat),
    list: Shape({"type": "array"}, _same),
    dict: Shape({"type": "object"}, _same),
}
_LISTS: Mapping[Any, Callable[[Any], Any]] = {
    list: list, set: set, frozenset: frozenset, tuple: tuple,
    abc.Sequence: list, abc.Iterable: list, abc.Collection: list,
    abc.Set: frozenset, abc.MutableSequence: list,
}  # fmt: skip
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)


def shape_of(annotation: Any, inside: tuple[Any, ...] = ()) -> Shape:
    """Describe a type; raises Indescribable. `inside` are the classes it stands in."""
    if isinstance(annotation, NewType):
        return shape_of(annotation.__supertype__, inside)
    try:
        if annotation in _PLAIN:
            return _PLAIN[annotation]
    except TypeError:  # an unhashable annotation is none of the plain ones
        pass
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _annotated(arguments, inside)
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments, inside)
    if origin in _LISTS:
        return _list(annotation, origin, arguments, inside)
    if origin in _MAPPINGS:
        return _mapping(annotation, arguments, inside)
    if inspect.isclass(annotation):
        if issubclass(annotation, enum.Enum):
            known = annotation
            values = [member.value for member in known]
            return Shape(_closed(values), lambda value: known(value))
        if dataclasses.is_dataclass(annotation):
            return _dataclass(annotation, inside)
        if is_typeddict(annotation):
            return _typed_dictionary(annotation, inside)
    raise Indescribable(f"the type {_written(annotation)} cannot be described to a model")


def _annotated(arguments: tuple[Any, ...], inside: tuple[Any, ...]) -> Shape:
    shape = shape_of(arguments[0], inside)
    words = [one for one in arguments[1:] if isinstance(one, str)]
    return Shape({**shape.schema, "description": " ".join(words)}, shape.read) if words else shape


def _literal(values: tuple[Any, ...]) -> Shape:
    if any(isinstance(one, bytes | enum.Enum) for one in values):
        raise Indescribable("a Literal may hold text, numbers, truth values and None")
    return Shape(_closed(list(values)), _same)


def _closed(values: list[Any]) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    found = list(dict.fromkeys(kinds.get(type(one), "") for one in values))
    if "" in found:
        raise Indescribable("an enumeration may hold text, numbers, truth values and None")
    return {"type": found[0] if len(found) == 1 else found, "enum": values}


def _union(members: tuple[Any, ...], inside: tuple[Any, ...]) -> Shape:
    shapes = [shape_of(one, inside) for one in members]
    fits = [jsonschema_rs.validator_for(one.schema).is_valid for one in shapes]

    def read(value: Any) -> Any:
        for shape, suits in zip(shapes, fits, strict=True):
            if suits(value):
                return shape.read(value)
        return value

    return Shape({"anyOf": [one.schema for one in shapes]}, read)


def _list(
    annotation: Any, origin: Any, arguments: tuple[Any, ...], inside: tuple[Any, ...]
) -> Shape:
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        raise Indescribable(
            f"the type {_written(annotation)} has places of its own; use a dataclass, or "
            "tuple[TYPE, ...]"
        )
    element = shape_of(arguments[0], inside)
    make = _LISTS[origin]
    schema: dict[str, Any] = {"type": "array", "items": element.schema}
    if make in (set, frozenset):
        schema["uniqueItems"] = True
    return Shape(schema, lambda value: make(element.read(one) for one in value))


def _mapping(annotation: Any, arguments: tuple[Any, ...], inside: tuple[Any, ...]) -> Shape:
    if arguments[0] is not str:
        raise Indescribable(f"the names in {_written(annotation)} must be text")
    element = shape_of(arguments[1], inside)
    return Shape(
        {"type": "object", "additionalProperties": element.schema},
        lambda value: {name: element.read(one) for name, one in value.items()},
    )


def _dataclass(known: Any, inside: tuple[Any, ...]) -> Shape:
    hints = _hints(known, inside)
    fields = {one.name: one for one in dataclasses.fields(known) if one.init}
    missing = dataclasses.MISSING
    required = [
        name
        for name, one in fields.items()
        if one.default is missing and one.default_factory is missing
    ]
    shapes = {name: shape_of(hints[name], (*inside, known)) for name in fields}
    told = known.__doc__ or ""
    if told.startswith(f"{known.__name__}("):  # what `dataclass` writes where nobody did
        told = ""
    schema = _object(shapes, required, told)

    def read(value: Any) -> Any:
        return known(**{name: shapes[name].read(one) for name, one in value.items()})

    return Shape(schema, read)


def _typed_dictionary(known: Any, inside: tuple[Any, ...]) -> Shape:
    hints = _hints(known, inside)
    plain = {
        name: typing.get_args(hint)[0]
        if typing.get_origin(hint) in (typing.Required, typing.NotRequired)
        else hint
        for name, hint in hints.items()
    }
    shapes = {name: shape_of(hint, (*inside, known)) for name, hint in plain.items()}
    # Of annotations that are text the class itself does not know which are wrapped.
    required = [
        name
        for name, hint in hints.items()
        if typing.get_origin(hint) is typing.Required
        or (name in known.__required_keys__ and typing.get_origin(hint) is not typing.NotRequired)
    ]
    schema = _object(shapes, required, known.__doc__ or "")
    return Shape(
        schema, lambda value: {name: shapes[name].read(one) for name, one in value.items()}
    )


def _object(shapes: Mapping[str, Shape], required: list[str], docstring: str) -> dict[str, Any]:
    described = read_docstring(docstring)
    properties = {
        name: with_description(shape.schema, described.parameters.get(name))
        for name, shape in shapes.items()
    }
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return with_description(schema, described.text)


def with_description(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    """Give a schema with a description, unless it has one or there is none."""
    if not words or "description" in schema:
        return schema
    return {**schema, "description": words}


def _hints(known: Any, inside: tuple[Any, ...]) -> dict[str, Any]:
    if known in inside:
        raise Indescribable(f"the type {_written(known)} holds itself, which has no end")
    try:
        return typing.get_type_hints(known, include_extras=True)
    except NameError as error:
        raise Indescribable(f"the type {_written(known)} names what is unknown: {error}") from None


def _written(annotation: Any) -> str:
    if inspect.isclass(annotation) and typing.get_origin(annotation) is None:
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
