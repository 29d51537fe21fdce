"""Picture slots of products: which names are slots, when one is filled, and with what.

A slot is filled where the product's own attribute of that name is there, or where a run (or a
person) made something for it: for every target that is asked about, or once for all of them. A
picture that was taken away again fills nothing; whether it was accepted is another question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, not_
from sqlglot import exp

from waremill.catalog.filter_syntax import column_name, in_order, parse
from waremill.catalog.json_values import DATABASES, missing
from waremill.domain import Product, Target, category_of, is_missing
from waremill.errors import ConfigError
from waremill.rules import Attribute, Channel, Schema, load_channels, load_schemas, schema_for
from waremill.rules import slot_names as names_in
from waremill.rules.document import paths
from waremill.settings import Settings
from waremill.store import slots as store
from waremill.store.database import Database, Dialect
from waremill.store.slots import Condition, Holds

Targets: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots a selection may name; `targets` are those something must be made for.

    Without targets (None) a slot is filled where something was made for any.
    """

    names: tuple[str, ...] = ()
    targets: Targets | None = None

    def conditions(self, dialect: Dialect) -> dict[str, Condition]:
        """Give by slot the condition, over `products`, that something was made for it."""
        return {
            name: store.filled(dialect, name, held(name, dialect), self.targets)
            for name in self.names
        }

    def named_in(
        self, columns: Sequence[str], where: str | None, order_by: str | None = None
    ) -> bool:
        """Say whether a condition or an order names any of the slots."""
        asked = ((where, exp.Condition), (order_by, exp.Order))
        known = tuple(dict.fromkeys((*columns, *self.names, "_key")))
        return any(
            column_name(node, known) in self.names
            for text, kind in asked
            if text is not None and self.names
            for node in in_order(parse(text, kind))
            if isinstance(node, exp.Column)
        )


NO_SLOTS = Slots()


def held(name: str, dialect: Dialect) -> Condition:
    """Give the condition that a result's values hold something under a name."""
    cell = DATABASES[dialect].cell(store.values_of(dialect), name)
    return not_(missing(cell, DATABASES[dialect]))


def item_conditions(names: Sequence[str], dialect: Dialect) -> dict[str, Condition]:
    """Give by slot the condition that it is filled for an item's product and target.

    For queries that join `items` and `products`.
    """
    return {name: store.filled_for_item(dialect, name, held(name, dialect)) for name in names}


@lru_cache(maxsize=8)
def _schemas(texts: tuple[tuple[str, str], ...]) -> Mapping[str, Schema]:
    return load_schemas(dict(texts))


def schemas_in(files: Mapping[str, str]) -> Mapping[str, Schema]:
    """Read a workspace's schemas; texts that were read before are not parsed again."""
    known = paths(files, "schemas", (".yaml", ".yml"))
    return _schemas(tuple((path, files[path]) for path in known))


def slots_in(files: Mapping[str, str], targets: Sequence[str] = ()) -> Slots:
    """Give the slots a selection may name, for targets as they are written; none means any.

    Raises ConfigError for a schema that cannot be read, and for what is no target.
    """
    return Slots(names_in(schemas_in(files)), tuple(channels_of(files, targets)) or None)


async def named_slots(settings: Settings, targets: Sequence[str], *asked: str | None) -> Slots:
    """Give the slots that conditions and orders may name; nothing is read where none is asked."""
    if not targets and not any(asked):
        return NO_SLOTS
    return await asyncio.to_thread(slots_in, settings.files(), targets)


def channels_of(files: Mapping[str, str], targets: Sequence[str]) -> dict[str, Channel | None]:
    """Give targets as they are stored, each with its channel; None where it has none.

    Raises ConfigError for what is no target, or names a channel that no file describes.
    """
    found: dict[str, Channel | None] = {}
    channels: Mapping[str, Channel] | None = None
    for text in targets:
        try:
            target = Target.parse(text)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        found[str(target)] = None
        if target.channel is None:
            continue
        channels = load_channels(files) if channels is None else channels
        if target.channel not in channels:
            known = ", ".join(sorted(channels)) or "none"
            raise ConfigError(
                f"there is no file channels/{target.channel}.yaml (channels: {known})"
            )
        found[str(target)] = channels[target.channel]
    return found


# What stands in a product's slots.


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture in a slot, or several as a list: a reference, or the path or address a catalogue
    gives. `target` is '' where it is for all; `made` says that a run or a person put it there.
    """

    target: str
    value: Any
    made: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of a product with what stands in it: the catalogue's own first, then what was made,
    by target. `references` is empty where the slot is.
    """

    name: str
    required: bool
    many: bool
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class WithSlots:
    """A product with its slots in order; none where no schema knows its category."""

    product: Product
    slots: tuple[Slot, ...]

    @property
    def key(self) -> str:
        """The product's key."""
        return self.product.key

    @property
    def group(self) -> str | None:
        """The key of the product's group."""
        return self.product.group

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The product's attributes."""
        return self.product.attributes


async def with_slots(
    database: Database,
    files: Mapping[str, str],
    products: Sequence[Product],
    targets: Sequence[str] = (),
) -> tuple[WithSlots, ...]:
    """Give products with their slots in their schema's order.

    With targets only what is for them is shown, and of channels that say which slots they take only
    those, in their order. Raises ConfigError for a schema or channel that cannot be read.
    """
    schemas = await asyncio.to_thread(schemas_in, files)
    aims = await asyncio.to_thread(channels_of, files, targets)
    names = names_in(schemas)
    holds: Holds = {name: held(name, database.dialect) for name in names}
    ids = [one.id for one in products]

    def read(conn: Connection) -> dict[tuple[int, str, str], Any]:
        return store.read_made(conn, ids, holds)

    made = await database.read(read) if names and ids else {}
    by_product: dict[int, dict[tuple[str, str], Any]] = {}
    for (number, target, name), value in made.items():
        if not aims or not target or target in aims:
            by_product.setdefault(number, {})[target, name] = value
    return tuple(
        WithSlots(
            one,
            tuple(
                _slot(slot, one, by_product.get(one.id, {}))
                for slot in taken(schema_for(schemas, category_of(one.attributes)), aims)
            ),
        )
        for one in products
    )


def taken(schema: Schema | None, targets: Mapping[str, Channel | None]) -> tuple[Attribute, ...]:
    """Give the slots of a category that any of some targets takes, in the first one's order.

    A target without a channel, or with one that says nothing of slots, takes all.
    """
    if schema is None or not targets:
        return () if schema is None else schema.slots
    found: dict[str, Attribute] = {}
    for channel in targets.values():
        for one in schema.slots if channel is None else channel.takes(schema):
            found.setdefault(one.name, one)
    return tuple(found.values())


def _slot(attribute: Attribute, product: Product, made: Mapping[tuple[str, str], Any]) -> Slot:
    own = product.attributes.get(attribute.name)
    found = [] if is_missing(own) else [Reference("", own, False)]
    found += [
        Reference(target, value, True)
        for (target, name), value in sorted(made.items(), key=lambda pair: pair[0])
        if name == attribute.name
    ]
    return Slot(attribute.name, attribute.required, attribute.many, tuple(found))


__all__ = [
    "NO_SLOTS",
    "Reference",
    "Slot",
    "Slots",
    "WithSlots",
    "channels_of",
    "held",
    "item_conditions",
    "named_slots",
    "schemas_in",
    "slots_in",
    "taken",
    "with_slots",
]
