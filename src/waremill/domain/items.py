"""The unit of work: one product for one target in one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from waremill.domain.products import Product, Target


@dataclass(frozen=True, slots=True)
class Item:
    """One product (or group) for one target in one run: the unit of retry, resume and cost.

    `fields` are what earlier steps made; `group` is the merged view of the product's group where
    the pipeline asks for it.
    """

    id: int
    product: Product
    target: Target | None
    fields: Mapping[str, Any]
    take: int = 0
    group: Product | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Attributes overlaid with the fields earlier steps made."""
        return {**self.product.attributes, **self.fields}


Step = Callable[[Item, Any], Awaitable[dict[str, Any]]]
"""A plain async function from an item and a context to new fields."""


OPEN_STATES = frozenset({"pending", "waiting"})
"""States of an item that is not made yet: nobody worked it, or it waits for a batch's answer."""
UNMADE_STATES = OPEN_STATES | {"failed"}
"""States of an item that has no results to judge, count or compare."""
