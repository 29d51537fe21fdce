"""No two products of a channel have one id, and no two groups: in all that is live in it.

What this publication publishes is remembered on disk, so that it takes no memory that grows; who
was published before under an identity is looked up, and counts where it is live under it still.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waremill.app.publishing.channels import Opened
from waremill.store.identities import Claim, Holder, holders, identity_hash
from waremill.store.published import live_values
from waremill.store.publishing import Accepted
from waremill.store.runs import Run

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

Sound = tuple[Accepted, Mapping[str, Any]]
"""An item and the final values of its record."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """What nobody else may have: of a `product` or a `group`."""

    kind: str
    values: tuple[str, ...]
    hash: bytes

    def rivals(self, item: Accepted, known: Iterable[Holder]) -> list[Holder]:
        """Give the holders that are not the item's own product, or not of its own group."""
        if self.kind == "product":
            return [one for one in known if one.product_id != item.product_id]
        return [one for one in known if one.group_id != item.group_id]

    def taken_by(self, who: str) -> str:
        """Say who has it."""
        shown = " · ".join(part for part in self.values if part)
        return f"“{shown}” is what {who} has already"


class Distinct:
    """Says which products may not be published, since another one has their identity."""

    def __init__(self, workspace: Workspace, run: Run, opened: Opened) -> None:
        self._database = workspace.database
        self._run = run
        self._opened = opened
        self._seen = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._seen.execute("PRAGMA cache_size = -8192")
        self._seen.execute("CREATE TABLE seen (hash BLOB, target TEXT, key TEXT, "
                           "PRIMARY KEY (hash, target)) WITHOUT ROWID")  # fmt: skip
        self._seen.execute("BEGIN")

    async def judge(self, sound: Sequence[Sound]) -> tuple[dict[int, str], list[Claim]]:
        """Give by item why it is refused, and what the others claim that nobody noted yet."""
        wanted = [(item, self._identities(item, values)) for item, values in sound]
        known = await self._known(wanted)
        live = await self._live(wanted, known)
        refused: dict[int, str] = {}
        claims: list[Claim] = []
        for item, identities in wanted:
            said = (self._said(item, one, known, live) for one in identities)
            if (problem := next((one for one in said if one), None)) is not None:
                refused[item.id] = problem
                continue
            claims += [
                Claim(item.target, one.hash, item.product_id) for one in identities
                if all(holder.product_id != item.product_id
                       for holder in known.get((item.target, one.hash), ()))
            ]  # fmt: skip
        return refused, claims

    def close(self) -> None:
        """Forget what this publication publishes."""
        self._seen.close()

    def _identities(self, item: Accepted, values: Mapping[str, Any]) -> list[_Identity]:
        channel = self._opened.channel
        found = [("product", channel.identity(values))]
        if item.group_id is not None:
            found.append(("group", channel.group_identity(values)))
        return [_Identity(kind, one, identity_hash(kind, one)) for kind, one in found if one]

    async def _known(
        self, wanted: Sequence[tuple[Accepted, list[_Identity]]]
    ) -> dict[tuple[str, bytes], list[Holder]]:
        """Look up who was to be published under these identities, by target and hash."""
        name, found = self._opened.settings.name, dict[tuple[str, bytes], list[Holder]]()
        for target in {item.target for item, _ in wanted}:
            hashes = {one.hash for item, some in wanted if item.target == target for one in some}
            for holder in await self._database.read(holders, name, target, hashes):
                found.setdefault((target, holder.hash), []).append(holder)
        return found

    async def _live(
        self,
        wanted: Sequence[tuple[Accepted, list[_Identity]]],
        known: Mapping[tuple[str, bytes], list[Holder]],
    ) -> set[tuple[str, int, bytes]]:
        """Give under which of these identities rivals are live: target, product, hash."""
        ids: dict[str, set[int]] = {}
        for item, identities in wanted:
            for one in identities:
                for rival in one.rivals(item, known.get((item.target, one.hash), ())):
                    ids.setdefault(item.target, set()).add(rival.product_id)
        found = set()
        channel, name = self._opened.channel, self._opened.settings.name
        for target, some in ids.items():
            rows = await self._database.read(live_values, name, target, sorted(some))
            for product_id, fields in rows.items():
                values = {key: one.value for key, one in fields.items() if one.value is not None}
                for kind, identity in (
                    ("product", channel.identity(values)), ("group", channel.group_identity(values))
                ):  # fmt: skip
                    found.add((target, product_id, identity_hash(kind, identity)))
        return found

    def _said(
        self,
        item: Accepted,
        one: _Identity,
        known: Mapping[tuple[str, bytes], list[Holder]],
        live: set[tuple[str, int, bytes]],
    ) -> str | None:
        """Say who has an identity already; None where the item may have it."""
        for rival in one.rivals(item, known.get((item.target, one.hash), ())):
            if (item.target, rival.product_id, one.hash) in live:
                return one.taken_by(self._named(one.kind, rival))
        own = str(item.group if one.kind == "group" else item.key)
        row = (one.hash, item.target, own)
        self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", row)
        query = "SELECT key FROM seen WHERE hash = ? AND target = ?"
        (first,) = self._seen.execute(query, row[:2]).fetchone()
        return None if first == own else one.taken_by(f"the {one.kind} {first}")

    def _named(self, kind: str, rival: Holder) -> str:
        if rival.team != self._run.team_id:
            return "another team's product"
        in_group = kind == "group" and rival.group is not None
        who = f"the group {rival.group}" if in_group else f"the product {rival.key}"
        if rival.catalog_id == self._run.catalog_id:
            return who
        return f"{who} of the catalogue “{rival.catalog}”"


__all__ = ["Distinct"]
