"""What became of a product's fields: who or what changed which, from which run, and taking it back.

A revert is one more result, like an edit; nothing that was made is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.cards import frozen_of
from waremill.app.informing import given_to
from waremill.calls.envelope import shown
from waremill.calls.request import canonical, request_hash
from waremill.domain import AnyMessage, Finding, Request
from waremill.errors import Conflict, NotFound
from waremill.review.wording import Operation, difference
from waremill.store import browsing, recordings, verdicts
from waremill.store import changes as store
from waremill.store import reviewing as store_reviewing
from waremill.store import runs as store_runs
from waremill.store.changes import RunOf
from waremill.store.products import Catalog
from waremill.store.reviewing import ItemView, Made
from waremill.store.runs import Run
from waremill.store.verdicts import Decision, Edited

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Change:
    """A field that got another value; `at` is in Unix seconds.

    `by` is the person, or who started the run where a model made it. `origin` is model, human, or
    revert where a field or a run was taken back. `target` is '' for what is made once a product.
    `result_id` can be reverted to; None where the field lost its value. `version` is the
    template's.
    """

    at: float
    by: str | None
    run: str
    template: str | None
    version: str | None
    model: str | None
    field: str
    target: str
    old: Any
    new: Any
    result_id: int | None
    origin: str
    step: str
    item_id: int

    @property
    def difference(self) -> list[tuple[Operation, str]]:
        """The pieces from the old to the new value, word by word."""
        return difference(self.old, self.new)


async def changes(
    workspace: Workspace,
    catalog: str | None,
    key: str,
    *,
    target: str | None = None,
    field: str | None = None,
) -> tuple[Change, ...]:
    """Give every change of a product's generated values, the newest first.

    What was made for its group is among them. Raises NotFound for a product that is not there.
    """
    found = await workspace.find_catalog(catalog)

    def read(conn: Connection) -> tuple[Change, ...]:
        made = store.results_of(conn, _product_ids(conn, found, key), target)
        seen = [pair for pair in made if workspace.actor.may("viewer", pair[1].team_id)]
        item_ids = sorted({one.item_id for one, _ in seen})
        every = _changes(seen, store.taken_back(conn, item_ids))
        picked = [one for one in every if field is None or one.field == field]
        return tuple(sorted(picked, key=lambda one: (one.at, one.result_id or 0), reverse=True))

    return await workspace.database.read(read)


def _product_ids(conn: Connection, catalog: Catalog, key: str) -> list[int]:
    product = browsing.product_by_key(conn, catalog, key)
    group = store.group_of(conn, product.id)
    return [product.id, *([group] if group is not None else [])]


def _changes(made: list[tuple[Made, RunOf]], gone: list[store.TakenBack]) -> list[Change]:
    """Follow each field through its results and through the runs that were taken back."""
    steps: list[tuple[float, int, Made | store.TakenBack, RunOf | None]] = [
        (one.created_at, one.id, one, run) for one, run in made
    ]
    steps += [(one.at, 1 << 62, one, None) for one in gone]
    now: dict[tuple[int, str, str], tuple[Any, Made, RunOf]] = {}
    found: list[Change] = []
    for _, _, one, run in sorted(steps, key=lambda step: step[:2]):
        if isinstance(one, Made):
            assert run is not None
            for name, value in one.values.items():
                place = (one.product_id, one.target, name)
                old = now[place][0] if place in now else None
                now[place] = (value, one, run)
                if value != old:
                    found.append(_change(one, run, name, old, value))
            continue
        for place, (value, holder, holding) in list(now.items()):
            if holder.item_id == one.item_id and value is not None:
                lost = _change(holder, holding, place[2], value, None)
                found.append(replace(lost, at=one.at, by=one.by, result_id=None, origin="revert"))
                now[place] = (None, holder, holding)
    return found


def _change(made: Made, run: RunOf, name: str, old: Any, new: Any) -> Change:
    about = made.provenance
    human = made.origin == "human"
    back = "reverts" in about or "reverts_to" in about
    return Change(
        made.created_at, about.get("by") if human else run.created_by, run.name,
        about.get("template"), _version(about), about.get("model"), name, made.target, old,
        new, made.id, "revert" if back else made.origin, made.step, made.item_id,
    )  # fmt: skip


def _version(about: Mapping[str, Any]) -> str | None:
    """Give a template's version; an operation's is a plain number."""
    version = about.get("version")
    return None if version is None else str(version)


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A stored reply, verbatim; `hash` is its request's, `cost` the list cost in nano-USD."""

    hash: str
    model: str
    reported_model: str
    outcome: str
    text: str
    at: float
    cost: int | None


@dataclass(frozen=True, slots=True)
class Making:
    """How a result came about.

    `template_text` is the template's file as it was. `messages` are the first request's, rendered
    anew from what the run was frozen with; they are `exact` where their hash is that of the first
    answer's request, so that they are what was sent to the letter. `answers` are all replies. A
    person's result has none of these.
    """

    result_id: int
    at: float
    by: str | None
    origin: str
    run: str
    step: str
    values: Mapping[str, Any]
    provenance: Mapping[str, Any]
    findings: tuple[Finding, ...]
    template_text: str | None = None
    messages: tuple[AnyMessage, ...] = ()
    exact: bool = False
    answers: tuple[AnswerText, ...] = ()
    item_id: int = 0


async def made_how(workspace: Workspace, result_id: int) -> Making:
    """Say how a result came about: template, prompt, model, replies; or which person wrote it."""

    def read(conn: Connection) -> tuple[Made, RunOf, Run, ItemView]:
        made, of = store.result_by_id(conn, result_id)
        workspace.actor.need("viewer", of.team_id, f"result {result_id}")
        view = store_reviewing.load_item(conn, of.id, made.item_id)
        return made, of, store_runs.get_run(conn, of.id), view

    made, of, run, view = await workspace.database.read(read)
    making = Making(
        made.id, made.created_at, made.provenance.get("by") or of.created_by, made.origin, of.name,
        made.step, made.values, made.provenance, made.findings or (), item_id=made.item_id,
    )  # fmt: skip
    if made.origin == "human":
        return making
    hashes = [bytes.fromhex(one) for one in made.provenance.get("answers", ())]
    frozen = await frozen_of(workspace.settings, workspace.database, run)

    def more(conn: Connection) -> tuple[Request | None, tuple[AnswerText, ...]]:
        known = store.answers_by_hash(conn, hashes)
        said = tuple(
            AnswerText(
                one.hex(), row.model, row.reported_model, row.outcome,
                shown(row.outcome, row.text), row.created_at,
                row.list_cost,
            )
            for one in hashes
            if (row := known.get(one)) is not None
        )  # fmt: skip
        step = next((one for one in frozen.assembly.steps if one.name == made.step), None)
        if step is None or step.preview is None:
            return None, said
        item = store.item_as_worked(conn, made.item_id, run)
        earlier = {
            name: one.values[name]
            for one in view.made
            if one.id < made.id and one.origin == "model" and one.step != made.step
            for name in one.values
        }
        seen, params = replace(item, fields=earlier), run.plan.get("params", {})
        given = given_to(made.provenance, recordings.searches(conn, made.item_id))
        if step.preview_with is not None and given:
            return step.preview_with(seen, params, given), said
        return step.preview(seen, params), said

    chat, said = await workspace.database.read(more)
    template = frozen.templates.get(made.step)
    return replace(
        making,
        template_text=None if template is None else frozen.assembly.files.get(template.file),
        messages=() if chat is None else chat.messages,
        exact=chat is not None and bool(hashes) and _hash(chat, run, made) == hashes[0],
        answers=said,
    )


def _hash(chat: Request, run: Run, made: Made) -> bytes | None:
    """Hash a request as the run's model was asked it; None where the model is not known."""
    known = run.plan.get("identities", {}).get(made.provenance.get("model"))
    if known is None:
        return None
    identity, options = known
    return request_hash(identity, canonical(replace(chat, take=run.take, options=options)))


async def revert_field(
    workspace: Workspace,
    catalog: str | None,
    key: str,
    target: str,
    field: str,
    result_id: int,
) -> Change:
    """Give a field the value again that a result made, as a new result; give that change.

    It is an edit of the item whose value is current: that item becomes `edited`. `target` is the
    change's, '' for what is made once a product. Raises NotFound for a result that is not one of
    this field, and Conflict where its value is the current one.
    """
    found = await workspace.find_catalog(catalog)
    actor = workspace.actor

    def write(conn: Connection) -> Change:
        wanted, _ = store.result_by_id(conn, result_id)
        place = (wanted.product_id, target, field)
        ids = _product_ids(conn, found, key)
        if wanted.product_id not in ids or wanted.target != target or field not in wanted.values:
            raise NotFound(f"result {result_id} made no “{field}” of {key}")
        now = store.current_result(conn, place)
        # Where a run was taken back and nothing is left, the wanted result's own item has it again.
        holder, of = store.result_by_id(conn, now if now is not None else result_id)
        actor.need("reviewer", of.team_id, f"run {of.name}")
        if now is not None and holder.values.get(field) == wanted.values[field]:
            raise Conflict(f"“{field}” of {key} has that value now")

        def decide(view: ItemView) -> Decision:
            return Decision(
                "edit", "edited", actor.name, edits=(_back(view, holder, wanted, field),)
            )

        view = verdicts.judge(conn, of.id, holder.item_id, None, decide)
        auditing.record(
            conn, actor, "field.revert", f"run {of.name}", found.team_id,
            field=field, target=target, to=result_id, item=holder.item_id,
        )  # fmt: skip
        new = view.made[-1]
        old = holder.values.get(field) if now is not None else None
        return _change(new, of, field, old, new.values[field])

    return await workspace.database.write(write)


def _back(view: ItemView, holder: Made, wanted: Made, name: str) -> Edited:
    """Make the edit that brings a value back, with what was found about it then."""
    left = [one for one in view.findings().get(holder.step, ()) if one.field != name]
    then = [one for one in wanted.findings or () if one.field == name]
    return Edited(
        holder.step, holder.product_id, holder.target, {name: wanted.values[name]},
        (*left, *then), {"reverts_to": wanted.id},
    )  # fmt: skip


async def revert_run(workspace: Workspace, run: str) -> int:
    """Take back all a run made; give how many items it had made.

    Its items are rejected, and fields that have values of it get back what they had before. Needs
    the role operator. Raises Conflict while the run is being worked.
    """
    found = await workspace.find_run(run, "operator")
    if found.state in ("planning", "running"):
        raise Conflict(f"run {found.name} is {found.state}; pause or cancel it first")
    actor, database = workspace.actor, workspace.database

    def some(conn: Connection, after: int) -> tuple[int, int | None]:
        if after == 0:
            auditing.record(conn, actor, "run.revert", f"run {found.name}", found.team_id)
        return store.revert_some(conn, found, after, actor.name)

    total, after = 0, 0
    while True:
        count, last = await database.write(some, after)
        total += count
        if last is None:
            return total
        after = last


__all__ = ["AnswerText", "Change", "Making", "changes", "made_how", "revert_field", "revert_run"]
