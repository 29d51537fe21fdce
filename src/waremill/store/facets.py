"""Which columns of a catalogue are facets: filled with few different texts, so worth an index."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select

from waremill.store.products import Catalog, batched
from waremill.store.tables import products

FACETS = 6
FACET_SAMPLE = 5000
FACET_VALUES = range(8, 51)
"""How many different values a facet has: of fewer each picks so much that an index hardly helps."""
FACET_LEAST = 2000
"""A catalogue smaller than this is scanned faster than an index pays for itself."""


def facets(conn: Connection, catalog: Catalog) -> list[str]:
    """Name the columns of text with some different values, the fullest first; for large catalogues.

    Judged by the first products; at most six, since every index makes imports slower.
    """
    query = select(products.c.attributes).where(
        products.c.catalog_id == catalog.id, products.c.is_group.is_(False)
    )
    rows = conn.execute(query.limit(FACET_SAMPLE)).scalars().all()
    if len(rows) < FACET_LEAST:
        return []
    filled: Counter[str] = Counter()
    values: dict[str, set[str]] = {}
    excluded: set[str] = set()
    for part in batched(rows):
        for name in {name for attributes in part for name in attributes}.difference(excluded):
            texts = [value for row in part if isinstance(value := row.get(name), str)]
            filled[name] += len(texts)
            values.setdefault(name, set()).update(texts)
            if len(values[name]) >= FACET_VALUES.stop:
                excluded.add(name)
    found = [name for name in filled if len(values[name]) in FACET_VALUES]
    return sorted(found, key=lambda name: (-filled[name], name))[:FACETS]
