"""Schemas: which attributes a category has, of which type, and which values are allowed.

A schema file stands in `schemas/` and describes one category and, inside it, its children; a
category inherits its parent's attributes and may describe one of them again. Example:

    category: Perfume
    parent: Beauty                        # optional: a category of another file
    attributes:
      brand: {required: true}
      concentration:
        type: string                      # string | number | integer | boolean | image
        required: true
        labels: {de: Konzentration, zh: 浓度}
        values:                           # closed: nothing outside the list is ever written
          - Parfum
          - {code: Eau de Parfum, labels: {zh: 浓香水}, synonyms: [EDP, eau de perfume]}
      volume: {type: number, unit: ml, description: What one bottle holds}
      notes: {many: true, max_chars: 40}  # several values; max_chars holds for each
      main_image: {type: image, required: true, description: The bottle on white}
      detail_images: {type: image, many: true}
    children:
      - category: Niche perfume
        attributes:
          perfumer: {}

Attributes of type `image` are picture slots: their order is that of the product's image set, no
text model is asked for them, and a slot is filled by what a catalogue or a run has under its name.

This module reads text and must not know templates, checks or products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

from waremill.rules.document import Section, paths, read_yaml, suggestion

T = TypeVar("T")
AttributeType = Literal["string", "number", "integer", "boolean", "image"]
_TYPES = ("string", "number", "integer", "boolean", "image")
_SETTINGS = (
    "type", "unit", "required", "many", "values", "labels", "description", "max_chars",
)  # fmt: skip
_OF_TEXT = ("unit", "values", "max_chars")
"""Settings that say nothing about a picture."""
_SEPARATORS = (">", "/", "›", "»")


@dataclass(frozen=True, slots=True)
class Value:
    """One allowed value: `code` is what is stored, `labels` how it is written by language."""

    code: str
    labels: Mapping[str, str] = field(default_factory=dict)
    synonyms: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way the value is written: code, labels, synonyms, each once."""
        return tuple(dict.fromkeys((self.code, *self.labels.values(), *self.synonyms)))


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: `unit` is the unit numbers are in, `many` allows a list of values,
    `values` is the closed list (empty: open), `labels` its name by language.
    """

    name: str
    type: AttributeType = "string"
    unit: str | None = None
    required: bool = False
    many: bool = False
    values: tuple[Value, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The attributes of one category, its ancestors' included (ancestors first)."""

    category: str
    attributes: tuple[Attribute, ...]
    parent: str | None = None

    @property
    def slots(self) -> tuple[Attribute, ...]:
        """The picture slots of the category's products, in their order."""
        return tuple(one for one in self.attributes if one.type == "image")


class Schemas(dict[str, Schema]):
    """Schemas by category as written; finds a category in any letter case or as a path."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        super().__init__(schemas)
        self._folded = {name.casefold(): schema for name, schema in schemas.items()}

    def resolve(self, category: str) -> Schema | None:
        """Find the schema of a category, or of the nearest known ancestor in its path."""
        return self.get(category) or nearest(self._folded, category)


def nearest(known: Mapping[str, T], category: str) -> T | None:
    """Find the entry of a category in a mapping by case-folded name.

    A category may be a path such as `Beauty > Perfume > Niche` (separators > / › »): the whole
    path is looked up first, then its parts from the deepest upward.
    """
    folded = category.casefold().strip()
    found = known.get(folded)
    if found is not None:
        return found
    for separator in _SEPARATORS:
        if separator in folded:
            for part in reversed(folded.split(separator)):
                found = known.get(part.strip())
                if found is not None:
                    return found
    return None


def load_schemas(files: Mapping[str, str]) -> dict[str, Schema]:
    """Read every `schemas/*.yaml` into schemas by category.

    Raises ConfigError with file and line for unknown settings, types, a category or value that is
    described twice, a parent nobody describes, or parents that go round in a circle.
    """
    own: dict[str, tuple[Section, str | None, dict[str, Attribute]]] = {}
    for path in paths(files, "schemas", (".yaml", ".yml")):
        _read_category(read_yaml(files, path), None, own)
    done: dict[str, Schema] = {}
    for category in own:
        chain = _ancestry(category, own)
        merged: dict[str, Attribute] = {}
        for name in reversed(chain):
            merged.update(own[name][2])
        done[category] = Schema(category, tuple(merged.values()), own[category][1])
    return Schemas(done)


def schema_for(schemas: Mapping[str, Schema], category: str | None) -> Schema | None:
    """Give the schema of a product's category, or None where there is none.

    Letter case does not matter; for a path the deepest known part wins.
    """
    if not category or not schemas:
        return None
    if isinstance(schemas, Schemas):
        return schemas.resolve(category)
    return Schemas(schemas).resolve(category)


def slot_names(schemas: Mapping[str, Schema]) -> tuple[str, ...]:
    """Give the names of all categories' picture slots, each once, in the order they are met."""
    return tuple(dict.fromkeys(one.name for schema in schemas.values() for one in schema.slots))


def _ancestry(
    category: str, own: Mapping[str, tuple[Section, str | None, dict[str, Attribute]]]
) -> list[str]:
    chain = [category]
    while (parent := own[chain[-1]][1]) is not None:
        section = own[chain[-1]][0]
        if parent not in own:
            section.fail(f"no schema describes the parent “{parent}”{suggestion(parent, own)}")
        if parent in chain:
            section.fail(f"“{category}” is its own ancestor through “{parent}”")
        chain.append(parent)
    return chain


def _read_category(
    section: Section,
    parent: str | None,
    own: dict[str, tuple[Section, str | None, dict[str, Attribute]]],
) -> None:
    section.allow(("category", "parent", "attributes", "children", "description"), "a schema")
    category = section.text("category", "")
    if not category:
        section.fail("a schema needs “category: NAME”")
    if category in own:
        section.fail(f"the category “{category}” is described twice", "category")
    stated = section.text("parent", None)
    if stated is not None and parent is not None:
        section.fail(f"“{category}” is a child of “{parent}” here; drop “parent”", "parent")
    own[category] = (section, stated if parent is None else parent, {})
    attributes = section.section("attributes")
    for name in attributes.names() if attributes else ():
        assert attributes is not None
        own[category][2][name] = _read_attribute(attributes, name)
    for child in section.parts("children"):
        if isinstance(child, str):
            section.fail("a child must be a mapping with “category: NAME”", "children")
        _read_category(child, category, own)


def _read_attribute(attributes: Section, name: str) -> Attribute:
    section = attributes.section(name)
    if section is None:  # "perfumer:" with nothing behind it
        return Attribute(name)
    section.allow(_SETTINGS, f"the attribute “{name}”")
    kind = section.text("type", "string")
    if kind not in _TYPES:
        section.fail(f"“{kind}” is no type{suggestion(kind, _TYPES)}", "type")
    if kind == "image":
        _check_slot(section, name)
    values: dict[str, Value] = {}
    for part in section.parts("values"):
        value = _read_value(section, part)
        if value.code in values:
            section.fail(f"the value “{value.code}” of “{name}” stands twice", "values")
        values[value.code] = value
    return Attribute(
        name=name,
        type=cast(AttributeType, kind),
        unit=section.text("unit", None),
        required=section.flag("required"),
        many=section.flag("many"),
        values=tuple(values.values()),
        labels=section.mapping("labels"),
        description=section.text("description", ""),
        max_chars=section.whole("max_chars", least=1),
    )


def _check_slot(section: Section, name: str) -> None:
    """Refuse what a picture slot cannot have; a field's name never begins with `_`."""
    if name.startswith("_") or "@" in name:
        section.fail(f"“{name}” cannot be a picture slot's name; choose another")
    for setting in _OF_TEXT:
        if setting in section.names():
            section.fail(f"“{setting}” does not fit “{name}”, which is a picture slot", setting)


def _read_value(section: Section, part: Section | str) -> Value:
    if isinstance(part, str):
        if not part:
            section.fail("a value must not be blank", "values")
        return Value(part)
    part.allow(("code", "labels", "synonyms"), "a value")
    code = part.text("code", "")
    if not code:
        part.fail("a value needs “code: TEXT”")
    return Value(code, part.mapping("labels"), part.texts("synonyms"))
