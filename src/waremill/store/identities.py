"""Which products of a channel were to be published under an identity, an id or a group's.

Rows only come: one says where to look for another product that is live under an identity, and
whether it is, its live values say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import Connection, select

from waremill.store.bulk import BulkInsert
from waremill.store.publishing import Publication
from waremill.store.tables import catalogs, products
from waremill.store.tables_publishing import identities

_HASHES_A_QUERY = 500
_KEY = ("channel", "target", "hash", "product_id")
_IDENTITIES = BulkInsert(identities, _KEY, key=_KEY)


@dataclass(frozen=True, slots=True)
class Holder:
    """A product that was to be published under an identity, with its group, catalogue and team."""

    hash: bytes
    product_id: int
    key: str
    group_id: int | None
    group: str | None
    catalog_id: int
    catalog: str
    team: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A product that is to be published under an identity for a target."""

    target: str
    hash: bytes
    product_id: int


def identity_hash(kind: str, identity: tuple[str, ...]) -> bytes:
    """Give the hash of an identity of a kind, `product` or `group`: 16 bytes of BLAKE2b."""
    text = repr((kind, identity)).encode("utf-8", "backslashreplace")
    return blake2b(text, digest_size=16).digest()


def holders(conn: Connection, channel: str, target: str, hashes: Collection[bytes]) -> list[Holder]:
    """Find the products that were to be published under identities."""
    known = sorted(hashes)
    found: list[Holder] = []
    group = products.alias("grp")
    for start in range(0, len(known), _HASHES_A_QUERY):
        query = (
            select(identities.c.hash, products.c.id, products.c.key, products.c.group_id,
                   group.c.key.label("group_key"), catalogs.c.id.label("catalog_id"),
                   catalogs.c.name, catalogs.c.team_id)
            .join(products, products.c.id == identities.c.product_id)
            .join(catalogs, catalogs.c.id == products.c.catalog_id)
            .outerjoin(group, group.c.id == products.c.group_id)
            .where(identities.c.channel == channel, identities.c.target == target,
                   identities.c.hash.in_(known[start : start + _HASHES_A_QUERY]))
            .order_by(products.c.id)
        )  # fmt: skip
        found += [Holder(*row) for row in conn.execute(query)]
    return found


def add_claims(conn: Connection, publication: Publication, claims: Sequence[Claim]) -> None:
    """Write which products are to be published under which identities; again changes nothing."""
    _IDENTITIES.run(
        conn, [(publication.channel, one.target, one.hash, one.product_id) for one in claims]
    )


__all__ = ["Claim", "Holder", "add_claims", "holders", "identity_hash"]
