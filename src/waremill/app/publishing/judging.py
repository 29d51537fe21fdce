"""From accepted items to receipts: mapped, judged by the format, compared with what is live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from waremill.app.publishing.channels import Opened
from waremill.app.publishing.distinct import Distinct
from waremill.app.publishing.stages import in_stage
from waremill.app.publishing.tally import Tally
from waremill.catalog.publishers.channel import Judged, Problem, Record
from waremill.catalog.publishers.mapping import (
    ChannelMapping,
    Names,
    Values,
    check_names,
    mapped,
)
from waremill.domain import Asset, is_missing
from waremill.errors import ConfigError
from waremill.store import published as store_published
from waremill.store import publishing as store
from waremill.store import reporting
from waremill.store.identities import Claim
from waremill.store.published import Live
from waremill.store.publishing import Accepted, Receipt
from waremill.store.runs import Run
from waremill.store.tables import AnyRow

if TYPE_CHECKING:
    from waremill.app.assembly import Assembly
    from waremill.app.workspace import Workspace

STRUCTURED = "structured_"
"""What Google puts before a field's name where a model wrote it."""
NOT_PUBLISHED = ("pending", "waiting", "ready", "review", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A record drawn from an item: the mapping's columns, and the results values came from."""

    item: Accepted
    record: Record
    mapped: frozenset[str]
    results: Mapping[str, int]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a page's products, by target, product and field.

    `unsure` are receipts of publications that failed while they wrote into a database: their values
    may stand there.
    """

    live: Mapping[str, Mapping[int, Mapping[str, Live]]]
    unsure: Mapping[str, Mapping[int, Mapping[str, AnyRow]]]

    def live_of(self, item: Accepted) -> Mapping[str, Live]:
        """Give a product's live values."""
        return self.live[item.target].get(item.product_id, {})

    def unsure_of(self, item: Accepted) -> Mapping[str, AnyRow]:
        """Give what may stand in the target although it does not count."""
        live = self.live_of(item)
        rows = self.unsure.get(item.target, {}).get(item.product_id, {})
        return {
            name: row for name, row in rows.items()
            if name not in live or live[name].receipt_id < row.id
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What a page of items comes to: values to be published, and the identities they need."""

    receipts: Sequence[Receipt]
    claims: Sequence[Claim] = ()


_Verdict = tuple[Drawn, Judged, list[Problem]]


async def names_of(
    workspace: Workspace, run: Run, assembly: Assembly, mapping: ChannelMapping
) -> Names:
    """Give what a mapping's names can mean for a run.

    Where only the data tell which fields there are, they are read until all names mean something.
    """
    attributes = dict.fromkeys(run.plan["columns"])
    if run.catalog_id is not None:
        for catalog in await workspace.catalogs():
            if catalog.id == run.catalog_id:
                attributes |= dict.fromkeys(catalog.columns)
    fields = dict.fromkeys((step.name, name) for step in assembly.steps for name in step.fields)
    names = Names(tuple(attributes), tuple(fields))
    open_steps = sum(1 for step in assembly.steps if step.preview and not step.fields)
    after, targets = 0, tuple(run.plan["targets"])
    while open_steps and (open_steps > 1 or not _all_mean_something(mapping, names)):
        page = await workspace.database.read(store.accepted_page, run.id, targets, after)
        if not page:
            break
        after = page[-1].id
        for item in page:
            fields |= dict.fromkeys(item.fields)
        names = Names(tuple(attributes), tuple(fields))
    return names


def _all_mean_something(mapping: ChannelMapping, names: Names) -> bool:
    try:
        check_names(mapping, names)
    except ConfigError:
        return False
    return True


class Judging:
    """Judges a run's accepted items for a channel, a page at a time."""

    def __init__(self, workspace: Workspace, run: Run, opened: Opened, names: Names) -> None:
        check_names(opened.mapping, names)
        self._workspace = workspace
        self._run = run
        self._opened = opened
        self._names = names
        self._columns = frozenset(one.column for one in opened.mapping.columns)

    async def left_out(self, targets: Sequence[str]) -> tuple[dict[str, int], int]:
        """Count the items that are not accepted, by state, and those that are."""
        rows = await self._workspace.database.read(reporting.by_target, self._run.id, targets)
        states: dict[str, int] = {}
        for row in rows:
            states[row["state"]] = states.get(row["state"], 0) + row["items"]
        accepted = sum(states.get(one, 0) for one in ("accepted", "edited"))
        return {one: states[one] for one in NOT_PUBLISHED if states.get(one)}, accepted

    async def pages(self, targets: Sequence[str], stage: str, tally: Tally) -> AsyncIterator[Found]:
        """Give what is to be published, a page of items at a time."""
        database, after = self._workspace.database, 0
        distinct = Distinct(self._workspace, self._run, self._opened)
        try:
            while True:
                page = await database.read(store.accepted_page, self._run.id, targets, after)
                if not page:
                    return
                after = page[-1].id
                chosen = [one for one in page if in_stage(one.group or one.key, stage)]
                tally.later += len(page) - len(chosen)
                known = await self._known(targets, chosen)
                judged = await asyncio.to_thread(self._judged, chosen, known)
                sound = [(one.item, verdict.values) for one, verdict, wrong in judged if not wrong]
                refused, claims = await distinct.judge(sound)
                receipts = await asyncio.to_thread(_compared, judged, known, refused, tally)
                yield Found(receipts, claims)
        finally:
            distinct.close()

    async def _known(self, targets: Sequence[str], chosen: Sequence[Accepted]) -> _Known:
        live, unsure = {}, {}
        name = self._opened.settings.name
        for target in targets:
            ids = [one.product_id for one in chosen if one.target == target]
            live[target] = await self._workspace.database.read(
                store_published.live_values, name, target, ids
            )
            if not self._opened.channel.whole:
                unsure[target] = await self._workspace.database.read(
                    store.unsure_receipts, name, target, ids
                )
        return _Known(live, unsure)

    def _judged(self, items: Sequence[Accepted], known: _Known) -> list[_Verdict]:
        drawn = [self._draw(one, known.live_of(one)) for one in items]
        judged = self._opened.channel.judge([one.record for one in drawn])
        return [
            (one, verdict, [*one.problems, *verdict.problems])
            for one, verdict in zip(drawn, judged, strict=True)
        ]

    def _draw(self, item: Accepted, live: Mapping[str, Live]) -> Drawn:
        fields = {place: value for place, (value, _) in item.fields.items()}
        values = Values(item.key, item.group, item.target, item.attributes, fields)
        found: dict[str, Any] = {}
        results: dict[str, int] = {}
        problems = []
        for column in self._opened.mapping.columns:
            one = mapped(column, self._names, values)
            value, problem = one.value, one.problem
            if problem is None:
                value, problem = self._linked(value)
            if problem is not None:
                problems.append(Problem(column.column, problem))
            elif not is_missing(value):
                found[column.column] = value
                if one.source is not None:
                    results[column.column] = item.fields[one.source][1]
        standing = {name: one.value for name, one in live.items() if one.value is not None}
        record = Record(item.key, item.group, item.target, found, standing, frozenset(results))
        return Drawn(item, record, self._columns, results, tuple(problems))

    def _linked(self, value: Any) -> tuple[Any, str | None]:
        """Turn references to stored pictures into web addresses, or say why that cannot be."""
        entries = value if isinstance(value, list) else [value]
        assets = [Asset.parse(one) for one in entries]
        if not any(assets):
            return value, None
        base = self._opened.settings.pictures_url
        if base is None:
            return None, "it is a stored picture: set pictures_url, where the channel can read it"
        linked = [
            one if asset is None else f"{base}/{asset.path}"
            for one, asset in zip(entries, assets, strict=True)
        ]
        return (linked if isinstance(value, list) else linked[0]), None


def _compared(
    judged: Sequence[_Verdict], known: _Known, refused: Mapping[int, str], tally: Tally
) -> list[Receipt]:
    """Give what of a page is to be published, and count it and what is refused."""
    found: list[Receipt] = []
    for one, verdict, wrong in judged:
        problems = wrong or [Problem("", refused[n]) for n in (one.item.id,) if n in refused]
        if problems:
            tally.refuse(one.item, problems)
        else:
            found += _receipts(one, verdict, known, tally)
    return found


def _receipts(drawn: Drawn, verdict: Judged, known_of: _Known, tally: Tally) -> list[Receipt]:
    """Compare a judged record with what is live; give what differs, and what nobody is sure of."""
    item, found = drawn.item, []
    live, unsure = known_of.live_of(item), known_of.unsure_of(item)
    standing = {name for name, one in live.items() if one.value is not None}
    given = drawn.record.values
    for name, value in verdict.values.items():
        if is_missing(value):
            continue
        known = live.get(name)
        same = known is not None and known.hash == store.value_hash(value)
        if same and name not in unsure:
            own = name.removeprefix(STRUCTURED)
            missing = own in drawn.mapped and own not in given
            tally.count(name, "kept" if missing else "unchanged")
            continue
        tally.count(name, "changed" if name in standing else "new")
        source = drawn.results.get(name) or drawn.results.get(name.removeprefix(STRUCTURED))
        found.append(
            Receipt(item.target, item.product_id, name, value, source,
                    known.receipt_id if known else None,
                    None if known else _before(verdict, unsure.get(name), name))
        )  # fmt: skip
    for name in standing - verdict.values.keys():
        tally.count(name, "taken_back")
        found.append(Receipt(item.target, item.product_id, name, None, None, live[name].receipt_id))
    how = "unchanged" if not found else ("changed" if standing else "new")
    tally.rows[how] += 1
    return found


def _before(verdict: Judged, unsure: AnyRow | None, name: str) -> Any:
    """Give what the target held before anything of ours, which may stand there already."""
    if unsure is None:
        return verdict.before.get(name)
    return None if unsure.before is None else orjson.loads(unsure.before)


__all__ = ["Found", "Judging", "names_of"]
